//! Prices, tables and files.

use iso_currency::Currency;
use jiff::Timestamp;
use tollwire_runtime::config;

use super::{Book, Query, RatingTable, Tariff, Used};

mod calendar;
mod files;
mod multiplier;
mod prices;
mod properties;
mod selection;

/// Begin of what is not about clocks: 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000;

/// The table of the file `tariffs.toml` with `text` in it, and no sheets.
fn table(text: &str) -> Result<RatingTable, String> {
    let path = std::path::Path::new("tariffs.toml");
    let book: Book = config::parse(path, text).map_err(|error| error.to_string())?;
    book.table("tariffs.toml", text, |sheet| {
        Err(format!("{}: there are no sheets", sheet.file.display()))
    })
}

/// The tariff of these prices, in euro.
fn tariff(prices: &str) -> Tariff {
    fault_or_tariff(prices).unwrap()
}

fn fault_or_tariff(prices: &str) -> Result<Tariff, String> {
    let text = format!("[[tariff]]\nname = \"t\"\ncurrency = \"EUR\"\n{prices}");
    table(&text).map(|table| Tariff::clone(table.all().first().unwrap()))
}

fn seconds(seconds: u64) -> Used {
    Used {
        seconds,
        ..Used::default()
    }
}

fn octets(octets: u64) -> Used {
    Used {
        octets,
        ..Used::default()
    }
}

fn events(events: u64) -> Used {
    Used {
        events,
        ..Used::default()
    }
}

/// Unix milliseconds of `2026-03-29T01:59:00+01:00`.
fn at(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_millisecond()
}

fn query(called: &str) -> Query<'_> {
    Query {
        called,
        calling: "",
        rating_group: None,
        service_identifier: None,
        currency: Currency::EUR,
        at_unix_ms: BEGIN,
    }
}
