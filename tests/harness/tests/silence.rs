//! Phones that vanish: media that falls silent ends the call and its billing.

use tollwire_harness::scene::{MICRO_PER_SECOND, Scene, Setup};

#[test]
fn a_bye_lost_both_ways_does_not_keep_the_call_or_its_price_alive() {
    let mut scene = Scene::new(Setup {
        silence: 2,
        ..Setup::default()
    });
    let from_a = scene.media_a.send_to(scene.media_b.address());
    let from_b = scene.media_b.send_to(scene.media_a.address());
    let _dialog = scene.establish();
    scene.media_a.wait_for_more(100);
    scene.media_b.wait_for_more(50);
    // Both phones fall off the network: no media, no BYE, no answer to ours.
    drop((from_a, from_b));
    let last = [&scene.media_a, &scene.media_b]
        .iter()
        .filter_map(|port| port.arrivals().last().map(|arrival| arrival.unix_ms))
        .max()
        .expect("media passed");

    let record = scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("end_cause"), "loss-of-bearer");
    let over = record.unix_ms("end_time") - last;
    assert!(
        over.abs() <= 1000,
        "the call ended with its last packet, not {over} ms after it"
    );
    assert_eq!(
        record.number("amount_micro"),
        record.number("charged_seconds") * MICRO_PER_SECOND
    );
    scene.assert_nothing_is_left();
}

#[test]
fn a_call_on_hold_is_not_a_lost_bearer() {
    let mut scene = Scene::new(Setup {
        silence: 1,
        ..Setup::default()
    });
    let from_a = scene.media_a.send_to(scene.media_b.address());
    let mut dialog = scene.establish();
    scene.media_b.wait_for_more(10);
    scene.reinvite(&mut dialog, "inactive", "inactive");
    // Three times as long as silence is suffered.
    from_a.wait_for_more(150);
    scene.reinvite(&mut dialog, "sendrecv", "sendrecv");
    scene.media_b.wait_for_more(10);
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    let record = scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("end_cause"), "caller-bye");
}
