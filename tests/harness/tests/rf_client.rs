//! `chargingd` as accounting storage, before an element that nobody here wrote: python-diameter (PyPI), judged by
//! tshark too.

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
fn sessions_events_and_repetitions_of_another_vendors_element() {
    let net = Net::new(1);
    let scratch = Scratch::new();
    let at = |name: &str| scratch.path().join(name).display().to_string();
    scratch.write("tariffs.toml", "");
    let config = format!(
        "[diameter]\norigin_host = \"chargingd.tollwire.example\"\norigin_realm = \"tollwire.example\"\n\
         listen = [\"127.0.0.1:{PORT}\"]\n[store]\npath = {:?}\n[records]\ndirectory = {:?}\n[tariffs]\nfile = {:?}\n\
         [admin]\nsocket = {:?}\n[accounting_storage]\nenabled = true\npath = {:?}\ninterim_interval_seconds = 300\n\
         realtime_required = \"grant-and-store\"\n",
        at("chargingd.db"),
        at("records"),
        at("tariffs.toml"),
        at("chargingd.admin"),
        at("accounting.db"),
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

    let capture = Capture::start(&net.router, &scratch, &format!("tcp port {PORT}"));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut client = net
        .router
        .command(tests.join("../target/python/bin/python"));
    let said = run(client
        .arg(tests.join("netns/diameter/rf_client.py"))
        .args(["127.0.0.1", &PORT.to_string()]));
    let expected = "start 0 2001 300 2\n\
                    interim 1 2001 300 2\n\
                    interim 1 2001 300 2\n\
                    interim 2 2001 300 2\n\
                    stop 3 2001 300 2\n\
                    stop 3 2001 300 2\n\
                    event 0 2001 300 2\n\
                    stop 2 2001 300 2\n\
                    event 0 5005 None None\n";
    assert_eq!(said, expected);

    let tollctl = |arguments: &[&str]| {
        let mut command = net.router.command(program("tollctl"));
        command.arg("--chargingd").arg(&admin).arg("accounting");
        command.args(arguments);
        command
    };
    let records = run(&mut tollctl(&["list", "--json"]));
    let records: Vec<serde_json::Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record a line"))
        .collect();
    let types: Vec<_> = records
        .iter()
        .map(|it| it["record_type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        ["start", "interim", "interim", "stop", "event", "stop"]
    );
    assert_eq!(records[0]["element"], "python.tollwire.example");
    assert_eq!(records[0]["event_unix_ms"], 1_795_251_600_000_i64);

    // What it cannot know is kept, and shown.
    let shown = run(&mut tollctl(&["show", &records[4]["id"].to_string()]));
    for line in [
        "Service-Context-Id = 32260@3gpp.org",
        "AVP 2 of vendor 10415 = 0x00010203",
        "Calling-Party-Address = sip:alice@tollwire.example",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let gaps = tollctl(&["gaps"]).output().expect("tollctl runs");
    assert_eq!(gaps.status.code(), Some(1));
    let gaps = String::from_utf8_lossy(&gaps.stdout).into_owned();
    assert!(gaps.contains("python.tollwire.example;1;3"), "{gaps}");
    assert!(!gaps.contains("python.tollwire.example;1;1"), "{gaps}");

    let recording = capture.stop();
    assert_eq!(recording.count("_ws.malformed || _ws.unreassembled"), 0);
    let answers = "diameter.cmd.code == 271 && diameter.flags.request == 0";
    assert_eq!(recording.count(answers), 9);
    assert_eq!(
        recording.count(&format!("{answers} && diameter.Result-Code == 2001")),
        8
    );
    // It says what it accounts for, as 3GPP's elements look for it.
    let cea = "diameter.cmd.code == 257 && diameter.flags.request == 0";
    let advertised = recording.fields(cea, &["diameter.Acct-Application-Id"]);
    assert_eq!(advertised, [["3"]]);
    assert_eq!(
        recording.count("diameter.cmd.code == 271 && diameter.flags.T == 1"),
        1
    );
}
