//! A message carries its tariff, and the record carries exactly that: WO 98/56202 in both of its
//! arrangements, and everybody who can be made to pay.

use serde_json::json;
use tollwire_harness::capture::Capture;
use tollwire_harness::sms::peer::{LinkNumber, Pdu};
use tollwire_harness::sms::scene::{
    PHONE, SOURCE, Setup, SmsScene, esme, message, receipt_field, route,
};
use tollwire_harness::sms::tariff::{class, direct_price, price};
use tollwire_harness::sms::wire::status;
use tollwire_harness::wait::{PATIENCE, wait_until};

const CENTS_19: i64 = 190_000;

struct Stage {
    scene: SmsScene,
    application: LinkNumber,
    phone: LinkNumber,
}

impl Stage {
    fn new(setup: Setup) -> Self {
        let mut scene = SmsScene::new(setup);
        let server = scene.server();
        let application = scene
            .application
            .must_bind(server, "transceiver", "application");
        let phone = scene
            .phone
            .must_bind(scene.last_server(), "transceiver", "phone");
        Self {
            scene,
            application,
            phone,
        }
    }

    /// Submits with a receipt asked for.
    fn submit(&mut self, text: &str, tariff: Option<&str>) -> Pdu {
        let mut fields = message(PHONE, text);
        fields["registered_delivery"] = json!(1);
        let tlvs: Vec<(u16, &str)> = tariff
            .map(|value| (SmsScene::TARIFF_TAG, value))
            .into_iter()
            .collect();
        self.scene
            .application
            .request(self.application, "submit_sm", &fields, &tlvs)
    }

    fn delivered(&mut self) -> Pdu {
        self.scene.phone.expect_pdu(self.phone, "deliver_sm")
    }

    /// The `stat` of the next receipt.
    fn stat(&mut self) -> String {
        let receipt = self
            .scene
            .application
            .expect_pdu(self.application, "deliver_sm");
        receipt_field(&receipt.short_message_text(), "stat")
    }
}

/// Online charging of whatever goes to phones.
fn online() -> Setup {
    Setup {
        routes: route(
            "phones",
            "4917",
            "receivers = [\"phone\"]",
            "charging = \"online\"\n",
        ) + &route("home", SOURCE, "receivers = [\"application\"]", ""),
        ..Setup::default()
    }
}

#[test]
fn the_record_is_written_here_when_the_phone_has_acknowledged() {
    let mut stage = Stage::new(Setup::default());
    let router = stage.scene.net.router.clone();
    let capture = Capture::start(&router, &stage.scene.scratch, "tcp port 2775");
    stage.scene.phone.answer_with("deliver_sm", json!(null));
    let tariff = direct_price(CENTS_19, "EUR");
    let answer = stage.submit("19 cents", Some(&tariff));
    assert_eq!(answer.status, 0);
    let id = answer.text("message_id").to_owned();
    let delivered = stage.delivered();
    assert_eq!(delivered.tlv(SmsScene::TARIFF_TAG), Some(tariff.as_str()));
    // Another message makes the round in the meantime: this one is not late, it is not charged.
    assert_eq!(stage.scene.records().len(), 0, "not acknowledged yet");
    stage.scene.phone.respond(&delivered, 0, &json!({}));
    assert_eq!(stage.stat(), "DELIVRD");

    let record = stage.scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("message_id"), id);
    assert_eq!(record.text("source"), SOURCE);
    assert_eq!(record.text("destination"), PHONE);
    assert_eq!(record.text("esme"), "application");
    assert_eq!(record.text("next_hop"), "phone");
    assert_eq!(record.number("segments"), 1);
    assert_eq!(
        SmsScene::price_of(&record),
        Some((CENTS_19, "EUR".to_owned()))
    );
    assert_eq!(SmsScene::payer_of(&record), "receiver");
    assert!(record.unix_ms("accepted_time") <= record.unix_ms("end_time"));

    // What an independent reader sees on the wire.
    let recording = capture.stop();
    assert_eq!(recording.malformed(), Vec::<String>::new());
    for command_id in [0x4, 0x5] {
        let filter = format!(
            "smpp.command_id == {command_id} && smpp.opt_params && smpp.destination_addr == \"{PHONE}\""
        );
        let values = recording.fields(&filter, &["smpp.vendor_op", "smpp.opt_param_tag"]);
        assert_eq!(values.len(), 1, "{}", recording.text("smpp"));
        let seen = values[0].join(" ").replace(':', "");
        assert!(seen.contains(&tariff), "{tariff} is not in {seen}");
    }
    let order: Vec<String> = recording
        .fields("smpp", &["smpp.command_id"])
        .into_iter()
        .flatten()
        .flat_map(|commands| commands.split('|').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let at = |command: &str| order.iter().position(|found| found == command);
    assert!(at("0x00000004") < at("0x80000004"), "{order:?}");
    assert!(at("0x80000004") < at("0x80000005"), "{order:?}");
}

#[test]
fn the_record_is_written_at_the_gateway_that_gets_the_tariff_on_the_wire() {
    let mut stage = Stage::new(Setup::with_gateway());
    let router = stage.scene.net.router.clone();
    let capture = Capture::start(
        &router,
        &stage.scene.scratch,
        "tcp port 2775 or tcp port 2776",
    );
    let tariff = direct_price(CENTS_19, "EUR");
    let answer = stage.submit("by two centres", Some(&tariff));
    assert_eq!(answer.status, 0);
    let delivered = stage.delivered();
    assert_eq!(delivered.short_message_text(), "by two centres");
    assert_eq!(delivered.tlv(SmsScene::TARIFF_TAG), Some(tariff.as_str()));
    assert_eq!(stage.stat(), "DELIVRD");

    let records = stage.scene.wait_for_gateway_records(1);
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record.text("source"), SOURCE);
    assert_eq!(record.text("destination"), PHONE);
    assert_eq!(
        record.text("esme"),
        "tollwire",
        "the first centre is an ESME here"
    );
    assert_eq!(
        SmsScene::price_of(record),
        Some((CENTS_19, "EUR".to_owned()))
    );
    stage.scene.wait_until_idle();
    assert_eq!(stage.scene.records().len(), 0, "the first one writes none");

    let recording = capture.stop().decode_as("tcp.port==2776,smpp");
    assert_eq!(recording.malformed(), Vec::<String>::new());
    // submit_sm twice (application to centre, centre to centre), deliver_sm once, each with the TLV.
    for (filter, count) in [
        ("smpp.command_id == 0x4 && tcp.dstport == 2775", 1),
        ("smpp.command_id == 0x4 && tcp.dstport == 2776", 1),
        (
            "smpp.command_id == 0x5 && tcp.srcport == 2776 && smpp.esm.submit.msg_type == 0",
            1,
        ),
    ] {
        let values = recording.fields(filter, &["smpp.vendor_op"]);
        assert_eq!(values.len(), count, "{filter}\n{}", recording.text("smpp"));
        for value in values {
            assert_eq!(value.join("").replace(':', ""), tariff, "{filter}");
        }
    }
}

#[test]
fn a_third_party_pays_before_the_message_is_delivered() {
    let mut stage = Stage::new(online());
    stage.scene.make_account("advertiser", 1_000_000);
    stage.scene.phone.answer_with("deliver_sm", json!(null));
    let answer = stage.submit(
        "drink more tea",
        Some(&price(CENTS_19, "EUR", "advertiser")),
    );
    assert_eq!(answer.status, 0);
    let delivered = stage.delivered();
    let account = stage.scene.account("advertiser");
    assert_eq!(account.held_micro, CENTS_19, "reserved, not spent");
    assert_eq!(account.balance_micro, 1_000_000);
    stage.scene.phone.respond(&delivered, 0, &json!({}));
    assert_eq!(stage.stat(), "DELIVRD");
    let record = stage.scene.wait_for_records(1).remove(0);
    assert_eq!(SmsScene::payer_of(&record), "advertiser");
    assert_eq!(
        SmsScene::price_of(&record),
        Some((CENTS_19, "EUR".to_owned()))
    );
    wait_until("the debit", PATIENCE, || {
        let account = stage.scene.account("advertiser");
        (account.held_micro, account.balance_micro) == (0, 1_000_000 - CENTS_19)
    });
}

#[test]
fn an_application_names_no_account_that_it_may_not() {
    let mut setup = online();
    setup.esmes = esme(
        "application",
        "allowed_payers = [\"sender\", \"advertiser\"]\n",
    ) + &esme("phone", "");
    let mut stage = Stage::new(setup);
    stage.scene.make_account("advertiser", 300_000);
    stage.scene.make_account("rival", 300_000);
    for (payer, status) in [
        ("rival", status::ESME_RINVOPTPARAMVAL),
        ("receiver", status::ESME_RINVOPTPARAMVAL),
        ("advertiser", 0),
    ] {
        let answer = stage.submit(payer, Some(&price(CENTS_19, "EUR", payer)));
        assert_eq!(answer.status, status, "{payer}");
    }
    stage.delivered();
    stage.scene.wait_until_idle();
    assert_eq!(stage.scene.account("rival").balance_micro, 300_000);
    assert_eq!(
        stage.scene.account("advertiser").balance_micro,
        300_000 - CENTS_19
    );
}

#[test]
fn receiver_and_sender_pay_when_the_message_says_so() {
    let mut stage = Stage::new(online());
    stage.scene.make_account(PHONE, 300_000);
    stage.scene.make_account(SOURCE, 300_000);
    let balance = |stage: &Stage, name: &str| stage.scene.account(name).balance_micro;
    for (payer, balances) in [
        ("receiver", (110_000, 300_000)),
        ("sender", (110_000, 110_000)),
    ] {
        let answer = stage.submit(payer, Some(&price(CENTS_19, "EUR", payer)));
        assert_eq!(answer.status, 0);
        stage.delivered();
        assert_eq!(stage.stat(), "DELIVRD");
        wait_until("the debit", PATIENCE, || {
            (balance(&stage, PHONE), balance(&stage, SOURCE)) == balances
        });
    }
    // Neither has enough for another one: not delivered, not charged, and the sender hears of it.
    let answer = stage.submit("too dear", Some(&price(CENTS_19, "EUR", "receiver")));
    assert_eq!(answer.status, 0);
    let stat = stage.stat();
    assert!(["UNDELIV", "REJECTD"].contains(&stat.as_str()), "{stat}");
    assert_eq!(stage.scene.phone.unread("deliver_sm").len(), 0);
    let record = stage.scene.wait_for_records(3).remove(2);
    assert_eq!(SmsScene::price_of(&record), None);
    let account = stage.scene.account(PHONE);
    assert_eq!((account.balance_micro, account.held_micro), (110_000, 0));
}

#[test]
fn the_class_is_looked_up_when_the_message_comes() {
    let mut stage = Stage::new(online());
    stage.scene.make_account("advertiser", 1_000_000);
    stage.scene.set_classes(&[(7, 100_000)]);
    let tariff = class(7, "advertiser");
    for amount in [100_000, 250_000] {
        stage.scene.set_classes(&[(7, amount)]);
        assert_eq!(stage.submit("class 7", Some(&tariff)).status, 0);
        let delivered = stage.delivered();
        assert_eq!(
            delivered.tlv(SmsScene::TARIFF_TAG),
            Some(tariff.as_str()),
            "as it came"
        );
        assert_eq!(stage.stat(), "DELIVRD");
    }
    let records = stage.scene.wait_for_records(2);
    let prices: Vec<i64> = records
        .iter()
        .map(|record| record.number("amount_micro"))
        .collect();
    assert_eq!(prices, [100_000, 250_000]);
    for record in &records {
        assert_eq!(record.number("tariff_class"), 7);
    }
    wait_until("both debits", PATIENCE, || {
        stage.scene.account("advertiser").balance_micro == 650_000
    });
    // A class that nobody defined is refused, not guessed.
    let answer = stage.submit("class 8", Some(&class(8, "advertiser")));
    assert_eq!(answer.status, status::ESME_RINVOPTPARAMVAL);
}

#[test]
fn a_free_message_and_one_without_a_tariff() {
    let mut setup = online();
    setup.routes = route(
        "phones",
        "4917",
        "receivers = [\"phone\"]",
        "charging = \"online\"\ndefault_charge = { amount_micro = 50000, currency = \"EUR\", payer = \"receiver\" }\n",
    );
    let mut stage = Stage::new(setup);
    stage.scene.make_account(PHONE, 70_000);
    // Free by its own word: nobody is asked, so an account that does not exist is no obstacle.
    let free = price(0, "EUR", "nobody-at-all");
    assert_eq!(stage.submit("free", Some(&free)).status, 0);
    stage.delivered();
    assert_eq!(stage.scene.wait_for_records(1)[0].number("amount_micro"), 0);
    // No TLV: the route's default.
    assert_eq!(stage.submit("the default", None).status, 0);
    let delivered = stage.delivered();
    assert_eq!(
        delivered.tlv(SmsScene::TARIFF_TAG),
        None,
        "nothing is added by itself"
    );
    let record = stage.scene.wait_for_records(2).remove(1);
    assert_eq!(
        SmsScene::price_of(&record),
        Some((50_000, "EUR".to_owned()))
    );
    wait_until("the debit", PATIENCE, || {
        stage.scene.account(PHONE).balance_micro == 20_000
    });
}

#[test]
fn an_expired_message_leaves_a_record_with_its_cause_and_no_price() {
    let mut stage = Stage::new(online());
    stage.scene.make_account("advertiser", 1_000_000);
    stage.scene.phone.close(stage.phone);
    let mut fields = message(PHONE, "too late");
    fields["registered_delivery"] = json!(1);
    fields["validity_period"] = json!("000000000001000R");
    let tariff = price(CENTS_19, "EUR", "advertiser");
    let id = stage.scene.application.submit(
        stage.application,
        &fields,
        &[(SmsScene::TARIFF_TAG, &tariff)],
    );
    assert_eq!(stage.stat(), "EXPIRED");
    let record = stage.scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("message_id"), id);
    assert_eq!(record.text("state"), "EXPIRED");
    assert!(!record.text("cause").is_empty(), "{record:?}");
    assert_eq!(SmsScene::price_of(&record), None);
    let account = stage.scene.account("advertiser");
    assert_eq!((account.balance_micro, account.held_micro), (1_000_000, 0));
    // It does not come after all.
    let server = stage.scene.last_server();
    stage.phone = stage.scene.phone.must_bind(server, "transceiver", "phone");
    assert_eq!(stage.submit("in time", None).status, 0);
    assert_eq!(stage.delivered().short_message_text(), "in time");
}

#[test]
fn formats_of_other_operators_are_read_as_configured() {
    let esmes = esme("phone", "")
        + &esme(
            "ascii",
            "tariff_tag = 0x1403\ntariff_format = { format = \"ascii-price\", currency = \"EUR\", exponent = 2, payer = \"receiver\" }\n",
        )
        + &esme(
            "integer",
            "tariff_tag = 0x2157\ntariff_format = { format = \"integer-class\", width = 2, payer = \"sender\" }\n",
        )
        + &esme(
            "standard",
            "tariff_tag = 0x060b\ntariff_format = { format = \"billing-identification\", billing_format = 0x80 }\n",
        )
        + &esme("application", "on_bad_tariff = \"carry\"\n");
    let mut stage = Stage::new(Setup {
        esmes,
        ..Setup::default()
    });
    stage.scene.set_classes(&[(300, 70_000)]);
    let server = stage.scene.server();
    let native = direct_price(CENTS_19, "EUR");
    let identification = format!("80{native}");
    let cases = [
        ("ascii", 0x1403, "3235", 250_000, "receiver"), // "25": cents
        ("ascii", 0x1403, "313500", 150_000, "receiver"), // with a final NUL
        ("integer", 0x2157, "012c", 70_000, "sender"),
        (
            "standard",
            0x060b,
            identification.as_str(),
            CENTS_19,
            "receiver",
        ),
    ];
    for (number, (esme, tag, value, amount, payer)) in cases.into_iter().enumerate() {
        let link = stage
            .scene
            .application
            .must_bind(server, "transmitter", esme);
        stage
            .scene
            .application
            .submit(link, &message(PHONE, esme), &[(tag, value)]);
        assert_eq!(
            stage.delivered().tlv(tag),
            Some(value),
            "carried as it came"
        );
        let record = stage.scene.wait_for_records(number + 1).remove(number);
        assert_eq!(
            SmsScene::price_of(&record),
            Some((amount, "EUR".to_owned())),
            "{esme}"
        );
        assert_eq!(SmsScene::payer_of(&record), payer, "{esme}");
        stage.scene.application.unbind(link);
    }
    let link = stage
        .scene
        .application
        .must_bind(server, "transmitter", "ascii");
    let answer = stage.scene.application.request(
        link,
        "submit_sm",
        &message(PHONE, "how much?"),
        &[(0x1403, "6162")],
    );
    assert_eq!(answer.status, status::ESME_RINVOPTPARAMVAL);

    // The operator may also let an unreadable tariff pass, unpriced and counted.
    assert_eq!(stage.submit("carried", Some("7f00")).status, 0);
    assert_eq!(stage.delivered().tlv(SmsScene::TARIFF_TAG), Some("7f00"));
    let record = stage.scene.wait_for_records(5).remove(4);
    assert_eq!(SmsScene::price_of(&record), None);
}
