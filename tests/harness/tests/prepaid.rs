//! Credit for N seconds carries a call for N seconds.

use std::time::Duration;

use tollwire_harness::scene::{MICRO_PER_SECOND, Scene, Setup};
use tollwire_harness::wait::PATIENCE;

/// Wider than the kernel's timer, for a machine that is busy with other tests; far narrower than
/// any renewal or retransmission that could hide in it.
const GRAIN_MS: i64 = 500;

/// The whole story for a balance of `seconds`, granted `quantum` seconds at a time.
fn runs_out(seconds: i64, quantum: u32) {
    let mut scene = Scene::new(Setup {
        balance_micro: seconds * MICRO_PER_SECOND,
        quantum,
        ..Setup::default()
    });
    let _from_a = scene.media_a.send_to(scene.media_b.address());
    let _from_b = scene.media_b.send_to(scene.media_a.address());
    let _dialog = scene.establish();
    scene.media_a.wait_for_more(1);
    scene.media_b.wait_for_more(1);

    scene.bob.expect_bye(PATIENCE);
    scene.alice.expect_bye(PATIENCE);
    let record = scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("end_cause"), "credit-exhausted");
    assert_eq!(record.number("charged_seconds"), seconds);
    assert_eq!(record.number("amount_micro"), seconds * MICRO_PER_SECOND);
    let account = scene.account("alice");
    assert_eq!(account.balance_micro, 0, "exactly zero");
    assert_eq!(account.held_micro, 0);

    for port in [&scene.media_a, &scene.media_b] {
        let arrivals = port.arrivals();
        let (first, last) = (arrivals[0].unix_ms, arrivals[arrivals.len() - 1].unix_ms);
        let passed = last - first;
        assert!(
            (passed - seconds * 1000).abs() <= GRAIN_MS,
            "media passed for {passed} ms on credit for {seconds} s"
        );
    }
    scene.assert_nothing_is_left();
}

#[test]
fn one_grant_is_all_there_is() {
    runs_out(3, 60);
}

#[test]
fn several_grants_until_the_last() {
    runs_out(5, 2);
}

#[test]
fn a_top_up_in_the_call_lets_it_go_on() {
    let mut scene = Scene::new(Setup {
        balance_micro: 4 * MICRO_PER_SECOND,
        quantum: 2,
        ..Setup::default()
    });
    let _from_a = scene.media_a.send_to(scene.media_b.address());
    let mut dialog = scene.establish();
    scene.top_up("alice", 60 * MICRO_PER_SECOND);
    // Six seconds of media, on credit that was for four.
    scene.media_b.wait_for_more(300);
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    let record = scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("end_cause"), "caller-bye");
    let account = scene.account("alice");
    let paid = record.number("amount_micro");
    assert!(paid >= 6 * MICRO_PER_SECOND);
    assert_eq!(account.balance_micro, 64 * MICRO_PER_SECOND - paid);
    scene.assert_nothing_is_left();
}

#[test]
fn an_operator_who_blocks_the_account_ends_the_call_at_once() {
    let mut scene = Scene::new(Setup::default());
    let from_a = scene.media_a.send_to(scene.media_b.address());
    let _dialog = scene.establish();
    scene.media_b.wait_for_more(10);
    scene.block("alice");
    scene.bob.expect_bye(Duration::from_secs(10));
    scene.alice.expect_bye(Duration::from_secs(10));
    from_a.wait_for_more(3);
    let before = scene.media_b.count();
    from_a.wait_for_more(25);
    assert_eq!(scene.media_b.count(), before);
    let record = scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("end_cause"), "operator-block");
    scene.assert_nothing_is_left();
}
