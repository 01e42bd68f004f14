//! What the manager and the provider know of sessions.

use serde_json::{Value, json};

use crate::context::{Context, Daemon, encode};
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
        Some(Value::Array(list)) => {
            let list: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            list.join(" ")
        }
        // Flags, by their names.
        Some(Value::Object(flags)) => {
            let set = flags.iter().filter(|(_, set)| **set == Value::Bool(true));
            let names: Vec<_> = set.map(|(name, _)| name.as_str()).collect();
            names.join(" ")
        }
        Some(other) => other.to_string(),
    }
}

/// What was used, or may be: `12 s, 3400 octets, 5 requests`.
fn data(row: &Value, name: &str) -> String {
    let Some(data) = row.get(name).and_then(Value::as_object) else {
        return String::new();
    };
    let of = |name: &str| data.get(name).and_then(Value::as_i64);
    let seconds = of("time_ms").map(|it| format!("{}.{:03} s", it / 1000, it % 1000));
    let octets = of("octets").map(|it| format!("{it} octets"));
    let requests = of("requests").map(|it| format!("{it} requests"));
    let parts: Vec<_> = [seconds, octets, requests].into_iter().flatten().collect();
    parts.join(", ")
}

fn until(row: &Value) -> String {
    let end = row.get("not_after").and_then(Value::as_i64);
    end.map_or_else(String::new, |end| time::print(end.saturating_mul(1000)))
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
    ("USED", |row| data(row, "used")),
    ("GRANTED", |row| data(row, "granted")),
    (">COST", cost),
    ("UNTIL", until),
    ("FLAGS", |row| text(row, "flags")),
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

pub(super) async fn list(provider: bool, context: &mut Context<'_>) -> Result<(), Failure> {
    let daemon = of(provider);
    let answer = context.get(daemon, "/peers/sessions").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let rows: Vec<Value> = context.read(daemon, answer)?;
    let columns = if provider { PROVIDERS } else { MANAGERS };
    let titles: Vec<&'static str> = columns.iter().map(|(title, _)| *title).collect();
    let mut table = Table::new(&titles);
    for row in &rows {
        table.row(columns.iter().map(|(_, show)| show(row)));
    }
    Ok(table.print(context.out)?)
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
