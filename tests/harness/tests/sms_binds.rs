//! Who may bind, as what, and what a bound application can do: smpplib at the real daemon.

use std::time::Instant;

use serde_json::json;
use tollwire_harness::sms::peer::Bind;
use tollwire_harness::sms::scene::{PHONE, Setup, SmsScene, esme, message, receipt_field};
use tollwire_harness::sms::wire::status;
use tollwire_harness::wait::{PATIENCE, wait_until};

#[test]
fn the_three_modes_submit_receive_and_get_receipts() {
    let mut scene = SmsScene::new(Setup::default());
    let server = scene.server();
    let transmitter = scene
        .application
        .must_bind(server, "transmitter", "application");
    let receiver = scene
        .application
        .must_bind(server, "receiver", "application");
    let phone = scene.phone.must_bind(server, "transceiver", "phone");

    let mut fields = message(PHONE, "as you like it");
    fields["registered_delivery"] = json!(1);
    let vendor = [(0x1402, "00ff00"), (0x1777, ""), (0x1402, "17")];
    let id = scene.application.submit(transmitter, &fields, &vendor);

    let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.text("destination_addr"), PHONE);
    assert_eq!(delivered.text("source_addr"), fields["source_addr"]);
    assert_eq!(delivered.short_message_text(), "as you like it");
    let seen: Vec<(u16, &str)> = delivered
        .tlvs
        .iter()
        .map(|(tag, value)| (*tag, value.as_str()))
        .collect();
    assert_eq!(
        seen, vendor,
        "octet for octet, in order, and the double one twice"
    );

    // The receipt goes to the bind that can take it, and names the message the same way everywhere.
    let receipt = scene.application.expect_pdu(receiver, "deliver_sm");
    assert_eq!(receipt.number("esm_class") & 0x3c, 4, "a delivery receipt");
    assert_eq!(receipt.text("source_addr"), PHONE);
    assert_eq!(receipt.text("destination_addr"), fields["source_addr"]);
    let text = receipt.short_message_text();
    assert_eq!(receipt_field(&text, "id"), id);
    assert_eq!(receipt_field(&text, "stat"), "DELIVRD");
    assert_eq!(receipt_field(&text, "err"), "000");
    assert_eq!(receipt.text_tlv(0x001e), Some(id), "receipted_message_id");
    assert_eq!(receipt.tlv(0x0427), Some("02"), "message_state DELIVERED");

    // The other way: a transceiver submits as well.
    let back = scene.phone.submit(phone, &message(PHONE, "to myself"), &[]);
    let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.short_message_text(), "to myself");
    let records = scene.wait_for_records(2);
    let ids: Vec<&str> = records
        .iter()
        .map(|record| record.text("message_id"))
        .collect();
    assert!(ids.contains(&back.as_str()), "{ids:?}");

    scene.phone.unbind(phone);
    scene.phone.expect_close(phone);
    scene.application.unbind(transmitter);
}

#[test]
fn wrong_passwords_are_refused_late_and_only_so_often() {
    let mut scene = SmsScene::new(Setup {
        limits: "password_tries = 3\npassword_delay_ms = 300\n".to_owned(),
        ..Setup::default()
    });
    let server = scene.server();
    let wrong = |system_id| Bind {
        password: "wrong",
        ..Bind::new("transceiver", system_id)
    };
    for system_id in ["application", "nobody"] {
        let asked = Instant::now();
        let (link, answer) = scene.application.bind(server, &wrong(system_id));
        assert_eq!(answer.status, status::ESME_RINVPASWD, "{system_id}");
        assert!(asked.elapsed().as_millis() >= 300, "answered at once");
        scene.application.expect_close(link);
    }
    let (link, answer) = scene.application.bind(server, &wrong("application"));
    assert_eq!(answer.status, status::ESME_RINVPASWD);
    scene.application.expect_close(link);
    // The limit is reached: not even the right password helps from this address now.
    let (link, answer) = scene
        .application
        .bind(server, &Bind::new("transceiver", "application"));
    assert_ne!(answer.status, status::ESME_ROK);
    scene.application.expect_close(link);
    // From another address it does.
    scene.phone.must_bind(server, "transceiver", "phone");
}

#[test]
fn binds_beyond_the_limit_and_binds_that_are_not_allowed() {
    let mut scene = SmsScene::new(Setup {
        esmes: esme("application", "max_binds = 2\n")
            + &esme("phone", "modes = { transmitter = false }\n")
            + &esme("elsewhere", "allowed_networks = [\"10.77.9.0/24\"]\n"),
        ..Setup::default()
    });
    let server = scene.server();
    let application = &mut scene.application;
    let first = application.must_bind(server, "transmitter", "application");
    application.must_bind(server, "receiver", "application");
    let (third, answer) = application.bind(server, &Bind::new("transceiver", "application"));
    assert_eq!(answer.status, status::ESME_RALYBND);
    application.expect_close(third);
    // A bind on a bound connection is another mistake, and the connection stands.
    let again = json!({"system_id": "application", "password": "secret08"});
    let answer = application.request(first, "bind_transmitter", &again, &[]);
    assert_eq!(answer.status, status::ESME_RALYBND);
    let answer = application.request(first, "enquire_link", &json!({}), &[]);
    assert_eq!(
        (answer.command.as_str(), answer.status),
        ("enquire_link_resp", 0)
    );
    // One leaves, another may come.
    application.unbind(first);
    application.expect_close(first);
    application.must_bind(server, "transmitter", "application");

    let (_, answer) = scene.phone.bind(server, &Bind::new("transmitter", "phone"));
    assert_ne!(answer.status, status::ESME_ROK, "no transmitter");
    let (_, answer) = scene
        .phone
        .bind(server, &Bind::new("transceiver", "elsewhere"));
    assert_ne!(answer.status, status::ESME_ROK, "not from here");
}

#[test]
fn a_bind_may_come_over_tls() {
    let mut scene = SmsScene::new(Setup {
        tls: true,
        ..Setup::default()
    });
    let authority = scene.authority();
    let bind = Bind {
        authority: Some(&authority),
        ..Bind::new("transceiver", "application")
    };
    let (link, answer) = scene.application.bind(scene.tls_server(), &bind);
    assert_eq!(answer.status, status::ESME_ROK);
    let phone = scene.phone.must_bind(scene.server(), "receiver", "phone");
    scene
        .application
        .submit(link, &message(PHONE, "under cover"), &[]);
    let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.short_message_text(), "under cover");
}

#[test]
fn what_was_sent_to_an_absent_receiver_comes_when_it_binds() {
    let mut scene = SmsScene::new(Setup::default());
    let server = scene.server();
    let application = scene
        .application
        .must_bind(server, "transceiver", "application");
    let texts = ["one", "two", "three"];
    for text in texts {
        scene
            .application
            .submit(application, &message(PHONE, text), &[]);
    }
    wait_until("three messages to wait", PATIENCE, || scene.queued() == 3);
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    for text in texts {
        let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
        assert_eq!(delivered.short_message_text(), text, "in order");
    }
    scene.wait_for_records(3);
    assert_eq!(scene.queued(), 0);
}
