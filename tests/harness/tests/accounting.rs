//! Charge records on their way to accounting storage: whatever is killed, each arrives once; what lacks is shown.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tollwire_harness::capture::Capture;
use tollwire_harness::daemons::program;
use tollwire_harness::disk::SmallDisk;
use tollwire_harness::sms::PASSWORD;
use tollwire_harness::sms::load::{self, Progress, Settings};
use tollwire_harness::sms::scene::{PHONE, Setup, SmsScene, message, route};
use tollwire_harness::sms::tariff::price;
use tollwire_harness::wait::{PATIENCE, poll, wait_until};

const PORT: u16 = 3_868;
const SMSCD: &str = "records.smscd.tollwire.example";

fn scene(charging: &str) -> SmsScene {
    let mut scene = prepare(charging);
    scene.start();
    scene
}

fn prepare(charging: &str) -> SmsScene {
    SmsScene::prepare(Setup {
        routes: route(
            "phones",
            "4917",
            "receivers = [\"phone\"]",
            &format!("charging = \"{charging}\"\n"),
        ),
        retry: String::new(),
        accounting: Some(PORT),
        ..Setup::default()
    })
}

/// What the storage says of `element`: records, and how many lack.
fn kept(scene: &SmsScene, element: &str) -> (u64, u64) {
    let elements = scene.daemons.get("chargingd", "/accounting/elements");
    let all = elements.as_array().expect("a list");
    all.iter()
        .find(|it| it["element"] == element)
        .map_or((0, 0), |it| {
            (
                it["records"].as_u64().expect("a count"),
                it["missing"].as_u64().expect("a count"),
            )
        })
}

fn wait_for_kept(scene: &SmsScene, element: &str, wanted: (u64, u64)) {
    let found = poll(2 * PATIENCE, || {
        (kept(scene, element) == wanted).then_some(())
    });
    assert!(
        found.is_some(),
        "{element}: {:?} instead of {wanted:?}\n{}",
        kept(scene, element),
        scene.daemons.get("chargingd", "/accounting/elements")
    );
}

/// Every record in the files of `folder`, by number, as it stands there.
fn spooled(scene: &SmsScene, folder: &str) -> BTreeMap<u64, Value> {
    let mut records = BTreeMap::new();
    for entry in fs::read_dir(scene.scratch.path().join(folder)).expect("a folder") {
        let path = entry.expect("an entry").path();
        if !path.to_string_lossy().contains(".jsonl") {
            continue;
        }
        for line in fs::read_to_string(&path).expect("a file").lines() {
            let record: Value = serde_json::from_str(line).expect("a record a line");
            let number = record["sequence_number"].as_u64().expect("a number");
            assert!(records.insert(number, record).is_none(), "{number} twice");
        }
    }
    records
}

/// Each record of the files is in the storage once, with nothing changed, and no other is.
fn compare(scene: &SmsScene, element: &str, folder: &str) {
    let spooled = spooled(scene, folder);
    let count = spooled.len() as u64;
    assert_eq!(spooled.keys().next_back(), Some(&count), "without gaps");
    wait_for_kept(scene, element, (count, 0));
    let path = format!("/accounting/records?element={element}&limit=100000");
    let listed = scene.daemons.get("chargingd", &path);
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len() as u64, count);
    let mut left = spooled;
    for (at, record) in listed.iter().enumerate() {
        assert_eq!(record["reuses_number"], false);
        let number = record["sequence_number"].as_u64().expect("ours");
        let spooled = left.remove(&number).expect("one of the files', and once");
        // Each by its number; what it says of every fiftieth, to keep the test short.
        if at % 50 == 0 {
            let path = format!("/accounting/records/{}", record["id"]);
            let detail = scene.daemons.get("chargingd", &path);
            assert_eq!(detail["carried"], spooled);
        }
    }
    assert!(left.is_empty());
}

#[test]
fn over_ten_kills_of_both_sides_in_turn_each_record_arrives_once() {
    const MESSAGES: u32 = 3000;
    const KILLS: u32 = 10;
    let mut scene = scene("online");
    scene.make_account("advertiser", 1_000_000_000);
    let settings = Settings {
        server: scene.server(),
        submitter: ("application".to_owned(), PASSWORD.to_owned()),
        receiver: ("phone".to_owned(), PASSWORD.to_owned()),
        submitters: 2,
        receivers: 1,
        window: 50,
        messages: MESSAGES,
        receipts: false,
        deliveries: true,
        prefix: "4917".to_owned(),
        destinations: 500,
        tlvs: vec![(
            SmsScene::TARIFF_TAG,
            hex::decode(price(10_000, "EUR", "advertiser")).expect("hexadecimal"),
        )],
        persistent: true,
        patience: Duration::from_secs(60),
    };
    let progress = Progress::default();
    let host = scene.net.b().clone();
    std::thread::scope(|scope| {
        let load = scope.spawn(|| host.within(|| load::run(&settings, &progress)));
        for kill in 0..KILLS {
            let at = u64::from((kill + 1) * MESSAGES / (KILLS + 2));
            wait_until("the load to get there", Duration::from_secs(60), || {
                progress.delivered.load(Ordering::Relaxed) >= at
            });
            let name = if kill % 2 == 0 { "smscd" } else { "chargingd" };
            scene.daemons.kill(name);
            scene.daemons.start_again(&scene.net, name);
        }
        load.join().expect("the load went through");
    });
    // A message whose submit_sm_resp was lost with the daemon wants to be delivered as well.
    let phone = scene.phone.must_bind(scene.server(), "receiver", "phone");
    scene.wait_until_idle();
    scene.phone.close(phone);
    compare(&scene, SMSCD, "smscd-records");
    assert!(kept(&scene, SMSCD).0 >= u64::from(MESSAGES));
    let gaps = tollctl(&scene, &["gaps"]);
    assert_eq!(gaps.0, 0, "{}", gaps.1);
}

/// Exit code and output.
fn tollctl(scene: &SmsScene, arguments: &[&str]) -> (i32, String) {
    let mut command = scene.net.router.command(program("tollctl"));
    let admin = scene.scratch.path().join("chargingd.admin");
    command.arg("--chargingd").arg(admin).arg("accounting");
    let output = command.args(arguments).output().expect("tollctl runs");
    let code = output.status.code().expect("an exit code");
    (code, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sends `count` messages, each of which is delivered and recorded.
fn deliver(scene: &mut SmsScene, count: usize) {
    let before = scene.records().len();
    let server = scene.server();
    let application = scene
        .application
        .must_bind(server, "transmitter", "application");
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    for _ in 0..count {
        let fields = message(PHONE, "hello");
        scene
            .application
            .request(application, "submit_sm", &fields, &[]);
        scene.phone.expect_pdu(phone, "deliver_sm");
    }
    scene.wait_for_records(before + count);
    scene.application.close(application);
    scene.phone.close(phone);
}

#[test]
fn a_gap_is_shown_until_its_records_arrive() {
    let mut scene = scene("record");
    let capture = Capture::start(
        &scene.net.router,
        &scene.scratch,
        &format!("tcp port {PORT}"),
    );
    deliver(&mut scene, 3);
    wait_for_kept(&scene, SMSCD, (3, 0));

    // A file each, and nobody who takes them.
    scene.daemons.kill("chargingd");
    for count in [2, 1] {
        scene.daemons.terminate("smscd");
        scene.daemons.start_again(&scene.net, "smscd");
        deliver(&mut scene, count);
    }
    scene.daemons.terminate("smscd");
    let folder = scene.scratch.path().join("smscd-records");
    let file = folder.join("smscd-00000000000000000004.jsonl");
    let hidden = scene.scratch.path().join("hidden");
    fs::rename(&file, &hidden).expect("records 4 and 5 have a file of their own");
    scene.daemons.start_again(&scene.net, "chargingd");
    scene.daemons.start_again(&scene.net, "smscd");
    wait_for_kept(&scene, SMSCD, (4, 2));
    let (code, shown) = tollctl(&scene, &["gaps"]);
    assert_eq!(code, 1);
    let row: Vec<&str> = shown
        .lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .collect();
    assert_eq!(row, [SMSCD, "4", "5", "2"]);
    let log = scene.daemons.log("smscd");
    assert!(log.contains("not among the files"), "{log}");
    wait_until("the metric", PATIENCE, || {
        let metrics = scene.daemons.text("chargingd", "/metrics");
        metrics.contains("chargingd_accounting_missing 2")
    });

    // Found again, and everything sent anew: what is known stays single.
    scene.daemons.terminate("smscd");
    fs::rename(&hidden, &file).expect("back");
    fs::remove_file(folder.join("smscd.shipped.json")).expect("the cursor");
    scene.daemons.start_again(&scene.net, "smscd");
    compare(&scene, SMSCD, "smscd-records");
    let (code, shown) = tollctl(&scene, &["gaps"]);
    assert_eq!(code, 0, "{shown}");

    let recording = capture.stop();
    assert_eq!(recording.malformed(), Vec::<String>::new());
    let requests = "diameter.cmd.code == 271 && diameter.flags.request == 1";
    let sent = recording.fields(requests, &["diameter.Service-Specific-Data"]);
    let sent: usize = sent
        .iter()
        .map(|row| row[0].matches("sequence_number").count())
        .sum();
    assert!((4 + 6..=6 + 6 + 2).contains(&sent), "{sent} records sent");
    let foreign = format!("{requests} && diameter.Accounting-Record-Type != 1");
    assert_eq!(recording.count(&foreign), 0);
    assert_eq!(recording.count("diameter.avp.unknown"), 0);
}

#[test]
fn a_storage_without_space_acknowledges_nothing_and_gets_all_in_the_end() {
    let mut scene = prepare("record");
    let folder = scene.scratch.path().join("accounting");
    let disk = SmallDisk::mount(folder.display().to_string(), "2m");
    scene.start();
    deliver(&mut scene, 3);
    wait_for_kept(&scene, SMSCD, (3, 0));
    disk.fill();
    deliver(&mut scene, 3);
    wait_until("a refusal", PATIENCE, || {
        let log = scene.daemons.log("smscd");
        log.contains("DIAMETER_OUT_OF_SPACE (4002)")
    });
    assert_eq!(kept(&scene, SMSCD), (3, 0));
    disk.make_room();
    compare(&scene, SMSCD, "smscd-records");
    assert_eq!(kept(&scene, SMSCD), (6, 0));
    drop(scene);
}
