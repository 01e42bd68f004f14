//! Several calls on one balance never spend more than it holds.

use tollwire_harness::phone::{Phone, sdp};
use tollwire_harness::scene::{DOMAIN, MICRO_PER_SECOND, Scene, Setup};
use tollwire_harness::wait::PATIENCE;

#[test]
fn five_calls_on_one_small_balance() {
    const CREDIT: i64 = 12 * MICRO_PER_SECOND;
    let mut scene = Scene::new(Setup {
        balance_micro: CREDIT,
        quantum: 2,
        ..Setup::default()
    });
    // Five handsets of one subscriber, each with a call of its own.
    let mut handsets: Vec<Phone> = (0..5)
        .map(|index| {
            Phone::new(
                scene.net.a(),
                6000 + index,
                scene.daemons.sip(),
                "alice",
                DOMAIN,
            )
        })
        .collect();
    let mut calls = Vec::new();
    for (index, handset) in (0..).zip(&mut handsets) {
        let mut offered = scene.media_a.address();
        offered.set_port(30_000 + 2 * index);
        let mut answered = scene.media_b.address();
        answered.set_port(30_000 + 2 * index);
        let outgoing = handset.invite("bob", &sdp(offered, None));
        let ringing = scene.bob.expect_ringing();
        scene.bob.answer(&ringing, &sdp(answered, None));
        handset.expect_answer(&outgoing);
        scene.bob.expect_request("ACK");
        calls.push(outgoing);
    }
    assert!(scene.account("alice").balance_micro >= 0);

    for handset in &mut handsets {
        scene.bob.expect_bye(PATIENCE);
        handset.expect_bye(PATIENCE);
    }
    let records = scene.wait_for_records(calls.len());
    let charged: i64 = records
        .iter()
        .map(|record| record.number("amount_micro"))
        .sum();
    assert_eq!(charged, CREDIT, "all of it, and not a second more");
    let account = scene.account("alice");
    assert_eq!(account.balance_micro, 0);
    scene.assert_nothing_is_left();
}
