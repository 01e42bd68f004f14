//! `tollctl accounting`: records that elements sent to chargingd's accounting storage.

use chargingd::accounting::{ElementView, RecordDetail, RecordView, SessionView};
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::{Context, Daemon, query};
use crate::failure::Failure;
use crate::table::Table;
use crate::time;

/// The most that chargingd gives at once.
const MOST: u64 = 100_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Accounting {
    /// Records, the oldest of the newest first.
    List(Filter),
    /// One record with all that it says.
    Show {
        /// Its number in the storage, as `list` prints it.
        id: i64,
    },
    /// Accounting sessions, the last heard of last.
    Sessions(Filter),
    /// Who sends records.
    Elements,
    /// Sequence numbers that lack, and sessions that lack a record; exit code 1 if any does.
    Gaps,
}

/// What is looked for.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Origin-Host of who made the record.
    #[arg(long, value_name = "HOST")]
    element: Option<String>,
    /// Session-Id.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Sequence number in the element's spool.
    #[arg(long, value_name = "NUMBER")]
    sequence_number: Option<u64>,
    /// Received, or last heard of, at this time or later.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from: Option<i64>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<i64>,
    /// Only what has a fault.
    #[arg(long)]
    faulty: bool,
    /// The newest so many.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    limit: u64,
}

impl Filter {
    fn query(self) -> String {
        query(&[
            ("element", self.element),
            ("session_id", self.session),
            (
                "sequence_number",
                self.sequence_number.map(|number| number.to_string()),
            ),
            ("from_unix_ms", self.from.map(|at| at.to_string())),
            ("until_unix_ms", self.until.map(|at| at.to_string())),
            ("faulty", self.faulty.then(|| "true".into())),
            ("limit", Some(self.limit.to_string())),
        ])
    }
}

pub(crate) async fn run(command: Accounting, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Accounting::List(filter) => list(context, filter).await,
        Accounting::Show { id } => show(context, id).await,
        Accounting::Sessions(filter) => {
            let path = format!("/accounting/sessions{}", filter.query());
            let sessions: Vec<SessionView> = ask(context, &path).await?;
            print_sessions(context, &sessions)
        }
        Accounting::Elements => {
            let elements: Vec<ElementView> = ask(context, "/accounting/elements").await?;
            print_elements(context, &elements)
        }
        Accounting::Gaps => gaps(context).await,
    }
}

async fn ask<T: DeserializeOwned>(context: &Context<'_>, path: &str) -> Result<T, Failure> {
    let answer: Value = context.get(Daemon::Chargingd, path).await?;
    context.read(Daemon::Chargingd, answer)
}

async fn list(context: &mut Context<'_>, filter: Filter) -> Result<(), Failure> {
    let path = format!("/accounting/records{}", filter.query());
    let mut records: Vec<RecordView> = ask(context, &path).await?;
    records.reverse();
    if context.json {
        return print_lines(context, &records);
    }
    let mut table = Table::new(&[
        ">ID",
        "RECEIVED",
        "ELEMENT",
        "TYPE",
        ">NUMBER",
        ">SEQUENCE",
        "FAULT",
        "SESSION",
    ]);
    for record in &records {
        let sequence_number = record.sequence_number.map(|number| number.to_string());
        table.row([
            record.id.to_string(),
            time::print(record.received_unix_ms),
            record.element.clone(),
            record.record_type.clone(),
            record.number.to_string(),
            sequence_number.unwrap_or_default(),
            if record.reuses_number {
                "number reused".into()
            } else {
                String::new()
            },
            record.session_id.clone(),
        ]);
    }
    Ok(table.print(context.out)?)
}

async fn show(context: &mut Context<'_>, id: i64) -> Result<(), Failure> {
    let path = format!("/accounting/records/{id}");
    if context.json {
        let answer = context.get(Daemon::Chargingd, &path).await?;
        return context.print_json(&answer);
    }
    let detail: RecordDetail = ask(context, &path).await?;
    let record = &detail.record;
    context.print_line(&format!(
        "record {} of {}, received {}",
        record.id,
        record.element,
        time::print(record.received_unix_ms)
    ))?;
    if let Some(number) = record.sequence_number {
        context.print_line(&format!("sequence number {number}"))?;
    }
    if record.reuses_number {
        context.print_line("its sequence number was another record's before")?;
    }
    print_avps(context, &detail.avps, 0)?;
    if let Some(carried) = &detail.carried {
        context.print_line("carries")?;
        context.print_json(carried)?;
    }
    Ok(())
}

/// A tree of AVPs, a line each.
fn print_avps(context: &mut Context<'_>, avps: &Value, depth: usize) -> Result<(), Failure> {
    for avp in avps.as_array().into_iter().flatten() {
        let name = avp["name"].as_str().unwrap_or("?");
        let indent = "  ".repeat(depth + 1);
        match &avp["value"] {
            members @ Value::Array(_) => {
                context.print_line(&format!("{indent}{name}"))?;
                print_avps(context, members, depth + 1)?;
            }
            Value::String(text) => context.print_line(&format!("{indent}{name} = {text}"))?,
            value => context.print_line(&format!("{indent}{name} = {value}"))?,
        }
    }
    Ok(())
}

fn print_sessions(context: &mut Context<'_>, sessions: &[SessionView]) -> Result<(), Failure> {
    if context.json {
        return print_lines(context, sessions);
    }
    let mut table = Table::new(&[
        "LAST RECORD",
        "ELEMENT",
        "STATE",
        ">RECORDS",
        ">MISSING",
        "START",
        "SESSION",
    ]);
    for session in sessions.iter().rev() {
        table.row([
            time::print(session.last_unix_ms),
            session.element.clone(),
            session.state.clone(),
            session.records.to_string(),
            session.missing.to_string(),
            if session.without_start {
                "missing"
            } else {
                "yes"
            }
            .into(),
            session.session_id.clone(),
        ]);
    }
    Ok(table.print(context.out)?)
}

fn print_elements(context: &mut Context<'_>, elements: &[ElementView]) -> Result<(), Failure> {
    if context.json {
        return print_lines(context, elements);
    }
    let mut table = Table::new(&[
        "ELEMENT",
        "REALM",
        ">RECORDS",
        "LAST RECORD",
        ">SEQUENCE",
        ">MISSING",
    ]);
    for element in elements {
        table.row([
            element.element.clone(),
            element.realm.clone(),
            element.records.to_string(),
            time::print(element.last_unix_ms),
            match element.sequence_number {
                0 => String::new(),
                number => number.to_string(),
            },
            element.missing.to_string(),
        ]);
    }
    Ok(table.print(context.out)?)
}

async fn gaps(context: &mut Context<'_>) -> Result<(), Failure> {
    let elements: Vec<ElementView> = ask(context, "/accounting/elements").await?;
    let path = format!("/accounting/sessions?faulty=true&limit={MOST}");
    let sessions: Vec<SessionView> = ask(context, &path).await?;
    let missing = elements
        .iter()
        .fold(0_u64, |sum, element| sum.saturating_add(element.missing));
    if context.json {
        let elements: Vec<&ElementView> = elements.iter().filter(|it| it.missing > 0).collect();
        context.print_json(&serde_json::json!({ "elements": elements, "sessions": sessions }))?;
    } else {
        let mut table = Table::new(&["ELEMENT", ">FIRST", ">LAST", ">MISSING"]);
        for element in &elements {
            for gap in &element.gaps {
                table.row([
                    element.element.clone(),
                    gap.first.to_string(),
                    gap.last.to_string(),
                    (gap.last - gap.first).saturating_add(1).to_string(),
                ]);
            }
        }
        table.print(context.out)?;
        if !sessions.is_empty() {
            print_sessions(context, &sessions)?;
        }
    }
    if missing > 0 || !sessions.is_empty() {
        return Err(Failure::Wrong(format!(
            "{missing} records lack, and {} sessions lack a record",
            sessions.len()
        )));
    }
    Ok(())
}

/// As JSON, a line each.
fn print_lines<T: serde::Serialize>(context: &mut Context<'_>, all: &[T]) -> Result<(), Failure> {
    for one in all {
        let line = serde_json::to_string(one).map_err(|error| Failure::Wrong(error.to_string()))?;
        writeln!(context.out, "{line}")?;
    }
    Ok(())
}
