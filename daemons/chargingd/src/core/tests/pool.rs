//! Credit pools (RFC 8506 5.1.2).

use super::service::{Part, class, granted, rules, terms};
use super::*;
use crate::class::{Class, Classes, WhenShort};
use crate::ledger::Commodity;
use crate::rating::StepDefinition;
use crate::service_account::{Terms, UnitPrice};
use crate::session::PoolReference;

const GPRS: u32 = 10;
const PORTAL: u32 = 20;
const CONTENT: u32 = 30;
const VOICE: u32 = 100;

const EURO: i64 = 1_000_000;
const OK: u32 = 2001;

fn pooled(name: &str, group: u32, quantum: u64) -> Class {
    Class {
        quantum: Some(quantum),
        threshold: Some(1_000),
        pool: true,
        ..class(name, group, None, None)
    }
}

/// G-S-U-Pool-Identifier and multiplier of a service in an answer.
fn pool_of(outcome: &Outcome, group: u32) -> Option<(u32, i64, i32)> {
    let mut services = outcome.services.iter();
    let service = services.find(|service| service.rating_group == Some(group))?;
    let PoolReference {
        id,
        value_digits,
        exponent,
    } = service.pool?;
    Some((id, value_digits, exponent))
}

impl Bench {
    /// GPRS at 10 micro-units an octet and the portal at 20, 100 kB at a time, from a main account with so much.
    fn of_two(credit: i64) -> Self {
        let mut bench = Self::of(rules(vec![
            pooled("gprs", GPRS, 100_000),
            pooled("portal", PORTAL, 100_000),
        ]));
        bench.account("alice", Payment::Prepaid, 0, credit);
        bench
    }

    fn both(&mut self) -> Outcome {
        self.data(
            "s",
            InitialRequest,
            0,
            &[(GPRS, None, true), (PORTAL, None, true)],
        )
    }
}

/// RFC 8506 A.9. Prices are ours: an abstract unit is a micro-unit of money, and 10 of its are 1 euro of ours.
#[test]
fn the_example_of_rfc_8506() {
    const ACCESS: u32 = 50;
    const RATING_GROUP_1: u32 = VOICE;
    const RATING_GROUP_2: u32 = 52;
    const RATING_GROUP_3: u32 = 53;
    let megabytes = |group: u32, price: i64| Definition {
        name: format!("of group {group}").into(),
        rating_groups: vec![group],
        currency: Some(Currency::EUR),
        price_per_megabyte_micro: Some(price),
        ..Definition::default()
    };
    let tariffs = vec![
        megabytes(ACCESS, EURO),
        megabytes(RATING_GROUP_2, EURO / 5),
        megabytes(RATING_GROUP_3, EURO / 2),
        Definition {
            name: "minutes".into(),
            rating_groups: vec![RATING_GROUP_1],
            currency: Some(Currency::EUR),
            price_per_minute_micro: Some(EURO / 10),
            ..Definition::default()
        },
    ];
    let classes = vec![
        pooled("access", ACCESS, 5_000_000),
        pooled("1", RATING_GROUP_1, 3_000),
        pooled("2", RATING_GROUP_2, 12_500_000),
        pooled("3", RATING_GROUP_3, 5_000_000),
    ];
    let mut bench = Bench::of(Rules {
        tariffs: RatingTable::new(tariffs, CallingGroups::default()).unwrap(),
        classes: Classes::new(classes).unwrap(),
    });
    bench.account("alice", Payment::Prepaid, 0, 30 * EURO);
    bench.service_account(
        "another",
        Terms {
            rating_groups: vec![RATING_GROUP_2, RATING_GROUP_3],
            ..terms(RATING_GROUP_2, Commodity::Money(Currency::EUR))
        },
    );
    // $5; and a micro-unit for each of the two services whose octets cost parts of one.
    bench.request_recharge("another", 5 * EURO + 2, "r");
    let first = bench.data("s", InitialRequest, 0, &[(ACCESS, None, true)]);
    assert_eq!(
        granted(&first, ACCESS),
        (OK, Some(Granted::Octets(5_000_000)), None)
    );
    assert_eq!(pool_of(&first, ACCESS), Some((1, 1, 0)));
    assert_eq!(bench.held(), 5 * EURO);
    let second = bench.data("s", UpdateRequest, 1, &[(RATING_GROUP_1, None, true)]);
    assert_eq!(
        granted(&second, RATING_GROUP_1).1,
        Some(Granted::Seconds(3_000))
    );
    // 1666.6 micro-units a second; what is rounded stays below two.
    assert_eq!(
        pool_of(&second, RATING_GROUP_1),
        Some((1, 1_666_666_666_666_667, -12))
    );
    assert_eq!(
        second.services.first().unwrap().validity_seconds,
        Some(600),
        "of the pool's time, not of the grant's"
    );
    assert_eq!(bench.held(), 10 * EURO + 2);
    let third = bench.data(
        "s",
        UpdateRequest,
        2,
        &[(RATING_GROUP_2, None, true), (RATING_GROUP_3, None, true)],
    );
    assert_eq!(
        granted(&third, RATING_GROUP_2),
        (OK, Some(Granted::Octets(12_500_000)), None)
    );
    assert_eq!(
        granted(&third, RATING_GROUP_3),
        (
            OK,
            Some(Granted::Octets(5_000_000)),
            Some(WhenShort::Terminate)
        )
    );
    assert_eq!(pool_of(&third, RATING_GROUP_2), Some((2, 2, -1)));
    assert_eq!(pool_of(&third, RATING_GROUP_3), Some((2, 5, -1)));
    assert_eq!(bench.own("another").available(), 0);
    // 4 of 5 MB are used: 6 are left in the pool, and 4 make access whole again.
    bench.wait(3_000);
    let fourth = bench.data("s", UpdateRequest, 3, &[(ACCESS, Some(4_000_000), true)]);
    assert_eq!(granted(&fourth, ACCESS).1, Some(Granted::Octets(4_000_000)));
    assert_eq!(bench.held(), 10 * EURO + 2);
    // 20 MB at 0.2 and 2 MB at 0.5 are the 5.00 of pool 2.
    let fifth = bench.data(
        "s",
        UpdateRequest,
        4,
        &[
            (RATING_GROUP_2, Some(20_000_000), true),
            (RATING_GROUP_3, Some(2_000_000), false),
        ],
    );
    assert_eq!(
        granted(&fifth, RATING_GROUP_2).0,
        ResultCode::CREDIT_LIMIT_REACHED.0
    );
    assert_eq!(granted(&fifth, RATING_GROUP_3), (OK, None, None));
    assert_eq!(bench.own("another").balance, 2);
    assert_eq!(bench.own("another").held, 0);
    // All of pool 1, and more of access than it was ever granted at once.
    bench.data(
        "s",
        TerminationRequest,
        5,
        &[
            (ACCESS, Some(6_000_000), false),
            (RATING_GROUP_1, Some(2_400), false),
        ],
    );
    assert_eq!(bench.balance("alice"), 30 * EURO - 5 * EURO - 2 - 14 * EURO);
    assert_eq!(bench.held(), 0);
    assert_eq!(bench.core.counters().excessive_reports, 0);
    assert_eq!(bench.core.counters().uncollected_micro, 0);
}

#[test]
fn one_service_spends_what_another_was_granted_and_no_more() {
    let mut bench = Bench::of_two(10 * EURO);
    let first = bench.both();
    assert_eq!(pool_of(&first, GPRS), Some((1, 10, 0)));
    assert_eq!(pool_of(&first, PORTAL), Some((1, 20, 0)));
    assert_eq!(bench.held(), 3 * EURO);
    // 100 kB of its own, and the portal's 2.00 are 200 kB more.
    let second = bench.data("s", UpdateRequest, 1, &[(GPRS, Some(300_000), true)]);
    assert_eq!(granted(&second, GPRS).1, Some(Granted::Octets(100_000)));
    assert_eq!(bench.core.counters().excessive_reports, 0);
    assert_eq!((bench.balance("alice"), bench.held()), (7 * EURO, EURO));
    // 1.00 is in the pool now: 50 kB of the portal, of the 60 that are said to be used.
    let third = bench.data("s", UpdateRequest, 2, &[(PORTAL, Some(60_000), true)]);
    assert_eq!(granted(&third, PORTAL).1, Some(Granted::Octets(100_000)));
    assert_eq!(bench.core.counters().excessive_reports, 1);
    assert_eq!((bench.balance("alice"), bench.held()), (6 * EURO, 2 * EURO));
    // Together they say 4.00 of 2.00: the first that is told of counts.
    let parts: [Part; 2] = [(GPRS, Some(150_000), false), (PORTAL, Some(125_000), false)];
    bench.data("s", TerminationRequest, 3, &parts);
    assert_eq!(bench.core.counters().excessive_reports, 2);
    assert_eq!((bench.balance("alice"), bench.held()), (4 * EURO, 0));
    let amounts: Vec<i64> = bench
        .records()
        .iter()
        .map(|record| record.amount_micro)
        .collect();
    assert_eq!(amounts, [4_500_000, 1_500_000]);
}

/// The reports of one request are all debited before anything is granted anew.
#[test]
fn a_pool_is_used_up_in_one_request() {
    for parts in [
        [(GPRS, Some(220_000), true), (PORTAL, Some(40_000), true)],
        [(PORTAL, Some(140_000), true), (GPRS, Some(20_000), true)],
    ] {
        let mut bench = Bench::of_two(10 * EURO);
        bench.both();
        let next = bench.data("s", UpdateRequest, 1, &parts);
        for group in [GPRS, PORTAL] {
            assert_eq!(granted(&next, group).1, Some(Granted::Octets(100_000)));
        }
        assert_eq!(bench.core.counters().excessive_reports, 0);
        assert_eq!((bench.balance("alice"), bench.held()), (7 * EURO, 3 * EURO));
    }
}

#[test]
fn the_last_units_are_the_pools_and_a_payment_asks_for_all_of_it() {
    // 2.50: all of GPRS, and 75 kB of the portal. What is left pays for no octet.
    let mut bench = Bench::of_two(2_500_005);
    let first = bench.both();
    assert_eq!(
        granted(&first, GPRS),
        (OK, Some(Granted::Octets(100_000)), None)
    );
    assert_eq!(
        granted(&first, PORTAL),
        (
            OK,
            Some(Granted::Octets(75_000)),
            Some(WhenShort::Terminate)
        )
    );
    // 1.50 is left in the pool, and nothing beside it: GPRS may go on with that.
    let second = bench.data("s", UpdateRequest, 1, &[(GPRS, Some(100_000), true)]);
    assert_eq!(
        granted(&second, GPRS),
        (OK, Some(Granted::Octets(0)), Some(WhenShort::Terminate))
    );
    assert_eq!(pool_of(&second, GPRS), Some((1, 10, 0)));
    // The portal too has nothing but that: nobody is asked back for what he has.
    let idle = bench.data("s", UpdateRequest, 2, &[(PORTAL, Some(0), true)]);
    assert_eq!(
        granted(&idle, PORTAL),
        (OK, Some(Granted::Octets(0)), Some(WhenShort::Terminate))
    );
    assert!(bench.asked_back.is_empty());
    bench.fill_up(EURO, "more");
    assert_eq!(bench.asked_back, ["s pool 1"]);
    // Both come back, each with its part of what is used: 0.50 and 1.00.
    let third = bench.data(
        "s",
        UpdateRequest,
        3,
        &[(GPRS, Some(50_000), true), (PORTAL, Some(50_000), true)],
    );
    assert_eq!(
        granted(&third, GPRS),
        (
            OK,
            Some(Granted::Octets(100_000)),
            Some(WhenShort::Terminate)
        )
    );
    assert_eq!(granted(&third, PORTAL).1, Some(Granted::Octets(0)));
    bench.data(
        "s",
        TerminationRequest,
        4,
        &[(GPRS, Some(0), false), (PORTAL, Some(50_000), false)],
    );
    assert_eq!((bench.balance("alice"), bench.held()), (5, 0));
    assert_eq!(bench.core.counters().excessive_reports, 0);
}

#[test]
fn with_the_pool_used_up_the_rules_are_as_without() {
    let mut bench = Bench::of_two(3 * EURO);
    bench.both();
    let parts = [(GPRS, Some(280_000), true), (PORTAL, Some(10_000), true)];
    let last = bench.data("s", UpdateRequest, 1, &parts);
    for group in [GPRS, PORTAL] {
        let refused = ResultCode::CREDIT_LIMIT_REACHED.0;
        assert_eq!(granted(&last, group), (refused, None, None));
        assert_eq!(pool_of(&last, group), None);
    }
    assert_eq!((bench.balance("alice"), bench.held()), (0, 0));
    // What comes later is another pool: nothing of the first is in it.
    bench.fill_up(5 * EURO, "more");
    let parts = [(GPRS, None, true), (PORTAL, None, true)];
    let next = bench.data("s", UpdateRequest, 2, &parts);
    assert_eq!(pool_of(&next, GPRS), Some((2, 10, 0)));
    assert_eq!(pool_of(&next, PORTAL), Some((2, 20, 0)));
}

/// RFC 8506 5.1.2: of a service that is removed, what it consumed is removed.
#[test]
fn who_leaves_a_pool_leaves_its_rest_in_it() {
    let mut bench = Bench::of_two(10 * EURO);
    bench.both();
    let rests = bench.data("s", UpdateRequest, 1, &[(PORTAL, Some(25_000), false)]);
    assert_eq!(granted(&rests, PORTAL), (OK, None, None));
    assert_eq!(bench.held(), 2_500_000);
    // 1.00 of its own and 1.50 of the portal's: it has more than a grant already.
    let next = bench.data("s", UpdateRequest, 2, &[(GPRS, Some(0), true)]);
    assert_eq!(granted(&next, GPRS).1, Some(Granted::Octets(0)));
    assert_eq!(pool_of(&next, GPRS), Some((1, 10, 0)));
    // And with the last one all of it goes.
    bench.data("s", UpdateRequest, 3, &[(GPRS, Some(250_000), false)]);
    assert_eq!(bench.core.counters().excessive_reports, 0);
    assert_eq!((bench.balance("alice"), bench.held()), (7 * EURO, 0));
    let again = bench.data("s", UpdateRequest, 4, &[(GPRS, None, true)]);
    assert_eq!(pool_of(&again, GPRS), Some((2, 10, 0)));
    bench.data("s", UpdateRequest, 5, &[(GPRS, Some(50_000), false)]);
    assert_eq!((bench.balance("alice"), bench.held()), (6_500_000, 0));
}

#[test]
fn a_client_that_comes_back_idle_does_not_fill_its_pool() {
    let mut bench = Bench::of_two(100 * EURO);
    bench.both();
    for number in 1..200 {
        bench.wait(600);
        bench.data(
            "s",
            UpdateRequest,
            number,
            &[(GPRS, Some(0), true), (PORTAL, Some(0), true)],
        );
    }
    assert_eq!(bench.held(), 3 * EURO + 199 * 30);
    let mut bench = Bench::of(rules(vec![pooled("content", CONTENT, 1)]));
    bench.account("alice", Payment::Prepaid, 0, 10 * EURO);
    bench.data("s", InitialRequest, 0, &[(CONTENT, None, true)]);
    for number in 1..20 {
        bench.data("s", UpdateRequest, number, &[(CONTENT, Some(0), true)]);
    }
    assert_eq!(bench.held(), EURO);
}

#[test]
fn a_silent_clients_pool_is_claimed_by_a_late_report() {
    let late = |spent_elsewhere: u64| {
        let mut bench = Bench::of_two(3_600_000);
        bench.both();
        bench.wait(3_000);
        bench.handle(Event::Tick);
        assert_eq!(bench.aborted, ["s"]);
        assert_eq!((bench.balance("alice"), bench.held()), (3_600_000, 0));
        if spent_elsewhere > 0 {
            bench.data("t", InitialRequest, 0, &[(GPRS, None, true)]);
            let used = [(GPRS, Some(spent_elsewhere), false)];
            bench.data("t", TerminationRequest, 1, &used);
        }
        let parts = [(GPRS, Some(250_000), false), (PORTAL, Some(25_000), false)];
        assert_eq!(
            bench.data("s", TerminationRequest, 1, &parts).result_code,
            OK
        );
        assert_eq!(bench.held(), 0);
        bench
    };
    let bench = late(0);
    assert_eq!(bench.balance("alice"), 600_000);
    assert_eq!(bench.core.counters().uncollected_micro, 0);
    // 1.00 is spent before: 0.40 are missing of 3.00, and no more is taken than there is.
    let mut bench = late(100_000);
    assert_eq!(bench.balance("alice"), 0);
    assert_eq!(bench.core.counters().uncollected_micro, 400_000);
    bench.core = bench.restarted();
    bench.check();
}

#[test]
fn a_pool_outlives_a_restart() {
    let mut bench = Bench::of(rules(vec![
        pooled("gprs", GPRS, 1_000_000),
        pooled("portal", PORTAL, 1_000_000),
    ]));
    bench.account("alice", Payment::Prepaid, 0, 100 * EURO);
    bench.both();
    // As the store has it: what is left of 30.00, in parts of micro-units, is more than 64 bits.
    let session = bench.core.session("s").unwrap();
    let stored = serde_json::to_string(session).unwrap();
    assert_eq!(*session, serde_json::from_str(&stored).unwrap());
    bench.core = bench.restarted();
    bench.check();
    assert_eq!(bench.held(), 30 * EURO);
    bench.data("s", UpdateRequest, 1, &[(GPRS, Some(3_000_000), true)]);
    assert_eq!(bench.core.counters().excessive_reports, 0);
    assert_eq!(
        (bench.balance("alice"), bench.held()),
        (70 * EURO, 10 * EURO)
    );
}

#[test]
fn what_cannot_be_shared_has_its_own_grant() {
    let told = |bench: &mut Bench, group: u32| {
        let outcome = bench.data("s", InitialRequest, 0, &[(group, None, true)]);
        assert_eq!(granted(&outcome, group).0, OK);
        pool_of(&outcome, group)
    };
    // By default there is none.
    let mut bench = Bench::of(rules(vec![class("gprs", GPRS, None, None)]));
    bench.account("alice", Payment::Prepaid, 0, 10 * EURO);
    assert_eq!(told(&mut bench, GPRS), None);
    // Two purses pay.
    let with = |unit: Commodity, short: Option<WhenShort>| {
        let mut bench = Bench::of_two(10 * EURO);
        bench.service_account(
            "own",
            Terms {
                when_short: short,
                price: unit.currency().is_none().then_some(UnitPrice {
                    amount_micro: 1,
                    per: 1,
                }),
                ..terms(GPRS, unit)
            },
        );
        bench.request_recharge("own", EURO, "r");
        told(&mut bench, GPRS)
    };
    let euro = Commodity::Money(Currency::EUR);
    assert_eq!(with(euro, None), Some((1, 10, 0)));
    assert_eq!(with(euro, Some(WhenShort::MainAccount)), None);
    assert_eq!(with(Commodity::Octets, None), None);
    assert_eq!(with(Commodity::Octets, Some(WhenShort::MainAccount)), None);
    assert_eq!(with(Commodity::Access, None), None);
    // What goes on at nobody's expense has no bounds.
    assert_eq!(with(euro, Some(WhenShort::GoOn)), None);
    // The price of a unit depends on which one it is.
    let step = Definition {
        name: "gprs".into(),
        rating_groups: vec![GPRS],
        currency: Some(Currency::EUR),
        price_per_kilobyte_micro: Some(10_000),
        steps: vec![StepDefinition {
            from_octets: Some(50_000),
            price_per_kilobyte_micro: Some(5_000),
            ..StepDefinition::default()
        }],
        ..Definition::default()
    };
    let mut bench = Bench::of(Rules {
        tariffs: RatingTable::new(vec![step], CallingGroups::default()).unwrap(),
        classes: Classes::new(vec![pooled("gprs", GPRS, 100_000)]).unwrap(),
    });
    bench.account("alice", Payment::Prepaid, 0, 10 * EURO);
    assert_eq!(told(&mut bench, GPRS), None);
}

/// A request that names a service twice means one, and has one answer.
#[test]
fn a_service_named_twice_is_granted_once() {
    let mut bench = Bench::of_two(10 * EURO);
    let twice = bench.data(
        "s",
        InitialRequest,
        0,
        &[(GPRS, None, true), (GPRS, None, true)],
    );
    assert_eq!(twice.services.len(), 1);
    assert_eq!(bench.held(), EURO);
    let parts = [(GPRS, Some(10_000), true), (GPRS, Some(20_000), true)];
    let next = bench.data("s", UpdateRequest, 1, &parts);
    assert_eq!(granted(&next, GPRS).1, Some(Granted::Octets(30_000)));
    assert_eq!((bench.balance("alice"), bench.held()), (9_700_000, EURO));
}

/// The operator takes the class out of pools: a service leaves with its next grant.
#[test]
fn a_class_without_a_pool_leaves_it() {
    let mut bench = Bench::of_two(10 * EURO);
    let threshold = |outcome: &Outcome| outcome.services.last().unwrap().threshold;
    // A threshold is of what is granted to one service.
    assert_eq!(threshold(&bench.both()), None);
    bench.handle(Event::Rules(Box::new(rules(vec![
        pooled("gprs", GPRS, 100_000),
        Class {
            pool: false,
            ..pooled("portal", PORTAL, 100_000)
        },
    ]))));
    let next = bench.data("s", UpdateRequest, 1, &[(PORTAL, Some(25_000), true)]);
    assert_eq!(granted(&next, PORTAL).1, Some(Granted::Octets(100_000)));
    assert_eq!(pool_of(&next, PORTAL), None);
    assert_eq!(threshold(&next), Some(1_000));
    // 1.00 of GPRS, 1.50 that the portal left, and 2.00 of the portal's own.
    assert_eq!(bench.held(), 4_500_000);
    bench.data(
        "s",
        TerminationRequest,
        2,
        &[(GPRS, Some(250_000), false), (PORTAL, Some(100_000), false)],
    );
    assert_eq!(bench.core.counters().excessive_reports, 0);
    assert_eq!(bench.balance("alice"), 10 * EURO - 500_000 - 4_500_000);
}
