//! A message that an advertiser pays for, and one that nobody can pay.

use serde_json::{Value, json};
use tollwire_harness::sms::peer::{LinkNumber, Pdu};
use tollwire_harness::sms::scene::{PHONE, Setup, SmsScene, message, route};
use tollwire_harness::sms::tariff::price;
use tollwire_harness::wait::{PATIENCE, wait_until};

use super::{money, print_indented, say, stage};

const PRICE_MICRO: i64 = 190_000;
/// Enough for one message.
const BALANCE_MICRO: i64 = 300_000;

pub fn show() {
    stage(
        "Short messages: an application, an SMSC (smscd), a phone's side; smpplib speaks for both ends",
    );
    let mut scene = SmsScene::new(Setup {
        routes: route(
            "phones",
            "4917",
            "receivers = [\"phone\"]",
            "charging = \"online\"\n",
        ),
        ..Setup::default()
    });
    scene.make_account("advertiser", BALANCE_MICRO);
    let server = scene.server();
    let application = scene
        .application
        .must_bind(server, "transceiver", "application");
    let phone = scene.phone.must_bind(server, "receiver", "phone");
    // The phone takes its time, so that one sees what is reserved meanwhile.
    scene.phone.answer_with("deliver_sm", Value::Null);
    say(&format!(
        "bound to {server}: application (transceiver), phone (receiver)"
    ));
    show_account(&scene);

    stage(
        "The application says what the message is worth, and who pays: it is in a TLV of submit_sm",
    );
    let tariff = price(PRICE_MICRO, "EUR", "advertiser");
    let answer = submit(
        &mut scene,
        application,
        "your ticket, with regards",
        &tariff,
    );
    let id = answer.text("message_id").to_owned();
    say(&format!(
        "submit_sm       TLV 0x{:04x} = {tariff}",
        SmsScene::TARIFF_TAG
    ));
    say(&format!("submit_sm_resp  message_id {id}: it is on disk"));
    let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
    say(&format!(
        "deliver_sm      {:?}",
        delivered.short_message_text()
    ));
    show_account(&scene);
    say(&format!("charge records: {}", scene.records().len()));

    stage("The phone has it: the money is taken, and the record carries the tariff");
    scene.phone.respond(&delivered, 0, &json!({}));
    say("deliver_sm_resp ESME_ROK");
    let receipt = scene.application.expect_pdu(application, "deliver_sm");
    say(&format!("receipt         {}", receipt.short_message_text()));
    wait_until("the debit", PATIENCE, || {
        scene.account("advertiser").held_micro == 0
    });
    show_account(&scene);
    let record = scene.wait_for_records(1).remove(0);
    print_indented(&serde_json::to_string_pretty(&record.0).unwrap_or_default());

    stage("The same again: the account no longer covers it, so the phone gets nothing");
    let answer = submit(&mut scene, application, "another ticket", &tariff);
    say(&format!(
        "submit_sm_resp  message_id {}",
        answer.text("message_id")
    ));
    let receipt = scene.application.expect_pdu(application, "deliver_sm");
    say(&format!("receipt         {}", receipt.short_message_text()));
    show_account(&scene);
    assert!(scene.phone.unread("deliver_sm").is_empty());
    assert_eq!(
        scene.account("advertiser").balance_micro,
        BALANCE_MICRO - PRICE_MICRO
    );
}

fn submit(scene: &mut SmsScene, link: LinkNumber, text: &str, tariff: &str) -> Pdu {
    let mut fields = message(PHONE, text);
    fields["registered_delivery"] = json!(1);
    let tlvs = [(SmsScene::TARIFF_TAG, tariff)];
    let answer = scene.application.request(link, "submit_sm", &fields, &tlvs);
    assert_eq!(answer.status, 0, "{answer:?}");
    answer
}

fn show_account(scene: &SmsScene) {
    let account = scene.account("advertiser");
    say(&format!(
        "the advertiser has {}, of which {} reserved",
        money(account.balance_micro),
        money(account.held_micro)
    ));
}
