//! Customers are told what happens to their accounts: by short message (smscd, smpplib), by SIP MESSAGE (sipp), by
//! webhook (Python's HTTP server and hmac) and by mail (aiosmtpd).

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tollwire_harness::process::run;
use tollwire_harness::sipp::Sipp;
use tollwire_harness::sms::PASSWORD;
use tollwire_harness::sms::peer::LinkNumber;
use tollwire_harness::sms::scene::{PHONE, Setup, SmsScene, esme, message, route};
use tollwire_harness::sms::tariff::price;
use tollwire_harness::told::Receiver;
use tollwire_harness::wait::{PATIENCE, wait_for, wait_until};

const SECRET: &str = "a secret of sixteen characters or more";
const HOOK_PORT: u16 = 8080;
const MAIL_PORT: u16 = 2525;
const SIP_PORT: u16 = 5062;
/// Where nobody listens.
const DEAD_PORT: u16 = 9;

/// A scene with `chargingd` set up like this; alice has an account.
fn scene(chargingd: &str) -> SmsScene {
    scene_with_text(chargingd, "This is test {id} for the account {account}.")
}

/// The same, with this text of a test.
fn scene_with_text(chargingd: &str, text: &str) -> SmsScene {
    let mut scene = SmsScene::prepare(Setup {
        esmes: esme("application", "") + &esme("phone", "") + &esme("chargingd", ""),
        routes: route(
            "phones",
            "4917",
            "receivers = [\"phone\"]",
            "charging = \"online\"\n",
        ),
        chargingd: format!(
            "[notifications]\ntexts = \"@FOLDER@/texts.toml\"\nretry_first_seconds = 1\n\
             retry_most_seconds = 1\nper_account_hour = 0\n{chargingd}"
        ),
        ..Setup::default()
    });
    for (name, secret) in [
        ("smpp-password", PASSWORD),
        ("webhook-secret", SECRET),
        ("sip-password", "message-password"),
        ("mail-password", "relay-password"),
    ] {
        let path = scene.scratch.write(name, &format!("{secret}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its own file");
    }
    let shipped = include_str!("../../../conf/notifications.toml");
    let texts = shipped.replace("This is test {id} for the account {account}.", text);
    scene.scratch.write("texts.toml", &texts);
    certificate(&scene);
    scene.start();
    scene.make_account("alice", 1_000_000);
    scene
}

fn sms() -> String {
    "[notifications.sms]\nenabled = true\npassword_file = \"@FOLDER@/smpp-password\"\n".into()
}

fn webhook(more: &str) -> String {
    format!(
        "[notifications.webhook]\nenabled = true\nsecret_file = \"@FOLDER@/webhook-secret\"\n\
         tls_authorities = \"@FOLDER@/told.pem\"\n{more}\n"
    )
}

/// Host a's address: the first of the small internet.
const HOST_A: &str = "10.77.1.2";
const NETWORKS: &str = "allow_networks = [\"10.77.0.0/16\"]";

fn mail(more: &str) -> String {
    format!(
        "[notifications.mail]\nenabled = true\nrelay = \"{HOST_A}:{MAIL_PORT}\"\n\
         from = \"billing@tollwire.example\"\ntls_authorities = \"@FOLDER@/told.pem\"\n{more}\n"
    )
}

fn hook(scheme: &str, path: &str) -> String {
    format!("{scheme}://{HOST_A}:{HOOK_PORT}{path}")
}

/// A certificate for the address of host a, and its key, where `chargingd` looks for them.
fn certificate(scene: &SmsScene) -> (PathBuf, PathBuf) {
    assert_eq!(scene.net.a().ip.to_string(), HOST_A);
    let at = |name: &str| scene.scratch.path().join(name);
    let (certificate, key) = (at("told.pem"), at("told.key"));
    if !certificate.exists() {
        let name = format!("subjectAltName=IP:{HOST_A}");
        run(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days"])
            .args(["2", "-subj", "/CN=told.example", "-addext", &name])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate));
    }
    (certificate, key)
}

fn start_webhook(scene: &SmsScene, secure: bool) -> Receiver {
    let (certificate, key) = certificate(scene);
    let (certificate, key) = (path(&certificate), path(&key));
    let port = HOOK_PORT.to_string();
    let mut arguments = vec!["webhook", HOST_A, &port, SECRET];
    if secure {
        arguments.extend([certificate.as_str(), key.as_str()]);
    }
    Receiver::start(scene.net.a(), &scene.scratch, "webhook", &arguments)
}

fn path(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// Has a contact of alice's told that this is a test.
fn tell(scene: &SmsScene, contact: &str) {
    let test = json!({"test-notification": {"account": "alice", "contact": contact}});
    scene.daemons.operate(&test);
}

fn channel(scene: &SmsScene, name: &str) -> Value {
    let state = scene.daemons.get("chargingd", "/notifications");
    let channels = state["channels"].as_array().expect("channels");
    let found = channels.iter().find(|channel| channel["channel"] == name);
    found.expect("the channel").clone()
}

/// Whom `chargingd` has still to tell.
fn waiting(scene: &SmsScene) -> Vec<Value> {
    let state = scene.daemons.get("chargingd", "/notifications?limit=10000");
    state["waiting"].as_array().expect("a list").clone()
}

#[track_caller]
fn wait_until_nobody_waits(scene: &SmsScene) {
    wait_until("everybody to be told", PATIENCE, || {
        waiting(scene).is_empty()
    });
}

/// Waits until the attempt that failed is in the store, with this in its error.
#[track_caller]
fn wait_for_error(scene: &SmsScene, error: &str) -> Value {
    wait_for(error, PATIENCE, || {
        waiting(scene).into_iter().find(|waiting| {
            let last = waiting["error"].as_str().expect("a text");
            last.contains(error)
        })
    })
}

fn kill_and_start(scene: &mut SmsScene) {
    scene.daemons.kill("chargingd");
    scene.daemons.start_again(&scene.net, "chargingd");
}

#[test]
fn a_short_message_comes_through_smscd() {
    let mut scene = scene(&sms());
    let server = scene.server();
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    tell(&scene, &format!("sms:+{PHONE}"));
    let message = scene.phone.expect_pdu(phone, "deliver_sm");
    let text = message.short_message_text();
    assert_eq!(text, "This is test 1 for the account alice.");
    assert_eq!(message.text("destination_addr"), PHONE);
    assert_eq!(message.text("source_addr"), "Tollwire");
    assert_eq!(message.number("data_coding"), 0);
    // user_message_reference
    assert_eq!(message.tlv(0x0204), Some("0001"));
    wait_until_nobody_waits(&scene);
    assert_eq!(channel(&scene, "sms")["told"], 1);
    // A number that no route covers is refused for good.
    tell(&scene, "sms:+15551234");
    wait_until_nobody_waits(&scene);
    let state = channel(&scene, "sms");
    assert_eq!((&state["told"], &state["given_up"]), (&json!(1), &json!(1)));
    assert!(scene.phone.unread("deliver_sm").is_empty());
}

#[test]
fn a_long_text_that_is_not_latin_comes_in_several_messages() {
    let text = "Ваш счёт {account}: ".repeat(6);
    let mut scene = scene_with_text(&sms(), &text);
    let server = scene.server();
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    tell(&scene, &format!("sms:+{PHONE}"));
    let text = text.replace("{account}", "alice");
    let mut parts = Vec::new();
    for _ in 0..2 {
        let part = scene.phone.expect_pdu(phone, "deliver_sm");
        assert_eq!(part.number("data_coding"), 8);
        assert_eq!(part.number("esm_class") & 0x40, 0x40);
        parts.push(part.short_message());
    }
    parts.sort();
    let mut units = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        assert_eq!(part[..6], [5, 0, 3, 1, 2, number]);
        units.extend(
            part[6..]
                .chunks(2)
                .map(|unit| u16::from_be_bytes([unit[0], unit[1]])),
        );
    }
    assert_eq!(String::from_utf16(&units).expect("text"), text.trim());
    wait_until_nobody_waits(&scene);
}

#[test]
fn a_sip_message_proves_its_password() {
    for (transport, attempts) in [("udp", 1), ("tcp", 1)] {
        let mut scene = scene(&format!(
            "[notifications.sip]\nenabled = true\nproxy = \"{HOST_A}:{SIP_PORT}\"\n\
             transport = \"{transport}\"\nfrom = \"sip:billing@tollwire.example\"\n\
             password_file = \"@FOLDER@/sip-password\"\n"
        ));
        let address = SocketAddr::new(scene.net.a().ip, SIP_PORT);
        let sipp = Sipp::scenario("message-receiver").at(address);
        let sipp = if transport == "tcp" { sipp.tcp() } else { sipp };
        let mut phone = sipp.start(scene.net.a(), &scene.scratch, "message");
        tell(&scene, "sip:alice@tollwire.example");
        phone.wait_success(PATIENCE);
        wait_until_nobody_waits(&scene);
        assert_eq!(channel(&scene, "sip")["told"], attempts, "{transport}");
        let received: Vec<_> = (phone.messages().into_iter())
            .filter(|logged| !logged.sent && logged.message.method() == Some("MESSAGE"))
            .collect();
        let [first, second] = &received[..] else {
            panic!("{received:?}");
        };
        let (first, second) = (&first.message, &second.message);
        let header = |message: &tollwire_harness::phone::SipText, name: &str| {
            message.header(name).unwrap_or_default().to_owned()
        };
        assert_eq!(header(first, "Call-ID"), header(second, "Call-ID"));
        assert_eq!(header(first, "CSeq"), "1 MESSAGE");
        assert_eq!(header(second, "CSeq"), "2 MESSAGE");
        assert_eq!(header(first, "Content-Type"), "text/plain;charset=UTF-8");
        let text = format!("{second:?}");
        assert!(
            text.contains("This is test 1 for the account alice."),
            "{text}"
        );
        scene.daemons.kill("chargingd");
    }
}

#[test]
fn a_webhook_is_signed_and_tried_again_over_crashes_until_it_is_accepted() {
    let mut scene = scene(&webhook(&format!("{NETWORKS}\nallow_http = true")));
    let mut receiver = start_webhook(&scene, false);
    receiver.answer(503);
    tell(&scene, &hook("http", "/hook?customer=7"));
    receiver.wait_for("call", 1);
    wait_for_error(&scene, "503");
    kill_and_start(&mut scene);
    // What failed is known after the crash; a redirection is a failure, and nobody goes elsewhere.
    receiver.answer(302);
    wait_for_error(&scene, "302");
    receiver.answer(204);
    wait_until_nobody_waits(&scene);
    let calls = receiver.events("call");
    assert_eq!(calls.last().expect("a call")["answer"], 204);
    for call in &calls {
        assert_eq!(call["signed"], true, "{call}");
        assert_eq!(call["forged"], false, "{call}");
        assert_eq!(call["key"], calls[0]["key"]);
        assert_eq!(call["path"], "/hook?customer=7");
        assert_eq!(call["host"], format!("{HOST_A}:{HOOK_PORT}"));
        assert_eq!(call["type"], "application/json");
        let body = &call["body"];
        assert_eq!(body["id"], 1);
        assert_eq!(body["kind"], "test");
        assert_eq!(body["account"], "alice");
        assert_eq!(
            (&body["balance"], &body["unit"]),
            (&json!(1_000_000), &json!("EUR"))
        );
        assert_eq!(body["text"], "This is test 1 for the account alice.");
    }
    // It was stored that it is told: another crash tells nobody again. The next one shows that.
    kill_and_start(&mut scene);
    tell(&scene, &hook("http", "/next"));
    wait_until_nobody_waits(&scene);
    let after = receiver.wait_for("call", calls.len() + 1);
    assert_eq!(after.len(), calls.len() + 1);
    assert_eq!(after[calls.len()]["path"], "/next");
    assert_eq!(after[calls.len()]["body"]["id"], 2);
    let metrics = scene.daemons.text("chargingd", "/metrics");
    let told = "chargingd_notifications_told_total{channel=\"webhook\"} 1";
    assert!(metrics.contains(told), "{metrics}");
}

#[test]
fn a_webhook_over_tls_is_called_by_its_certificate() {
    let scene = scene(&webhook(NETWORKS));
    let mut receiver = start_webhook(&scene, true);
    tell(&scene, &hook("https", "/"));
    let calls = receiver.wait_for("call", 1);
    assert_eq!(calls[0]["signed"], true);
    wait_until_nobody_waits(&scene);
    // http: is not good enough by default.
    tell(&scene, &hook("http", "/"));
    wait_until_nobody_waits(&scene);
    let state = channel(&scene, "webhook");
    assert!(
        state["error"].as_str().expect("why").contains("https"),
        "{state}"
    );
    assert_eq!(receiver.events("call").len(), 1);
}

#[test]
fn a_webhook_does_not_reach_the_inner_network() {
    let scene = scene(&webhook("allow_http = true"));
    let receiver = start_webhook(&scene, false);
    for url in [
        hook("http", "/"),
        format!("http://127.0.0.1:{HOOK_PORT}/"),
        format!("http://localhost:{HOOK_PORT}/"),
        format!("http://[::1]:{HOOK_PORT}/"),
        format!("http://[::ffff:10.77.1.2]:{HOOK_PORT}/"),
        // The same address as one number.
        format!("http://172818690:{HOOK_PORT}/"),
    ] {
        tell(&scene, &url);
        wait_until_nobody_waits(&scene);
        let state = channel(&scene, "webhook");
        let error = state["error"].as_str().expect("why");
        assert!(error.contains("not on the Internet"), "{url}: {state}");
    }
    assert_eq!(channel(&scene, "webhook")["given_up"], 6);
    assert!(receiver.events("call").is_empty());
}

#[test]
fn mail_goes_to_a_relay_that_wants_tls_and_a_password() {
    let scene = scene(&mail(
        "encryption = \"starttls\"\nusername = \"billing\"\npassword_file = \"@FOLDER@/mail-password\"",
    ));
    let (certificate, key) = certificate(&scene);
    let port = MAIL_PORT.to_string();
    let mut receiver = Receiver::start(
        scene.net.a(),
        &scene.scratch,
        "mail",
        &[
            "mail",
            HOST_A,
            &port,
            &path(&certificate),
            &path(&key),
            "billing",
            "relay-password",
        ],
    );
    // Not now; then yes.
    receiver.answer(451);
    tell(&scene, "mailto:alice@customers.example");
    wait_for_error(&scene, "451");
    receiver.answer(250);
    wait_until_nobody_waits(&scene);
    let mails = receiver.events("mail");
    assert!(mails.len() >= 2, "{mails:?}");
    for mail in &mails {
        assert_eq!(mail["tls"], true);
        assert_eq!(mail["user"], "billing");
        assert_eq!(mail["sender"], "billing@tollwire.example");
        assert_eq!(mail["header_from"], "billing@tollwire.example");
        assert_eq!(mail["to"], json!(["alice@customers.example"]));
        assert_eq!(mail["header_to"], "alice@customers.example");
        assert_eq!(mail["subject"], "Test");
        assert_eq!(mail["auto_submitted"], "auto-generated");
        assert_eq!(mail["message_id"], mails[0]["message_id"]);
        let text = mail["text"].as_str().expect("a text").trim();
        assert_eq!(text, "This is test 1 for the account alice.");
    }
    // Never: not tried again.
    receiver.answer(550);
    tell(&scene, "mailto:nobody@customers.example");
    wait_until_nobody_waits(&scene);
    let state = channel(&scene, "mail");
    assert_eq!((&state["told"], &state["given_up"]), (&json!(1), &json!(1)));
    assert_eq!(receiver.events("mail").len(), mails.len() + 1);
}

/// A message that alice pays for reaches the phone; then the debit is in her account.
#[track_caller]
fn pay(scene: &mut SmsScene, links: (LinkNumber, LinkNumber), amount_micro: i64) {
    let before = scene.account("alice").balance_micro;
    let tariff = price(amount_micro, "EUR", "alice");
    let tlvs = [(SmsScene::TARIFF_TAG, tariff.as_str())];
    let fields = message(PHONE, "paid by alice");
    scene.application.submit(links.0, &fields, &tlvs);
    scene.phone.expect_pdu(links.1, "deliver_sm");
    wait_until("the debit", PATIENCE, || {
        scene.account("alice").balance_micro == before - amount_micro
    });
}

#[test]
fn each_crossing_of_a_threshold_is_told_once() {
    let mut scene = scene(&webhook(&format!("{NETWORKS}\nallow_http = true")));
    let mut receiver = start_webhook(&scene, false);
    scene.daemons.operate(&json!({"set-profile": {
        "account": "alice", "language": "de", "contacts": [hook("http", "/alice")],
        "thresholds": [500_000, 200_000],
    }}));
    let server = scene.server();
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    let application = (scene.application).must_bind(server, "transceiver", "application");
    let links = (application, phone);
    // 1.00 -> 0.60 -> 0.45 (crossed) -> 0.40 (told already); a crash in between forgets nothing.
    pay(&mut scene, links, 400_000);
    pay(&mut scene, links, 150_000);
    // Who is told was debited, on disk; a balance is seen a moment before.
    receiver.wait_for("call", 1);
    kill_and_start(&mut scene);
    pay(&mut scene, links, 50_000);
    // 0.40 -> 1.40 (left) -> 0.10: two at once, of which the lower one says more.
    scene.daemons.top_up("alice", 1_000_000);
    pay(&mut scene, links, 1_300_000);
    // The crash may fall between the receiver's answer and the note of it: then the same
    // notification comes once more, and says so by its key.
    let different = |mut calls: Vec<Value>| {
        calls.dedup_by(|again, first| again["key"] == first["key"]);
        calls
    };
    wait_until("both crossings to be told", PATIENCE, || {
        different(receiver.events("call")).len() >= 2
    });
    wait_until_nobody_waits(&scene);
    let calls = different(receiver.events("call"));
    let told: Vec<_> = (calls.iter())
        .map(|call| {
            let body = &call["body"];
            assert_eq!(body["kind"], "threshold-crossed");
            assert_eq!(
                (&body["subject"], &body["unit"]),
                (&json!("alice"), &json!("EUR"))
            );
            (
                body["amount"].clone(),
                body["balance"].clone(),
                body["text"].clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                json!(500_000),
                json!(450_000),
                json!("Ihr Guthaben für alice ist 0.45 EUR. Sie erfahren das bei 0.50 EUR.")
            ),
            (
                json!(200_000),
                json!(100_000),
                json!("Ihr Guthaben für alice ist 0.10 EUR. Sie erfahren das bei 0.20 EUR.")
            ),
        ]
    );
}

#[test]
fn crashes_lose_nobody_and_repeat_only_what_was_under_way() {
    const NOTIFICATIONS: u64 = 300;
    const CRASHES: usize = 5;
    const IN_FLIGHT: usize = 4;
    let more = format!("{NETWORKS}\nallow_http = true\nin_flight = {IN_FLIGHT}");
    let mut scene = scene(&webhook(&more));
    // Down at first, so that everybody waits.
    for _ in 0..NOTIFICATIONS {
        tell(&scene, &hook("http", "/"));
    }
    let mut receiver = start_webhook(&scene, false);
    for crash in 1..=CRASHES {
        receiver.wait_for("call", crash * 40);
        kill_and_start(&mut scene);
    }
    wait_until_nobody_waits(&scene);
    let calls = receiver.events("call");
    let mut times = std::collections::BTreeMap::<u64, Vec<&Value>>::new();
    for call in &calls {
        let id = call["body"]["id"].as_u64().expect("a number");
        times.entry(id).or_default().push(&call["key"]);
    }
    assert!(
        times.keys().copied().eq(1..=NOTIFICATIONS),
        "{:?}",
        times.keys()
    );
    for keys in times.values() {
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }
    let again = calls.len() - times.len();
    assert!(again <= CRASHES * IN_FLIGHT, "{again} calls were repeated");
}

#[test]
fn charging_goes_on_while_nobody_can_be_told() {
    const NOTIFICATIONS: usize = 100;
    const PRICE_MICRO: i64 = 10_000;
    let mut scene = scene(&format!(
        "[notifications.sms]\nenabled = true\naddress = \"{HOST_A}:{DEAD_PORT}\"\n\
         [notifications.sip]\nenabled = true\nproxy = \"{HOST_A}:{DEAD_PORT}\"\n{}{}",
        webhook(&format!("{NETWORKS}\nallow_http = true")),
        mail("")
    ));
    scene.make_account("advertiser", 1_000_000);
    for _ in 0..NOTIFICATIONS {
        for contact in [
            &*format!("sms:+{PHONE}"),
            "sip:alice@tollwire.example",
            &hook("http", "/"),
            "mailto:alice@customers.example",
        ] {
            tell(&scene, contact);
        }
    }
    let all = NOTIFICATIONS * 4;
    assert_eq!(waiting(&scene).len(), all);
    let server = scene.server();
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    let application = (scene.application).must_bind(server, "transceiver", "application");
    let tariff = price(PRICE_MICRO, "EUR", "advertiser");
    for number in 1..=10 {
        let tlvs = [(SmsScene::TARIFF_TAG, tariff.as_str())];
        let fields = message(PHONE, &format!("paid {number}"));
        scene.application.submit(application, &fields, &tlvs);
        scene.phone.expect_pdu(phone, "deliver_sm");
    }
    wait_until("the messages to be paid", PATIENCE, || {
        scene.account("advertiser").balance_micro == 1_000_000 - 10 * PRICE_MICRO
    });
    kill_and_start(&mut scene);
    assert_eq!(waiting(&scene).len(), all);
    // One way works again: it waits for none of the others, and each is told once.
    let mut receiver = start_webhook(&scene, false);
    let calls = receiver.wait_for("call", NOTIFICATIONS);
    wait_until("the others alone to wait", PATIENCE, || {
        waiting(&scene).len() == NOTIFICATIONS * 3
    });
    let ids: std::collections::BTreeSet<u64> = calls
        .iter()
        .map(|call| call["body"]["id"].as_u64().expect("a number"))
        .collect();
    assert_eq!(ids.len(), NOTIFICATIONS);
    assert_eq!(receiver.events("call").len(), NOTIFICATIONS);
    let sms = channel(&scene, "sms");
    assert_eq!(sms["unreachable"], 1, "{sms}");
    assert!(
        sms["error"].as_str().expect("why").contains("refused"),
        "{sms}"
    );
}
