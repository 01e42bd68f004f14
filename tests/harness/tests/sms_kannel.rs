//! Kannel, as its users run it: messages by HTTP, receipts and incoming messages as HTTP requests.

use tollwire_harness::sms::kannel::{Kannel, Settings, escape, unescape};
use tollwire_harness::sms::scene::{PHONE, SOURCE, Setup, SmsScene, esme, message, route};
use tollwire_harness::sms::tariff::direct_price;

/// `dlr-mask`: delivered, not delivered, accepted by the SMSC (Kannel User Guide, "Delivery reports").
const EVERY_RECEIPT: &[u8] = b"31";

fn flow(transceiver: bool) {
    let mut scene = SmsScene::new(Setup {
        esmes: esme("kannel", "") + &esme("phone", ""),
        routes: route("phones", "4917", "receivers = [\"phone\"]", "")
            + &route("home", SOURCE, "receivers = [\"kannel\"]", ""),
        ..Setup::default()
    });
    let server = scene.server();
    let settings = Settings {
        server,
        system_id: "kannel",
        transceiver,
        tlvs: &[("tariff", SmsScene::TARIFF_TAG, 64)],
    };
    let phone = scene.phone.must_bind(server, "transceiver", "phone");
    let kannel = Kannel::start(scene.net.a(), &scene.scratch, &settings);

    // A message with a tariff that Kannel knows nothing of but its name.
    let tariff = direct_price(190_000, "EUR");
    let octets = hex::decode(&tariff).expect("hexadecimal");
    let meta = format!("?smpp?tariff={}", escape(&octets));
    let url = Kannel::receipt_url();
    let options: [(&str, &[u8]); 3] = [
        ("dlr-mask", EVERY_RECEIPT),
        ("dlr-url", url.as_bytes()),
        ("meta-data", meta.as_bytes()),
    ];
    kannel.send(SOURCE, PHONE, b"from Kannel", &options);
    let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.short_message_text(), "from Kannel");
    assert_eq!(delivered.tlv(SmsScene::TARIFF_TAG), Some(tariff.as_str()));
    let record = scene.wait_for_records(1).remove(0);
    assert_eq!(record.number("amount_micro"), 190_000);
    // State 8 is "accepted by the SMSC", 1 "delivered".
    kannel.expect("the acceptance", |callback| {
        callback.path == "receipt" && callback.text("state") == "8"
    });
    let receipt = kannel.expect("the receipt", |callback| {
        callback.path == "receipt" && callback.text("state") == "1"
    });
    assert_eq!(receipt.text("id"), record.text("message_id"));

    // 200 letters: Kannel splits, and each part is charged by itself.
    let long = "l".repeat(200);
    kannel.send(SOURCE, PHONE, long.as_bytes(), &[]);
    for _ in 0..2 {
        let part = scene.phone.expect_pdu(phone, "deliver_sm");
        assert_eq!(part.number("esm_class") & 0x40, 0x40);
    }
    // UCS-2, as Kannel's users write it.
    let words = "\u{416}\u{4e2d}";
    let utf8 = words.as_bytes();
    let coding: [(&str, &[u8]); 2] = [("coding", b"2"), ("charset", b"UTF-8")];
    kannel.send(SOURCE, PHONE, utf8, &coding);
    let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.number("data_coding"), 8);
    let expected: Vec<u8> = words.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(delivered.short_message(), expected);
    scene.wait_for_records(4);

    // The way back: a message to Kannel's number, with its TLV in the meta-data.
    let vendor = [(SmsScene::TARIFF_TAG, tariff.as_str())];
    scene
        .phone
        .submit(phone, &message("4900", "hello Kannel"), &vendor);
    let incoming = kannel.expect("a message", |callback| callback.path == "message");
    assert_eq!(incoming.text("text"), "hello Kannel");
    let meta = incoming.text("meta");
    let value = meta.split_once("tariff=").map(|(_, rest)| rest);
    let value = value.and_then(|rest| rest.split('&').next());
    assert_eq!(
        value.map(unescape).map(hex::encode),
        Some(tariff),
        "in {meta}"
    );
    kannel.stop();
}

#[test]
fn kannel_as_a_transceiver() {
    flow(true);
}

#[test]
fn kannel_as_a_transmitter_and_a_receiver() {
    flow(false);
}
