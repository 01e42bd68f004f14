//! `tollctl ledger` and `tollctl trial-balance`.

use chargingd::ledger::Commodity;
use clap::Args;
use serde::Deserialize;

use crate::context::{Context, Daemon, query};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

#[derive(Debug, Args)]
pub(crate) struct Ledger {
    /// The account; `@cash:EUR` and `@revenue:EUR` are the other side of every entry.
    account: String,
    /// How many entries.
    #[arg(short = 'n', long = "lines", default_value_t = 100)]
    count: u32,
}

/// What is shown of chargingd's ledger.
#[derive(Debug, Deserialize)]
struct Entry {
    key: String,
    debit: String,
    credit: String,
    amount: i64,
    commodity: Commodity,
    unix_ms: i64,
}

#[derive(Debug, Deserialize)]
struct TrialBalance {
    balanced: bool,
    accounts: Vec<Balance>,
}

#[derive(Debug, Deserialize)]
struct Balance {
    name: String,
    commodity: Commodity,
    stored: i64,
    ledger: i64,
}

/// Money as people write it, units as they are.
fn amount(amount: i64, commodity: Commodity) -> String {
    match commodity.currency() {
        Some(_) => money::print(amount),
        None => amount.to_string(),
    }
}

/// Prints an account's entries.
pub(crate) async fn ledger(command: Ledger, context: &mut Context<'_>) -> Result<(), Failure> {
    let query = query(&[
        ("account", Some(command.account.clone())),
        ("limit", Some(command.count.to_string())),
    ]);
    let answer = context
        .get(Daemon::Chargingd, &format!("/ledger{query}"))
        .await?;
    if context.json {
        return context.print_json(&answer);
    }
    let entries: Vec<Entry> = context.read(Daemon::Chargingd, answer)?;
    let mut table = Table::new(&["TIME", ">AMOUNT", "OF", "OTHER SIDE", "KEY"]);
    for entry in entries {
        let is_paid_in = entry.credit == command.account;
        let (sign, other) = if is_paid_in {
            ("+", entry.debit)
        } else {
            ("-", entry.credit)
        };
        table.row([
            time::print(entry.unix_ms),
            format!("{sign}{}", amount(entry.amount, entry.commodity)),
            entry.commodity.to_string(),
            other,
            entry.key,
        ]);
    }
    Ok(table.print(context.out)?)
}

/// Prints each balance beside its ledger.
pub(crate) async fn trial_balance(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Chargingd, "/trial-balance").await?;
    let trial: TrialBalance = context.read(Daemon::Chargingd, answer.clone())?;
    if context.json {
        context.print_json(&answer)?;
    } else {
        let mut table = Table::new(&["ACCOUNT", ">STORED", ">LEDGER", ""]);
        for account in &trial.accounts {
            let verdict = if account.stored == account.ledger {
                "equal"
            } else {
                "DIFFERENT"
            };
            table.row([
                account.name.clone(),
                amount(account.stored, account.commodity),
                amount(account.ledger, account.commodity),
                verdict.into(),
            ]);
        }
        table.print(context.out)?;
    }
    if trial.balanced {
        Ok(())
    } else {
        Err(Failure::Wrong(
            "balances and ledger differ: keep a copy of chargingd's database before anything else"
                .into(),
        ))
    }
}
