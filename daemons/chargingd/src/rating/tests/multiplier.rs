//! What a unit is worth in a credit pool.

use proptest::prelude::*;

use super::super::{micro_of_parts, parts_of_micro};
use super::*;

fn unit_value(prices: &str) -> Option<(i64, i32)> {
    tariff(prices).multiplier().map(|value| value.unit_value())
}

#[test]
fn a_multiplier_is_the_price_of_a_unit() {
    assert_eq!(
        unit_value("price_per_event_micro = 500000"),
        Some((500_000, 0))
    );
    assert_eq!(
        unit_value("price_per_kilobyte_micro = 10000"),
        Some((10, 0))
    );
    // 5 euro a gigabyte.
    assert_eq!(unit_value("price_per_megabyte_micro = 5000"), Some((5, -3)));
    assert_eq!(
        unit_value("price_per_minute_micro = 60000"),
        Some((1_000, 0))
    );
    // 0.1 / 60, and 1 / 2^20, rounded up.
    assert_eq!(
        unit_value("price_per_minute_micro = 100000"),
        Some((1_666_666_666_666_667, -12))
    );
    // 1,000 euro a minute: with one place less the digits fit.
    assert_eq!(
        unit_value("price_per_minute_micro = 1000000000"),
        Some((1_666_666_666_666_666_667, -11))
    );
    assert_eq!(
        unit_value("price_per_megabyte_micro = 1000000\noctets_per_kilobyte = 1024"),
        Some((953_674_316_407, -12))
    );
}

#[test]
fn units_of_different_prices_have_none() {
    for other in [
        "setup_fee_micro = 1",
        "minimum_micro = 1",
        "free_octets = 1",
        "first_increment_octets = 2",
        "next_increment_octets = 2",
        "steps = [{ from_octets = 10, price_per_megabyte_micro = 1 }]",
        "time_zone = \"UTC\"\nperiods = [{ from = \"18:00\", to = \"00:00\", price_per_megabyte_micro = 1 }]",
    ] {
        let price = format!("price_per_megabyte_micro = 1000000\n{other}");
        assert_eq!(unit_value(&price), None, "{other}");
    }
    assert_eq!(unit_value("price_per_megabyte_micro = 0"), None);
    assert_eq!(
        unit_value(
            "price_per_minute_micro = 60000\nprice_per_megabyte_micro = 1000000\nincluded_bits_per_second = 64000"
        ),
        None
    );
}

proptest! {
    /// No use is worth less in a pool than it costs, and none much more.
    #[test]
    fn units_are_worth_their_price(
        price in 1i64..=1_000_000_000,
        kind in 0usize..4,
        before in 0u64..1_000_000_000,
        units in 0u64..1_000_000_000,
    ) {
        let (key, used): (_, fn(u64) -> Used) = [
            ("price_per_minute_micro", seconds as fn(u64) -> Used),
            ("price_per_megabyte_micro", octets),
            ("octets_per_kilobyte = 1024\nprice_per_megabyte_micro", octets),
            ("price_per_event_micro", events),
        ][kind];
        let tariff = tariff(&format!("{key} = {price}"));
        let multiplier = tariff.multiplier().unwrap();
        let worth = multiplier.worth(units);
        let cost = tariff.price_micro(BEGIN, used(before + units)) - tariff.price_micro(BEGIN, used(before));
        // Each price is rounded up once: less than a micro-unit beyond, none if there are no parts of one.
        prop_assert!(cost < micro_of_parts(worth) + 1 + i64::from(!multiplier.is_whole()));
        prop_assert!(micro_of_parts(worth) - cost <= 1 + i64::from(!multiplier.is_whole()));
        // And back.
        prop_assert_eq!(multiplier.units(worth), units);
        let money = micro_of_parts(worth);
        prop_assert!(parts_of_micro(money) >= worth && parts_of_micro(money - 1) < worth.max(1));
    }
}
