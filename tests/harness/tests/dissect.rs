//! What independent programs think of our octets: tshark of every packet, freeDiameter of a peer.

use std::process::Command;

use tollwire_harness::capture::Capture;
use tollwire_harness::process::{Process, Scratch, run};
use tollwire_harness::scene::{MICRO_PER_SECOND, Scene, Setup};
use tollwire_harness::wait::{PATIENCE, wait_until};

const RO: u16 = 3868;
const RX: u16 = 3869;

#[test]
fn tshark_finds_every_packet_of_a_run_well_formed() {
    let mut scene = Scene::prepare(Setup {
        diameter_tcp: Some((RO, RX)),
        balance_micro: 4 * MICRO_PER_SECOND,
        quantum: 2,
        ..Setup::default()
    });
    let capture = Capture::start(&scene.net.router, &scene.scratch, "udp port 5060 or tcp");
    scene.start();

    // A call with hold and renewal that the credit ends, and one that is refused.
    let _from_a = scene.media_a.send_to(scene.media_b.address());
    let mut dialog = scene.establish();
    scene.reinvite(&mut dialog, "sendonly", "recvonly");
    scene.reinvite(&mut dialog, "sendrecv", "sendrecv");
    scene.bob.expect_bye(PATIENCE);
    scene.alice.expect_bye(PATIENCE);
    scene.wait_for_records(1);
    let offer = tollwire_harness::phone::sdp(scene.media_a.address(), None);
    let refused = scene.alice.invite("bob", &offer);
    assert_eq!(scene.alice.expect_final(&refused).status(), Some(402));
    scene.stop();

    let recording = capture
        .stop()
        .decode_as(&format!("tcp.port=={RO},diameter"))
        .decode_as(&format!("tcp.port=={RX},diameter"));
    assert_eq!(recording.malformed(), Vec::<String>::new());

    // And it is the conversation it should be: every command of both interfaces was on the wire.
    let commands: Vec<String> = recording
        .fields("diameter", &["diameter.cmd.code"])
        .into_iter()
        .flatten()
        .flat_map(|codes| codes.split('|').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    for (code, name) in [
        ("257", "Capabilities-Exchange"),
        ("272", "Credit-Control"),
        ("265", "AA"),
        ("275", "Session-Termination"),
        ("282", "Disconnect-Peer"),
    ] {
        assert!(
            commands.iter().any(|found| found == code),
            "no {name} in {commands:?}"
        );
    }
    for request_type in ["1", "2", "3"] {
        let filter = format!("diameter.CC-Request-Type == {request_type}");
        assert!(
            recording.count(&filter) >= 1,
            "CC-Request-Type {request_type}"
        );
    }
    // An AVP the dissector knows nothing of is one no peer would understand either.
    assert_eq!(recording.count("diameter.avp.unknown"), 0);
    assert!(recording.count("sip") > 20);
}

#[test]
fn freediameter_completes_capabilities_exchange_and_watchdog() {
    let mut scene = Scene::prepare(Setup {
        diameter_tcp: Some((RO, RX)),
        ..Setup::default()
    });
    scene.start();
    let capture = Capture::start(&scene.net.router, &scene.scratch, &format!("tcp port {RO}"));
    let mut peer = freediameter(&scene.scratch, &scene);

    let recorded = |capture: Capture| {
        capture
            .stop()
            .decode_as(&format!("tcp.port=={RO},diameter"))
    };
    // RFC 3539 3.4.1: Tw is at least 6 s, so the first watchdog is seen after 4 to 8.
    wait_until("a watchdog answer at freeDiameter", 2 * PATIENCE, || {
        assert!(peer.ended().is_none(), "{}", peer.log_tail());
        let log = peer.log();
        log.contains("STATE_OPEN") && log.contains("Device-Watchdog-Answer")
    });
    peer.signal(nix::sys::signal::Signal::SIGTERM);
    peer.wait(2 * PATIENCE);

    let recording = recorded(capture);
    assert_eq!(recording.malformed(), Vec::<String>::new());
    for (command, name) in [(257, "CEA"), (280, "DWA"), (282, "DPA")] {
        let filter = format!(
            "diameter.cmd.code == {command} && diameter.flags.request == 0 \
             && diameter.Result-Code == 2001"
        );
        assert!(recording.count(&filter) >= 1, "no successful {name}");
    }
}

/// freeDiameter as a client of `chargingd`, beside it in the router.
fn freediameter(scratch: &Scratch, scene: &Scene) -> Process {
    let folder = scratch.path().display();
    run(Command::new("openssl").args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=peer.example.org",
        "-keyout",
        &format!("{folder}/key.pem"),
        "-out",
        &format!("{folder}/certificate.pem"),
    ]));
    let config = scratch.write(
        "freediameter.conf",
        &format!(
            "Identity = \"peer.example.org\";\nRealm = \"example.org\";\nPort = 3900;\n\
             SecPort = 0;\nNo_SCTP;\nTwTimer = 6;\n\
             TLS_Cred = \"{folder}/certificate.pem\", \"{folder}/key.pem\";\n\
             TLS_CA = \"{folder}/certificate.pem\";\n\
             LoadExtension = \"dict_nasreq.fdx\";\nLoadExtension = \"dict_dcca.fdx\";\n\
             LoadExtension = \"dbg_msg_dumps.fdx\" : \"0x8888\";\n\
             ConnectPeer = \"{}\" {{ ConnectTo = \"127.0.0.1\"; Port = {RO}; No_TLS; No_SCTP; }};\n",
            scene.daemons.charging_host(),
        ),
    );
    Process::start(
        "freeDiameterd",
        scene
            .net
            .router
            .command("freeDiameterd")
            .arg("-c")
            .arg(config),
        &scratch.path().join("freediameter.log"),
    )
}
