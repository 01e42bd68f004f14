//! `chargingd` as accounting storage, before an element that nobody here wrote: python-diameter (PyPI), judged by
//! tshark too.

use tollwire_harness::charging::Charging;
use tollwire_harness::net::Net;
use tollwire_harness::process::{Scratch, run};

#[test]
fn sessions_events_and_repetitions_of_another_vendors_element() {
    let net = Net::new(1);
    let scratch = Scratch::new();
    let storage = format!(
        "[accounting_storage]\nenabled = true\npath = {:?}\ninterim_interval_seconds = 300\n\
         realtime_required = \"grant-and-store\"\n",
        scratch.path().join("accounting.db"),
    );
    let charging = Charging::start(&net, &scratch, "", &storage);
    let capture = charging.capture(&scratch);
    let said = run(&mut charging.client("rf_client.py"));
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
        let mut command = charging.tollctl();
        command.arg("accounting").args(arguments);
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
