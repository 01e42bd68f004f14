mod bench;
mod books;
mod event;
mod invoice;
mod late;
mod money;
mod pool;
mod service;

use std::collections::HashSet;
use std::time::Instant;

use proptest::prelude::*;
use tollwire_cdr::{ChargeRecord, EndCause, Payment};
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, ImsInformation, MultipleServicesCreditControl,
    RequestedServiceUnit, ServiceInformation, SubscriptionId, SubscriptionIdType, TimeStamps,
    UsedServiceUnit,
};

use super::*;
use crate::event::Operation;
use crate::ledger::Entry;
use crate::rating::{CallingGroups, Definition};
use crate::session::{Granted, Outcome, Sum};
use bench::{Bench, SECOND_PRICE, request, tariffs};

use CcRequestType::{InitialRequest, TerminationRequest, UpdateRequest};

#[test]
fn a_balance_for_n_seconds_is_granted_and_charged_to_exactly_zero() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 70 * SECOND_PRICE);
    let first = bench.ask("s", InitialRequest, 0, 0);
    assert_eq!(
        (first.granted_seconds(), first.final_unit()),
        (Some(60), false)
    );
    assert_eq!(first.rating_group(), Some(100));
    bench.wait(48);
    let second = bench.ask("s", UpdateRequest, 1, 48);
    assert_eq!(
        (second.granted_seconds(), second.final_unit()),
        (Some(22), true)
    );
    bench.wait(22);
    let last = bench.ask("s", TerminationRequest, 2, 22);
    assert_eq!(last.cost, Some((70 * SECOND_PRICE, 978)));
    assert_eq!(bench.balance("alice"), 0);
    let records = bench.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].amount_micro, 70 * SECOND_PRICE);
    assert_eq!(records[0].charged_seconds, 70);
    assert_eq!(records[0].duration_ms, 69_000);
    assert_eq!(records[0].end_cause, EndCause::CreditExhausted);
    assert_eq!(
        (records[0].octets_from_caller, records[0].octets_to_caller),
        (200, 400)
    );
    assert_eq!(
        bench.ask("t", InitialRequest, 0, 0).result_code,
        ResultCode::CREDIT_LIMIT_REACHED.0
    );
}

#[test]
fn refusals_have_their_codes_and_no_session() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, SECOND_PRICE - 1);
    assert_eq!(
        bench.ask("s", InitialRequest, 0, 0).result_code,
        ResultCode::CREDIT_LIMIT_REACHED.0
    );
    let unknown = bench.send(request("mallory", "u", InitialRequest, 0, 0));
    assert_eq!(unknown.result_code, ResultCode::USER_UNKNOWN.0);
    bench.operate(Operation::Block {
        account: "alice".into(),
    });
    assert_eq!(
        bench.ask("b", InitialRequest, 0, 0).result_code,
        ResultCode::END_USER_SERVICE_DENIED.0
    );
    assert_eq!(
        bench.ask("n", TerminationRequest, 1, 5).result_code,
        ResultCode::UNKNOWN_SESSION_ID.0
    );
    assert_eq!(bench.core.open_sessions().count(), 0);
    assert!(bench.records().is_empty());
}

#[test]
fn five_calls_on_one_balance_never_spend_more_than_it() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    let grants: Vec<Option<u32>> = (0..5)
        .map(|call| {
            bench
                .ask(&format!("s{call}"), InitialRequest, 0, 0)
                .granted_seconds()
        })
        .collect();
    assert_eq!(grants, [Some(60), Some(40), None, None, None]);
    bench.wait(60);
    bench.ask("s0", TerminationRequest, 1, 60);
    bench.ask("s1", TerminationRequest, 1, 40);
    assert_eq!(bench.balance("alice"), 0);
}

#[test]
fn an_unanswered_call_costs_nothing_not_even_the_set_up_fee() {
    let mut bench = Bench::with(tariffs(600_000, 50_000, 60));
    bench.account("alice", Payment::Prepaid, 0, 1_000_000);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(20);
    assert_eq!(
        bench.ask("s", TerminationRequest, 1, 0).cost,
        Some((0, 978))
    );
    assert_eq!(bench.balance("alice"), 1_000_000);
    bench.ask("t", InitialRequest, 0, 0);
    bench.wait(20);
    assert_eq!(
        bench.ask("t", TerminationRequest, 1, 5).cost,
        Some((650_000, 978))
    );
}

#[test]
fn a_repeated_request_gets_the_same_answer_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    for (kind, number, used) in [
        (InitialRequest, 0, 0),
        (UpdateRequest, 1, 30),
        (TerminationRequest, 2, 10),
    ] {
        bench.wait(u64::from(used));
        let first = bench.ask("s", kind, number, used);
        let stored = bench.stored.len();
        bench.wait(1);
        assert_eq!(bench.ask("s", kind, number, used), first);
        assert_eq!(bench.stored.len(), stored);
    }
    assert_eq!(bench.balance("alice"), 60 * SECOND_PRICE);
    // A number that is neither the last nor the next.
    assert_eq!(
        bench.ask("s", UpdateRequest, 1, 30).result_code,
        ResultCode::UNKNOWN_SESSION_ID.0
    );
}

#[test]
fn reports_beyond_the_grant_or_the_clock_are_cut() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(200);
    bench.ask("s", TerminationRequest, 1, u32::MAX);
    assert_eq!(bench.balance("alice"), 40 * SECOND_PRICE);
    bench.ask("t", InitialRequest, 0, 0);
    bench.wait(5);
    bench.ask("t", TerminationRequest, 1, 30);
    assert_eq!(bench.balance("alice"), 33 * SECOND_PRICE);
    assert_eq!(bench.core.counters().excessive_reports, 2);
}

#[test]
fn a_silent_client_loses_its_session_but_not_the_customers_money() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(30);
    bench.ask("s", UpdateRequest, 1, 30);
    bench.wait(60 + 59);
    bench.handle(Event::Tick);
    assert_eq!(bench.core.open_sessions().count(), 1);
    bench.wait(1);
    assert_eq!(bench.core.next_deadline_unix_ms(), Some(bench.now.unix_ms));
    bench.handle(Event::Tick);
    assert_eq!(bench.core.open_sessions().count(), 0);
    assert_eq!(bench.balance("alice"), 70 * SECOND_PRICE);
    assert_eq!(bench.records()[0].end_cause, EndCause::SupervisionExpired);
    assert_eq!(bench.records()[0].amount_micro, 30 * SECOND_PRICE);
    assert_eq!(bench.aborted, ["s"]);
    assert_eq!(
        bench.ask("s", UpdateRequest, 2, 60).result_code,
        ResultCode::UNKNOWN_SESSION_ID.0
    );
    bench.wait(3600);
    bench.handle(Event::Tick);
    assert!(bench.core.session("s").is_none());
    assert_eq!(bench.core.next_deadline_unix_ms(), None);
}

#[test]
fn a_session_id_used_again_after_it_was_forgotten_is_another_session() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    for spent in [5, 10] {
        bench.ask("s", InitialRequest, 0, 0);
        bench.wait(5);
        bench.ask("s", TerminationRequest, 1, 5);
        assert_eq!(bench.balance("alice"), (100 - spent) * SECOND_PRICE);
        bench.wait(3601);
        bench.handle(Event::Tick);
    }
}

#[test]
fn blocking_aborts_what_runs_and_charges_what_was_used() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(10);
    bench.operate(Operation::Block {
        account: "alice".into(),
    });
    assert_eq!(bench.aborted, ["s"]);
    assert_eq!(
        bench.ask("s", UpdateRequest, 1, 10).result_code,
        ResultCode::END_USER_SERVICE_DENIED.0
    );
    bench.ask("s", TerminationRequest, 2, 0);
    assert_eq!(bench.balance("alice"), 90 * SECOND_PRICE);
    bench.operate(Operation::Unblock {
        account: "alice".into(),
    });
    assert_eq!(
        bench.ask("t", InitialRequest, 0, 0).result_code,
        ResultCode::SUCCESS.0
    );
}

#[test]
fn a_post_paid_account_goes_to_its_limit_and_no_further() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Postpaid, 10 * SECOND_PRICE, 0);
    let grant = bench.ask("s", InitialRequest, 0, 0);
    assert_eq!(
        (grant.granted_seconds(), grant.final_unit()),
        (Some(10), true)
    );
    bench.wait(10);
    bench.ask("s", TerminationRequest, 1, 10);
    assert_eq!(bench.balance("alice"), -10 * SECOND_PRICE);
    assert_eq!(
        bench.ask("t", InitialRequest, 0, 0).result_code,
        ResultCode::CREDIT_LIMIT_REACHED.0
    );
}

#[test]
fn a_payment_happens_once_under_its_reference() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 5);
    for _ in 0..3 {
        bench.operate(Operation::TopUp {
            account: "alice".into(),
            amount_micro: 5,
            reference: "first".into(),
        });
    }
    assert_eq!(bench.balance("alice"), 5);
    bench.core = bench.restarted();
    bench.operate(Operation::TopUp {
        account: "alice".into(),
        amount_micro: 5,
        reference: "first".into(),
    });
    assert_eq!(bench.balance("alice"), 5);
}

#[test]
fn an_operator_is_told_what_does_not_do() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 5);
    let create = |name: &str, identity: &str| Operation::CreateAccount {
        name: name.into(),
        payment: Payment::Prepaid,
        currency: Currency::EUR,
        credit_limit_micro: 0,
        identities: vec![identity.into()],
    };
    let top_up = |amount_micro, reference: &str| Operation::TopUp {
        account: "alice".into(),
        amount_micro,
        reference: reference.into(),
    };
    for operation in [
        create("alice", "sip:x@example.org"),
        create("bob", "SIP:Alice@example.org"),
        create("a b", "sip:x@example.org"),
        create("@revenue:EUR", "sip:x@example.org"),
        top_up(0, "r"),
        top_up(-5, "r"),
        top_up(i64::MAX, "r"),
        top_up(5, ""),
        Operation::Block {
            account: "nobody".into(),
        },
        Operation::RemoveIdentity {
            identity: "sip:nobody@example.org".into(),
        },
    ] {
        let mut effects = Vec::new();
        let event = Event::Operator {
            token: 9,
            operation,
        };
        bench.core.handle(bench.now, event, &mut effects);
        assert!(
            matches!(
                effects.as_slice(),
                [Effect::Reply {
                    token: 9,
                    result: Err(_)
                }]
            ),
            "{effects:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Any interleaving of calls, repeats, lies, restarts and silence keeps every invariant of [`Bench::check`], spends no
    /// more than there was, and makes one record for each session that began.
    #[test]
    fn money_is_never_made_and_never_lost(
        credit in 0i64..400,
        steps in proptest::collection::vec((0u8..6, 0usize..6, 0u32..90, 0u64..40), 1..60),
        (setup, first) in (0i64..3, 1u32..61),
    ) {
        let mut bench = Bench::with(tariffs(SECOND_PRICE * 60, setup * SECOND_PRICE, first));
        bench.account("alice", Payment::Prepaid, 0, credit * SECOND_PRICE);
        let mut next: HashMap<usize, u32> = HashMap::new();
        for (step, session, used, wait) in steps {
            bench.wait(wait);
            let id = format!("s{session}");
            match step {
                0 | 1 => {
                    if bench.ask(&id, InitialRequest, 0, 0).result_code == ResultCode::SUCCESS.0 {
                        next.entry(session).or_insert(1);
                    }
                }
                2 | 3 => {
                    let kind = if step == 2 { UpdateRequest } else { TerminationRequest };
                    if let Some(number) = next.get_mut(&session) {
                        let first = bench.ask(&id, kind, *number, used);
                        prop_assert_eq!(bench.ask(&id, kind, *number, used), first);
                        *number += 1;
                    }
                }
                4 => drop(bench.handle(Event::Tick)),
                _ => {
                    bench.core = bench.restarted();
                    bench.check();
                }
            }
        }
        bench.wait(10_000);
        bench.handle(Event::Tick);
        prop_assert_eq!(bench.core.open_sessions().count(), 0);
        let spent: i64 = bench.records().iter().map(|record| record.amount_micro).sum();
        prop_assert_eq!(bench.balance("alice"), credit * SECOND_PRICE - spent);
        prop_assert!(bench.balance("alice") >= 0);
        let mut ids: Vec<&str> = bench.records().iter().map(|record| &*record.record_id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), bench.records().len());
        // A late report makes a second one.
        prop_assert_eq!(ids.iter().filter(|id| !id.ends_with("#late")).count(), next.len());
    }

    /// What arrives again, however late and out of order, changes nothing that is stored; the last request of a
    /// session gets its answer again.
#[test]
    fn repeats_in_any_order_change_nothing(
        credit in 0i64..400,
        steps in proptest::collection::vec(
            (0u8..4, 0usize..4, 0u32..90, 0u64..40, proptest::collection::vec(any::<prop::sample::Index>(), 0..4)),
            1..60,
        ),
    ) {
        let mut plain = Bench::new();
        let mut noisy = Bench::new();
        for bench in [&mut plain, &mut noisy] {
            bench.account("alice", Payment::Prepaid, 0, credit * SECOND_PRICE);
        }
        let mut next: HashMap<usize, u32> = HashMap::new();
        let mut sent: Vec<(usize, CcRequestType, u32, u32, Outcome)> = Vec::new();
        for (step, session, used, wait, repeats) in steps {
            plain.wait(wait);
            noisy.wait(wait);
            let number = next.get(&session).copied().unwrap_or(0);
            let kind = match (number, step) {
                (0, _) => InitialRequest,
                (_, 0) => TerminationRequest,
                _ => UpdateRequest,
            };
            let id = format!("s{session}");
            let answer = plain.ask(&id, kind, number, used);
            prop_assert_eq!(&noisy.ask(&id, kind, number, used), &answer);
            // A refused CCR-Initial leaves nothing behind: a repeat of it is a new attempt.
            if number > 0 || answer.result_code == ResultCode::SUCCESS.0 {
                next.insert(session, number + 1);
                sent.push((session, kind, number, used, answer));
            }
            for repeat in repeats {
                let Some((session, kind, number, used, answer)) = (!sent.is_empty()).then(|| repeat.get(&sent)) else {
                    break;
                };
                let again = noisy.ask(&format!("s{session}"), *kind, *number, *used);
                let last = noisy.core.session(&format!("s{session}")).map(|known| known.last.number);
                if last == Some(*number) {
                    prop_assert_eq!(&again, answer);
                } else {
                    prop_assert_ne!(again.result_code, ResultCode::SUCCESS.0);
                }
            }
        }
        prop_assert_eq!(&plain.stored, &noisy.stored);
    }
}
