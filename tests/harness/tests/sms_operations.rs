//! The operations on stored messages, times, priorities, long and strange texts: smpplib at the real
//! daemon.

use std::process::Command;

use serde_json::{Value, json};
use tollwire_harness::media::unix_ms;
use tollwire_harness::process::run;
use tollwire_harness::sms::peer::{LinkNumber, Pdu};
use tollwire_harness::sms::scene::{PHONE, SOURCE, Setup, SmsScene, message, receipt_field};
use tollwire_harness::sms::wire::status;
use tollwire_harness::wait::{PATIENCE, wait_until};

/// `message_state` (SMPP 3.4 section 5.2.28).
mod state {
    pub const ENROUTE: u64 = 1;
    pub const DELIVERED: u64 = 2;
    pub const DELETED: u64 = 4;
    pub const SCHEDULED: u64 = 0;
}

const SAR_MSG_REF_NUM: u16 = 0x020c;
const SAR_TOTAL_SEGMENTS: u16 = 0x020e;
const SAR_SEGMENT_SEQNUM: u16 = 0x020f;
const MESSAGE_PAYLOAD: u16 = 0x0424;

struct Stage {
    scene: SmsScene,
    application: LinkNumber,
}

impl Stage {
    fn new() -> Self {
        let mut scene = SmsScene::new(Setup::default());
        let server = scene.server();
        let application = scene
            .application
            .must_bind(server, "transceiver", "application");
        Self { scene, application }
    }

    fn phone(&mut self) -> LinkNumber {
        let server = self.scene.server();
        self.scene.phone.must_bind(server, "transceiver", "phone")
    }

    fn submit(&mut self, fields: &Value) -> String {
        self.scene.application.submit(self.application, fields, &[])
    }

    fn ask(&mut self, command: &str, fields: &Value) -> Pdu {
        self.scene
            .application
            .request(self.application, command, fields, &[])
    }

    fn query(&mut self, id: &str) -> Pdu {
        let fields = json!({"message_id": id, "source_addr_ton": 1, "source_addr_npi": 1,
            "source_addr": SOURCE});
        let answer = self.ask("query_sm", &fields);
        assert_eq!(answer.status, status::ESME_ROK, "{answer:?}");
        assert_eq!(answer.text("message_id"), id);
        answer
    }
}

fn with(mut fields: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("fields") {
        fields[name] = value.clone();
    }
    fields
}

#[test]
fn stored_messages_are_queried_replaced_and_cancelled() {
    let mut stage = Stage::new();
    let kept = stage.submit(&message(PHONE, "first words"));
    let gone = stage.submit(&with(
        message(PHONE, "never to be read"),
        &json!({"registered_delivery": 1}),
    ));
    assert_eq!(stage.query(&kept).number("message_state"), state::ENROUTE);
    assert_eq!(stage.query(&kept).text("final_date"), "");

    let source = json!({"source_addr_ton": 1, "source_addr_npi": 1, "source_addr": SOURCE});
    let words = json!({"message_id": kept, "short_message": hex::encode("second thoughts")});
    let answer = stage.ask("replace_sm", &with(source.clone(), &words));
    assert_eq!(
        (answer.command.as_str(), answer.status),
        ("replace_sm_resp", 0)
    );
    let answer = stage.ask(
        "cancel_sm",
        &with(source.clone(), &json!({"message_id": gone})),
    );
    assert_eq!(
        (answer.command.as_str(), answer.status),
        ("cancel_sm_resp", 0)
    );
    assert_eq!(stage.query(&gone).number("message_state"), state::DELETED);
    let receipt = stage
        .scene
        .application
        .expect_pdu(stage.application, "deliver_sm");
    assert_eq!(
        receipt_field(&receipt.short_message_text(), "stat"),
        "DELETED"
    );

    let phone = stage.phone();
    let delivered = stage.scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.short_message_text(), "second thoughts");
    stage.scene.wait_for_records(2);
    assert_eq!(stage.scene.phone.unread("deliver_sm").len(), 0);
    let query = stage.query(&kept);
    assert_eq!(query.number("message_state"), state::DELIVERED);
    assert_eq!(query.text("final_date").len(), 16, "a time: {query:?}");

    // Too late, and never there.
    let refusals = [
        ("replace_sm", kept.as_str(), status::ESME_RREPLACEFAIL),
        ("cancel_sm", kept.as_str(), status::ESME_RCANCELFAIL),
        ("cancel_sm", gone.as_str(), status::ESME_RCANCELFAIL),
        ("replace_sm", "999999999", status::ESME_RREPLACEFAIL),
        ("cancel_sm", "999999999", status::ESME_RCANCELFAIL),
        ("query_sm", "999999999", status::ESME_RQUERYFAIL),
        ("query_sm", "no number", status::ESME_RQUERYFAIL),
    ];
    for (command, id, expected) in refusals {
        let answer = stage.ask(command, &with(source.clone(), &json!({"message_id": id})));
        assert_eq!(answer.command, format!("{command}_resp"));
        assert_eq!(answer.status, expected, "{command} of {id}");
    }
    // Another ESME sees nothing of it.
    let answer = stage.scene.phone.request(
        phone,
        "query_sm",
        &with(source, &json!({"message_id": kept})),
        &[],
    );
    assert_eq!(answer.status, status::ESME_RQUERYFAIL);
}

#[test]
fn cancel_without_an_id_takes_all_of_a_pair_of_addresses() {
    let mut stage = Stage::new();
    let ids: Vec<String> = ["a", "b"]
        .iter()
        .map(|text| stage.submit(&message(PHONE, text)))
        .collect();
    let other = stage.submit(&message("491799", "to somebody else"));
    let pair = json!({"message_id": "", "source_addr_ton": 1, "source_addr_npi": 1,
        "source_addr": SOURCE, "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": PHONE});
    assert_eq!(stage.ask("cancel_sm", &pair).status, status::ESME_ROK);
    for id in &ids {
        assert_eq!(stage.query(id).number("message_state"), state::DELETED);
    }
    assert_eq!(stage.query(&other).number("message_state"), state::ENROUTE);
    assert_eq!(
        stage.ask("cancel_sm", &pair).status,
        status::ESME_RCANCELFAIL,
        "nothing is left"
    );
}

#[test]
fn replace_if_present_leaves_one_message() {
    let mut stage = Stage::new();
    let weather = |text| {
        with(
            message(PHONE, text),
            &json!({"service_type": "CMT", "replace_if_present_flag": 1}),
        )
    };
    stage.submit(&weather("sun"));
    stage.submit(&weather("rain"));
    wait_until("one message to wait", PATIENCE, || {
        stage.scene.queued() == 1
    });
    let phone = stage.phone();
    let delivered = stage.scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.short_message_text(), "rain");
    stage.scene.wait_until_idle();
    assert_eq!(stage.scene.phone.unread("deliver_sm").len(), 0);
}

#[test]
fn urgent_messages_go_first_and_scheduled_ones_wait() {
    let mut stage = Stage::new();
    let later = with(
        message(PHONE, "in two seconds"),
        &json!({"schedule_delivery_time": "000000000002000R"}),
    );
    let asked = unix_ms();
    let scheduled = stage.submit(&later);
    let state = stage.query(&scheduled).number("message_state");
    assert!(
        [state::SCHEDULED, state::ENROUTE].contains(&state),
        "{state}"
    );
    stage.submit(&message(PHONE, "ordinary"));
    stage.submit(&with(
        message(PHONE, "urgent"),
        &json!({"priority_flag": 3}),
    ));
    let phone = stage.phone();
    let mut delivered = || {
        let pdu = stage.scene.phone.expect_pdu(phone, "deliver_sm");
        (pdu.short_message_text(), pdu.number("priority_flag"))
    };
    assert_eq!(delivered(), ("urgent".to_owned(), 3));
    assert_eq!(delivered(), ("ordinary".to_owned(), 0));
    assert_eq!(delivered().0, "in two seconds");
    assert!(unix_ms() - asked >= 2000, "not before its time");

    // The absolute form (section 7.1.1), two hours east of Greenwich, and what is no time.
    let absolute = with(
        message(PHONE, "tomorrow"),
        &json!({"schedule_delivery_time": tomorrow_east_of_greenwich()}),
    );
    stage.submit(&absolute);
    for (field, value, expected) in [
        (
            "schedule_delivery_time",
            "991332000000000+",
            status::ESME_RINVSCHED,
        ),
        // Later than a message may be kept.
        (
            "schedule_delivery_time",
            "000101000000000R",
            status::ESME_RINVSCHED,
        ),
        ("schedule_delivery_time", "soon", status::ESME_RINVSCHED),
        ("validity_period", "later", status::ESME_RINVEXPIRY),
        (
            "validity_period",
            "010101000000000+",
            status::ESME_RINVEXPIRY,
        ),
    ] {
        let fields = with(message(PHONE, "never"), &json!({field: value}));
        assert_eq!(stage.ask("submit_sm", &fields).status, expected, "{value}");
    }
}

#[test]
fn submit_multi_reaches_everyone_it_can() {
    let mut stage = Stage::new();
    let phone = stage.phone();
    let mut fields = with(
        message("", "to many"),
        &json!({"destinations": [[1, 1, "491711"], [1, 1, "499"], [1, 1, "491712"], "friends"],
            "registered_delivery": 1}),
    );
    let answer = stage.ask("submit_multi", &fields);
    assert_eq!(answer.command, "submit_multi_resp");
    assert_eq!(answer.status, status::ESME_ROK, "{answer:?}");
    let failed = answer.fields["unsuccess_sme"].as_array().expect("a list");
    let failed: Vec<(&str, u64)> = failed
        .iter()
        .map(|entry| {
            let address = entry[2].as_str().unwrap_or_default();
            (address, entry[3].as_u64().unwrap_or_default())
        })
        .collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed.contains(&("499", u64::from(status::ESME_RINVDSTADR))));
    let mut reached: Vec<String> = (0..2)
        .map(|_| {
            let pdu = stage.scene.phone.expect_pdu(phone, "deliver_sm");
            assert_eq!(pdu.short_message_text(), "to many");
            pdu.text("destination_addr").to_owned()
        })
        .collect();
    reached.sort();
    assert_eq!(reached, ["491711", "491712"]);
    for _ in 0..2 {
        let receipt = stage
            .scene
            .application
            .expect_pdu(stage.application, "deliver_sm");
        let text = receipt.short_message_text();
        assert_eq!(receipt_field(&text, "stat"), "DELIVRD");
        assert_eq!(receipt_field(&text, "id"), answer.text("message_id"));
    }
    fields["destinations"] = json!([]);
    let answer = stage.ask("submit_multi", &fields);
    assert_eq!(answer.status, status::ESME_RINVNUMDESTS);
}

#[test]
fn data_sm_carries_messages_too() {
    let mut stage = Stage::new();
    let phone = stage.phone();
    let payload = hex::encode([0x41_u8; 400]);
    let fields = json!({
        "source_addr_ton": 1, "source_addr_npi": 1, "source_addr": SOURCE,
        "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": PHONE,
        "registered_delivery": 1, "message_payload": payload,
    });
    let answer = stage.ask("data_sm", &fields);
    assert_eq!(
        (answer.command.as_str(), answer.status),
        ("data_sm_resp", 0)
    );
    let delivered = stage.scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.tlv(MESSAGE_PAYLOAD), Some(payload.as_str()));
    assert_eq!(delivered.number("sm_length"), 0);
    let receipt = stage
        .scene
        .application
        .expect_pdu(stage.application, "deliver_sm");
    assert_eq!(
        receipt.text_tlv(0x001e).as_deref(),
        Some(answer.text("message_id"))
    );
}

#[test]
fn texts_of_every_coding_and_length_arrive_octet_for_octet() {
    let mut stage = Stage::new();
    let phone = stage.phone();
    let address = message(PHONE, "");

    // smpplib splits: 200 letters of GSM 7-bit, 100 of UCS-2; each part says which with its UDH.
    for (text, coding) in [("x".repeat(200), 0), ("\u{416}".repeat(100), 8)] {
        let answers = stage
            .scene
            .application
            .submit_long(stage.application, &text, &address);
        assert!(answers.len() >= 2, "smpplib made one part of it");
        let mut whole = Vec::new();
        for number in 1..=answers.len() {
            let part = stage.scene.phone.expect_pdu(phone, "deliver_sm");
            assert_eq!(part.number("esm_class") & 0x40, 0x40, "UDHI");
            assert_eq!(part.number("data_coding"), coding);
            let octets = part.short_message();
            // 3GPP TS 23.040 9.2.3.24.1: length, IEI 0, length 3, reference, parts, number.
            assert_eq!(octets[..3], [5, 0, 3]);
            assert_eq!(usize::from(octets[4]), answers.len());
            assert_eq!(usize::from(octets[5]), number, "in order");
            whole.extend_from_slice(&octets[6..]);
        }
        let expected: Vec<u8> = match coding {
            8 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            _ => text.into_bytes(),
        };
        assert_eq!(whole, expected);
    }

    // The other two ways: SAR TLVs, and message_payload.
    for (number, text) in [(1, "61"), (2, "62")] {
        let mut part = address.clone();
        part["short_message"] = json!(text);
        let sar = [
            (SAR_MSG_REF_NUM, "0a0b"),
            (SAR_TOTAL_SEGMENTS, "02"),
            (SAR_SEGMENT_SEQNUM, if number == 1 { "01" } else { "02" }),
        ];
        stage
            .scene
            .application
            .submit(stage.application, &part, &sar);
        let delivered = stage.scene.phone.expect_pdu(phone, "deliver_sm");
        assert_eq!(delivered.text("short_message"), text);
        for (tag, value) in sar {
            assert_eq!(delivered.tlv(tag), Some(value));
        }
    }
    let long = hex::encode((0..=255).cycle().take(60_000).collect::<Vec<u8>>());
    let payload = [(MESSAGE_PAYLOAD, long.as_str())];
    let mut binary = address.clone();
    binary["data_coding"] = json!(4);
    stage
        .scene
        .application
        .submit(stage.application, &binary, &payload);
    let delivered = stage.scene.phone.expect_pdu(phone, "deliver_sm");
    assert_eq!(delivered.tlv(MESSAGE_PAYLOAD), Some(long.as_str()));

    // Every data_coding of table 5-12, with octets that are no text at all.
    for coding in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0a, 0x0d, 0x0e, 0xc8, 0xf5] {
        let octets = hex::encode([0x00, 0x1b, 0x80, 0xff, coding]);
        let mut fields = address.clone();
        fields["data_coding"] = json!(coding);
        fields["short_message"] = json!(octets);
        fields["protocol_id"] = json!(0x7f);
        stage.submit(&fields);
        let delivered = stage.scene.phone.expect_pdu(phone, "deliver_sm");
        assert_eq!(delivered.text("short_message"), octets);
        assert_eq!(delivered.number("data_coding"), u64::from(coding));
        assert_eq!(delivered.number("protocol_id"), 0x7f);
    }
}

#[test]
fn receipts_come_as_asked_for() {
    let mut stage = Stage::new();
    let phone = stage.phone();
    // registered_delivery (section 5.2.17): 2 is on failure only, 0x10 an intermediate notification.
    stage.submit(&with(
        message(PHONE, "only if it fails"),
        &json!({"registered_delivery": 2}),
    ));
    stage.scene.phone.expect_pdu(phone, "deliver_sm");
    stage.scene.wait_for_records(1);
    stage
        .scene
        .phone
        .answer_with("deliver_sm", json!([u64::from(status::ESME_RX_P_APPN)]));
    let refused = stage.submit(&with(
        message(PHONE, "this one does"),
        &json!({"registered_delivery": 2}),
    ));
    let receipt = stage
        .scene
        .application
        .expect_pdu(stage.application, "deliver_sm");
    let text = receipt.short_message_text();
    assert_eq!(receipt_field(&text, "id"), refused);
    assert!(
        ["UNDELIV", "REJECTD"].contains(&receipt_field(&text, "stat").as_str()),
        "{text}"
    );

    stage
        .scene
        .phone
        .answer_with("deliver_sm", json!([u64::from(status::ESME_RX_T_APPN)]));
    let id = stage.submit(&with(
        message(PHONE, "at the second try"),
        &json!({"registered_delivery": 0x11}),
    ));
    let intermediate = stage
        .scene
        .application
        .expect_pdu(stage.application, "deliver_sm");
    assert_eq!(
        intermediate.number("esm_class") & 0x3c,
        0x20,
        "an intermediate notification: {intermediate:?}"
    );
    let text = intermediate.short_message_text();
    assert_eq!(receipt_field(&text, "id"), id);
    assert_eq!(receipt_field(&text, "stat"), "ENROUTE");
    let last = stage
        .scene
        .application
        .expect_pdu(stage.application, "deliver_sm");
    assert_eq!(last.number("esm_class") & 0x3c, 4);
    assert_eq!(receipt_field(&last.short_message_text(), "stat"), "DELIVRD");
}

/// `schedule_delivery_time` a day from now, on a clock two hours (eight quarters) east of Greenwich.
fn tomorrow_east_of_greenwich() -> String {
    let seconds = unix_ms() / 1000 + 86_400 + 2 * 3600;
    let text =
        run(Command::new("date").args(["--utc", &format!("--date=@{seconds}"), "+%y%m%d%H%M%S"]));
    format!("{}008+", text.trim())
}
