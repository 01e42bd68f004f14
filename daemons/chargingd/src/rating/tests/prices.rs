//! Tables of prices without a calendar.

use super::super::{Line, Measure, Part, Stint, Tariff, Used};
use super::{BEGIN, events, fault_or_tariff, octets, seconds, tariff};

/// Price of these seconds.
fn price(tariff: &Tariff, used: u64) -> i64 {
    tariff.price_micro(BEGIN, seconds(used))
}

/// Seconds from the begin that an amount pays for.
fn affordable(tariff: &Tariff, amount_micro: i64) -> u64 {
    tariff.affordable(BEGIN, Used::default(), amount_micro)
}

#[test]
fn increments_and_set_up_fees() {
    let sixty_one = tariff(
        "setup_fee_micro = 50000\nprice_per_minute_micro = 600000\nfirst_increment_seconds = 60\n",
    );
    for (used, charged, expected) in [
        (0, 0, 50_000),
        (1, 60, 650_000),
        (60, 60, 650_000),
        (61, 61, 660_000),
        (125, 125, 1_300_000),
    ] {
        assert_eq!(sixty_one.charged(seconds(used)), seconds(charged));
        assert_eq!(price(&sixty_one, used), expected);
    }
    let thirty_six = tariff(
        "price_per_minute_micro = 600000\nfirst_increment_seconds = 30\nnext_increment_seconds = 6\n",
    );
    for (used, charged) in [(1, 30), (30, 30), (31, 36), (36, 36), (37, 42)] {
        assert_eq!(thirty_six.charged(seconds(used)), seconds(charged));
    }
    // Whole increments alone; what was begun is paid, and does not cost again.
    assert_eq!(affordable(&thirty_six, 299_999), 0);
    assert_eq!(affordable(&thirty_six, 359_999), 30);
    assert_eq!(thirty_six.affordable(BEGIN, seconds(31), 360_000), 5);
    assert_eq!(thirty_six.affordable(BEGIN, seconds(31), 359_999), 0);
    assert_eq!(thirty_six.affordable(BEGIN, seconds(31), 419_999), 5);
    assert_eq!(thirty_six.affordable(BEGIN, seconds(31), 420_000), 11);
}

#[test]
fn free_seconds_steps_and_a_minimum() {
    let stepped = tariff(
        "setup_fee_micro = 50000\nprice_per_minute_micro = 600000\nfree_seconds = 30\nminimum_micro = 100000\n\
         steps = [{ from_seconds = 60, price_per_minute_micro = 300000 },\
         { from_seconds = 120, price_per_minute_micro = 60000 }]\n",
    );
    for (used, expected) in [
        (0, 100_000),
        (30, 100_000),
        (35, 100_000),
        (36, 110_000),
        (60, 350_000),
        (61, 355_000),
        (120, 650_000),
        (180, 710_000),
        (181, 711_000),
    ] {
        assert_eq!(price(&stepped, used), expected, "{used}");
    }
    assert_eq!(affordable(&stepped, 99_999), 0);
    assert_eq!(affordable(&stepped, 100_000), 35);
    assert_eq!(affordable(&stepped, 654_999), 124);
    assert_eq!(stepped.affordable(BEGIN, seconds(100), 654_999), 24);
    // Whole minutes, begun in the free ones, are free.
    let minutes = tariff(
        "price_per_minute_micro = 600000\nfree_seconds = 60\nfirst_increment_seconds = 60\n\
         next_increment_seconds = 60\n",
    );
    assert_eq!((price(&minutes, 59), price(&minutes, 61)), (0, 600_000));
}

#[test]
fn a_fraction_of_a_micro_unit_is_rounded_up_once() {
    let third = tariff("price_per_minute_micro = 100\n");
    assert_eq!(price(&third, 1), 2); // 1.67
    assert_eq!(price(&third, 3), 5); // 5.00
    assert_eq!(price(&third, 60), 100);
}

#[test]
fn what_is_free_is_affordable_without_money() {
    assert_eq!(
        affordable(&tariff("price_per_minute_micro = 0\n"), 0),
        315_360_000
    );
    let fee = tariff("price_per_minute_micro = 0\nsetup_fee_micro = 1\n");
    assert_eq!(affordable(&fee, 0), 0);
    assert_eq!(affordable(&fee, -5), 0);
    assert_eq!(affordable(&fee, 1), 315_360_000);
    let free = Tariff::free("by-client", iso_currency::Currency::EUR);
    assert_eq!(
        (price(&free, u64::MAX), affordable(&free, 0)),
        (0, 315_360_000)
    );
    assert_eq!((&*free.name, free.service()), ("by-client", "by-client"));
}

#[test]
fn volume() {
    // 0.03 a kilobyte, in tens of kilobytes.
    let volume = tariff(
        "price_per_kilobyte_micro = 30000\nfirst_increment_octets = 10000\nnext_increment_octets = 10000\n\
         free_octets = 50000\n",
    );
    assert_eq!(volume.measure(), Measure::Volume);
    for (used, charged, expected) in [
        (0, 0, 0),
        (1, 10_000, 0),
        (50_000, 50_000, 0),
        (50_001, 60_000, 300_000),
        (60_000, 60_000, 300_000),
    ] {
        assert_eq!(volume.charged(octets(used)), octets(charged));
        assert_eq!(volume.price_micro(BEGIN, octets(used)), expected, "{used}");
    }
    assert_eq!(volume.affordable(BEGIN, octets(0), 599_999), 60_000);
    assert_eq!(volume.affordable(BEGIN, octets(50_001), 600_000), 19_999);
    assert_eq!(volume.chargeable_octets(1, 77), 77);
    let binary = tariff(
        "price_per_megabyte_micro = 1048576\noctets_per_kilobyte = 1024\n\
         steps = [{ from_octets = 2097152, price_per_megabyte_micro = 0 }]\n",
    );
    assert_eq!(binary.price_micro(BEGIN, octets(1)), 1);
    assert_eq!(binary.price_micro(BEGIN, octets(1 << 40)), 2_097_152);
    assert_eq!(binary.affordable(BEGIN, octets(5), 2_097_151), 2_097_146);
    assert_eq!(
        binary.affordable(BEGIN, octets(5), 2_097_152),
        (1 << 62) - 5
    );
    let by_kilobyte = tariff("price_per_kilobyte_micro = 1024\noctets_per_kilobyte = 1024\n");
    assert_eq!(by_kilobyte.price_micro(BEGIN, octets(1 << 20)), 1 << 20);
}

#[test]
fn events_one_by_one() {
    let each = tariff(
        "price_per_event_micro = 190000\nfree_events = 2\nsetup_fee_micro = 5\n\
         steps = [{ from_events = 4, price_per_event_micro = 90000 }]\n",
    );
    assert_eq!(each.measure(), Measure::Events);
    for (used, expected) in [(0, 5), (2, 5), (3, 190_005), (4, 380_005), (6, 560_005)] {
        assert_eq!(each.price_micro(BEGIN, events(used)), expected, "{used}");
    }
    assert_eq!(each.affordable(BEGIN, events(3), 470_004), 1);
    assert_eq!(each.affordable(BEGIN, events(3), 470_005), 2);
    assert_eq!(each.chargeable_octets(1, 77), 0);
    assert_eq!(each.charged(events(7)), events(7));
}

#[test]
fn time_up_to_a_rate_and_volume_above_it() {
    let combined = tariff(
        "price_per_minute_micro = 500000\nprice_per_kilobyte_micro = 30000\n\
         included_bits_per_second = 1000000\nsetup_fee_micro = 7\n",
    );
    assert_eq!(combined.measure(), Measure::Combined);
    assert_eq!(combined.included_bits_per_second(), Some(1_000_000));
    // A megabit in a second is 125,000 octets.
    assert_eq!(combined.chargeable_octets(60, 7_500_000), 0);
    assert_eq!(combined.chargeable_octets(60, 7_501_000), 1_000);
    assert_eq!(combined.chargeable_octets(0, 5), 5);
    assert_eq!(combined.chargeable_octets(u64::MAX, u64::MAX), 0);
    let used = |seconds, octets| Used {
        seconds,
        octets,
        events: 0,
    };
    assert_eq!(combined.price_micro(BEGIN, used(60, 0)), 500_007);
    assert_eq!(combined.price_micro(BEGIN, used(60, 1_000)), 530_007);
    // A third of a micro-unit and a tenth: one rounding.
    let small = tariff(
        "price_per_minute_micro = 20\nprice_per_kilobyte_micro = 100\nincluded_bits_per_second = 8\n",
    );
    assert_eq!(small.price_micro(BEGIN, used(1, 1)), 1);
    assert_eq!(small.price_micro(BEGIN, used(1, 7)), 2);
    // What the octets cost is gone before seconds are counted.
    assert_eq!(combined.affordable(BEGIN, used(60, 1_000), 530_006), 0);
    assert_eq!(combined.affordable(BEGIN, used(60, 1_000), 538_341), 1);
    assert_eq!(combined.affordable(BEGIN, used(60, 1_000), 538_340), 0);
    assert_eq!(combined.affordable(BEGIN, used(60, 1_000_000), 538_340), 0);
}

#[test]
fn tax_is_in_the_price_and_told() {
    let taxed =
        tariff("price_per_minute_micro = 1190000\ntax_basis_points = 1900\nsetup_fee_micro = 10\n");
    assert_eq!(taxed.tax_basis_points(), 1_900);
    assert_eq!(price(&taxed, 60), 1_190_010);
    let lines = taxed.explain(BEGIN, seconds(60));
    assert_eq!(
        lines.last(),
        Some(&Line {
            part: Part::Tax {
                basis_points: 1_900
            },
            amount_micro: 190_002
        })
    );
}

#[test]
fn lines_add_up_to_the_price() {
    let stepped = tariff(
        "setup_fee_micro = 50000\nprice_per_minute_micro = 100\nfree_seconds = 3\n\
         steps = [{ from_seconds = 10, price_per_minute_micro = 50 }]\n",
    );
    let lines = stepped.explain(BEGIN, seconds(11));
    let time = |from_seconds, to_seconds, price_per_minute_micro, amount_micro| Line {
        part: Part::Time {
            from_seconds,
            to_seconds,
            at_unix_ms: BEGIN + i64::try_from(from_seconds).unwrap() * 1000,
            price_per_minute_micro,
            period: None,
        },
        amount_micro,
    };
    assert_eq!(
        lines,
        [
            Line {
                part: Part::SetUp,
                amount_micro: 50_000
            },
            time(0, 3, 0, 0),
            time(3, 10, 100, 11),
            time(10, 11, 50, 0),
            Line {
                part: Part::Rounding,
                amount_micro: 2
            },
        ]
    );
    let json = serde_json::to_value(&lines).unwrap();
    assert_eq!(json[2]["part"], "time");
    assert_eq!(json[2]["amount_micro"], 11);
    assert_eq!(serde_json::from_value::<Vec<Line>>(json).unwrap(), lines);
    let least = tariff("price_per_minute_micro = 60\nminimum_micro = 5\n");
    assert_eq!(
        least.explain(BEGIN, seconds(2)).last(),
        Some(&Line {
            part: Part::Minimum,
            amount_micro: 3
        })
    );
    // No time and no minimum, no line.
    assert_eq!(
        tariff("price_per_minute_micro = 60\n").explain(BEGIN, seconds(0)),
        []
    );
    let combined = tariff(
        "price_per_minute_micro = 60\nprice_per_megabyte_micro = 1000000\nincluded_bits_per_second = 8\n\
         free_octets = 4\n",
    );
    let used = Used {
        seconds: 2,
        octets: 5,
        events: 0,
    };
    let parts: Vec<i64> = combined
        .explain(BEGIN, used)
        .iter()
        .map(|line| line.amount_micro)
        .collect();
    assert_eq!(
        (parts, combined.price_micro(BEGIN, used)),
        (vec![2, 0, 1], 3)
    );
}

#[test]
fn stints_carry_steps_and_free_units_on() {
    let stepped = tariff(
        "price_per_minute_micro = 60\nfree_seconds = 5\nsetup_fee_micro = 1000\n\
         steps = [{ from_seconds = 10, price_per_minute_micro = 600 }]\n",
    );
    let stint = |from_unix_ms, used| Stint {
        from_unix_ms,
        used: seconds(used),
    };
    let one = stepped.price_micro(BEGIN, seconds(20));
    let three = [
        stint(BEGIN, 3),
        stint(BEGIN + 50_000, 9),
        stint(BEGIN + 90_000, 8),
    ];
    assert_eq!((one, stepped.price_of_stints(&three)), (1_105, 1_105));
    assert_eq!(stepped.affordable_in_stints(&three, 1_125), 2);
    assert_eq!(stepped.price_of_stints(&[]), 1_000);
}

#[test]
fn what_no_number_holds_is_not_affordable() {
    let dear = tariff("price_per_kilobyte_micro = 1000000000000\n");
    assert_eq!(dear.price_micro(BEGIN, octets(u64::MAX)), i64::MAX);
    // 2^63 - 1 micro-units are 9,223,372 kilobytes at this price.
    assert_eq!(dear.affordable(BEGIN, octets(0), i64::MAX), 9_223_372_036);
    assert_eq!(dear.affordable(BEGIN, octets(u64::MAX), i64::MAX), 0);
    let all = tariff(
        "price_per_minute_micro = 1000000000000\nprice_per_kilobyte_micro = 1000000000000\n\
         octets_per_kilobyte = 1024\nincluded_bits_per_second = 0\nsetup_fee_micro = 1000000000000\n\
         first_increment_seconds = 4294967295\nnext_increment_seconds = 4294967295\n",
    );
    let used = Used {
        seconds: u64::MAX,
        octets: u64::MAX,
        events: u64::MAX,
    };
    assert_eq!(all.price_micro(i64::MAX, used), i64::MAX);
    assert_eq!(all.affordable(i64::MIN, used, i64::MAX), 0);
    assert_eq!(all.charged(used).seconds, u64::MAX);
}

#[test]
fn a_snapshot_is_the_same_after_a_restart() {
    for prices in [
        "price_per_minute_micro = 5\nfree_seconds = 3\nsteps = [{ from_seconds = 9, price_per_minute_micro = 7 }]\n",
        "price_per_kilobyte_micro = 5\noctets_per_kilobyte = 1024\nfree_octets = 7\nfirst_increment_octets = 3\n",
        "price_per_event_micro = 5\nfree_events = 1\nservice = \"votes\"\nprovider = \"tv\"\ncommission_basis_points = 1500\n",
        "price_per_minute_micro = 5\nprice_per_megabyte_micro = 6\nincluded_bits_per_second = 64000\ntax_basis_points = 700\n",
        "price_per_minute_micro = 5\ntime_zone = \"Europe/Berlin\"\nholidays = [\"2026-12-26\", \"2026-12-25\"]\n\
         periods = [{ days = [\"sat-sun\", \"holiday\"], price_per_minute_micro = 1 },\
         { from = \"22:00\", to = \"06:00\", price_per_minute_micro = 2,\
         steps = [{ from_seconds = 60, price_per_minute_micro = 1 }] }]\n",
    ] {
        let tariff = tariff(prices);
        let text = serde_json::to_string(&tariff).unwrap();
        assert_eq!(
            serde_json::from_str::<Tariff>(&text).unwrap(),
            tariff,
            "{text}"
        );
    }
    // As sessions were stored before there was anything but time.
    let old = r#"{"name":"by-client","prefixes":[],"currency":"EUR","setup_fee_micro":0,"price_per_minute_micro":60,
        "free_seconds":0,"minimum_micro":0,"first_increment_seconds":60,"next_increment_seconds":1}"#;
    let old: Tariff = serde_json::from_str(old).unwrap();
    assert_eq!(price(&old, 1), 60);
    let wrong = serde_json::from_str::<Tariff>(
        r#"{"name":"x","currency":"EUR","price_per_minute_micro":-1}"#,
    );
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("tariff \"x\": price_per_minute_micro")
    );
}

#[test]
fn who_gets_the_money_is_carried() {
    let paid = tariff(
        "price_per_event_micro = 1\nservice = \"horoscope\"\nprovider = \"stars\"\ncommission_basis_points = 3000\n",
    );
    assert_eq!(
        (
            paid.service(),
            &*paid.provider,
            paid.commission_basis_points
        ),
        ("horoscope", "stars", 3_000)
    );
    let own = tariff("price_per_event_micro = 1\n");
    assert_eq!(
        (own.service(), &*own.provider, own.commission_basis_points),
        ("t", "", 0)
    );
}

#[test]
fn faults_of_prices_are_named() {
    let minute = "price_per_minute_micro = 1\n";
    for (prices, fault) in [
        ("", "it has no price"),
        (
            "price_per_minute_micro = -1\n",
            "price_per_minute_micro is 0 to",
        ),
        (
            "price_per_minute_micro = 1000000000001\n",
            "price_per_minute_micro is 0 to",
        ),
        (
            "price_per_kilobyte_micro = 1\nprice_per_megabyte_micro = 1\n",
            "not both",
        ),
        ("price_per_megabyte_micro = 1000000000000001\n", "too high"),
        (
            "price_per_minute_micro = 1\nprice_per_megabyte_micro = 1\n",
            "included_bits_per_second",
        ),
        (
            "price_per_minute_micro = 1\nprice_per_event_micro = 1\n",
            "stands alone",
        ),
        (
            &format!("{minute}included_bits_per_second = 1\n"),
            "included_bits_per_second needs",
        ),
        (
            &format!("{minute}first_increment_octets = 1\n"),
            "first_increment_octets, but no price",
        ),
        (
            &format!("{minute}free_events = 1\n"),
            "free_events, but no price",
        ),
        (
            "price_per_event_micro = 1\nfree_seconds = 1\n",
            "free_seconds, but no price",
        ),
        (
            &format!("{minute}octets_per_kilobyte = 1024\n"),
            "octets_per_kilobyte, but no price",
        ),
        (
            &format!("{minute}octets_per_kilobyte = 1\n"),
            "1000 or 1024",
        ),
        (
            &format!("{minute}setup_fee_micro = -1\n"),
            "setup_fee_micro is 0 to",
        ),
        (
            &format!("{minute}minimum_micro = -1\n"),
            "minimum_micro is 0 to",
        ),
        (
            &format!("{minute}first_increment_seconds = 0\n"),
            "at least 1",
        ),
        (
            &format!("{minute}next_increment_seconds = 4294967296\n"),
            "at most 4294967295",
        ),
        (
            &format!("{minute}tax_basis_points = 10001\n"),
            "tax_basis_points is 0 to",
        ),
        (
            &format!("{minute}commission_basis_points = 10001\n"),
            "commission_basis_points is 0 to",
        ),
        (
            &format!("{minute}steps = [{{ from_seconds = 0, price_per_minute_micro = 1 }}]\n"),
            "each step begins later",
        ),
        (
            &format!("{minute}steps = [{{ from_seconds = 5 }}]\n"),
            "a step has",
        ),
        (
            &format!("{minute}steps = [{{ from_octets = 5, price_per_megabyte_micro = 1 }}]\n"),
            "no such price",
        ),
        (
            &format!("{minute}steps = [{{ from_seconds = 5, price_per_minute_micro = -1 }}]\n"),
            "the price of a step is 0 to",
        ),
    ] {
        let error = fault_or_tariff(prices).expect_err(prices);
        assert!(
            error.starts_with("tariffs.toml:1: tariff \"t\": "),
            "{error}"
        );
        assert!(error.contains(fault), "{error}");
    }
    let steps = |count: u32| {
        let steps: Vec<String> = (1..=count)
            .map(|from| format!("{{ from_seconds = {from}, price_per_minute_micro = 1 }}"))
            .collect();
        fault_or_tariff(&format!("{minute}steps = [{}]\n", steps.join(", ")))
    };
    assert!(steps(16).is_ok());
    assert!(steps(17).unwrap_err().contains("more than 16 steps"));
}
