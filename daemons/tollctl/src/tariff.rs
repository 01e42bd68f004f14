//! `tollctl tariff`.

use std::path::PathBuf;

use chargingd::config::tariff_table;
use clap::Subcommand;
use serde_json::Value;

use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::money;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum Tariff {
    /// The tariffs in force.
    List,
    /// Reads a file of tariffs as chargingd would, and shows them.
    Check {
        /// TOML with `[[tariff]]` entries.
        file: PathBuf,
    },
}

pub(crate) async fn run(command: Tariff, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Tariff::List => {
            let answer = context.get(Daemon::Chargingd, "/tariffs").await?;
            print(context, answer)
        }
        Tariff::Check { file } => {
            let table = tariff_table(&file).map_err(Failure::Wrong)?;
            let tariffs = serde_json::to_value(table.all())
                .map_err(|error| Failure::Wrong(format!("{}: {error}", file.display())))?;
            print(context, tariffs)
        }
    }
}

fn print(context: &mut Context<'_>, tariffs: Value) -> Result<(), Failure> {
    if context.json {
        return context.print_json(&tariffs);
    }
    let tariffs: Vec<chargingd::tariff::Tariff> = context.read(Daemon::Chargingd, tariffs)?;
    let mut table = Table::new(&[
        "NAME",
        ">SET-UP",
        ">PER MINUTE",
        "CURRENCY",
        "INCREMENTS",
        "PREFIXES",
    ]);
    for tariff in tariffs {
        let prefixes: Vec<&str> = tariff
            .prefixes
            .iter()
            .map(|prefix| match &**prefix {
                "" => "(all)",
                prefix => prefix,
            })
            .collect();
        table.row([
            tariff.name.into(),
            money::print(tariff.setup_fee_micro),
            money::print(tariff.price_per_minute_micro),
            tariff.currency.code().into(),
            format!(
                "{}/{}",
                tariff.first_increment_seconds, tariff.next_increment_seconds
            ),
            prefixes.join(" "),
        ]);
    }
    Ok(table.print(context.out)?)
}
