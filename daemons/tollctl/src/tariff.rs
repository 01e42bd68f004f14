//! `tollctl tariff`.

use std::path::PathBuf;

use chargingd::config::rating_table;
use chargingd::rating::{Definition, StepDefinition};
use clap::Subcommand;
use serde_json::Value;

use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::money;
use crate::rate::hundredths;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum Tariff {
    /// The tariffs in force.
    List,
    /// Reads a file of tariffs, and the rate sheets it names, as chargingd would, and shows them.
    Check {
        /// TOML with `[[tariff]]` and `[[csv]]` entries.
        file: PathBuf,
    },
}

pub(crate) async fn run(command: Tariff, context: &mut Context<'_>) -> Result<(), Failure> {
    let tariffs: Vec<Definition> = match command {
        Tariff::List => {
            let answer: Value = context.get(Daemon::Chargingd, "/tariffs").await?;
            if context.json {
                return context.print_json(&answer);
            }
            context.read(Daemon::Chargingd, answer)?
        }
        Tariff::Check { file } => {
            let table = rating_table(&file).map_err(Failure::Wrong)?;
            let tariffs: Vec<Definition> = table.definitions().collect();
            if context.json {
                let tariffs = serde_json::to_value(tariffs)
                    .map_err(|error| Failure::Wrong(format!("{}: {error}", file.display())))?;
                return context.print_json(&tariffs);
            }
            tariffs
        }
    };
    print(context, &tariffs)
}

fn print(context: &mut Context<'_>, tariffs: &[Definition]) -> Result<(), Failure> {
    let mut titles = vec![
        "NAME",
        ">SET-UP",
        "PRICE",
        "CURRENCY",
        "INCREMENTS",
        "PREFIXES",
    ];
    let further = tariffs.iter().any(|tariff| !further(tariff).is_empty());
    titles.extend(further.then_some("FURTHER"));
    let mut table = Table::new(&titles);
    for tariff in tariffs {
        let more = further.then(|| self::further(tariff));
        let every = ["".into()];
        let prefixes: Vec<&str> = tariff
            .prefixes
            .as_deref()
            .unwrap_or(&every)
            .iter()
            .map(|prefix| match &**prefix {
                "" => "(all)",
                prefix => prefix,
            })
            .collect();
        let row = [
            tariff.name.to_string(),
            money::print(tariff.setup_fee_micro),
            price(tariff),
            tariff
                .currency
                .map_or_else(String::new, |currency| currency.code().into()),
            increments(tariff),
            prefixes.join(" "),
        ];
        table.row(row.into_iter().chain(more));
    }
    Ok(table.print(context.out)?)
}

/// The prices of what is counted.
fn price(tariff: &Definition) -> String {
    let units = [
        (tariff.price_per_minute_micro, "/min"),
        (tariff.price_per_kilobyte_micro, "/kB"),
        (tariff.price_per_megabyte_micro, "/MB"),
        (tariff.price_per_event_micro, "/event"),
    ];
    let prices: Vec<String> = units
        .iter()
        .filter_map(|(price, unit)| price.map(|price| money::print(price) + unit))
        .collect();
    let above = tariff
        .included_bits_per_second
        .map_or_else(String::new, |rate| format!(" above {rate} bit/s"));
    prices.join(" + ") + &above
}

/// `60/1`, and that of octets behind it, where it is not 1/1.
fn increments(tariff: &Definition) -> String {
    let written = |first: Option<u64>, next: Option<u64>| {
        format!("{}/{}", first.unwrap_or(1), next.unwrap_or(1))
    };
    let volume = written(tariff.first_increment_octets, tariff.next_increment_octets);
    let volume = (volume != "1/1").then(|| format!("{volume} octets"));
    let time = tariff.price_per_minute_micro.map(|_| {
        written(
            tariff.first_increment_seconds,
            tariff.next_increment_seconds,
        )
    });
    let all: Vec<String> = time.into_iter().chain(volume).collect();
    all.join(" ")
}

/// What of a tariff is not in every one.
fn further(tariff: &Definition) -> String {
    let mut all = Vec::new();
    for (key, numbers) in [
        ("rating group", &tariff.rating_groups),
        ("service", &tariff.service_identifiers),
    ] {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        if !numbers.is_empty() {
            all.push(format!("{key} {}", numbers.join(" ")));
        }
    }
    if !tariff.calling_groups.is_empty() {
        all.push(format!("callers {}", tariff.calling_groups.join(" ")));
    }
    all.extend(tariff.valid_from.map(|time| format!("from {time}")));
    all.extend(tariff.valid_until.map(|time| format!("until {time}")));
    for (free, unit) in [
        (tariff.free_seconds, "s"),
        (tariff.free_octets, "octets"),
        (tariff.free_events, "events"),
    ] {
        all.extend((free > 0).then(|| format!("{free} {unit} free")));
    }
    if tariff.minimum_micro > 0 {
        all.push(format!("at least {}", money::print(tariff.minimum_micro)));
    }
    all.extend(tariff.steps.iter().filter_map(step));
    if !tariff.periods.is_empty() {
        let zone = tariff.time_zone.as_deref().unwrap_or_default();
        let plural = if tariff.periods.len() == 1 { "" } else { "s" };
        all.push(format!("{} period{plural} in {zone}", tariff.periods.len()));
    }
    if tariff.tax_basis_points > 0 {
        all.push(format!("tax {} %", hundredths(tariff.tax_basis_points)));
    }
    if !tariff.provider.is_empty() {
        let commission = hundredths(tariff.commission_basis_points);
        all.push(format!(
            "for {}, commission {commission} %",
            tariff.provider
        ));
    }
    all.join(", ")
}

fn step(step: &StepDefinition) -> Option<String> {
    let kinds = [
        (step.from_seconds, step.price_per_minute_micro, "s"),
        (step.from_octets, step.price_per_kilobyte_micro, "octets"),
        (step.from_octets, step.price_per_megabyte_micro, "octets"),
        (step.from_events, step.price_per_event_micro, "events"),
    ];
    kinds.into_iter().find_map(|(from, price, unit)| {
        Some(format!("{} from {} {unit}", money::print(price?), from?))
    })
}
