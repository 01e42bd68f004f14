use serde_json::{Value, json};

use crate::daemons::{Daemons, finish, tollctl};

fn alice() -> Value {
    json!({
        "name": "alice", "payment": "prepaid", "currency": "EUR", "balance_micro": 12_500_000,
        "credit_limit_micro": 0, "blocked": false, "held_micro": 1, "available_micro": 12_499_999,
        "identities": ["sip:alice@example.org", "+15551234"], "sessions": 1,
        "service_accounts": [],
    })
}

const ALICE: &str = "\
account       alice
payment       prepaid
state         open
balance       12.50 EUR
held          0.000001 EUR
credit limit  0.00 EUR
available     12.499999 EUR
identities    sip:alice@example.org +15551234
live calls    1
";

#[test]
fn operations_are_posted_and_the_account_is_printed() {
    let daemons = Daemons::answering(&[("POST /operations", alice())]);
    for (arguments, operation) in [
        (
            "account create alice --currency eur --identity sip:alice@example.org --identity +15551234",
            json!({ "create-account": {
                "name": "alice", "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0,
                "identities": ["sip:alice@example.org", "+15551234"],
            }}),
        ),
        (
            "account create acme --currency USD --postpaid --credit-limit 50",
            json!({ "create-account": {
                "name": "acme", "payment": "postpaid", "currency": "USD",
                "credit_limit_micro": 50_000_000, "identities": [],
            }}),
        ),
        (
            "account limit alice 0.000001",
            json!({ "set-credit-limit": { "account": "alice", "credit_limit_micro": 1 } }),
        ),
        (
            "account block alice",
            json!({ "block": { "account": "alice" } }),
        ),
        (
            "account unblock alice",
            json!({ "unblock": { "account": "alice" } }),
        ),
        (
            "account profile set alice --time-zone Europe/Berlin --contact mailto:a@example.org --threshold 2.50",
            json!({ "set-profile": {
                "account": "alice", "time_zone": "Europe/Berlin", "contacts": ["mailto:a@example.org"],
                "language": null, "address": null, "thresholds": [2_500_000],
            }}),
        ),
        (
            "account profile set alice --no-contacts --no-thresholds --language de --address Berlin",
            json!({ "set-profile": {
                "account": "alice", "time_zone": null, "contacts": [], "language": "de", "address": "Berlin",
                "thresholds": [],
            }}),
        ),
        (
            "account expire alice --at 2026-12-31",
            json!({ "set-expiry": {
                "account": "alice", "service_account": null, "expires_unix_ms": 1_798_675_200_000_i64,
            }}),
        ),
        (
            "account expire alice --service gprs --never",
            json!({ "set-expiry": {
                "account": "alice", "service_account": "gprs", "expires_unix_ms": null,
            }}),
        ),
        (
            "account identity add alice sip:a@example.org",
            json!({ "add-identity": { "account": "alice", "identity": "sip:a@example.org" } }),
        ),
        (
            "account identity remove sip:a@example.org",
            json!({ "remove-identity": { "identity": "sip:a@example.org" } }),
        ),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(daemons.prints(&arguments), ALICE);
        assert_eq!(daemons.asked(), [("POST /operations".into(), operation)]);
    }
}

#[test]
fn accounts_are_listed_and_shown() {
    let daemons = Daemons::answering(&[
        ("GET /accounts", json!([alice()])),
        ("GET /accounts/alice", alice()),
    ]);
    assert_eq!(
        daemons.prints(&["account", "list"]),
        "NAME   PAYMENT  BALANCE      HELD  AVAILABLE  CURRENCY  CALLS  STATE\n\
         alice  prepaid    12.50  0.000001  12.499999  EUR           1  open\n"
    );
    assert_eq!(daemons.prints(&["account", "show", "alice"]), ALICE);
    let printed: Value =
        serde_json::from_str(&daemons.prints(&["account", "show", "alice", "--json"])).unwrap();
    assert_eq!(printed, alice());
}

#[test]
fn a_top_up_has_a_reference_that_is_printed() {
    let daemons = Daemons::answering(&[("POST /operations", alice())]);
    let out = daemons.prints(&[
        "account",
        "top-up",
        "alice",
        "12.50",
        "--reference",
        "cash 7",
    ]);
    assert_eq!(out, format!("reference     cash 7\n{ALICE}"));
    let expected = json!({ "top-up": {
        "account": "alice", "amount_micro": 12_500_000, "reference": "cash 7",
    }});
    assert_eq!(daemons.asked()[0].1, expected);

    let mut references = Vec::new();
    for _ in 0..2 {
        let out = daemons.prints(&["account", "top-up", "alice", "1", "--json"]);
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(out["account"], alice());
        assert_eq!(
            out["reference"],
            daemons.asked()[0].1["top-up"]["reference"]
        );
        references.push(out["reference"].as_str().unwrap().to_owned());
    }
    assert_ne!(references[0], references[1]);
}

#[test]
fn after_a_doubtful_top_up_the_reference_to_repeat_it_with_is_told() {
    // An answer that makes no sense: the money may have been taken.
    let socket = std::env::temp_dir().join(format!("tollctl-{}-broken.admin", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let mut command = tollctl();
    command
        .arg("--chargingd")
        .arg(&socket)
        .args(["account", "top-up", "alice", "5"]);
    let outcome = finish(command, "");
    server.join().unwrap();
    std::fs::remove_file(&socket).unwrap();
    assert_eq!(outcome.code, 69);
    assert!(
        outcome.err.contains("repeat it with --reference tollctl-"),
        "{outcome:?}"
    );
}

#[test]
fn refusals_name_the_daemon_and_its_socket() {
    let daemons = Daemons::answering(&[]);
    daemons.answer("POST /operations", 409, json!("there is an account alice"));
    let outcome = daemons.run(&["account", "create", "alice", "--currency", "EUR"]);
    assert_eq!((outcome.code, &*outcome.out), (1, ""));
    assert!(
        outcome.err.starts_with("tollctl: chargingd (/"),
        "{outcome:?}"
    );
    assert!(
        outcome
            .err
            .ends_with(".admin): there is an account alice\n"),
        "{outcome:?}"
    );
}

#[test]
fn a_daemon_that_is_not_there_is_named_with_what_to_do() {
    let mut command = tollctl();
    command.args(["--chargingd", "/nonexistent/socket", "account", "list"]);
    let outcome = finish(command, "");
    assert_eq!(outcome.code, 69);
    for part in [
        "chargingd",
        "/nonexistent/socket",
        "does the daemon run",
        "--chargingd",
    ] {
        assert!(outcome.err.contains(part), "{outcome:?}");
    }
}

#[test]
fn an_answer_of_another_version_is_an_error() {
    let daemons = Daemons::answering(&[("GET /accounts", json!([{ "name": "alice" }]))]);
    let outcome = daemons.run(&["account", "list"]);
    assert_eq!(outcome.code, 69);
    assert!(outcome.err.contains("of one version"), "{outcome:?}");
}

#[test]
fn what_is_wrong_on_the_command_line_is_never_asked() {
    let daemons = Daemons::answering(&[("POST /operations", alice())]);
    for arguments in [
        "account top-up alice 1.0000001",
        "account top-up alice 0",
        "account top-up alice 1,50",
        "account top-up alice -5",
        "account create alice --currency XYZ",
        "account create alice",
        "account create a/../b --currency EUR",
        "account limit alice 99999999999999999999",
        "account profile set alice",
        "account profile set alice --contact alice",
        "account profile set alice --contact sms:+4917012345 --no-contacts",
        "account expire alice",
        "account expire alice --never --at 2026-12-31",
        "frobnicate",
        "",
    ] {
        let arguments: Vec<&str> = arguments
            .split(' ')
            .filter(|part| !part.is_empty())
            .collect();
        let outcome = daemons.run(&arguments);
        assert_eq!((outcome.code, &*outcome.out), (2, ""), "{outcome:?}");
        assert!(!outcome.err.is_empty());
    }
    assert_eq!(daemons.asked(), []);
}

#[test]
fn the_ledger_is_read_from_the_accounts_side() {
    let daemons = Daemons::answering(&[(
        "GET /ledger?account=alice&limit=2",
        json!([
            { "key": "top-up:1", "debit": "@cash:EUR", "credit": "alice", "amount": 5_000_000,
              "commodity": "EUR", "unix_ms": 0 },
            { "key": "s;1", "debit": "alice", "credit": "@revenue:EUR", "amount": 10_000,
              "commodity": "EUR", "unix_ms": 60_000 },
        ]),
    )]);
    assert_eq!(
        daemons.prints(&["ledger", "alice", "-n", "2"]),
        "TIME                       AMOUNT  OF   OTHER SIDE    KEY\n\
         1970-01-01 00:00:00+00:00   +5.00  EUR  @cash:EUR     top-up:1\n\
         1970-01-01 00:01:00+00:00   -0.01  EUR  @revenue:EUR  s;1\n"
    );
}

#[test]
fn a_trial_balance_that_differs_fails() {
    let balance = |stored: i64| {
        json!({ "balanced": stored == 5, "accounts": [
            { "name": "alice", "commodity": "EUR", "stored": stored, "ledger": 5 },
        ]})
    };
    let daemons = Daemons::answering(&[("GET /trial-balance", balance(5))]);
    assert_eq!(
        daemons.prints(&["trial-balance"]),
        "ACCOUNT    STORED    LEDGER\nalice    0.000005  0.000005  equal\n"
    );
    daemons.answer("GET /trial-balance", 200, balance(-1));
    let outcome = daemons.run(&["trial-balance"]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.out.contains("-0.000001"), "{outcome:?}");
    assert!(outcome.out.contains("DIFFERENT"), "{outcome:?}");
    assert_eq!(daemons.run(&["trial-balance", "--json"]).code, 1);
}

#[test]
fn tariffs_are_listed_and_files_of_them_checked() {
    let tariff = json!({
        "name": "day", "prefixes": ["", "49"], "currency": "EUR", "setup_fee_micro": 50_000,
        "price_per_minute_micro": 60_000, "first_increment_seconds": 60, "next_increment_seconds": 1,
    });
    let table = "NAME  SET-UP  PRICE     CURRENCY  INCREMENTS  PREFIXES\n\
                 day     0.05  0.06/min  EUR       60/1        (all) 49\n";
    let daemons = Daemons::answering(&[("GET /tariffs", json!([tariff]))]);
    assert_eq!(daemons.prints(&["tariff", "list"]), table);

    let file = std::env::temp_dir().join(format!("tollctl-{}.toml", std::process::id()));
    let path = file.to_str().unwrap();
    let text = "[[tariff]]\nname = \"day\"\nprefixes = [\"\", \"49\"]\ncurrency = \"EUR\"\n\
                setup_fee_micro = 50000\nprice_per_minute_micro = 60000\nfirst_increment_seconds = 60\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(daemons.prints(&["tariff", "check", path]), table);
    std::fs::write(&file, text.replace("60000", "\"6 cents\"")).unwrap();
    let outcome = daemons.run(&["tariff", "check", path]);
    assert_eq!((outcome.code, &*outcome.out), (1, ""));
    assert!(
        outcome
            .err
            .contains(&format!("{path}:6: tariff.price_per_minute_micro")),
        "{outcome:?}"
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(daemons.run(&["tariff", "check", path]).code, 1);
}

#[test]
fn a_price_is_explained_line_by_line() {
    let tariff = json!({
        "name": "day", "prefixes": ["49"], "currency": "EUR", "setup_fee_micro": 50_000,
        "price_per_minute_micro": 600_000, "first_increment_seconds": 1, "next_increment_seconds": 1,
        "free_seconds": 30, "minimum_micro": 100_000,
        "steps": [{"from_seconds": 60, "price_per_minute_micro": 100_000}],
    });
    let daemons = Daemons::answering(&[("GET /tariffs", json!([tariff]))]);
    let printed = daemons.prints(&["rate", "--to", "sip:+4930@example.org", "--for", "1m35s"]);
    let lines: Vec<String> = printed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "PART OF AMOUNT",
            "set-up fee the begin 0.05",
            "time 30 s from second 0 at 0.00 a minute 0.00",
            "time 30 s from second 30 at 0.60 a minute 0.30",
            "time 35 s from second 60 at 0.10 a minute 0.058333",
            "rounding up to a whole micro-unit 0.000001",
            "price 95 s, charged as 95 s, in EUR by tariff \"day\" 0.408334",
        ]
    );
    let short = daemons.prints(&["rate", "--to", "+49301", "--for", "10"]);
    assert!(
        short.contains("minimum     up to what is charged at least") && short.contains("0.05\n"),
        "{short}"
    );
    let found: Value =
        serde_json::from_str(&daemons.prints(&["--json", "rate", "--to", "+4930", "--for", "95s"]))
            .unwrap();
    assert_eq!(found["price_micro"], 408_334);
    assert_eq!(found["lines"][3]["amount_micro"], 58_333);
    assert_eq!(found["charged"]["seconds"], 95);
    let outcome = daemons.run(&["rate", "--to", "+1555", "--for", "1s"]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.err.contains("no tariff in EUR is for +1555"),
        "{outcome:?}"
    );
    let listed = daemons.prints(&["tariff", "list"]);
    assert!(
        listed.contains("30 s free, at least 0.10, 0.10 from 60 s"),
        "{listed}"
    );
}

#[test]
fn a_price_by_the_clock_and_by_who_calls_is_explained() {
    let tariffs = json!([
        {
            "name": "day", "prefixes": ["49"], "currency": "EUR", "price_per_minute_micro": 60_000,
            "time_zone": "Europe/Berlin", "tax_basis_points": 1_900,
            "periods": [{ "days": ["mon-fri"], "from": "08:00", "to": "18:00", "price_per_minute_micro": 600_000 }],
        },
        { "name": "staff", "currency": "EUR", "price_per_minute_micro": 0, "calling_groups": ["staff"] },
        {
            "name": "video", "currency": "EUR", "price_per_minute_micro": 500_000, "price_per_megabyte_micro": 30_000_000,
            "included_bits_per_second": 1_000_000, "rating_groups": [20],
        },
        {
            "name": "stars", "currency": "EUR", "price_per_event_micro": 190_000, "service_identifiers": [7],
            "provider": "stars.example", "commission_basis_points": 3_050,
        },
    ]);
    let daemons = Daemons::answering(&[
        ("GET /tariffs", tariffs),
        ("GET /calling-groups", json!({ "staff": ["493012"] })),
    ]);
    let lines = |arguments: &[&str]| -> Vec<String> {
        let printed = daemons.prints(&[&["rate"], arguments].concat());
        let lines = printed.lines().skip(1);
        lines
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    let at = [
        "--at",
        "2026-11-20T16:59:00Z",
        "--for",
        "90s",
        "--to",
        "+4930",
    ];
    assert_eq!(
        lines(&at),
        [
            "time 60 s from second 0 at 0.60 a minute, Fri 2026-11-20 17:59:00 CET, period 1 0.60",
            "time 30 s from second 60 at 0.06 a minute, Fri 2026-11-20 18:00:00 CET 0.03",
            "price 90 s, charged as 90 s, in EUR by tariff \"day\" 0.63",
            "tax contained, 19 % 0.100588",
        ]
    );
    let staff = lines(&[&at[..], &["--from", "tel:+49-3012-5"]].concat());
    assert!(
        staff.last().unwrap().contains("by tariff \"staff\" 0.00"),
        "{staff:?}"
    );
    assert_eq!(
        lines(&["--class", "20", "--for", "1m", "--octets", "7501000"]),
        [
            "time 60 s from second 0 at 0.50 a minute 0.50",
            "volume 1000 octets from octet 0 at 30.00 for 1000000 0.03",
            "price 60 s, charged as 60 s, and 7501000 octets, 1000 of them above 1000000 bit/s, charged as 1000, \
             in EUR by tariff \"video\" 0.53",
        ]
    );
    assert_eq!(
        lines(&["--service", "7", "--events", "2"]),
        [
            "events 2 from number 1 at 0.19 each 0.38",
            "price 2 events, in EUR by tariff \"stars\" 0.38",
        ]
    );
    let outcome = daemons.run(&[
        "rate",
        "--class",
        "20",
        "--service",
        "9",
        "--currency",
        "usd",
    ]);
    assert!(
        outcome
            .err
            .contains("no tariff in USD is for what calls nobody of rating group 20 of service 9"),
        "{outcome:?}"
    );
    let listed = daemons.prints(&["tariff", "list"]);
    for told in [
        "0.50/min + 30.00/MB above 1000000 bit/s",
        "1 period in Europe/Berlin, tax 19 %",
        "callers staff",
        "rating group 20",
        "service 7, for stars.example, commission 30.50 %",
    ] {
        assert!(listed.contains(told), "{told}: {listed}");
    }
}
