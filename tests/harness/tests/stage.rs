//! The stage itself: routing, gates, counting, captures and sipp, without any daemon of ours.

use std::net::SocketAddr;
use std::time::Duration;

use tollwire_harness::baresip::{Account, Baresip};
use tollwire_harness::capture::Capture;
use tollwire_harness::media::Port;
use tollwire_harness::net::Net;
use tollwire_harness::phone::{Phone, sdp};
use tollwire_harness::process::Scratch;
use tollwire_harness::sipp::Sipp;

#[test]
fn the_router_forwards_both_families_and_a_gate_is_seen_at_the_receiver() {
    let net = Net::two_phones();
    let a = Port::open(net.a(), 20_000);
    let b = Port::open(net.b(), 20_000);
    let a6 = Port::open_at(net.a(), SocketAddr::new(net.a().ip6, 20_000));
    let b6 = Port::open_at(net.b(), SocketAddr::new(net.b().ip6, 20_000));
    let four = a.send_to(b.address());
    let six = b6.send_to(a6.address());
    b.wait_for_more(5);
    a6.wait_for_more(5);

    net.router.nft(&["add table inet gate"]);
    net.router
        .nft(&["add chain inet gate media { type filter hook forward priority 0; policy drop; }"]);
    let before = net.router.received_packets("to1");
    four.wait_for_more(2);
    six.wait_for_more(2);
    let (at_b, at_a6) = (b.count(), a6.count());
    four.wait_for_more(10);
    six.wait_for_more(10);
    assert_eq!(b.count(), at_b, "a closed gate lets nothing through");
    assert_eq!(a6.count(), at_a6, "a closed gate lets nothing through");
    assert!(net.router.received_packets("to1") >= before + 10);

    net.router.nft(&["delete table inet gate"]);
    b.wait_for_more(5);
    a6.wait_for_more(5);
}

#[test]
fn two_phones_call_each_other_and_the_capture_decodes() {
    let net = Net::two_phones();
    let scratch = Scratch::new();
    let capture = Capture::start(&net.router, &scratch, "udp");
    let (at_a, at_b) = (
        SocketAddr::new(net.a().ip, 5060),
        SocketAddr::new(net.b().ip, 5060),
    );
    let mut alice = Phone::new(net.a(), 5060, at_b, "alice", "example.org");
    let mut bob = Phone::new(net.b(), 5060, at_a, "bob", "example.org");
    let media = SocketAddr::new(net.a().ip, 20_000);

    let outgoing = alice.invite_unchallenged("bob", &sdp(media, None));
    let ringing = bob.expect_ringing();
    let mut bobs = bob.answer(&ringing, &sdp(media, Some("sendrecv")));
    let (answer, mut alices) = alice.expect_answer(&outgoing);
    assert!(answer.body().contains("m=audio 20000"));
    bob.expect_request("ACK");
    let hold = sdp(media, Some("sendonly"));
    alice.reinvite(&mut alices, &hold, &mut bob, &sdp(media, Some("recvonly")));
    bob.hang_up(&mut bobs, &mut alice);

    let recording = capture.stop();
    assert_eq!(recording.malformed(), Vec::<String>::new());
    // Once into the router, once out of it.
    assert_eq!(recording.count("sip.Method == \"BYE\""), 2);
}

#[test]
fn sipp_calls_sipp() {
    let net = Net::two_phones();
    let scratch = Scratch::new();
    let mut callee = Sipp::scenario("callee")
        .key("user", "bob")
        .key("rtp_ip", "10.77.2.2")
        .key("rtp_port", "20000")
        .option("-d", "50")
        .start(net.b(), &scratch, "callee");
    let mut caller = Sipp::scenario("caller-unchallenged")
        .to(SocketAddr::new(net.b().ip, 5060))
        .key("user", "alice")
        .key("domain", "example.org")
        .key("rtp_ip", "10.77.1.2")
        .key("rtp_port", "20000")
        .service("bob")
        .option("-d", "50")
        .start(net.a(), &scratch, "caller");
    caller.wait_success(Duration::from_secs(30));
    callee.wait_success(Duration::from_secs(30));
    let bye = caller.find(|logged| logged.sent && logged.message.method() == Some("BYE"));
    let ok = callee.find(|logged| logged.sent && logged.message.status() == Some(200));
    let (bye, ok) = (bye.expect("a BYE"), ok.expect("a 200"));
    assert!(bye.unix_ms >= ok.unix_ms, "the answer came first");
}

#[test]
fn baresip_sends_real_media() {
    let net = Net::two_phones();
    let scratch = Scratch::new();
    let at_a = SocketAddr::new(net.a().ip, 5060);
    let mut bob = Phone::new(net.b(), 5060, at_a, "bob", "example.org");
    let media = Port::open(net.b(), 20_000);
    let account = Account {
        user: "alice",
        domain: "example.org",
        proxy: "10.77.2.2:5060",
        transport: "udp",
        register_seconds: 0,
    };
    let dial = Some("sip:bob@10.77.2.2");
    let alice = Baresip::start(net.a(), &scratch, &account, dial);
    let ringing = bob.expect_ringing();
    bob.answer(&ringing, &sdp(media.address(), None));
    bob.expect_request("ACK");
    media.wait_for_more(25);
    let end = std::thread::spawn(move || alice.quit());
    bob.expect_bye(Duration::from_secs(10));
    end.join().expect("baresip ends");
}
