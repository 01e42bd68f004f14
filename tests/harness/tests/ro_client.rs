//! `chargingd` before a credit-control client that nobody here wrote: python-diameter (PyPI), judged by tshark too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tollwire_harness::capture::Capture;
use tollwire_harness::daemons::program;
use tollwire_harness::net::Net;
use tollwire_harness::process::{Process, Scratch, run};
use tollwire_harness::wait::{PATIENCE, wait_until};

const PORT: u16 = 3_868;

#[test]
fn a_session_and_every_kind_of_event() {
    let net = Net::new(1);
    let scratch = Scratch::new();
    let at = |name: &str| scratch.path().join(name).display().to_string();
    scratch.write(
        "tariffs.toml",
        "[[tariff]]\nname = \"t\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 600000\n",
    );
    let config = format!(
        "[diameter]\norigin_host = \"chargingd.tollwire.example\"\norigin_realm = \"tollwire.example\"\n\
         listen = [\"127.0.0.1:{PORT}\"]\n[store]\npath = {:?}\n[records]\ndirectory = {:?}\n\
         [grants]\nmax_refund_micro = 200000\n[tariffs]\nfile = {:?}\n[admin]\nsocket = {:?}\n",
        at("chargingd.db"),
        at("records"),
        at("tariffs.toml"),
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
    let tollctl = |arguments: &[&str]| {
        let mut command = net.router.command(program("tollctl"));
        run(command.arg("--chargingd").arg(&admin).args(arguments))
    };
    let identity = "sip:alice@tollwire.example";
    tollctl(&[
        "account",
        "create",
        "alice",
        "--currency",
        "EUR",
        "--identity",
        identity,
    ]);
    tollctl(&["account", "top-up", "alice", "1.00", "--reference", "first"]);

    let capture = Capture::start(&net.router, &scratch, &format!("tcp port {PORT}"));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut client = net
        .router
        .command(tests.join("../target/python/bin/python"));
    let port = PORT.to_string();
    let said = run(client
        .arg(tests.join("netns/diameter/ro_client.py"))
        .args(["127.0.0.1", &port]));
    let expected = "session 1 2001 60\n\
                    session 2 2001 60\n\
                    session 3 2001 None\n\
                    check-balance 2001 balance=0\n\
                    check-balance 2001 balance=1\n\
                    price-enquiry 2001 cost=250000e-6\n\
                    direct-debiting 2001 cost=400000e-6\n\
                    direct-debiting 2001 cost=400000e-6\n\
                    direct-debiting 4012\n\
                    refund-account 2001 cost=100000e-6\n\
                    refund-account 5003\n\
                    check-balance 2001 balance=0\n";
    assert_eq!(said, expected);
    let shown = tollctl(&["account", "show", "alice"]);
    assert!(
        shown.contains("0.70"),
        "one debit of 0.40, one refund of 0.10: {shown}"
    );
    let recording = capture.stop();
    assert_eq!(recording.count("_ws.malformed || _ws.unreassembled"), 0);
    assert_eq!(
        recording.count("diameter.CC-Request-Type == 4 && diameter.flags.request == 0"),
        9
    );
}
