//! Reports of sessions that supervision has closed.

use tollwire_diameter::credit_control::{CcMoney, UnitValue};

use super::*;

/// A call of which 30 seconds are reported and 60 granted, and whose client has fallen silent.
fn silent(credit_seconds: i64) -> Bench {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, credit_seconds * SECOND_PRICE);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(30);
    bench.ask("s", UpdateRequest, 1, 30);
    bench.wait(200);
    bench.handle(Event::Tick);
    assert_eq!(bench.core.open_sessions().count(), 0);
    bench
}

#[test]
fn what_was_used_is_paid_once_and_recorded_beside_the_rest() {
    let mut bench = silent(100);
    for _ in 0..2 {
        let outcome = bench.ask("s", TerminationRequest, 2, 45);
        assert_eq!(outcome.result_code, ResultCode::SUCCESS.0);
        assert_eq!(outcome.cost.unwrap().0, 75 * SECOND_PRICE);
        assert_eq!(bench.balance("alice"), 25 * SECOND_PRICE);
        // Also by who knows of it from the disk alone.
        bench.core = bench.restarted();
    }
    let told: Vec<(&str, u64, i64, i64)> = bench
        .records()
        .iter()
        .map(|record| {
            let id = record.record_id.as_str();
            (
                id,
                record.charged_seconds,
                record.duration_ms,
                record.amount_micro,
            )
        })
        .collect();
    assert_eq!(told[1], ("s#late", 45, 45_000, 45 * SECOND_PRICE));
    assert_eq!(
        (told[0].0, told[0].1, told[0].3),
        ("s", 30, 30 * SECOND_PRICE)
    );
    assert_eq!(told.len(), 2);
}

#[test]
fn no_more_than_was_granted_and_no_more_than_there_is() {
    let mut bench = silent(100);
    let outcome = bench.ask("s", TerminationRequest, 2, 500);
    assert_eq!(outcome.cost.unwrap().0, 90 * SECOND_PRICE);
    assert_eq!(bench.balance("alice"), 10 * SECOND_PRICE);

    // Another call holds what is left meanwhile.
    let mut bench = silent(100);
    let other = bench.ask("t", InitialRequest, 0, 0);
    assert_eq!(other.granted_seconds(), Some(60));
    let outcome = bench.ask("s", TerminationRequest, 2, 45);
    assert_eq!(
        outcome.cost.unwrap().0,
        40 * SECOND_PRICE,
        "ten of 45 seconds"
    );
    assert_eq!(bench.balance("alice"), 60 * SECOND_PRICE);
    assert_eq!(bench.records()[1].amount_micro, 10 * SECOND_PRICE);
    bench.wait(60);
    bench.ask("t", TerminationRequest, 1, 60);
    assert_eq!(bench.balance("alice"), 0);
}

#[test]
fn a_late_report_of_nothing_makes_no_record() {
    let mut bench = silent(100);
    assert_eq!(
        bench.ask("s", TerminationRequest, 2, 0).result_code,
        ResultCode::SUCCESS.0
    );
    assert_eq!(
        (bench.records().len(), bench.balance("alice")),
        (1, 70 * SECOND_PRICE)
    );
    // It was the last: nothing comes behind it.
    let outcome = bench.ask("s", TerminationRequest, 3, 30);
    assert_eq!(outcome.result_code, ResultCode::UNKNOWN_SESSION_ID.0);
    assert_eq!(bench.balance("alice"), 70 * SECOND_PRICE);
}

#[test]
fn the_price_of_a_message_is_taken_whole_or_not_yet() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 200_000);
    let message = |kind, number| {
        let mut request = request("alice", "m", kind, number, 0);
        let sum = CcMoney {
            unit_value: UnitValue::from_micro(150_000),
            currency_code: Some(978),
            ..CcMoney::default()
        };
        request.service_information = None;
        request.multiple_services_credit_controls = Vec::new();
        if kind == InitialRequest {
            request.requested_service_unit = Some(RequestedServiceUnit {
                cc_money: Some(sum),
                ..RequestedServiceUnit::default()
            });
        } else {
            request.used_service_units = vec![UsedServiceUnit {
                cc_money: Some(sum),
                ..UsedServiceUnit::default()
            }];
        }
        request
    };
    assert_eq!(
        bench.send(message(InitialRequest, 0)).result_code,
        ResultCode::SUCCESS.0
    );
    bench.wait(3_600);
    bench.handle(Event::Tick);
    // Meanwhile a call holds 10 of the 20 cents.
    assert_eq!(
        bench.ask("call", InitialRequest, 0, 0).granted_seconds(),
        Some(20)
    );
    let outcome = bench.send(message(TerminationRequest, 1));
    assert_eq!(outcome.result_code, ResultCode::UNKNOWN_SESSION_ID.0);
    bench.ask("call", TerminationRequest, 1, 0);
    for _ in 0..2 {
        let outcome = bench.send(message(TerminationRequest, 1));
        assert_eq!(outcome.cost, Some((150_000, 978)));
        assert_eq!(bench.balance("alice"), 50_000);
    }
    assert!(
        bench
            .records()
            .iter()
            .all(|record| record.record_id != "m#late")
    );
}
