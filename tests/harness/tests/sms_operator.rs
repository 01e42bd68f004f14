//! What an operator sees and does: the real `tollctl` and `/metrics` at the real daemon.

use std::io::Write;
use std::process::{Command, Stdio};

use tollwire_harness::daemons::program;
use tollwire_harness::sms::PASSWORD;
use tollwire_harness::sms::scene::{PHONE, Setup, SmsScene, message};
use tollwire_harness::sms::tariff::class;
use tollwire_harness::wait::{PATIENCE, wait_until};

/// What `tollctl sms ARGUMENTS` prints, and whether it succeeds.
fn tollctl(scene: &SmsScene, arguments: &[&str]) -> (String, bool) {
    let output = Command::new(program("tollctl"))
        .arg("--smscd")
        .arg(scene.scratch.path().join("smscd.admin"))
        .arg("sms")
        .args(arguments)
        .output()
        .expect("tollctl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.success())
}

/// The line of a table that has all of `words`.
fn has_line(table: &str, words: &[&str]) -> bool {
    table
        .lines()
        .any(|line| words.iter().all(|word| line.contains(word)))
}

#[test]
fn a_message_is_followed_held_and_released() {
    let mut scene = SmsScene::new(Setup::default());
    scene.set_classes(&[(7, 290_000)]);
    let server = scene.server();
    let application = scene
        .application
        .must_bind(server, "transceiver", "application");
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    let see = |scene: &SmsScene, arguments: &[&str]| {
        let (text, ok) = tollctl(scene, arguments);
        assert!(ok, "{arguments:?}: {text}");
        text
    };

    assert!(has_line(&see(&scene, &["esmes"]), &["application", "1"]));
    let binds = see(&scene, &["binds"]);
    assert!(has_line(&binds, &["phone", "esme", "bound-rx"]), "{binds}");
    let classes = see(&scene, &["classes"]);
    assert!(has_line(&classes, &["7", "0.29", "EUR"]), "{classes}");

    // Held, a message waits, whoever is bound; its life shows why.
    see(&scene, &["hold", "phones"]);
    let tariff = class(7, "sender");
    let tlvs = [(SmsScene::TARIFF_TAG, tariff.as_str())];
    let id = scene
        .application
        .submit(application, &message(PHONE, "wait"), &tlvs);
    let routes = see(&scene, &["routes"]);
    assert!(has_line(&routes, &["phones", "true", "1"]), "{routes}");
    let life = see(&scene, &["trace", &id]);
    assert!(has_line(&life, &["state", "ENROUTE"]), "{life}");
    assert!(has_line(&life, &["amount", "0.29"]), "{life}");
    assert!(has_line(&life, &["payer", "sender"]), "{life}");
    assert!(has_line(&see(&scene, &["queue"]), &["messages", "1"]));

    see(&scene, &["release", "phones"]);
    assert_eq!(
        scene
            .phone
            .expect_pdu(phone, "deliver_sm")
            .short_message_text(),
        "wait"
    );
    scene.wait_until_idle();
    let life = see(&scene, &["trace", &id]);
    assert!(has_line(&life, &["state", "DELIVERED"]), "{life}");
    // Metrics are read off the core every few seconds.
    wait_until("the metrics to tell", PATIENCE, || {
        let metrics = scene.daemons.text("smscd", "/metrics");
        metrics.lines().any(|line| line == "smscd_delivered 1")
    });

    // What is not there is said.
    for wrong in [
        &["trace", "4711"][..],
        &["hold", "nowhere"],
        &["disconnect", "99"],
    ] {
        let (text, ok) = tollctl(&scene, wrong);
        assert!(!ok, "{wrong:?}: {text}");
    }
    see(&scene, &["disconnect", "--esme", "phone"]);
    wait_until("the phone to be gone", PATIENCE, || {
        !tollctl(&scene, &["binds"]).0.contains("phone")
    });
}

#[test]
fn a_password_is_hashed_from_standard_input() {
    let mut child = Command::new(program("tollctl"))
        .args(["sms", "hash-password"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tollctl runs");
    let mut input = child.stdin.take().expect("a pipe");
    writeln!(input, "{PASSWORD}").expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let hash = String::from_utf8(output.stdout).expect("text");
    assert!(
        tollwire_runtime::password::verify(hash.trim(), PASSWORD),
        "{hash}"
    );
}
