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
    let mut titles = vec![
        "NAME",
        ">SET-UP",
        ">PER MINUTE",
        "CURRENCY",
        "INCREMENTS",
        "PREFIXES",
    ];
    let further = tariffs.iter().any(|tariff| !further(tariff).is_empty());
    titles.extend(further.then_some("FURTHER"));
    let mut table = Table::new(&titles);
    for tariff in tariffs {
        let more = further.then(|| self::further(&tariff));
        let prefixes: Vec<&str> = tariff
            .prefixes
            .iter()
            .map(|prefix| match &**prefix {
                "" => "(all)",
                prefix => prefix,
            })
            .collect();
        let row = [
            tariff.name.into(),
            money::print(tariff.setup_fee_micro),
            money::print(tariff.price_per_minute_micro),
            tariff.currency.code().into(),
            format!(
                "{}/{}",
                tariff.first_increment_seconds, tariff.next_increment_seconds
            ),
            prefixes.join(" "),
        ];
        table.row(row.into_iter().chain(more));
    }
    Ok(table.print(context.out)?)
}

/// What of a tariff is not in every one.
fn further(tariff: &chargingd::tariff::Tariff) -> String {
    let free = (tariff.free_seconds > 0).then(|| format!("{} s free", tariff.free_seconds));
    let minimum = (tariff.minimum_micro > 0)
        .then(|| format!("at least {}", money::print(tariff.minimum_micro)));
    let steps = tariff.steps.iter().map(|step| {
        let price = money::print(step.price_per_minute_micro);
        format!("{price} from {} s", step.from_seconds)
    });
    let all: Vec<String> = free.into_iter().chain(minimum).chain(steps).collect();
    all.join(", ")
}
