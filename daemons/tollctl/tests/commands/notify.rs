use serde_json::{Value, json};

use crate::daemons::Daemons;

#[test]
fn who_is_still_to_be_told_and_why() {
    let listed = json!({
        "channels": [
            {"channel": "sms", "enabled": true, "waiting": 1, "in_flight": 0, "told": 7, "failed": 2,
             "given_up": 0, "unreachable": 1, "error": "127.0.0.1:2775: Connection refused"},
            {"channel": "mail", "enabled": false, "waiting": 0, "in_flight": 0, "told": 0, "failed": 0,
             "given_up": 0, "unreachable": 0, "error": ""},
        ],
        "waiting": [
            {"id": 9, "account": "alice", "subject": "alice/gprs", "kind": "threshold-crossed",
             "contact": "sms:+491701234", "unix_ms": 0, "attempts": 2, "next_unix_ms": 60_000,
             "error": "127.0.0.1:2775: Connection refused"},
        ],
    });
    let daemons = Daemons::answering(&[("GET /notifications?limit=100", listed.clone())]);
    let outcome = daemons.run(&["notify", "list"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        outcome.out,
        "\
CHANNEL  STATE        WAITING  UNDER WAY  TOLD  FAILED  GIVEN UP  LAST ERROR
sms      unreachable        1          0     7       2         0  127.0.0.1:2775: Connection refused
mail     off                0          0     0       0         0  -

ID  ACCOUNT     WHAT               CONTACT         SINCE                      ATTEMPTS  NEXT                       LAST ERROR
 9  alice/gprs  threshold-crossed  sms:+491701234  1970-01-01 00:00:00+00:00         2  1970-01-01 00:01:00+00:00  127.0.0.1:2775: Connection refused
"
    );
    let outcome = daemons.run(&["notify", "list", "--json"]);
    let printed: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(printed, listed);
}

#[test]
fn a_test_goes_to_the_contact_that_is_given() {
    let daemons = Daemons::answering(&[("POST /operations", json!({"name": "alice"}))]);
    for (arguments, contact) in [
        ("notify test alice", Value::Null),
        (
            "notify test alice mailto:alice@example.org",
            json!("mailto:alice@example.org"),
        ),
    ] {
        let outcome = daemons.run(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let operation = json!({"test-notification": {"account": "alice", "contact": contact}});
        assert_eq!(
            daemons.asked(),
            [("POST /operations".to_owned(), operation)]
        );
    }
    let outcome = daemons.run(&["notify", "test", "alice", "nonsense"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.err.contains("mailto:"), "{outcome:?}");
    assert!(daemons.asked().is_empty());
}
