//! `tollctl peer`: the user's side of peer-to-peer accounting, and lists of the manager's and the provider's.

mod fetch;
mod party;
mod serve;
mod sessions;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tollwire_peer::Measure;
use tollwire_peer_user::{Credential, Ended};

use crate::context::Context;
use crate::failure::Failure;
use crate::files::{read, replace};
use crate::table::Table;
use crate::time;
use fetch::Fetch;
use party::Party;
use serve::{Proxy, Udp};

#[derive(Debug, Args)]
pub(crate) struct Peer {
    #[command(flatten)]
    party: Party,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What the manager's providers offer.
    Services,
    /// Asks for a credential and keeps it in a file; the manager reserves its price.
    Request {
        /// The service's name.
        #[arg(long)]
        service: String,
        /// The port that your datagrams will come from, for a service of them: behind a gate it is needed.
        #[arg(long)]
        udp_port: Option<u16>,
        /// Where it is written, readable by you alone: who has it can use the service.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// One request to an HTTP service.
    Fetch(Fetch),
    /// A proxy for the programs of this host that signs what they ask, until it is interrupted:
    /// curl -x http://127.0.0.1:8899 http://provider.example/weather/today
    Proxy(Proxy),
    /// Passes datagrams of this host's programs on to a service, from one port, until it is interrupted.
    Udp(Udp),
    /// Ends the session of a credential: the provider reports what was used, and the rest is released.
    Close {
        /// The credential's file.
        #[arg(long, value_name = "FILE")]
        credential: PathBuf,
    },
    /// Sessions that the manager, chargingd, knows.
    Sessions(sessions::Which),
    /// One session that the manager, chargingd, knows, with its accounting messages.
    Session {
        /// Its accounting session id, which may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        session: String,
    },
    /// Ends a session as an operator: the manager revokes it.
    End {
        /// Its accounting session id, which may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        session: String,
        /// At the provider, shopd, instead.
        #[arg(long)]
        provider: bool,
    },
}

/// Where a credential comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Asks for one for this service, and ends its session afterwards.
    #[arg(long)]
    service: Option<String>,
    /// The file that `tollctl peer request` wrote; its session stays open.
    #[arg(long, value_name = "FILE")]
    credential: Option<PathBuf>,
}

pub(crate) async fn run(peer: Peer, context: &mut Context<'_>) -> Result<(), Failure> {
    let party = peer.party;
    match peer.command {
        Command::Services => services(&party, context).await,
        Command::Request {
            service,
            udp_port,
            out,
        } => {
            let user = party.user()?;
            let listed = user.service(&service).await?;
            let credential = user.request(&listed, udp_port).await?;
            if let Err(failure) = write(&out, &credential) {
                // Nobody can use it, and its price is reserved.
                let _ = user.close(&credential).await;
                return Err(failure);
            }
            told(&credential, context)
        }
        Command::Fetch(fetch) => fetch::run(fetch, &party, context).await,
        Command::Proxy(proxy) => serve::proxy(proxy, &party, context).await,
        Command::Udp(udp) => serve::udp(udp, &party, context).await,
        Command::Close { credential } => {
            let credential = load(&credential)?;
            let ended = party.caller()?.close(&credential).await?;
            let session = &credential.accounting_session_id;
            if context.json {
                let ended = ended == Ended::Now;
                return context
                    .print_json(&json!({ "accounting_session_id": session, "ended": ended }));
            }
            context.print_line(&match ended {
                Ended::Now => format!("{session}: ended"),
                Ended::Before => format!("{session}: was over"),
            })
        }
        Command::Sessions(which) => sessions::list(which, context).await,
        Command::Session { session } => sessions::show(&session, context).await,
        Command::End { session, provider } => sessions::end(&session, provider, context).await,
    }
}

async fn services(party: &Party, context: &mut Context<'_>) -> Result<(), Failure> {
    let services = party.user()?.services().await?;
    if context.json {
        return context.print_json(&json!(services));
    }
    let mut table = Table::new(&["NAME", "TITLE", "PROVIDER", "PRICE", "METERED"]);
    for service in services {
        let metered: Vec<_> = service.collect.iter().map(|it| measure(*it)).collect();
        table.row([
            service.name,
            service.title,
            service.provider,
            service.price,
            metered.join(" "),
        ]);
    }
    Ok(table.print(context.out)?)
}

fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Time => "time",
        Measure::Octets => "octets",
        Measure::Requests => "requests",
    }
}

/// What is known of a credential, but its key.
fn told(credential: &Credential, context: &mut Context<'_>) -> Result<(), Failure> {
    if context.json {
        return context.print_json(&json!({
            "service": credential.service, "provider": credential.provider, "address": credential.address,
            "sessions": credential.sessions, "not_before": credential.not_before, "not_after": credential.not_after,
            "accounting_session_id": credential.accounting_session_id,
        }));
    }
    let until = time::print(credential.not_after.saturating_mul(1000));
    context.print_line(&format!("service   {}", credential.service))?;
    context.print_line(&format!("provider  {}", credential.provider))?;
    context.print_line(&format!("address   {}", credential.address))?;
    context.print_line(&format!("session   {}", credential.accounting_session_id))?;
    context.print_line(&format!("until     {until}"))
}

fn write(path: &std::path::Path, credential: &Credential) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(credential);
    let text = text.map_err(|error| Failure::Wrong(error.to_string()))?;
    replace(path, 0o600, &(text + "\n"))
}

fn load(path: &std::path::Path) -> Result<Credential, Failure> {
    let wrong = |error| Failure::Wrong(format!("{}: no credential: {error}", path.display()));
    serde_json::from_str(&read(path)?).map_err(wrong)
}

/// Whether programs of other hosts can reach an address.
fn local_unless(listen: SocketAddr, allowed: bool) -> Result<SocketAddr, Failure> {
    match listen.ip().is_loopback() || allowed {
        true => Ok(listen),
        false => Err(Failure::Usage(format!(
            "{listen}: whoever reaches it spends your money: 127.0.0.1, or --allow-remote"
        ))),
    }
}
