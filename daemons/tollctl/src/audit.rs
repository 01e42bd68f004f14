//! `tollctl audit`.

use chargingd::audit::Entry;
use clap::Args;

use crate::context::{Context, Daemon, query};
use crate::failure::Failure;
use crate::table::Table;
use crate::time;

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Changes of this account alone.
    #[arg(long)]
    account: Option<String>,
    /// Changes by this one alone: "uid 0", "token NAME" or "certificate NAME".
    #[arg(long)]
    who: Option<String>,
    /// Changes until then: 2026-11-20T09:30:00Z, or in local time 2026-11-20.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<i64>,
    /// How many lines.
    #[arg(short = 'n', long = "lines", default_value_t = 100)]
    count: u32,
}

/// Prints the newest lines of the log, oldest first.
pub(crate) async fn run(command: Audit, context: &mut Context<'_>) -> Result<(), Failure> {
    let query = query(&[
        ("account", command.account),
        ("who", command.who),
        (
            "until_unix_ms",
            command.until.map(|until| until.to_string()),
        ),
        ("limit", Some(command.count.to_string())),
    ]);
    let answer = context
        .get(Daemon::Chargingd, &format!("/audit{query}"))
        .await?;
    if context.json {
        return context.print_json(&answer);
    }
    let entries: Vec<Entry> = context.read(Daemon::Chargingd, answer)?;
    let mut table = Table::new(&["TIME", "WHO", "OPERATION", "ACCOUNT", "OUTCOME", "DETAIL"]);
    for entry in entries {
        table.row([
            time::print(entry.unix_ms),
            entry.who.into(),
            entry.operation.into(),
            entry.account.into(),
            entry.outcome.into(),
            entry.detail.into(),
        ]);
    }
    Ok(table.print(context.out)?)
}
