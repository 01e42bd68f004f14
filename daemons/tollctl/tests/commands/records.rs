use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use tollwire_cdr::{ChargeRecord, EndCause, Payment, Timestamp, to_json_line};

use crate::daemons::Daemons;

fn record(sequence_number: u64) -> ChargeRecord {
    ChargeRecord {
        sequence_number,
        record_id: format!("s;{sequence_number}"),
        service: "sip-call".into(),
        call_id: format!("c{sequence_number}"),
        from: "sip:a@x".into(),
        to: "sip:b@x".into(),
        caller_address: String::new(),
        callee_address: String::new(),
        invite_time: Timestamp(0),
        answer_time: Some(Timestamp(1000)),
        end_time: Timestamp(62_000),
        duration_ms: 61_000,
        charged_seconds: 120,
        octets_from_caller: 1,
        octets_to_caller: 2,
        account: "alice".into(),
        payment: Payment::Prepaid,
        tariff: "day".into(),
        currency: "EUR".into(),
        amount_micro: 120_000,
        end_cause: EndCause::CallerBye,
        origin_host: "h".into(),
    }
}

fn records(numbers: std::ops::RangeInclusive<u64>) -> Value {
    json!(numbers.map(record).collect::<Vec<_>>())
}

#[test]
fn the_newest_records_are_printed() {
    let daemons = Daemons::answering(&[("GET /records?limit=2", records(9..=10))]);
    let row = "1970-01-01 00:01:02+00:00  sip:a@x  sip:b@x   0:01:01  0:02:00  alice    day       0.12  EUR       caller-bye";
    assert_eq!(
        daemons.prints(&["records", "tail", "-n", "2"]),
        format!(
            "NUMBER  ENDED                      FROM     TO       DURATION  CHARGED  ACCOUNT  TARIFF  AMOUNT  CURRENCY  CAUSE       CALL-ID\n     \
             9  {row}  c9\n    10  {row}  c10\n"
        )
    );
    let lines: String = (9..=10)
        .map(|number| to_json_line(&record(number)).unwrap())
        .collect();
    assert_eq!(
        daemons.prints(&["records", "tail", "-n", "2", "--json"]),
        lines
    );
}

#[test]
fn records_are_found_by_account_call_and_time() {
    let daemons = Daemons::answering(&[]);
    let request = "GET /records?account=alice&call_id=a%40b%26c&from_unix_ms=1000&until_unix_ms=86400000&limit=1";
    daemons.answer(request, 200, records(3..=3));
    let outcome = daemons.run(&[
        "records",
        "find",
        "--account",
        "alice",
        "--call-id",
        "a@b&c",
        "--from",
        "1970-01-01T00:00:01Z",
        "--until",
        "1970-01-02",
        "--limit",
        "1",
    ]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("caller-bye"));
    assert!(outcome.err.contains("--limit shows more"), "{outcome:?}");
    daemons.asked();
    assert_eq!(daemons.run(&["records", "find", "--from", "soon"]).code, 2);
    assert_eq!(daemons.run(&["records", "find", "--limit", "0"]).code, 2);
    assert_eq!(daemons.asked(), []);
}

#[test]
fn following_prints_each_record_once_and_survives_a_restart() {
    let daemons = Daemons::answering(&[
        ("GET /records?limit=1", records(5..=5)),
        ("GET /records?limit=100", records(1..=5)),
    ]);
    let mut child = daemons
        .command(&["records", "tail", "-n", "0", "--follow", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut warnings = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = |count: usize| -> Vec<u64> {
        (0..count)
            .map(|_| {
                let line = lines.next().unwrap().unwrap();
                tollwire_cdr::from_json_line::<ChargeRecord>(&line)
                    .unwrap()
                    .sequence_number
            })
            .collect()
    };
    daemons.answer(
        "GET /records?limit=100",
        503,
        json!("the daemon is stopping"),
    );
    let warning = warnings.next().unwrap().unwrap();
    assert!(
        warning.contains("the daemon is stopping; waiting"),
        "{warning}"
    );
    daemons.answer("GET /records?limit=100", 200, records(4..=7));
    assert_eq!(numbers(2), [6, 7]);
    // More came at once than are asked for at first.
    daemons.answer("GET /records?limit=800", 200, records(1..=207));
    daemons.answer("GET /records?limit=100", 200, records(108..=207));
    assert!(numbers(200).into_iter().eq(8..=207));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let daemons = Daemons::answering(&[("GET /records?limit=1000", records(1..=1000))]);
    let mut child = daemons
        .command(&["records", "tail", "-n", "1000", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
