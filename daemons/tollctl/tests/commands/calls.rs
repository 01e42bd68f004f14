use serde_json::{Value, json};

use crate::daemons::{Daemons, finish};

fn call(id: &str, session_id: Value, phase: &str) -> Value {
    json!({ "id": id, "session_id": session_id, "from": "sip:a@x", "to": "sip:b@x", "phase": phase, "legs": 2 })
}

fn session(session_id: &str, account: &str) -> Value {
    json!({
        "session_id": session_id, "account": account, "call_id": "c", "from": "sip:c@x", "to": "sip:d@x",
        "began_unix_ms": 0, "answer_unix_ms": null, "used_seconds": 0, "granted_seconds": 60,
        "charged_micro": 50_000, "held_micro": 60_000, "currency": "EUR", "remaining_seconds": 3725,
    })
}

#[test]
fn calls_are_joined_with_what_is_charged_for_them() {
    let daemons = Daemons::answering(&[
        (
            "GET /calls",
            json!([
                call("1", json!("s;1"), "ringing"),
                call("2", Value::Null, "talking")
            ]),
        ),
        (
            "GET /sessions",
            json!([session("s;9", "carol"), session("s;1", "alice")]),
        ),
    ]);
    assert_eq!(
        daemons.prints(&["calls"]),
        "ID  FROM     TO       PHASE    ACCOUNT  TALKED     LEFT  RESERVED\n\
         1   sip:a@x  sip:b@x  ringing  alice         -  1:02:05  0.11 EUR\n\
         2   sip:a@x  sip:b@x  talking  -             -        -         -\n\
         -   sip:c@x  sip:d@x  -        carol         -  1:02:05  0.11 EUR\n"
    );
    let joined: Value = serde_json::from_str(&daemons.prints(&["--json", "calls"])).unwrap();
    assert_eq!(joined["calls"][0]["session"], session("s;1", "alice"));
    assert_eq!(joined["calls"][0]["legs"], 2);
    assert_eq!(joined["calls"][1]["session"], Value::Null);
    assert_eq!(joined["other_sessions"], json!([session("s;9", "carol")]));
}

#[test]
fn calls_are_shown_also_while_charging_is_down() {
    let daemons =
        Daemons::answering(&[("GET /calls", json!([call("1", json!("s;1"), "talking")]))]);
    let mut command = daemons.command(&["calls"]);
    command.args(["--chargingd", "/nonexistent/socket"]);
    let outcome = finish(command, "");
    assert_eq!(outcome.code, 0);
    assert!(outcome.out.contains("talking"), "{outcome:?}");
    assert!(outcome.err.contains("without their credit"), "{outcome:?}");
}

#[test]
fn a_caller_cannot_steer_the_terminal() {
    let mut hostile = call("1", json!("s;1"), "talking");
    hostile["from"] = json!("sip:\u{1b}]0;owned\u{7}@x\n1 forged row");
    let daemons = Daemons::answering(&[
        ("GET /calls", json!([hostile])),
        ("GET /sessions", json!([])),
    ]);
    let out = daemons.prints(&["calls"]);
    assert!(
        out.chars()
            .all(|character| character == '\n' || !character.is_control())
    );
    assert_eq!(out.lines().count(), 2);
}

#[test]
fn a_call_is_ended_by_its_id() {
    let daemons = Daemons::answering(&[("POST /calls/a%2F1/end", json!({ "ended": true }))]);
    assert_eq!(daemons.prints(&["call", "end", "a/1"]), "a/1: ended\n");
    let outcome = daemons.run(&["call", "end", "2"]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("sipd"), "{outcome:?}");
}

#[test]
fn pinholes_are_listed() {
    let daemons = Daemons::answering(&[(
        "GET /pinholes",
        json!([
            { "session_id": "s;1", "flow": "1.1", "source": "192.0.2.1:*", "destination": "192.0.2.2:40000",
              "open": true, "seconds_left": 61.9, "packets": 50, "octets": 10_000 },
            { "session_id": "s;1", "flow": "1.2", "source": "-", "destination": "192.0.2.1:30000",
              "open": false, "seconds_left": 0.0, "packets": 0, "octets": 0 },
        ]),
    )]);
    assert_eq!(
        daemons.prints(&["pinholes"]),
        "SESSION  FLOW  SOURCE       DESTINATION      STATE      LEFT  PACKETS  OCTETS\n\
         s;1      1.1   192.0.2.1:*  192.0.2.2:40000  open    0:01:01       50   10000\n\
         s;1      1.2   -            192.0.2.1:30000  closed  0:00:00        0       0\n"
    );
}
