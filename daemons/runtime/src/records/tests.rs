use std::path::PathBuf;

use super::*;
use tollwire_cdr::{ChargeRecord, EndCause, Payment, from_csv_line, from_json_line};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("records-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn settings(&self) -> Settings {
        Settings {
            directory: self.0.clone(),
            name: "chargingd".into(),
            max_bytes: 1_000_000,
            max_age_ms: 60_000,
            csv: true,
        }
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Every record in the JSON files, in order; the CSV files must say the same.
    fn records(&self) -> Vec<u64> {
        let read = |format: &str| -> Vec<String> {
            (self.files().iter())
                .filter(|name| name.contains(format))
                .flat_map(|name| {
                    let text = std::fs::read_to_string(self.0.join(name)).unwrap();
                    text.lines().map(str::to_owned).collect::<Vec<_>>()
                })
                .collect()
        };
        let json: Vec<ChargeRecord> = read(".jsonl")
            .iter()
            .map(|line| from_json_line::<ChargeRecord>(line).unwrap())
            .collect();
        let csv: Vec<ChargeRecord> = (read(".csv").iter())
            .filter(|line| *line != ChargeRecord::CSV_HEADER)
            .map(|line| from_csv_line::<ChargeRecord>(line).unwrap())
            .collect();
        assert_eq!(json, csv);
        json.iter().map(|record| record.sequence_number).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn record(sequence_number: u64) -> ChargeRecord {
    ChargeRecord {
        sequence_number,
        record_id: format!("session;{sequence_number}"),
        service: "sip-call".into(),
        call_id: "1".into(),
        from: "sip:a@example.org".into(),
        to: "sip:b@example.org".into(),
        caller_address: String::new(),
        callee_address: String::new(),
        invite_time: Timestamp(0),
        answer_time: None,
        end_time: Timestamp(0),
        duration_ms: 0,
        charged_seconds: 0,
        octets_from_caller: 0,
        octets_to_caller: 0,
        account: "a".into(),
        payment: Payment::Postpaid,
        tariff: String::new(),
        currency: "EUR".into(),
        amount_micro: 0,
        end_cause: EndCause::Unknown,
        origin_host: "h".into(),
    }
}

fn numbers(from: u64, to: u64) -> Vec<ChargeRecord> {
    (from..=to).map(record).collect()
}

#[test]
fn records_stand_in_the_open_file_and_closing_gives_it_its_name() {
    let folder = Folder::new("close");
    let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
    writer.append(&numbers(1, 3), 0).unwrap();
    writer.append(&numbers(4, 4), 10).unwrap();
    let stem = "chargingd-00000000000000000001";
    assert_eq!(
        folder.files(),
        [format!("{stem}.csv.open"), format!("{stem}.jsonl.open")]
    );
    writer.close(ClosureReason::ManualIntervention, 20).unwrap();
    assert_eq!(
        folder.files(),
        [
            format!("{stem}.csv"),
            format!("{stem}.jsonl"),
            format!("{stem}.manifest.json")
        ]
    );
    assert_eq!(folder.records(), [1, 2, 3, 4]);
    let manifest: Manifest = serde_json::from_slice(
        &std::fs::read(folder.0.join(format!("{stem}.manifest.json"))).unwrap(),
    )
    .unwrap();
    assert_eq!(
        manifest,
        Manifest {
            first_sequence_number: 1,
            last_sequence_number: 4,
            records: 4,
            opened: Timestamp(0),
            closed: Timestamp(20),
            reason: ClosureReason::ManualIntervention,
        }
    );
}

#[test]
fn files_are_closed_by_size_and_by_age() {
    let folder = Folder::new("rotate");
    let mut settings = folder.settings();
    settings.max_bytes = 1000;
    let mut writer = RecordWriter::<ChargeRecord>::open(settings, 0).unwrap();
    for number in 1..=10 {
        writer.append(&[record(number)], 0).unwrap();
    }
    writer.append(&[record(11)], 0).unwrap();
    let closed = folder
        .files()
        .iter()
        .filter(|name| name.ends_with(".jsonl"))
        .count();
    assert!(closed >= 3, "{:?}", folder.files());
    writer.rotate_if_due(59_999).unwrap();
    assert!(folder.files().iter().any(|name| name.ends_with(".open")));
    writer.rotate_if_due(60_000).unwrap();
    assert!(!folder.files().iter().any(|name| name.ends_with(".open")));
    assert!(folder.records().into_iter().eq(1..=11));
}

#[test]
fn what_is_on_disk_is_passed_over_and_a_gap_is_refused() {
    let folder = Folder::new("again");
    let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
    writer.append(&numbers(1, 5), 0).unwrap();
    writer.append(&numbers(3, 8), 0).unwrap();
    assert_eq!(
        writer.append(&numbers(10, 11), 0).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    assert!(folder.records().into_iter().eq(1..=8));
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
    let folder = Folder::new("torn");
    {
        let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
        writer.append(&numbers(1, 2), 0).unwrap();
    }
    let path = folder.0.join("chargingd-00000000000000000001.jsonl.open");
    let csv = folder.0.join("chargingd-00000000000000000001.csv.open");
    let whole = std::fs::read(&path).unwrap();
    let twin = std::fs::read(&csv).unwrap();
    let line = to_json_line(&record(3)).unwrap();
    for torn in 0..line.len() {
        std::fs::write(&path, [&whole, &line.as_bytes()[..torn]].concat()).unwrap();
        // The twin is written first: it may be ahead, torn or gone.
        std::fs::write(&csv, [&twin, &b"3,torn"[..torn.min(6)]].concat()).unwrap();
        if torn % 7 == 0 {
            std::fs::remove_file(&csv).unwrap();
        }
        let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
        assert_eq!(writer.last_sequence_number(), Some(2), "{torn}");
        writer.append(&[record(3)], 0).unwrap();
        assert_eq!(folder.records(), [1, 2, 3], "{torn}");
    }
}

#[test]
fn a_crash_while_closing_is_finished_at_the_next_start() {
    for step in 0..3 {
        let folder = Folder::new(&format!("closing-{step}"));
        {
            let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
            writer.append(&numbers(1, 2), 0).unwrap();
        }
        let names = Names::new(&folder.0, "chargingd", 1);
        for format in [Format::Csv, Format::Json].into_iter().take(step) {
            std::fs::rename(names.open(format), names.closed(format)).unwrap();
        }
        let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
        // What has its final name is whole and stays as it is.
        let csv = names.closed(Format::Csv);
        let closed = (step > 0).then(|| std::fs::read(&csv).unwrap());
        writer.append(&[record(3)], 0).unwrap();
        assert_eq!(folder.records(), [1, 2, 3], "{step}");
        writer.close(ClosureReason::ManualIntervention, 0).unwrap();
        assert_eq!(folder.records(), [1, 2, 3], "{step}");
        if let Some(closed) = closed {
            assert_eq!(closed, std::fs::read(&csv).unwrap());
        }
        assert!(
            !folder.files().iter().any(|name| name.ends_with(".open")),
            "{:?}",
            folder.files()
        );
    }
}

#[test]
fn the_last_number_is_learnt_from_closed_files() {
    let folder = Folder::new("learn");
    {
        let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
        writer.append(&numbers(1, 7), 0).unwrap();
        writer.close(ClosureReason::ManualIntervention, 0).unwrap();
    }
    let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
    assert_eq!(writer.last_sequence_number(), Some(7));
    writer.append(&numbers(6, 9), 0).unwrap();
    assert!(folder.records().into_iter().eq(1..=9));
}

#[test]
fn the_last_number_is_learnt_also_behind_a_file_that_was_only_begun() {
    let folder = Folder::new("begun");
    {
        let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
        writer.append(&numbers(1, 7), 0).unwrap();
        writer.close(ClosureReason::ManualIntervention, 0).unwrap();
    }
    let begun = Names::new(&folder.0, "chargingd", 8);
    std::fs::write(begun.open(Format::Json), "").unwrap();
    let mut writer = RecordWriter::<ChargeRecord>::open(folder.settings(), 0).unwrap();
    assert_eq!(writer.last_sequence_number(), Some(7));
    writer.append(&numbers(6, 9), 0).unwrap();
    assert!(folder.records().into_iter().eq(1..=9));
}
