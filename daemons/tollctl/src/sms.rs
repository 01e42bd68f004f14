//! `tollctl sms`: what smscd holds, and how it is steered.

use std::io::BufRead;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Sms {
    /// Applications that may bind, and what is kept for each.
    Esmes,
    /// Sessions with applications and with upstream SMSCs.
    Binds,
    /// Routes, and the messages that wait for each.
    Routes,
    /// How much is kept, and what it waits for.
    Queue,
    /// A message's life.
    Trace {
        /// Its id, as in submit_sm_resp.
        message_id: u64,
    },
    /// Tariff classes in force.
    Classes,
    /// Delivers nothing over a route until it is released.
    Hold {
        /// The route.
        route: String,
    },
    /// Undoes `hold`.
    Release {
        /// The route.
        route: String,
    },
    /// Unbinds and closes a session, or every session of an application.
    Disconnect {
        /// Number of the session, as `tollctl sms binds` names it.
        #[arg(required_unless_present = "esme", conflicts_with = "esme")]
        link: Option<u64>,
        /// system_id of the application.
        #[arg(long)]
        esme: Option<String>,
    },
    /// Reads the configuration and the tariff classes again.
    Reload,
    /// Hashes a password, read from standard input, for `password_hash` in the configuration.
    HashPassword,
}

pub(crate) async fn run(command: Sms, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Sms::Esmes => list(context, "/esmes", ESMES).await,
        Sms::Binds => list(context, "/binds", BINDS).await,
        Sms::Routes => list(context, "/routes", ROUTES).await,
        Sms::Classes => list(context, "/classes", CLASSES).await,
        Sms::Queue => object(context, "/queue").await,
        Sms::Trace { message_id } => object(context, &format!("/messages/{message_id}")).await,
        Sms::Hold { route } => {
            let operation = json!({"hold-route": {"name": route}});
            operate(context, &operation, &format!("{route}: held")).await
        }
        Sms::Release { route } => {
            let operation = json!({"release-route": {"name": route}});
            operate(context, &operation, &format!("{route}: released")).await
        }
        Sms::Disconnect {
            esme: Some(system_id),
            ..
        } => {
            let operation = json!({"disconnect-esme": {"system_id": system_id}});
            operate(context, &operation, &format!("{system_id}: disconnected")).await
        }
        Sms::Disconnect { link, .. } => {
            let link = link.unwrap_or_default();
            let operation = json!({"disconnect": {"link": link}});
            operate(context, &operation, &format!("{link}: disconnected")).await
        }
        Sms::Reload => {
            let answer = context.post(Daemon::Smscd, "/reload", &json!({})).await?;
            said(context, &answer, "read again")
        }
        Sms::HashPassword => hash_password(context),
    }
}

/// Columns: title, field, and how it is shown.
type Columns = &'static [(&'static str, &'static str, fn(&Value) -> String)];

const ESMES: Columns = &[
    ("SYSTEM_ID", "system_id", text),
    (">BINDS", "binds", text),
    (">MESSAGES", "messages", text),
    (">RECEIPTS", "receipts", text),
];
const BINDS: Columns = &[
    (">LINK", "link", text),
    ("PEER", "peer", text),
    ("ROLE", "role", text),
    ("REMOTE", "remote", text),
    ("STATE", "state", text),
    (">IN FLIGHT", "in_flight", text),
    (">BACKLOG", "backlog_octets", text),
    (">RECEIVED", "received", text),
    (">DELIVERED", "delivered", text),
];
const ROUTES: Columns = &[
    ("ROUTE", "name", text),
    ("PREFIX", "destination_prefix", text),
    ("TARGET", "target", text),
    ("HELD", "held", text),
    (">MESSAGES", "messages", text),
];
const CLASSES: Columns = &[
    (">CLASS", "number", text),
    (">PRICE", "amount_micro", amount),
    ("CURRENCY", "currency", text),
    ("VALID FROM", "valid_from", text),
    ("DESCRIPTION", "description", text),
];

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn amount(value: &Value) -> String {
    value.as_i64().map(money::print).unwrap_or_default()
}

async fn list(context: &mut Context<'_>, path: &str, columns: Columns) -> Result<(), Failure> {
    let answer = context.get(Daemon::Smscd, path).await?;
    if context.json {
        return context.print_json(&answer);
    }
    let rows: Vec<Value> = context.read(Daemon::Smscd, answer)?;
    let titles: Vec<&'static str> = columns.iter().map(|(title, _, _)| *title).collect();
    let mut table = Table::new(&titles);
    for row in &rows {
        let cells = columns
            .iter()
            .map(|(_, field, show)| show(row.get(field).unwrap_or(&Value::Null)));
        table.row(cells);
    }
    Ok(table.print(context.out)?)
}

/// One thing, a line for each of its fields that says something.
async fn object(context: &mut Context<'_>, path: &str) -> Result<(), Failure> {
    let answer = context.get(Daemon::Smscd, path).await?;
    if context.json {
        return context.print_json(&answer);
    }
    let fields: serde_json::Map<String, Value> = context.read(Daemon::Smscd, answer)?;
    let mut table = Table::new(&["", ""]);
    for (name, value) in &fields {
        let shown = match value.as_i64() {
            Some(unix_ms) if name.ends_with("_unix_ms") => time::print(unix_ms),
            Some(micro) if name == "amount_micro" => money::print(micro),
            _ => text(value),
        };
        if !shown.is_empty() {
            let name = name.trim_end_matches("_unix_ms").trim_end_matches("_micro");
            table.row([name.replace('_', " "), shown]);
        }
    }
    Ok(table.print(context.out)?)
}

async fn operate(context: &mut Context<'_>, operation: &Value, done: &str) -> Result<(), Failure> {
    let answer = context
        .post(Daemon::Smscd, "/operations", operation)
        .await?;
    said(context, &answer, done)
}

fn said(context: &mut Context<'_>, answer: &Value, done: &str) -> Result<(), Failure> {
    if context.json {
        return context.print_json(answer);
    }
    context.print_line(done)
}

fn hash_password(context: &mut Context<'_>) -> Result<(), Failure> {
    let mut password = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut password)
        .map_err(Failure::Output)?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::Wrong("no password on standard input".into()));
    }
    let hash = tollwire_runtime::password::hash(password).map_err(Failure::Wrong)?;
    context.print_line(&hash)
}
