//! What a price, what is affordable, and a tariff's finding cost: nanoseconds each.
//!
//! `cargo run --release -p chargingd --example rating_load`

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use chargingd::rating::{Book, CallingGroups, Definition, Query, RatingTable, Tariff, Used};
use iso_currency::Currency;

const PLAIN: &str = "price_per_minute_micro = 600000\nfirst_increment_seconds = 60\n";
const STEPPED: &str = "price_per_minute_micro = 600000\nfree_seconds = 30\n\
    steps = [{ from_seconds = 60, price_per_minute_micro = 300000 }, { from_seconds = 600, price_per_minute_micro = 60000 }]\n";
const VOLUME: &str = "price_per_kilobyte_micro = 30000\nfirst_increment_octets = 1000\n";
const COMBINED: &str = "price_per_minute_micro = 500000\nprice_per_kilobyte_micro = 30000\n\
    included_bits_per_second = 1000000\n";
const CALENDAR: &str = "price_per_minute_micro = 600000\ntime_zone = \"Europe/Berlin\"\n\
    holidays = [\"2026-12-25\", \"2026-12-26\", \"2027-01-01\"]\n\
    periods = [{ days = [\"sat\", \"sun\", \"holiday\"], price_per_minute_micro = 60000 },\
    { from = \"18:00\", to = \"08:00\", price_per_minute_micro = 120000 }]\n";

/// 2026-11-20T17:59:00+01:00.
const BEGIN: i64 = 1_795_194_000_000 - 1_060_000;

fn tariff(prices: &str) -> Tariff {
    let text = format!("[[tariff]]\nname = \"t\"\ncurrency = \"EUR\"\n{prices}");
    let book: Book = tollwire_runtime::config::parse(Path::new("t.toml"), &text).expect("prices");
    let table = book.table("t.toml", &text, |_| Err("no sheets".into()));
    Tariff::clone(table.expect("prices").all().first().expect("one tariff"))
}

/// Nanoseconds of one call of `work`: the best of several runs.
fn nanoseconds(mut work: impl FnMut(u64) -> i64) -> f64 {
    const CALLS: u64 = 100_000;
    let run = |_| {
        let begin = Instant::now();
        for call in 0..CALLS {
            black_box(work(black_box(call)));
        }
        begin.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    };
    (0..7).map(run).fold(f64::INFINITY, f64::min)
}

fn main() {
    println!("{:<34} {:>9} {:>12}", "ns", "price", "affordable");
    for (name, prices, hours) in [
        ("time, 60/1", PLAIN, 0),
        ("time, free seconds and two steps", STEPPED, 0),
        ("volume, 1 kB increments", VOLUME, 0),
        ("time and volume", COMBINED, 0),
        ("calendar, a call of minutes", CALENDAR, 0),
        ("calendar, a day later", CALENDAR, 24),
        ("calendar, thirty days later", CALENDAR, 720),
    ] {
        let tariff = tariff(prices);
        let used = |call: u64| Used {
            seconds: hours * 3_600 + call % 900,
            octets: call * 977,
            events: 0,
        };
        let price = nanoseconds(|call| tariff.price_micro(BEGIN, used(call)));
        let spent = tariff.price_micro(BEGIN, used(900));
        let affordable = nanoseconds(|call| {
            let further = tariff.affordable(BEGIN, used(call % 900), spent + 5_000_000);
            i64::try_from(further).unwrap_or(i64::MAX)
        });
        println!("{name:<34} {price:>9.0} {affordable:>12.0}");
    }
    let free = tariff(
        "price_per_minute_micro = 0\ntime_zone = \"UTC\"\nperiods = [{ from = \"08:00\", price_per_minute_micro = 0 }]\n",
    );
    let begin = Instant::now();
    black_box(free.affordable(BEGIN, Used::default(), 0));
    println!(
        "calendar, ten years that cost nothing: {:?}",
        begin.elapsed()
    );
    let calendar = tariff(CALENDAR);
    let change = nanoseconds(|call| {
        let at = BEGIN + i64::try_from(call).unwrap_or(0) * 60_000;
        calendar.next_change_unix_ms(at).unwrap_or(0)
    });
    println!("next change: {change:.0} ns");

    for count in [1_000, 100_000] {
        let definitions: Vec<Definition> = (0..count)
            .map(|number: u64| Definition {
                name: format!("t{number}").into(),
                prefixes: Some(vec![format!("{}", 1_000_000 + number * 7).into()]),
                currency: Some(Currency::EUR),
                price_per_minute_micro: Some(1),
                ..Definition::default()
            })
            .collect();
        let begin = Instant::now();
        let table = RatingTable::new(definitions, CallingGroups::new()).expect("prefixes");
        let loaded = begin.elapsed();
        let called: Vec<String> = (0..1_024)
            .map(|number| {
                format!(
                    "sip:+{}123@example.org",
                    1_000_000 + number * 7_919 % count * 7
                )
            })
            .collect();
        let found = nanoseconds(|call| {
            let query = Query {
                called: &called[call as usize % called.len()],
                calling: "sip:+493012345@example.org",
                rating_group: Some(1),
                service_identifier: None,
                currency: Currency::EUR,
                at_unix_ms: BEGIN,
            };
            table
                .find(&query)
                .map_or(0, |tariff| tariff.setup_fee_micro())
        });
        println!("{count} prefixes: made in {loaded:?}, found in {found:.0} ns");
    }
}
