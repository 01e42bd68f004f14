//! One-time events.

use tollwire_diameter::credit_control::CcRequestType::EventRequest;
use tollwire_diameter::credit_control::RequestedAction::{
    CheckBalance, DirectDebiting, PriceEnquiry, RefundAccount,
};
use tollwire_diameter::credit_control::{CcMoney, RequestedAction, UnitValue};

use super::*;

const EUR: u32 = 978;

/// A CCR-E of `session` for alice: a sum, or seconds of a call.
fn event(
    session: &str,
    action: Option<RequestedAction>,
    sum: Option<(i64, u32)>,
    seconds: Option<u32>,
) -> CreditControlRequest {
    let mut request = request("alice", session, EventRequest, 0, 0);
    request.requested_action = action;
    request.multiple_services_credit_controls = Vec::new();
    request.used_service_units = Vec::new();
    request.requested_service_unit = Some(RequestedServiceUnit {
        cc_money: sum.map(|(amount_micro, currency_code)| CcMoney {
            unit_value: UnitValue::from_micro(amount_micro),
            currency_code: Some(currency_code),
            ..CcMoney::default()
        }),
        cc_time: seconds,
        ..RequestedServiceUnit::default()
    });
    request
}

fn bench(credit: i64, max_refund_micro: i64) -> Bench {
    let mut bench = Bench::new();
    bench.core.set_settings(Settings {
        max_refund_micro,
        ..Settings::default()
    });
    bench.account("alice", Payment::Prepaid, 0, credit);
    bench
}

impl Bench {
    fn event(&mut self, session: &str, action: RequestedAction, amount: i64) -> Outcome {
        self.send(event(session, Some(action), Some((amount, EUR)), None))
    }
}

#[test]
fn a_direct_debit_is_taken_once() {
    let mut bench = bench(1_000_000, 0);
    for _ in 0..3 {
        let outcome = bench.event("e", DirectDebiting, 190_000);
        assert_eq!(outcome.result_code, ResultCode::SUCCESS.0);
        assert_eq!(outcome.cost, Some((190_000, EUR)));
        assert_eq!(outcome.granted_sum().unwrap().amount_micro, 190_000);
        assert_eq!(bench.balance("alice"), 810_000);
    }
    assert_eq!(bench.core.counters().repeated, 2);
    // Also by who knows of it from the disk alone, and after its tariff has gone.
    bench.core = bench.restarted();
    bench.handle(Event::Rules(Box::default()));
    assert_eq!(
        bench.event("e", DirectDebiting, 190_000).cost,
        Some((190_000, EUR))
    );
    assert_eq!(bench.balance("alice"), 810_000);
    // Another event under the same name is none.
    for (action, amount) in [(DirectDebiting, 190_001), (RefundAccount, 190_000)] {
        let outcome = bench.event("e", action, amount);
        assert_eq!(outcome.result_code, ResultCode::UNABLE_TO_COMPLY.0);
    }
    assert_eq!(bench.balance("alice"), 810_000);
    assert!(bench.records().is_empty(), "the record is the client's");
}

#[test]
fn all_of_it_or_nothing_and_holds_count() {
    let mut bench = bench(1_000_000, 0);
    // A call holds 60 cents of it.
    assert_eq!(
        bench.ask("call", InitialRequest, 0, 0).granted_seconds(),
        Some(60)
    );
    let outcome = bench.event("much", DirectDebiting, 400_001);
    assert_eq!(outcome.result_code, ResultCode::CREDIT_LIMIT_REACHED.0);
    assert_eq!(bench.balance("alice"), 1_000_000);
    // What was refused may be asked again, and counts as new.
    assert_eq!(
        bench.event("much", DirectDebiting, 400_000).result_code,
        ResultCode::SUCCESS.0
    );
    assert_eq!(bench.balance("alice"), 600_000);
    // The call's account is as it was.
    bench.wait(60);
    assert_eq!(
        bench.ask("call", TerminationRequest, 1, 60).cost,
        Some((600_000, EUR))
    );
    assert_eq!(bench.balance("alice"), 0);
}

#[test]
fn a_balance_check_and_a_price_change_nothing() {
    let mut bench = bench(1_000_000, 0);
    let stored = bench.stored.len();
    for (amount, enough) in [(0, true), (1_000_000, true), (1_000_001, false)] {
        let outcome = bench.event("c", CheckBalance, amount);
        assert_eq!(outcome.enough_credit, Some(enough), "{amount}");
        assert_eq!(outcome.result_code, ResultCode::SUCCESS.0);
    }
    // A call of 90 seconds to the called party, by the tariff.
    let outcome = bench.send(event("p", Some(PriceEnquiry), None, Some(90)));
    assert_eq!(outcome.cost, Some((90 * SECOND_PRICE, EUR)));
    let outcome = bench.send(event("p", Some(CheckBalance), None, Some(101)));
    assert_eq!(outcome.enough_credit, Some(false));
    assert_eq!(bench.stored.len(), stored);
    let outcome = bench.send(event("t", Some(DirectDebiting), None, Some(30)));
    assert_eq!(outcome.granted_seconds(), Some(30));
    assert_eq!(bench.balance("alice"), 700_000);
}

#[test]
fn refunds_are_as_the_operator_allows() {
    let mut bench = bench(100_000, 0);
    let code = |outcome: Outcome| ResultCode(outcome.result_code);
    assert_eq!(
        code(bench.event("r", RefundAccount, 1)),
        ResultCode::AUTHORIZATION_REJECTED
    );
    bench.core.set_settings(Settings {
        max_refund_micro: 50_000,
        ..Settings::default()
    });
    assert_eq!(
        code(bench.event("r", RefundAccount, 50_001)),
        ResultCode::AUTHORIZATION_REJECTED
    );
    bench.operate(Operation::Block {
        account: "alice".into(),
    });
    for _ in 0..2 {
        let outcome = bench.event("r", RefundAccount, 50_000);
        assert_eq!(outcome.cost, Some((50_000, EUR)));
        assert_eq!(
            bench.balance("alice"),
            150_000,
            "once, and to one who is blocked"
        );
    }
    assert_eq!(
        code(bench.event("d", DirectDebiting, 1)),
        ResultCode::END_USER_SERVICE_DENIED
    );
    let entry = bench.stored.iter().find_map(|mutation| match mutation {
        Mutation::Entry(entry) if entry.key.starts_with("r#") => Some(entry),
        _ => None,
    });
    let entry = entry.unwrap();
    assert_eq!((&*entry.debit, &*entry.credit), ("@revenue:EUR", "alice"));
}

#[test]
fn refusals_by_their_codes() {
    let mut bench = bench(100_000, 0);
    let mut code = |request: CreditControlRequest| ResultCode(bench.send(request).result_code);
    assert_eq!(
        code(event("a", None, Some((1, EUR)), None)),
        ResultCode::MISSING_AVP
    );
    assert_eq!(
        code(event("b", Some(DirectDebiting), None, None)),
        ResultCode::RATING_FAILED
    );
    assert_eq!(
        code(event("c", Some(DirectDebiting), Some((1, 840)), None)),
        ResultCode::RATING_FAILED,
        "dollars of euros"
    );
    assert_eq!(
        code(event("d", Some(DirectDebiting), Some((-1, EUR)), None)),
        ResultCode::RATING_FAILED
    );
    let mut stranger = event("e", Some(DirectDebiting), Some((1, EUR)), None);
    stranger.subscription_ids = vec![SubscriptionId::new(
        SubscriptionIdType::EndUserSipUri,
        "sip:nobody@example.org",
    )];
    assert_eq!(code(stranger), ResultCode::USER_UNKNOWN);
    // Under the name of a session that runs.
    assert_eq!(
        ResultCode(bench.ask("s", InitialRequest, 0, 0).result_code),
        ResultCode::SUCCESS
    );
    assert_eq!(
        ResultCode(bench.event("s", DirectDebiting, 1).result_code),
        ResultCode::UNABLE_TO_COMPLY
    );
    assert_eq!(bench.balance("alice"), 100_000);
}

proptest! {
    /// Whatever comes, is repeated, and is interrupted by a restart: the books balance (`Bench::check`), the limit holds,
    /// and what was taken is what was told.
    #[test]
    fn events_among_sessions(steps in proptest::collection::vec((0..6_u8, 0..8_u8, 0..300_000_i64), 1..60)) {
        let mut bench = bench(1_000_000, 100_000);
        let mut told: HashMap<String, i64> = HashMap::new();
        for (what, name, amount) in steps {
            let session = format!("{what}-{name}");
            match what {
                0..=2 => {
                    let action = if what == 2 { RefundAccount } else { DirectDebiting };
                    let outcome = bench.event(&session, action, amount);
                    if outcome.result_code == ResultCode::SUCCESS.0 {
                        let (cost, _) = outcome.cost.unwrap();
                        let signed = if what == 2 { -cost } else { cost };
                        prop_assert_eq!(*told.entry(session).or_insert(signed), signed);
                    }
                }
                3 => drop(bench.ask(&session, InitialRequest, 0, 0)),
                4 => {
                    bench.wait(10);
                    let outcome = bench.ask(&format!("3-{name}"), TerminationRequest, 1, 10);
                    if let (0 | 2001, Some((cost, _))) = (outcome.result_code, outcome.cost) {
                        told.insert(format!("3-{name}"), cost);
                    }
                }
                _ => {
                    bench.core = bench.restarted();
                    let settings = Settings { max_refund_micro: 100_000, ..Settings::default() };
                    bench.core.set_settings(settings);
                }
            }
        }
        let taken: i64 = told.values().sum();
        prop_assert_eq!(bench.balance("alice"), 1_000_000 - taken);
    }
}
