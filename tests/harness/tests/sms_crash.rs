//! `kill -9` under load, a charging daemon that goes away, a disk that fills up: what was acknowledged is
//! kept, and paid for once.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tollwire_harness::disk::SmallDisk;
use tollwire_harness::media::unix_ms;
use tollwire_harness::net::Host;
use tollwire_harness::sms::PASSWORD;
use tollwire_harness::sms::load::{self, Outcome, Progress, Settings};
use tollwire_harness::sms::scene::{Setup, SmsScene, route};
use tollwire_harness::sms::tariff::price;
use tollwire_harness::sms::wire::status;
use tollwire_harness::wait::{PATIENCE, poll, wait_until};

/// What each message costs the advertiser.
const PRICE_MICRO: i64 = 10_000;
const BALANCE_MICRO: i64 = 1_000_000 * PRICE_MICRO;
const WINDOW: u32 = 50;
/// Deliveries that the daemon may have under way to the receiver.
const DELIVERY_WINDOW: u32 = 100;

/// A scene in which an advertiser pays for every message, before it is delivered.
fn paid_scene(directory: Option<&str>) -> SmsScene {
    let scene = SmsScene::new(Setup {
        routes: route(
            "phones",
            "4917",
            "receivers = [\"phone\"]",
            "charging = \"online\"\n",
        ),
        retry: String::new(),
        spool: directory.map(str::to_owned),
        ..Setup::default()
    });
    scene.make_account("advertiser", BALANCE_MICRO);
    scene
}

fn settings(scene: &SmsScene, messages: u32) -> Settings {
    let tariff = price(PRICE_MICRO, "EUR", "advertiser");
    Settings {
        server: scene.server(),
        submitter: ("application".to_owned(), PASSWORD.to_owned()),
        receiver: ("phone".to_owned(), PASSWORD.to_owned()),
        submitters: 2,
        receivers: 1,
        window: WINDOW,
        messages,
        receipts: true,
        deliveries: true,
        prefix: "4917".to_owned(),
        destinations: 500,
        tlvs: vec![(
            SmsScene::TARIFF_TAG,
            hex::decode(tariff).expect("hexadecimal"),
        )],
        persistent: true,
        patience: Duration::from_secs(60),
    }
}

/// Runs the load on `host` while `meanwhile` disturbs the daemons.
fn under_load(
    host: &Host,
    settings: &Settings,
    progress: &Progress,
    meanwhile: impl FnOnce(),
) -> Outcome {
    std::thread::scope(|scope| {
        let load = scope.spawn(|| host.within(|| load::run(settings, progress)));
        meanwhile();
        load.join().expect("the load went through")
    })
}

/// Nothing lost, nothing charged twice: by delivery, receipt, record and ledger. Gives how many
/// deliveries were repetitions.
fn settle(scene: &mut SmsScene, outcome: &Outcome) -> u64 {
    let count = outcome.delivered.len();
    assert_eq!(outcome.accepted(), count, "all were accepted in the end");
    let lost: Vec<usize> = (0..count)
        .filter(|number| outcome.delivered[*number] == 0)
        .collect();
    assert_eq!(lost, Vec::<usize>::new(), "never delivered");
    for id in outcome.message_ids.iter().flatten() {
        let receipts = &outcome.receipts[id];
        assert!(receipts.iter().all(|stat| stat == "DELIVRD"), "{id}");
    }

    // A message whose submit_sm_resp was lost with the daemon is in its books as well, and wants to be delivered.
    let server = scene.server();
    let application = scene
        .application
        .must_bind(server, "receiver", "application");
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    scene.wait_until_idle();
    scene.application.close(application);
    scene.phone.close(phone);
    let records = scene.records();
    let ids: HashSet<&str> = records
        .iter()
        .map(|record| record.text("message_id"))
        .collect();
    assert_eq!(ids.len(), records.len(), "one record per message");
    for id in outcome.message_ids.iter().flatten() {
        assert!(ids.contains(id.as_str()), "no record of {id}");
    }
    let stored = i64::try_from(records.len()).expect("a count");
    let repeated = i64::try_from(outcome.repeated).expect("a count");
    assert!(
        stored <= i64::try_from(count).expect("a count") + repeated,
        "{stored} messages of {count} submitted, {repeated} of them twice"
    );
    for record in &records {
        assert_eq!(record.number("amount_micro"), PRICE_MICRO);
    }
    let settled = poll(PATIENCE, || {
        let account = scene.account("advertiser");
        (account.held_micro == 0 && account.balance_micro == BALANCE_MICRO - stored * PRICE_MICRO)
            .then_some(())
    });
    assert!(
        settled.is_some(),
        "{stored} messages, and the advertiser has {:?}",
        scene.account("advertiser")
    );
    let deliveries: u32 = outcome.delivered.iter().sum();
    u64::from(deliveries) - count as u64
}

#[test]
fn killed_five_times_under_load_it_loses_nothing_and_charges_once() {
    const MESSAGES: u32 = 6000;
    const KILLS: u32 = 5;
    let mut scene = paid_scene(None);
    let settings = settings(&scene, MESSAGES);
    let progress = Progress::default();
    // Not repeatable by its nature; the seed at least tells at which counts the daemon was killed.
    let mut random = u64::try_from(unix_ms()).expect("after 1970") | 1;
    println!("seed {random}");
    let host = scene.net.b().clone();
    let outcome = under_load(&host, &settings, &progress, || {
        for kill in 0..KILLS {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let share = MESSAGES / (KILLS + 1);
            let at = u64::from(kill * share) + random % u64::from(share);
            wait_until("the load to get there", Duration::from_secs(60), || {
                progress.accepted.load(Ordering::Relaxed) >= at
            });
            scene.daemons.kill("smscd");
            scene.daemons.start_again(&scene.net, "smscd");
        }
    });
    let twice = settle(&mut scene, &outcome);
    // What had no answer when it died, on either side, may be sent again; nothing else.
    let allowed = u64::from(KILLS * DELIVERY_WINDOW) + outcome.repeated;
    assert!(twice <= allowed, "{twice} deliveries too many");
    assert!(outcome.repeated <= u64::from(KILLS * WINDOW) * 2);
}

#[test]
fn messages_wait_while_charging_is_away_and_are_charged_once_when_it_is_back() {
    const MESSAGES: u32 = 2000;
    let mut scene = paid_scene(None);
    let settings = settings(&scene, MESSAGES);
    let progress = Progress::default();
    let host = scene.net.b().clone();
    let outcome = under_load(&host, &settings, &progress, || {
        let reached = |count: u64| {
            wait_until("the load to get there", Duration::from_secs(60), || {
                progress.delivered.load(Ordering::Relaxed) >= count
            });
        };
        reached(200);
        scene.daemons.kill("chargingd");
        // Messages are still accepted: they are stored, not yet delivered.
        wait_until("all to be accepted", Duration::from_secs(60), || {
            progress.accepted.load(Ordering::Relaxed) == u64::from(MESSAGES)
        });
        assert!(progress.delivered.load(Ordering::Relaxed) < u64::from(MESSAGES));
        scene.daemons.start_again(&scene.net, "chargingd");
    });
    assert_eq!(
        settle(&mut scene, &outcome),
        0,
        "nothing is delivered twice"
    );
    assert_eq!(scene.records().len(), MESSAGES as usize);
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    const MESSAGES: u32 = 1500;
    let scratch = tollwire_harness::process::Scratch::new();
    let disk = SmallDisk::mount(format!("{}/disk", scratch.path().display()), "24m");
    let mut scene = paid_scene(Some(disk.path()));
    let settings = settings(&scene, MESSAGES);
    let progress = Progress::default();
    let host = scene.net.b().clone();
    let outcome = under_load(&host, &settings, &progress, || {
        wait_until("the load to begin", Duration::from_secs(60), || {
            progress.accepted.load(Ordering::Relaxed) >= 100
        });
        disk.fill();
        wait_until("a refusal", Duration::from_secs(60), || {
            progress.refused.load(Ordering::Relaxed) >= 10
        });
        // What it has acknowledged survives even now.
        scene.daemons.kill("smscd");
        disk.make_room();
        scene.daemons.start_again(&scene.net, "smscd");
        wait_until("the load to go on", Duration::from_secs(60), || {
            progress.accepted.load(Ordering::Relaxed) >= 500
        });
        // And this time it is not started again: what it refuses depends on how much of its space comes free.
        disk.fill();
        wait_until("the load to go on", Duration::from_secs(60), || {
            progress.accepted.load(Ordering::Relaxed) + progress.refused.load(Ordering::Relaxed)
                >= 1000
        });
        disk.make_room();
    });
    for status in outcome.refused.keys() {
        assert!(
            [status::ESME_RMSGQFUL, status::ESME_RSYSERR].contains(status),
            "refused with {status:#x}"
        );
    }
    settle(&mut scene, &outcome);
    drop(scene);
}
