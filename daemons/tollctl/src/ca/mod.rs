//! `tollctl ca`: a root, certificates of parties below it, and the list of those that are revoked.

mod authority;
mod certificate;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::table::Table;
use crate::time;
use authority::{Authority, Issued, LIST, ROOT, Wanted};
use certificate::{Algorithm, Reason, Usage};

#[derive(Debug, Args)]
pub(crate) struct Ca {
    /// Where the authority is. Its keys are readable by whoever made it alone.
    #[arg(long, global = true, default_value = "/etc/tollwire/ca")]
    directory: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes an authority: a key, a root that signs itself, an empty list of revoked certificates.
    Init {
        /// Its common name; one with random letters in it if missing.
        #[arg(long)]
        name: Option<String>,
        /// A key of Ed25519 instead of P-256.
        #[arg(long)]
        ed25519: bool,
        /// How long the root is good.
        #[arg(long, default_value_t = 3650, value_parser = days())]
        days: u32,
        /// When the list of revoked certificates has to be made again.
        #[arg(long, default_value_t = 30, value_parser = days())]
        crl_days: u32,
    },
    /// Gives a name its first certificate and a key.
    Issue {
        /// Of a party a URI (urn:example:alice) or a host name (provider.example), of a server a host name or address.
        name: String,
        /// For a TLS server instead of a party.
        #[arg(long)]
        server: bool,
        /// Another host name or address of that server; can be repeated.
        #[arg(long, requires = "server")]
        also: Vec<String>,
        /// A key of Ed25519 instead of P-256.
        #[arg(long)]
        ed25519: bool,
        /// How long it is good; not longer than the root.
        #[arg(long, default_value_t = 365, value_parser = days())]
        days: u32,
    },
    /// Gives a name another certificate in the place of its last, which stays good until it ends or is revoked.
    Renew {
        /// As it was issued to.
        name: String,
        /// That of a TLS server instead of a party's.
        #[arg(long)]
        server: bool,
        /// With another key, of the same kind unless --ed25519 or --p256 says otherwise.
        #[arg(long)]
        new_key: bool,
        /// The new key is of Ed25519.
        #[arg(long, requires = "new_key")]
        ed25519: bool,
        /// The new key is of P-256.
        #[arg(long, requires = "new_key", conflicts_with = "ed25519")]
        p256: bool,
        /// How long it is good; not longer than the root.
        #[arg(long, default_value_t = 365, value_parser = days())]
        days: u32,
    },
    /// Revokes certificates, and makes the list again.
    Revoke {
        /// All of this name's that are good yet, of a party and of a TLS server.
        #[arg(required_unless_present = "serial", conflicts_with = "serial")]
        name: Option<String>,
        /// That one alone, in hexadecimal.
        #[arg(long)]
        serial: Option<String>,
        /// Why.
        #[arg(long, value_enum, default_value_t = Reason::Unspecified)]
        reason: Reason,
        /// When the list has to be made again.
        #[arg(long, default_value_t = 30, value_parser = days())]
        crl_days: u32,
    },
    /// Makes the list of revoked certificates again: before its nextUpdate, after which parties refuse.
    Crl {
        /// When it has to be made again.
        #[arg(long, default_value_t = 30, value_parser = days())]
        days: u32,
    },
    /// Every certificate that was issued, the oldest first.
    List,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=36_500)
}

fn algorithm(ed25519: bool) -> Algorithm {
    match ed25519 {
        true => Algorithm::Ed25519,
        false => Algorithm::P256,
    }
}

fn usage(server: bool) -> Usage {
    match server {
        true => Usage::Server,
        false => Usage::Party,
    }
}

pub(crate) fn run(ca: Ca, context: &mut Context<'_>) -> Result<(), Failure> {
    let now = Timestamp::now().as_second();
    let open = || Authority::open(&ca.directory);
    match ca.command {
        Command::Init {
            name,
            ed25519,
            days,
            crl_days,
        } => {
            let name = name.map_or_else(made_up, root_name)?;
            let key = algorithm(ed25519);
            let mut authority = Authority::create(&ca.directory, &name, key, days, now)?;
            let list = authority.list(crl_days, now)?;
            made(context, &authority, list)
        }
        Command::Issue {
            name,
            server,
            also,
            ed25519,
            days,
        } => {
            let usage = usage(server);
            let names = std::iter::once(&name).chain(&also);
            let names = names.map(|name| certificate::normal(name, usage));
            let wanted = Wanted {
                usage,
                names: names.collect::<Result<_, _>>().map_err(Failure::Usage)?,
                key: algorithm(ed25519),
                days,
            };
            let mut authority = open()?;
            let issued = authority.issue(&wanted, now)?;
            told(context, &authority, &issued)
        }
        Command::Renew {
            name,
            server,
            new_key,
            ed25519,
            p256,
            days,
        } => {
            let kind = (ed25519 || p256).then(|| algorithm(ed25519));
            let name = certificate::normal(&name, usage(server)).map_err(Failure::Usage)?;
            let mut authority = open()?;
            let issued =
                authority.renew(&name, usage(server), new_key.then_some(kind), days, now)?;
            told(context, &authority, &issued)
        }
        Command::Revoke {
            name,
            serial,
            reason,
            crl_days,
        } => {
            let mut authority = open()?;
            let fits = |issued: &Issued| match (&name, &serial) {
                (Some(name), _) => {
                    certificate::normal(name, issued.usage).as_deref() == Ok(issued.name())
                }
                (None, Some(serial)) => is_serial(&issued.serial, serial),
                (None, None) => false,
            };
            let revoked = authority.revoke(fits, reason, now)?;
            // Also if there was none: a crash may have come between index and list.
            let (number, _, until) = authority.list(crl_days, now)?;
            if revoked.is_empty() {
                let what = name.or(serial).unwrap_or_default();
                return Err(Failure::Wrong(format!(
                    "{what}: no certificate of it is good"
                )));
            }
            if context.json {
                let list = authority.path(LIST);
                return context.print_json(&json!({
                    "revoked": revoked, "crl": list, "crl_number": number, "next_update_unix_ms": until * 1000,
                }));
            }
            for serial in &revoked {
                context.print_line(&format!("{serial}: revoked"))?;
            }
            listed(context, &authority, number, until)
        }
        Command::Crl { days } => {
            let mut authority = open()?;
            let (number, entries, until) = authority.list(days, now)?;
            if context.json {
                return context.print_json(&json!({
                    "crl": authority.path(LIST), "crl_number": number, "entries": entries,
                    "next_update_unix_ms": until * 1000,
                }));
            }
            listed(context, &authority, number, until)
        }
        Command::List => list(context, &open()?, now),
    }
}

/// A root's name that no other has: a list of revoked certificates is found by it.
fn made_up() -> Result<String, Failure> {
    let mut octets = [0; 4];
    getrandom::fill(&mut octets).map_err(|error| Failure::Wrong(error.to_string()))?;
    Ok(format!("Tollwire {}", hex::encode(octets)))
}

fn root_name(name: String) -> Result<String, Failure> {
    match (1..=64).contains(&name.chars().count()) && !name.contains(char::is_control) {
        true => Ok(name),
        false => Err(Failure::Usage(
            "an authority's name has 1 to 64 characters".into(),
        )),
    }
}

/// Whether two serial numbers in hexadecimal are one: OpenSSL writes capitals, others colons.
fn is_serial(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace(':', "").to_ascii_lowercase();
    plain(one).trim_start_matches('0') == plain(other).trim_start_matches('0')
}

fn made(
    context: &mut Context<'_>,
    authority: &Authority,
    (number, _, next): (u64, usize, i64),
) -> Result<(), Failure> {
    let (root, list) = (authority.path(ROOT), authority.path(LIST));
    if context.json {
        return context.print_json(&json!({
            "name": authority.name(), "root": root, "until_unix_ms": authority.until() * 1000,
            "crl": list, "crl_number": number, "next_update_unix_ms": next * 1000,
        }));
    }
    context.print_line(&format!("authority  {}", authority.name()))?;
    context.print_line(&format!("root       {}", root.display()))?;
    context.print_line(&format!(
        "until      {}",
        time::print(authority.until() * 1000)
    ))?;
    listed(context, authority, number, next)
}

fn listed(
    context: &mut Context<'_>,
    authority: &Authority,
    number: u64,
    until: i64,
) -> Result<(), Failure> {
    let (list, until) = (authority.path(LIST), time::print(until * 1000));
    context.print_line(&format!(
        "crl        {}: number {number}, until {until}",
        list.display()
    ))
}

fn told(context: &mut Context<'_>, authority: &Authority, issued: &Issued) -> Result<(), Failure> {
    let (certificate, key) = (
        authority.certificate(&issued.file),
        authority.key(&issued.file),
    );
    if context.json {
        let mut row = row(issued, issued.from_unix);
        if let Some(row) = row.as_object_mut() {
            row.insert("certificate".into(), json!(certificate));
            row.insert("key_file".into(), json!(key));
        }
        return context.print_json(&row);
    }
    context.print_line(&format!("name         {}", issued.names.join(", ")))?;
    context.print_line(&format!("certificate  {}", certificate.display()))?;
    context.print_line(&format!("key          {}", key.display()))?;
    context.print_line(&format!("serial       {}", issued.serial))?;
    context.print_line(&format!(
        "until        {}",
        time::print(issued.until_unix * 1000)
    ))
}

fn row(issued: &Issued, now: i64) -> Value {
    json!({
        "serial": issued.serial, "names": issued.names, "usage": issued.usage, "key": issued.key,
        "from_unix_ms": issued.from_unix * 1000, "until_unix_ms": issued.until_unix * 1000,
        "state": issued.state(now),
        "revoked_unix_ms": issued.revoked.map(|revoked| revoked.at_unix * 1000),
        "reason": issued.revoked.map(|revoked| revoked.reason),
    })
}

fn list(context: &mut Context<'_>, authority: &Authority, now: i64) -> Result<(), Failure> {
    if context.json {
        let rows = authority.issued().iter().map(|issued| row(issued, now));
        return context.print_json(&rows.collect());
    }
    let mut table = Table::new(&["SERIAL", "NAME", "FOR", "KEY", "UNTIL", "STATE"]);
    for issued in authority.issued() {
        table.row([
            issued.serial.clone(),
            issued.names.join(" "),
            issued.usage.name().into(),
            issued.key.name().into(),
            time::print(issued.until_unix * 1000),
            issued.state(now).into(),
        ]);
    }
    Ok(table.print(context.out)?)
}
