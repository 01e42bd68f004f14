//! Prices by the clock: borders, holidays, and clocks that are set.

use super::super::{Measure, Part, Stint, Tariff};
use super::{at, fault_or_tariff, octets, seconds, tariff};

/// Day and night in Berlin: 0.60 and 0.06 a minute.
const DAY_AND_NIGHT: &str = "price_per_minute_micro = 60000\ntime_zone = \"Europe/Berlin\"\n\
    periods = [{ days = [\"mon-fri\"], from = \"08:00\", to = \"18:00\", price_per_minute_micro = 600000 }]\n";

fn change(tariff: &Tariff, time: &str) -> Option<i64> {
    tariff.next_change_unix_ms(at(time))
}

#[test]
fn a_call_across_a_border_is_split() {
    let tariff = tariff(DAY_AND_NIGHT);
    assert_eq!(tariff.time_zone(), Some("Europe/Berlin"));
    // Friday, a minute before and half a minute behind the border.
    let from = at("2026-11-20T17:59:00+01:00");
    assert_eq!(tariff.price_micro(from, seconds(90)), 630_000);
    // The second that begins before the border is of the day.
    assert_eq!(tariff.price_micro(from + 500, seconds(61)), 601_000);
    assert_eq!(tariff.price_micro(from + 500, seconds(60)), 600_000);
    assert_eq!(tariff.price_micro(from, seconds(61)), 601_000);
    assert_eq!(tariff.affordable(from, seconds(0), 630_999), 90);
    assert_eq!(tariff.affordable(from, seconds(30), 599_999), 29);
    assert_eq!(
        change(&tariff, "2026-11-20T17:59:59+01:00"),
        Some(at("2026-11-20T18:00:00+01:00"))
    );
    // Over the weekend nothing changes.
    assert_eq!(
        change(&tariff, "2026-11-20T18:00:00+01:00"),
        Some(at("2026-11-23T08:00:00+01:00"))
    );
    let lines = tariff.explain(from, seconds(90));
    assert_eq!(
        lines.iter().map(|line| &line.part).collect::<Vec<_>>(),
        [
            &Part::Time {
                from_seconds: 0,
                to_seconds: 60,
                at_unix_ms: from,
                price_per_minute_micro: 600_000,
                period: Some(1)
            },
            &Part::Time {
                from_seconds: 60,
                to_seconds: 90,
                at_unix_ms: from + 60_000,
                price_per_minute_micro: 60_000,
                period: None
            }
        ]
    );
    // A night without an end in the middle is one line, whatever midnights there are.
    assert_eq!(
        tariff
            .explain(at("2026-11-20T18:00:00+01:00"), seconds(2 * 86_400))
            .len(),
        1
    );
}

#[test]
fn increments_are_priced_second_by_second() {
    let minutes = tariff(&format!(
        "first_increment_seconds = 60\nnext_increment_seconds = 60\n{DAY_AND_NIGHT}"
    ));
    let from = at("2026-11-20T17:59:50+01:00");
    // Ten seconds of the day, fifty of the evening.
    assert_eq!(minutes.price_micro(from, seconds(1)), 150_000);
    assert_eq!(minutes.affordable(from, seconds(1), 150_000), 59);
    assert_eq!(minutes.affordable(from, seconds(1), 149_999), 0);
}

#[test]
fn free_seconds_and_steps_count_through_a_border() {
    let stepped = tariff(
        "free_seconds = 30\nprice_per_minute_micro = 60\ntime_zone = \"UTC\"\n\
         steps = [{ from_seconds = 100, price_per_minute_micro = 120 }]\n\
         periods = [{ from = \"12:00\", price_per_minute_micro = 600,\
         steps = [{ from_seconds = 110, price_per_minute_micro = 0 }] }]\n",
    );
    // 30 free, 30 at 1, 50 at 10, then free again.
    let from = at("2026-11-20T11:59:00Z");
    for (used, price) in [(30, 0), (60, 30), (61, 40), (110, 530), (500, 530)] {
        assert_eq!(stepped.price_micro(from, seconds(used)), price, "{used}");
    }
    // In the morning the tariff's own steps count.
    assert_eq!(
        stepped.price_micro(at("2026-11-20T00:00:00Z"), seconds(101)),
        72
    );
}

#[test]
fn days_of_the_week_and_ranges() {
    let weekend = tariff(
        "price_per_minute_micro = 60\ntime_zone = \"UTC\"\n\
         periods = [{ days = [\"fri-mon\"], price_per_minute_micro = 120 },\
         { days = [\"wed\"], from = \"22:00\", to = \"06:00\", price_per_minute_micro = 180 }]\n",
    );
    for (time, price) in [
        ("2026-11-19T23:59:59Z", 1), // Thursday
        ("2026-11-20T00:00:00Z", 2),
        ("2026-11-22T12:00:00Z", 2),
        ("2026-11-23T23:59:59Z", 2),
        ("2026-11-24T00:00:00Z", 1),
        ("2026-11-25T05:00:00Z", 1), // Wednesday, but the hours of Tuesday's night
        ("2026-11-25T22:00:00Z", 3),
        ("2026-11-26T05:59:59Z", 3), // Thursday, in Wednesday's night
        ("2026-11-26T06:00:00Z", 1),
        ("1969-12-31T23:59:59Z", 3), // Wednesday, before the epoch
    ] {
        assert_eq!(weekend.price_micro(at(time), seconds(1)), price, "{time}");
    }
}

#[test]
fn a_holiday_is_no_weekday() {
    let prices = format!(
        "{}holidays = [\"2026-12-25\", \"2027-05-06\"]\n",
        DAY_AND_NIGHT.replace(
            "periods = [",
            "periods = [{ days = [\"holiday\"], price_per_minute_micro = 0 }, "
        )
    );
    let tariff = tariff(&prices);
    // A Friday.
    for (time, price) in [
        ("2026-12-24T23:59:59+01:00", 1_000),
        ("2026-12-25T00:00:00+01:00", 0),
        ("2026-12-25T12:00:00+01:00", 0),
        ("2026-12-26T00:00:00+01:00", 1_000),
        ("2026-12-18T12:00:00+01:00", 10_000),
    ] {
        assert_eq!(tariff.price_micro(at(time), seconds(1)), price, "{time}");
    }
    // Where no period speaks of holidays they are days like others.
    let plain = fault_or_tariff(&format!("{DAY_AND_NIGHT}holidays = [\"2026-12-25\"]\n")).unwrap();
    assert_eq!(
        plain.price_micro(at("2026-12-25T12:00:00+01:00"), seconds(1)),
        10_000
    );
    // What changes on holidays alone changes months ahead.
    let only = self::tariff(
        "price_per_minute_micro = 60\ntime_zone = \"America/New_York\"\nholidays = [\"2027-07-05\", \"2026-12-25\"]\n\
         periods = [{ days = [\"holiday\"], price_per_minute_micro = 0 }]\n",
    );
    assert_eq!(
        change(&only, "2026-11-01T00:00:00Z"),
        Some(at("2026-12-25T00:00:00-05:00"))
    );
    assert_eq!(
        change(&only, "2026-12-25T05:00:00Z"),
        Some(at("2026-12-26T00:00:00-05:00"))
    );
    assert_eq!(
        change(&only, "2026-12-26T05:00:00Z"),
        Some(at("2027-07-05T00:00:00-04:00"))
    );
    assert_eq!(change(&only, "2027-07-06T04:00:00Z"), None);
    // Wherever the day begins and ends while UTC has another one.
    for (zone, hours, from, until) in [
        (
            "Pacific/Kiritimati",
            "",
            "2026-12-25T00:00:00+14:00",
            "2026-12-26T00:00:00+14:00",
        ),
        (
            "Pacific/Pago_Pago",
            "from = \"23:00\", to = \"22:00\",",
            "2026-12-25T23:00:00-11:00",
            "2026-12-26T22:00:00-11:00",
        ),
    ] {
        let only = self::tariff(&format!(
            "price_per_minute_micro = 60\ntime_zone = \"{zone}\"\nholidays = [\"2026-12-25\"]\n\
             periods = [{{ days = [\"holiday\"], {hours} price_per_minute_micro = 0 }}]\n"
        ));
        assert_eq!(
            change(&only, "2026-11-01T00:00:00Z"),
            Some(at(from)),
            "{zone}"
        );
        assert_eq!(change(&only, from), Some(at(until)), "{zone}");
    }
}

#[test]
fn periods_of_the_same_price_are_lines_of_their_own() {
    let tariff = tariff(
        "price_per_minute_micro = 60\ntime_zone = \"UTC\"\n\
         periods = [{ to = \"12:00\", price_per_minute_micro = 120 }, { from = \"12:00\", price_per_minute_micro = 120 }]\n",
    );
    let from = at("2026-11-20T11:59:00Z");
    assert_eq!(tariff.explain(from, seconds(120)).len(), 2);
    assert_eq!(tariff.next_change_unix_ms(from), None);
}

#[test]
fn the_first_period_counts() {
    let tariff = tariff(
        "price_per_minute_micro = 60\ntime_zone = \"UTC\"\n\
         periods = [{ from = \"12:00\", to = \"13:00\", price_per_minute_micro = 120 },\
         { from = \"08:00\", to = \"18:00\", price_per_minute_micro = 180 }]\n",
    );
    let from = at("2026-11-20T07:59:59Z");
    let day = 4 * 3_600 * 3 + 3_600 * 2 + 5 * 3_600 * 3;
    assert_eq!(tariff.price_micro(from, seconds(10 * 3_600 + 2)), day + 2);
}

/// 02:00 to 03:00 does not exist on 2026-03-29 in Berlin, and exists twice on 2026-10-25.
#[test]
fn clocks_that_are_set_in_berlin() {
    let half_past_two = tariff(
        "price_per_minute_micro = 60\ntime_zone = \"Europe/Berlin\"\n\
         periods = [{ from = \"02:30\", to = \"04:00\", price_per_minute_micro = 600 }]\n",
    );
    // The border that does not exist is where the clock jumps over it: 60 s before, then one hour alone.
    let spring = at("2026-03-29T01:59:00+01:00");
    assert_eq!(
        half_past_two.price_micro(spring, seconds(60 + 3_600 + 60)),
        120 + 36_000
    );
    assert_eq!(
        half_past_two.next_change_unix_ms(spring),
        Some(at("2026-03-29T03:00:00+02:00"))
    );
    assert_eq!(
        change(&half_past_two, "2026-03-29T03:00:00+02:00"),
        Some(at("2026-03-29T04:00:00+02:00"))
    );
    // The border that exists twice begins the period twice: from 02:30 to 03:00, and again from 02:30 to 04:00.
    let autumn = at("2026-10-25T02:00:00+02:00");
    let told: Vec<(i64, u64, i64)> = half_past_two
        .explain(autumn, seconds(4 * 3_600))
        .iter()
        .filter_map(|line| match line.part {
            Part::Time {
                from_seconds,
                to_seconds,
                at_unix_ms,
                price_per_minute_micro,
                ..
            } => Some((
                at_unix_ms,
                to_seconds - from_seconds,
                price_per_minute_micro,
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [
            (at("2026-10-25T02:00:00+02:00"), 1_800, 60),
            (at("2026-10-25T02:30:00+02:00"), 1_800, 600),
            (at("2026-10-25T02:00:00+01:00"), 1_800, 60),
            (at("2026-10-25T02:30:00+01:00"), 5_400, 600),
            (at("2026-10-25T04:00:00+01:00"), 3_600, 60),
        ]
    );
    let mut changes = Vec::new();
    let mut moment = autumn;
    for _ in 0..4 {
        moment = half_past_two.next_change_unix_ms(moment).unwrap();
        changes.push(moment);
    }
    assert_eq!(
        changes,
        told[1..].iter().map(|line| line.0).collect::<Vec<_>>()
    );
}

/// 02:00 to 03:00 does not exist on 2026-03-08 in New York; 01:00 to 02:00 exists twice on 2026-11-01.
#[test]
fn clocks_that_are_set_in_new_york() {
    let night = tariff(
        "price_per_minute_micro = 600\ntime_zone = \"America/New_York\"\n\
         periods = [{ days = [\"sat\"], from = \"22:00\", to = \"02:00\", price_per_minute_micro = 60 }]\n",
    );
    // Four hours in spring (the clock is set at the border itself), five in autumn.
    let spring = at("2026-03-07T22:00:00-05:00");
    assert_eq!(
        night.next_change_unix_ms(spring),
        Some(at("2026-03-08T03:00:00-04:00"))
    );
    assert_eq!(
        night.price_micro(spring, seconds(4 * 3_600 + 1)),
        4 * 3_600 + 10
    );
    let autumn = at("2026-10-31T22:00:00-04:00");
    assert_eq!(
        night.next_change_unix_ms(autumn),
        Some(at("2026-11-01T02:00:00-05:00"))
    );
    assert_eq!(
        night.price_micro(autumn, seconds(5 * 3_600 + 1)),
        5 * 3_600 + 10
    );
    assert_eq!(
        night.affordable(autumn, seconds(3_600), 5 * 3_600 + 10),
        4 * 3_600 + 1
    );
    // A day is as long as its clock says: 23, 25 and 24 hours.
    let sundays = tariff(
        "price_per_minute_micro = 0\ntime_zone = \"America/New_York\"\n\
         periods = [{ days = [\"sun\"], price_per_minute_micro = 60 }]\n",
    );
    for (time, hours) in [
        ("2026-03-08T00:00:00-05:00", 23),
        ("2026-11-01T00:00:00-04:00", 25),
        ("2026-11-08T00:00:00-05:00", 24),
    ] {
        assert_eq!(
            sundays.price_micro(at(time), seconds(2 * 86_400)),
            hours * 3_600,
            "{time}"
        );
    }
}

#[test]
fn octets_and_events_cost_what_their_stint_says() {
    let volume = tariff(
        "price_per_megabyte_micro = 1000000\nfree_octets = 10\ntime_zone = \"Europe/Berlin\"\n\
         periods = [{ from = \"20:00\", price_per_megabyte_micro = 500000 }]\n",
    );
    let stint = |time: &str, used: u64| Stint {
        from_unix_ms: at(time),
        used: octets(used),
    };
    let day = stint("2026-11-20T19:00:00+01:00", 110);
    let evening = stint("2026-11-20T20:00:00+01:00", 100);
    assert_eq!(volume.price_micro(day.from_unix_ms, day.used), 100);
    assert_eq!(volume.price_of_stints(&[day, evening]), 150);
    assert_eq!(volume.affordable_in_stints(&[day, evening], 160), 20);
    assert_eq!(volume.affordable(day.from_unix_ms, day.used, 160), 60);
    let votes = tariff(
        "price_per_event_micro = 5\ntime_zone = \"UTC\"\nperiods = [{ days = [\"sun\"], price_per_event_micro = 1 }]\n",
    );
    assert_eq!(votes.measure(), Measure::Events);
    assert_eq!(
        votes.price_micro(at("2026-11-22T09:00:00Z"), super::events(3)),
        3
    );
    assert_eq!(
        votes.price_micro(at("2026-11-21T09:00:00Z"), super::events(3)),
        15
    );
}

#[test]
fn a_combined_tariff_has_hours_for_both() {
    let combined = tariff(
        "price_per_minute_micro = 60\nprice_per_megabyte_micro = 1000000\nincluded_bits_per_second = 8\n\
         time_zone = \"UTC\"\nperiods = [{ from = \"20:00\", price_per_minute_micro = 0 },\
         { from = \"19:00\", price_per_megabyte_micro = 2000000 }]\n",
    );
    let used = super::Used {
        seconds: 60,
        octets: 10,
        events: 0,
    };
    for (time, price) in [
        ("2026-11-20T12:00:00Z", 70),
        ("2026-11-20T19:00:00Z", 80),
        ("2026-11-20T20:00:00Z", 10),
    ] {
        assert_eq!(combined.price_micro(at(time), used), price, "{time}");
    }
    assert_eq!(
        change(&combined, "2026-11-20T12:00:00Z"),
        Some(at("2026-11-20T19:00:00Z"))
    );
    assert_eq!(combined.affordable(at("2026-11-20T19:59:00Z"), used, 70), 0);
    assert_eq!(
        combined.affordable(at("2026-11-20T19:59:00Z"), used, 80),
        4 * 3_600
    );
}

#[test]
fn what_never_changes_has_no_change() {
    let same = tariff(
        "price_per_minute_micro = 60\ntime_zone = \"UTC\"\nperiods = [{ days = [\"sun\"], price_per_minute_micro = 60 }]\n",
    );
    assert_eq!(change(&same, "2026-11-20T12:00:00Z"), None);
    assert_eq!(
        change(
            &tariff("price_per_minute_micro = 60\n"),
            "2026-11-20T12:00:00Z"
        ),
        None
    );
    // Clocks far from any time that there is do no harm.
    for moment in [i64::MIN, i64::MAX, -9_000_000_000_000_000] {
        let day_and_night = tariff(DAY_AND_NIGHT);
        day_and_night.next_change_unix_ms(moment);
        assert!(day_and_night.price_micro(moment, seconds(1_000_000)) >= 1_000_000_000);
    }
}

#[test]
fn faults_of_calendars_are_named() {
    let periods = |periods: &str| {
        format!("price_per_minute_micro = 1\ntime_zone = \"UTC\"\nperiods = [{periods}]\n")
    };
    let price = "price_per_minute_micro = 1";
    for (prices, fault) in [
        (
            "price_per_minute_micro = 1\nperiods = [{ price_per_minute_micro = 1 }]\n".to_owned(),
            "need a time_zone",
        ),
        (
            DAY_AND_NIGHT.replace("Europe/Berlin", "Europe/Berlon"),
            "\"Europe/Berlon\" is not in the IANA",
        ),
        (
            periods("{ from = \"08:00\" }"),
            "period 1: a period without a price",
        ),
        (
            periods(&format!("{{ {price} }}, {{ from = \"8:00\", {price} }}")),
            "period 2: \"8:00\" is not a time",
        ),
        (
            periods(&format!("{{ from = \"24:00\", {price} }}")),
            "begins before 24:00",
        ),
        (
            periods(&format!("{{ to = \"24:01\", {price} }}")),
            "\"24:01\" is not a time",
        ),
        (
            periods(&format!("{{ to = \"00:60\", {price} }}")),
            "\"00:60\" is not a time",
        ),
        (
            periods(&format!("{{ from = \"08:00\", to = \"08:00\", {price} }}")),
            "ends at another time",
        ),
        (
            periods(&format!("{{ days = [\"monday\"], {price} }}")),
            "\"monday\" is not a day",
        ),
        (
            periods(&format!("{{ days = [\"mon-holiday\"], {price} }}")),
            "not a range of days",
        ),
        (
            periods("{ price_per_event_micro = 1 }"),
            "for what the tariff itself has no price",
        ),
        (
            periods("{ price_per_minute_micro = -1 }"),
            "period 1: price_per_minute_micro is 0 to",
        ),
        (
            periods(&vec![format!("{{ {price} }}"); 65].join(",")),
            "more than 64 periods",
        ),
    ] {
        let error = fault_or_tariff(&prices).expect_err(&prices);
        assert!(error.contains(fault), "{error}");
    }
    assert!(fault_or_tariff(&periods(&vec![format!("{{ {price} }}"); 64].join(","))).is_ok());
    let wrong =
        fault_or_tariff(&format!("{DAY_AND_NIGHT}holidays = [\"2026-02-30\"]\n")).unwrap_err();
    assert!(
        wrong.starts_with("tariffs.toml:7: tariff.holidays: "),
        "{wrong}"
    );
    let many: Vec<String> = (0..513)
        .map(|day| {
            format!(
                "\"{}-{:02}-{:02}\"",
                2000 + day / 336,
                day / 28 % 12 + 1,
                day % 28 + 1
            )
        })
        .collect();
    let many =
        fault_or_tariff(&format!("{DAY_AND_NIGHT}holidays = [{}]\n", many.join(","))).unwrap_err();
    assert!(many.contains("more than 512 holidays"), "{many}");
}
