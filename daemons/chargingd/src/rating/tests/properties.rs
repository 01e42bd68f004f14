//! Prices of any tariff against a reckoning second by second, octet by octet.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::super::definition::{Definition, PeriodDefinition, StepDefinition};
use super::super::{Measure, Stint, Tariff, Used};

/// What a unit costs by the definition alone: micro-units for a minute, a megabyte or an event.
fn unit_price(definition: &Definition, measure: Measure, at_unix_ms: i64, unit: u64) -> i64 {
    let free = match measure {
        Measure::Time | Measure::Combined => definition.free_seconds,
        Measure::Volume => definition.free_octets,
        Measure::Events => definition.free_events,
    };
    if unit < free {
        return 0;
    }
    let own = |minute: Option<i64>, megabyte: Option<i64>, event: Option<i64>| match measure {
        Measure::Time | Measure::Combined => minute,
        Measure::Volume => megabyte,
        Measure::Events => event,
    };
    let period = definition
        .periods
        .iter()
        .find(|period| is_in(definition, period, at_unix_ms));
    let price_of_period = period.and_then(|period| {
        own(
            period.price_per_minute_micro,
            period.price_per_megabyte_micro,
            period.price_per_event_micro,
        )
    });
    let (price, steps) = match (price_of_period, period) {
        (Some(price), Some(period)) => (price, &period.steps),
        _ => (
            own(
                definition.price_per_minute_micro,
                definition.price_per_megabyte_micro,
                definition.price_per_event_micro,
            )
            .unwrap(),
            &definition.steps,
        ),
    };
    let step = |step: &StepDefinition| {
        let from = own(
            step.from_seconds.map(|from| from as i64),
            step.from_octets.map(|from| from as i64),
            step.from_events.map(|from| from as i64),
        )?;
        let price = own(
            step.price_per_minute_micro,
            step.price_per_megabyte_micro,
            step.price_per_event_micro,
        )?;
        (from as u64 <= unit).then_some(price)
    };
    steps.iter().rev().find_map(step).unwrap_or(price)
}

/// Whether the wall clock is in a period, by another calendar than the tested one.
fn is_in(definition: &Definition, period: &PeriodDefinition, at_unix_ms: i64) -> bool {
    let zone = TimeZone::get(definition.time_zone.as_deref().unwrap()).unwrap();
    let clock = Timestamp::from_millisecond(at_unix_ms)
        .unwrap()
        .to_zoned(zone);
    let holidays = definition.holidays.as_deref().unwrap_or_default();
    let speak_of_holidays = definition
        .periods
        .iter()
        .any(|period| period.days.iter().any(|day| &**day == "holiday"));
    let named = |date: jiff::civil::Date| {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let name = match speak_of_holidays && holidays.contains(&date) {
            true => "holiday",
            false => names[usize::from(date.weekday().to_monday_zero_offset().unsigned_abs())],
        };
        period.days.is_empty() || period.days.iter().any(|day| &**day == name)
    };
    let minutes = |text: &Option<Box<str>>, none: u32| {
        text.as_ref().map_or(none, |text| {
            let (hours, minutes) = text.split_once(':').unwrap();
            hours.parse::<u32>().unwrap() * 60 + minutes.parse::<u32>().unwrap()
        })
    };
    let (from, to) = (minutes(&period.from, 0), minutes(&period.to, 1440));
    let minute = u32::try_from(clock.hour()).unwrap() * 60 + u32::try_from(clock.minute()).unwrap();
    let today = clock.date();
    if from < to {
        named(today) && (from..to).contains(&minute)
    } else {
        (named(today) && minute >= from) || (named(today.yesterday().unwrap()) && minute < to)
    }
}

/// The sum of all units' prices, rounded up once.
fn naive(definition: &Definition, measure: Measure, stints: &[Stint]) -> i64 {
    let timed = matches!(measure, Measure::Time | Measure::Combined);
    let units = |used: &Used| match measure {
        Measure::Time | Measure::Combined => used.seconds,
        Measure::Volume => used.octets,
        Measure::Events => used.events,
    };
    let (first, next) = match measure {
        Measure::Time | Measure::Combined => (
            definition.first_increment_seconds.unwrap_or(1),
            definition.next_increment_seconds.unwrap_or(1),
        ),
        Measure::Volume => (
            definition.first_increment_octets.unwrap_or(1),
            definition.next_increment_octets.unwrap_or(1),
        ),
        Measure::Events => (1, 1),
    };
    let used: u64 = stints.iter().map(|stint| units(&stint.used)).sum();
    let mut charged = if used == 0 { 0 } else { first };
    while charged < used {
        charged += next;
    }
    let mut sum: i128 = 0;
    let mut unit = 0;
    for (index, stint) in stints.iter().enumerate() {
        let in_it = match index + 1 == stints.len() {
            true => charged - unit,
            false => units(&stint.used),
        };
        for offset in 0..in_it {
            let at = match timed {
                true => stint.from_unix_ms + i64::try_from(offset).unwrap() * 1000,
                false => stint.from_unix_ms,
            };
            sum += i128::from(unit_price(definition, measure, at, unit));
            unit += 1;
        }
    }
    let divisor = match measure {
        Measure::Time | Measure::Combined => 60,
        Measure::Volume => 1_000_000,
        Measure::Events => 1,
    };
    let price = i64::try_from((sum + divisor - 1) / divisor).unwrap() + definition.setup_fee_micro;
    price.max(definition.minimum_micro)
}

fn in_units(measure: Measure, units: u64) -> Used {
    let mut used = Used::default();
    match measure {
        Measure::Time | Measure::Combined => used.seconds = units,
        Measure::Volume => used.octets = units,
        Measure::Events => used.events = units,
    }
    used
}

fn prices(measure: Measure) -> impl Strategy<Value = i64> {
    // Some units are free, and one costs more or less than a micro-unit.
    let most = match measure {
        Measure::Volume => 10_000_000_000,
        _ => 10_000_000i64,
    };
    prop_oneof![1 => Just(0i64), 4 => 0..most, 1 => 0..100i64]
}

fn steps(measure: Measure) -> impl Strategy<Value = Vec<StepDefinition>> {
    proptest::collection::btree_map(1u64..400, prices(measure), 0..4).prop_map(move |steps| {
        steps
            .into_iter()
            .map(|(from, price)| match measure {
                Measure::Time | Measure::Combined => StepDefinition {
                    from_seconds: Some(from),
                    price_per_minute_micro: Some(price),
                    ..StepDefinition::default()
                },
                Measure::Volume => StepDefinition {
                    from_octets: Some(from),
                    price_per_megabyte_micro: Some(price),
                    ..StepDefinition::default()
                },
                Measure::Events => StepDefinition {
                    from_events: Some(from),
                    price_per_event_micro: Some(price),
                    ..StepDefinition::default()
                },
            })
            .collect()
    })
}

fn period(measure: Measure) -> impl Strategy<Value = PeriodDefinition> {
    let day = proptest::sample::select(vec![
        "mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday",
    ]);
    let days = proptest::collection::vec(day.prop_map(Box::from), 0..5);
    // Near to where clocks are set and days begin.
    let time = || {
        proptest::sample::select(vec![
            0u32, 1, 60, 90, 119, 120, 150, 180, 181, 240, 1380, 1439,
        ])
    };
    let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60).into();
    (days, time(), time(), prices(measure), steps(measure)).prop_map(
        move |(days, from, to, price, steps)| PeriodDefinition {
            days,
            from: Some(clock(from)),
            to: Some(clock(if from == to { 1440 } else { to })),
            price_per_minute_micro: (measure == Measure::Time).then_some(price),
            price_per_megabyte_micro: (measure == Measure::Volume).then_some(price),
            price_per_event_micro: (measure == Measure::Events).then_some(price),
            steps,
            ..PeriodDefinition::default()
        },
    )
}

fn definitions() -> impl Strategy<Value = (Measure, Definition)> {
    let measure = proptest::sample::select(vec![Measure::Time, Measure::Volume, Measure::Events]);
    measure.prop_flat_map(|measure| {
        let zone = proptest::sample::select(vec![
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "UTC",
        ]);
        (
            (
                prices(measure),
                steps(measure),
                0i64..1_000_000,
                0i64..2_000_000,
            ),
            (0u64..200, 1u64..120, 1u64..120),
            (zone, proptest::collection::vec(period(measure), 0..4)),
        )
            .prop_map(
                move |((price, steps, setup, minimum), (free, first, next), (zone, periods))| {
                    let of = |is: Measure, value: u64| (measure == is).then_some(value);
                    let definition = Definition {
                        name: "any".into(),
                        currency: Some(iso_currency::Currency::EUR),
                        setup_fee_micro: setup,
                        minimum_micro: minimum,
                        price_per_minute_micro: (measure == Measure::Time).then_some(price),
                        price_per_megabyte_micro: (measure == Measure::Volume).then_some(price),
                        price_per_event_micro: (measure == Measure::Events).then_some(price),
                        steps,
                        free_seconds: of(Measure::Time, free).unwrap_or(0),
                        free_octets: of(Measure::Volume, free).unwrap_or(0),
                        free_events: of(Measure::Events, free).unwrap_or(0),
                        first_increment_seconds: of(Measure::Time, first),
                        next_increment_seconds: of(Measure::Time, next),
                        first_increment_octets: of(Measure::Volume, first),
                        next_increment_octets: of(Measure::Volume, next),
                        time_zone: Some(zone.into()),
                        holidays: Some(vec![
                            "2026-03-29".parse().unwrap(),
                            "2026-11-01".parse().unwrap(),
                        ]),
                        periods,
                        ..Definition::default()
                    };
                    (measure, definition)
                },
            )
    })
}

/// Moments around those at which clocks are set, and anywhere.
fn moments() -> impl Strategy<Value = i64> {
    let set = proptest::sample::select(vec![
        "2026-03-29T01:00:00Z", // Berlin forth
        "2026-10-25T01:00:00Z", // Berlin back
        "2026-03-08T07:00:00Z", // New York forth
        "2026-11-01T06:00:00Z", // New York back
        "2026-04-04T15:00:00Z", // Lord Howe back, by half an hour
        "2026-11-21T00:00:00Z",
    ]);
    (set, -7_200_000i64..7_200_000).prop_map(|(moment, offset)| super::at(moment) + offset)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_price_is_the_sum_of_its_units(
        (measure, definition) in definitions(), from in moments(),
        units in prop_oneof![0u64..100, 0u64..600, 3_000u64..6_000], amount in 0i64..100_000_000,
    ) {
        let tariff = Tariff::try_from(definition.clone()).unwrap();
        prop_assert_eq!(tariff.measure(), measure);
        let price = |units: u64| tariff.price_micro(from, in_units(measure, units));
        let stint = |units: u64| [Stint { from_unix_ms: from, used: in_units(measure, units) }];
        prop_assert_eq!(price(units), naive(&definition, measure, &stint(units)));
        prop_assert!(price(units) <= price(units + 1));
        // The lines add up.
        let lines = tariff.explain(from, in_units(measure, units));
        prop_assert_eq!(lines.iter().map(|line| line.amount_micro).sum::<i64>(), price(units));
        // What is affordable is the most that is: nothing less, nothing more.
        for amount in [amount, price(units), price(units) + 1, price(units) - 1] {
            let further = tariff.affordable(from, in_units(measure, units), amount);
            if further > 0 {
                prop_assert!(price(units + further) <= amount);
            }
            // The last whole increment of ten years may be a minute or two before their end.
            prop_assert!(price(units + further + 1) > amount || units + further > 315_359_700);
        }
    }

    #[test]
    fn stints_are_stretches_of_one_price(
        (measure, definition) in definitions(), from in moments(),
        parts in proptest::collection::vec((0u64..400, 0i64..10_000_000), 1..4), amount in 0i64..50_000_000,
    ) {
        let tariff = Tariff::try_from(definition.clone()).unwrap();
        let mut moment = from;
        let mut stints = Vec::new();
        for (units, pause) in parts {
            stints.push(Stint { from_unix_ms: moment, used: in_units(measure, units) });
            moment += i64::try_from(units).unwrap() * 1000 + pause;
        }
        prop_assert_eq!(tariff.price_of_stints(&stints), naive(&definition, measure, &stints));
        let further = tariff.affordable_in_stints(&stints, amount).min(100_000);
        let with = |further: u64| {
            let mut stints = stints.clone();
            let last = stints.last_mut().unwrap();
            let units = last.used.seconds + last.used.octets + last.used.events;
            last.used = in_units(measure, units + further);
            tariff.price_of_stints(&stints)
        };
        if further > 0 {
            prop_assert!(with(further) <= amount);
        }
        prop_assert!(with(further + 1) > amount || further == 100_000);
    }

    #[test]
    fn a_split_call_costs_the_same(
        (measure, definition) in definitions(), from in moments(), cuts in (0u64..2_000, 0u64..2_000),
    ) {
        // Without a pause two stints of seconds are one.
        let tariff = Tariff::try_from(definition).unwrap();
        prop_assume!(measure == Measure::Time);
        let (one, other) = cuts;
        let stint = |from_unix_ms, used| Stint { from_unix_ms, used: super::seconds(used) };
        let split = [stint(from, one), stint(from + i64::try_from(one).unwrap() * 1000, other)];
        prop_assert_eq!(tariff.price_of_stints(&split), tariff.price_micro(from, super::seconds(one + other)));
    }

    #[test]
    fn a_change_is_the_first_moment_of_another_price((measure, definition) in definitions(), from in moments()) {
        let tariff = Tariff::try_from(definition.clone()).unwrap();
        // Free units are no business of the clock; where prices may differ is at the steps.
        let definition = Definition { free_seconds: 0, free_octets: 0, free_events: 0, ..definition };
        let own = definition.periods.iter().flat_map(|period| &period.steps);
        let units: Vec<u64> = definition
            .steps
            .iter()
            .chain(own)
            .filter_map(|step| step.from_seconds.or(step.from_octets).or(step.from_events))
            .chain([0])
            .collect();
        let rates = |at: i64| -> Vec<i64> {
            units.iter().map(|unit| unit_price(&definition, measure, at, *unit)).collect()
        };
        match tariff.next_change_unix_ms(from) {
            None => {
                for hour in 0..24 * 15 {
                    prop_assert_eq!(rates(from + hour * 3_600_000), rates(from));
                }
            }
            Some(change) => {
                prop_assert!(change > from);
                prop_assert_ne!(rates(change), rates(from));
                // The same in every quarter of an hour up to the change.
                let before = (from..change).step_by(900_000).take(4 * 24 * 15);
                for at in before.chain([change - 1]) {
                    prop_assert_eq!(rates(at), rates(from), "{}", at);
                }
            }
        }
    }
}
