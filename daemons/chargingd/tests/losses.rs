//! `kill -9` of daemons and of their database under load: no answer is forgotten, nothing is charged twice.

mod support;

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use support::postgres;
use support::ro::*;
use tollwire_diameter::ResultCode;
use tollwire_runtime::diameter::NodeEvent;

const SESSIONS: u32 = 400;
const CREDIT: i64 = 1_000_000_000;

/// Three requests for each session, each sent until it is served; `disturb` is told of every answer that counts.
/// What a daemon had not answered when it was lost, the client's node sends again with the T flag.
async fn load(client: &mut Client, mut disturb: impl AsyncFnMut(u32)) {
    let mut waiting: HashMap<u64, (String, u32)> = HashMap::new();
    let mut ready: Vec<(String, u32)> = (0..SESSIONS).map(|n| (format!("s{n}"), 0)).collect();
    let mut served = 0;
    while !waiting.is_empty() || !ready.is_empty() {
        while let Some((session, number)) = ready.pop() {
            client.token += 1;
            let request = step(&session, number).encode(0, 0);
            if client
                .node
                .send_request(&client.peer, client.token, request)
                .is_err()
            {
                ready.push((session, number));
                break;
            }
            waiting.insert(client.token, (session, number));
        }
        match client.event().await {
            NodeEvent::Answer { token, message } => {
                let (session, number) = waiting.remove(&token).unwrap();
                match message.result_code() {
                    Some(ResultCode::SUCCESS) => {
                        served += 1;
                        if number < 2 {
                            ready.push((session, number + 1));
                        }
                        disturb(served).await;
                    }
                    Some(ResultCode::TOO_BUSY) => ready.push((session, number)),
                    other => panic!("{session} {number}: {other:?}"),
                }
            }
            NodeEvent::Failed { why, .. } => panic!("{why:?}"),
            _ => {}
        }
    }
    assert_eq!(served, SESSIONS * 3);
}

/// The books say what the client counted.
async fn audit(daemon: &Daemon) {
    let account = daemon.ask("/accounts/alice").await;
    assert_eq!(
        account["balance_micro"],
        CREDIT - i64::from(SESSIONS) * 20_000
    );
    assert_eq!(
        (&account["held_micro"], &account["sessions"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(daemon.ask("/trial-balance").await["balanced"], true);
}

/// Every session has its record, once in each folder at the most and under one number in all of them.
fn audit_records(daemons: &[&Daemon]) {
    let mut all = BTreeMap::new();
    for daemon in daemons {
        let records = daemon.records();
        let numbers: Vec<u64> = records.iter().map(|it| it.sequence_number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        for record in records {
            let number = record.sequence_number;
            let known = all.entry(number).or_insert_with(|| record.clone());
            assert_eq!(*known, record);
        }
    }
    assert!(all.keys().copied().eq(1..=u64::from(SESSIONS)));
    let mut ids: Vec<&str> = all.values().map(|record| &*record.record_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), SESSIONS as usize);
}

/// Twenty times at another moment each.
async fn killed_under_load(mut daemon: Daemon) {
    daemon.start_working().await;
    daemon.account("alice", CREDIT).await;
    let mut client = Client::connect(&daemon.folder).await;
    let mut kills = 0;
    load(&mut client, async |served| {
        if kills < 20 && served >= (kills + 1) * 53 {
            daemon.kill();
            daemon.start().await;
            kills += 1;
        }
    })
    .await;
    assert_eq!(kills, 20);
    audit(&daemon).await;
    daemon.stop();
    audit_records(&[&daemon]);
}

#[tokio::test]
async fn killed_at_any_moment_under_load_it_forgets_no_answer_and_charges_nothing_twice() {
    killed_under_load(Daemon::new("killed")).await;
}

#[tokio::test]
async fn nor_does_it_with_postgresql() {
    let server = postgres::Server::start("killed");
    let url = server.database("killed");
    killed_under_load(Daemon::sharing("killed-shared", &url)).await;
}

#[tokio::test]
async fn when_the_database_crashes_nothing_is_lost() {
    let mut server = postgres::Server::start("crash");
    let url = server.database("crash");
    let mut daemon = Daemon::sharing("crash", &url);
    daemon.start_working().await;
    daemon.account("alice", CREDIT).await;
    let mut client = Client::connect(&daemon.folder).await;
    let mut crashes = 0;
    load(&mut client, async |served| {
        if crashes < 4 && served >= (crashes + 1) * 239 {
            server.crash();
            server.run();
            crashes += 1;
        }
    })
    .await;
    assert_eq!(crashes, 4);
    daemon.works().await;
    audit(&daemon).await;
    daemon.stop();
    audit_records(&[&daemon]);
}

#[tokio::test]
async fn of_a_pair_one_may_die_and_every_request_is_answered() {
    let server = postgres::Server::start("pair");
    let url = server.database("pair");
    let mut works = Daemon::sharing("one", &url);
    let mut waits = Daemon::sharing("other", &url);
    works.start_working().await;
    works.account("alice", CREDIT).await;
    waits.start().await;
    waits.stands_by().await;
    // Whoever asks the one that stands by is sent to the other.
    let mut client = Client::connect(&waits.folder).await;
    let answer = client.result(&step("elsewhere", 0)).await;
    assert_eq!(answer, ResultCode::REDIRECT_INDICATION);
    // Two clients of one name would contend for the connection (RFC 6733 5.6.4).
    client.node.shutdown().await;

    let mut client = Client::connect_to(&[&waits.folder, &works.folder]).await;
    let mut kills = 0;
    load(&mut client, async |served| {
        if kills < 6 && served >= (kills + 1) * 173 {
            works.kill();
            waits.works().await;
            std::mem::swap(&mut works, &mut waits);
            waits.start().await;
            waits.stands_by().await;
            kills += 1;
        }
    })
    .await;
    assert_eq!(kills, 6);
    audit(&works).await;
    works.stop();
    waits.works().await;
    audit(&waits).await;
    waits.stop();
    audit_records(&[&works, &waits]);
}
