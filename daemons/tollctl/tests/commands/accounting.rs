use serde_json::json;

use crate::daemons::Daemons;

#[test]
fn records_are_listed_with_the_newest_last() {
    let record = |id: i64, reuses_number: bool| {
        json!({
            "id": id, "element": "smscd.example", "realm": "example",
            "session_id": format!("smscd.example;0;{id};record"), "record_type": "event", "number": 0,
            "sub_session_id": null, "sequence_number": id, "service_context": "charge-records@tollwire",
            "user_name": null, "event_unix_ms": null, "received_unix_ms": 0, "variant": 0,
            "reuses_number": reuses_number,
        })
    };
    let path = "GET /accounting/records?element=smscd.example&faulty=true&limit=2";
    let daemons = Daemons::answering(&[(path, json!([record(8, true), record(7, false)]))]);
    let said = daemons.prints(&[
        "accounting",
        "list",
        "--element",
        "smscd.example",
        "--faulty",
        "--limit",
        "2",
    ]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[1].ends_with("smscd.example;0;7;record"), "{said}");
    assert!(lines[2].contains("number reused"), "{said}");
}

#[test]
fn a_record_is_shown_with_its_avps() {
    let detail = json!({
        "id": 7, "element": "e.example", "realm": "example", "session_id": "s", "record_type": "start",
        "number": 0, "sub_session_id": null, "sequence_number": 9, "service_context": null, "user_name": null,
        "event_unix_ms": null, "received_unix_ms": 0, "variant": 0, "reuses_number": false, "message": "00",
        "avps": [{"name": "Session-Id", "value": "s\u{1b}[2J"},
                 {"name": "Service-Information", "value": [{"name": "AVP 1 of vendor 2", "value": 3}]}],
        "carried": {"sequence_number": 9},
    });
    let daemons = Daemons::answering(&[("GET /accounting/records/7", detail)]);
    assert_eq!(
        daemons.prints(&["accounting", "show", "7"]),
        "record 7 of e.example, received 1970-01-01 00:00:00+00:00\nsequence number 9\n  Session-Id = s\\u{1b}[2J\n  \
         Service-Information\n    AVP 1 of vendor 2 = 3\ncarries\n{\n  \"sequence_number\": 9\n}\n"
    );
}

#[test]
fn gaps_are_a_fault_and_none_is_none() {
    let element = |gaps: serde_json::Value, missing: u64| {
        json!([{
            "element": "smscd.example", "realm": "example", "records": 5, "last_unix_ms": 0,
            "sequence_number": 9, "missing": missing, "gaps": gaps,
        }])
    };
    let sessions = "GET /accounting/sessions?faulty=true&limit=100000";
    let daemons = Daemons::answering(&[
        (
            "GET /accounting/elements",
            element(json!([{"first": 3, "last": 6}]), 4),
        ),
        (sessions, json!([])),
    ]);
    let outcome = daemons.run(&["accounting", "gaps"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert_eq!(
        outcome.out,
        "ELEMENT        FIRST  LAST  MISSING\nsmscd.example      3     6        4\n"
    );
    assert!(outcome.err.contains("4 records lack"), "{outcome:?}");
    daemons.answer("GET /accounting/elements", 200, element(json!([]), 0));
    assert_eq!(
        daemons.prints(&["accounting", "gaps"]),
        "ELEMENT  FIRST  LAST  MISSING\n"
    );
}
