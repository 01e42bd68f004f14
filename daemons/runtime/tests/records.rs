//! Charge records where processes are killed and disks fill up.
//!
//! The child that is killed is this test binary itself, run for [`the_child_that_is_killed`] alone.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tollwire_cdr::{
    ChargeRecord, EndCause, Payment, Record, Timestamp, from_csv_line, from_json_line,
};
use tollwire_runtime::records::{ClosureReason, RecordWriter, Settings};

/// Names the child's folder; without it the child's test has nothing to do.
const FOLDER: &str = "TOLLWIRE_TEST_RECORDS";
/// How often a child is killed.
const KILLS: u64 = 25;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("killed-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        name: "chargingd".into(),
        // Every few dozen records a file is closed: kills fall into that too.
        max_bytes: 16_000,
        max_age_ms: i64::MAX,
        csv: true,
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

/// The next number of a sequence that is the same in every run (splitmix64).
fn chance(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The sequence numbers in the files of one format, in the order of file names.
fn numbers(directory: &Path, format: &str) -> Vec<u64> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(&format!(".{format}")) || name.ends_with(&format!(".{format}.open"))
        })
        .collect();
    paths.sort();
    let mut numbers = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap();
        for line in text
            .lines()
            .filter(|line| *line != ChargeRecord::CSV_HEADER)
        {
            let read = match format {
                "csv" => from_csv_line::<ChargeRecord>(line).unwrap(),
                _ => from_json_line::<ChargeRecord>(line).unwrap(),
            };
            assert_eq!(read, record(read.sequence_number));
            numbers.push(read.sequence_number);
        }
    }
    numbers
}

/// Both formats hold 1 to some number, each once; that number.
fn whole(directory: &Path) -> u64 {
    let json = numbers(directory, "jsonl");
    let last = json.len() as u64;
    assert!(json.iter().copied().eq(1..=last), "{json:?}");
    assert_eq!(json, numbers(directory, "csv"));
    last
}

/// Appends until it is killed; a line on standard output for every acknowledged number. After a start it offers
/// a few records again, as a daemon does whose outbox was not emptied.
#[test]
fn the_child_that_is_killed() {
    let Some(directory) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut writer =
        RecordWriter::<ChargeRecord>::open(settings(Path::new(&directory)), 0).unwrap();
    let last = writer.last_sequence_number().unwrap_or(0);
    let mut next = last.saturating_sub(3).max(1);
    let mut sizes = last;
    loop {
        let count = 1 + chance(&mut sizes) % 12;
        let records: Vec<ChargeRecord> = (next..next + count).map(record).collect();
        writer.append(&records, 0).unwrap();
        next += count;
        println!("acknowledged {}", next - 1);
    }
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged_and_repeats_nothing() {
    let folder = Folder::new("kill");
    let mut luck = 1;
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_child_that_is_killed", "--nocapture"])
            .env(FOLDER, &folder.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut hear = |acknowledged: &mut u64| -> bool {
            let Some(Ok(line)) = lines.next() else {
                return false;
            };
            // The harness's own words may stand in front.
            if let Some((_, number)) = line.split_once("acknowledged ") {
                *acknowledged = number.parse().unwrap();
            }
            true
        };
        // Killed between two acknowledgements, or wherever the child is by then.
        for _ in 0..chance(&mut luck) % 40 {
            assert!(hear(&mut acknowledged), "the child ended by itself");
        }
        for _ in 0..chance(&mut luck) % 20_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        while hear(&mut acknowledged) {}
        child.wait().unwrap();

        // JSON decides also before a restart: what is acknowledged stands there whole.
        let writer = RecordWriter::<ChargeRecord>::open(settings(&folder.0), 0).unwrap();
        let last = whole(&folder.0);
        assert_eq!(writer.last_sequence_number().unwrap_or(0), last);
        assert!(
            last >= acknowledged,
            "kill {kill}: {last} of {acknowledged}"
        );
    }
    assert!(acknowledged > KILLS, "{acknowledged}");
    let mut writer = RecordWriter::<ChargeRecord>::open(settings(&folder.0), 0).unwrap();
    writer.close(ClosureReason::ManualIntervention, 0).unwrap();
    whole(&folder.0);
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            !name.ends_with(".open") && !name.ends_with(".new"),
            "{name}"
        );
    }
}

/// A file system of a few pages; root alone may make one.
struct SmallDisk(Folder);

impl SmallDisk {
    fn new(name: &str, kilobytes: u32) -> Self {
        let folder = Folder::new(name);
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(&folder.0)
            .status()
            .unwrap();
        assert!(status.success(), "mounting a tmpfs needs root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        &self.0.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// Takes all space but about `pages` pages.
fn fill(path: &Path, pages: u64) {
    let mut ballast = std::fs::File::create(path).unwrap();
    let page = [0; 4096];
    while std::io::Write::write_all(&mut ballast, &page).is_ok() {}
    let full = ballast.metadata().unwrap().len();
    ballast.set_len(full.saturating_sub(pages * 4096)).unwrap();
}

#[test]
fn a_full_disk_loses_nothing_acknowledged_and_recovers() {
    // Different amounts of room are left, so that space runs out in every step: CSV, JSON, a new file, its
    // manifest.
    for pages in 0..16 {
        for restart in [false, true] {
            let disk = SmallDisk::new(&format!("full-{pages}-{restart}"), 256);
            let records = disk.path().join("records");
            let ballast = disk.path().join("ballast");
            let mut writer = RecordWriter::<ChargeRecord>::open(settings(&records), 0).unwrap();
            let mut next = 1;
            for _ in 0..5 {
                writer.append(&[record(next), record(next + 1)], 0).unwrap();
                next += 2;
            }
            fill(&ballast, pages);
            let mut refused = None;
            for _ in 0..2000 {
                match writer.append(&[record(next), record(next + 1)], 0) {
                    Ok(()) => next += 2,
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                }
            }
            let refused = refused.expect("the disk is small");
            assert_eq!(refused.raw_os_error(), None, "the path is named: {refused}");
            assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull, "{refused}");
            // As long as it is full, the same call fails again, and nothing gets worse.
            for _ in 0..10 {
                let _ = writer.append(&[record(next), record(next + 1)], 0);
            }
            let json = numbers(&records, "jsonl");
            let stands = json.len() as u64;
            assert!(json.iter().copied().eq(1..=stands), "{pages}: {json:?}");
            assert!(stands >= next - 1, "{pages}: {stands} of {next}");

            std::fs::remove_file(&ballast).unwrap();
            if restart {
                writer = RecordWriter::<ChargeRecord>::open(settings(&records), 0).unwrap();
            }
            for _ in 0..5 {
                writer.append(&[record(next), record(next + 1)], 0).unwrap();
                next += 2;
            }
            writer.close(ClosureReason::ManualIntervention, 0).unwrap();
            assert_eq!(whole(&records), next - 1, "{pages} {restart}");
        }
    }
}
