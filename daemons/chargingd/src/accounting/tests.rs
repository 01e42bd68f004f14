//! The rules, over every database.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use tollwire_diameter::accounting::{AccountingRecordType, AccountingRequest};
use tollwire_diameter::{Avp, AvpFlags, Identity, ResultCode, dictionary};
use tollwire_runtime::accounting::{Kind, SERVICE_CONTEXT, carrier, session_id};

use super::*;
use crate::store::{Cause, Place, Queries, Row, Server, Value};

#[path = "../../tests/support/postgres.rs"]
#[allow(dead_code)]
mod postgres;

const NOW: i64 = 1_700_000_000_000;
const WAIT: Duration = Duration::from_secs(30);

/// Databases with nothing in them, as many as are asked for.
struct Databases<'a> {
    server: Option<&'a str>,
    made: Cell<u32>,
}

impl Databases<'_> {
    fn desk(&self) -> Desk {
        self.made.set(self.made.get() + 1);
        let place = match self.server {
            None => Place::File(":memory:".into()),
            Some(url) => on_server(url, &format!("part{}", self.made.get()), "a.test"),
        };
        Desk::over(&place)
    }
}

fn on_server(url: &str, schema: &str, origin_host: &str) -> Place {
    Place::Server(Box::new(Server {
        url: url.parse().unwrap(),
        password_file: None,
        tls_ca_file: None,
        takeover: Duration::from_secs(10),
        origin_host: origin_host.into(),
        schema: Some(schema.into()),
        division: Default::default(),
    }))
}

/// What every storage must do, whichever its database is.
const SUITE: &[fn(&Databases<'_>)] = &[
    a_session_is_kept_from_start_to_stop,
    a_repetition_is_kept_once_in_a_group_and_after_it,
    what_has_no_beginning_is_kept_and_flagged,
    gaps_in_a_spool_are_shown_until_they_are_filled,
    another_record_under_a_used_number_is_not_lost,
    a_record_of_a_session_spooled_twice_leaves_no_gap,
    memory_is_bounded_and_what_closes_a_gap_is_still_welcome,
    another_vendors_record_is_kept_whole,
    old_records_are_forgotten_and_gaps_are_not,
    odd_texts_are_kept,
    every_question_is_understood,
    every_record_is_kept_once_and_every_gap_known,
    any_avps_are_read_or_refused,
];

fn suite(server: Option<&str>) {
    let databases = Databases {
        server,
        made: Cell::new(0),
    };
    for check in SUITE {
        check(&databases);
    }
}

#[test]
fn sqlite_does_what_every_storage_must() {
    suite(None);
}

#[test]
fn postgresql_does_what_every_storage_must() {
    let server = postgres::Server::start("accounting");
    suite(Some(&server.database("accounting")));
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
    fn over(place: &Place) -> Self {
        let mut backend = open(place).unwrap();
        let elements = backend.elements().unwrap();
        Self {
            book: Book::new(Limits::default(), elements),
            backend,
        }
    }

    /// What is known of them, and what they change.
    fn judge(&mut self, arrivals: &[Arrival]) -> (Vec<Verdict>, Vec<Change>) {
        let names: Vec<_> = (arrivals.iter())
            .map(|arrival| (&arrival.key, &arrival.digest))
            .collect();
        let look = self.backend.look(&names).unwrap();
        self.book.learn(look.elements);
        let mut changes = Vec::new();
        let verdicts = (arrivals.iter().zip(&look.known))
            .map(|(arrival, known)| (self.book).handle(NOW, arrival.clone(), known, &mut changes))
            .collect();
        (verdicts, changes)
    }

    fn group(&mut self, arrivals: &[Arrival]) -> Vec<Verdict> {
        let (verdicts, changes) = self.judge(arrivals);
        self.backend.commit(&changes).unwrap();
        self.book.settled();
        verdicts
    }

    fn one(&mut self, request: &AccountingRequest) -> Verdict {
        self.group(&[arrival(request)])[0]
    }

    fn gaps(&mut self) -> Vec<(u64, u64)> {
        let views = self.views();
        views
            .iter()
            .flat_map(|view| view.gaps.iter().map(|gap| (gap.first, gap.last)))
            .collect()
    }

    fn sessions(&mut self) -> Vec<SessionView> {
        self.sessions_of(&Query::default())
    }

    fn sessions_of(&mut self, query: &Query) -> Vec<SessionView> {
        sessions(&mut *self.backend, query).unwrap()
    }

    fn records_of(&mut self, query: &Query) -> Vec<RecordView> {
        records(&mut *self.backend, query).unwrap()
    }

    fn detail(&mut self, id: i64) -> Option<RecordDetail> {
        record(&mut *self.backend, id).unwrap()
    }

    fn views(&mut self) -> Vec<ElementView> {
        views(&mut *self.backend).unwrap()
    }

    fn records(&mut self) -> Vec<RecordView> {
        self.records_of(&Query::default())
    }
}

use AccountingRecordType::{EventRecord, InterimRecord, StartRecord, StopRecord};

fn a_session_is_kept_from_start_to_stop(databases: &Databases<'_>) {
    let mut desk = databases.desk();
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

fn a_repetition_is_kept_once_in_a_group_and_after_it(databases: &Databases<'_>) {
    let mut desk = databases.desk();
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

fn what_has_no_beginning_is_kept_and_flagged(databases: &Databases<'_>) {
    let mut desk = databases.desk();
    assert_eq!(desk.one(&acr("e;1;1", StopRecord, 4)), Verdict::New);
    assert_eq!(desk.one(&acr("e;1;1", InterimRecord, 2)), Verdict::New);
    let faulty = Query {
        faulty: true,
        ..Query::default()
    };
    let found = desk.sessions_of(&faulty);
    assert_eq!(found.len(), 1);
    assert!(found[0].without_start);
    assert_eq!(found[0].missing, 1, "number 3");
    // What was late makes it whole.
    for (record_type, number) in [(InterimRecord, 3), (StartRecord, 1)] {
        assert_eq!(desk.one(&acr("e;1;1", record_type, number)), Verdict::New);
    }
    assert_eq!(desk.sessions_of(&faulty), []);
}

fn gaps_in_a_spool_are_shown_until_they_are_filled(databases: &Databases<'_>) {
    let mut desk = databases.desk();
    for number in [3, 4, 9, 6] {
        assert_eq!(desk.one(&ours(number, "x")), Verdict::New);
    }
    assert_eq!(desk.gaps(), [(1, 2), (5, 5), (7, 8)]);
    let verdicts = desk.group(&[1, 2, 8, 5, 7].map(|number| arrival(&ours(number, "x"))));
    assert_eq!(verdicts, [Verdict::New; 5]);
    assert_eq!(desk.gaps(), []);
    let views = desk.views();
    assert_eq!(views[0].element, "element.example");
    assert_eq!((views[0].records, views[0].sequence_number), (9, 9));
    // A restart knows what the book knew.
    let again = Book::new(Limits::default(), desk.backend.elements().unwrap());
    assert_eq!(
        again.elements().collect::<Vec<_>>(),
        desk.book.elements().collect::<Vec<_>>()
    );
}

fn another_record_under_a_used_number_is_not_lost(databases: &Databases<'_>) {
    let mut desk = databases.desk();
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
    let found = desk.records_of(&faulty);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].variant, 1);
    assert_eq!(desk.records().len(), 2);
    assert_eq!(desk.book.counters().reused, 1);
}

fn a_record_of_a_session_spooled_twice_leaves_no_gap(databases: &Databases<'_>) {
    let mut desk = databases.desk();
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
    assert_eq!(desk.views()[0].sequence_number, 2);
}

fn memory_is_bounded_and_what_closes_a_gap_is_still_welcome(databases: &Databases<'_>) {
    let limits = Limits {
        elements: 2,
        ranges: 2,
    };
    let mut desk = databases.desk();
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

fn another_vendors_record_is_kept_whole(databases: &Databases<'_>) {
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
    let mut desk = databases.desk();
    assert_eq!(desk.group(&[arrival]), [Verdict::New]);
    let id = desk.records()[0].id;
    let detail = desk.detail(id).unwrap();
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
    assert_eq!(desk.detail(id + 1), None);
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

fn old_records_are_forgotten_and_gaps_are_not(databases: &Databases<'_>) {
    let mut desk = databases.desk();
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

impl Queries for Moody {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        self.inner.query(sql, parameters, each)
    }
}

impl Backend for Moody {
    fn elements(&mut self) -> Result<HashMap<Box<str>, Element>, BackendError> {
        self.inner.elements()
    }

    fn look(&mut self, names: &[(&Key, &[u8; 16])]) -> Result<Look, BackendError> {
        self.inner.look(names)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        self.commits += 1;
        if !changes.is_empty() && self.commits % 2 == 1 {
            return Err(BackendError::Full("no space".into()));
        }
        self.inner.commit(changes)
    }

    fn forget(&mut self, before_unix_ms: i64, count: u32) -> Result<bool, BackendError> {
        self.inner.forget(before_unix_ms, count)
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
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
    let place = Place::File(path);
    let inner = open(&place).unwrap();
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
    let kept = place.ask(|store| records(store, &Query::default()));
    assert_eq!(kept.unwrap().len(), 2);
    assert_eq!(place.ask(views).unwrap()[0].missing, 0);
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

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Sets of names and of numbers are the model, whatever comes in which groups, and whichever of them fail.
fn every_record_is_kept_once_and_every_gap_known(databases: &Databases<'_>) {
    let groups = (proptest::collection::vec(step(), 1..8), any::<bool>());
    proptest!(cases(), |(groups in proptest::collection::vec(groups, 1..12))| {
        let mut desk = databases.desk();
        let mut names = BTreeSet::new();
        let mut numbers: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for (steps, fails) in groups {
            let arrivals: Vec<Arrival> = steps.iter().map(|step| arrival(&step.request())).collect();
            if fails {
                desk.judge(&arrivals);
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
        for view in desk.views() {
            let seen = numbers.remove(&view.element).unwrap_or_default();
            let highest = seen.last().copied().unwrap_or(0);
            prop_assert_eq!(view.sequence_number, highest);
            let lacking: Vec<u64> = (1..=highest).filter(|number| !seen.contains(number)).collect();
            let gaps: Vec<u64> = view.gaps.iter().flat_map(|gap| gap.first..=gap.last).collect();
            prop_assert_eq!(gaps, lacking);
        }
        prop_assert!(numbers.is_empty());
    });
}

/// Whatever a peer sends, it is read or refused.
fn any_avps_are_read_or_refused(databases: &Databases<'_>) {
    let codes = (
        0..600_u32,
        any::<bool>(),
        proptest::collection::vec(any::<u8>(), 0..12),
    );
    proptest!(cases(), |(codes in proptest::collection::vec(codes, 0..12))| {
        let mut desk = databases.desk();
        let mut message = acr("e;1;1", EventRecord, 0).encode(1, 2);
        for (code, mandatory, data) in codes {
            message.avps.push(Avp {
                code,
                vendor_id: None,
                flags: if mandatory { AvpFlags::MANDATORY } else { AvpFlags::NONE },
                data: data.into(),
            });
        }
        if let Ok((arrival, _)) = Arrival::read(&message)
            && desk.group(&[arrival]) == [Verdict::New]
        {
            let octets = message.encode();
            let id = desk.records()[0].id;
            prop_assert_eq!(desk.detail(id).unwrap().message, describe::hex(&octets));
        }
    });
}

fn odd_texts_are_kept(databases: &Databases<'_>) {
    let mut desk = databases.desk();
    let odd = [
        "a'; DROP TABLE record; --",
        "{1,2}\"\\",
        "nul \0",
        "\u{10ffff} NULL",
    ];
    for (number, text) in (0..).zip(odd) {
        let request = AccountingRequest {
            user_name: Some(text.into()),
            ..acr("e;1;1", InterimRecord, number)
        };
        assert_eq!(desk.one(&request), Verdict::New);
        assert_eq!(desk.one(&request), Verdict::Duplicate);
    }
    let names: Vec<String> = (desk.records().into_iter().rev())
        .filter_map(|record| record.user_name)
        .collect();
    assert_eq!(names.len(), odd.len());
    assert_eq!((&*names[0], &*names[3]), (odd[0], odd[3]));
}

fn every_question_is_understood(databases: &Databases<'_>) {
    let mut desk = databases.desk();
    for number in 1..=3 {
        desk.one(&ours(number, "x"));
    }
    desk.one(&acr("e;1;1", StartRecord, 0));
    let found = desk.records_of(&Query {
        element: Some("ELEMENT.example".into()),
        session_id: Some(session_id("Element.Example", 2)),
        sequence_number: Some(2),
        from_unix_ms: Some(NOW),
        until_unix_ms: Some(NOW + 1),
        faulty: false,
        limit: Some(1),
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].sequence_number, Some(2));
    let sessions = desk.sessions_of(&Query {
        element: Some("element.example".into()),
        session_id: Some("e;1;1".into()),
        from_unix_ms: Some(NOW),
        until_unix_ms: Some(NOW + 1),
        limit: Some(1),
        ..Query::default()
    });
    assert_eq!(sessions.len(), 1);
}

/// Two instances on one database: whoever gets a record first, it is one, and both know what lacks.
#[test]
fn of_two_that_keep_records_at_once_each_knows_what_the_other_has_kept() {
    let server = postgres::Server::start("accounting-two");
    let url = server.database("two");
    let mut one = Desk::over(&on_server(&url, SCHEMA, "a.test"));
    let mut other = Desk::over(&on_server(&url, SCHEMA, "b.test"));
    assert_eq!(one.one(&ours(1, "x")), Verdict::New);
    assert_eq!(other.one(&ours(1, "x")), Verdict::Duplicate);
    assert_eq!(other.one(&ours(3, "x")), Verdict::New);
    assert_eq!(one.gaps(), [(2, 2)]);
    assert_eq!(one.one(&ours(2, "x")), Verdict::New);
    // A number that the other one saw is another record's.
    assert_eq!(one.one(&ours(3, "y")), Verdict::New);
    assert_eq!(one.book.counters().reused, 1);
    assert_eq!(other.gaps(), []);
    // A session goes on at the other one.
    assert_eq!(one.one(&acr("e;1;1", StartRecord, 0)), Verdict::New);
    assert_eq!(other.one(&acr("e;1;1", InterimRecord, 1)), Verdict::New);
    assert_eq!(one.one(&acr("e;1;1", StopRecord, 2)), Verdict::New);
    let sessions = one.sessions();
    assert_eq!((sessions[0].records, sessions[0].missing), (3, 0));
    assert!(!sessions[0].without_start);
    let views = one.views();
    assert_eq!(views[0].records, 7);
    // What both have in memory is what is kept.
    other.group(&[]);
    one.group(&[]);
    assert_eq!(
        one.book.elements().collect::<Vec<_>>(),
        other.book.elements().collect::<Vec<_>>()
    );
}

/// Two threads of two instances get the same records, and the server crashes under them.
#[test]
fn two_storages_under_load_keep_each_record_once_over_crashes_of_the_server() {
    const RECORDS: u64 = 1500;
    let mut server = postgres::Server::start("accounting-load");
    let url = server.database("load");
    let (done, finished) = mpsc::channel();
    let workers: Vec<_> = ["a.test", "b.test"]
        .into_iter()
        .map(|host| {
            let place = on_server(&url, SCHEMA, host);
            let done = done.clone();
            std::thread::spawn(move || {
                let storage: Storage<TellWhich> =
                    Storage::start(open(&place).unwrap(), Limits::default(), None).unwrap();
                let (sender, told) = mpsc::channel();
                let mut waiting = 0;
                let mut next = 1..=RECORDS;
                let mut again = Vec::new();
                let mut kept = 0;
                let begun = Instant::now();
                while kept < RECORDS {
                    assert!(begun.elapsed() < 3 * WAIT, "{kept} of {RECORDS}");
                    while waiting < 50
                        && let Some(number) = again.pop().or_else(|| next.next())
                    {
                        let tell = TellWhich(number, sender.clone());
                        storage.submit(arrival(&ours(number, "x")), tell);
                        waiting += 1;
                    }
                    let (number, code) = told.recv_timeout(WAIT).unwrap();
                    waiting -= 1;
                    if code == ResultCode::SUCCESS {
                        kept += 1;
                        let _ = done.send(());
                    } else {
                        assert_eq!(code, ResultCode::TOO_BUSY);
                        again.push(number);
                    }
                }
                (storage.figures().counters.stored, storage)
            })
        })
        .collect();
    for _ in 0..3 {
        for _ in 0..RECORDS / 3 {
            finished.recv_timeout(2 * WAIT).unwrap();
        }
        server.crash();
        server.run();
    }
    let stored: Vec<_> = workers.into_iter().map(|it| it.join().unwrap()).collect();
    drop(stored);
    let place = on_server(&url, SCHEMA, "a.test");
    let all = Query {
        limit: Some(100_000),
        ..Query::default()
    };
    let found = place.ask(|store| records(store, &all)).unwrap();
    let mut numbers: Vec<u64> = found.iter().filter_map(|it| it.sequence_number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=RECORDS));
    assert!(found.iter().all(|it| it.variant == 0 && !it.reuses_number));
    let views = place.ask(views).unwrap();
    assert_eq!((views[0].records, views[0].missing), (RECORDS, 0));
}

struct TellWhich(u64, mpsc::Sender<(u64, ResultCode)>);

impl After for TellWhich {
    fn done(self, result_code: ResultCode) {
        let _ = self.1.send((self.0, result_code));
    }
}
