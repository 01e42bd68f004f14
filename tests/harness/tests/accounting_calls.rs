//! Calls as accounting sessions: start, interim, stop, over `kill -9` of either side; and what never began.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tollwire_harness::capture::Capture;
use tollwire_harness::scene::{MICRO_PER_SECOND, Scene, Setup};
use tollwire_harness::wait::{PATIENCE, wait_for, wait_until};

const RO: u16 = 3868;
const RX: u16 = 3869;
const SIPD: &str = "records.sipd.tollwire.example";

/// `sipd`'s records in the storage, by session: type and number of each, in the order of the numbers.
fn sessions(scene: &Scene) -> Vec<Vec<(u64, String)>> {
    let path = format!("/accounting/records?element={SIPD}");
    let records = scene.daemons.get("chargingd", &path);
    let mut sessions: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for record in records.as_array().expect("a list").iter().rev() {
        let text = |name: &str| record[name].as_str().expect("a text").to_owned();
        let number = record["number"].as_u64().expect("a number");
        let session = sessions.entry(text("session_id")).or_default();
        session.push((number, text("record_type")));
    }
    let mut sessions: Vec<_> = sessions.into_values().collect();
    for session in &mut sessions {
        session.sort();
    }
    sessions.sort_by_key(Vec::len);
    sessions
}

#[test]
fn a_call_is_told_from_its_answer_to_its_end() {
    let mut scene = Scene::prepare(Setup {
        diameter_tcp: Some((RO, RX)),
        balance_micro: 60 * MICRO_PER_SECOND,
        // Longer than both daemons take to come back.
        quantum: 8,
        accounting: true,
        ..Setup::default()
    });
    let capture = Capture::start(&scene.net.router, &scene.scratch, &format!("tcp port {RO}"));
    scene.start();
    let _from_a = scene.media_a.send_to(scene.media_b.address());
    let mut dialog = scene.establish();
    scene.media_b.wait_for_more(20);
    for name in ["sipd", "chargingd"] {
        scene.daemons.kill(name);
        scene.daemons.start_again(&scene.net, name);
    }
    wait_until("sipd to find charging and limiter", PATIENCE, || {
        let health = scene.daemons.get("sipd", "/health");
        health["charging"] == true && health["limiter"] == true
    });
    wait_until("the record of a second grant", PATIENCE, || {
        let interim = |record: &(u64, String)| record.1 == "interim";
        sessions(&scene).iter().flatten().any(interim)
    });
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    let charged = scene.wait_for_records(1).remove(0);

    // One that nobody pays for.
    scene.block("alice");
    let offer = tollwire_harness::phone::sdp(scene.media_a.address(), None);
    let refused = scene.alice.invite("bob", &offer);
    assert!(scene.alice.expect_final(&refused).status() >= Some(400));

    let found = wait_for("all records", Duration::from_secs(60), || {
        let found = sessions(&scene);
        let whole = found.len() == 2
            && (found.iter()).all(|it| it.last().is_some_and(|(_, kind)| kind != "interim"));
        whole.then_some(found)
    });
    assert_eq!(found[0], [(0, "event".to_owned())]);
    let call = &found[1];
    let numbers: Vec<u64> = call.iter().map(|(number, _)| *number).collect();
    assert_eq!(
        numbers,
        (0..call.len() as u64).collect::<Vec<_>>(),
        "{call:?}"
    );
    let kinds: Vec<&str> = call.iter().map(|(_, kind)| kind.as_str()).collect();
    let [first, interim @ .., last] = kinds.as_slice() else {
        panic!("{kinds:?}");
    };
    assert_eq!((*first, *last), ("start", "stop"));
    assert!(!interim.is_empty(), "one with each grant");
    assert!(interim.iter().all(|kind| *kind == "interim"), "{kinds:?}");

    // What it says is what was charged.
    let path = format!("/accounting/records?element={SIPD}&limit=1000");
    let records = scene.daemons.get("chargingd", &path);
    let stop = (records.as_array().expect("a list").iter())
        .find(|record| record["record_type"] == "stop")
        .expect("a stop");
    let detail = scene
        .daemons
        .get("chargingd", &format!("/accounting/records/{}", stop["id"]));
    let said = &detail["carried"];
    assert_eq!(said["end_cause"], "caller-bye");
    assert_eq!(said["call_id"], charged.0["call_id"]);
    // The charge record counts from the moment that the limiter was told.
    let duration = said["duration_ms"].as_i64().expect("a number");
    let apart = (duration - charged.number("duration_ms")).abs();
    assert!(apart < 1000, "{duration} ms, {apart} ms apart");

    // Its own charge record travels the same way; nothing lacks anywhere.
    wait_until("chargingd's own record", PATIENCE, || {
        let elements = scene.daemons.get("chargingd", "/accounting/elements");
        let all: Vec<&Value> = elements.as_array().expect("a list").iter().collect();
        all.len() == 2
            && all.iter().all(|element| element["missing"] == 0)
            && all.iter().any(|element| {
                element["element"] == "records.chargingd.tollwire.example"
                    && element["records"] == scene.records().len()
            })
    });
    let faulty = scene
        .daemons
        .get("chargingd", "/accounting/sessions?faulty=true");
    assert_eq!(faulty, serde_json::json!([]));
    scene.stop();

    let recording = capture
        .stop()
        .decode_as(&format!("tcp.port=={RO},diameter"));
    assert_eq!(recording.malformed(), Vec::<String>::new());
    assert_eq!(recording.count("diameter.avp.unknown"), 0);
    for kind in 1..=4 {
        let filter = format!(
            "diameter.cmd.code == 271 && diameter.flags.request == 1 && diameter.Accounting-Record-Type == {kind}"
        );
        assert!(
            recording.count(&filter) >= 1,
            "Accounting-Record-Type {kind}"
        );
    }
}
