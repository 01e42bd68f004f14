//! `kill -9` in mid-call: the kernel keeps the promise, and the books are right afterwards.

use serde_json::json;
use tollwire_harness::scene::{MICRO_PER_SECOND, Scene, Setup};
use tollwire_harness::wait::{PATIENCE, wait_until};

const CREDIT_SECONDS: i64 = 4;

/// Kills `victims` one second into a call on credit for four, checks that media stops when the
/// credit ends all the same, starts them again, and looks at what was billed.
fn survives(victims: &[&str]) {
    let mut scene = Scene::new(Setup {
        balance_micro: CREDIT_SECONDS * MICRO_PER_SECOND,
        ..Setup::default()
    });
    let from_a = scene.media_a.send_to(scene.media_b.address());
    let _from_b = scene.media_b.send_to(scene.media_a.address());
    let _dialog = scene.establish();
    scene.media_b.wait_for_more(50);
    for victim in victims {
        scene.daemons.kill(victim);
    }
    // Two seconds more than the credit lasts.
    from_a.wait_for_more(u64::try_from(CREDIT_SECONDS + 1).expect("positive") * 50);
    for port in [&scene.media_a, &scene.media_b] {
        let arrivals = port.arrivals();
        let passed = arrivals[arrivals.len() - 1].unix_ms - arrivals[0].unix_ms;
        let late = passed - CREDIT_SECONDS * 1000;
        assert!(late <= 500, "media went on for {late} ms without credit");
        assert!(
            late >= -500,
            "the gate outlives the daemons, but closed {late} ms"
        );
    }
    for victim in victims {
        scene.daemons.start_again(&scene.net, victim);
    }

    let whole = json!({ "charging": true, "limiter": true });
    wait_until("sipd to find charging and limiter", PATIENCE, || {
        scene.daemons.get("sipd", "/health") == whole
    });

    // Both phones are told, during the failure or after it.
    scene.bob.expect_bye(PATIENCE);
    scene.alice.expect_bye(PATIENCE);
    let records = scene.wait_for_records(1);
    scene.assert_nothing_is_left();
    let account = scene.account("alice");
    let paid = records[0].number("amount_micro");
    assert!(paid > 0 && paid <= CREDIT_SECONDS * MICRO_PER_SECOND);
    assert_eq!(
        account.balance_micro,
        CREDIT_SECONDS * MICRO_PER_SECOND - paid,
        "billed once"
    );
    assert_eq!(scene.records().len(), 1, "one record");

    // And the next call is an ordinary one.
    scene.top_up("alice", 60 * MICRO_PER_SECOND);
    scene.alice.must_register();
    scene.bob.must_register();
    let before = scene.media_b.count();
    let mut dialog = scene.establish();
    scene.media_b.wait_for_more(10);
    assert!(scene.media_b.count() > before);
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    scene.wait_for_records(2);
    scene.assert_nothing_is_left();
}

#[test]
fn sipd_dies() {
    survives(&["sipd"]);
}

#[test]
fn chargingd_dies() {
    survives(&["chargingd"]);
}

#[test]
fn pinholed_dies() {
    survives(&["pinholed"]);
}

#[test]
fn all_die() {
    survives(&["sipd", "chargingd", "pinholed"]);
}

#[test]
fn registrations_survive_a_restart() {
    let mut scene = Scene::new(Setup::default());
    scene.daemons.kill("sipd");
    scene.daemons.start_again(&scene.net, "sipd");
    let mut dialog = scene.establish();
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    scene.wait_for_records(1);
}

#[test]
fn without_charging_or_gate_a_call_is_refused_with_503() {
    for missing in ["chargingd", "pinholed"] {
        let mut scene = Scene::new(Setup::default());
        scene.daemons.kill(missing);
        let offer = tollwire_harness::phone::sdp(scene.media_a.address(), None);
        let outgoing = scene.alice.invite("bob", &offer);
        let response = scene.alice.expect_final(&outgoing);
        assert_eq!(response.status(), Some(503), "{}", response.as_str());
        assert!(response.header("Retry-After").is_some());
    }
}
