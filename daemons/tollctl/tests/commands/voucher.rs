use serde_json::{Value, json};

use crate::daemons::Daemons;

const CODE: &str = "7K3M-9QXA-00BC-D4EF-GH5J";

fn alice() -> Value {
    json!({
        "name": "alice", "payment": "prepaid", "currency": "EUR", "balance_micro": 10_000_000,
        "credit_limit_micro": 0, "blocked": false, "held_micro": 0, "available_micro": 10_000_000,
        "identities": [], "sessions": 0, "service_accounts": [],
    })
}

fn batch(voided: Value) -> Value {
    json!({
        "name": "spring", "amount_micro": 10_000_000, "currency": "EUR", "expires_unix_ms": 1_798_675_200_000_i64,
        "issued_unix_ms": 0, "voided_unix_ms": voided, "count": 2, "redeemed": 1,
    })
}

#[test]
fn vouchers_are_issued_and_their_codes_printed() {
    let answer =
        json!({ "batch": batch(Value::Null), "codes": [CODE, "1111-1111-1111-1111-1111"] });
    let daemons = Daemons::answering(&[("POST /vouchers", answer)]);
    let issue = "voucher issue spring --count 2 --amount 10 --currency eur --expires 2026-12-31";
    let printed = daemons.prints(&issue.split(' ').collect::<Vec<_>>());
    assert_eq!(printed, format!("{CODE}\n1111-1111-1111-1111-1111\n"));
    let asked = json!({
        "batch": "spring", "count": 2, "amount_micro": 10_000_000, "currency": "EUR",
        "expires_unix_ms": 1_798_675_200_000_i64,
    });
    assert_eq!(daemons.asked(), [("POST /vouchers".into(), asked)]);
}

#[test]
fn a_code_is_redeemed_from_the_command_line_or_standard_input() {
    let daemons = Daemons::answering(&[("POST /operations", alice())]);
    let asked =
        json!({ "redeem-voucher": { "account": "alice", "code": CODE, "reference": "r1" } });
    let redeem = ["voucher", "redeem", "alice", "--reference", "r1"];
    let printed = daemons.prints(&[&redeem[..], &["7k3m9qxaoobcd4efgh5j"]].concat());
    assert!(
        printed.starts_with("reference     r1\naccount       alice\n"),
        "{printed}"
    );
    assert_eq!(
        daemons.asked(),
        [("POST /operations".into(), asked.clone())]
    );
    let outcome = daemons.run_with(&redeem, &format!("{CODE}\n"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(daemons.asked(), [("POST /operations".into(), asked)]);
    for wrong in ["", "7K3M\n"] {
        let outcome = daemons.run_with(&redeem, wrong);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(!outcome.err.contains("7K3M"), "{outcome:?}");
    }
    assert_eq!(daemons.asked(), []);
}

#[test]
fn batches_are_listed_and_voided() {
    let daemons = Daemons::answering(&[
        ("GET /vouchers", json!([batch(Value::Null)])),
        ("POST /operations", batch(json!(60_000))),
    ]);
    let head = "BATCH   WORTH  OF   COUNT  REDEEMED  ISSUED                     EXPIRES                    VOID SINCE\n\
                spring  10.00  EUR      2         1  1970-01-01 00:00:00+00:00  2026-12-31 00:00:00+00:00  ";
    assert_eq!(daemons.prints(&["voucher", "list"]), format!("{head}-\n"));
    daemons.asked();
    assert_eq!(
        daemons.prints(&["voucher", "void", "spring"]),
        format!("{head}1970-01-01 00:01:00+00:00\n")
    );
    let asked = json!({ "void-vouchers": { "batch": "spring" } });
    assert_eq!(daemons.asked(), [("POST /operations".into(), asked)]);
}

#[test]
fn the_audit_log_is_read() {
    let entry = json!({
        "unix_ms": 0, "who": "uid 0", "operation": "top-up", "account": "alice",
        "detail": "{\"amount_micro\":5}", "outcome": "done",
    });
    let daemons = Daemons::answering(&[(
        "GET /audit?account=alice&who=uid%200&limit=2",
        json!([entry]),
    )]);
    assert_eq!(
        daemons.prints(&["audit", "--account", "alice", "--who", "uid 0", "-n", "2"]),
        "TIME                       WHO    OPERATION  ACCOUNT  OUTCOME  DETAIL\n\
         1970-01-01 00:00:00+00:00  uid 0  top-up     alice    done     {\"amount_micro\":5}\n"
    );
}
