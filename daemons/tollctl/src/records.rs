//! `tollctl records`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;
use tollwire_cdr::{ChargeRecord, to_json_line};

use crate::context::{Context, Daemon, query, warn};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

/// How often `--follow` looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Records that `--follow` asks for at first; more if it fell behind.
const STEP: u64 = 100;
/// The most records chargingd gives at once.
const MOST: u64 = 100_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Records {
    /// The newest records, oldest first.
    Tail {
        /// How many.
        #[arg(short = 'n', long = "lines", default_value_t = 10)]
        count: u64,
        /// Go on with each new record.
        #[arg(short, long)]
        follow: bool,
    },
    /// Records by account, call or time.
    Find(Find),
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Paid by this account.
    #[arg(long)]
    account: Option<String>,
    /// Of the call with this SIP Call-ID.
    #[arg(long)]
    call_id: Option<String>,
    /// Ended at this time or later: 2026-11-20T09:30:00Z, or in local time 2026-11-20T09:30 or 2026-11-20.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from: Option<i64>,
    /// Ended before this time.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<i64>,
    /// The newest so many.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    limit: u64,
}

pub(crate) async fn run(command: Records, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Records::Tail { count, follow } => tail(context, count, follow).await,
        Records::Find(find) => {
            let query = query(&[
                ("account", find.account),
                ("call_id", find.call_id),
                ("from_unix_ms", find.from.map(|at| at.to_string())),
                ("until_unix_ms", find.until.map(|at| at.to_string())),
                ("limit", Some(find.limit.to_string())),
            ]);
            let records = ask(context, &query).await?;
            print(context, &records, true)?;
            if records.len() as u64 >= find.limit {
                warn(&format!(
                    "only the newest {} are shown; --limit shows more",
                    find.limit
                ));
            }
            Ok(())
        }
    }
}

async fn ask(context: &Context<'_>, query: &str) -> Result<Vec<ChargeRecord>, Failure> {
    let answer: Value = context
        .get(Daemon::Chargingd, &format!("/records{query}"))
        .await?;
    context.read(Daemon::Chargingd, answer)
}

async fn newest(context: &Context<'_>, count: u64) -> Result<Vec<ChargeRecord>, Failure> {
    ask(context, &query(&[("limit", Some(count.to_string()))])).await
}

async fn tail(context: &mut Context<'_>, count: u64, follow: bool) -> Result<(), Failure> {
    // Also with -n 0, --follow must know where the end is.
    let mut records = newest(context, count.clamp(1, MOST)).await?;
    let last = records.last().map_or(0, |record| record.sequence_number);
    if count == 0 {
        records.clear();
    }
    print(context, &records, true)?;
    if follow {
        return go_on(context, last).await;
    }
    Ok(())
}

/// Prints each record after number `last` as it comes; ends only with the output.
async fn go_on(context: &mut Context<'_>, mut last: u64) -> Result<(), Failure> {
    let mut is_reachable = true;
    loop {
        context.out.flush()?;
        tokio::time::sleep(PERIOD).await;
        match since(context, last).await {
            Ok(records) => {
                is_reachable = true;
                last = records.last().map_or(last, |record| record.sequence_number);
                print(context, &records, false)?;
            }
            Err(failure) => {
                // The daemon may be restarting: said once, and tried until it is back.
                if std::mem::take(&mut is_reachable) {
                    warn(&format!("{failure}; waiting"));
                }
            }
        }
    }
}

/// The records after number `last`. They are without gaps: if the first one found is not the next, more are asked for.
async fn since(context: &Context<'_>, last: u64) -> Result<Vec<ChargeRecord>, Failure> {
    let mut count = STEP;
    loop {
        let mut records = newest(context, count).await?;
        let reaches_back = records
            .first()
            .is_none_or(|record| record.sequence_number <= last + 1);
        if reaches_back || count >= MOST || (records.len() as u64) < count {
            records.retain(|record| record.sequence_number > last);
            return Ok(records);
        }
        count = (count * 8).min(MOST);
    }
}

fn print(
    context: &mut Context<'_>,
    records: &[ChargeRecord],
    with_titles: bool,
) -> Result<(), Failure> {
    if context.json {
        // As in the files: a record a line.
        for record in records {
            let line = to_json_line(record).map_err(|error| {
                Failure::Wrong(format!("record {}: {error}", record.sequence_number))
            })?;
            context.out.write_all(line.as_bytes())?;
        }
        return Ok(());
    }
    let mut table = Table::new(&[
        ">NUMBER",
        "ENDED",
        "FROM",
        "TO",
        ">DURATION",
        ">CHARGED",
        "ACCOUNT",
        "TARIFF",
        ">AMOUNT",
        "CURRENCY",
        "CAUSE",
        "CALL-ID",
    ]);
    for record in records {
        let seconds = record.duration_ms.max(0).unsigned_abs() / 1000;
        table.row([
            record.sequence_number.to_string(),
            time::print(record.end_time.0),
            record.from.clone(),
            record.to.clone(),
            time::print_duration(seconds),
            time::print_duration(record.charged_seconds),
            record.account.clone(),
            record.tariff.clone(),
            money::print(record.amount_micro),
            record.currency.clone(),
            record.end_cause.name().into(),
            record.call_id.clone(),
        ]);
    }
    if with_titles {
        table.print(context.out)?;
    } else {
        table.print_rows(context.out)?;
    }
    Ok(())
}
