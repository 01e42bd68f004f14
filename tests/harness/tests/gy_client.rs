//! Service accounts before a packet gateway that nobody here wrote: python-diameter (PyPI), judged by tshark too.
//!
//! Two classes in one session, one that nobody knows; the octets are recharged from the main account until that is empty;
//! then the user is redirected, until he has paid. And two classes that share a credit pool, which the gateway counts for itself.

use serde_json::{Value, json};
use tollwire_harness::charging::{Charging, PORT};
use tollwire_harness::net::Net;
use tollwire_harness::process::{Process, Scratch, run};
use tollwire_harness::wait::{PATIENCE, wait_until};
use tollwire_runtime::admin::client;

const TARIFFS: &str = r#"
[[tariff]]
name = "internet"
rating_groups = [10]
currency = "EUR"
price_per_megabyte_micro = 1000000

[[tariff]]
name = "content"
rating_groups = [30]
currency = "EUR"
price_per_event_micro = 500000
tax_basis_points = 1900

[[tariff]]
name = "streaming"
rating_groups = [20]
currency = "EUR"
price_per_megabyte_micro = 5000000

[[tariff]]
name = "calls"
currency = "EUR"
prefixes = ["49"]
price_per_minute_micro = 60000
"#;

const CLASSES: &str = r#"
[[class]]
name = "internet"
rating_group = 10
when_short = { action = "redirect", address = "https://operator.example/refill" }
validity_seconds = 900
quota_holding_seconds = 60
threshold = 100000
"#;

const POOLED: &str = r#"
[[class]]
name = "internet"
rating_group = 10
when_main_short = { action = "redirect", address = "https://operator.example/refill" }
pool = true
threshold = 100000

[[class]]
name = "streaming"
rating_group = 20
quantum = 200000
pool = true
"#;

fn operate(charging: &Charging, operation: &Value) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(client::post(charging.admin(), "/operations", operation))
        .unwrap_or_else(|error| panic!("{operation}: {error}"))
}

#[test]
fn octets_are_recharged_redirected_and_given_back() {
    let net = Net::new(1);
    let scratch = Scratch::new();
    let classes = scratch.write("classes.toml", CLASSES);
    let charging = Charging::start(
        &net,
        &scratch,
        TARIFFS,
        &format!("[classes]\nfile = {classes:?}\n"),
    );
    let operate = |operation: Value| operate(&charging, &operation);
    operate(
        json!({ "create-account": { "name": "alice", "payment": "prepaid", "currency": "EUR",
        "credit_limit_micro": 0, "identities": ["imsi:262011234567890"] } }),
    );
    operate(
        json!({ "top-up": { "account": "alice", "amount_micro": 3_000_000, "reference": "first" } }),
    );
    operate(
        json!({ "set-service-account": { "account": "alice", "service_account": "internet", "terms": {
            "rating_groups": [10], "priority": 1, "unit": "octets",
            "price": { "amount_micro": 1_000_000, "per": 1_000_000 },
            "recharge": { "at_minimum": 0, "amount": { "fixed": 1_000_000 } } } } }),
    );
    operate(
        json!({ "set-service-account": { "account": "alice", "service_account": "content", "terms": {
            "rating_groups": [30], "priority": 2, "unit": "EUR" } } }),
    );
    operate(
        json!({ "recharge": { "account": "alice", "service_account": "content", "amount": 1_000_000,
        "reference": "pocket money" } }),
    );

    let capture = charging.capture(&scratch);
    let mut gateway = Process::start(
        "gateway",
        &mut charging.client("gy_client.py"),
        &scratch.path().join("gateway.log"),
    );
    wait_until("the user to be redirected", PATIENCE, || {
        gateway.log().contains("redirected")
    });
    operate(
        json!({ "top-up": { "account": "alice", "amount_micro": 2_000_000, "reference": "second" } }),
    );
    gateway.wait_success(PATIENCE);
    let limits = "validity_time=900 quota_holding_time=60 volume_quota_threshold=100000";
    let expected = format!(
        "initial 2001\n  \
           group 10 2001 cc_total_octets=1000000 {limits}\n  \
           group 30 2001 cc_service_specific_units=1 validity_time=600\n  \
           group 77 5031\n\
         update 2001\n  \
           group 10 2001 cc_total_octets=1000000 {limits}\n  \
           group 30 2001 cc_service_specific_units=1 validity_time=600 then terminate\n\
         update 2001\n  \
           group 10 2001 cc_total_octets=500000 {limits} then redirect https://operator.example/refill\n\
         update 2001\n  \
           group 10 2001 validity_time=300\n\
         redirected\n\
         asked back 258 True\n\
         update 2001\n  \
           group 10 2001 cc_total_octets=1000000 {limits}\n\
         termination 2001\n  \
           group 10 2001\n  \
           group 30 2001\n"
    );
    // Beside it the library says what it thinks of its connections.
    let said = gateway.log();
    assert!(said.contains(&expected), "{said}\ninstead of\n{expected}");
    let trial = run(charging.tollctl().arg("trial-balance"));
    assert!(!trial.contains("DIFFERENT"), "{trial}");
    let shown = operate(
        json!({ "add-identity": { "account": "alice", "identity": "sip:alice@tollwire.example" } }),
    );
    let balance = |index: usize| shown["service_accounts"][index]["balance"].clone();
    // 3.00 + 2.00 - 1.00 for content - 3 recharges of 1.00; of the octets 2,250,000 are used.
    assert_eq!(
        (&shown["balance_micro"], balance(0), balance(1)),
        (&json!(1_000_000), json!(750_000), json!(500_000)),
        "{shown}"
    );
    let recording = capture.stop();
    assert_eq!(recording.count("_ws.malformed || _ws.unreassembled"), 0);
    assert_eq!(
        recording.count(&format!(
            "diameter.cmd.code == 258 && diameter.flags.request == 1 && tcp.srcport == {PORT}"
        )),
        1
    );
    assert_eq!(recording.count("diameter.Redirect-Server-Address"), 1);
}

#[test]
fn two_rating_groups_spend_one_pool() {
    let net = Net::new(1);
    let scratch = Scratch::new();
    let classes = scratch.write("classes.toml", POOLED);
    let classes = format!("[classes]\nfile = {classes:?}\n");
    let charging = Charging::start(&net, &scratch, TARIFFS, &classes);
    let top_up = |amount_micro: i64, reference: &str| {
        operate(
            &charging,
            &json!({ "top-up": { "account": "alice", "amount_micro": amount_micro, "reference": reference } }),
        )
    };
    operate(
        &charging,
        &json!({ "create-account": { "name": "alice", "payment": "prepaid", "currency": "EUR",
        "credit_limit_micro": 0, "identities": ["imsi:262011234567890"] } }),
    );
    top_up(2_500_000, "first");

    let capture = charging.capture(&scratch);
    let mut gateway = Process::start(
        "gateway",
        charging.client("gy_client.py").arg("pool"),
        &scratch.path().join("gateway.log"),
    );
    wait_until("the pool to be used up", PATIENCE, || {
        gateway.log().contains("used up")
    });
    top_up(2_000_000, "second");
    gateway.wait_success(PATIENCE);
    let internet = "pool=1 type=2 multiplier=1 validity_time=600";
    let streaming = "pool=1 type=2 multiplier=5 validity_time=600";
    let expected = format!(
        "initial 2001\n  \
           group 10 2001 cc_total_octets=1000000 {internet}\n  \
           group 20 2001 cc_total_octets=200000 {streaming}\n  \
           pool 1 has 2000000\n\
         update 2001\n  \
           group 10 2001 cc_total_octets=500000 {internet} then redirect https://operator.example/refill\n  \
           group 20 2001 cc_total_octets=0 {streaming} then terminate\n  \
           pool 1 has 500000\n\
         used up\n\
         asked back 258 True for pool 1\n\
         update 2001\n  \
           group 10 2001 cc_total_octets=700000 {internet}\n  \
           group 20 2001 cc_total_octets=200000 {streaming}\n  \
           pool 1 has 2000000\n\
         termination 2001\n  \
           group 10 2001\n  \
           group 20 2001\n  \
           pool 1 has 0\n"
    );
    let said = gateway.log();
    assert!(said.contains(&expected), "{said}\ninstead of\n{expected}");
    let trial = run(charging.tollctl().arg("trial-balance"));
    assert!(!trial.contains("DIFFERENT"), "{trial}");
    // 2.50 + 2.00, less two pools of 2.00 and 0.20 in between.
    let shown = top_up(1, "third");
    assert_eq!(shown["balance_micro"], json!(300_001), "{shown}");
    let recording = capture.stop();
    assert_eq!(recording.count("_ws.malformed || _ws.unreassembled"), 0);
    let of_answers = format!("diameter.cmd.code == 272 && tcp.srcport == {PORT}");
    let references = recording.fields(
        &format!("{of_answers} && diameter.G-S-U-Pool-Reference"),
        &[
            "diameter.G-S-U-Pool-Identifier",
            "diameter.CC-Unit-Type",
            "diameter.CC-Total-Octets",
        ],
    );
    assert_eq!(
        references,
        [
            ["1|1", "2|2", "1000000|200000"],
            ["1|1", "2|2", "500000|0"],
            ["1|1", "2|2", "700000|200000"],
        ]
    );
    assert_eq!(
        recording.count("diameter.3GPP-Reporting-Reason == 8 && diameter.flags.request == 1"),
        1
    );
    assert_eq!(
        recording.count(&format!(
            "diameter.cmd.code == 258 && diameter.flags.request == 1 && tcp.srcport == {PORT} && \
             diameter.G-S-U-Pool-Identifier == 1"
        )),
        1
    );
}
