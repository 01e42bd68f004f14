//! Several instances share the subscribers of one database: each part of them has an active instance of its own.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chargingd::part::Division;
use serde_json::{Value, json};
use support::postgres;
use support::ro::*;
use tollwire_diameter::credit_control::{CreditControlRequest, SubscriptionId, SubscriptionIdType};
use tollwire_diameter::{Message, ResultCode, dictionary};
use tollwire_runtime::admin::client::{self, ClientError};
use tollwire_runtime::diameter::NodeEvent;

const CREDIT: i64 = 1_000_000_000;
const COST: i64 = 20_000;
/// Customers of each part.
const CUSTOMERS: usize = 20;
/// Sessions of each customer.
const SESSIONS: usize = 20;

/// Names of customers of a part of two.
fn customers(part: u32, count: usize) -> Vec<String> {
    let division = Division::new(part, 2).unwrap();
    (0..)
        .map(|number| format!("customer-{number}"))
        .filter(|name| division.has(name))
        .take(count)
        .collect()
}

/// The first two instances are of part 1, the others of part 2; of each part the first works.
async fn four(name: &str, url: &str) -> [Daemon; 4] {
    let of = |who: &str, part| Daemon::of_part(&format!("{name}-{who}"), url, (part, 2));
    let mut all = [of("a1", 1), of("a2", 1), of("b1", 2), of("b2", 2)];
    for (first, second) in [(0, 1), (2, 3)] {
        all[first].start_working().await;
        all[second].start().await;
        all[second].stands_by().await;
    }
    for daemon in &all {
        knows_all(daemon).await;
    }
    all
}

/// Waits until it knows who is active for each part.
async fn knows_all(daemon: &Daemon) {
    let begun = Instant::now();
    loop {
        let health = daemon.ask("/health").await;
        let known = health["active_of_parts"].as_array().unwrap();
        if known.iter().all(Value::is_string) {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{health}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The answer to a request.
async fn answer(client: &mut Client, request: &CreditControlRequest) -> Message {
    let wanted = client.send(request);
    loop {
        match client.event().await {
            NodeEvent::Answer { token, message } if token == wanted => return message,
            NodeEvent::Failed { why, .. } => panic!("{why:?}"),
            _ => {}
        }
    }
}

fn number(message: &Message, definition: &dictionary::Definition) -> Option<u32> {
    let avp = message.find(definition)?;
    Some(u32::from_be_bytes(avp.data.as_ref().try_into().unwrap()))
}

#[tokio::test]
async fn a_session_of_another_part_is_sent_there_and_an_operator_too() {
    let server = postgres::Server::start("sent");
    let all = four("sent", &server.database("sent")).await;
    let [ours, theirs] = [1, 2].map(|part| customers(part, 1).remove(0));
    all[0].account(&ours, CREDIT).await;
    all[2].account(&theirs, CREDIT).await;

    let mut client = Client::connect(&all[0].folder).await;
    assert_eq!(
        client.result(&step_of(&ours, "s", 0)).await,
        ResultCode::SUCCESS
    );
    let sent_on = answer(&mut client, &step_of(&theirs, "t", 0)).await;
    assert!(sent_on.is_error());
    assert_eq!(sent_on.result_code(), Some(ResultCode::REDIRECT_INDICATION));
    assert_eq!(
        sent_on.text(&dictionary::REDIRECT_HOST),
        Some("aaa://sent-b1.test")
    );
    assert_eq!(number(&sent_on, &dictionary::REDIRECT_HOST_USAGE), Some(1));
    assert_eq!(
        number(&sent_on, &dictionary::REDIRECT_MAX_CACHE_TIME),
        Some(3600)
    );
    // Whoever is known to nobody is refused here, as he always was.
    let stranger = client.result(&step_of("nobody", "u", 0)).await;
    assert_eq!(stranger, ResultCode::USER_UNKNOWN);
    // A session that is here stays here, also when a request does not say whose it is.
    let mut anonymous = step_of(&ours, "s", 1);
    anonymous.subscription_ids.clear();
    assert_eq!(client.result(&anonymous).await, ResultCode::SUCCESS);
    // An account's own name says where it is too.
    let mut by_name = step_of(&theirs, "v", 0);
    by_name.subscription_ids = vec![SubscriptionId::new(
        SubscriptionIdType::EndUserPrivate,
        theirs.clone(),
    )];
    let code = client.result(&by_name).await;
    assert_eq!(code, ResultCode::REDIRECT_INDICATION);
    client.node.shutdown().await;

    // One who knows all servers hears of none of this.
    let folders: Vec<&Path> = all.iter().map(|it| it.folder.as_path()).collect();
    let mut client = Client::connect_to(&folders).await;
    for number in 0..3 {
        let code = client.result(&step_of(&theirs, "w", number)).await;
        assert_eq!(code, ResultCode::SUCCESS);
    }
    client.node.shutdown().await;

    let path = format!("/accounts/{theirs}");
    for path in [
        path.as_str(),
        &format!("/ledger?account={theirs}"),
        &format!("/records?account={theirs}"),
        &format!("/invoices?account={theirs}"),
    ] {
        let problem = client::get::<Value>(&all[0].admin(), path).await;
        let said = refused(problem, 421);
        assert!(said.contains("ask sent-b1.test"), "{said}");
    }
    let elsewhere = json!({"top-up": {"account": theirs, "amount_micro": 1, "reference": "x"}});
    let problem = client::post::<Value, Value>(&all[0].admin(), "/operations", &elsewhere).await;
    refused(problem, 421);
    // An identity is of one part.
    let double =
        json!({"add-identity": {"account": ours, "identity": format!("sip:{theirs}@test")}});
    let problem = client::post::<Value, Value>(&all[0].admin(), "/operations", &double).await;
    let said = refused(problem, 409);
    assert!(said.contains("part 2"), "{said}");
    // What its owner gives up another may have.
    let identity = format!("sip:{theirs}@test");
    all[2]
        .operate(json!({"remove-identity": {"identity": identity}}))
        .await;
    all[0].operate(double).await;
    let view = all[0].ask(&format!("/accounts/{ours}")).await;
    assert_eq!(view["identities"].as_array().unwrap().len(), 2);
    let health = all[3].ask("/health").await;
    assert_eq!(
        (&health["role"], &health["part"], &health["parts"]),
        (&json!("standby"), &json!(2), &json!(2))
    );
    assert_eq!(
        health["active_of_parts"],
        json!(["sent-a1.test", "sent-b1.test"])
    );
}

fn refused(answer: Result<Value, ClientError>, expected: u16) -> String {
    match answer {
        Err(ClientError::Refused { status, error }) if status == expected => error,
        other => panic!("{other:?}"),
    }
}

/// What a daemon says when it does not start.
fn refusal(daemon: &Daemon) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_chargingd"))
        .arg("--config")
        .arg(daemon.folder.join("chargingd.toml"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[tokio::test]
async fn a_database_stays_divided_as_it_was_first() {
    let server = postgres::Server::start("divided");
    let (divided, whole) = (server.database("divided"), server.database("whole"));
    Daemon::of_part("divided-first", &divided, (2, 2))
        .start_working()
        .await;
    Daemon::sharing("whole-first", &whole).start_working().await;
    for (url, part, stored) in [
        (&divided, (1, 1), 2),
        (&divided, (1, 3), 2),
        (&whole, (1, 2), 1),
    ] {
        let daemon = Daemon::of_part("divided-other", url, part);
        let (status, said) = refusal(&daemon);
        assert_eq!(status, Some(78), "{said}");
        let wanted = format!("write store.parts = {stored}");
        assert!(said.contains(&wanted), "{said}");
    }
    // And those who know it go on.
    let mut first = Daemon::of_part("divided-first", &divided, (1, 2));
    first.start_working().await;
    Daemon::sharing("whole-first", &whole).start_working().await;
}

/// Sessions of many customers, by clients that know all instances.
struct Load {
    clients: Vec<Client>,
    /// Each session's customer, its part, and the client that has it.
    sessions: Vec<(String, u32, usize)>,
    waiting: HashMap<(usize, u64), (usize, u32, Instant)>,
    ready: Vec<(usize, u32)>,
    served: usize,
    /// Refusals that a client was told, of each part's sessions.
    busy: BTreeMap<u32, usize>,
    longest: Duration,
}

impl Load {
    async fn of(folders: &[PathBuf]) -> Self {
        let mut clients = Vec::new();
        for number in 0..3 {
            // Each begins with another instance.
            let mut folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
            folders.rotate_left(number);
            clients.push(Client::named(&format!("client-{number}.test"), &folders).await);
        }
        let mut sessions = Vec::new();
        for number in 0..SESSIONS {
            for part in [1, 2] {
                for customer in customers(part, CUSTOMERS) {
                    let client = (number + sessions.len()) % clients.len();
                    sessions.push((customer, part, client));
                }
            }
        }
        Self {
            ready: (0..sessions.len())
                .rev()
                .map(|session| (session, 0))
                .collect(),
            clients,
            sessions,
            waiting: HashMap::new(),
            served: 0,
            busy: BTreeMap::new(),
            longest: Duration::ZERO,
        }
    }

    fn send(&mut self) {
        // Not all at once: the load lasts as long as the instances are being killed.
        while self.waiting.len() < 64
            && let Some((session, number)) = self.ready.pop()
        {
            let (customer, _, client) = &self.sessions[session];
            let request = step_of(customer, &format!("s{session}"), number);
            let token = self.clients[*client].send(&request);
            let begun = Instant::now();
            (self.waiting).insert((*client, token), (session, number, begun));
        }
    }

    /// Takes what the clients were told; whether the load goes on.
    async fn step(&mut self) -> bool {
        self.send();
        if self.waiting.is_empty() {
            return false;
        }
        let [one, two, three] = &mut self.clients[..] else {
            panic!("three clients");
        };
        let (client, event) = tokio::select! {
            event = one.event() => (0, event),
            event = two.event() => (1, event),
            event = three.event() => (2, event),
        };
        match event {
            NodeEvent::Answer { token, message } => {
                let (session, number, begun) = self.waiting.remove(&(client, token)).unwrap();
                self.longest = self.longest.max(begun.elapsed());
                match message.result_code() {
                    Some(ResultCode::SUCCESS) => {
                        self.served += 1;
                        if number < 2 {
                            // To the end of the line, so that sessions last.
                            self.ready.insert(0, (session, number + 1));
                        }
                    }
                    Some(ResultCode::TOO_BUSY) => {
                        *self.busy.entry(self.sessions[session].1).or_default() += 1;
                        self.ready.push((session, number));
                        tokio::task::yield_now().await;
                    }
                    other => panic!("{session} {number}: {other:?}"),
                }
            }
            NodeEvent::Failed { why, .. } => panic!("{why:?}"),
            _ => {}
        }
        true
    }
}

/// The books of a part say what the clients counted.
async fn audit(daemon: &Daemon, part: u32) {
    assert_eq!(daemon.ask("/trial-balance").await["balanced"], true);
    let accounts = daemon.ask("/accounts").await;
    let accounts = accounts.as_array().unwrap();
    assert_eq!(accounts.len(), CUSTOMERS);
    let sessions = i64::try_from(SESSIONS).unwrap();
    for account in accounts {
        assert_eq!(account["balance_micro"], CREDIT - sessions * COST);
        assert_eq!(
            (&account["held_micro"], &account["sessions"]),
            (&json!(0), &json!(0))
        );
    }
    let mut names: Vec<&str> = (accounts.iter())
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    let mut expected = customers(part, CUSTOMERS);
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

/// Every session has its record, under one number in all folders of the part.
fn audit_records(daemons: [&Daemon; 2], part: u32) {
    let mut all = BTreeMap::new();
    for record in daemons.into_iter().flat_map(Daemon::records) {
        let known = all
            .entry(record.sequence_number)
            .or_insert_with(|| record.clone());
        assert_eq!(*known, record);
    }
    let count = CUSTOMERS * SESSIONS;
    assert!(all.keys().copied().eq(1..=count as u64));
    let mut ids: Vec<&str> = all.values().map(|record| &*record.record_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let division = Division::new(part, 2).unwrap();
    assert!(all.values().all(|record| division.has(&record.account)));
}

#[tokio::test]
async fn of_two_parts_with_two_instances_each_any_may_die_under_load() {
    let server = postgres::Server::start("four");
    let [mut a, mut a_waits, mut b, mut b_waits] = four("four", &server.database("four")).await;
    for (daemon, part) in [(&a, 1), (&b, 2)] {
        for customer in customers(part, CUSTOMERS) {
            daemon.account(&customer, CREDIT).await;
        }
    }
    let folders = [&a, &a_waits, &b, &b_waits].map(|daemon| daemon.folder.clone());
    let mut load = Load::of(&folders).await;
    let total = 2 * CUSTOMERS * SESSIONS * 3;
    // The active instance of part 2, three times; nobody of part 1 hears of it.
    let mut kills = 0;
    while load.served < total / 2 && load.step().await {
        if kills < 3 && load.served >= (kills + 1) * total / 8 {
            b.kill();
            while b_waits.ask("/health").await["role"] != "active" {
                load.step().await;
            }
            std::mem::swap(&mut b, &mut b_waits);
            b_waits.start().await;
            kills += 1;
        }
    }
    assert_eq!(load.busy.get(&1), None, "{:?}", load.busy);
    // Then one of each part in turn.
    while load.step().await {
        if kills < 7 && load.served >= (kills + 2) * total / 10 {
            let (works, waits) = match kills % 2 {
                0 => (&mut a, &mut a_waits),
                _ => (&mut b, &mut b_waits),
            };
            works.kill();
            while waits.ask("/health").await["role"] != "active" {
                load.step().await;
            }
            std::mem::swap(works, waits);
            waits.start().await;
            kills += 1;
        }
    }
    assert_eq!((kills, load.served), (7, total));
    eprintln!(
        "{total} requests, {kills} kills; refused {:?}, longest answer {:?}",
        load.busy, load.longest
    );
    audit(&a, 1).await;
    audit(&b, 2).await;
    for daemon in [&mut a, &mut b, &mut a_waits, &mut b_waits] {
        daemon.stop();
    }
    // What a killed one had not written its successor writes; the last ones stood by and have written all of theirs.
    audit_records([&a, &a_waits], 1);
    audit_records([&b, &b_waits], 2);
}

#[tokio::test]
async fn a_session_begun_before_a_takeover_goes_on_after_it() {
    let server = postgres::Server::start("goes-on");
    let [a, a_waits, mut b, b_waits] = four("goes-on", &server.database("goes_on")).await;
    let customer = customers(2, 1).remove(0);
    b.account(&customer, CREDIT).await;
    let folders = [&a, &a_waits, &b, &b_waits].map(|it| it.folder.clone());
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    let mut client = Client::connect_to(&folders).await;
    let code = client.result(&step_of(&customer, "s", 0)).await;
    assert_eq!(code, ResultCode::SUCCESS);
    b.kill();
    b_waits.works().await;
    for number in 1..3 {
        let code = client.result(&step_of(&customer, "s", number)).await;
        assert_eq!(code, ResultCode::SUCCESS);
    }
    let account = b_waits.ask(&format!("/accounts/{customer}")).await;
    assert_eq!(account["balance_micro"], CREDIT - COST);
}
