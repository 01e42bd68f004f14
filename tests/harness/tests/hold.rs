//! Hold and back, and media that moves: the gate follows what the phones agree on.

use std::net::SocketAddr;

use tollwire_harness::media::{Port, Sender};
use tollwire_harness::phone::sdp;
use tollwire_harness::scene::{Scene, Setup};

/// Asserts that nothing arrives at `port` while the sender sends on.
fn assert_closed(port: &Port, sender: &Sender, why: &str) {
    sender.wait_for_more(3);
    let before = port.count();
    sender.wait_for_more(20);
    assert_eq!(port.count(), before, "{why}");
}

#[test]
fn directions_follow_the_offer_and_the_answer() {
    let mut scene = Scene::new(Setup::default());
    let from_a = scene.media_a.send_to(scene.media_b.address());
    let from_b = scene.media_b.send_to(scene.media_a.address());
    let mut dialog = scene.establish();
    scene.media_a.wait_for_more(10);
    scene.media_b.wait_for_more(10);

    scene.reinvite(&mut dialog, "sendonly", "recvonly");
    assert_closed(&scene.media_a, &from_b, "held: only the caller sends");
    scene.media_b.wait_for_more(10);

    scene.reinvite(&mut dialog, "inactive", "inactive");
    assert_closed(&scene.media_a, &from_b, "inactive: nobody sends");
    assert_closed(&scene.media_b, &from_a, "inactive: nobody sends");

    scene.reinvite(&mut dialog, "recvonly", "sendonly");
    scene.media_a.wait_for_more(10);
    assert_closed(&scene.media_b, &from_a, "only the callee sends");

    scene.reinvite(&mut dialog, "sendrecv", "sendrecv");
    scene.media_a.wait_for_more(10);
    scene.media_b.wait_for_more(10);
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    assert_closed(&scene.media_b, &from_a, "the call is over");
    scene.wait_for_records(1);
    scene.assert_nothing_is_left();
}

#[test]
fn media_that_moves_takes_its_pinhole_along() {
    let mut scene = Scene::new(Setup::default());
    let from_a = scene.media_a.send_to(scene.media_b.address());
    let mut dialog = scene.establish();
    scene.media_b.wait_for_more(10);

    let moved = Port::open_at(
        scene.net.b(),
        SocketAddr::new(scene.media_b.address().ip(), 24_000),
    );
    let to_moved = scene.media_a.send_to(moved.address());
    assert_closed(&moved, &to_moved, "not agreed on yet");
    let offer = sdp(scene.media_a.address(), None);
    let answer = sdp(moved.address(), None);
    scene
        .alice
        .reinvite(&mut dialog, &offer, &mut scene.bob, &answer);
    moved.wait_for_more(10);
    assert_closed(&scene.media_b, &from_a, "the old place is closed");
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    assert_closed(&moved, &to_moved, "the call is over");
    scene.wait_for_records(1);
    scene.assert_nothing_is_left();
}
