use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;

use super::encoding::{self, Line};
use super::segment;
use super::{Report, Settings, Spool, SpoolError};
use crate::entry::{Carried, Cause, Done, Entry, Owed, Recovered, Settlement};
use crate::event::StoreFailure;
use crate::message::{
    Address, Batch, Charge, Kind, Message, MessageId, MessageState, Payer, Progress, Tlv,
};

const DEADLINE: Duration = Duration::from_secs(20);
const SEGMENT: u32 = 1 << 16;

fn id(number: u64) -> MessageId {
    MessageId::new(number).unwrap()
}

fn message(number: u64) -> Arc<Message> {
    let address = |digits: &str| Address {
        ton: 1,
        npi: 1,
        digits: digits.into(),
    };
    Arc::new(Message {
        id: id(number),
        batch: None,
        submitter: "shop".into(),
        kind: Kind::Short,
        service_type: "".into(),
        source: address("4711"),
        destination: address(&format!("49170{number:07}")),
        esm_class: 0,
        protocol_id: 0,
        priority_flag: 0,
        registered_delivery: 1,
        data_coding: 0,
        sm_default_msg_id: 0,
        payload: Bytes::from_static(b"a message of the usual length, with a tariff beside it"),
        payload_as_tlv: false,
        data_sm: false,
        tlvs: Vec::new(),
        advice: None,
        accepted_unix_ms: 1_700_000_000_000,
        schedule_unix_ms: None,
        expires_unix_ms: 1_700_086_400_000,
        segments: 1,
        charge: None,
    })
}

fn full(number: u64) -> Arc<Message> {
    let mut full = (*message(number)).clone();
    full.batch = Some(Batch {
        first: id(1),
        count: 3,
    });
    full.kind = Kind::Receipt { of: id(9) };
    full.service_type = "CMT".into();
    full.tlvs = vec![
        Tlv {
            tag: 0x1400,
            value: Bytes::from_static(b"\x00\xff"),
        },
        Tlv {
            tag: 0x0204,
            value: Bytes::new(),
        },
    ];
    full.advice = Some(Tlv {
        tag: 0x1500,
        value: Bytes::from_static(b"advice"),
    });
    full.schedule_unix_ms = Some(-1);
    full.charge = Some(Charge {
        amount_micro: i64::MAX,
        currency: *b"EUR",
        class: Some(7),
        payer: Payer::ThirdParty("Werbung GmbH & Söhne".into()),
    });
    Arc::new(full)
}

fn progress() -> Progress {
    Progress {
        attempts: 3,
        next_attempt_unix_ms: 1_700_000_060_000,
        last_status: 0x45,
        reservation: 2,
        next_hop: Some("north".into()),
        upstream_message_id: Some("0A1B".into()),
    }
}

fn done(number: u64) -> Done {
    Done {
        id: id(number),
        state: MessageState::Delivered,
        cause: Cause::Acknowledged,
        status: 0,
        at_unix_ms: 1_700_000_001_000,
        attempts: 1,
        next_hop: Some("phone".into()),
        upstream_message_id: None,
        record: false,
        settlement: None,
        receipt: None,
    }
}

fn owing(number: u64) -> Done {
    Done {
        record: true,
        settlement: Some(Settlement {
            reservation: 1,
            debit: true,
        }),
        receipt: Some(message(number + 1)),
        upstream_message_id: Some("x".into()),
        ..done(number)
    }
}

fn lines() -> Vec<Line> {
    vec![
        Line::Entry(Entry::Accepted(full(5))),
        Line::Entry(Entry::AcceptedTogether([message(1), full(2)].into())),
        Line::Entry(Entry::Progress {
            id: id(5),
            progress: progress(),
        }),
        Line::Entry(Entry::Replaced(full(5))),
        Line::Entry(Entry::Done(owing(5))),
        Line::Entry(Entry::Settled { id: id(5) }),
        Line::Entry(Entry::RecordsWritten {
            ids: [id(5), id(u64::MAX)].into(),
        }),
        Line::Carried(Carried::Unfinished(full(5), progress())),
        Line::Carried(Carried::Owed(Owed {
            message: full(5),
            done: owing(5),
            record_written: true,
            settled: false,
        })),
        Line::End,
    ]
}

fn encoded(line: &Line) -> Vec<u8> {
    let mut octets = Vec::new();
    match line {
        Line::Entry(entry) => encoding::write_entry(entry, &mut octets),
        Line::Carried(carried) => encoding::write_carried(carried, &mut octets),
        Line::End => encoding::write_end(&mut octets),
    }
    octets
}

#[test]
fn every_line_reads_as_it_was_written_and_no_part_of_it_does() {
    for line in lines() {
        let octets = encoded(&line);
        assert_eq!(encoding::read(&octets), Ok(line));
        for end in 0..octets.len() {
            assert!(encoding::read(&octets[..end]).is_err(), "cut at {end}");
        }
        let mut longer = octets;
        longer.push(0);
        assert!(encoding::read(&longer).is_err());
    }
}

#[test]
fn a_hundred_thousand_damaged_lines_are_read_or_refused() {
    let seeds: Vec<Vec<u8>> = lines().iter().map(encoded).collect();
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let mut octets = seeds[next(seeds.len())].clone();
        for _ in 0..=next(3) {
            let at = next(octets.len());
            octets[at] = [0, 1, 0x7f, 0x80, 0xff, next(256) as u8][next(6)];
        }
        match encoding::read(&octets) {
            // What was read says the same when it is written: nothing is guessed.
            Ok(line) => {
                read += 1;
                assert_eq!(encoding::read(&encoded(&line)), Ok(line));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        read > 1000 && refused > 1000,
        "{read} read, {refused} refused"
    );
}

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("spool-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn segments(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = std::fs::read_dir(&self.0)
            .unwrap()
            .filter_map(|entry| segment::number(entry.unwrap().file_name().to_str().unwrap()))
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Opened {
    spool: Spool,
    reports: Receiver<Report>,
    recovered: Recovered,
    sent: u64,
}

impl Opened {
    fn new(folder: &Path) -> Self {
        Self::try_new(folder).unwrap()
    }

    fn try_new(folder: &Path) -> Result<Self, SpoolError> {
        let (sender, reports) = channel();
        let settings = Settings {
            folder: folder.to_owned(),
            segment_octets: SEGMENT,
        };
        let (spool, recovered) = Spool::open(settings, move |report| {
            let _ = sender.send(report);
        })?;
        Ok(Self {
            spool,
            reports,
            recovered,
            sent: 0,
        })
    }

    fn store(&mut self, entries: Vec<Entry>) {
        self.sent += entries.len() as u64;
        self.spool.store(entries);
    }

    fn next(&self) -> Report {
        self.reports.recv_timeout(DEADLINE).unwrap()
    }

    /// Waits until all that was sent is stored.
    fn settle(&self) {
        loop {
            match self.next() {
                Report::Stored { up_to } if up_to == self.sent => return,
                Report::Stored { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn store_all(&mut self, entries: Vec<Entry>) {
        self.store(entries);
        self.settle();
    }
}

fn ids(recovered: &Recovered) -> Vec<u64> {
    recovered
        .unfinished
        .iter()
        .map(|(message, _)| message.id.number())
        .collect()
}

#[test]
fn what_is_stored_is_there_after_a_restart_with_all_that_happened_to_it() {
    let folder = Folder::new("restart");
    let mut first = Opened::new(&folder.0);
    assert_eq!(first.recovered.next_id, 1);
    first.store_all(vec![
        Entry::Accepted(full(5)),
        Entry::Accepted(message(6)),
        Entry::Accepted(message(7)),
        Entry::Progress {
            id: id(5),
            progress: progress(),
        },
        Entry::Done(owing(6)),
        Entry::Settled { id: id(6) },
        Entry::AcceptedTogether([message(8), message(9)].into()),
        Entry::Done(done(9)),
    ]);
    drop(first);
    let second = Opened::new(&folder.0);
    // The receipt of 6 is the message 7, again.
    assert_eq!(ids(&second.recovered), [5, 7, 8]);
    assert_eq!(second.recovered.unfinished[0], (full(5), progress()));
    assert_eq!(second.recovered.next_id, 10);
    let owed = &second.recovered.owed;
    assert_eq!(owed.len(), 1);
    assert!(owed[0].settled && !owed[0].record_written);
    assert_eq!(owed[0].message, message(6));
}

#[test]
fn one_process_at_a_time() {
    let folder = Folder::new("lock");
    let _first = Opened::new(&folder.0);
    assert!(matches!(
        Opened::try_new(&folder.0),
        Err(SpoolError::InUse { .. })
    ));
}

#[test]
fn a_torn_last_group_is_as_if_it_had_never_been() {
    let folder = Folder::new("torn");
    let mut spool = Opened::new(&folder.0);
    spool.store_all(vec![Entry::Accepted(message(1))]);
    let file = segment::path(&folder.0, 1);
    let before = std::fs::read(&file).unwrap();
    spool.store_all(vec![
        Entry::Accepted(message(2)),
        Entry::Accepted(message(3)),
    ]);
    drop(spool);
    let after = std::fs::read(&file).unwrap();
    let changed: Vec<usize> = (0..after.len())
        .filter(|at| before[*at] != after[*at])
        .collect();
    let (start, end) = (changed[0], changed[changed.len() - 1] + 1);
    for cut in (start..end).step_by(7) {
        let mut torn = after.clone();
        torn[cut..end].copy_from_slice(&before[cut..end]);
        let folder = Folder::new("torn-copy");
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(segment::path(&folder.0, 1), &torn).unwrap();
        let mut spool = Opened::new(&folder.0);
        let found = ids(&spool.recovered);
        assert!(found == [1] || found == [1, 2], "cut at {cut}: {found:?}");
        // It goes on, and what was torn does not come back.
        spool.store_all(vec![Entry::Accepted(message(9))]);
        drop(spool);
        let again = Opened::new(&folder.0);
        assert_eq!(ids(&again.recovered), [found, vec![9]].concat());
    }
}

#[test]
fn damage_before_the_last_group_is_refused_and_named() {
    let folder = Folder::new("damage");
    let mut spool = Opened::new(&folder.0);
    for number in 1..=3 {
        spool.store_all(vec![Entry::Accepted(message(number))]);
    }
    drop(spool);
    let file = segment::path(&folder.0, 1);
    let whole = std::fs::read(&file).unwrap();
    let used = whole.iter().rposition(|octet| *octet != 0).unwrap();
    let last_group = 32 + (used - 32) / 3 * 2;
    for at in (0..last_group).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&file, &damaged).unwrap();
        let found = Opened::try_new(&folder.0);
        match found {
            Err(SpoolError::Unreadable(error)) => {
                assert!(error.to_string().contains("damaged at octet"), "{error}");
            }
            Ok(opened) => {
                // Octets that nothing depends on: filling up to a multiple of 8, and the header's own.
                assert_eq!(ids(&opened.recovered), [1, 2, 3], "octet {at}");
                drop(opened);
                std::fs::remove_file(segment::path(&folder.0, 2)).unwrap();
            }
            Err(other) => panic!("octet {at}: {other}"),
        }
    }
}

#[test]
fn a_missing_segment_is_refused() {
    let folder = Folder::new("missing");
    for number in 1..=3 {
        let mut spool = Opened::new(&folder.0);
        spool.store_all(vec![Entry::Accepted(message(number))]);
    }
    std::fs::remove_file(segment::path(&folder.0, 2)).unwrap();
    assert!(matches!(
        Opened::try_new(&folder.0),
        Err(SpoolError::Missing { missing: 2, .. })
    ));
}

#[test]
fn space_follows_the_messages_that_are_not_over() {
    let folder = Folder::new("space");
    let mut spool = Opened::new(&folder.0);
    // One for next week among many that come and go.
    spool.store_all(vec![Entry::Accepted(message(1))]);
    let mut number = 2;
    for _ in 0..400 {
        let coming = (number..number + 20).map(|number| Entry::Accepted(message(number)));
        let going = (number..number + 20).map(|number| Entry::Done(done(number)));
        spool.store(coming.chain(going).collect());
        number += 20;
    }
    spool.settle();
    spool.store_all(vec![Entry::Accepted(message(number))]);
    let segments = folder.segments();
    assert!(segments.len() <= 6, "{segments:?}");
    assert!(segments[0] > 10, "{segments:?}");
    drop(spool);
    let again = Opened::new(&folder.0);
    assert_eq!(ids(&again.recovered), [1, number]);
    assert_eq!(again.recovered.next_id, number + 1);
}

#[test]
fn ids_are_not_used_again_when_nothing_is_left_of_them() {
    let folder = Folder::new("ids");
    let mut spool = Opened::new(&folder.0);
    for number in 1..=2000 {
        spool.store(vec![
            Entry::Accepted(message(number)),
            Entry::Done(done(number)),
        ]);
    }
    spool.settle();
    drop(spool);
    for _ in 0..3 {
        let again = Opened::new(&folder.0);
        assert_eq!(again.recovered.next_id, 2001);
        assert!(again.recovered.unfinished.is_empty());
    }
}

#[test]
fn a_folder_that_is_gone_is_reported_and_nothing_is_stored_before_that_was_heard() {
    let folder = Folder::new("gone");
    let mut spool = Opened::new(&folder.0);
    spool.store_all(vec![Entry::Accepted(message(1))]);
    let away = folder.0.with_extension("away");
    std::fs::rename(&folder.0, &away).unwrap();
    // More than the segment holds: the next cannot be made.
    let many = |from: u64| (from..from + 600).map(|number| Entry::Accepted(message(number)));
    spool.store(many(2).collect());
    let mut stored = 1;
    loop {
        match spool.next() {
            Report::Stored { up_to } => stored = up_to,
            Report::SpaceLow(low) => assert!(low),
            Report::Failed(failure) => {
                assert!(matches!(failure, StoreFailure::Full | StoreFailure::Broken));
                break;
            }
            Report::Ready => panic!("not yet heard"),
        }
    }
    assert!(stored > 1 && stored < 601, "{stored}");
    spool.store(many(1000).collect());
    std::fs::rename(&away, &folder.0).unwrap();
    spool.spool.failure_heard();
    while spool.next() != Report::Ready {}
    spool.store_all(vec![Entry::Accepted(message(5000))]);
    drop(spool);
    let again = Opened::new(&folder.0);
    let found = ids(&again.recovered);
    let expected: Vec<u64> = (1..=stored).chain([5000]).collect();
    assert_eq!(found, expected);
}
