//! Two strangers trade a service by a manager whom both trust: from the list of services to the record in the storage.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;
use serde_json::Value;
use tollwire_harness::peer::hand::{Credential, Datagrams, User, word};
use tollwire_harness::peer::stage::{ACCOUNT, ECHO_PORT, OCTET, REQUEST, Setup, Stage, USER_PORT};
use tollwire_harness::process::{Process, run};
use tollwire_harness::wait::{PATIENCE, wait_for, wait_until};

#[test]
fn a_service_is_found_opened_metered_and_paid() {
    let mut stage = Stage::new(Setup {
        storage: true,
        ..Setup::default()
    });
    let begin = stage.account();
    let mut user = stage.user();
    let credential = user.credential("all");
    let held = stage.account();
    assert_eq!(held.0, begin.0, "nothing is charged before it is used");
    assert!(
        held.1 > 0,
        "credit is reserved when the credential is issued"
    );

    for _ in 0..3 {
        user.get(&credential, "/octets/1000").expect(200);
    }
    // Interim messages tell of it while the session is open.
    stage.wait_for_session(&credential, "an interim message", |it| {
        it["state"] == "open" && it["charged"]["requests"] == 3
    });
    assert!(stage.account().0 <= begin.0 - 3 * REQUEST - 3000 * OCTET);
    let second = stage.wait_for_session(&credential, "messages at the pace", |it| {
        it["sequence"].as_i64().unwrap_or(0) >= 3
    });
    assert_eq!(second["state"], "open");
    user.get(&credential, "/octets/500").expect(200);
    user.sessions(&credential, "DELETE").expect(200);
    assert_eq!(word(&user.get(&credential, "/octets/1")), "410 closed");

    let session = stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    let time = session["charged"]["time_ms"].as_i64().expect("time");
    let seconds = (time + 999) / 1000;
    let spent = stage.wait_for_spent();
    assert_eq!(
        spent,
        4 * REQUEST + 3500 * OCTET + seconds * 1_000_000,
        "{session:#}"
    );
    assert_eq!(stage.wait_for_records_of(&credential, 3), spent);
    assert_eq!(stage.records().len(), 3);
    wait_until("the records in the storage", PATIENCE, || {
        stage.stored() == (3, 0)
    });
    for arrived in stage.http.arrived() {
        let private = arrived
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("tollwire"));
        assert!(
            !private,
            "the service's own server is told no secrets: {arrived:?}"
        );
    }
    assert_eq!(
        stage.charging.log().matches("ERROR").count(),
        0,
        "{}",
        stage.charging.log()
    );
    stage.shop.stop();
    stage.charging.stop();
}

#[test]
fn datagrams_pass_the_gate_of_an_open_session_alone() {
    let stage = Stage::new(Setup {
        gate: true,
        ..Setup::default()
    });
    let mut datagrams = stage.datagrams();
    assert!((0..2).all(|_| datagrams.is_lost()), "there is a gate");
    let mut user = stage.user();
    let credential = user.gated("echo", USER_PORT);
    datagrams.octets = 0;
    user.sessions(&credential, "POST").expect(200);
    assert!((0..10).all(|_| datagrams.echo()), "it is open");
    let passed = datagrams.octets;
    let mut others = Datagrams::new(
        stage.other_host(),
        USER_PORT,
        (stage.net.host(1).ip, ECHO_PORT).into(),
    );
    assert!((0..2).all(|_| others.is_lost()), "for her address alone");
    user.sessions(&credential, "DELETE").expect(200);
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    assert!((0..2).all(|_| datagrams.is_lost()), "it is shut");
    assert_eq!(stage.wait_for_spent(), passed as i64 * OCTET);
    assert_eq!(stage.wait_for_records(1).len(), 1);
}

#[test]
fn any_program_uses_it_through_tollctl() {
    let stage = Stage::new(Setup::default());
    let peer = |arguments: &[&str]| run(stage.tollctl_peer().args(arguments));
    let services = peer(&["services"]);
    assert!(
        services.lines().any(|line| line.starts_with("weather")),
        "{services}"
    );
    let file = stage.scratch.path().join("credential.json");
    let file = file.to_str().expect("a path");
    peer(&["request", "--service", "weather", "--out", file]);
    let mode = std::fs::metadata(file)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "whoever has it can use the service");
    for number in 0..2 {
        let target = format!("/fetched/{number}");
        assert_eq!(
            peer(&["fetch", "--credential", file, &target]),
            format!("this is {target}")
        );
    }
    peer(&["close", "--credential", file]);
    assert_eq!(stage.wait_for_spent(), 2 * REQUEST);

    // A program that knows of proxies, and nothing of Tollwire.
    let log = stage.scratch.path().join("proxy.log");
    let mut command = stage.tollctl_peer();
    command.args([
        "proxy",
        "--service",
        "weather",
        "--listen",
        "127.0.0.1:8899",
    ]);
    let mut proxy = Process::start("proxy", &mut command, &log);
    let host = stage.user_host();
    let to = ([127, 0, 0, 1], 8899).into();
    let mut program = wait_for("the proxy", PATIENCE, || host.tcp(to).ok());
    let request = "GET http://provider.example/weather/proxied HTTP/1.1\r\nHost: provider.example\r\nConnection: close\r\n\r\n";
    program.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    program.read_to_string(&mut answer).expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("this is /proxied"),
        "{answer}"
    );
    proxy.signal(Signal::SIGTERM);
    proxy.wait_success(PATIENCE);
    assert_eq!(stage.wait_for_spent(), 3 * REQUEST);
    let lines: Vec<String> = stage.http.arrived().into_iter().map(|it| it.line).collect();
    assert_eq!(lines, ["GET /fetched/0", "GET /fetched/1", "GET /proxied"]);
    let records = stage.wait_for_records(2);
    assert_eq!(records.len(), 2, "one for each session");
}

#[test]
fn either_side_ends_a_session_and_the_manager_too() {
    let stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let mut ended = |by: &str, end: &dyn Fn(&mut User<'_>, &Credential)| {
        let credential = user.credential("weather");
        user.get(&credential, "/once").expect(200);
        end(&mut user, &credential);
        let session = stage.wait_for_session(&credential, by, |it| it["state"] == "closed");
        assert_eq!(session["cause"], by, "{session:#}");
        assert_eq!(stage.wait_for_records_of(&credential, 1), REQUEST);
        assert_eq!(word(&user.get(&credential, "/after")), "410 closed");
    };
    ended("user", &|user, credential| {
        user.sessions(credential, "DELETE").expect(200);
    });
    ended("provider", &|_, credential| {
        let mut command = stage.tollctl(stage.net.host(1));
        command.arg("--shopd").arg(stage.shop.admin());
        run(command.args(["peer", "end", "--provider", &credential.session]));
    });
    ended("revoked", &|_, credential| {
        stage.operator(&["peer", "end", &credential.session]);
        let log = stage.operator(&["--json", "audit"]);
        let log: Value = serde_json::from_str(&log).expect("JSON");
        let line = log.as_array().and_then(|lines| lines.last());
        let line = line.expect("a line of the audit log");
        assert_eq!(line["operation"], "close-peers-session", "{line:#}");
        assert_eq!(line["outcome"], "done", "{line:#}");
        let detail = line["detail"].as_str().expect("text");
        assert!(detail.contains(&credential.session), "{line:#}");
    });
    assert_eq!(stage.wait_for_spent(), 3 * REQUEST);
    // What the user pays is the provider's, less what the manager's operator keeps.
    let ledger = stage.operator(&["--json", "ledger", ACCOUNT]);
    let entries: Value = serde_json::from_str(&ledger).expect("JSON");
    let to_provider = entries
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry.to_string().contains("provider.example"));
    assert_eq!(to_provider.count(), 3, "{entries:#}");
}

#[test]
fn programs_use_datagrams_through_tollctl() {
    let stage = Stage::new(Setup {
        gate: true,
        ..Setup::default()
    });
    let log = stage.scratch.path().join("udp.log");
    let mut command = stage.tollctl_peer();
    let from = format!("0.0.0.0:{USER_PORT}");
    command.args([
        "udp",
        "--service",
        "echo",
        "--listen",
        "127.0.0.1:8898",
        "--from",
        &from,
    ]);
    let mut relay = Process::start("udp", &mut command, &log);
    let at = ([127, 0, 0, 1], 0).into();
    let mut program = Datagrams::at(stage.user_host(), at, ([127, 0, 0, 1], 8898).into());
    wait_until("the relay", PATIENCE, || !program.is_lost());
    // What was lost before it stood was never sent.
    program.octets = 0;
    assert!((0..10).all(|_| program.echo()), "a datagram was lost");
    relay.signal(Signal::SIGTERM);
    relay.wait_success(PATIENCE);
    let spent = stage.wait_for_spent();
    assert!(spent >= (program.octets as i64) * OCTET, "{spent}");
    assert_eq!(stage.wait_for_records(1).len(), 1);
    assert_eq!(stage.echo.octets() as i64 * 2 * 128 / 100 * OCTET, spent);
}
