use serde_json::{Value, json};

use crate::daemons::Daemons;

fn gprs() -> Value {
    json!({
        "name": "alice/gprs", "account": "alice",
        "rating_groups": [10], "service_identifiers": [], "priority": 1, "unit": "octets",
        "price": { "amount_micro": 300_000, "per": 1_000_000 },
        "about": { "service": "data", "provider": "", "tax_basis_points": 0, "commission_basis_points": 0 },
        "recharge": {
            "at_minimum": 100_000, "calendar": { "every": { "month": 1 }, "at": "00:00:00" },
            "amount": { "fixed": 5_000_000 }, "part": true, "forfeit": true,
        },
        "thresholds": [1_000_000],
        "when_short": { "action": "redirect", "address": "https://pay.example.org/" },
        "when_main_short": null,
        "balance": 4_200_000, "wanting": false, "recharge_unix_ms": 1_798_761_600_000_i64,
        "expires_unix_ms": null, "closed": false, "recharges": 3, "held": 200_000,
    })
}

fn stars() -> Value {
    json!({
        "name": "alice/stars", "account": "alice",
        "rating_groups": [20], "service_identifiers": [7], "priority": 2, "unit": "EUR", "price": null,
        "about": {}, "recharge": null, "thresholds": [], "when_short": null, "when_main_short": null,
        "balance": 1_500_000, "wanting": false, "recharge_unix_ms": null, "expires_unix_ms": 0,
        "closed": true, "recharges": 0, "held": 0,
    })
}

fn alice() -> Value {
    json!({
        "name": "alice", "payment": "prepaid", "currency": "EUR", "balance_micro": 12_500_000,
        "credit_limit_micro": 0, "blocked": false, "held_micro": 0, "available_micro": 12_500_000,
        "identities": [], "sessions": 0, "service_accounts": [gprs(), stars()],
    })
}

const TABLE: &str = "\
SERVICE  PRIORITY  BALANCE    HELD  UNIT    CLASSES  NEXT RECHARGE              EXPIRES                    STATE
gprs            1  4200000  200000  octets  10       2027-01-01 00:00:00+00:00  -                          open
stars           2     1.50    0.00  EUR     20 s7    -                          1970-01-01 00:00:00+00:00  closed
";

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn service_accounts_are_set_by_flags() {
    let daemons = Daemons::answering(&[("POST /operations", alice())]);
    let mut terms = gprs();
    let fields = terms.as_object_mut().unwrap();
    for other in [
        "name",
        "account",
        "balance",
        "wanting",
        "recharge_unix_ms",
        "expires_unix_ms",
        "closed",
        "recharges",
        "held",
    ] {
        fields.remove(other);
    }
    let set = "account service set alice gprs --class 10 --unit octets --price 0.30/1000000 --priority 1 --title data \
               --recharge-at 100000 --recharge-monthly 1 --recharge-at-time 00:00 --amount 5000000 --part --forfeit \
               --threshold 1000000 --when-short redirect=https://pay.example.org/";
    assert!(
        daemons
            .prints(&words(set))
            .ends_with(&format!("\n\n{TABLE}"))
    );
    let expected = json!({ "set-service-account": {
        "account": "alice", "service_account": "gprs", "terms": terms,
    }});
    assert_eq!(
        daemons.asked(),
        [("POST /operations".into(), expected.clone())]
    );

    let file = std::env::temp_dir().join(format!("tollctl-terms-{}.json", std::process::id()));
    std::fs::write(&file, terms.to_string()).unwrap();
    let path = file.to_str().unwrap();
    let by_file = [
        "account", "service", "set", "alice", "gprs", "--terms", path,
    ];
    daemons.prints(&by_file);
    assert_eq!(daemons.asked(), [("POST /operations".into(), expected)]);
    let misspelt = terms
        .to_string()
        .replace("\"thresholds\"", "\"treshholds\"");
    std::fs::write(&file, misspelt).unwrap();
    let outcome = daemons.run(&by_file);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.err.contains("\"treshholds\" is no part"),
        "{outcome:?}"
    );
    assert_eq!(daemons.asked(), []);
}

#[test]
fn a_service_account_of_money_is_set_in_money() {
    let daemons = Daemons::answering(&[("POST /operations", alice())]);
    let set = "account service set alice stars --class 20 --service-identifier 7 --unit eur --priority 2 --up-to 10 \
               --recharge-at 0.50 --threshold 1.25 --when-short main-account --when-main-short";
    let mut arguments = words(set);
    arguments
        .push("restrict=permit in ip from any to 192.0.2.1;permit out ip from 192.0.2.1 to any");
    daemons.prints(&arguments);
    let terms = &daemons.asked()[0].1["set-service-account"]["terms"];
    assert_eq!(
        terms,
        &json!({
            "rating_groups": [20], "service_identifiers": [7], "priority": 2, "unit": "EUR", "price": null,
            "about": { "service": "", "provider": "", "tax_basis_points": 0, "commission_basis_points": 0 },
            "recharge": {
                "at_minimum": 500_000, "calendar": null, "amount": { "up-to": 10_000_000 }, "part": false,
                "forfeit": false,
            },
            "thresholds": [1_250_000],
            "when_short": { "action": "main-account" },
            "when_main_short": {
                "action": "restrict", "filter_ids": [],
                "filters": ["permit in ip from any to 192.0.2.1", "permit out ip from 192.0.2.1 to any"],
            },
        })
    );
}

#[test]
fn recharges_have_a_reference_and_amounts_of_the_accounts_unit() {
    let daemons = Daemons::answering(&[
        ("POST /operations", alice()),
        ("GET /accounts/alice", alice()),
    ]);
    let expected = |service: &str, amount: Value, part: bool| {
        json!({ "recharge": {
            "account": "alice", "service_account": service, "amount": amount, "part": part, "reference": "r1",
        }})
    };
    for (arguments, operation) in [
        ("gprs --reference r1", expected("gprs", Value::Null, false)),
        (
            "gprs 2000 --part --reference r1",
            expected("gprs", json!(2000), true),
        ),
        (
            "stars 2.50 --reference r1",
            expected("stars", json!(2_500_000), false),
        ),
    ] {
        let arguments = format!("account service recharge alice {arguments}");
        let printed = daemons.prints(&words(&arguments));
        assert!(
            printed.starts_with("reference     r1\naccount       alice\n"),
            "{printed}"
        );
        assert_eq!(
            daemons.asked().pop(),
            Some(("POST /operations".into(), operation))
        );
    }
    let printed = daemons.prints(&words("account service recharge alice gprs --json"));
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        printed["reference"],
        daemons.asked()[0].1["recharge"]["reference"]
    );
    for (arguments, code) in [("gprs 2.50", 2), ("stars 1,5", 2), ("wap 1", 1)] {
        let outcome = daemons.run(&words(&format!(
            "account service recharge alice {arguments}"
        )));
        assert_eq!(outcome.code, code, "{outcome:?}");
        assert_eq!(daemons.asked().len(), 1, "only the account was looked at");
    }
}

#[test]
fn service_accounts_are_shown_and_closed() {
    let daemons = Daemons::answering(&[
        ("POST /operations", alice()),
        ("GET /accounts/alice", alice()),
    ]);
    assert_eq!(daemons.prints(&words("account service show alice")), TABLE);
    assert!(
        daemons
            .prints(&words("account show alice"))
            .ends_with(&format!("live calls    0\n\n{TABLE}"))
    );
    assert_eq!(
        daemons.prints(&words("account service show alice gprs")),
        "service       alice/gprs\n\
         state         open\n\
         balance       4200000 octets\n\
         held          200000 octets\n\
         classes       10\n\
         priority      1\n\
         price         0.30 for 1000000 octets\n\
         recharge      5000000 octets, at 100000 octets or less, on day 1 of the month at 00:00, or a part, \
         what is left is forfeited\n\
         recharged     2027-01-01 00:00:00+00:00\n\
         told at       1000000 octets\n\
         when short    redirect=https://pay.example.org/\n"
    );
    let shown = daemons.prints(&words("account service show alice gprs --json"));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["terms"]["recharge"], gprs()["recharge"]);
    assert_eq!(shown["balance"], 4_200_000);
    assert_eq!(
        daemons.run(&words("account service show alice wap")).code,
        1
    );
    daemons.asked();
    daemons.prints(&words("account service close alice gprs"));
    let closed =
        json!({ "close-service-account": { "account": "alice", "service_account": "gprs" } });
    assert_eq!(daemons.asked(), [("POST /operations".into(), closed)]);
}

#[test]
fn flags_that_make_no_rule_are_never_asked() {
    let daemons = Daemons::answering(&[("POST /operations", alice())]);
    for arguments in [
        "gprs",
        "gprs --unit octets",
        "gprs --class 1",
        "gprs --class 1 --unit bushels",
        "gprs --class 1 --unit octets --price 0.30",
        "gprs --class 1 --unit octets --price 0.30/0",
        "gprs --class 1 --unit octets --amount 5",
        "gprs --class 1 --unit octets --recharge-at 5",
        "gprs --class 1 --unit octets --recharge-at 5 --amount 1 --up-to 2",
        "gprs --class 1 --unit octets --recharge-at 5 --amount 1.50",
        "gprs --class 1 --unit octets --recharge-monthly 32 --amount 1",
        "gprs --class 1 --unit octets --recharge-weekly 1 --recharge-daily --amount 1",
        "gprs --class 1 --unit octets --recharge-at 5 --amount 1 --forfeit",
        "gprs --class 1 --unit octets --when-short give-up",
        "gprs --class 1 --unit octets --when-short redirect=",
        "gprs --class 1 --unit octets --when-short restrict=nonsense",
        "gprs --class 1 --unit octets --when-main-short main-account",
        "gprs --terms x.json --class 1",
    ] {
        let outcome = daemons.run(&words(&format!("account service set alice {arguments}")));
        assert_eq!(
            (outcome.code, &*outcome.out),
            (2, ""),
            "{arguments}: {outcome:?}"
        );
    }
    assert_eq!(daemons.asked(), []);
}

#[test]
fn rules_are_changed_one_by_one() {
    let daemons = Daemons::answering(&[
        ("GET /accounts/alice", alice()),
        ("POST /operations", alice()),
    ]);
    let sent = |arguments: &str| {
        daemons.prints(&words(&format!("account service rules alice {arguments}")));
        let asked = daemons.asked();
        asked.last().unwrap().1["set-service-rules"].clone()
    };
    assert_eq!(
        sent("gprs --threshold 5000 --threshold 100"),
        json!({"account": "alice", "service_account": "gprs", "thresholds": [5000, 100]})
    );
    assert_eq!(
        sent("stars --recharge-at 0.50 --amount 2.00 --no-thresholds"),
        json!({
            "account": "alice", "service_account": "stars", "thresholds": [],
            "recharge": {
                "at_minimum": 500_000, "calendar": null, "amount": {"fixed": 2_000_000}, "part": false, "forfeit": false,
            },
        })
    );
    assert_eq!(
        sent("gprs --no-recharge"),
        json!({"account": "alice", "service_account": "gprs", "recharge": null})
    );
    for wrong in [
        "gprs",
        "gprs --no-recharge --recharge-at 1 --amount 2",
        "gprs --amount 2",
    ] {
        let outcome = daemons.run(&words(&format!("account service rules alice {wrong}")));
        assert_eq!(outcome.code, 2, "{outcome:?}");
    }
}
