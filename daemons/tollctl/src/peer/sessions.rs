//! What the manager and the provider know of sessions.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::context::{Context, Daemon, encode, query};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

fn of(provider: bool) -> Daemon {
    match provider {
        true => Daemon::Shopd,
        false => Daemon::Chargingd,
    }
}

fn text(row: &Value, name: &str) -> String {
    match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// What was used, or may be: `12 s, 3400 octets, 5 requests`.
fn data(row: &Value, name: &str) -> String {
    let Some(data) = row.get(name).and_then(Value::as_object) else {
        return String::new();
    };
    let of = |name: &str| data.get(name).and_then(Value::as_i64);
    // As messages have it, and as the manager keeps it: milliseconds both.
    let seconds = of("time_ms")
        .or(of("time"))
        .map(|it| format!("{}.{:03} s", it / 1000, it % 1000));
    let octets = of("octets").map(|it| format!("{it} octets"));
    let requests = of("requests").map(|it| format!("{it} requests"));
    let parts: Vec<_> = [seconds, octets, requests].into_iter().flatten().collect();
    parts.join(", ")
}

fn at(row: &Value, name: &str) -> String {
    let at = row.get(name).and_then(Value::as_i64);
    at.map(time::print).unwrap_or_default()
}

/// The end of its lifetime, which is in seconds.
fn until(row: &Value) -> String {
    let end = row.get("not_after").and_then(Value::as_i64);
    end.map_or_else(String::new, |end| time::print(end.saturating_mul(1000)))
}

/// What is set of the flags.
fn flags(row: &Value) -> String {
    let flags = row.get("flags").and_then(Value::as_object);
    let set = flags
        .into_iter()
        .flatten()
        .filter(|(_, set)| set.as_bool() == Some(true));
    let set: Vec<_> = set.map(|(name, _)| name.replace('_', "-")).collect();
    set.join(" ")
}

fn cost(row: &Value) -> String {
    let micro = row.get("cost_micro").and_then(Value::as_i64);
    let currency = text(row, "currency");
    micro.map_or_else(String::new, |micro| {
        format!("{} {currency}", money::print(micro))
            .trim_end()
            .to_owned()
    })
}

/// A row of one of the lists.
type Column = (&'static str, fn(&Value) -> String);

const MANAGERS: &[Column] = &[
    ("SESSION", |row| text(row, "accounting_session_id")),
    ("USER", |row| text(row, "user")),
    ("SERVICE", |row| text(row, "service")),
    ("PROVIDER", |row| text(row, "provider")),
    ("STATE", |row| text(row, "state")),
    ("CAUSE", |row| text(row, "cause")),
    ("CHARGED", |row| data(row, "charged")),
    ("GRANTED", |row| data(row, "granted")),
    (">COST", cost),
    ("UNTIL", until),
    ("FLAGS", flags),
];

const PROVIDERS: &[Column] = &[
    ("SESSION", |row| text(row, "accounting_session_id")),
    ("SERVICE", |row| text(row, "service")),
    ("MANAGER", |row| text(row, "manager")),
    ("FROM", |row| text(row, "address")),
    ("STATE", |row| text(row, "state")),
    ("CAUSE", |row| text(row, "cause")),
    ("USED", |row| data(row, "used")),
    ("GRANTED", |row| data(row, "granted")),
    (">MESSAGES", |row| text(row, "messages")),
    (">NOT ACKNOWLEDGED", |row| text(row, "unacknowledged")),
    ("UNTIL", until),
];

/// Of a session's messages.
const MESSAGES: &[Column] = &[
    (">SEQUENCE", |row| text(row, "sequence")),
    ("TAKEN", |row| at(row, "taken_unix_ms")),
    ("STATE", |row| text(row, "state")),
    ("CAUSE", |row| text(row, "cause")),
    ("TOTALS", |row| data(row, "data")),
    ("MESSAGE", |row| text(row, "id")),
];

fn table(columns: &[Column], rows: &[Value]) -> Table {
    let titles: Vec<&'static str> = columns.iter().map(|(title, _)| *title).collect();
    let mut table = Table::new(&titles);
    for row in rows {
        table.row(columns.iter().map(|(_, show)| show(row)));
    }
    table
}

/// Which sessions.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Those that the provider, shopd, knows instead.
    #[arg(long)]
    provider: bool,
    /// Those in this state alone; of the manager's.
    #[arg(long, conflicts_with = "provider")]
    state: Option<State>,
    /// So many, the newest.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

/// How far a session is at the manager.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Credit is asked for.
    Issuing,
    /// Credit is held; the provider has not acknowledged yet.
    Granted,
    /// The user may use it.
    Open,
    /// Nothing comes of it: what was held is given back.
    Failing,
    /// It is over, or never came about.
    Closed,
}

pub(super) async fn list(which: Which, context: &mut Context<'_>) -> Result<(), Failure> {
    let daemon = of(which.provider);
    let state = which.state.and_then(|state| state.to_possible_value());
    let wanted = query(&[
        ("state", state.map(|state| state.get_name().to_owned())),
        ("limit", Some(which.limit.to_string())),
    ]);
    let answer = context
        .get(daemon, &format!("/peers/sessions{wanted}"))
        .await?;
    if context.json {
        return context.print_json(&answer);
    }
    let rows: Vec<Value> = context.read(daemon, answer)?;
    let columns = if which.provider { PROVIDERS } else { MANAGERS };
    Ok(table(columns, &rows).print(context.out)?)
}

/// One of the manager's, a line for each thing that it says, and its messages.
pub(super) async fn show(session: &str, context: &mut Context<'_>) -> Result<(), Failure> {
    let path = format!("/peers/sessions/{}", encode(session));
    let answer = context.get(Daemon::Chargingd, &path).await?;
    if context.json {
        return context.print_json(&answer);
    }
    for (name, value) in answer.as_object().into_iter().flatten() {
        let shown = match name.as_str() {
            "messages" | "cost_micro" | "currency" => continue,
            "flags" => flags(&answer),
            "used" | "charged" | "granted" => data(&answer, name),
            "not_after" => until(&answer),
            "failure" => text(value, "detail"),
            _ if name.ends_with("_unix_ms") => at(&answer, name),
            _ => text(&answer, name),
        };
        let name = match name.as_str() {
            "accounting_session_id" => "session".to_owned(),
            name => name.trim_end_matches("_unix_ms").replace('_', " "),
        };
        context.print_line(format!("{name:<16}{shown}").trim_end())?;
    }
    context.print_line(format!("{:<16}{}", "cost", cost(&answer)).trim_end())?;
    let messages = answer.get("messages").and_then(Value::as_array);
    let Some(messages) = messages.filter(|messages| !messages.is_empty()) else {
        return Ok(());
    };
    context.print_line("")?;
    Ok(table(MESSAGES, messages).print(context.out)?)
}

pub(super) async fn end(
    session: &str,
    provider: bool,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let path = format!("/peers/sessions/{}/close", encode(session));
    let answer = context.post(of(provider), &path, &json!({})).await?;
    match context.json {
        true => context.print_json(&answer),
        false => context.print_line(&format!("{session}: ended")),
    }
}
