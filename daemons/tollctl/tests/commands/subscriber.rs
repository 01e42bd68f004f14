use serde_json::{Value, json};

use crate::daemons::Daemons;

const PUT: &str = "PUT /subscribers/alice";

fn listed() -> Value {
    json!([
        { "username": "alice", "identity": "sip:alice@example.org", "enabled": true },
        { "username": "bob", "identity": "sip:bob@example.org", "enabled": false },
    ])
}

#[test]
fn a_password_comes_from_standard_input_or_a_file() {
    let daemons = Daemons::answering(&[(PUT, json!(null))]);
    let file = std::env::temp_dir().join(format!("tollctl-{}.password", std::process::id()));
    std::fs::write(&file, "se cret\r\nignored\n").unwrap();
    let add = |password: &[&str], input: &str| {
        let start = [
            "subscriber",
            "add",
            "alice",
            "--identity",
            "sip:alice@example.org",
        ];
        daemons.run_with(&[&start, password].concat(), input)
    };
    let expected =
        json!({ "password": "se cret", "identity": "sip:alice@example.org", "enabled": true });
    for (password, input) in [
        (&["--password-stdin"][..], "se cret\n"),
        (&["--password-file", file.to_str().unwrap()], ""),
        (&["--password", "se cret"], ""),
    ] {
        let outcome = add(password, input);
        assert_eq!(
            (outcome.code, &*outcome.out),
            (0, "alice: stored\n"),
            "{outcome:?}"
        );
        assert_eq!(
            outcome.err.contains("whoever lists processes"),
            password[0] == "--password"
        );
        assert!(!outcome.err.contains("se cret"));
        assert_eq!(daemons.asked(), [(PUT.into(), expected.clone())]);
    }
    std::fs::remove_file(&file).unwrap();
    for (password, input, code) in [
        (&[][..], "", 2),
        (&["--password-stdin", "--password", "x"], "", 2),
        (&["--password-stdin"], "\n", 1),
        (&["--password-file", "/nonexistent"], "", 74),
    ] {
        let outcome = add(password, input);
        assert_eq!(outcome.code, code, "{outcome:?}");
    }
    assert_eq!(daemons.asked(), []);
}

#[test]
fn subscribers_are_listed_removed_disabled_and_enabled() {
    let daemons = Daemons::answering(&[
        ("GET /subscribers", listed()),
        (PUT, json!(null)),
        ("DELETE /subscribers/alice", json!(null)),
    ]);
    assert_eq!(
        daemons.prints(&["subscriber", "list"]),
        "USERNAME  IDENTITY               STATE\n\
         alice     sip:alice@example.org  enabled\n\
         bob       sip:bob@example.org    disabled\n"
    );
    daemons.asked();
    for (command, enabled) in [("disable", false), ("enable", true)] {
        let out = daemons.prints(&["subscriber", command, "alice"]);
        assert_eq!(out, format!("alice: {command}d\n"));
        // Without a password, the stored one stays.
        let body = json!({ "identity": "sip:alice@example.org", "enabled": enabled });
        assert_eq!(daemons.asked()[1], (PUT.into(), body));
    }
    assert_eq!(
        daemons.prints(&["subscriber", "remove", "alice"]),
        "alice: removed\n"
    );
    daemons.asked();
    let outcome = daemons.run(&["subscriber", "disable", "carol"]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.err.contains("no subscriber \"carol\""),
        "{outcome:?}"
    );
    assert_eq!(daemons.asked().len(), 1);
}

#[test]
fn bindings_are_listed() {
    let daemons = Daemons::answering(&[(
        "GET /bindings",
        json!([{
            "address_of_record": "sip:alice@example.org", "contact": "<sip:alice@192.0.2.1>",
            "expires": 3599, "received": null,
        }]),
    )]);
    assert_eq!(
        daemons.prints(&["bindings"]),
        "ADDRESS OF RECORD      CONTACT                EXPIRES IN\n\
         sip:alice@example.org  <sip:alice@192.0.2.1>     0:59:59\n"
    );
}

#[test]
fn a_user_name_stays_one_part_of_the_path() {
    let daemons = Daemons::answering(&[]);
    let outcome = daemons.run(&["subscriber", "remove", "a/../b?c#d é"]);
    assert_eq!(outcome.code, 1);
    assert_eq!(
        daemons.asked()[0].0,
        "DELETE /subscribers/a%2F..%2Fb%3Fc%23d%20%C3%A9"
    );
}
