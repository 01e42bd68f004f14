//! Service accounts: what pays for what, recharges, and what happens when they are short.

use tollwire_diameter::credit_control::MultipleServicesIndicator;

use super::*;
use crate::calendar::{Calendar, Every};
use crate::class::{Class, Classes, WhenShort};
use crate::effect::Refusal;
use crate::ledger::Commodity;
use crate::notify::Kind;
use crate::service_account::{Recharge, RechargeAmount, Terms, UnitPrice};

/// Rating-Groups.
const GPRS: u32 = 10;
const PORTAL: u32 = 20;
const CONTENT: u32 = 30;
const VOICE: u32 = 100;

const EURO: i64 = 1_000_000;
/// A kilobyte of GPRS.
const KB: i64 = 1_000;

pub(super) fn portal_address() -> WhenShort {
    WhenShort::Redirect {
        address: "https://operator.example/refill".into(),
    }
}

/// A cent a kilobyte, 0.50 a content, a cent a second of voice; the portal is looked at for nothing but its fee.
pub(super) fn rules(classes: Vec<Class>) -> Rules {
    rules_with(Vec::new(), classes)
}

pub(super) fn volume(name: &str, group: u32, price: i64) -> Definition {
    Definition {
        name: name.into(),
        rating_groups: vec![group],
        currency: Some(Currency::EUR),
        price_per_kilobyte_micro: Some(price),
        ..Definition::default()
    }
}

/// [`rules`] and further tariffs.
pub(super) fn rules_with(more: Vec<Definition>, classes: Vec<Class>) -> Rules {
    let mut tariffs = vec![
        volume("gprs", GPRS, 10_000),
        volume("portal", PORTAL, 20_000),
        Definition {
            name: "content".into(),
            provider: "news.example".into(),
            commission_basis_points: 1_000,
            tax_basis_points: 1_900,
            rating_groups: vec![CONTENT],
            currency: Some(Currency::EUR),
            price_per_event_micro: Some(500_000),
            ..Definition::default()
        },
        Definition {
            name: "voice".into(),
            currency: Some(Currency::EUR),
            price_per_minute_micro: Some(60 * SECOND_PRICE),
            ..Definition::default()
        },
    ];
    tariffs.extend(more);
    Rules {
        tariffs: RatingTable::new(tariffs, CallingGroups::default()).unwrap(),
        classes: Classes::new(classes).unwrap(),
    }
}

pub(super) fn class(
    name: &str,
    group: u32,
    short: Option<WhenShort>,
    main: Option<WhenShort>,
) -> Class {
    Class {
        name: name.into(),
        rating_group: Some(group),
        service_identifier: None,
        when_short: short,
        when_main_short: main,
        quantum: None,
        validity_seconds: None,
        quota_holding_seconds: None,
        threshold: None,
        pool: false,
        customer_recharge_micro: None,
    }
}

pub(super) fn terms(group: u32, unit: Commodity) -> Terms {
    Terms {
        rating_groups: vec![group],
        service_identifiers: Vec::new(),
        priority: 5,
        unit,
        price: unit.currency().is_none().then_some(UnitPrice {
            amount_micro: 5_000,
            per: 1_000,
        }),
        about: About::default(),
        recharge: None,
        thresholds: Vec::new(),
        when_short: None,
        when_main_short: None,
    }
}

use crate::ledger::About;

pub(super) fn at_minimum(minimum: i64, amount: i64) -> Option<Recharge> {
    Some(Recharge {
        at_minimum: Some(minimum),
        calendar: None,
        amount: RechargeAmount::Fixed(amount),
        part: false,
        forfeit: false,
    })
}

pub(super) fn monthly(amount: i64, forfeit: bool) -> Option<Recharge> {
    Some(Recharge {
        at_minimum: None,
        calendar: Some(Calendar {
            every: Every::Month(1),
            at: Default::default(),
        }),
        amount: RechargeAmount::Fixed(amount),
        part: false,
        forfeit,
    })
}

/// What one service of a request reports: Rating-Group, units used, whether more is wanted.
pub(super) type Part = (u32, Option<u64>, bool);

impl Bench {
    pub(super) fn of(rules: Rules) -> Self {
        let mut bench = Self::new();
        bench.handle(Event::Rules(Box::new(rules)));
        bench
    }

    pub(super) fn service_account(&mut self, name: &str, terms: Terms) {
        self.operate(Operation::SetServiceAccount {
            account: "alice".into(),
            service_account: name.into(),
            terms: Box::new(terms),
        });
    }

    pub(super) fn fill_up(&mut self, amount_micro: i64, reference: &str) {
        self.operate(Operation::TopUp {
            account: "alice".into(),
            amount_micro,
            reference: reference.into(),
        });
    }

    pub(super) fn request_recharge(&mut self, name: &str, amount: i64, reference: &str) {
        self.operate(Operation::Recharge {
            account: "alice".into(),
            service_account: name.into(),
            amount: Some(amount),
            part: false,
            reference: reference.into(),
        });
    }

    /// What is said to an operation that is refused.
    fn refuses(&mut self, operation: Operation) -> Refusal {
        let mut effects = Vec::new();
        let token = 0;
        let event = Event::Operator { token, operation };
        self.core.handle(self.now, event, &mut effects);
        match effects.as_slice() {
            [
                Effect::Reply {
                    result: Err(refusal),
                    ..
                },
            ] => refusal.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn own(&self, name: &str) -> &ServiceAccount {
        let name = format!("alice/{name}");
        let found = self.core.service_accounts("alice");
        found
            .into_iter()
            .find(|account| *account.name == *name)
            .unwrap()
    }

    /// A CCR of alice's for several services.
    pub(super) fn data(
        &mut self,
        session: &str,
        kind: CcRequestType,
        number: u32,
        parts: &[Part],
    ) -> Outcome {
        let mut request = request("alice", session, kind, number, 0);
        request.service_information = None;
        request.multiple_services_indicator =
            Some(MultipleServicesIndicator::MultipleServicesSupported);
        let service = |(group, used, more): &Part| {
            let unit = |units: u64| match *group {
                VOICE => UsedServiceUnit {
                    cc_time: u32::try_from(units).ok(),
                    ..UsedServiceUnit::default()
                },
                CONTENT => UsedServiceUnit {
                    cc_service_specific_units: Some(units),
                    ..UsedServiceUnit::default()
                },
                _ => UsedServiceUnit {
                    cc_total_octets: Some(units),
                    ..UsedServiceUnit::default()
                },
            };
            MultipleServicesCreditControl {
                rating_group: Some(*group),
                requested_service_unit: more.then(RequestedServiceUnit::default),
                used_service_units: used.map(unit).into_iter().collect(),
                ..MultipleServicesCreditControl::default()
            }
        };
        request.multiple_services_credit_controls = parts.iter().map(service).collect();
        self.send(request)
    }

    fn told(&self) -> Vec<(String, Kind)> {
        let told = self.stored.iter().filter_map(|mutation| match mutation {
            Mutation::Notification(told) => Some((told.subject.to_string(), told.kind)),
            _ => None,
        });
        told.collect()
    }

    /// To a moment of 2026, UTC.
    fn until(&mut self, moment: &str) {
        let at: jiff::Timestamp = moment.parse().unwrap();
        self.now.unix_ms = at.as_millisecond();
        self.handle(Event::Tick);
    }

    fn listen(&mut self) {
        self.operate(Operation::SetProfile {
            account: "alice".into(),
            time_zone: Some("Europe/Berlin".into()),
            contacts: Some(vec!["sms:+491701234567".parse().unwrap()]),
            language: None,
            address: None,
            thresholds: Some(vec![0]),
        });
    }
}

pub(super) fn granted(outcome: &Outcome, group: u32) -> (u32, Option<Granted>, Option<WhenShort>) {
    let service = outcome
        .services
        .iter()
        .find(|service| service.rating_group == Some(group))
        .unwrap();
    (
        service.result_code,
        service.granted,
        service.final_unit.clone(),
    )
}

const OK: u32 = 2001;

/// The example of the source document: kilobytes of GPRS in an account of their own, a portal with a monthly fee, paid
/// content, and voice from the main account.
#[test]
fn gprs_portal_content_and_voice() {
    let mut bench = Bench::of(rules(vec![class(
        "gprs",
        GPRS,
        Some(portal_address()),
        None,
    )]));
    bench.until("2026-01-20T12:00:00Z");
    bench.account("alice", Payment::Prepaid, 0, 20 * EURO);
    bench.listen();
    bench.service_account(
        "gprs",
        Terms {
            priority: 1,
            recharge: at_minimum(100 * KB, 1_000 * KB),
            ..terms(GPRS, Commodity::Octets)
        },
    );
    // It is at its minimum from the beginning: 1000 kB for 5.00.
    assert_eq!(bench.own("gprs").balance, 1_000 * KB);
    assert_eq!(bench.balance("alice"), 15 * EURO);
    bench.service_account(
        "portal",
        Terms {
            priority: 2,
            price: Some(UnitPrice {
                amount_micro: 3 * EURO,
                per: 1,
            }),
            recharge: monthly(1, true),
            when_short: Some(WhenShort::EndSubscription),
            ..terms(PORTAL, Commodity::Access)
        },
    );
    bench.service_account(
        "content",
        Terms {
            priority: 3,
            when_short: Some(WhenShort::Deny),
            ..terms(CONTENT, Commodity::Money(Currency::EUR))
        },
    );
    bench.request_recharge("portal", 1, "subscribe");
    bench.request_recharge("content", 2 * EURO, "pocket money");
    bench.request_recharge("content", 2 * EURO, "pocket money");
    assert_eq!(bench.balance("alice"), 10 * EURO);

    // One session of the terminal pays from three accounts, and takes nothing from the main one.
    let first = bench.data(
        "phone",
        InitialRequest,
        0,
        &[
            (GPRS, None, true),
            (PORTAL, None, true),
            (CONTENT, None, true),
        ],
    );
    assert_eq!(
        granted(&first, GPRS),
        (OK, Some(Granted::Octets(1_000_000)), None)
    );
    assert_eq!(granted(&first, PORTAL).1, Some(Granted::Octets(1_000_000)));
    assert_eq!(granted(&first, CONTENT).1, Some(Granted::Units(1)));
    // All of GPRS is held; these are not the last units, since it can be recharged.
    assert_eq!(bench.own("gprs").balance, 1_000 * KB);
    assert_eq!(bench.balance("alice"), 10 * EURO);
    bench.wait(60);
    let next = bench.data(
        "phone",
        UpdateRequest,
        1,
        &[
            (GPRS, Some(900_000), true),
            (PORTAL, Some(300_000), true),
            (CONTENT, Some(1), true),
        ],
    );
    assert_eq!(next.cost, Some((500_000, 978)));
    assert_eq!(bench.own("gprs").balance, 1_100 * KB);
    assert_eq!(bench.balance("alice"), 5 * EURO);
    assert_eq!(bench.own("portal").balance, 1);
    assert_eq!(bench.own("content").balance, 1_500_000);
    let record_of_content = bench
        .entries()
        .find(|entry| &*entry.debit == "alice/content");
    let about = &record_of_content.unwrap().about;
    assert_eq!(
        (&*about.provider, about.tax_basis_points),
        ("news.example", 1_900)
    );

    // Voice is nobody's class: the main account pays, beside the other session.
    let call = bench.data("call", InitialRequest, 0, &[(VOICE, None, true)]);
    assert_eq!(granted(&call, VOICE).1, Some(Granted::Seconds(60)));
    bench.wait(60);
    let end = bench.data("call", TerminationRequest, 1, &[(VOICE, Some(60), false)]);
    assert_eq!(end.cost, Some((600_000, 978)));
    assert_eq!(bench.balance("alice"), 4_400_000);

    // GPRS empties: the next recharge would cost 5.00, and there are 4.40. The last octets come with the redirection.
    let last = bench.data("phone", UpdateRequest, 2, &[(GPRS, Some(1_000_000), true)]);
    assert_eq!(
        granted(&last, GPRS),
        (OK, Some(Granted::Octets(100_000)), Some(portal_address()))
    );
    assert!(bench.own("gprs").wanting);
    bench.wait(10);
    // The action has begun: nothing is reserved, and the client comes back in time.
    let begun = bench.data("phone", UpdateRequest, 3, &[(GPRS, Some(100_000), false)]);
    let told = begun.services.first().unwrap();
    assert_eq!(
        (told.result_code, told.granted, told.validity_seconds),
        (OK, None, Some(300))
    );
    let still = bench.data("phone", UpdateRequest, 4, &[(GPRS, None, true)]);
    assert_eq!(granted(&still, GPRS), (OK, None, Some(portal_address())));
    assert!(bench.asked_back.is_empty());

    // Money comes: GPRS, which waits, is served at once, and the restriction lifted.
    bench.fill_up(EURO, "card 1");
    assert_eq!(bench.asked_back, ["phone"]);
    assert_eq!(bench.own("gprs").balance, 1_000 * KB);
    assert_eq!(bench.balance("alice"), 400_000);
    let back = bench.data("phone", UpdateRequest, 5, &[(GPRS, None, true)]);
    assert_eq!(granted(&back, GPRS).1, Some(Granted::Octets(1_000_000)));
    bench.fill_up(3 * EURO, "card 2");

    // The first of the month, at midnight in Berlin: the portal's fee, once.
    bench.data("phone", TerminationRequest, 6, &[(GPRS, Some(0), false)]);
    bench.until("2026-01-31T22:59:59Z");
    assert_eq!(bench.balance("alice"), 3_400_000);
    bench.until("2026-01-31T23:00:00Z");
    assert_eq!(bench.balance("alice"), 400_000);
    assert_eq!(bench.own("portal").balance, 1);
    // A month later nobody can pay it: access ends, and with the next use the subscription.
    bench.until("2026-03-01T00:00:00Z");
    assert_eq!(bench.own("portal").balance, 0);
    assert_eq!(bench.balance("alice"), 400_000);
    let ended = bench.data("late", InitialRequest, 0, &[(PORTAL, None, true)]);
    assert_eq!(ended.result_code, ResultCode::END_USER_SERVICE_DENIED.0);
    assert!(bench.own("portal").closed);
    bench.fill_up(10 * EURO, "card 3");
    assert_eq!(bench.own("portal").balance, 0);
    let denied = bench.data("later", InitialRequest, 0, &[(PORTAL, None, true)]);
    assert_eq!(denied.result_code, ResultCode::END_USER_SERVICE_DENIED.0);
    // Content goes on from its own account, until that is empty: then it is denied, whatever the main account has.
    for (index, left) in [1_000_000, 500_000, 0].into_iter().enumerate() {
        let session = format!("content {index}");
        bench.data(&session, InitialRequest, 0, &[(CONTENT, None, true)]);
        bench.data(
            &session,
            TerminationRequest,
            1,
            &[(CONTENT, Some(1), false)],
        );
        assert_eq!(bench.own("content").balance, left);
    }
    let denied = bench.data("content 3", InitialRequest, 0, &[(CONTENT, None, true)]);
    assert_eq!(denied.result_code, ResultCode::CREDIT_LIMIT_REACHED.0);
    assert!(bench.balance("alice") > 0);

    let told = bench.told();
    let count = |subject: &str, kind: Kind| {
        told.iter()
            .filter(|(about, told)| about == subject && *told == kind)
            .count()
    };
    assert_eq!(count("alice/gprs", Kind::RechargeFailed), 1);
    assert_eq!(count("alice/gprs", Kind::Restricted), 1);
    assert_eq!(count("alice/gprs", Kind::Restored), 1);
    assert_eq!(count("alice/gprs", Kind::Recharged), 3);
    assert_eq!(count("alice/portal", Kind::RechargeFailed), 1);
    let mut restarted = bench.restarted();
    assert_eq!(restarted.account("alice"), bench.core.account("alice"));
    restarted.handle(bench.now, Event::Tick, &mut Vec::new());
    for account in bench.core.service_accounts("alice") {
        let same = restarted.service_accounts("alice");
        assert!(
            same.into_iter().any(|other| other == account),
            "{account:?}"
        );
    }
}

/// Two accounts want the last euro: by the calendar, and when money comes. The lower number gets it.
#[test]
fn the_last_euro_goes_by_priority() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut bench = Bench::of(rules(Vec::new()));
        bench.until("2026-01-20T12:00:00Z");
        bench.account("alice", Payment::Prepaid, 0, EURO);
        let euro = |priority: u16, group: u32| Terms {
            priority,
            recharge: monthly(EURO, false),
            ..terms(group, Commodity::Money(Currency::EUR))
        };
        bench.service_account("one", euro(first, GPRS));
        bench.service_account("two", euro(second, CONTENT));
        bench.until("2026-02-01T00:00:00Z");
        let (winner, loser) = match first < second {
            true => ("one", "two"),
            false => ("two", "one"),
        };
        assert_eq!(bench.own(winner).balance, EURO);
        assert_eq!(bench.own(loser).balance, 0);
        assert!(bench.own(loser).wanting);
        // Who waits is served when there is money, once.
        bench.fill_up(EURO, "a");
        bench.fill_up(EURO, "b");
        assert_eq!(bench.own(loser).balance, EURO);
        assert_eq!(bench.balance("alice"), EURO);
        // Both wait, and there is money for one.
        bench.until("2026-03-01T00:00:00Z");
        assert_eq!(
            (bench.own(winner).balance, bench.own(loser).balance),
            (2 * EURO, EURO)
        );
        bench.until("2026-04-01T00:00:00Z");
        assert!(bench.own(winner).wanting && bench.own(loser).wanting);
        bench.fill_up(EURO, "c");
        assert_eq!(
            (bench.own(winner).balance, bench.own(loser).balance),
            (3 * EURO, EURO)
        );
    }
}

#[test]
fn a_recharge_takes_a_part_or_what_is_missing_if_its_rule_says_so() {
    let mut bench = Bench::of(rules(Vec::new()));
    bench.account("alice", Payment::Prepaid, 0, EURO);
    bench.service_account(
        "gprs",
        Terms {
            recharge: Some(Recharge {
                at_minimum: Some(0),
                calendar: None,
                amount: RechargeAmount::UpTo(300 * KB),
                part: true,
                forfeit: false,
            }),
            // A third of a micro-unit an octet: parts are rounded up, to the operator's good.
            price: Some(UnitPrice {
                amount_micro: 10,
                per: 3,
            }),
            ..terms(GPRS, Commodity::Octets)
        },
    );
    assert_eq!(bench.own("gprs").balance, 300 * KB);
    assert_eq!(bench.balance("alice"), 0);
    bench.data("s", InitialRequest, 0, &[(GPRS, None, true)]);
    bench.data("s", TerminationRequest, 1, &[(GPRS, Some(300_000), false)]);
    assert_eq!(bench.own("gprs").balance, 0);
    bench.fill_up(1_000, "a little");
    assert_eq!(bench.own("gprs").balance, 300);
    assert_eq!(bench.balance("alice"), 0);
}

#[test]
fn units_go_before_money_and_the_main_account_comes_last() {
    let mut bench = Bench::of(rules(Vec::new()));
    bench.account("alice", Payment::Prepaid, 0, 10 * EURO);
    bench.service_account(
        "money",
        Terms {
            priority: 1,
            when_short: Some(WhenShort::MainAccount),
            ..terms(GPRS, Commodity::Money(Currency::EUR))
        },
    );
    bench.service_account(
        "octets",
        Terms {
            priority: 2,
            when_short: Some(WhenShort::MainAccount),
            ..terms(GPRS, Commodity::Octets)
        },
    );
    bench.request_recharge("octets", 50 * KB, "o");
    bench.request_recharge("money", EURO / 2, "m");
    let before = bench.balance("alice");
    // 50 kB are there; 50 kB cost 0.50, which is there; the rest is the main account's.
    let first = bench.data("s", InitialRequest, 0, &[(GPRS, None, true)]);
    assert_eq!(
        granted(&first, GPRS),
        (OK, Some(Granted::Octets(1_000_000)), None)
    );
    bench.wait(1);
    let end = bench.data("s", TerminationRequest, 1, &[(GPRS, Some(120_000), false)]);
    assert_eq!(bench.own("octets").balance, 0);
    assert_eq!(bench.own("money").balance, 0);
    assert_eq!(before - bench.balance("alice"), 200_000);
    assert_eq!(end.cost, Some((700_000, 978)));
    assert_eq!(bench.records().last().unwrap().amount_micro, 700_000);
}

#[test]
fn each_rule_has_its_answer() {
    let short = |rule: WhenShort| {
        let mut bench = Bench::of(rules(Vec::new()));
        bench.account("alice", Payment::Prepaid, 0, EURO);
        bench.listen();
        bench.service_account(
            "gprs",
            Terms {
                when_short: Some(rule),
                ..terms(GPRS, Commodity::Octets)
            },
        );
        bench.request_recharge("gprs", 100 * KB, "r");
        let first = bench.data("s", InitialRequest, 0, &[(GPRS, None, true)]);
        bench.wait(1);
        let second = bench.data("s", UpdateRequest, 1, &[(GPRS, Some(100_000), true)]);
        (bench, granted(&first, GPRS), granted(&second, GPRS))
    };
    let all = Some(Granted::Octets(100_000));
    let (_, first, second) = short(WhenShort::Deny);
    assert_eq!(first, (OK, all, None));
    assert_eq!(second, (ResultCode::CREDIT_LIMIT_REACHED.0, None, None));
    let (_, first, second) = short(WhenShort::Terminate);
    assert_eq!(first, (OK, all, Some(WhenShort::Terminate)));
    // RFC 8506 8.34: no indication beside this result.
    assert_eq!(second, (ResultCode::CREDIT_LIMIT_REACHED.0, None, None));
    let restrict = WhenShort::Restrict {
        filters: vec!["permit out ip from 192.0.2.1 to any".into()],
        filter_ids: Vec::new(),
    };
    let (_, first, second) = short(restrict.clone());
    assert_eq!(first, (OK, all, Some(restrict.clone())));
    assert_eq!(second, (OK, None, Some(restrict)));
    let (bench, first, second) = short(WhenShort::EndSubscription);
    assert_eq!(first, (OK, all, Some(WhenShort::EndSubscription)));
    assert_eq!(second, (ResultCode::END_USER_SERVICE_DENIED.0, None, None));
    assert!(bench.own("gprs").closed);
    let (mut bench, first, second) = short(WhenShort::GoOn);
    assert_eq!(first, (OK, Some(Granted::Octets(1_000_000)), None));
    assert_eq!(second, (OK, Some(Granted::Octets(1_000_000)), None));
    bench.wait(1);
    bench.data("s", TerminationRequest, 2, &[(GPRS, Some(700_000), false)]);
    assert_eq!(
        (bench.own("gprs").balance, bench.balance("alice")),
        (0, 500_000)
    );
    assert!(
        bench
            .told()
            .contains(&("alice/gprs".into(), Kind::Exhausted))
    );
    let (mut bench, first, second) = short(WhenShort::MainAccount);
    // 0.50 are left in the main account: 50 kB more.
    assert_eq!(
        first,
        (
            OK,
            Some(Granted::Octets(150_000)),
            Some(WhenShort::Terminate)
        )
    );
    assert_eq!(
        second,
        (
            OK,
            Some(Granted::Octets(50_000)),
            Some(WhenShort::Terminate)
        )
    );
    bench.wait(1);
    bench.data("s", TerminationRequest, 2, &[(GPRS, Some(50_000), false)]);
    assert_eq!(bench.balance("alice"), 0);
}

#[test]
fn what_is_not_known_is_refused_and_never_charged_by_default() {
    let mut bench = Bench::of(Rules {
        tariffs: RatingTable::new(
            vec![Definition {
                name: "gprs".into(),
                rating_groups: vec![GPRS],
                currency: Some(Currency::EUR),
                price_per_kilobyte_micro: Some(10_000),
                ..Definition::default()
            }],
            CallingGroups::default(),
        )
        .unwrap(),
        classes: Classes::default(),
    });
    bench.account("alice", Payment::Prepaid, 0, EURO);
    let both = bench.data(
        "s",
        InitialRequest,
        0,
        &[(GPRS, None, true), (77, None, true)],
    );
    assert_eq!(both.result_code, OK);
    assert_eq!(granted(&both, GPRS).0, OK);
    assert_eq!(granted(&both, 77).0, ResultCode::RATING_FAILED.0);
    let alone = bench.data("t", InitialRequest, 0, &[(77, None, true)]);
    assert_eq!(alone.result_code, ResultCode::RATING_FAILED.0);
    assert_eq!(bench.core.session("t"), None);
    let wrong = bench.core.customer(
        bench.now,
        Operation::SetServiceAccount {
            account: "alice".into(),
            service_account: "dollars".into(),
            terms: Box::new(terms(GPRS, Commodity::Money(Currency::USD))),
        },
        &mut Vec::new(),
    );
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("nothing is converted")
    );
}

#[test]
fn a_session_begins_without_services_and_they_come_and_go() {
    let mut bench = Bench::of(rules(Vec::new()));
    bench.account("alice", Payment::Prepaid, 0, 20 * EURO);
    assert_eq!(bench.data("s", InitialRequest, 0, &[]).result_code, OK);
    let first = bench.data("s", UpdateRequest, 1, &[(GPRS, None, true)]);
    assert_eq!(granted(&first, GPRS).0, OK);
    let second = bench.data("s", UpdateRequest, 2, &[(CONTENT, None, true)]);
    assert_eq!(granted(&second, CONTENT).1, Some(Granted::Units(1)));
    // GPRS rests: its grant is given back, and nothing is held for it.
    bench.data("s", UpdateRequest, 3, &[(GPRS, Some(1_000), false)]);
    assert_eq!(bench.core.account("alice").unwrap().held_micro, 500_000);
    bench.data("s", TerminationRequest, 4, &[(CONTENT, Some(1), false)]);
    assert_eq!(bench.balance("alice"), 20 * EURO - 510_000);
    let mut records: Vec<(String, i64)> = bench
        .records()
        .iter()
        .map(|record| (record.record_id.clone(), record.amount_micro))
        .collect();
    records.sort();
    assert_eq!(
        records,
        [("s#rg10".into(), 10_000), ("s#rg30".into(), 500_000)]
    );
}

/// The clock goes where it wants: a month's fee is taken once.
#[test]
fn a_calendar_recharge_happens_once_whatever_the_clock_does() {
    let mut bench = Bench::of(rules(Vec::new()));
    bench.until("2026-01-20T12:00:00Z");
    bench.account("alice", Payment::Prepaid, 0, 100 * EURO);
    bench.service_account(
        "portal",
        Terms {
            recharge: monthly(EURO, false),
            ..terms(PORTAL, Commodity::Money(Currency::EUR))
        },
    );
    let mut expected = 0;
    for (moment, more) in [
        ("2026-02-01T00:00:00Z", 1),
        // Back, and forth again over the same first.
        ("2026-01-31T23:59:00Z", 0),
        ("2026-02-01T00:00:01Z", 0),
        // Far ahead by mistake: the last first of a month, once.
        ("2026-06-15T00:00:00Z", 1),
        // And back: the months between come as they come.
        ("2026-02-02T00:00:00Z", 0),
        ("2026-03-01T00:00:00Z", 1),
        ("2026-04-01T00:00:00Z", 1),
        ("2026-05-01T00:00:00Z", 1),
        ("2026-06-01T00:00:00Z", 0),
        ("2026-07-01T00:00:00Z", 1),
    ] {
        bench.until(moment);
        expected += more;
        assert_eq!(bench.own("portal").balance, expected * EURO, "{moment}");
        // A restart in between changes nothing.
        bench.core = bench.restarted();
        bench.handle(Event::Tick);
        assert_eq!(
            bench.own("portal").balance,
            expected * EURO,
            "{moment}, restarted"
        );
    }
}

#[test]
fn a_threshold_is_told_once_each_time_it_is_reached() {
    let mut bench = Bench::of(rules(Vec::new()));
    bench.account("alice", Payment::Prepaid, 0, 2 * EURO);
    bench.operate(Operation::SetProfile {
        account: "alice".into(),
        time_zone: None,
        contacts: Some(vec!["mailto:alice@example.org".parse().unwrap()]),
        language: None,
        address: None,
        thresholds: Some(vec![EURO, EURO / 2]),
    });
    let spend = |bench: &mut Bench, session: &str, seconds: u64| {
        bench.data(session, InitialRequest, 0, &[(VOICE, None, true)]);
        bench.wait(seconds);
        bench.data(
            session,
            TerminationRequest,
            1,
            &[(VOICE, Some(seconds), false)],
        );
    };
    let crossings = |bench: &Bench| {
        let told = bench.stored.iter().filter_map(|mutation| match mutation {
            Mutation::Notification(told) => Some((told.kind, told.amount)),
            _ => None,
        });
        told.filter(|(kind, _)| *kind == Kind::ThresholdCrossed)
            .map(|(_, amount)| amount)
            .collect::<Vec<_>>()
    };
    spend(&mut bench, "a", 50);
    assert!(crossings(&bench).is_empty());
    spend(&mut bench, "b", 50);
    spend(&mut bench, "c", 10);
    assert_eq!(crossings(&bench), [EURO]);
    spend(&mut bench, "d", 50);
    assert_eq!(crossings(&bench), [EURO, EURO / 2]);
    bench.fill_up(EURO, "more");
    spend(&mut bench, "e", 50);
    assert_eq!(crossings(&bench), [EURO, EURO / 2, EURO]);
}

#[test]
fn what_is_left_expires_but_not_what_a_session_holds() {
    let mut bench = Bench::of(rules(Vec::new()));
    bench.account("alice", Payment::Prepaid, 0, 10 * EURO);
    let later = bench.now.unix_ms + 30_000;
    bench.operate(Operation::SetExpiry {
        account: "alice".into(),
        service_account: None,
        expires_unix_ms: Some(later),
    });
    bench.data("s", InitialRequest, 0, &[(VOICE, None, true)]);
    bench.wait(30);
    assert_eq!(bench.core.next_deadline_unix_ms(), Some(later));
    bench.handle(Event::Tick);
    assert_eq!(bench.balance("alice"), 600_000);
    assert_eq!(bench.ledger("@expired:EUR"), 10 * EURO - 600_000);
    bench.wait(30);
    let end = bench.data("s", TerminationRequest, 1, &[(VOICE, Some(60), false)]);
    assert_eq!(end.cost, Some((600_000, 978)));
    assert_eq!(bench.balance("alice"), 0);
}

#[test]
fn a_closed_account_gives_its_money_back_and_forfeits_its_units() {
    let mut bench = Bench::of(rules(Vec::new()));
    bench.account("alice", Payment::Prepaid, 0, 10 * EURO);
    bench.service_account("money", terms(CONTENT, Commodity::Money(Currency::EUR)));
    bench.service_account("octets", terms(GPRS, Commodity::Octets));
    bench.request_recharge("money", EURO, "1");
    bench.request_recharge("octets", 1_000 * KB, "1");
    for name in ["money", "octets"] {
        bench.operate(Operation::CloseServiceAccount {
            account: "alice".into(),
            service_account: name.into(),
        });
        assert_eq!(bench.own(name).balance, 0);
    }
    assert_eq!(bench.balance("alice"), 5 * EURO);
    // Opened again it has its old name, and its entries names of their own.
    bench.service_account("octets", terms(GPRS, Commodity::Octets));
    bench.request_recharge("octets", KB, "2");
    assert_eq!(bench.own("octets").balance, KB);
    bench.operate(Operation::CloseServiceAccount {
        account: "alice".into(),
        service_account: "octets".into(),
    });
}

/// Short messages have a class too: units pay for them, and then money; one that fails gives both back.
#[test]
fn messages_are_paid_with_units_first() {
    use tollwire_diameter::credit_control::{CcMoney, UnitValue};
    let mut bench = Bench::of(rules(Vec::new()));
    bench.account("alice", Payment::Prepaid, 0, 10 * EURO);
    bench.service_account(
        "messages",
        Terms {
            when_short: Some(WhenShort::MainAccount),
            price: Some(UnitPrice {
                amount_micro: 50_000,
                per: 1,
            }),
            ..terms(40, Commodity::Messages)
        },
    );
    bench.request_recharge("messages", 3, "r");
    let before = bench.balance("alice");
    let message = |bench: &mut Bench, session: &str, kind, number, taken: bool| {
        let money = || CcMoney {
            unit_value: UnitValue::from_micro(200_000),
            currency_code: Some(978),
            ..CcMoney::default()
        };
        let mut request = request("alice", session, kind, number, 0);
        request.multiple_services_credit_controls = vec![MultipleServicesCreditControl {
            rating_group: Some(40),
            requested_service_unit: (kind == InitialRequest).then(|| RequestedServiceUnit {
                cc_money: Some(money()),
                cc_service_specific_units: Some(2),
                ..RequestedServiceUnit::default()
            }),
            used_service_units: taken
                .then(|| UsedServiceUnit {
                    cc_money: Some(money()),
                    ..UsedServiceUnit::default()
                })
                .into_iter()
                .collect(),
            ..MultipleServicesCreditControl::default()
        }];
        bench.send(request)
    };
    message(&mut bench, "a", InitialRequest, 0, false);
    let end = message(&mut bench, "a", TerminationRequest, 1, true);
    assert_eq!(end.cost, Some((0, 978)));
    assert_eq!(
        (bench.own("messages").balance, bench.balance("alice")),
        (1, before)
    );
    // One unit is left for two: the other half of the price is money.
    message(&mut bench, "b", InitialRequest, 0, false);
    message(&mut bench, "b", TerminationRequest, 1, false);
    assert_eq!(
        (bench.own("messages").balance, bench.balance("alice")),
        (1, before)
    );
    message(&mut bench, "c", InitialRequest, 0, false);
    let end = message(&mut bench, "c", TerminationRequest, 1, true);
    assert_eq!(end.cost, Some((100_000, 978)));
    assert_eq!(
        (bench.own("messages").balance, bench.balance("alice")),
        (0, before - 100_000)
    );
}

/// Octets are cheaper from six in the evening: the client is told of the change, reports both parts, and each has its price.
#[test]
fn a_tariff_change_in_mid_session_prices_each_part() {
    let evening = crate::rating::PeriodDefinition {
        from: Some("18:00".into()),
        to: Some("00:00".into()),
        price_per_kilobyte_micro: Some(5_000),
        ..Default::default()
    };
    let tariff = Definition {
        name: "gprs".into(),
        rating_groups: vec![GPRS],
        currency: Some(Currency::EUR),
        price_per_kilobyte_micro: Some(10_000),
        time_zone: Some("UTC".into()),
        periods: vec![evening],
        ..Definition::default()
    };
    let mut bench = Bench::of(Rules {
        tariffs: RatingTable::new(vec![tariff], CallingGroups::default()).unwrap(),
        classes: Classes::default(),
    });
    bench.until("2026-01-20T17:55:00Z");
    bench.account("alice", Payment::Prepaid, 0, 20 * EURO);
    let first = bench.data("s", InitialRequest, 0, &[(GPRS, None, true)]);
    let change: jiff::Timestamp = "2026-01-20T18:00:00Z".parse().unwrap();
    let told = first.services.first().unwrap();
    assert_eq!(told.tariff_change_unix_ms, Some(change.as_millisecond()));
    // The dearer half of the day is held for all of it.
    assert_eq!(bench.core.account("alice").unwrap().held_micro, 10 * EURO);
    bench.until("2026-01-20T18:03:00Z");
    let mut request = request("alice", "s", UpdateRequest, 1, 0);
    request.service_information = None;
    let part = |octets: u64, side| UsedServiceUnit {
        cc_total_octets: Some(octets),
        tariff_change_usage: Some(side),
        ..UsedServiceUnit::default()
    };
    use tollwire_diameter::credit_control::TariffChangeUsage::{
        UnitAfterTariffChange, UnitBeforeTariffChange,
    };
    request.multiple_services_credit_controls = vec![MultipleServicesCreditControl {
        rating_group: Some(GPRS),
        requested_service_unit: Some(RequestedServiceUnit::default()),
        used_service_units: vec![
            part(100_000, UnitBeforeTariffChange),
            part(200_000, UnitAfterTariffChange),
        ],
        ..MultipleServicesCreditControl::default()
    }];
    let second = bench.send(request);
    assert_eq!(second.cost, Some((2 * EURO, 978)));
    assert_eq!(second.services.first().unwrap().tariff_change_unix_ms, None);
    bench.wait(60);
    bench.data("s", TerminationRequest, 2, &[(GPRS, Some(100_000), false)]);
    assert_eq!(bench.balance("alice"), 20 * EURO - 2_500_000);
}

fn own_rules(
    service_account: &str,
    thresholds: Option<Vec<i64>>,
    recharge: Option<Option<Recharge>>,
) -> Operation {
    Operation::SetServiceRules {
        account: "alice".into(),
        service_account: service_account.into(),
        thresholds,
        recharge,
    }
}

#[test]
fn a_customer_sets_his_rules_as_far_as_every_class_allows_it() {
    let bounded = Class {
        customer_recharge_micro: Some(10 * EURO),
        ..class("gprs", GPRS, None, None)
    };
    let narrower = Class {
        customer_recharge_micro: Some(2 * EURO),
        ..class("portal", PORTAL, None, None)
    };
    let silent = class("content", CONTENT, None, None);
    let mut bench = Bench::of(rules(vec![bounded, narrower, silent]));
    bench.account("alice", Payment::Prepaid, 0, 100 * EURO);
    // A kilo of units costs half a cent.
    bench.service_account("gprs", terms(GPRS, Commodity::Octets));
    let both = Terms {
        rating_groups: vec![GPRS, PORTAL],
        ..terms(GPRS, Commodity::Money(Currency::EUR))
    };
    bench.service_account("both", both);
    let mixed = Terms {
        rating_groups: vec![GPRS, CONTENT],
        ..terms(GPRS, Commodity::Octets)
    };
    bench.service_account("mixed", mixed);

    bench.operate(own_rules("gprs", Some(vec![5]), None));
    assert_eq!(bench.own("gprs").terms.thresholds, [5]);
    // Ten euros buy two million.
    let rule = at_minimum(0, 2_000_000);
    bench.operate(own_rules("gprs", None, Some(rule.clone())));
    let own = bench.own("gprs");
    assert_eq!(
        (&own.terms.recharge, &*own.terms.thresholds),
        (&rule, &[5][..])
    );
    assert_eq!(
        own.balance, 2_000_000,
        "its minimum is met from the beginning"
    );
    assert_eq!(bench.balance("alice"), 90 * EURO);

    let up_to = |top| {
        let mut rule = at_minimum(0, 1);
        if let Some(rule) = &mut rule {
            rule.amount = RechargeAmount::UpTo(top);
        }
        rule
    };
    let refused = [
        own_rules("gprs", None, Some(at_minimum(0, 2_000_001))),
        own_rules("gprs", None, Some(up_to(2_000_001))),
        own_rules("gprs", None, Some(at_minimum(i64::MAX, 1))),
        // One recharge would bring about the next.
        own_rules("gprs", None, Some(at_minimum(10, 10))),
        own_rules("both", None, Some(at_minimum(0, 2 * EURO + 1))),
        own_rules("mixed", None, Some(at_minimum(0, 1))),
        own_rules("mixed", None, Some(None)),
        own_rules("gprs", Some(vec![-1]), None),
        own_rules("gprs", Some(vec![1; 33]), None),
    ];
    for operation in refused {
        let shown = format!("{operation:?}");
        let refusal = bench.refuses(operation);
        assert!(matches!(refusal, Refusal::Invalid(_)), "{shown}: {refusal}");
    }
    assert_eq!(bench.own("gprs").terms.recharge, rule);
    bench.operate(own_rules("both", None, Some(at_minimum(0, 2 * EURO))));
    assert_eq!(bench.own("both").balance, 2 * EURO);
    bench.operate(own_rules("gprs", None, Some(None)));
    assert_eq!(bench.own("gprs").terms.recharge, None);
    let nothing = bench.refuses(own_rules("none", None, None));
    assert!(matches!(nothing, Refusal::NotFound(_)));
}
