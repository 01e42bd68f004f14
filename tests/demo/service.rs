//! A customer's service accounts before a packet gateway (python-diameter): recharged, emptied, redirected, and given back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tollwire_harness::daemons::program;
use tollwire_harness::net::Net;
use tollwire_harness::process::{Process, Scratch, run};
use tollwire_harness::wait::{PATIENCE, wait_until};

use super::{print_indented, say, stage};

const PORT: u16 = 3_868;

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
    let at = |name: &str| scratch.path().join(name).display().to_string();
    scratch.write("tariffs.toml", TARIFFS);
    scratch.write("classes.toml", CLASSES);
    let config = format!(
        "[diameter]\norigin_host = \"chargingd.tollwire.example\"\norigin_realm = \"tollwire.example\"\n\
         listen = [\"127.0.0.1:{PORT}\"]\n[store]\npath = {:?}\n[records]\ndirectory = {:?}\n\
         [tariffs]\nfile = {:?}\n[classes]\nfile = {:?}\n[admin]\nsocket = {:?}\n",
        at("chargingd.db"),
        at("records"),
        at("tariffs.toml"),
        at("classes.toml"),
        at("chargingd.admin"),
    );
    let path = scratch.write("chargingd.toml", &config);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("its own file");
    let mut command = net.router.command(program("chargingd"));
    let log = scratch.path().join("chargingd.log");
    let _daemon = Process::start("chargingd", command.arg("--config").arg(&path), &log);
    let admin = scratch.path().join("chargingd.admin");
    wait_until("chargingd to serve", PATIENCE, || {
        std::os::unix::net::UnixStream::connect(&admin).is_ok()
    });
    let tollctl = |line: &str| {
        let mut command = net.router.command(program("tollctl"));
        run(command.arg("--chargingd").arg(&admin).args(line.split(' ')))
    };
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
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = net
        .router
        .command(tests.join("../target/python/bin/python"));
    let port = PORT.to_string();
    let mut gateway = Process::start(
        "gateway",
        command
            .arg(tests.join("netns/diameter/gy_client.py"))
            .args(["127.0.0.1", &port]),
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
