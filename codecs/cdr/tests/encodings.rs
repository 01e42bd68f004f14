//! Records as lines, both ways.

use proptest::prelude::*;
use tollwire_cdr::*;

fn sample() -> ChargeRecord {
    ChargeRecord {
        sequence_number: 42,
        record_id: "sipd.example.org;1;2".into(),
        service: "sip-call".into(),
        call_id: "a84b4c76e66710@pc33".into(),
        from: "sip:alice@example.org".into(),
        to: "sip:+15551234@example.org".into(),
        caller_address: "192.0.2.1:49170".into(),
        callee_address: "[2001:db8::2]:49172".into(),
        invite_time: Timestamp(1_700_000_000_000),
        answer_time: Some(Timestamp(1_700_000_002_500)),
        end_time: Timestamp(1_700_000_012_750),
        duration_ms: 10_250,
        charged_seconds: 11,
        octets_from_caller: 88_000,
        octets_to_caller: 87_828,
        account: "alice".into(),
        payment: Payment::Prepaid,
        tariff: "national".into(),
        currency: "EUR".into(),
        amount_micro: 110_000,
        end_cause: EndCause::CallerBye,
        origin_host: "sipd.example.org".into(),
    }
}

const JSON: &str = concat!(
    r#"{"sequence_number":42,"record_id":"sipd.example.org;1;2","service":"sip-call","call_id":"a84b4c76e66710@pc33","#,
    r#""from":"sip:alice@example.org","to":"sip:+15551234@example.org","caller_address":"192.0.2.1:49170","#,
    r#""callee_address":"[2001:db8::2]:49172","invite_time":"2023-11-14T22:13:20.000Z","#,
    r#""answer_time":"2023-11-14T22:13:22.500Z","end_time":"2023-11-14T22:13:32.750Z","duration_ms":10250,"#,
    r#""charged_seconds":11,"octets_from_caller":88000,"octets_to_caller":87828,"account":"alice","#,
    r#""payment":"prepaid","tariff":"national","currency":"EUR","amount_micro":110000,"end_cause":"caller-bye","#,
    r#""origin_host":"sipd.example.org"}"#,
    "\n"
);
const CSV: &str = "42,sipd.example.org;1;2,sip-call,a84b4c76e66710@pc33,sip:alice@example.org,\
sip:+15551234@example.org,192.0.2.1:49170,[2001:db8::2]:49172,2023-11-14T22:13:20.000Z,2023-11-14T22:13:22.500Z,\
2023-11-14T22:13:32.750Z,10250,11,88000,87828,alice,prepaid,national,EUR,110000,caller-bye,sipd.example.org\n";

#[test]
fn json_both_ways() {
    assert_eq!(to_json_line(&sample()).unwrap(), JSON);
    assert_eq!(from_json_line::<ChargeRecord>(JSON).unwrap(), sample());
}

#[test]
fn csv_both_ways() {
    assert_eq!(to_csv_line(&sample()).unwrap(), CSV);
    assert_eq!(from_csv_line::<ChargeRecord>(CSV).unwrap(), sample());
    let columns: Vec<&str> = ChargeRecord::CSV_HEADER.split(',').collect();
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(JSON).unwrap();
    assert_eq!(columns.len(), json.len());
    assert!(columns.iter().all(|column| json.contains_key(*column)));
    let order = columns
        .iter()
        .map(|column| JSON.find(&format!("\"{column}\":")).unwrap());
    assert!(order.collect::<Vec<_>>().is_sorted());
}

fn ticket() -> MessageRecord {
    MessageRecord {
        sequence_number: 7,
        record_id: "4711".into(),
        service: "short-message".into(),
        message_id: "4710".into(),
        source: "shop".into(),
        destination: "491701234567".into(),
        esme: "application".into(),
        next_hop: "phones".into(),
        upstream_message_id: "0A1B".into(),
        accepted_time: Timestamp(1_700_000_000_000),
        end_time: Timestamp(1_700_000_002_500),
        segments: 2,
        data_coding: 8,
        attempts: 3,
        state: "DELIVERED".into(),
        cause: "acknowledged".into(),
        status: 0,
        payer: Some("third-party".into()),
        account: Some("=advertiser".into()),
        tariff_class: Some(12),
        currency: Some("EUR".into()),
        amount_micro: Some(290_000),
        charging: "online".into(),
        origin_host: "smscd.example.org".into(),
    }
}

#[test]
fn a_toll_ticket_both_ways() {
    let mut free = ticket();
    (free.payer, free.account, free.tariff_class) = (None, None, None);
    (free.currency, free.amount_micro) = (None, None);
    let cases = [
        (
            ticket(),
            "7,4711,short-message,4710,shop,491701234567,application,phones,0A1B,2023-11-14T22:13:20.000Z,\
2023-11-14T22:13:22.500Z,2,8,3,DELIVERED,acknowledged,0,third-party,'=advertiser,12,EUR,290000,online,smscd.example.org\n",
        ),
        (
            free,
            "7,4711,short-message,4710,shop,491701234567,application,phones,0A1B,2023-11-14T22:13:20.000Z,\
2023-11-14T22:13:22.500Z,2,8,3,DELIVERED,acknowledged,0,,,,,,online,smscd.example.org\n",
        ),
    ];
    for (record, line) in cases {
        assert_eq!(to_csv_line(&record).unwrap(), line);
        assert_eq!(from_csv_line::<MessageRecord>(line).unwrap(), record);
        let json = to_json_line(&record).unwrap();
        assert_eq!(from_json_line::<MessageRecord>(&json).unwrap(), record);
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&json).unwrap();
        let columns: Vec<&str> = MessageRecord::CSV_HEADER.split(',').collect();
        assert_eq!(columns.len(), object.len());
        let order = columns
            .iter()
            .map(|column| json.find(&format!("\"{column}\":")).unwrap());
        assert!(order.collect::<Vec<_>>().is_sorted());
    }
}

#[test]
fn an_unanswered_call_has_no_answer_time() {
    let mut record = sample();
    record.answer_time = None;
    assert!(
        to_json_line(&record)
            .unwrap()
            .contains("\"answer_time\":null")
    );
    assert_eq!(
        from_csv_line::<ChargeRecord>(&to_csv_line(&record).unwrap()).unwrap(),
        record
    );
}

#[test]
fn a_name_that_looks_like_a_formula_is_defused_in_csv() {
    let mut record = sample();
    record.from = "=HYPERLINK(\"http://example.org\")".into();
    let line = to_csv_line(&record).unwrap();
    assert!(
        line.contains("\"'=HYPERLINK(\"\"http://example.org\"\")\""),
        "{line}"
    );
    assert_eq!(from_csv_line::<ChargeRecord>(&line).unwrap(), record);
}

#[test]
fn a_torn_or_foreign_line_is_no_record() {
    for end in 0..JSON.len() - 2 {
        assert!(from_json_line::<ChargeRecord>(&JSON[..end]).is_err());
    }
    assert!(from_csv_line::<ChargeRecord>("").is_err());
    assert!(from_csv_line::<ChargeRecord>("1,2,3\n").is_err());
    assert!(from_csv_line::<ChargeRecord>(&CSV.repeat(2)).is_err());
    assert!(from_json_line::<ChargeRecord>(&JSON.replace("call_id", "caller")).is_err());
}

#[test]
fn every_cause_has_one_name() {
    for (cause, name) in EndCause::NAMES {
        assert_eq!(cause.name(), name);
        assert_eq!(EndCause::from_name(name), cause);
        assert_eq!(
            serde_json::to_string(&cause).unwrap(),
            format!("\"{name}\"")
        );
    }
    assert_eq!(EndCause::from_name("no such cause"), EndCause::Unknown);
}

proptest! {
    #[test]
    fn any_text_survives_both_encodings(text in "\\PC*", other in ".*", number: u64, amount: i64) {
        let mut record = sample();
        record.from = text;
        record.call_id = other;
        record.sequence_number = number;
        record.amount_micro = amount;
        let json = to_json_line(&record).unwrap();
        prop_assert_eq!(json.matches('\n').count(), 1);
        prop_assert_eq!(from_json_line::<ChargeRecord>(&json).unwrap(), record.clone());
        prop_assert_eq!(from_csv_line::<ChargeRecord>(&to_csv_line(&record).unwrap()).unwrap(), record);
    }
}

#[test]
fn moments_of_calls_both_ways() {
    let start = CallRecord {
        sequence_number: 7,
        record_id: "records.sipd.example;1;2;rf;0".into(),
        service: "sip-call".into(),
        session_id: "records.sipd.example;1;2;rf".into(),
        record_type: "start".into(),
        number: 0,
        event_time: Timestamp(1_700_000_002_500),
        call_id: "=a84b4c76e66710@pc33".into(),
        from: "sip:alice@example.org".into(),
        to: "sip:+15551234@example.org".into(),
        identity: "sip:alice@example.org".into(),
        caller_address: "192.0.2.1".into(),
        callee_address: "2001:db8::2".into(),
        invite_time: Timestamp(1_700_000_000_000),
        answer_time: Some(Timestamp(1_700_000_002_500)),
        duration_ms: 0,
        octets_from_caller: 0,
        octets_to_caller: 0,
        end_cause: None,
        origin_host: "records.sipd.example".into(),
    };
    let event = CallRecord {
        record_type: "event".into(),
        answer_time: None,
        end_cause: Some("rejected".into()),
        ..start.clone()
    };
    for record in [start, event] {
        let json = to_json_line(&record).unwrap();
        assert_eq!(from_json_line::<CallRecord>(&json).unwrap(), record);
        let csv = to_csv_line(&record).unwrap();
        assert!(csv.contains(",'=a84b4c76e66710@pc33,"), "{csv}");
        assert_eq!(from_csv_line::<CallRecord>(&csv).unwrap(), record);
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
        let columns: Vec<&str> = CallRecord::CSV_HEADER.split(',').collect();
        assert_eq!(columns.len(), json.len());
        assert!(columns.iter().all(|column| json.contains_key(*column)));
    }
}
