//! What every store must do, and what those must do that are shared.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use chargingd::core::{Core, Rules, Settings, State};
use chargingd::effect::{Effect, Mutation};
use chargingd::event::{Event, Operation};
use chargingd::ledger::{Commodity, Entry, cash};
use chargingd::notify::{Channel, Key, Kind, Notification, Task, Waiting};
use chargingd::part::Division;
use chargingd::store::{
    self, After, AuditQuery, Group, Notice, Opened, Place, Records, Server, Store, all_waiting,
    due, ledger, trial_balance, waiting_by_channel,
};
use iso_currency::Currency;
use support::lossy::{Loss, Lossy};
use support::postgres;
use tollwire_cdr::{ChargeRecord, EndCause, Payment, Timestamp};
use tollwire_runtime::clock::Now;

const DEADLINE: Duration = Duration::from_secs(30);

/// A group, and whether it was stored.
type Known = (u64, bool);

/// Tells what becomes of a group.
struct Fate(u64, Sender<Known>);

impl After for Fate {
    fn stored(self) {
        let _ = self.1.send((self.0, true));
    }

    fn refused(self) {
        let _ = self.1.send((self.0, false));
    }
}

/// A store, and what it says.
struct Opening {
    store: Store<Fate>,
    first: Notice,
    notices: Receiver<Notice>,
    records: Receiver<Records>,
    fates: (Sender<Known>, Receiver<Known>),
    groups: u64,
}

impl Opening {
    fn of(place: &Place) -> Self {
        let (record, records) = channel();
        let (notice, notices) = channel();
        let Opened {
            store,
            notice: first,
        } = Store::open(
            place,
            move |it| drop(record.send(it)),
            move |it| drop(notice.send(it)),
        )
        .unwrap();
        Self {
            store,
            first,
            notices,
            records,
            fates: channel(),
            groups: 0,
        }
    }

    fn state(place: &Place) -> State {
        Self::of(place).began().1
    }

    /// What it works with. A server may hear only after a while that the one before it is gone.
    fn began(self) -> (Self, State, u64) {
        match self.first {
            Notice::Active { epoch, state } => {
                let first = Notice::Away;
                (Self { first, ..self }, *state, epoch)
            }
            _ => {
                let (epoch, state) = self.works();
                (self, state, epoch)
            }
        }
    }

    fn submit(&mut self, epoch: u64, mutations: Vec<Mutation>) -> u64 {
        self.groups += 1;
        self.store.submit(Group {
            epoch,
            mutations,
            after: vec![Fate(self.groups, self.fates.0.clone())],
        });
        self.groups
    }

    /// Whether the group was stored.
    fn fate(&self, group: u64) -> bool {
        let (which, stored) = self.fates.1.recv_timeout(DEADLINE).unwrap();
        assert_eq!(which, group);
        stored
    }

    fn stores(&mut self, epoch: u64, mutations: Vec<Mutation>) -> bool {
        let group = self.submit(epoch, mutations);
        self.fate(group)
    }

    /// The next time that it works.
    fn works(&self) -> (u64, State) {
        loop {
            if let Notice::Active { epoch, state } = self.notices.recv_timeout(DEADLINE).unwrap() {
                return (epoch, *state);
            }
        }
    }
}

fn create(name: &str) -> Operation {
    Operation::CreateAccount {
        name: name.into(),
        payment: Payment::Postpaid,
        currency: Currency::EUR,
        credit_limit_micro: 5_000_000,
        identities: vec![format!("sip:{name}@test")],
    }
}

fn top_up(name: &str, amount_micro: i64, reference: &str) -> Operation {
    Operation::TopUp {
        account: name.into(),
        amount_micro,
        reference: reference.into(),
    }
}

fn core(state: State) -> Core {
    Core::new(Settings::default(), Rules::default(), state)
}

/// What the core has stored for these.
fn mutations(core: &mut Core, operations: Vec<Operation>) -> Vec<Mutation> {
    let mut effects = Vec::new();
    for operation in operations {
        let event = Event::Operator {
            token: 0,
            operation,
        };
        core.handle(Now::read(), event, &mut effects);
    }
    let stored = |effect| match effect {
        Effect::Store(mutation) => Some(mutation),
        Effect::Reply { result, .. } => {
            result.unwrap();
            None
        }
        other => panic!("{other:?}"),
    };
    effects.into_iter().filter_map(stored).collect()
}

fn record(sequence_number: u64) -> Mutation {
    Mutation::Record(Box::new(ChargeRecord {
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
    }))
}

fn entry(key: &str, amount: i64) -> Mutation {
    let commodity = Commodity::Money(Currency::EUR);
    Mutation::Entry(Entry {
        key: key.into(),
        debit: cash(commodity),
        credit: "alice".into(),
        amount,
        commodity,
        unix_ms: 1,
        about: Default::default(),
    })
}

fn numbers(records: &Records) -> (Option<u64>, Vec<u64>) {
    let of = |records: &[ChargeRecord]| records.iter().map(|it| it.sequence_number).collect();
    match records {
        Records::Begin { after, waiting } => (Some(*after), of(waiting)),
        Records::Made(records) => (None, of(records)),
    }
}

/// What every store must do, whichever it is.
fn suite(place: &Place) {
    what_is_written_is_read_again(place);
    a_group_is_stored_wholly_or_not_at_all(place);
    records_stay_until_they_are_in_the_files(place);
    odd_texts_spoil_no_group(place);
    each_contact_waits_by_itself_until_its_end(place);
    every_question_is_understood(place);
}

fn what_is_written_is_read_again(place: &Place) {
    let (mut opening, state, epoch) = Opening::of(place).began();
    assert!(state.accounts.is_empty());
    let mut core = core(state);
    // In one group: what changes several times is kept as it is at last, and an identity moves.
    let operations = vec![
        create("alice"),
        create("bob"),
        top_up("alice", 700, "one"),
        top_up("alice", 11, "two"),
        Operation::RemoveIdentity {
            identity: "sip:bob@test".into(),
        },
        Operation::AddIdentity {
            account: "alice".into(),
            identity: "sip:bob@test".into(),
        },
        Operation::RemoveIdentity {
            identity: "sip:alice@test".into(),
        },
    ];
    let group = mutations(&mut core, operations);
    assert!(opening.stores(epoch, group));
    let group = mutations(
        &mut core,
        vec![Operation::Block {
            account: "bob".into(),
        }],
    );
    assert!(opening.stores(epoch, group));

    let books = place.ask(trial_balance).unwrap();
    assert!(books.balanced);
    let balances: Vec<(&str, i64)> = (books.accounts.iter())
        .map(|it| (&*it.name, it.ledger))
        .collect();
    assert_eq!(balances, [("alice", 711), ("bob", 0)]);
    let last = place.ask(|store| ledger(store, "alice", 1)).unwrap();
    assert_eq!((last.len(), last[0].amount), (1, 11));
    let both = place.ask(|store| ledger(store, "alice", 9)).unwrap();
    assert_eq!([both[0].amount, both[1].amount], [700, 11]);

    drop(opening);
    let state = Opening::state(place);
    let again = self::core(state);
    for name in ["alice", "bob"] {
        assert_eq!(again.account(name), core.account(name));
        assert_eq!(again.view(name), core.view(name));
    }
    assert_eq!(
        &*again.view("alice").unwrap().identities,
        [Box::from("sip:bob@test")]
    );
    assert!(again.account("bob").unwrap().blocked);
}

fn a_group_is_stored_wholly_or_not_at_all(place: &Place) {
    let (mut opening, state, epoch) = Opening::of(place).began();
    let mut core = core(state);
    let mut group = mutations(&mut core, vec![top_up("alice", 5, "three")]);
    // The key of an entry that is there: a fault of the core, which must not pass for a payment.
    group.push(entry("once", 1));
    group.push(entry("once", 2));
    assert!(!opening.stores(epoch, group));
    // What was made with that memory counts no more.
    assert!(!opening.stores(epoch, vec![entry("stale", 1)]));
    let (epoch, state) = opening.works();
    let mut core = self::core(state);
    assert_eq!(core.account("alice").unwrap().balance_micro, 711);
    let group = mutations(&mut core, vec![top_up("alice", 5, "three")]);
    assert!(opening.stores(epoch, group));
    drop(opening);
    let state = Opening::state(place);
    assert_eq!(state.references.len(), 3);
    assert!(place.ask(trial_balance).unwrap().balanced);
}

fn records_stay_until_they_are_in_the_files(place: &Place) {
    let (mut opening, _, epoch) = Opening::of(place).began();
    let next = |opening: &Opening| numbers(&opening.records.recv_timeout(DEADLINE).unwrap());
    assert_eq!(next(&opening), (Some(0), vec![]));
    assert!(opening.stores(epoch, vec![record(1), record(2)]));
    assert_eq!(next(&opening), (None, vec![1, 2]));
    assert!(opening.stores(epoch, vec![record(3)]));
    drop(opening);

    let (mut opening, state, epoch) = Opening::of(place).began();
    assert_eq!(state.last_record, 3);
    assert_eq!(next(&opening), (Some(0), vec![1, 2, 3]));
    opening.store.written().unwrap().up_to(2);
    assert!(opening.stores(epoch, vec![record(4)]));
    drop(opening);
    let (opening, ..) = Opening::of(place).began();
    assert_eq!(next(&opening), (Some(2), vec![3, 4]));
    opening.store.written().unwrap().up_to(4);
    drop(opening);
    let (opening, ..) = Opening::of(place).began();
    assert_eq!(next(&opening), (Some(4), vec![]));
}

fn odd_texts_spoil_no_group(place: &Place) {
    let (mut opening, _, epoch) = Opening::of(place).began();
    let odd = [
        "a'; DROP TABLE entry; --",
        "{1,2}\"\\",
        "nul \0",
        "\u{10ffff} NULL",
    ];
    let group = odd.iter().map(|key| entry(key, 1)).collect();
    assert!(opening.stores(epoch, group));
    let group = vec![record(5), Mutation::ForgetSessions(0)];
    assert!(opening.stores(epoch, group));
}

fn notification(id: u64, contacts: &[&str]) -> Notification {
    Notification {
        id,
        unix_ms: 1000 + i64::try_from(id).unwrap(),
        account: "alice".into(),
        subject: "alice/gprs".into(),
        kind: Kind::Recharged,
        balance: 5,
        unit: "octets".into(),
        amount: 3,
        language: "de".into(),
        contacts: contacts.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

fn each_contact_waits_by_itself_until_its_end(place: &Place) {
    let (mut opening, _, epoch) = Opening::of(place).began();
    let (sms, mail) = ("sms:+491701234", "mailto:alice@example.org");
    let made = (1..=3).map(|id| {
        let contacts: &[&str] = if id == 2 { &[mail] } else { &[sms, mail, sms] };
        Mutation::Notification(Box::new(notification(id, contacts)))
    });
    assert!(opening.stores(epoch, made.collect()));
    let ask = |channel, until, limit| {
        let found = place.ask(|store| due(store, channel, until, limit));
        found.unwrap()
    };
    let ids =
        |tasks: &[Task]| -> Vec<u64> { tasks.iter().map(|task| task.notification.id).collect() };
    // Only what is due, of this channel, and so much; and when the next one is.
    let (tasks, next) = ask(Channel::Sms, 1002, 10);
    assert_eq!((ids(&tasks), next), (vec![1], Some(1003)));
    let (tasks, next) = ask(Channel::Mail, 5000, 2);
    assert_eq!((ids(&tasks), next), (vec![1, 2], None));
    assert_eq!(*tasks[0].notification, notification(1, &[sms, mail, sms]));
    assert_eq!(tasks[0].contact, mail.parse().unwrap());
    assert!(ask(Channel::Sip, 5000, 2).0.is_empty());
    let counts = place.ask(waiting_by_channel).unwrap();
    assert_eq!(counts, [("mail".into(), 3), ("sms".into(), 2)].into());

    // One fails, one is told.
    let mut task = tasks[0].clone();
    task.attempts = 1;
    let later = Waiting {
        task,
        next_unix_ms: 9000,
        error: "busy".into(),
    };
    let ended = Key {
        id: 2,
        contact: mail.parse().unwrap(),
    };
    let after = vec![
        Mutation::NotificationLater(Box::new(later.clone())),
        Mutation::NotificationEnded(Box::new(ended)),
    ];
    assert!(opening.stores(epoch, after));
    let (tasks, next) = ask(Channel::Mail, 5000, 10);
    assert_eq!((ids(&tasks), next), (vec![3], Some(9000)));
    let (tasks, _) = ask(Channel::Mail, 9000, 10);
    assert_eq!(tasks.last().unwrap().attempts, 1);
    let all = place.ask(|store| all_waiting(store, 10)).unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(all.last(), Some(&later));
    drop(opening);
    // Their number goes on, also when all were told.
    assert_eq!(Opening::state(place).last_notification, 3);
}

/// Each is written once for all databases; what they answer is tested where they are asked.
fn every_question_is_understood(place: &Place) {
    let month = "2026-10".parse().unwrap();
    place
        .ask(|store| {
            let range = store::range(store, 1)?;
            assert!(range.through > 3, "{range:?}");
            assert_eq!(store::first_after(store, range, 0)?, 1);
            store::periods(store, 1)?;
            store::closed(store, month)?;
            assert_eq!(store::customers(store, "", 9)?.len(), 2);
            assert!(store::customer(store, "alice")?.is_some());
            let mut moved = 0;
            store::entries(store, "alice", "bob", range, &mut |_| {
                moved += 1;
                Ok(())
            })?;
            assert!(moved >= 3, "{moved}");
            assert!(store::owed_before(store, "alice", range.through)? < 0);
            store::provider_sums(store, range, i64::MAX, (0, 0))?;
            store::carried(store, "p", "EUR")?;
            store::taken_numbers(store, month, 1)?;
            store::invoices(store, Some("alice"), Some(month), (0, 1))?;
            store::invoices(store, None, None, (0, 1))?;
            store::invoice(store, "1")?;
            store::settlements(store, month)?;
            store::audit(
                store,
                &AuditQuery {
                    account: "alice".into(),
                    who: "root".into(),
                    until_unix_ms: Some(0),
                    limit: 1,
                },
            )?;
            all_waiting(store, 1)?;
            due(store, Channel::Sms, 0, 1)?;
            waiting_by_channel(store)?;
            Ok(())
        })
        .unwrap();
}

#[test]
fn sqlite_does_what_every_store_must() {
    let folder = std::env::temp_dir().join(format!("store-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    suite(&Place::File(folder.join("chargingd.db")));
    std::fs::remove_dir_all(&folder).unwrap();
}

fn on_server(url: &str, origin_host: &str) -> Place {
    for_part(url, origin_host, Division::default())
}

fn for_part(url: &str, origin_host: &str, division: Division) -> Place {
    Place::Server(Box::new(Server {
        url: url.parse().unwrap(),
        password_file: None,
        tls_ca_file: None,
        takeover: Duration::from_secs(10),
        origin_host: origin_host.into(),
        division,
        schema: None,
    }))
}

#[test]
fn postgresql_does_what_every_store_must() {
    let server = postgres::Server::start("suite");
    suite(&on_server(&server.database("suite"), "a.test"));
}

#[test]
fn of_two_on_one_database_one_works_and_the_other_takes_its_place() {
    let server = postgres::Server::start("two");
    let url = server.database("two");
    let (mut first, state, epoch) = Opening::of(&on_server(&url, "a.test")).began();
    let second = Opening::of(&on_server(&url, "b.test"));
    assert!(
        matches!(&second.first, Notice::Standby { active: Some(host) } if host == "a.test"),
        "{:?}",
        second.first
    );
    let mut core = core(state);
    let group = mutations(&mut core, vec![create("alice"), top_up("alice", 3, "r")]);
    assert!(first.stores(epoch, group));
    assert!(first.stores(epoch, vec![record(1)]));
    drop(first);
    let (epoch, state) = second.works();
    assert_eq!(state.accounts[0].balance_micro, 3);
    assert_eq!(
        numbers(&second.records.recv_timeout(DEADLINE).unwrap()),
        (Some(0), vec![1])
    );
    // And the first, when it comes back, stands by.
    let third = Opening::of(&on_server(&url, "a.test"));
    assert!(matches!(&third.first, Notice::Standby { active: Some(host) } if host == "b.test"));
    let mut second = second;
    assert!(second.stores(epoch, vec![record(2)]));
}

#[test]
fn whoever_has_lost_its_place_commits_nothing_more() {
    let server = postgres::Server::start("fence");
    let url = server.database("fence");
    let (mut opening, state, epoch) = Opening::of(&on_server(&url, "a.test")).began();
    let mut core = core(state);
    let group = mutations(&mut core, vec![create("alice"), top_up("alice", 3, "r")]);
    assert!(opening.stores(epoch, group));
    // As another would that got the lock, while this connection lives on behind a pooler.
    assert!(server.sql("fence", "UPDATE writer SET closed = 1"));
    assert!(!opening.stores(epoch, vec![entry("late", 1)]));
    let (epoch, state) = opening.works();
    assert_eq!(state.accounts[0].balance_micro, 3);
    assert!(opening.stores(epoch, vec![entry("new", 1)]));
    assert_eq!(
        place_keys(&on_server(&url, "a.test")),
        ["top-up alice r", "new"]
    );
}

fn place_keys(place: &Place) -> Vec<String> {
    let entries = place.ask(|store| ledger(store, "alice", 1000)).unwrap();
    entries.into_iter().map(|entry| entry.key).collect()
}

#[test]
fn a_commit_whose_answer_is_lost_is_looked_up() {
    let server = postgres::Server::start("lost");
    server.database("lost");
    let way = Lossy::to(server.folder(), "lost");
    let url = postgres::url(way.folder(), "lost");
    let (mut opening, _, mut epoch) = Opening::of(&on_server(&url, "a.test")).began();
    for (loss, key, stored) in [
        (Loss::Answer, "answer", true),
        (Loss::Commit, "commit", false),
        (Loss::Answer, "answer again", true),
    ] {
        way.lose(loss);
        let begun = Instant::now();
        assert_eq!(opening.stores(epoch, vec![entry(key, 1)]), stored, "{key}");
        assert!(way.has_lost());
        assert!(begun.elapsed() < DEADLINE);
        (epoch, _) = opening.works();
        assert!(opening.stores(epoch, vec![entry(&format!("after {key}"), 1)]));
    }
    assert_eq!(
        place_keys(&on_server(&url, "a.test")),
        [
            "answer",
            "after answer",
            "after commit",
            "answer again",
            "after answer again"
        ]
    );
}

#[test]
fn a_server_that_goes_and_comes_back_is_waited_for() {
    let mut server = postgres::Server::start("gone");
    let url = server.database("gone");
    let (mut opening, _, epoch) = Opening::of(&on_server(&url, "a.test")).began();
    assert!(opening.stores(epoch, vec![entry("before", 1)]));
    server.crash();
    let away = opening.submit(epoch, vec![entry("away", 1)]);
    loop {
        if matches!(
            opening.notices.recv_timeout(DEADLINE).unwrap(),
            Notice::Away
        ) {
            break;
        }
    }
    server.run();
    // Nothing of it had been sent, but that is only known when the server is back.
    assert!(!opening.fate(away));
    let (epoch, _) = opening.works();
    assert!(opening.stores(epoch, vec![entry("back", 1)]));
    assert_eq!(place_keys(&on_server(&url, "a.test")), ["before", "back"]);

    // One that is not there at the start is waited for too.
    drop(opening);
    server.crash();
    let opening = Opening::of(&on_server(&url, "a.test"));
    assert!(matches!(opening.first, Notice::Away));
    server.run();
    opening.works();
}

/// The authority `its_own`, and the certificate and key that it gave to `name`; PEM.
fn authority(its_own: &str, name: &str) -> [String; 3] {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    (parameters.distinguished_name).push(rcgen::DnType::CommonName, its_own);
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let root = parameters.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    [root.pem(), certificate.pem(), key.serialize_pem()]
}

#[test]
fn over_tls_the_server_has_to_show_a_certificate_of_the_authority_and_of_its_name() {
    let [right, certificate, key] = authority("ours", "localhost");
    let [wrong, ..] = authority("another", "localhost");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let server = postgres::Server::start_with_tls("tls", port, &certificate, &key);
    server.database("tls");
    let place = |host: &str, roots: &str| {
        let file = server.folder().join("roots.pem");
        std::fs::write(&file, roots).unwrap();
        let url = format!("postgres://tollwire@{host}:{port}/tls");
        let Place::Server(mut of) = on_server(&url, "a.test") else {
            panic!("a server's place");
        };
        of.tls_ca_file = Some(file);
        Place::Server(of)
    };
    let secured = |place: &Place| {
        place.ask(|store| {
            let sql = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            let mut ssl = None;
            store.query(sql, &[], &mut |row| {
                ssl = Some(row.text(0)?.to_owned());
                Ok(())
            })?;
            Ok(ssl)
        })
    };
    suite(&place("localhost", &right));
    assert_eq!(
        secured(&place("localhost", &right)).unwrap().as_deref(),
        Some("true")
    );
    for (host, roots, why) in [
        ("localhost", &wrong, "UnknownIssuer"),
        ("127.0.0.1", &right, "not valid for name"),
    ] {
        let refused = secured(&place(host, roots)).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    // Nothing is sent in the clear instead.
    let opening = Opening::of(&place("localhost", &wrong));
    assert!(matches!(opening.first, Notice::Away));
}

/// Whoever asks the core is asked before whether another part has it; two at the same moment both hear that none has.
#[test]
fn no_identity_is_of_two_parts_whoever_wants_it() {
    let server = postgres::Server::start("identities");
    let url = server.database("identities");
    let places = [1, 2].map(|part| {
        let division = Division::new(part, 2).unwrap();
        for_part(&url, &format!("{part}.test"), division)
    });
    // Both work at once, and neither's accounts are the other's.
    let [(mut one, state, one_epoch), (mut two, other, two_epoch)] =
        [0, 1].map(|part: usize| Opening::of(&places[part]).began());
    let mut ones = core(state);
    assert!(one.stores(one_epoch, mutations(&mut ones, vec![create("alice")])));
    let mut twos = core(other);
    assert!(!two.stores(two_epoch, mutations(&mut twos, vec![create("alice")])));
    let (two_epoch, state) = two.works();
    assert!(state.accounts.is_empty());
    let mut twos = core(state);
    assert!(two.stores(two_epoch, mutations(&mut twos, vec![create("bob")])));
    // What the first gives up, and takes back, and gives up is the second's.
    let identity = || String::from("sip:alice@test");
    let remove = || Operation::RemoveIdentity {
        identity: identity(),
    };
    let add = |account: &str| Operation::AddIdentity {
        account: account.into(),
        identity: identity(),
    };
    let changes = vec![remove(), add("alice"), remove()];
    assert!(one.stores(one_epoch, mutations(&mut ones, changes)));
    assert!(two.stores(two_epoch, mutations(&mut twos, vec![add("bob")])));
    let back = mutations(&mut ones, vec![add("alice")]);
    assert!(!one.stores(one_epoch, back));
    for place in &places {
        assert!(place.ask(trial_balance).unwrap().balanced);
    }
}
