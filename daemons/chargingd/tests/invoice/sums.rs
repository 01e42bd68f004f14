//! Whatever is bought, paid and refunded: every sum holds to the micro-unit.

use chargingd::invoice::{Amounts, Bill, Shares, Statement};
use iso_currency::Currency;
use proptest::prelude::*;

use crate::made;

const LARGEST: i64 = 1 << 53;

fn currencies() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec![
        Currency::EUR,
        Currency::JPY,
        Currency::KWD,
        Currency::XAU,
    ])
}

fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![
        -1_000_000i64..1_000_000,
        -100_000_000_000i64..100_000_000_000,
        -99i64..99
    ]
}

fn unit(currency: Currency) -> i64 {
    10i64.pow(6 - u32::from(currency.exponent().unwrap_or(6)))
}

fn add(one: Amounts, other: Amounts) -> Amounts {
    let sum = |one: chargingd::invoice::Sum, other| one.plus(other).unwrap();
    Amounts {
        net: sum(one.net, other.net),
        tax: sum(one.tax, other.tax),
        gross: sum(one.gross, other.gross),
    }
}

proptest! {
    #[test]
    fn lines_taxes_total_and_ledger_agree(
        opening in -LARGEST..LARGEST,
        currency in currencies(),
        entries in prop::collection::vec((0..4usize, 0..3usize, 0..3u16, amounts(), 0..60i64), 0..60),
    ) {
        let mut frame = made::frame("2026-10");
        frame.currency = currency;
        frame.opening_micro = opening;
        let (from, until) = (frame.from_unix_ms, frame.until_unix_ms);
        let mut bill = Bill::default();
        let mut ledger = i128::from(opening);
        let mut revenue = 0;
        for (side, service, rate, amount, days) in &entries {
            if *amount == 0 {
                continue;
            }
            let side = ["@revenue:EUR", "@cash:EUR", "@expired:EUR", "@revenue:EUR"][*side];
            let about = made::about(["", "calls", "data"][*service], ["", "shop", "x"][*service], [0, 700, 1900][usize::from(*rate)]);
            bill.add(made::item(side, *amount, until - days * 86_400_000, "k", about), from);
            ledger += i128::from(*amount);
            if side == "@revenue:EUR" {
                revenue += amount;
            }
        }
        let invoice = bill.invoice(frame).unwrap();
        let Statement { opening: before, charges, payments, others, rounding_minor, due_minor, carried_micro, closing_micro } = invoice.statement;
        prop_assert_eq!(i128::from(closing_micro), ledger);
        prop_assert_eq!(i128::from(due_minor) * i128::from(unit(currency)) + i128::from(carried_micro), ledger);
        prop_assert!(carried_micro.abs() * 2 <= unit(currency));
        prop_assert_eq!(charges.micro, revenue);
        prop_assert_eq!(before.micro + charges.micro - payments.micro + others.micro, closing_micro);
        prop_assert_eq!(before.minor + charges.minor - payments.minor + others.minor + rounding_minor, due_minor);
        let lines = invoice.lines.iter().fold(Amounts::default(), |sum, line| add(sum, line.amounts));
        let taxes = invoice.taxes.iter().fold(Amounts::default(), |sum, tax| add(sum, tax.amounts));
        prop_assert_eq!(lines, invoice.total);
        prop_assert_eq!(taxes, invoice.total);
        prop_assert_eq!(invoice.total.gross, charges);
        for amounts in invoice.lines.iter().map(|line| line.amounts).chain([invoice.total]) {
            prop_assert_eq!(amounts.net.plus(amounts.tax).unwrap(), amounts.gross);
        }
        for tax in &invoice.taxes {
            // Rounded once: no further from the exact quotient than half a micro-unit.
            let (rate, gross) = (i128::from(tax.basis_points), i128::from(tax.amounts.gross.micro));
            let off = (i128::from(tax.amounts.tax.micro) * (10_000 + rate) - gross * rate).abs();
            prop_assert!(off * 2 <= 10_000 + rate);
            let lines = invoice.lines.iter().filter(|line| line.tax_basis_points == tax.basis_points);
            let lines = lines.fold(Amounts::default(), |sum, line| add(sum, line.amounts));
            prop_assert_eq!(lines, tax.amounts);
        }
        let counted: u64 = invoice.lines.iter().map(|line| line.count).sum::<u64>()
            + invoice.payments.iter().map(|payment| payment.count).sum::<u64>()
            + invoice.others.iter().map(|other| other.count).sum::<u64>();
        prop_assert_eq!(counted, invoice.entries);
        prop_assert_eq!(invoice.entries, entries.iter().filter(|entry| entry.3 != 0).count() as u64);
    }

    #[test]
    fn a_provider_gets_gross_less_commission(
        currency in currencies(),
        brought in -499_999i64..499_999,
        entries in prop::collection::vec((0..3usize, 0..3usize, 0..3usize, amounts()), 0..40),
    ) {
        let mut shares = Shares::default();
        let (mut gross, mut points) = (0i128, 0i128);
        for (service, tax, rate, amount) in &entries {
            let rate = [0, 2550, 10_000][*rate];
            shares.add(["", "a", "b"][*service], [0, 700, 1900][*tax], rate, 1, *amount);
            gross += i128::from(*amount);
            points += i128::from(*amount) * i128::from(rate);
        }
        let made = made::settlement();
        let heading = chargingd::invoice::Heading {
            period: made.period, issuer: made.issuer, time_zone: made.time_zone, from: made.from, issued: made.issued,
        };
        let settlement = shares.settlement("p".into(), currency, brought, &heading).unwrap();
        let total = settlement.total;
        prop_assert_eq!(i128::from(total.gross.micro), gross);
        prop_assert!((i128::from(total.commission.micro) * 10_000 - points).abs() * 2 <= 10_000);
        prop_assert_eq!(total.payable, total.gross.minus(total.commission).unwrap());
        let owed = brought + total.payable.micro;
        prop_assert_eq!(settlement.payable_minor * unit(currency) + settlement.carried_micro, owed);
        prop_assert_eq!(total.payable.minor + settlement.rounding_minor, settlement.payable_minor);
        let lines: i64 = settlement.lines.iter().map(|line| line.amounts.payable.micro).sum();
        prop_assert_eq!(lines, total.payable.micro);
        let minor: i64 = settlement.lines.iter().map(|line| line.amounts.payable.minor).sum();
        prop_assert_eq!(minor, total.payable.minor);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let mut bill = Bill::default();
    for key in ["a", "b"] {
        bill.add(
            made::item(
                "@revenue:EUR",
                i64::MAX,
                0,
                key,
                made::about("calls", "", 1900),
            ),
            None,
        );
    }
    assert!(bill.invoice(made::frame("2026-10")).is_err());
}

#[test]
fn many_payments_are_one_line_at_last() {
    let mut bill = Bill::default();
    for number in 0..600 {
        let key = format!("top-up alice {number}");
        bill.add(
            made::item(
                "@cash:EUR",
                -1_000_001,
                made::at("2026-10-02T00:00:00Z"),
                &key,
                made::about("", "", 0),
            ),
            None,
        );
    }
    let invoice = bill.invoice(made::frame("2026-10")).unwrap();
    assert_eq!(invoice.payments.len(), 501);
    assert_eq!(invoice.payments[500].count, 100);
    assert_eq!(invoice.statement.payments.micro, 600 * 1_000_001);
}
