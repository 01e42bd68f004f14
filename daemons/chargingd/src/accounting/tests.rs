//! The rules, over every database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tollwire_diameter::accounting::{AccountingRecordType, AccountingRequest};
use tollwire_diameter::{Avp, AvpFlags, Identity, Message, ResultCode, dictionary};
use tollwire_runtime::accounting::{Kind, SERVICE_CONTEXT, carrier, session_id};

use super::*;

const NOW: i64 = 1_700_000_000_000;
const WAIT: Duration = Duration::from_secs(30);

fn memory() -> Box<dyn Backend> {
    Box::new(Sqlite::open(std::path::Path::new(":memory:")).unwrap())
}

fn acr(session_id: &str, record_type: AccountingRecordType, number: u32) -> AccountingRequest {
    AccountingRequest {
        session_id: session_id.into(),
        origin_host: "Element.Example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        accounting_record_type: record_type,
        accounting_record_number: number,
        acct_application_id: Some(3),
        ..AccountingRequest::default()
    }
}

/// Record `sequence_number` of smscd's spool.
fn ours(sequence_number: u64, says: &str) -> AccountingRequest {
    let id = session_id("Element.Example", sequence_number);
    AccountingRequest {
        service_context_id: Some(SERVICE_CONTEXT.into()),
        service_specific_infos: vec![carrier(
            Kind::Message,
            format!("{{\"sequence_number\":{sequence_number},\"says\":\"{says}\"}}"),
        )],
        ..acr(&id, EventRecord, 0)
    }
}

fn arrival(request: &AccountingRequest) -> Arrival {
    Arrival::read(&request.encode(1, 2)).unwrap().0
}

/// A book over a database, as the thread has them.
struct Desk {
    book: Book,
    backend: Box<dyn Backend>,
}

impl Desk {
    fn new() -> Self {
        Self {
            book: Book::default(),
            backend: memory(),
        }
    }

    fn group(&mut self, arrivals: &[Arrival]) -> Vec<Verdict> {
        let mut changes = Vec::new();
        let verdicts = arrivals
            .iter()
            .map(|arrival| {
                let known = self.backend.known(&arrival.key, &arrival.digest).unwrap();
                (self.book).handle(NOW, arrival.clone(), &known, &mut changes)
            })
            .collect();
        self.backend.commit(&changes).unwrap();
        self.book.settled();
        verdicts
    }

    fn one(&mut self, request: &AccountingRequest) -> Verdict {
        self.group(&[arrival(request)])[0]
    }

    fn gaps(&mut self) -> Vec<(u64, u64)> {
        let views = self.backend.views().unwrap();
        views
            .iter()
            .flat_map(|view| view.gaps.iter().map(|gap| (gap.first, gap.last)))
            .collect()
    }

    fn sessions(&mut self) -> Vec<SessionView> {
        self.backend.sessions(&Query::default()).unwrap()
    }

    fn records(&mut self) -> Vec<RecordView> {
        self.backend.records(&Query::default()).unwrap()
    }
}

use AccountingRecordType::{EventRecord, InterimRecord, StartRecord, StopRecord};

#[test]
fn a_session_is_kept_from_start_to_stop() {
    let mut desk = Desk::new();
    for (record_type, number) in [
        (StartRecord, 0),
        (InterimRecord, 1),
        (InterimRecord, 2),
        (StopRecord, 3),
    ] {
        assert_eq!(desk.one(&acr("e;1;1", record_type, number)), Verdict::New);
    }
    let sessions = desk.sessions();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].state, "stopped");
    assert_eq!((sessions[0].records, sessions[0].missing), (4, 0));
    assert!(!sessions[0].without_start);
    let types: Vec<String> = desk
        .records()
        .into_iter()
        .map(|it| it.record_type)
        .collect();
    assert_eq!(types, ["stop", "interim", "interim", "start"]);
}

#[test]
fn a_repetition_is_kept_once_in_a_group_and_after_it() {
    let mut desk = Desk::new();
    let request = acr("e;1;1", EventRecord, 0);
    let verdicts = desk.group(&[arrival(&request), arrival(&request)]);
    assert_eq!(verdicts, [Verdict::New, Verdict::Duplicate]);
    // An agent on another way, another case of the name, the T flag: the same record.
    let mut again = AccountingRequest {
        origin_host: "eLEMENT.example".into(),
        route_records: vec!["relay.example".into()],
        ..request
    };
    assert_eq!(desk.one(&again), Verdict::Duplicate);
    assert_eq!(
        desk.book.counters().differing,
        1,
        "its name is written otherwise"
    );
    again.accounting_sub_session_id = Some(1);
    assert_eq!(desk.one(&again), Verdict::New, "another sub-session");
    again.accounting_record_type = StopRecord;
    assert_eq!(desk.one(&again), Verdict::New, "another type");
    assert_eq!(desk.records().len(), 3);
}

#[test]
fn what_has_no_beginning_is_kept_and_flagged() {
    let mut desk = Desk::new();
    assert_eq!(desk.one(&acr("e;1;1", StopRecord, 4)), Verdict::New);
    assert_eq!(desk.one(&acr("e;1;1", InterimRecord, 2)), Verdict::New);
    let faulty = Query {
        faulty: true,
        ..Query::default()
    };
    let found = desk.backend.sessions(&faulty).unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].without_start);
    assert_eq!(found[0].missing, 1, "number 3");
    // What was late makes it whole.
    for (record_type, number) in [(InterimRecord, 3), (StartRecord, 1)] {
        assert_eq!(desk.one(&acr("e;1;1", record_type, number)), Verdict::New);
    }
    assert_eq!(desk.backend.sessions(&faulty).unwrap(), []);
}

#[test]
fn gaps_in_a_spool_are_shown_until_they_are_filled() {
    let mut desk = Desk::new();
    for number in [3, 4, 9, 6] {
        assert_eq!(desk.one(&ours(number, "x")), Verdict::New);
    }
    assert_eq!(desk.gaps(), [(1, 2), (5, 5), (7, 8)]);
    let verdicts = desk.group(&[1, 2, 8, 5, 7].map(|number| arrival(&ours(number, "x"))));
    assert_eq!(verdicts, [Verdict::New; 5]);
    assert_eq!(desk.gaps(), []);
    let views = desk.backend.views().unwrap();
    assert_eq!(views[0].element, "element.example");
    assert_eq!((views[0].records, views[0].sequence_number), (9, 9));
    // A restart knows what the book knew.
    let again = Book::new(Limits::default(), desk.backend.elements().unwrap());
    assert_eq!(
        again.elements().collect::<Vec<_>>(),
        desk.book.elements().collect::<Vec<_>>()
    );
}

#[test]
fn another_record_under_a_used_number_is_not_lost() {
    let mut desk = Desk::new();
    assert_eq!(desk.one(&ours(1, "first")), Verdict::New);
    assert_eq!(desk.one(&ours(1, "first")), Verdict::Duplicate);
    // The element's spool was lost, and its numbers begin anew.
    assert_eq!(desk.one(&ours(1, "second")), Verdict::New);
    assert_eq!(desk.one(&ours(1, "second")), Verdict::Duplicate);
    assert_eq!(desk.one(&ours(1, "first")), Verdict::Duplicate);
    let faulty = Query {
        faulty: true,
        ..Query::default()
    };
    let found = desk.backend.records(&faulty).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].variant, 1);
    assert_eq!(desk.records().len(), 2);
    assert_eq!(desk.book.counters().reused, 1);
}

#[test]
fn a_record_of_a_session_spooled_twice_leaves_no_gap() {
    let mut desk = Desk::new();
    let spooled = |sequence_number: u64| AccountingRequest {
        service_context_id: Some(SERVICE_CONTEXT.into()),
        service_specific_infos: vec![carrier(
            Kind::Call,
            format!("{{\"sequence_number\":{sequence_number}}}"),
        )],
        ..acr("e;1;1;rf", StartRecord, 0)
    };
    assert_eq!(desk.one(&spooled(1)), Verdict::New);
    assert_eq!(desk.one(&spooled(2)), Verdict::Duplicate);
    assert_eq!(desk.gaps(), []);
    assert_eq!(desk.backend.views().unwrap()[0].sequence_number, 2);
}

#[test]
fn memory_is_bounded_and_what_closes_a_gap_is_still_welcome() {
    let limits = Limits {
        elements: 2,
        ranges: 2,
    };
    let mut desk = Desk::new();
    desk.book = Book::new(limits, HashMap::new());
    for number in [2, 5] {
        assert_eq!(desk.one(&ours(number, "x")), Verdict::New);
    }
    let refused = Verdict::Refused(ResultCode::OUT_OF_SPACE);
    assert_eq!(desk.one(&ours(9, "x")), refused);
    assert_eq!(desk.one(&ours(6, "x")), Verdict::New);
    assert_eq!(desk.one(&ours(3, "x")), Verdict::New);
    assert_eq!(desk.one(&ours(4, "x")), Verdict::New);
    assert_eq!(desk.one(&ours(9, "x")), Verdict::New);
    for (name, verdict) in [
        ("b", Verdict::New),
        ("c", Verdict::Refused(ResultCode::RESOURCES_EXCEEDED)),
    ] {
        let request = AccountingRequest {
            origin_host: name.into(),
            ..acr("s", EventRecord, 0)
        };
        assert_eq!(desk.one(&request), verdict);
    }
    assert_eq!(desk.book.counters().refused, 2);
}

#[test]
fn another_vendors_record_is_kept_whole() {
    let mut message = acr("e;1;1", EventRecord, 0).encode(1, 2);
    // Mandatory, unknown to any dictionary here, and inside Service-Information.
    let foreign = Avp {
        code: 99_999,
        vendor_id: Some(193),
        flags: AvpFlags::MANDATORY,
        data: Bytes::from_static(b"\x01\x02"),
    };
    message.avps.push(foreign.clone());
    message
        .avps
        .push(Avp::grouped(&dictionary::SERVICE_INFORMATION, &[foreign]));
    // Data that claims to be of a spool without saying so is not read as such.
    let (arrival, _) = Arrival::read(&message).unwrap();
    assert_eq!(arrival.sequence_number, None);
    let mut desk = Desk::new();
    assert_eq!(desk.group(&[arrival]), [Verdict::New]);
    let id = desk.records()[0].id;
    let detail = desk.backend.record(id).unwrap().unwrap();
    assert_eq!(detail.message, describe::hex(&message.encode()));
    let avps = detail.avps.to_string();
    assert!(
        avps.contains(r#"{"name":"AVP 99999 of vendor 193","value":"0x0102"}"#),
        "{avps}"
    );
    assert!(
        avps.contains(r#"{"name":"Accounting-Record-Type","value":1}"#),
        "{avps}"
    );
    assert_eq!(desk.backend.record(id + 1).unwrap(), None);
}

#[test]
fn a_record_without_a_name_is_refused_with_what_lacks() {
    for definition in [
        &dictionary::ACCOUNTING_RECORD_TYPE,
        &dictionary::ACCOUNTING_RECORD_NUMBER,
        &dictionary::SESSION_ID,
        &dictionary::ACCT_APPLICATION_ID,
    ] {
        let mut message = acr("e;1;1", EventRecord, 0).encode(1, 2);
        message.avps.retain(|avp| !avp.is(definition));
        let error = Arrival::read(&message).unwrap_err();
        assert_eq!(error.result_code(), ResultCode::MISSING_AVP);
        assert!(error.failed_avp().unwrap().is(definition));
    }
}

#[test]
fn an_answer_is_the_same_for_a_repetition_and_says_what_was_configured() {
    let told = Told {
        interim_seconds: 60,
        realtime: Some(tollwire_diameter::accounting::AccountingRealtimeRequired::GrantAndStore),
    };
    let identity = Identity {
        origin_host: "s.example".into(),
        origin_realm: "example".into(),
    };
    let request = acr("e;1;1", StartRecord, 0);
    let message = request.encode(1, 2);
    let one = told.answer(&identity, &message, &request, ResultCode::SUCCESS);
    let mut repeated = message.clone();
    repeated.flags = repeated
        .flags
        .with(tollwire_diameter::CommandFlags::RETRANSMITTED);
    assert_eq!(
        told.answer(&identity, &repeated, &request, ResultCode::SUCCESS),
        one
    );
    let read = tollwire_diameter::accounting::AccountingAnswer::decode(&one).unwrap();
    assert_eq!(read.acct_interim_interval, Some(60));
    assert_eq!(read.acct_application_id, Some(3));
    let full = told.answer(&identity, &message, &request, ResultCode::OUT_OF_SPACE);
    assert!(full.find(&dictionary::ACCT_INTERIM_INTERVAL).is_none());
    assert_eq!(full.result_code(), Some(ResultCode::OUT_OF_SPACE));
}

#[test]
fn old_records_are_forgotten_and_gaps_are_not() {
    let mut desk = Desk::new();
    for number in [1, 3] {
        desk.one(&ours(number, "x"));
    }
    desk.one(&acr("e;1;1", StartRecord, 0));
    assert!(!desk.backend.forget(NOW, 10).unwrap());
    assert_eq!(desk.records().len(), 3);
    assert!(desk.backend.forget(NOW + 1, 2).unwrap(), "one is left");
    assert!(!desk.backend.forget(NOW + 1, 2).unwrap());
    assert_eq!(desk.records(), []);
    assert_eq!(desk.sessions(), []);
    assert_eq!(desk.gaps(), [(2, 2)]);
}

/// Refuses every other commit, as a disk does that is now and then full.
struct Moody {
    inner: Box<dyn Backend>,
    commits: u32,
}

impl Backend for Moody {
    fn elements(&mut self) -> Result<HashMap<Box<str>, Element>, BackendError> {
        self.inner.elements()
    }

    fn known(&mut self, key: &Key, digest: &[u8; 16]) -> Result<Known, BackendError> {
        self.inner.known(key, digest)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        self.commits += 1;
        if self.commits % 2 == 1 {
            return Err(BackendError::Full("no space".into()));
        }
        self.inner.commit(changes)
    }

    fn forget(&mut self, before_unix_ms: i64, count: u32) -> Result<bool, BackendError> {
        self.inner.forget(before_unix_ms, count)
    }

    fn records(&mut self, query: &Query) -> Result<Vec<RecordView>, BackendError> {
        self.inner.records(query)
    }

    fn record(&mut self, id: i64) -> Result<Option<RecordDetail>, BackendError> {
        self.inner.record(id)
    }

    fn sessions(&mut self, query: &Query) -> Result<Vec<SessionView>, BackendError> {
        self.inner.sessions(query)
    }
}

struct Tell(mpsc::Sender<ResultCode>);

impl After for Tell {
    fn done(self, result_code: ResultCode) {
        let _ = self.0.send(result_code);
    }
}

#[test]
fn nothing_is_acknowledged_that_a_full_disk_did_not_take() {
    let folder = std::env::temp_dir().join(format!("accounting-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("moody.db");
    let inner = Box::new(Sqlite::open(&path).unwrap());
    let storage = Storage::start(
        Box::new(Moody { inner, commits: 0 }),
        Limits::default(),
        None,
    )
    .unwrap();
    let (sender, told) = mpsc::channel();
    let mut codes = Vec::new();
    for number in [1, 1, 2, 2, 2] {
        storage.submit(arrival(&ours(number, "x")), Tell(sender.clone()));
        codes.push(told.recv_timeout(WAIT).unwrap().0);
    }
    // The last one is a duplicate: nothing is written, and so nothing refused.
    assert_eq!(codes, [4002, 2001, 4002, 2001, 2001]);
    drop(storage);
    let mut reader = Sqlite::open_read_only(&path).unwrap();
    assert_eq!(reader.records(&Query::default()).unwrap().len(), 2);
    assert_eq!(reader.views().unwrap()[0].missing, 0);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[derive(Debug, Clone)]
struct Step {
    element: u8,
    session: u8,
    record_type: AccountingRecordType,
    number: u32,
    sequence_number: Option<u64>,
}

fn step() -> impl Strategy<Value = Step> {
    (
        0..2_u8,
        0..3_u8,
        proptest::sample::select(AccountingRecordType::ALL),
        0..3_u32,
        proptest::option::of(1..12_u64),
    )
        .prop_map(
            |(element, session, record_type, number, sequence_number)| Step {
                element,
                session,
                record_type,
                number,
                sequence_number,
            },
        )
}

impl Step {
    fn request(&self) -> AccountingRequest {
        let element = format!("e{}.example", self.element);
        let named = match self.sequence_number {
            // A whole record: named by its number alone.
            Some(number) if self.record_type == EventRecord => ours(number, "x"),
            sequence_number => AccountingRequest {
                service_context_id: sequence_number.map(|_| SERVICE_CONTEXT.into()),
                service_specific_infos: sequence_number
                    .map(|number| carrier(Kind::Call, format!("{{\"sequence_number\":{number}}}")))
                    .into_iter()
                    .collect(),
                ..acr(&format!("s{}", self.session), self.record_type, self.number)
            },
        };
        AccountingRequest {
            origin_host: element,
            ..named
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Sets of names and of numbers are the model, whatever comes in which groups, and whichever of them fail.
    #[test]
    fn every_record_is_kept_once_and_every_gap_known(
        groups in proptest::collection::vec((proptest::collection::vec(step(), 1..8), any::<bool>()), 1..12),
    ) {
        let mut desk = Desk::new();
        let mut names = BTreeSet::new();
        let mut numbers: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for (steps, fails) in groups {
            let arrivals: Vec<Arrival> = steps.iter().map(|step| arrival(&step.request())).collect();
            if fails {
                let mut changes = Vec::new();
                for arrival in arrivals {
                    let known = desk.backend.known(&arrival.key, &arrival.digest).unwrap();
                    desk.book.handle(NOW, arrival, &known, &mut changes);
                }
                desk.book.begin_again(desk.backend.elements().unwrap(), 0);
                continue;
            }
            let verdicts = desk.group(&arrivals);
            for (arrival, verdict) in arrivals.iter().zip(verdicts) {
                let is_new = names.insert(format!("{:?}", arrival.key));
                prop_assert_eq!(verdict == Verdict::New, is_new);
                if let Some(number) = arrival.sequence_number {
                    numbers.entry(arrival.key.element.to_string()).or_default().insert(number);
                }
            }
        }
        prop_assert_eq!(desk.records().len(), names.len());
        for view in desk.backend.views().unwrap() {
            let seen = numbers.remove(&view.element).unwrap_or_default();
            let highest = seen.last().copied().unwrap_or(0);
            prop_assert_eq!(view.sequence_number, highest);
            let lacking: Vec<u64> = (1..=highest).filter(|number| !seen.contains(number)).collect();
            let gaps: Vec<u64> = view.gaps.iter().flat_map(|gap| gap.first..=gap.last).collect();
            prop_assert_eq!(gaps, lacking);
        }
        prop_assert!(numbers.is_empty());
    }

    /// Whatever a peer sends, it is read or refused.
    #[test]
    fn any_avps_are_read_or_refused(
        codes in proptest::collection::vec((0..600_u32, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..12)), 0..12),
    ) {
        let mut message = acr("e;1;1", EventRecord, 0).encode(1, 2);
        for (code, mandatory, data) in codes {
            message.avps.push(Avp {
                code,
                vendor_id: None,
                flags: if mandatory { AvpFlags::MANDATORY } else { AvpFlags::NONE },
                data: data.into(),
            });
        }
        if Arrival::read(&message).is_ok() {
            let octets = message.encode();
            let shown = sqlite_detail(&message);
            prop_assert_eq!(shown.message, describe::hex(&octets));
        }
    }
}

fn sqlite_detail(message: &Message) -> RecordDetail {
    let mut desk = Desk::new();
    let (arrival, _) = Arrival::read(message).unwrap();
    desk.group(&[arrival]);
    let id = desk.records()[0].id;
    desk.backend.record(id).unwrap().unwrap()
}
