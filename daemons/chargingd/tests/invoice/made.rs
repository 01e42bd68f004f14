//! An invoice and a settlement with a bit of everything.

use chargingd::invoice::{
    Bill, Frame, Heading, Invoice, Issuer, Item, Month, Settlement, Shares, Side, zone,
};
use chargingd::ledger::About;
use iso_currency::Currency;
use jiff::Timestamp;

pub fn about(service: &str, provider: &str, tax: u16) -> About {
    About {
        service: service.into(),
        provider: provider.into(),
        tax_basis_points: tax,
        commission_basis_points: 0,
    }
}

pub fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

pub fn item(side: &str, owed_micro: i64, unix_ms: i64, key: &str, about: About) -> Item {
    Item {
        side: Side::of(side),
        owed_micro,
        unix_ms,
        key: key.into(),
        about,
    }
}

pub fn issuer() -> Issuer {
    Issuer {
        address: "Überland Netze GmbH\nHauptstraße 1\n10115 Berlin".into(),
        tax_id: "DE123456789".into(),
        bank: "IBAN DE02 1203 0000 0000 2020 51".into(),
        terms: "Widerspruch binnen acht Wochen.\nEnd of terms.".into(),
    }
}

pub fn frame(month: &str) -> Frame {
    let period: Month = month.parse().unwrap();
    let (berlin, name) = zone("Europe/Berlin");
    Frame {
        number: Some("2026-000042".into()),
        period,
        account: "alice".into(),
        customer: "Алиса Παπαδοπούλου-Müller\nŁódź 7".into(),
        language: "en".into(),
        issuer: issuer(),
        currency: Currency::EUR,
        time_zone: name.into(),
        from_unix_ms: period.begins_unix_ms(&berlin),
        until_unix_ms: period.ends_unix_ms(&berlin).unwrap(),
        zone: berlin,
        opening_micro: 10_004_322,
        issued: "2026-11-03".parse().unwrap(),
        due: "2026-11-17".parse().unwrap(),
        through: 1234,
    }
}

/// Calls, data, a provider's game at another rate, a refund, a payment, an expired balance, a late entry.
pub fn bill() -> Bill {
    let mut bill = Bill::default();
    let from = frame("2026-10").from_unix_ms;
    let october = at("2026-10-25T00:30:00Z");
    let revenue = "@revenue:EUR";
    for (side, owed, when, key, about) in [
        (revenue, 408_334, october, "a#1", about("Calls", "", 1900)),
        (revenue, 333_333, october, "a#2", about("Calls", "", 1900)),
        (revenue, 1_190_000, october, "b#1", about("Data", "", 1900)),
        (
            revenue,
            4_990_000,
            october,
            "c#1",
            about("<b>Spiel</b> & \"Spaß\"", "Игры ООО", 700),
        ),
        (
            revenue,
            -990_000,
            october,
            "c#2",
            about("<b>Spiel</b> & \"Spaß\"", "Игры ООО", 700),
        ),
        (
            revenue,
            100_000,
            at("2026-09-30T12:00:00Z"),
            "a#0",
            about("Calls", "", 1900),
        ),
        (
            "@cash:EUR",
            -10_000_000,
            at("2026-10-05T10:00:00Z"),
            "top-up alice bank 77",
            about("", "", 0),
        ),
        (
            "@expired:EUR",
            250_000,
            october,
            "expired 1",
            about("", "", 0),
        ),
    ] {
        bill.add(item(side, owed, when, key, about), from);
    }
    bill
}

pub fn invoice() -> Invoice {
    bill().invoice(frame("2026-10")).unwrap()
}

pub fn settlement() -> Settlement {
    let mut shares = Shares::default();
    shares.add("Spiel", 700, 3000, 3, 4_000_001);
    shares.add("=Quiz", 1900, 2500, 1, 990_000);
    let heading = Heading {
        period: "2026-10".parse().unwrap(),
        issuer: issuer(),
        time_zone: "Europe/Berlin".into(),
        from: "2026-10-01".parse().unwrap(),
        issued: "2026-11-03".parse().unwrap(),
    };
    let settlement = shares.settlement("Игры ООО".into(), Currency::EUR, 4_000, &heading);
    settlement.unwrap()
}
