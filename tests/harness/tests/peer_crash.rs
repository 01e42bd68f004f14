//! `kill -9` of each daemon at each stage of a session: in the end what was used is charged once, with one record, and nothing stays
//! reserved.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use tollwire_harness::peer::hand::{Credential, word};
use tollwire_harness::peer::stage::{PACE, REQUEST, Setup, Stage};
use tollwire_harness::process::Process;
use tollwire_harness::wait::{PATIENCE, poll, wait_for, wait_until};
use tollwire_harness::web::visitor::Content;

#[derive(Clone, Copy, Debug)]
enum Victim {
    Manager,
    Provider,
    Both,
}

fn kill(stage: &mut Stage, victim: Victim) {
    if matches!(victim, Victim::Manager | Victim::Both) {
        stage.charging.kill();
    }
    if matches!(victim, Victim::Provider | Victim::Both) {
        stage.shop.kill();
    }
}

fn start(stage: &mut Stage, victim: Victim) {
    if matches!(victim, Victim::Provider | Victim::Both) {
        stage.shop.start();
    }
    if matches!(victim, Victim::Manager | Victim::Both) {
        stage.charging.start();
    }
}

const SHORT: Duration = Duration::from_secs(10);

/// A session that goes to its end, with a kill at each of its stages.
fn at_every_stage(victim: Victim) {
    let mut stage = Stage::new(Setup::default());
    let again = |stage: &mut Stage| {
        kill(stage, victim);
        start(stage, victim);
    };
    // Issued.
    let credential = stage.user().credential("weather");
    again(&mut stage);
    // Opened.
    stage.user().get(&credential, "/a").expect(200);
    again(&mut stage);
    // Told of.
    stage.wait_for_session(&credential, "a message", |it| {
        it["charged"]["requests"] == 1
    });
    again(&mut stage);
    stage.user().get(&credential, "/b").expect(200);
    // Ended, and told or not.
    stage.user().sessions(&credential, "DELETE").expect(200);
    again(&mut stage);
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    again(&mut stage);
    assert_eq!(stage.wait_for_spent(), 2 * REQUEST);
    let records = stage.wait_for_records(1);
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(records[0]["amount_micro"], 2 * REQUEST);
    assert_eq!(word(&stage.user().get(&credential, "/c")), "410 closed");
    assert_eq!(stage.http.arrived().len(), 2);
}

#[test]
fn the_manager_at_every_stage() {
    at_every_stage(Victim::Manager);
}

#[test]
fn the_provider_at_every_stage() {
    at_every_stage(Victim::Provider);
}

#[test]
fn both_at_every_stage() {
    at_every_stage(Victim::Both);
}

/// Killed while a request for a credential is under way, after so many milliseconds: who asks again gets his one session.
fn while_credentials_are_issued(victim: Victim) {
    let mut stage = Stage::new(Setup::default());
    let mut rounds = 0;
    for delay in [0, 1, 2, 4, 7, 11, 16, 23, 32, 45] {
        let request = stage.user().request("weather");
        let mut visitor = stage.user().visitor;
        let content = Content::token(&request);
        let (url, sent) = ("https://manager.example/credentials", content.clone());
        let asked = std::thread::spawn(move || {
            // Whatever it says: he may see nothing but a broken connection.
            let _ = visitor.attempt("POST", url, &sent);
        });
        // The point of the kill is what differs, not something that is waited for.
        std::thread::sleep(Duration::from_millis(delay));
        kill(&mut stage, victim);
        start(&mut stage, victim);
        asked.join().expect("it ended");
        let mut user = stage.user();
        let mut last = String::new();
        let answer = poll(PATIENCE, || {
            let answer = user.visitor.attempt("POST", url, &content).ok()?;
            last = answer.text();
            (answer.status == 200).then_some(answer)
        });
        // A provider that was dead when it mattered: that request is over, and cost nothing.
        let Some(answer) = answer else {
            panic!("{delay} ms: {last}\n{}", stage.charging.log());
        };
        let credential = Credential::open(&stage.alice, &answer.text());
        user.get(&credential, "/once").expect(200);
        user.sessions(&credential, "DELETE").expect(200);
        rounds += 1;
        stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
        assert_eq!(stage.wait_for_spent(), rounds * REQUEST);
    }
    let records = stage.wait_for_records(usize::try_from(rounds).expect("few"));
    assert_eq!(records.len() as i64, rounds);
}

#[test]
fn the_manager_while_credentials_are_issued() {
    while_credentials_are_issued(Victim::Manager);
}

#[test]
fn the_manager_while_messages_come() {
    let mut stage = Stage::new(Setup::default());
    let credential = stage.user().credential("weather");
    let mut served = 0;
    for delay in [0, 2, 5, 9, 14, 20, 30, 45] {
        // As many as one grant has: the last of them needs an answer of the manager's, or the next one does.
        let mut user = stage.user();
        served += (0..10)
            .filter(|_| user.get(&credential, "/busy").status == 200)
            .count();
        drop(user);
        std::thread::sleep(Duration::from_millis(delay));
        stage.charging.kill();
        stage.charging.start();
    }
    stage.user().sessions(&credential, "DELETE").expect(200);
    let session = stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    assert_eq!(session["flags"], serde_json::json!({}), "{session:#}");
    assert!(served > 10, "{served} of 80 were served: {session:#}");
    assert_eq!(stage.http.arrived().len(), served);
    assert_eq!(stage.wait_for_spent(), served as i64 * REQUEST);
    assert_eq!(
        stage.wait_for_records_of(&credential, 1),
        served as i64 * REQUEST
    );
}

#[test]
fn the_provider_while_it_serves() {
    let mut stage = Stage::new(Setup::default());
    let credential = stage.user().credential("weather");
    let mut served = 0;
    for delay in [3, 9, 17, 26, 38] {
        let url = credential.url("/busy");
        let token = |credential: &Credential| credential.sign("GET", url.path());
        let mut visitor = stage.user().visitor;
        let (first, second) = (token(&credential), token(&credential));
        let to = url.to_string();
        let asked = std::thread::spawn(move || {
            let mut served = 0;
            for token in [first, second] {
                let content = Content::header(tollwire_harness::peer::hand::FIELD, &token);
                let answer = visitor.attempt("GET", &to, &content);
                served += i64::from(answer.is_ok_and(|answer| answer.status == 200));
            }
            served
        });
        std::thread::sleep(Duration::from_millis(delay));
        stage.shop.kill();
        stage.shop.start();
        served += asked.join().expect("it ended");
    }
    stage.user().sessions(&credential, "DELETE").expect(200);
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    let charged = stage.wait_for_spent() / REQUEST;
    let arrived = stage.http.arrived().len() as i64;
    // Counted before it is passed on: what the user got is paid, and what he pays for was asked for.
    assert!(
        served <= arrived && arrived <= charged && charged <= 10,
        "{served} {arrived} {charged}"
    );
    assert_eq!(stage.wait_for_records(1).len(), 1);
}

#[test]
fn a_manager_that_is_dead_in_mid_session_loses_nothing() {
    let mut stage = Stage::new(Setup::default());
    let credential = stage.user().credential("weather");
    stage.user().get(&credential, "/before").expect(200);
    stage.charging.kill();
    // What was granted is served without it, and the session can be ended without it.
    let mut user = stage.user();
    user.get(&credential, "/meanwhile").expect(200);
    user.sessions(&credential, "DELETE").expect(200);
    assert_eq!(word(&user.get(&credential, "/after")), "410 closed");
    drop(user);
    stage.shop.kill();
    stage.shop.start();
    stage.charging.start();
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    assert_eq!(stage.wait_for_spent(), 2 * REQUEST);
    assert_eq!(stage.wait_for_records(1).len(), 1);
}

#[test]
fn a_provider_that_falls_silent_is_closed_with_a_record() {
    let mut stage = Stage::new(Setup {
        manager: "grace_seconds = 1\n".to_owned(),
        ..Setup::default()
    });
    let credential = stage.user().credential("weather");
    stage.user().get(&credential, "/known").expect(200);
    stage.wait_for_session(&credential, "a message", |it| {
        it["charged"]["requests"] == 1
    });
    stage.shop.kill();
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    assert_eq!(stage.wait_for_spent(), REQUEST);
    assert_eq!(stage.wait_for_records(1).len(), 1);
    // He comes back, and hears that it is over; what he serves until then is at his own risk.
    stage.shop.start();
    wait_until("the revocation", SHORT, || {
        stage.user().get(&credential, "/late").status == 410
    });
    stage.wait_for_session(&credential, "its last message", |it| {
        it["flags"]["late"] == true
    });
    assert_eq!(stage.wait_for_spent(), REQUEST);
    assert_eq!(stage.wait_for_records(1).len(), 1);
}

#[test]
fn a_user_who_disappears_pays_for_what_he_used() {
    let stage = Stage::new(Setup {
        services: vec![(
            "short",
            "requests = 301",
            format!("{PACE}lifetime_seconds = 4\n"),
        )],
        ..Setup::default()
    });
    let mut command = stage.tollctl_peer();
    command.args(["proxy", "--service", "short", "--listen", "127.0.0.1:8899"]);
    let log = stage.scratch.path().join("proxy.log");
    let mut proxy = Process::start("proxy", &mut command, &log);
    let host = stage.user_host();
    let to = ([127, 0, 0, 1], 8899).into();
    let mut program = wait_for("the proxy", PATIENCE, || host.tcp(to).ok());
    program
        .write_all(b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    program.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("this is /last"), "{answer}");
    proxy.kill();
    let record = stage.wait_for_records(1).remove(0);
    assert_eq!(record["amount_micro"], REQUEST, "{record:#}");
    assert_eq!(stage.wait_for_spent(), REQUEST);
    assert_eq!(stage.records().len(), 1);
}

#[test]
fn records_wait_for_their_storage() {
    let mut stage = Stage::new(Setup {
        storage: true,
        ..Setup::default()
    });
    stage.storage.as_mut().expect("a storage").kill();
    for _ in 0..3 {
        let mut user = stage.user();
        let credential = user.credential("weather");
        user.get(&credential, "/once").expect(200);
        user.sessions(&credential, "DELETE").expect(200);
    }
    assert_eq!(stage.wait_for_records(3).len(), 3);
    stage.charging.kill();
    stage.storage.as_mut().expect("a storage").start();
    stage.charging.start();
    wait_until("the records in the storage", PATIENCE * 2, || {
        stage.stored() == (3, 0)
    });
    stage.storage.as_mut().expect("a storage").kill();
    stage.storage.as_mut().expect("a storage").start();
    assert_eq!(stage.stored(), (3, 0));
    assert_eq!(stage.wait_for_spent(), 3 * REQUEST);
}
