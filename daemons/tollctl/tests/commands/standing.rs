use serde_json::{Value, json};

use crate::daemons::{Daemons, Outcome};

fn says(health: Value) -> Outcome {
    Daemons::answering(&[("GET /health", health)]).run(&["standing"])
}

#[test]
fn one_works_and_the_others_name_it() {
    for (health, line) in [
        (json!({"status": "ok", "role": "active"}), "active\n"),
        (
            json!({"status": "ok", "role": "standby", "active": "a.example"}),
            "standby: a.example is active\n",
        ),
        (
            json!({"status": "ok", "role": "active", "part": 2, "parts": 2, "active_of_parts": [null, "b.example"]}),
            "part 2 of 2, active\npart 1: not known yet\npart 2: b.example\n",
        ),
        (
            json!({"status": "ok", "role": "standby", "active": null}),
            "standby: another is active\n",
        ),
    ] {
        let outcome = says(health);
        assert_eq!((outcome.code, &*outcome.out), (0, line));
    }
}

#[test]
fn a_database_that_is_away_is_an_error() {
    let outcome = says(json!({"status": "ok", "role": "away"}));
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("away"), "{outcome:?}");
}
