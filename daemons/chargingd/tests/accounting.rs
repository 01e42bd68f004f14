//! Accounting storage on PostgreSQL, in two daemons at once: whatever is killed, each record is kept once.

mod support;

use std::collections::HashMap;

use support::postgres;
use support::ro::{DEADLINE, Daemon};
use tokio::sync::mpsc;
use tollwire_diameter::ResultCode;
use tollwire_diameter::accounting::{AccountingRecordType, AccountingRequest};
use tollwire_runtime::accounting::{Kind, SERVICE_CONTEXT, carrier, session_id};
use tollwire_runtime::diameter::{
    Address, Node, NodeConfig, NodeEvent, NodeHandle, PeerConfig, PeerId,
};

const RECORDS: u64 = 1200;
const WINDOW: usize = 40;
const ELEMENT: &str = "records.smscd.test";

/// Sends the records of one element.
struct Client {
    node: NodeHandle,
    events: mpsc::Receiver<NodeEvent>,
    waiting: HashMap<u64, u64>,
    ready: Vec<u64>,
    token: u64,
    acknowledged: u64,
}

impl Client {
    async fn connect(name: &str, daemon: &Daemon) -> Self {
        let (sender, events) = mpsc::channel(1000);
        let config = NodeConfig {
            origin_host: name.into(),
            origin_realm: "test".into(),
            acct_application_ids: vec![3],
            connect: vec![PeerConfig {
                name: "storage".into(),
                address: Address::Unix(daemon.folder.join("ro.sock")),
                alternatives: Vec::new(),
                origin_host: None,
            }],
            request_timeout: DEADLINE,
            ..NodeConfig::default()
        };
        let mut client = Self {
            node: Node::start(config, sender).unwrap(),
            events,
            waiting: HashMap::new(),
            ready: (1..=RECORDS).rev().collect(),
            token: 0,
            acknowledged: 0,
        };
        while !matches!(client.event().await, NodeEvent::PeerOpen { .. }) {}
        client
    }

    async fn event(&mut self) -> NodeEvent {
        let event = tokio::time::timeout(DEADLINE, self.events.recv()).await;
        event.unwrap().unwrap()
    }

    /// Sends until an answer counts; a record that was not kept goes again.
    async fn one_more(&mut self) {
        loop {
            while self.waiting.len() < WINDOW
                && let Some(number) = self.ready.pop()
            {
                self.token += 1;
                let request = record(number).encode(0, 0);
                let peer = PeerId::new("storage");
                if (self.node.send_request(&peer, self.token, request)).is_err() {
                    self.ready.push(number);
                    break;
                }
                self.waiting.insert(self.token, number);
            }
            match self.event().await {
                NodeEvent::Answer { token, message } => {
                    let number = self.waiting.remove(&token).unwrap();
                    match message.result_code() {
                        Some(ResultCode::SUCCESS) => {
                            self.acknowledged += 1;
                            return;
                        }
                        Some(ResultCode::TOO_BUSY) => self.ready.push(number),
                        other => panic!("{number}: {other:?}"),
                    }
                }
                NodeEvent::Failed { why, .. } => panic!("{why:?}"),
                _ => {}
            }
        }
    }
}

fn record(number: u64) -> AccountingRequest {
    AccountingRequest {
        session_id: session_id(ELEMENT, number),
        origin_host: ELEMENT.into(),
        origin_realm: "test".into(),
        destination_realm: "test".into(),
        accounting_record_type: AccountingRecordType::EventRecord,
        acct_application_id: Some(3),
        service_context_id: Some(SERVICE_CONTEXT.into()),
        service_specific_infos: vec![carrier(
            Kind::Message,
            format!("{{\"sequence_number\":{number}}}"),
        )],
        ..AccountingRequest::default()
    }
}

#[tokio::test]
async fn two_daemons_killed_in_turn_keep_each_record_once_in_one_database() {
    let mut server = postgres::Server::start("accounting-killed");
    let url = server.database("records");
    let mut daemons = [
        Daemon::keeping_records("keeper-a", &url),
        Daemon::keeping_records("keeper-b", &url),
    ];
    let mut clients = Vec::new();
    for (name, daemon) in ["one.test", "other.test"].into_iter().zip(&mut daemons) {
        daemon.start_working().await;
        clients.push(Client::connect(name, daemon).await);
    }
    // The same records to both, as a sender does whose first storage did not answer.
    let mut losses = 0;
    for acknowledged in 1..=RECORDS {
        for client in &mut clients {
            client.one_more().await;
        }
        if acknowledged % 100 == 0 && losses < 11 {
            losses += 1;
            match losses % 3 {
                0 => {
                    server.crash();
                    server.run();
                }
                which => {
                    daemons[which - 1].kill();
                    daemons[which - 1].start().await;
                }
            }
        }
    }
    assert_eq!(losses, 11);
    for daemon in &daemons {
        let listed = daemon.ask("/accounting/records?limit=100000").await;
        let listed = listed.as_array().unwrap();
        let mut numbers: Vec<u64> = (listed.iter())
            .map(|it| it["sequence_number"].as_u64().unwrap())
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(1..=RECORDS));
        assert!(listed.iter().all(|it| it["variant"] == 0));
        let elements = daemon.ask("/accounting/elements").await;
        assert_eq!(elements[0]["element"], ELEMENT);
        assert_eq!(elements[0]["records"], RECORDS);
        assert_eq!(elements[0]["missing"], 0);
        let id = &listed[0]["id"];
        let detail = daemon.ask(&format!("/accounting/records/{id}")).await;
        assert_eq!(
            detail["carried"]["sequence_number"],
            listed[0]["sequence_number"]
        );
    }
}
