//! Which tariff a request has, and which files leave it open.

use iso_currency::Currency;

use super::super::{CallingGroups, Definition, Query, RatingTable};
use super::{at, query, table};

/// A tariff of events with this name and these rules.
fn entry(name: &str, rules: &str) -> String {
    let currency = match rules.contains("currency") {
        true => "",
        false => "currency = \"EUR\"\n",
    };
    format!("[[tariff]]\nname = \"{name}\"\nprice_per_event_micro = 1\n{currency}{rules}")
}

fn found<'t>(table: &'t RatingTable, query: &Query<'_>) -> &'t str {
    table.find(query).map_or("-", |tariff| &*tariff.name)
}

#[test]
fn the_longest_prefix_in_the_currency_wins() {
    let text = [
        entry("all", ""),
        entry("national", "prefixes = [\"1\"]\n"),
        entry("mobile", "prefixes = [\"155\", \"156\"]\n"),
    ];
    let table = table(&text.concat()).unwrap();
    for (called, name) in [
        ("sip:+15551234@example.org", "mobile"),
        ("sip:+15551234;npdi@example.org;user=phone", "mobile"),
        ("tel:+1-444-1234", "national"),
        ("tel:+1(56).1", "mobile"),
        ("15", "national"),
        ("sip:bob@example.org", "all"),
        ("sip:15551234.example.org", "all"),
        ("", "all"),
        (
            "1555-0199-9999-9999-9999-9999-9999-9999-9999-9999-9999",
            "mobile",
        ),
        ("155a", "all"),
    ] {
        assert_eq!(found(&table, &query(called)), name, "{called}");
    }
    let dollars = Query {
        currency: Currency::USD,
        ..query("15551234")
    };
    assert_eq!(found(&table, &dollars), "-");
}

#[test]
fn a_class_with_a_tariff_of_its_own_has_no_other() {
    let text = [
        entry("calls", ""),
        entry("data", "rating_groups = [10, 11]\n"),
        entry(
            "portal",
            "rating_groups = [10]\nservice_identifiers = [5]\n",
        ),
        entry("votes", "service_identifiers = [5, 6]\n"),
        entry("abroad", "rating_groups = [12]\nprefixes = [\"33\"]\n"),
        entry("dollars", "rating_groups = [13]\ncurrency = \"USD\"\n"),
        entry(
            "soon",
            "rating_groups = [14]\nvalid_from = \"2026-07-01T00:00:00Z\"\n",
        ),
    ];
    let table = table(&text.concat()).unwrap();
    for (group, service, called, name) in [
        (None, None, "", "calls"),
        (Some(99), None, "", "calls"),
        (Some(99), Some(99), "", "calls"),
        (Some(10), None, "", "data"),
        (Some(11), Some(99), "", "data"),
        (Some(10), Some(5), "", "portal"),
        (Some(11), Some(5), "", "votes"),
        (None, Some(6), "", "votes"),
        (Some(12), None, "331", "abroad"),
        // Never by the general tariff, which was not made for it.
        (Some(12), None, "44", "-"),
        (Some(13), None, "", "-"),
        // Its own tariff is not in force yet.
        (Some(14), None, "", "calls"),
    ] {
        let query = Query {
            rating_group: group,
            service_identifier: service,
            ..query(called)
        };
        assert_eq!(found(&table, &query), name, "{query:?}");
    }
    let later = Query {
        rating_group: Some(14),
        at_unix_ms: at("2026-07-01T00:00:00Z"),
        ..query("")
    };
    assert_eq!(found(&table, &later), "soon");
}

#[test]
fn callers_in_groups() {
    let text = [
        "[calling_groups]\nstaff = [\"+49 30\", \"@office.example\"]\n".replace(' ', ""),
        "boss = [\"sip:Chief@office.example\", \"49301\"]\nkiosk = [\"493012\"]\n".to_owned(),
        entry("all", ""),
        entry("staff", "calling_groups = [\"staff\"]\n"),
        entry("boss", "calling_groups = [\"boss\"]\n"),
        entry("far", "calling_groups = [\"staff\"]\nprefixes = [\"81\"]\n"),
        entry("dear", "prefixes = [\"8\"]\n"),
        entry(
            "kiosk",
            "calling_groups = [\"kiosk\"]\nprefixes = [\"110\"]\n",
        ),
    ];
    let table = table(&text.concat()).unwrap();
    for (calling, called, name) in [
        ("", "1", "all"),
        ("sip:alice@example.org", "8", "dear"),
        ("sip:alice@office.example", "1", "staff"),
        ("sips:alice@OFFICE.example:5061;transport=tls", "1", "staff"),
        ("sip:alice@office.example", "8", "staff"),
        ("sip:alice@office.example", "81", "far"),
        ("sip:chief@office.example", "1", "boss"),
        // The boss's own tariff is nearer than the staff's, whatever it says of prefixes.
        ("sip:chief@office.example", "81", "boss"),
        ("+49-30-2", "1", "staff"),
        ("tel:+49301", "1", "boss"),
        // A group without a tariff for this call leaves it to the next.
        ("tel:+493012", "1", "boss"),
        ("tel:+493012", "110", "kiosk"),
        ("tel:+4931", "1", "all"),
    ] {
        let query = Query {
            calling,
            ..query(called)
        };
        assert_eq!(found(&table, &query), name, "{query:?}");
    }
}

#[test]
fn the_longer_prefix_wins_between_groups_of_the_same_member() {
    let text = [
        "[calling_groups]\none = [\"55\"]\nother = [\"55\"]\n".to_owned(),
        entry(
            "a",
            "calling_groups = [\"one\"]\nprefixes = [\"8\", \"444\"]\n",
        ),
        entry(
            "b",
            "calling_groups = [\"other\"]\nprefixes = [\"81\", \"4\"]\n",
        ),
    ];
    let table = table(&text.concat()).unwrap();
    for (called, name) in [
        ("80", "a"),
        ("81", "b"),
        ("44", "b"),
        ("4441", "a"),
        ("1", "-"),
    ] {
        let query = Query {
            calling: "+551",
            ..query(called)
        };
        assert_eq!(found(&table, &query), name, "{called}");
    }
}

#[test]
fn versions() {
    let text = [
        entry("call", "prefixes = [\"1\", \"2\"]\n"),
        entry(
            "call",
            "prefixes = [\"1\"]\nvalid_from = \"2026-06-01T00:00:00+02:00\"\nsetup_fee_micro = 1\n",
        ),
        entry(
            "call",
            "prefixes = [\"1\"]\nvalid_from = \"2026-03-01T00:00:00Z\"\nsetup_fee_micro = 2\n",
        ),
        entry("all", "valid_until = \"2026-09-01T00:00:00Z\"\n"),
        entry("afterwards", "valid_from = \"2026-09-01T00:00:00Z\"\n"),
        entry(
            "spring",
            "prefixes = [\"12\"]\nvalid_from = \"2026-03-01T00:00:00Z\"\nvalid_until = \"2026-06-01T00:00:00Z\"\n",
        ),
    ];
    let table = table(&text.concat()).unwrap();
    for (time, called, name, fee) in [
        ("2020-01-01T00:00:00Z", "11", "call", 0),
        ("2026-02-28T23:59:59.999Z", "1", "call", 0),
        ("2026-03-01T00:00:00Z", "1", "call", 2),
        ("2026-05-31T21:59:59.999Z", "1", "call", 2),
        ("2026-05-31T22:00:00Z", "1", "call", 1),
        // What a version does not name keeps the one before.
        ("2026-07-01T00:00:00Z", "2", "call", 0),
        ("2026-04-01T00:00:00Z", "12", "spring", 0),
        ("2026-06-01T00:00:00Z", "12", "call", 1),
        ("2026-08-31T23:59:59.999Z", "3", "all", 0),
        ("2026-09-01T00:00:00Z", "3", "afterwards", 0),
    ] {
        let query = Query {
            at_unix_ms: at(time),
            ..query(called)
        };
        let tariff = table.find(&query).unwrap();
        assert_eq!(
            (&*tariff.name, tariff.setup_fee_micro()),
            (name, fee),
            "{query:?}"
        );
    }
}

#[test]
fn what_is_ambiguous_is_refused_with_both_names() {
    let groups =
        "[calling_groups]\none = [\"1\", \"2\"]\nother = [\"2\", \"3\"]\nthird = [\"21\"]\n";
    for (rules, conflict) in [
        (
            ["", ""],
            "tariffs.toml:8: tariff \"b\": prefix \"\" in EUR is also that of tariff \"a\" (tariffs.toml:5)",
        ),
        (
            ["prefixes = [\"1\"]\n", "prefixes = [\"2\", \"1\"]\n"],
            "prefix \"1\" in EUR is also that of tariff \"a\"",
        ),
        (
            ["rating_groups = [1, 2]\n", "rating_groups = [2]\n"],
            "is also that of tariff \"a\"",
        ),
        (
            [
                "valid_until = \"2026-01-02T00:00:00Z\"\n",
                "valid_from = \"2026-01-01T00:00:00Z\"\n",
            ],
            "is also that of tariff \"a\"",
        ),
        (
            ["", "valid_from = \"2026-01-01T00:00:00Z\"\n"],
            "is also that of tariff \"a\"",
        ),
        (
            [
                "calling_groups = [\"one\"]\n",
                "calling_groups = [\"one\"]\n",
            ],
            "is also that of tariff \"a\"",
        ),
        (
            [
                "calling_groups = [\"one\"]\n",
                "calling_groups = [\"other\"]\n",
            ],
            "is also that of tariff \"b\" (tariffs.toml:9) for the same callers",
        ),
        (
            ["prefixes = [\"1\", \"1\"]\n", ""],
            "prefix \"1\" in EUR is named twice",
        ),
    ] {
        // In groups the second tariff stands a line later.
        let text = [
            groups.to_owned(),
            entry("a", rules[0]),
            entry("b", rules[1]),
        ]
        .concat();
        let error = table(&text).expect_err(&text);
        let conflict = match rules[0].is_empty() && rules[1].is_empty() {
            true => conflict.replace(":8:", ":9:"),
            false => conflict.replace("toml:9)", "toml:10)"),
        };
        assert!(error.contains(&conflict), "{error}");
    }
    for rules in [
        ["", "prefixes = [\"1\"]\n"],
        ["", "currency = \"USD\"\n"],
        ["", "rating_groups = [1]\n"],
        ["rating_groups = [1]\n", "service_identifiers = [1]\n"],
        ["", "calling_groups = [\"one\"]\n"],
        [
            "calling_groups = [\"one\"]\n",
            "calling_groups = [\"third\"]\n",
        ],
        [
            "calling_groups = [\"one\"]\nprefixes = [\"1\"]\n",
            "calling_groups = [\"other\"]\n",
        ],
        ["calling_groups = [\"one\", \"other\"]\n", ""],
        [
            "valid_until = \"2026-01-01T00:00:00Z\"\n",
            "valid_from = \"2026-01-01T00:00:00Z\"\n",
        ],
    ] {
        let text = [
            groups.to_owned(),
            entry("a", rules[0]),
            entry("b", rules[1]),
        ]
        .concat();
        table(&text).expect(&text);
    }
    let twice = entry("a", "").repeat(2);
    assert!(
        table(&twice)
            .unwrap_err()
            .contains("also that of tariff \"a\" (tariffs.toml:1)")
    );
}

#[test]
fn rules_that_cannot_be_are_named() {
    for (rules, fault) in [
        ("prefixes = []\n", "it has no prefixes"),
        ("prefixes = [\"+1\"]\n", "without \"+\""),
        (
            "prefixes = [\"123456789012345678901234567890123\"]\n",
            "at most 32",
        ),
        (
            "calling_groups = [\"nobody\"]\n",
            "there is no group \"nobody\"",
        ),
        (
            "valid_from = \"2026-01-01T00:00:00Z\"\nvalid_until = \"2026-01-01T00:00:00Z\"\n",
            "not later",
        ),
    ] {
        let error = table(&entry("a", rules)).expect_err(rules);
        assert!(
            error.starts_with("tariffs.toml:1: tariff \"a\": "),
            "{error}"
        );
        assert!(error.contains(fault), "{error}");
    }
    assert!(
        table(&entry("", ""))
            .unwrap_err()
            .contains("it has no name")
    );
    let long = "n".repeat(256);
    assert!(
        table(&entry(&long, ""))
            .unwrap_err()
            .contains("longer than 255")
    );
    let unknown = table(&entry("a", "currency = \"XXY\"\n")).unwrap_err();
    assert!(
        unknown.starts_with("tariffs.toml:4: tariff.currency: "),
        "{unknown}"
    );
    let none = table("[[tariff]]\nname = \"a\"\nprice_per_event_micro = 1\n").unwrap_err();
    assert!(none.contains("it has no currency"), "{none}");
    for (groups, fault) in [
        ("a = []\n", "calling_groups.a has no members"),
        ("a = [\"bob\"]\n", "calling_groups.a: \"bob\" is neither"),
        ("a = [\"@\"]\n", "calling_groups.a: \"@\" is neither"),
        ("a = [\"\"]\n", "calling_groups.a: \"\" is neither"),
    ] {
        let error = table(&format!("[calling_groups]\n{groups}")).unwrap_err();
        assert!(
            error.starts_with("tariffs.toml: ") && error.contains(fault),
            "{error}"
        );
    }
}

#[test]
fn a_table_written_and_read_again_is_the_same() {
    let text = [
        "holidays = [\"2026-12-25\"]\ntime_zone = \"Europe/Berlin\"\n[calling_groups]\none = [\"1\"]\n".to_owned(),
        entry("a", "prefixes = [\"1\", \"2\"]\nrating_groups = [1]\nservice_identifiers = [2]\ncalling_groups = [\"one\"]\n"),
        entry("b", "valid_from = \"2026-01-01T00:00:00Z\"\nvalid_until = \"2027-01-01T00:00:00Z\"\n"),
        entry("c", "prefixes = [\"3\"]\nperiods = [{ days = [\"holiday\"], price_per_event_micro = 0 }]\n"),
    ];
    let table = table(&text.concat()).unwrap();
    let json = serde_json::to_string(&table.definitions().collect::<Vec<_>>()).unwrap();
    let groups = serde_json::to_string(table.calling_groups()).unwrap();
    let definitions: Vec<Definition> = serde_json::from_str(&json).unwrap();
    let groups: CallingGroups = serde_json::from_str(&groups).unwrap();
    assert_eq!(
        RatingTable::new(definitions, groups).unwrap(),
        table,
        "{json}"
    );
}

#[test]
fn a_hundred_thousand_prefixes() {
    let definitions: Vec<Definition> = (0..100_000)
        .map(|number| Definition {
            name: format!("t{number}").into(),
            prefixes: Some(vec![format!("{}", 1_000_000 + number * 7).into()]),
            currency: Some(Currency::EUR),
            price_per_minute_micro: Some(number),
            ..Definition::default()
        })
        .collect();
    let table = RatingTable::new(definitions, CallingGroups::new()).unwrap();
    assert_eq!(table.all().len(), 100_000);
    for number in (0..100_000).step_by(9_999) {
        let called = format!("sip:+{}0123@example.org", 1_000_000 + number * 7);
        assert_eq!(found(&table, &query(&called)), format!("t{number}"));
    }
    assert_eq!(found(&table, &query("1000001")), "-");
}
