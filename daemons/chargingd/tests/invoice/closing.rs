//! Closing periods over a store.

use std::collections::BTreeMap;
use std::time::Duration;

use chargingd::account::Payment;
use chargingd::invoice::Statement;
use chargingd::invoice::close::{CloseError, preview};
use chargingd::ledger::{About, Commodity};
use chargingd::store::{self, Place, Server};
use iso_currency::Currency;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::books::{Books, Folder, customer, service_account, settings};
use crate::made::at;
use crate::support::postgres;

const EUR: Commodity = Commodity::Money(Currency::EUR);

fn about(service: &str, provider: &str, tax: u16, commission: u16) -> About {
    About {
        service: service.into(),
        provider: provider.into(),
        tax_basis_points: tax,
        commission_basis_points: commission,
    }
}

fn calls() -> About {
    about("Calls", "", 1900, 0)
}

#[derive(Debug, Clone)]
enum Step {
    /// Who, what kind, how much, hours after the beginning, which service.
    Entry(usize, u8, i64, i64, usize),
    /// Closes the next month, or leaves some out.
    Close(usize),
    /// A customer moves.
    Move(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..4usize, 0..7u8, 1..50_000_000i64, 0..4300i64, 0..4usize)
            .prop_map(|(who, kind, amount, hour, service)| Step::Entry(who, kind, amount, hour, service)),
        1 => (1..3usize).prop_map(Step::Close),
        1 => (0..4usize, 0..4usize).prop_map(|(who, zone)| Step::Move(who, zone)),
    ];
    prop::collection::vec(step, 0..120)
}

const ZONES: [&str; 4] = [
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Kiritimati",
    "UTC",
];
const WHO: [(&str, Payment, Currency); 4] = [
    ("alice", Payment::Postpaid, Currency::EUR),
    ("alice-b", Payment::Postpaid, Currency::JPY),
    ("bob", Payment::Postpaid, Currency::KWD),
    ("carol", Payment::Prepaid, Currency::EUR),
];

fn unit(currency: Currency) -> i64 {
    10i64.pow(6 - u32::from(currency.exponent().unwrap()))
}

/// Plays the steps, closes everything, and compares with what was written.
fn play(place: &Place, steps: &[Step]) {
    let mut books = Books::open(place);
    for (name, payment, currency) in WHO {
        books.write(vec![customer(name, payment, currency, ZONES[0])]);
        books.write(vec![service_account(name, "gprs", currency)]);
    }
    let beginning: Timestamp = "2025-12-20T00:00:00Z".parse().unwrap();
    let mut owed: BTreeMap<&str, (i64, u64)> = BTreeMap::new();
    let mut provided: BTreeMap<(String, String), (u64, i64)> = BTreeMap::new();
    let mut waiting = Vec::new();
    let mut month: jiff::civil::Date = "2025-11-01".parse().unwrap();
    let mut stored: Vec<String> = Vec::new();
    let mut months = Vec::new();
    let last = [Step::Close(14)];
    // Until the last step there is always a month left to close.
    let (almost, end) = (
        jiff::civil::date(2026, 9, 1),
        jiff::civil::date(2026, 12, 1),
    );
    for step in steps.iter().chain(&last) {
        match step {
            Step::Entry(who, kind, amount, hour, service) => {
                let (name, payment, currency) = WHO[*who];
                let own = Commodity::Money(currency);
                let revenue = format!("@revenue:{own}");
                let service_account = format!("{name}/gprs");
                let what = [
                    about("", "", 0, 0),
                    calls(),
                    about("Game", "shop", 700, 2550),
                    about("Quiz", "shop", 1900, 3333),
                ][*service]
                    .clone();
                let (debit, credit, commodity, change) = match kind {
                    0 => (name, revenue.as_str(), own, 1),
                    1 => (revenue.as_str(), name, own, -1),
                    2 => ("@cash:X", name, own, -1),
                    3 => (name, service_account.as_str(), own, 0),
                    4 => (service_account.as_str(), revenue.as_str(), own, 1),
                    5 => (service_account.as_str(), "@expired:X", own, 1),
                    _ => (
                        "@issued:octets",
                        service_account.as_str(),
                        Commodity::Octets,
                        0,
                    ),
                };
                let unix_ms = (beginning + hour.hours()).as_millisecond();
                let entry = books.entry(debit, credit, *amount, commodity, unix_ms, what.clone());
                waiting.push(entry);
                if change != 0 && payment == Payment::Postpaid {
                    let (micro, count) = owed.entry(name).or_default();
                    *micro += change * amount;
                    *count += 1;
                }
                if matches!(kind, 0 | 1 | 4) && !what.provider.is_empty() {
                    let key = (what.provider.to_string(), currency.code().to_owned());
                    let (count, micro) = provided.entry(key).or_default();
                    *count += 1;
                    *micro += change * amount;
                }
            }
            Step::Move(who, zone) => {
                books.write(std::mem::take(&mut waiting));
                let (name, payment, currency) = WHO[*who];
                books.write(vec![customer(name, payment, currency, ZONES[*zone])]);
            }
            Step::Close(count) => {
                if *count < 14 && month >= almost {
                    continue;
                }
                books.write(std::mem::take(&mut waiting));
                month = month
                    .checked_add((*count as i64).months())
                    .unwrap()
                    .min(end);
                let name = month.strftime("%Y-%m").to_string();
                let now = (month + 1.month())
                    .strftime("%Y-%m-03T12:00:00Z")
                    .to_string();
                let row = books.close(&name, &now).unwrap();
                // Again, later, with more in the ledger: the same.
                assert_eq!(books.close(&name, "2027-06-01T00:00:00Z").unwrap(), row);
                let now_stored = books.invoices();
                assert_eq!(
                    &now_stored[..stored.len()],
                    &stored[..],
                    "a closed invoice has changed"
                );
                stored = now_stored;
                months.push(name);
            }
        }
    }
    let invoices = books.read();
    for (number, invoice) in (1..).zip(&invoices) {
        let written = invoice.number.as_deref().unwrap();
        assert_eq!(
            written.split_once('-').unwrap().1,
            format!("{number:06}"),
            "a gap"
        );
    }
    for (name, payment, currency) in WHO {
        let of: Vec<_> = invoices
            .iter()
            .filter(|invoice| &*invoice.account == name)
            .collect();
        let (micro, count) = owed.get(name).copied().unwrap_or_default();
        assert_eq!(
            of.iter().map(|invoice| invoice.entries).sum::<u64>(),
            count,
            "{name}"
        );
        assert!(payment == Payment::Postpaid || of.is_empty());
        let mut before = 0;
        for invoice in &of {
            let Statement {
                opening,
                charges,
                payments,
                others,
                due_minor,
                carried_micro,
                closing_micro,
                ..
            } = invoice.statement;
            assert_eq!(opening.micro, before);
            assert_eq!(
                opening.micro + charges.micro - payments.micro + others.micro,
                closing_micro
            );
            assert_eq!(due_minor * unit(currency) + carried_micro, closing_micro);
            before = closing_micro;
        }
        assert_eq!(before, micro, "{name} owes another sum");
    }
    for ((provider, currency), (count, micro)) in provided {
        let all: Vec<_> = months
            .iter()
            .flat_map(|month| books.settlements(month))
            .collect();
        let of: Vec<_> = (all.iter())
            .filter(|one| *one.provider == *provider && one.currency.code() == currency)
            .collect();
        assert_eq!(of.iter().map(|one| one.count).sum::<u64>(), count);
        assert_eq!(
            of.iter().map(|one| one.total.gross.micro).sum::<i64>(),
            micro
        );
        let payable: i64 = of.iter().map(|one| one.total.payable.micro).sum();
        let paid: i64 = of
            .iter()
            .map(|one| one.payable_minor * unit(one.currency))
            .sum();
        assert_eq!(
            paid + of.last().unwrap().carried_micro,
            payable,
            "a part of a cent is lost"
        );
    }
}

proptest! {
    #![proptest_config(Config { cases: 24, max_shrink_iters: 200, ..Config::default() })]
    #[test]
    fn nothing_is_lost_or_twice_over_any_sequence(steps in steps()) {
        let folder = Folder::new("sequence");
        play(&folder.place(), &steps);
    }
}

#[test]
fn nor_on_postgresql() {
    let server = postgres::Server::start("invoices");
    let mut runner = TestRunner::deterministic();
    for case in 0..4 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let place = Place::Server(Box::new(Server {
            url: server.database(&format!("case{case}")).parse().unwrap(),
            password_file: None,
            tls_ca_file: None,
            takeover: Duration::from_secs(10),
            origin_host: "a.test".into(),
            division: Default::default(),
            schema: None,
        }));
        play(&place, &steps);
    }
}

/// So many customers with a call each.
fn many(books: &mut Books, count: usize) {
    let mut rows = Vec::new();
    for number in 0..count {
        let name = format!("customer-{number:05}");
        rows.push(customer(&name, Payment::Postpaid, Currency::EUR, "UTC"));
        let when = at("2026-10-10T00:00:00Z");
        rows.push(books.entry(
            &name,
            "@revenue:EUR",
            1_000 + number as i64,
            EUR,
            when,
            calls(),
        ));
    }
    books.write(rows);
}

#[test]
fn a_closing_that_breaks_off_leaves_nothing_and_the_next_one_is_whole() {
    let (folder, other) = (Folder::new("broken"), Folder::new("whole"));
    let now = at("2026-11-03T00:00:00Z");
    let mut whole = Books::open(&other.place());
    many(&mut whole, 500);
    whole
        .close_with(&settings(), "2026-10", now, usize::MAX)
        .unwrap();
    let mut books = Books::open(&folder.place());
    many(&mut books, 500);
    let mut broken = 0;
    loop {
        match books.close_with(&settings(), "2026-10", now, broken) {
            Err(CloseError::Store(_)) => {
                assert!(books.invoices().is_empty() && books.periods().is_empty());
                broken += 1;
            }
            Err(error) => panic!("{error}"),
            Ok(row) => {
                assert_eq!(row.invoices, 500);
                break;
            }
        }
    }
    // Three groups of invoices, and the period.
    assert_eq!(broken, 4);
    assert_eq!(books.invoices(), whole.invoices());
}

#[test]
fn the_customers_wall_decides() {
    let folder = Folder::new("walls");
    let mut books = Books::open(&folder.place());
    for (name, zone, last_instant) in [
        ("berlin", "Europe/Berlin", "2026-10-31T22:59:59.999Z"),
        ("new-york", "America/New_York", "2026-11-01T03:59:59.999Z"),
        (
            "kiritimati",
            "Pacific/Kiritimati",
            "2026-10-31T09:59:59.999Z",
        ),
        ("nowhere", "No/Where", "2026-10-31T23:59:59.999Z"),
    ] {
        books.write(vec![customer(name, Payment::Postpaid, Currency::EUR, zone)]);
        let last = at(last_instant);
        let october = books.entry(name, "@revenue:EUR", 1_000_000, EUR, last, calls());
        let november = books.entry(name, "@revenue:EUR", 500_000, EUR, last + 1, calls());
        books.write(vec![november, october]);
    }
    let early = books.close("2026-10", "2026-11-01T11:59:59Z").unwrap_err();
    assert!(
        early.to_string().contains("2026-11-01T12:00:00Z"),
        "{early}"
    );
    books.close("2026-10", "2026-11-01T12:00:00Z").unwrap();
    books.close("2026-11", "2026-12-03T00:00:00Z").unwrap();
    let charges: Vec<_> = books
        .read()
        .iter()
        .map(|it| (it.account.to_string(), it.statement.charges.micro))
        .collect();
    let month = |micro| {
        ["berlin", "kiritimati", "new-york", "nowhere"].map(|name| (name.to_owned(), micro))
    };
    assert_eq!(charges, [month(1_000_000), month(500_000)].concat());
    let october = &books.read()[0];
    assert_eq!(
        (
            &*october.time_zone,
            october.from.to_string(),
            october.to.to_string()
        ),
        ("Europe/Berlin", "2026-10-01".into(), "2026-10-31".into())
    );
    assert_eq!(&*books.read()[3].time_zone, "UTC");
}

#[test]
fn what_comes_late_is_on_the_next_invoice_and_says_so() {
    let folder = Folder::new("late");
    let mut books = Books::open(&folder.place());
    books.write(vec![customer(
        "alice",
        Payment::Postpaid,
        Currency::EUR,
        "UTC",
    )]);
    let october = at("2026-10-10T00:00:00Z");
    let first = books.entry("alice", "@revenue:EUR", 1_000_000, EUR, october, calls());
    books.write(vec![first]);
    books.close("2026-10", "2026-11-03T00:00:00Z").unwrap();
    let late = books.entry("alice", "@revenue:EUR", 2_004_000, EUR, october, calls());
    let paid = books.entry(
        "@cash:EUR",
        "alice",
        1_000_000,
        EUR,
        at("2026-11-05T00:00:00Z"),
        About::default(),
    );
    books.write(vec![late, paid]);
    let seen = books.place.ask(|store| {
        Ok(preview(
            store,
            &settings(),
            "alice",
            None,
            at("2026-11-10T00:00:00Z"),
        ))
    });
    let seen = seen.unwrap().unwrap();
    assert_eq!(
        (seen.number.clone(), seen.period.to_string()),
        (None, "2026-11".into())
    );
    books.close("2026-11", "2026-12-03T00:00:00Z").unwrap();
    let november = books.read().pop().unwrap();
    assert_eq!(
        (november.late.count, november.late.gross_micro),
        (1, 2_004_000)
    );
    assert_eq!(november.statement.due_minor, 200);
    assert_eq!(november.statement.carried_micro, 4_000);
    assert_eq!(seen.statement, november.statement);
    assert!(november.to_html().contains("belong to earlier periods"));
    // Four thousandths are no reason for an invoice, and are not forgotten.
    let paid = books.entry(
        "@cash:EUR",
        "alice",
        2_000_000,
        EUR,
        at("2026-12-05T00:00:00Z"),
        About::default(),
    );
    books.write(vec![paid]);
    books.close("2026-12", "2027-01-03T00:00:00Z").unwrap();
    assert_eq!(books.read().len(), 3);
    books.close("2027-01", "2027-02-03T00:00:00Z").unwrap();
    assert_eq!(books.read().len(), 3);
    let more = books.entry(
        "alice",
        "@revenue:EUR",
        1_000,
        EUR,
        at("2027-02-10T00:00:00Z"),
        calls(),
    );
    books.write(vec![more]);
    books.close("2027-02", "2027-03-03T00:00:00Z").unwrap();
    let last = books.read().pop().unwrap();
    assert_eq!(
        (last.statement.due_minor, last.statement.carried_micro),
        (1, -5_000)
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = Folder::new("refused");
    let mut books = Books::open(&folder.place());
    many(&mut books, 1);
    let refusal = |outcome: Result<_, CloseError>| match outcome {
        Err(CloseError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    books.close("2026-10", "2026-11-03T00:00:00Z").unwrap();
    assert!(refusal(books.close("2026-09", "2026-12-03T00:00:00Z")).contains("2026-10 is closed"));
    // A pattern that gives a number again.
    let entry = books.entry(
        "customer-00000",
        "@revenue:EUR",
        5,
        EUR,
        at("2026-11-10T00:00:00Z"),
        calls(),
    );
    books.write(vec![entry]);
    let mut changed = settings();
    changed.number = chargingd::invoice::Pattern::read("2026-00000{number}").unwrap();
    changed.first_number = 7;
    let now = at("2026-12-03T00:00:00Z");
    books
        .close_with(&changed, "2026-11", now, usize::MAX)
        .unwrap();
    changed.number = chargingd::invoice::Pattern::read("2026-0000{number:02}").unwrap();
    let numbers: Vec<_> = books
        .read()
        .iter()
        .map(|it| it.number.clone().unwrap().to_string())
        .collect();
    assert_eq!(numbers, ["2026-000001", "2026-000002"]);
    let seen = books
        .place
        .ask(|store| Ok(preview(store, &settings(), "nobody", None, now)))
        .unwrap();
    assert!(refusal(seen.map(|_| unreachable!())).contains("no post-paid account nobody"));
    let none = books
        .place
        .ask(|store| store::invoice(store, "2026-000003"))
        .unwrap();
    assert_eq!(none, None);
}

#[test]
fn no_number_is_given_twice_whatever_the_pattern() {
    let folder = Folder::new("numbers");
    let mut books = Books::open(&folder.place());
    many(&mut books, 12);
    let mut settings = settings();
    settings.number = chargingd::invoice::Pattern::read("1{number}").unwrap();
    books
        .close_with(&settings, "2026-10", at("2026-11-03T00:00:00Z"), usize::MAX)
        .unwrap();
    let entry = books.entry(
        "customer-00000",
        "@revenue:EUR",
        5_000_000,
        EUR,
        at("2026-11-10T00:00:00Z"),
        calls(),
    );
    books.write(vec![entry]);
    // The next is 13, and 13 was the third of the others.
    settings.number = chargingd::invoice::Pattern::read("{number}").unwrap();
    let outcome = books.close_with(&settings, "2026-11", at("2026-12-03T00:00:00Z"), usize::MAX);
    assert!(outcome.unwrap_err().to_string().contains("invoices.number"));
    assert_eq!(books.read().len(), 12);
    settings.number = chargingd::invoice::Pattern::read("2-{number}").unwrap();
    books
        .close_with(&settings, "2026-11", at("2026-12-03T00:00:00Z"), usize::MAX)
        .unwrap();
    assert_eq!(books.read().last().unwrap().number.as_deref(), Some("2-13"));
}
