//! A customer's service accounts before a packet gateway (python-diameter): recharged, emptied, redirected, and given back.

use tollwire_harness::charging::Charging;
use tollwire_harness::net::Net;
use tollwire_harness::process::{Process, Scratch, run};
use tollwire_harness::wait::{PATIENCE, wait_until};

use super::{print_indented, say, stage};

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
"#;

const CLASSES: &str = r#"
[[class]]
name = "internet"
rating_group = 10
when_short = { action = "redirect", address = "https://operator.example/refill" }
"#;

pub fn show() {
    stage(
        "Service accounts: chargingd, and a packet gateway that asks it for credit (Diameter Gy)",
    );
    let net = Net::new(1);
    let scratch = Scratch::new();
    let classes = scratch.write("classes.toml", CLASSES);
    let charging = Charging::start(
        &net,
        &scratch,
        TARIFFS,
        &format!("[classes]\nfile = {classes:?}\n"),
    );
    let tollctl = |line: &str| run(charging.tollctl().args(line.split(' ')));
    let told = |line: &str| {
        say(&format!("tollctl {line}"));
        tollctl(line)
    };
    told("account create alice --currency EUR --identity imsi:262011234567890");
    told("account top-up alice 3.00 --reference first");
    told(
        "account service set alice internet --class 10 --unit octets --price 1.00/1000000 --priority 1 \
         --recharge-at 0 --amount 1000000",
    );
    told("account service set alice content --class 30 --unit EUR --priority 2");
    told("account service recharge alice content 1.00");
    print_indented(&tollctl("account service show alice"));

    stage("She surfs and reads until the octets are used and the main account is empty");
    let mut gateway = Process::start(
        "gateway",
        &mut charging.client("gy_client.py"),
        &scratch.path().join("gateway.log"),
    );
    wait_until("the user to be redirected", PATIENCE, || {
        gateway.log().contains("redirected")
    });
    let before = gateway.log().len();
    print_indented(&answers(&gateway.log()));

    stage("She pays, and the gateway is asked back at once");
    told("account top-up alice 2.00 --reference second");
    gateway.wait_success(PATIENCE);
    let log = gateway.log();
    print_indented(&answers(log.get(before..).unwrap_or_default()));
    print_indented(&tollctl("account service show alice"));
    print_indented(&tollctl("ledger alice"));
    print_indented(&tollctl("trial-balance"));
}

/// The gateway's own lines, without what its library says of its connections.
fn answers(log: &str) -> String {
    let own = [
        "initial",
        "update",
        "termination",
        "  group",
        "redirected",
        "asked",
    ];
    log.lines()
        .filter(|line| own.iter().any(|begin| line.starts_with(begin)))
        .map(|line| format!("{line}\n"))
        .collect()
}
