//! A call through the real daemons: media passes between the answer and the BYE, and not otherwise.

use std::time::Duration;

use tollwire_harness::media::{PACKET_OCTETS, unix_ms};
use tollwire_harness::phone::sdp;
use tollwire_harness::scene::{Scene, Setup};
use tollwire_harness::wait::PATIENCE;

#[test]
fn media_passes_only_between_the_answer_and_the_bye() {
    let mut scene = Scene::new(Setup::default());
    let from_a = scene.media_a.send_to(scene.media_b.address());
    let from_b = scene.media_b.send_to(scene.media_a.address());

    let outgoing = scene
        .alice
        .invite("bob", &sdp(scene.media_a.address(), None));
    let ringing = scene.bob.expect_ringing();
    from_a.wait_for_more(25);
    from_b.wait_for_more(25);
    assert_eq!(scene.media_b.count(), 0, "nothing passes before the answer");
    assert_eq!(scene.media_a.count(), 0, "nothing passes before the answer");

    scene
        .bob
        .answer(&ringing, &sdp(scene.media_b.address(), None));
    let (_, mut dialog) = scene.alice.expect_answer(&outgoing);
    scene.bob.expect_request("ACK");
    scene.media_a.wait_for_more(50);
    scene.media_b.wait_for_more(50);
    assert!(scene.open_pinholes() >= 2, "one per direction");

    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    // What was under way when the gate closed has arrived by now.
    from_a.wait_for_more(3);
    from_b.wait_for_more(3);
    let (at_a, at_b) = (scene.media_a.count(), scene.media_b.count());
    from_a.wait_for_more(25);
    from_b.wait_for_more(25);
    assert_eq!(scene.media_b.count(), at_b, "nothing passes after the BYE");
    assert_eq!(scene.media_a.count(), at_a, "nothing passes after the BYE");

    let record = scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("call_id"), outgoing.call_id());
    assert_eq!(record.text("end_cause"), "caller-bye");
    assert_eq!(record.text("account"), "alice");
    let octets = |packets: usize| packets as u64 * PACKET_OCTETS;
    assert_eq!(record.number("octets_from_caller"), octets(at_b) as i64);
    assert_eq!(record.number("octets_to_caller"), octets(at_a) as i64);
    scene.assert_nothing_is_left();
}

#[test]
fn ipv6_phones_get_ipv6_pinholes() {
    let mut scene = Scene::new(Setup {
        ipv6: true,
        ..Setup::default()
    });
    let from_a = scene.media_a.send_to(scene.media_b.address());
    let from_b = scene.media_b.send_to(scene.media_a.address());
    from_a.wait_for_more(10);
    from_b.wait_for_more(10);
    assert_eq!(scene.media_a.count() + scene.media_b.count(), 0);
    let mut dialog = scene.establish();
    scene.media_a.wait_for_more(10);
    scene.media_b.wait_for_more(10);
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    scene.wait_for_records(1);
    scene.assert_nothing_is_left();
}

#[test]
fn sipp_phones_register_and_call() {
    let scene = Scene::new(Setup {
        algorithms: &["MD5"],
        phones_register: false,
        ..Setup::default()
    });
    scene.sipp_register(scene.net.a(), "alice", 5062);
    scene.sipp_register(scene.net.b(), "bob", 5062);
    let _from_a = scene.media_a.send_to(scene.media_b.address());
    let _from_b = scene.media_b.send_to(scene.media_a.address());

    let mut callee = scene
        .sipp(scene.net.b(), "callee", "bob", 5062)
        .option("-d", "1000")
        .start(scene.net.b(), &scene.scratch, "callee");
    let mut caller = scene
        .sipp(scene.net.a(), "caller", "alice", 5062)
        .service("bob")
        .option("-d", "1500")
        .start(scene.net.a(), &scene.scratch, "caller");
    caller.wait_success(PATIENCE);
    callee.wait_success(PATIENCE);
    let ended = unix_ms();

    let answered = callee
        .find(|logged| logged.sent && logged.message.status() == Some(200))
        .expect("the answer");
    let bye = callee
        .find(|logged| !logged.sent && logged.message.method() == Some("BYE"))
        .expect("the BYE at the callee");
    for port in [&scene.media_a, &scene.media_b] {
        // Both times are the callee's: the gate opens after its 200 has left, and is closed before
        // the BYE reaches it. A packet let through just before may be noted a moment later.
        assert_eq!(port.count_between(0, answered.unix_ms), 0, "before");
        assert_eq!(port.count_between(bye.unix_ms + 20, ended + 1), 0, "after");
        let during = port.count_between(answered.unix_ms, bye.unix_ms);
        assert!(during >= 60, "{during} packets in 1.5 s at 50 per second");
    }
    scene.wait_for_records(1);
    scene.assert_nothing_is_left();
}

#[test]
fn a_cancelled_and_a_refused_call_leave_nothing() {
    let mut scene = Scene::new(Setup::default());
    let outgoing = scene
        .alice
        .invite("bob", &sdp(scene.media_a.address(), None));
    let ringing = scene.bob.expect_ringing();
    scene.alice.cancel(&outgoing);
    let cancel = scene.bob.expect_request("CANCEL");
    scene.bob.respond(&cancel, "200 OK", None, "");
    scene.bob.respond(
        &ringing.invite,
        "487 Request Terminated",
        Some(&ringing.tag),
        "",
    );
    let response = scene.alice.expect_final(&outgoing);
    assert_eq!(response.status(), Some(487));
    scene.bob.expect_request("ACK");

    let outgoing = scene
        .alice
        .invite("bob", &sdp(scene.media_a.address(), None));
    let ringing = scene.bob.expect_ringing();
    scene
        .bob
        .respond(&ringing.invite, "486 Busy Here", Some(&ringing.tag), "");
    let response = scene.alice.expect_final(&outgoing);
    assert_eq!(response.status(), Some(486));
    scene.assert_nothing_is_left();
    assert_eq!(scene.account("alice").balance_micro, 60_000_000);
}

#[test]
fn who_cannot_pay_is_told_so_and_nobody_else_is_charged() {
    let mut scene = Scene::new(Setup {
        balance_micro: 0,
        ..Setup::default()
    });
    let outgoing = scene
        .alice
        .invite("bob", &sdp(scene.media_a.address(), None));
    let response = scene.alice.expect_final(&outgoing);
    assert_eq!(response.status(), Some(402), "{}", response.as_str());
    let rang = scene.bob.receive(Duration::from_millis(500), |message| {
        message.method() == Some("INVITE")
    });
    assert!(rang.is_none(), "the callee is not disturbed");
    scene.assert_nothing_is_left();
}

#[test]
fn a_wrong_password_and_an_unknown_user_neither_register_nor_call() {
    let mut scene = Scene::new(Setup::default());
    scene.bob.set_password("wrong");
    assert_eq!(scene.bob.register(600).status(), Some(401));
    scene.alice.set_password("wrong");
    let outgoing = scene
        .alice
        .invite("bob", &sdp(scene.media_a.address(), None));
    let response = scene.alice.expect_final(&outgoing);
    assert_eq!(response.status(), Some(407), "{}", response.as_str());
    assert_eq!(scene.account("alice").balance_micro, 60_000_000);
}
