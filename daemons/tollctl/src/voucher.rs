//! `tollctl voucher`.

use std::io::BufRead;

use chargingd::account::is_name;
use chargingd::event::Operation;
use chargingd::voucher::{BatchView, Code};
use clap::{Args, Subcommand};
use iso_currency::Currency;
use serde::Deserialize;
use serde_json::json;

use crate::account::{self, currency, made_up, name};
use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Voucher {
    /// Makes vouchers and prints their codes, a line each. They are not kept: nobody can print them again.
    Issue(Issue),
    /// Pays a voucher into an account.
    Redeem {
        /// The account.
        #[arg(value_parser = name)]
        account: String,
        /// What is printed on it; read from standard input if missing, where no list of processes shows it.
        code: Option<Code>,
        /// The request's name: repeated under it, a redemption is answered again. Made up and printed if missing.
        #[arg(long)]
        reference: Option<String>,
    },
    /// Every batch.
    List,
    /// Makes what is left of a batch worthless.
    Void {
        /// The batch.
        #[arg(value_parser = batch)]
        batch: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// Names them together: letters, digits, "-", "_" and ".".
    #[arg(value_parser = batch)]
    batch: String,
    /// How many.
    #[arg(long)]
    count: u32,
    /// What each is worth.
    #[arg(long, value_parser = money::parse_positive)]
    amount: i64,
    /// ISO 4217 code.
    #[arg(long, value_parser = currency)]
    currency: Currency,
    /// From when on they are worth nothing: 2027-12-31T23:00:00Z, or in local time 2027-12-31.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    expires: i64,
}

#[derive(Debug, Deserialize)]
struct Issued {
    codes: Vec<String>,
}

fn batch(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("a batch's name is 1 to 64 letters, digits, \"-\", \"_\" and \".\"".into()),
    }
}

pub(crate) async fn run(command: Voucher, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Voucher::Issue(wanted) => issue(context, wanted).await,
        Voucher::Redeem {
            account,
            code,
            reference,
        } => redeem(context, account, code, reference).await,
        Voucher::List => {
            let answer = context.get(Daemon::Chargingd, "/vouchers").await?;
            if context.json {
                return context.print_json(&answer);
            }
            let batches: Vec<BatchView> = context.read(Daemon::Chargingd, answer)?;
            list(context, &batches)
        }
        Voucher::Void { batch } => {
            let operation = Operation::VoidVouchers {
                batch: batch.into(),
            };
            let answer = context
                .post(Daemon::Chargingd, "/operations", &operation)
                .await?;
            if context.json {
                return context.print_json(&answer);
            }
            let batch: BatchView = context.read(Daemon::Chargingd, answer)?;
            list(context, &[batch])
        }
    }
}

async fn issue(context: &mut Context<'_>, wanted: Issue) -> Result<(), Failure> {
    let body = json!({
        "batch": wanted.batch, "count": wanted.count, "amount_micro": wanted.amount,
        "currency": wanted.currency.code(), "expires_unix_ms": wanted.expires,
    });
    let answer = context.post(Daemon::Chargingd, "/vouchers", &body).await?;
    if context.json {
        return context.print_json(&answer);
    }
    let issued: Issued = context.read(Daemon::Chargingd, answer)?;
    for code in issued.codes {
        context.print_line(&code)?;
    }
    Ok(())
}

async fn redeem(
    context: &mut Context<'_>,
    account: String,
    code: Option<Code>,
    reference: Option<String>,
) -> Result<(), Failure> {
    let code = code.map_or_else(read_code, Ok)?;
    let reference = reference.map_or_else(made_up, Ok)?;
    let operation = Operation::RedeemVoucher {
        account: account.into(),
        code,
        reference: reference.clone(),
    };
    let answer = context
        .post(Daemon::Chargingd, "/operations", &operation)
        .await
        .map_err(|failure| failure.with_reference(&reference))?;
    account::show_with(context, &reference, answer)
}

fn read_code() -> Result<Code, Failure> {
    let mut line = String::new();
    // A code is a line of 24 characters: whatever is longer is none.
    std::io::Read::take(std::io::stdin().lock(), 1000)
        .read_line(&mut line)
        .map_err(|source| Failure::File {
            path: "standard input".into(),
            source,
        })?;
    (line.trim().parse()).map_err(|error| Failure::Usage(format!("standard input: {error}")))
}

fn list(context: &mut Context<'_>, batches: &[BatchView]) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "BATCH",
        ">WORTH",
        "OF",
        ">COUNT",
        ">REDEEMED",
        "ISSUED",
        "EXPIRES",
        "VOID SINCE",
    ]);
    for view in batches {
        let batch = &view.batch;
        table.row([
            batch.name.to_string(),
            money::print(batch.amount_micro),
            batch.currency.code().into(),
            view.count.to_string(),
            view.redeemed.to_string(),
            time::print(batch.issued_unix_ms),
            time::print(batch.expires_unix_ms),
            batch.voided_unix_ms.map_or_else(String::new, time::print),
        ]);
    }
    Ok(table.print(context.out)?)
}
