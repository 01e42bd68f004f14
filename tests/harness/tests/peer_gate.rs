//! The manager's gate by itself: what the kernel lets pass where nobody else limits it, and what becomes of it when daemons die.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tollwire_harness::peer::hand::{Credential, Datagrams, claims, identifier, nonce, now, word};
use tollwire_harness::peer::service::Echo;
use tollwire_harness::peer::stage::{ACCOUNT, ECHO_PORT, OCTET, Setup, Stage, USER_PORT};
use tollwire_harness::wait::{PATIENCE, poll, wait_until};

/// Octets of a datagram and its echo.
const ECHO: i64 = 2 * 128;

/// A service whose provider says nothing for a while, and of whose word nothing is tolerated.
fn setup(octets: i64, lifetime_seconds: u32) -> Setup {
    Setup {
        balance_micro: octets * OCTET,
        gate: true,
        policies: format!(
            "max_seconds_between_messages = 60\nlifetime_seconds = {lifetime_seconds}\n"
        ),
        manager: "gate_tolerance_percent = 0\n".to_owned(),
        ..Setup::default()
    }
}

/// A credential, whose provider is gone as soon as he has acknowledged it. In his place somebody answers who limits nothing.
fn without_limits(stage: &mut Stage) -> (Credential, Echo) {
    let credential = stage.user().gated("echo", USER_PORT);
    stage.shop.kill();
    let host = stage.net.host(1);
    let echo = Echo::start_at(host, SocketAddr::new(host.ip, ECHO_PORT));
    (credential, echo)
}

/// Sends until nothing comes back any more: how many did.
fn until_shut(datagrams: &mut Datagrams) -> i64 {
    let mut passed = 0;
    while datagrams.echo() {
        passed += 1;
    }
    passed
}

/// Octets that the limiter has counted.
fn passed(stage: &Stage) -> i64 {
    let pinholes = stage.pinholed.as_ref().expect("a gate").get("/pinholes");
    let pinholes = pinholes.as_array().expect("a list");
    let octets = pinholes.iter().map(|it| it["octets"].as_i64());
    octets.map(|octets| octets.expect("a count")).sum()
}

/// The provider's word.
fn report(stage: &Stage, credential: &Credential, sequence: i64, kind: &str, octets: i64) -> Value {
    let mut message = json!({
        "message_id": identifier(), "accounting_session_id": credential.session, "sequence": sequence, "kind": kind,
        "data": {"octets": octets}, "nonce": nonce(),
    });
    if kind == "final" {
        message["cause"] = json!("user");
    }
    let token = stage.provider.sign("accounting-message+jwt", &message);
    let mut last = String::new();
    // He repeats what is refused for now.
    let answer = poll(PATIENCE, || {
        let answer = stage.user().post("/accounting", &token);
        last = answer.text();
        (answer.status != 503).then_some(answer)
    });
    let answer = answer.unwrap_or_else(|| panic!("{last}\n{}", stage.charging.log()));
    claims(&answer.expect(200).text())
}

#[test]
fn the_kernel_lets_pass_what_is_granted_and_more_when_there_is_more() {
    // Of 40,000 octets 312 packets pass.
    let mut stage = Stage::new(setup(40_000, 600));
    let (credential, _echo) = without_limits(&mut stage);
    let mut datagrams = stage.datagrams();
    until_shut(&mut datagrams);
    wait_until("the gate to be counted", PATIENCE, || {
        passed(&stage) >= 156 * ECHO
    });
    assert_eq!(passed(&stage), 156 * ECHO);
    let again = json!({"top-up": {"account": ACCOUNT, "amount_micro": 25_600 * OCTET, "reference": "second"}});
    stage.charging.post("/operations", &again);
    let acknowledged = report(&stage, &credential, 1, "interim", 156 * ECHO);
    assert_eq!(acknowledged["granted"]["octets"], 65_600);
    // All of it: 512 packets. What the kernel refused meanwhile is not taken from it for long.
    wait_until("the rest to pass", PATIENCE, || {
        until_shut(&mut datagrams);
        passed(&stage) >= 256 * ECHO
    });
    assert!((0..5).all(|_| datagrams.is_lost()), "it is shut");
    assert_eq!(passed(&stage), 256 * ECHO);
    report(&stage, &credential, 2, "final", 256 * ECHO);
    assert_eq!(stage.wait_for_spent() + 25_600 * OCTET, 256 * ECHO * OCTET);
    assert!((0..5).all(|_| datagrams.is_lost()), "it is shut");
    let session = stage.session(&credential);
    assert_eq!(session["flags"], json!({}), "{session:#}");
}

#[test]
fn its_time_over_it_shuts_though_every_daemon_is_dead() {
    let mut stage = Stage::new(Setup {
        // Of [grants]: more than can pass in that time.
        charging: "quantum_octets = 1000000000\n".to_owned(),
        ..setup(1_000_000_000, 4)
    });
    let (credential, _echo) = without_limits(&mut stage);
    let mut datagrams = stage.datagrams();
    assert!(datagrams.echo(), "it is open");
    stage.charging.kill();
    stage.pinholed.as_mut().expect("a gate").kill();
    let (mut passed, mut last) = (1, 0);
    while datagrams.echo() {
        (passed, last) = (passed + 1, now());
    }
    assert!(passed > 1, "it outlives them");
    let not_after = credential.claims["validity"]["not_after"].as_i64();
    let not_after = not_after.expect("seconds");
    assert!(
        last <= not_after + 1,
        "{} s beyond its time",
        last - not_after
    );
    assert!((0..5).all(|_| datagrams.is_lost()), "it is open again");
    wait_until("its time to be over", PATIENCE, || now() > not_after);
    // And what passed is known to those that come after them.
    stage.pinholed.as_mut().expect("a gate").start();
    stage.charging.start();
    report(&stage, &credential, 1, "final", passed * ECHO);
    assert_eq!(stage.wait_for_spent(), passed * ECHO * OCTET);
    let session = stage.session(&credential);
    assert_eq!(session["flags"], json!({}), "{session:#}");
}

#[test]
fn killed_in_a_session_manager_and_limiter_find_it_again_and_the_count_goes_on() {
    for victims in [
        &["chargingd"][..],
        &["pinholed"],
        &["chargingd", "pinholed"],
    ] {
        let mut stage = Stage::new(setup(10_000_000, 600));
        let (credential, _echo) = without_limits(&mut stage);
        let mut datagrams = stage.datagrams();
        let mut pass = || {
            let passed = (0..10).filter(|_| datagrams.echo()).count();
            assert_eq!(passed, 10, "{victims:?}");
        };
        pass();
        if victims.contains(&"chargingd") {
            stage.charging.kill();
        }
        if let Some(pinholed) = stage.pinholed.as_mut()
            && victims.contains(&"pinholed")
        {
            pinholed.kill();
        }
        pass();
        if let Some(pinholed) = stage.pinholed.as_mut()
            && victims.contains(&"pinholed")
        {
            pinholed.start();
        }
        if victims.contains(&"chargingd") {
            stage.charging.start();
        }
        pass();
        // What passed is believed, an octet more is not: he is paid for what passed.
        let acknowledged = report(&stage, &credential, 1, "interim", 30 * ECHO);
        assert_eq!(acknowledged["last"], false, "{victims:?}");
        assert_eq!(stage.session(&credential)["flags"], json!({}));
        pass();
        report(&stage, &credential, 2, "interim", 40 * ECHO + 1);
        let session = stage.wait_for_session(&credential, "its revocation", |it| {
            it["revoked"] == "report"
        });
        assert!(session["flags"].to_string().contains("gate"), "{session:#}");
        assert!((0..5).all(|_| datagrams.is_lost()), "whatever he does");
        report(&stage, &credential, 3, "final", 90 * ECHO);
        assert_eq!(stage.wait_for_spent(), 40 * ECHO * OCTET, "{victims:?}");
        let records = stage.wait_for_records(1);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["amount_micro"], 40 * ECHO * OCTET);
    }
}

#[test]
fn without_a_gate_nothing_is_granted() {
    let mut stage = Stage::new(setup(10_000_000, 600));
    let gated = |port: u16| json!({"name": "echo", "udp_port": port});
    let ask = |stage: &Stage, service: &Value| {
        let mut user = stage.user();
        let request = user.request_with(service, &identifier(), &nonce());
        user.post("/credentials", &request)
    };
    stage.pinholed.as_mut().expect("a gate").kill();
    wait_until("the manager to miss it", PATIENCE, || {
        stage.charging.log().contains("the limiter is gone")
    });
    assert_eq!(word(&ask(&stage, &gated(USER_PORT))), "503 unavailable");
    assert_eq!(stage.wait_for_spent(), 0);
    stage.pinholed.as_mut().expect("a gate").start();
    wait_until("the manager to find it", PATIENCE, || {
        stage.charging.log().matches("the limiter is there").count() == 2
    });
    ask(&stage, &gated(USER_PORT)).expect(200);
    // Ports that the limiter does not guard, and another's.
    let held = stage.account().1;
    assert_eq!(word(&ask(&stage, &gated(9_999))), "403 policy");
    assert_eq!(word(&ask(&stage, &gated(USER_PORT))), "403 policy");
    assert_eq!(
        word(&ask(&stage, &json!({"name": "echo"}))),
        "400 malformed"
    );
    wait_until("what was held for them", PATIENCE, || {
        stage.account().1 == held
    });
    let mut datagrams = stage.datagrams();
    assert!(
        datagrams.is_lost(),
        "nor does the provider serve who opened no session"
    );
}
