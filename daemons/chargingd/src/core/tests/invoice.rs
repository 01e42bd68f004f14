//! Payments for somebody else's goods: whose the money is.

use tollwire_diameter::credit_control::CcRequestType::EventRequest;
use tollwire_diameter::credit_control::RequestedAction::{DirectDebiting, RefundAccount};
use tollwire_diameter::credit_control::{
    CcMoney, INVOICE_CONTEXT, InvoiceParameters, RequestedAction, UnitValue,
};

use super::service::terms;
use super::*;
use crate::invoice::Shares;
use crate::ledger::{About, Commodity};

const EUR: u32 = 978;
const GROUP: u32 = 40;

fn parameters(fee_micro: i64) -> InvoiceParameters {
    InvoiceParameters {
        service: "A song".into(),
        provider: "shop.example".into(),
        fee_micro,
        tax_basis_points: 1900,
        reference: "Zm9vYmFyZm9vYmFyZm9vYg".into(),
        debit: None,
    }
}

fn payment(session: &str, action: RequestedAction, amount: i64, fee: i64) -> CreditControlRequest {
    let mut request = request("alice", session, EventRequest, 0, 0);
    request.service_context_id = INVOICE_CONTEXT.into();
    request.service_parameter_infos = parameters(fee).to_infos();
    request.requested_action = Some(action);
    let service = MultipleServicesCreditControl {
        rating_group: Some(GROUP),
        requested_service_unit: Some(RequestedServiceUnit {
            cc_money: Some(CcMoney {
                unit_value: UnitValue::from_micro(amount),
                currency_code: Some(EUR),
                ..CcMoney::default()
            }),
            ..RequestedServiceUnit::default()
        }),
        ..MultipleServicesCreditControl::default()
    };
    request.multiple_services_credit_controls = vec![service];
    request.used_service_units = Vec::new();
    request
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.core.set_settings(Settings {
        max_refund_micro: 10_000_000,
        ..Settings::default()
    });
    bench.account("alice", Payment::Prepaid, 0, 10_000_000);
    bench
}

impl Bench {
    fn pay(&mut self, session: &str, action: RequestedAction, amount: i64, fee: i64) -> u32 {
        let outcome = self.send(payment(session, action, amount, fee));
        outcome.result_code
    }

    /// What the provider is owed: paid, kept.
    fn settled(&self) -> (i64, i64) {
        let mut shares = (0, 0);
        for entry in self
            .entries()
            .filter(|entry| !entry.about.provider.is_empty())
        {
            let sign = if entry.credit.starts_with("@revenue:") {
                1
            } else {
                -1
            };
            shares.0 += sign * entry.amount;
            shares.1 +=
                sign * entry.amount * i64::from(entry.about.commission_basis_points) / 10_000;
        }
        shares
    }
}

#[test]
fn a_payment_is_the_providers_but_for_the_fee_to_the_micro_unit() {
    let mut bench = bench();
    for _ in 0..3 {
        assert_eq!(
            bench.pay("p", DirectDebiting, 990_000, 24_751),
            ResultCode::SUCCESS.0
        );
    }
    assert_eq!(bench.balance("alice"), 9_010_000);
    assert_eq!(bench.settled(), (990_000, 24_751));
    let about: Vec<(i64, About)> = bench
        .entries()
        .filter(|entry| &*entry.debit == "alice")
        .map(|entry| (entry.amount, entry.about.clone()))
        .collect();
    let of = |commission_basis_points| About {
        service: "A song".into(),
        provider: "shop.example".into(),
        tax_basis_points: 1900,
        commission_basis_points,
    };
    assert_eq!(about, [(965_249, of(0)), (24_751, of(10_000))]);
    // What settlements make of these rates is the fee itself.
    let mut shares = Shares::default();
    for (amount, about) in &about {
        shares.add(
            &about.service,
            1900,
            about.commission_basis_points,
            1,
            *amount,
        );
    }
    let heading = crate::invoice::Heading {
        period: "2026-10".parse().unwrap(),
        issuer: Default::default(),
        time_zone: "UTC".into(),
        from: "2026-10-01".parse().unwrap(),
        issued: "2026-11-01".parse().unwrap(),
    };
    let settlement = shares
        .settlement("shop.example".into(), Currency::EUR, 0, &heading)
        .unwrap();
    assert_eq!(settlement.total.gross.micro, 990_000);
    assert_eq!(settlement.total.commission.micro, 24_751);
    assert_eq!(settlement.total.payable.micro, 965_249);
    bench.check();
}

#[test]
fn a_refund_takes_back_the_fee_too() {
    let mut bench = bench();
    bench.pay("p", DirectDebiting, 990_000, 24_751);
    for _ in 0..2 {
        assert_eq!(
            bench.pay("r", RefundAccount, 990_000, 24_751),
            ResultCode::SUCCESS.0
        );
    }
    assert_eq!(bench.balance("alice"), 10_000_000);
    assert_eq!(bench.settled(), (0, 0));
    bench.check();
}

impl Bench {
    fn give_back(&mut self, session: &str, debit: &str, amount: i64, fee: i64) -> u32 {
        let mut request = payment(session, RefundAccount, amount, fee);
        let named = InvoiceParameters {
            debit: Some(debit.into()),
            ..parameters(fee)
        };
        request.service_parameter_infos = named.to_infos();
        self.send(request).result_code
    }
}

#[test]
fn a_debit_that_is_named_is_given_back_once_however_late() {
    let mut bench = bench();
    bench.core.set_settings(Settings::default());
    bench.pay("p", DirectDebiting, 990_000, 24_751);
    bench.pay("q", DirectDebiting, 500_000, 0);
    let refused = ResultCode::AUTHORIZATION_REJECTED.0;
    // Without a name operators' bound counts, which is zero by default.
    assert_eq!(bench.pay("r", RefundAccount, 990_000, 24_751), refused);
    assert_eq!(
        bench.give_back("r", "none", 990_000, 24_751),
        ResultCode::UNKNOWN_SESSION_ID.0
    );
    for (debit, amount, fee) in [
        ("p", 990_001, 24_751),
        ("p", 990_000, 24_750),
        ("p", 1, 0),
        ("q", 990_000, 24_751),
    ] {
        assert_eq!(
            bench.give_back("r", debit, amount, fee),
            refused,
            "{debit} {amount}"
        );
    }
    // A week later, and after a restart.
    for day in 0..8 {
        bench.wait(86_400);
        bench.handle(Event::Tick);
        assert_eq!(
            bench.pay("p", DirectDebiting, 990_000, 24_751),
            ResultCode::SUCCESS.0,
            "day {day}"
        );
    }
    bench.core = bench.restarted();
    assert_eq!(
        bench.balance("alice"),
        8_510_000,
        "a repeated payment is charged once"
    );
    for _ in 0..2 {
        assert_eq!(
            bench.give_back("r", "p", 990_000, 24_751),
            ResultCode::SUCCESS.0
        );
    }
    assert_eq!(bench.give_back("s", "p", 990_000, 24_751), refused);
    assert_eq!(
        bench.give_back("s", "r", 990_000, 24_751),
        refused,
        "a refund is no debit"
    );
    assert_eq!(bench.balance("alice"), 9_500_000);
    assert_eq!(bench.settled(), (500_000, 0));
    // At last it is forgotten.
    bench.wait(40 * 86_400);
    bench.handle(Event::Tick);
    assert_eq!(
        bench.give_back("t", "q", 500_000, 0),
        ResultCode::UNKNOWN_SESSION_ID.0
    );
    bench.check();
}

#[test]
fn goods_are_paid_in_money_alone_and_from_several_accounts() {
    let mut bench = bench();
    let mut money = terms(GROUP, Commodity::Money(Currency::EUR));
    money.when_short = Some(crate::class::WhenShort::MainAccount);
    for (name, terms, amount) in [
        ("games", terms(GROUP, Commodity::Events), 5_000),
        ("flat", terms(GROUP, Commodity::Access), 1_000),
        ("pocket", money, 600_000),
    ] {
        bench.service_account(name, terms);
        bench.operate(Operation::Recharge {
            account: "alice".into(),
            service_account: name.into(),
            amount: Some(amount),
            part: false,
            reference: name.into(),
        });
    }
    let before = bench.balance("alice");
    assert_eq!(
        bench.pay("p", DirectDebiting, 990_000, 700_000),
        ResultCode::SUCCESS.0
    );
    // 0.60 of the pocket, 0.39 of the main account; both parts of the payment come to what they should.
    assert_eq!(bench.balance("alice"), before - 390_000);
    assert_eq!(bench.settled(), (990_000, 700_000));
    let events = bench
        .entries()
        .filter(|entry| entry.debit.starts_with("alice/games"));
    assert_eq!(events.count(), 0, "units paid for goods");
    bench.check();
}

#[test]
fn what_cannot_be_right_is_refused_and_nothing_moves() {
    let mut bench = bench();
    // More is kept than paid.
    assert_eq!(
        bench.pay("p", DirectDebiting, 990_000, 990_001),
        ResultCode::RATING_FAILED.0
    );
    let mut request = payment("q", DirectDebiting, 990_000, 0);
    request.service_parameter_infos.pop();
    assert_eq!(bench.send(request).result_code, ResultCode::RATING_FAILED.0);
    assert_eq!(
        bench.pay("r", DirectDebiting, 10_000_001, 0),
        ResultCode::CREDIT_LIMIT_REACHED.0
    );
    assert_eq!(bench.balance("alice"), 10_000_000);
    // All of it may be a fee, or none.
    assert_eq!(
        bench.pay("s", DirectDebiting, 10, 10),
        ResultCode::SUCCESS.0
    );
    assert_eq!(bench.pay("t", DirectDebiting, 10, 0), ResultCode::SUCCESS.0);
    assert_eq!(bench.settled(), (20, 10));
    bench.check();
}
