use serde_json::{Value, json};

use crate::daemons::Daemons;

fn sum(micro: i64, minor: i64) -> Value {
    json!({ "micro": micro, "minor": minor })
}

fn amounts() -> Value {
    json!({ "net": sum(1_000_000, 100), "tax": sum(190_000, 19), "gross": sum(1_190_000, 119) })
}

fn invoice() -> Value {
    json!({
        "number": "2026-000042", "period": "2026-10", "account": "alice", "customer": "Alice\nHere", "language": "en",
        "issuer": {}, "currency": "EUR", "time_zone": "Europe/Berlin", "from": "2026-10-01", "to": "2026-10-31",
        "until_unix_ms": 1_793_487_600_000i64, "issued": "2026-11-03", "due": "2026-11-17",
        "lines": [{ "service": "Calls", "provider": "", "refund": false, "tax_basis_points": 1900, "count": 3,
                    "amounts": amounts() }],
        "taxes": [{ "basis_points": 1900, "amounts": amounts() }], "total": amounts(),
        "late": { "count": 0, "gross_micro": 0 }, "payments": [], "others": [],
        "statement": { "opening": sum(4_000, 0), "charges": sum(1_190_000, 119), "payments": sum(0, 0),
                       "others": sum(0, 0), "rounding_minor": 0, "due_minor": 119, "carried_micro": 4_000,
                       "closing_micro": 1_194_000 },
        "entries": 3, "through": 17,
    })
}

const INVOICE: &str = "\
number        2026-000042
account       alice
period        2026-10-01 to 2026-10-31 (Europe/Berlin)
date          2026-11-03
opening       0.004 EUR
charges       1.19 EUR
payments      0.00 EUR
others        0.00 EUR
closing       1.194 EUR
due           1.19 EUR by 2026-11-17
carried       0.004 EUR
SERVICE  PROVIDER  COUNT  TAX RATE   NET   TAX  GROSS
Calls    -             3    19.00%  1.00  0.19   1.19
";

fn summary() -> Value {
    json!({
        "number": "2026-000042", "period": "2026-10", "account": "alice", "currency": "EUR", "issued": "2026-11-03",
        "due": "2026-11-17", "charges_minor": 119, "due_minor": 119, "carried_micro": 4_000,
    })
}

#[test]
fn invoices_are_listed_shown_and_previewed() {
    let daemons = Daemons::answering(&[
        (
            "GET /invoices?account=alice&period=2026-10&limit=5",
            json!([summary()]),
        ),
        ("GET /invoices/2026-000042.json", invoice()),
        ("GET /invoices/preview?account=alice", invoice()),
        (
            "GET /invoices/periods",
            json!([
                { "state": "closed", "period": "2026-10", "invoices": 1, "settlements": 2, "closed_unix_ms": 0 },
            ]),
        ),
    ]);
    assert_eq!(
        daemons.prints(&[
            "invoice",
            "list",
            "--account",
            "alice",
            "--period",
            "2026-10",
            "-n",
            "5"
        ]),
        "NUMBER       PERIOD   ACCOUNT  DATE        DUE DATE    CHARGES   DUE  CURRENCY\n\
         2026-000042  2026-10  alice    2026-11-03  2026-11-17     1.19  1.19  EUR\n"
    );
    assert_eq!(daemons.prints(&["invoice", "show", "2026-000042"]), INVOICE);
    assert_eq!(daemons.prints(&["invoice", "preview", "alice"]), INVOICE);
    let printed: Value =
        serde_json::from_str(&daemons.prints(&["invoice", "show", "2026-000042", "--json"]))
            .unwrap();
    assert_eq!(printed, invoice());
    assert_eq!(
        daemons.prints(&["invoice", "periods"]),
        "PERIOD   INVOICES  SETTLEMENTS  CLOSED\n2026-10         1            2  1970-01-01 00:00:00+00:00\n"
    );
}

#[test]
fn a_month_is_closed() {
    let closed = json!({ "state": "closed", "period": "2026-10", "invoices": 7, "settlements": 2, "closed_unix_ms": 5 });
    let daemons = Daemons::answering(&[("POST /invoices/close", closed)]);
    assert_eq!(
        daemons.prints(&["invoice", "close", "--period", "2026-10"]),
        "2026-10 is closed: 7 invoices, 2 settlements\n"
    );
    assert_eq!(
        daemons.asked(),
        [(
            "POST /invoices/close".into(),
            json!({ "period": "2026-10" })
        )]
    );
    daemons.answer("POST /invoices/close", 409, json!("2026-11 is closed"));
    assert_eq!(
        daemons
            .run(&["invoice", "close", "--period", "2026-10"])
            .code,
        1
    );
    for arguments in [
        &["invoice", "close", "--period", "october"][..],
        &["invoice", "close"],
        &["invoice", "export"],
    ] {
        assert_eq!(daemons.run(arguments).code, 2);
    }
}

#[test]
fn invoices_are_written_to_files() {
    let daemons = Daemons::answering(&[
        (
            "GET /invoices?period=2026-10&limit=1000",
            json!([summary()]),
        ),
        ("GET /invoices/2026-000042.json", invoice()),
    ]);
    let folder = std::env::temp_dir().join(format!("tollctl-export-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let to = folder.to_str().unwrap();
    for which in [&["--period", "2026-10"][..], &["2026-000042"]] {
        let arguments = [&["invoice", "export", "--form", "json", "--to", to], which].concat();
        assert_eq!(
            daemons.prints(&arguments),
            format!("1 invoices are in {to}\n")
        );
        let file = folder.join("2026-000042.json");
        let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(written, invoice());
        std::fs::remove_file(file).unwrap();
    }
    std::fs::remove_dir(&folder).unwrap();
    let outcome = daemons.run(&[
        "invoice",
        "export",
        "--form",
        "json",
        "--to",
        to,
        "2026-000042",
    ]);
    assert_eq!(outcome.code, 74, "{outcome:?}");
    assert!(outcome.err.contains(to), "{outcome:?}");
}

#[test]
fn providers_are_settled() {
    let total = json!({ "gross": sum(4_000_000, 400), "tax": sum(261_682, 26), "commission": sum(1_200_000, 120),
                        "payable": sum(2_800_000, 280) });
    let settlement = json!({
        "period": "2026-10", "provider": "shop", "issuer": {}, "currency": "EUR", "time_zone": "UTC",
        "from": "2026-10-01", "to": "2026-10-31", "issued": "2026-11-03",
        "lines": [{ "service": "Game", "tax_basis_points": 700, "commission_basis_points": 3000, "count": 4,
                    "amounts": total }],
        "total": total, "count": 4, "brought_micro": 0, "payable_minor": 280, "rounding_minor": 0, "carried_micro": 0,
    });
    let daemons = Daemons::answering(&[
        (
            "GET /settlements/2026-10.json?provider=shop",
            json!([settlement]),
        ),
        ("GET /settlements/2026-10.csv", json!("csv")),
    ]);
    assert_eq!(
        daemons.prints(&["settlement", "2026-10", "--provider", "shop"]),
        "PROVIDER  COUNT  GROSS       TAX  COMMISSION  PAYABLE  PAID OUT  CURRENCY\n\
         shop          4   4.00  0.261682        1.20     2.80      2.80  EUR\n"
    );
    assert_eq!(
        daemons.prints(&["settlement", "2026-10", "--form", "csv"]),
        "\"csv\""
    );
}
