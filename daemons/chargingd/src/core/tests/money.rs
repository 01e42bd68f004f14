//! Sessions that hold a sum of money.

use tollwire_diameter::credit_control::{CcMoney, UnitValue};

use super::*;

const EUR: u32 = 978;

fn money(amount_micro: i64, currency_code: Option<u32>) -> CcMoney {
    CcMoney {
        unit_value: UnitValue::from_micro(amount_micro),
        currency_code,
        ..CcMoney::default()
    }
}

/// A CCR of `session`: the sum requested or used.
fn ccr(
    payer: &str,
    session: &str,
    kind: CcRequestType,
    number: u32,
    sum: Option<CcMoney>,
) -> CreditControlRequest {
    let mut request = request("alice", session, kind, number, 0);
    request.service_context_id = "32274@3gpp.org".into();
    request.service_information = None;
    request.multiple_services_credit_controls = Vec::new();
    request.subscription_ids = vec![SubscriptionId::new(
        if payer.starts_with("sip:") {
            SubscriptionIdType::EndUserSipUri
        } else {
            SubscriptionIdType::EndUserPrivate
        },
        payer,
    )];
    if kind == TerminationRequest {
        request.used_service_units = sum
            .map(|sum| UsedServiceUnit {
                cc_money: Some(sum),
                ..UsedServiceUnit::default()
            })
            .into_iter()
            .collect();
    } else {
        request.requested_service_unit = sum.map(|sum| RequestedServiceUnit {
            cc_money: Some(sum),
            cc_service_specific_units: Some(2),
            ..RequestedServiceUnit::default()
        });
    }
    request
}

fn bench(credit: i64) -> Bench {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, credit);
    bench
}

impl Bench {
    fn hold(&mut self, session: &str, amount: i64) -> Outcome {
        let sum = Some(money(amount, Some(EUR)));
        self.send(ccr(
            "sip:alice@example.org",
            session,
            InitialRequest,
            0,
            sum,
        ))
    }

    fn end(&mut self, session: &str, used: Option<i64>) -> Outcome {
        let sum = used.map(|amount| money(amount, Some(EUR)));
        self.send(ccr(
            "sip:alice@example.org",
            session,
            TerminationRequest,
            1,
            sum,
        ))
    }

    pub(super) fn held(&self) -> i64 {
        self.core.account("alice").unwrap().held_micro
    }
}

#[test]
fn a_sum_is_held_and_then_debited_once() {
    let mut bench = bench(1_000_000);
    let outcome = bench.hold("s", 190_000);
    assert_eq!(outcome.result_code, ResultCode::SUCCESS.0);
    let sum = outcome.granted_sum().unwrap();
    assert_eq!(
        (sum.amount_micro, sum.currency, sum.units),
        (190_000, EUR, 2)
    );
    assert_eq!((bench.held(), bench.balance("alice")), (190_000, 1_000_000));
    for _ in 0..2 {
        let outcome = bench.end("s", Some(190_000));
        assert_eq!(outcome.result_code, ResultCode::SUCCESS.0);
        assert_eq!(outcome.cost, Some((190_000, EUR)));
        assert_eq!((bench.held(), bench.balance("alice")), (0, 810_000));
    }
    assert!(bench.records().is_empty(), "the record is the client's");
    let entry = bench.stored.iter().find_map(|mutation| match mutation {
        Mutation::Entry(entry) if entry.key.starts_with("s#") => Some(entry),
        _ => None,
    });
    assert_eq!(entry.unwrap().amount, 190_000);
}

#[test]
fn what_is_not_used_is_released_and_more_than_held_is_not_taken() {
    let mut bench = bench(1_000_000);
    bench.hold("none", 200_000);
    bench.hold("part", 200_000);
    bench.hold("more", 200_000);
    assert_eq!(bench.held(), 600_000);
    assert_eq!(bench.end("none", None).cost, Some((0, EUR)));
    assert_eq!(bench.end("part", Some(50_000)).cost, Some((50_000, EUR)));
    assert_eq!(bench.end("more", Some(999_999)).cost, Some((200_000, EUR)));
    assert_eq!((bench.held(), bench.balance("alice")), (0, 750_000));
    assert_eq!(bench.core.counters().excessive_reports, 1);
}

#[test]
fn refusals_by_their_codes() {
    let mut bench = bench(100_000);
    let code = |outcome: Outcome| ResultCode(outcome.result_code);
    assert_eq!(
        code(bench.hold("a", 100_001)),
        ResultCode::CREDIT_LIMIT_REACHED
    );
    let ask = |bench: &mut Bench, payer, sum| {
        let request = ccr(payer, "b", InitialRequest, 0, Some(sum));
        code(bench.send(request))
    };
    let alice = "sip:alice@example.org";
    assert_eq!(
        ask(&mut bench, "sip:nobody@example.org", money(1, None)),
        ResultCode::USER_UNKNOWN
    );
    assert_eq!(
        ask(&mut bench, alice, money(1, Some(840))),
        ResultCode::RATING_FAILED
    );
    assert_eq!(
        ask(&mut bench, alice, money(-1, None)),
        ResultCode::RATING_FAILED
    );
    assert_eq!(
        code(bench.end("never", None)),
        ResultCode::UNKNOWN_SESSION_ID
    );
    bench.operate(Operation::Block {
        account: "alice".into(),
    });
    assert_eq!(
        ask(&mut bench, alice, money(1, None)),
        ResultCode::END_USER_SERVICE_DENIED
    );
    bench.operate(Operation::Unblock {
        account: "alice".into(),
    });
    // An account may be named by itself; without a currency the sum is in the account's.
    assert_eq!(
        ask(&mut bench, "alice", money(100_000, None)),
        ResultCode::SUCCESS
    );
    assert_eq!(code(bench.hold("c", 1)), ResultCode::CREDIT_LIMIT_REACHED);
    assert_eq!(code(bench.hold("d", 0)), ResultCode::SUCCESS);
}

#[test]
fn a_silent_client_has_its_hold_released_and_a_renewal_keeps_it() {
    let mut bench = bench(1_000_000);
    bench.hold("s", 300_000);
    bench.wait(3599);
    let renewal = ccr("sip:alice@example.org", "s", UpdateRequest, 1, None);
    assert_eq!(bench.send(renewal).result_code, ResultCode::SUCCESS.0);
    bench.wait(3599);
    bench.handle(Event::Tick);
    assert_eq!(bench.held(), 300_000);
    // The first request again, after a crash of the client: the same hold, and held for longer.
    assert_eq!(bench.hold("s", 300_000).result_code, ResultCode::SUCCESS.0);
    assert_eq!(bench.held(), 300_000);
    assert_eq!(
        bench.hold("s", 300_001).result_code,
        ResultCode::UNABLE_TO_COMPLY.0,
        "another sum under the same name"
    );
    bench.wait(3600);
    bench.handle(Event::Tick);
    assert_eq!((bench.held(), bench.balance("alice")), (0, 1_000_000));
    let outcome = bench.hold("s", 300_000);
    assert_eq!(outcome.result_code, ResultCode::UNKNOWN_SESSION_ID.0);
    assert_eq!(bench.balance("alice"), 1_000_000);
    assert!(bench.aborted.is_empty() && bench.records().is_empty());
}

#[test]
fn a_restart_forgets_nothing() {
    let mut bench = bench(1_000_000);
    bench.hold("open", 300_000);
    bench.hold("closed", 100_000);
    bench.end("closed", Some(100_000));
    bench.core = bench.restarted();
    assert_eq!((bench.held(), bench.balance("alice")), (300_000, 900_000));
    assert_eq!(
        bench.end("closed", Some(100_000)).cost,
        Some((100_000, EUR))
    );
    assert_eq!(bench.end("open", Some(300_000)).cost, Some((300_000, EUR)));
    assert_eq!((bench.held(), bench.balance("alice")), (0, 600_000));
}

proptest! {
    /// Requests in any order, repeated, with restarts between: each session costs once at most, and what is not
    /// debited comes back.
    #[test]
    fn money_is_neither_lost_nor_made(steps in proptest::collection::vec((0u8..6, 0u8..5, 0i64..400_000), 0..60)) {
        let mut bench = bench(1_000_000);
        let mut charged: HashMap<u8, i64> = HashMap::new();
        for (what, session, amount) in steps {
            let name = format!("s{session}");
            match what {
                0 | 1 => drop(bench.hold(&name, amount)),
                2 => if let Some((micro, _)) = bench.end(&name, Some(amount)).cost {
                    prop_assert_eq!(*charged.entry(session).or_insert(micro), micro);
                },
                3 => if let Some((micro, _)) = bench.end(&name, None).cost {
                    prop_assert_eq!(*charged.entry(session).or_insert(micro), micro);
                },
                4 => {
                    // Less in all than a closed session is remembered.
                    bench.wait(50);
                    bench.handle(Event::Tick);
                }
                _ => bench.core = bench.restarted(),
            }
            bench.check();
            let spent: i64 = charged.values().sum();
            prop_assert_eq!(bench.balance("alice"), 1_000_000 - spent);
        }
        bench.wait(7200);
        bench.handle(Event::Tick);
        prop_assert_eq!(bench.held(), 0);
    }
}
