//! `tollctl billing`: payments and customers of billd.

use std::io::BufRead;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::context::{Context, Daemon, encode, query};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Billing {
    /// Payments, the newest first.
    Payments {
        /// Only those: forwarded, charging, refused, paid, acknowledged, refunding, refunded.
        #[arg(long)]
        state: Option<String>,
        /// Rows at the most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Who may pay.
    #[command(subcommand)]
    Customer(Customer),
    /// What is advertised, and the thumbprint of its key.
    Server,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Customer {
    /// Adds one; the password or PIN is read from standard input.
    Add(Add),
    /// All of them.
    List,
    /// Lets one pay no more.
    Block {
        /// What he calls himself.
        login: String,
    },
    /// Undoes `block`.
    Unblock {
        /// What he calls himself.
        login: String,
    },
    /// Removes one, and his passkeys; his payments stay.
    Remove {
        /// What he calls himself.
        login: String,
    },
    /// His passkeys: when they were made and last used.
    Passkeys {
        /// What he calls himself.
        login: String,
        /// Removes all of them: a device was lost.
        #[arg(long)]
        remove: bool,
    },
    /// Sets another password or PIN, read from standard input.
    Password {
        /// What he calls himself.
        login: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What he calls himself; for one who types his number, that: +491234.
    login: String,
    /// The account of chargingd that pays.
    #[arg(long, required_unless_present = "number", conflicts_with = "number")]
    account: Option<String>,
    /// The number that chargingd finds the account by.
    #[arg(long)]
    number: Option<String>,
    /// What he pays from.
    #[arg(long, value_enum, default_value_t = Kind::Prepaid)]
    kind: Kind,
    /// Rating-Group of the service account that pays.
    #[arg(long)]
    rating_group: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// The main account.
    Prepaid,
    /// A service account, by --rating-group.
    ServiceAccount,
    /// The monthly bill, after consent on a page.
    PhoneBill,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Prepaid => "prepaid",
            Self::ServiceAccount => "service-account",
            Self::PhoneBill => "phone-bill",
        }
    }
}

pub(crate) async fn run(command: Billing, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Billing::Payments { state, limit } => payments(context, state, limit).await,
        Billing::Customer(command) => customer(context, command).await,
        Billing::Server => {
            let answer = context.get(Daemon::Billd, "/server").await?;
            if context.json {
                return context.print_json(&answer);
            }
            for name in ["url", "attributes", "acknowledgement_key"] {
                let text = answer.get(name).and_then(Value::as_str).unwrap_or_default();
                context.print_line(text)?;
            }
            Ok(())
        }
    }
}

fn text(row: &Value, name: &str) -> String {
    match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn amount(row: &Value, name: &str) -> String {
    let micro = row.get(name).and_then(Value::as_i64);
    micro.map(money::print).unwrap_or_default()
}

async fn payments(
    context: &mut Context<'_>,
    state: Option<String>,
    limit: u32,
) -> Result<(), Failure> {
    let wanted = query(&[("state", state), ("limit", Some(limit.to_string()))]);
    let answer = context
        .get(Daemon::Billd, &format!("/payments{wanted}"))
        .await?;
    if context.json {
        return context.print_json(&answer);
    }
    let rows: Vec<Value> = context.read(Daemon::Billd, answer)?;
    let mut table = Table::new(&[
        "WHEN", "STATE", ">AMOUNT", ">FEE", "CURRENCY", "CUSTOMER", "PROVIDER", "FOR",
    ]);
    for row in &rows {
        let when = row.get("created_unix_ms").and_then(Value::as_i64);
        table.row([
            when.map(time::print).unwrap_or_default(),
            text(row, "state"),
            amount(row, "amount_micro"),
            amount(row, "fee_micro"),
            text(row, "currency"),
            text(row, "login"),
            text(row, "provider"),
            text(row, "title"),
        ]);
    }
    Ok(table.print(context.out)?)
}

async fn customer(context: &mut Context<'_>, command: Customer) -> Result<(), Failure> {
    match command {
        Customer::List => {
            let answer = context.get(Daemon::Billd, "/customers").await?;
            if context.json {
                return context.print_json(&answer);
            }
            let rows: Vec<Value> = context.read(Daemon::Billd, answer)?;
            let mut table = Table::new(&[
                "CUSTOMER",
                "KIND",
                "ACCOUNT",
                "NUMBER",
                ">RATING-GROUP",
                "BLOCKED",
            ]);
            for row in &rows {
                let names = [
                    "login",
                    "kind",
                    "account",
                    "number",
                    "rating_group",
                    "blocked",
                ];
                table.row(names.map(|name| text(row, name)));
            }
            Ok(table.print(context.out)?)
        }
        Customer::Add(add) => {
            let body = json!({
                "login": add.login, "kind": add.kind.name(), "account": add.account,
                "number": add.number, "rating_group": add.rating_group, "secret": secret()?,
            });
            let answer = context.post(Daemon::Billd, "/customers", &body).await?;
            said(context, &answer, &format!("{}: added", add.login))
        }
        Customer::Passkeys { login, remove } => passkeys(context, &login, remove).await,
        Customer::Password { login } => {
            let body = json!({ "secret": secret()? });
            let path = format!("/customers/{}/secret", encode(&login));
            let answer = context.put(Daemon::Billd, &path, &body).await?;
            said(context, &answer, &format!("{login}: changed"))
        }
        Customer::Block { login } => block(context, &login, true).await,
        Customer::Unblock { login } => block(context, &login, false).await,
        Customer::Remove { login } => {
            let path = format!("/customers/{}", encode(&login));
            let answer = context.delete(Daemon::Billd, &path).await?;
            said(context, &answer, &format!("{login}: removed"))
        }
    }
}

async fn passkeys(context: &mut Context<'_>, login: &str, remove: bool) -> Result<(), Failure> {
    let path = format!("/customers/{}/passkeys", encode(login));
    if remove {
        let answer = context.delete(Daemon::Billd, &path).await?;
        let removed = text(&answer, "removed");
        return said(context, &answer, &format!("{login}: {removed} removed"));
    }
    let answer = context.get(Daemon::Billd, &path).await?;
    if context.json {
        return context.print_json(&answer);
    }
    let rows: Vec<Value> = context.read(Daemon::Billd, answer)?;
    let mut table = Table::new(&["PASSKEY", "MADE", "USED"]);
    for row in &rows {
        let when = |name: &str| {
            let at = row.get(name).and_then(Value::as_i64);
            at.map(time::print).unwrap_or_default()
        };
        table.row([
            text(row, "id"),
            when("created_unix_ms"),
            when("used_unix_ms"),
        ]);
    }
    Ok(table.print(context.out)?)
}

async fn block(context: &mut Context<'_>, login: &str, blocked: bool) -> Result<(), Failure> {
    let path = format!("/customers/{}/blocked", encode(login));
    let answer = context
        .put(Daemon::Billd, &path, &json!({ "blocked": blocked }))
        .await?;
    let done = if blocked { "blocked" } else { "may pay again" };
    said(context, &answer, &format!("{login}: {done}"))
}

fn said(context: &mut Context<'_>, answer: &Value, done: &str) -> Result<(), Failure> {
    match context.json {
        true => context.print_json(answer),
        false => context.print_line(done),
    }
}

/// A line of standard input, where no list of processes shows it.
fn secret() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(Failure::Output)?;
    let secret = line.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::Wrong(
            "no password or PIN on standard input".into(),
        ));
    }
    Ok(secret.into())
}
