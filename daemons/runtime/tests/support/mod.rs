//! Two nodes and their events, for the tests of the Diameter node.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod authority;
pub mod free_diameter;
pub mod raw;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tollwire_diameter::Message;
use tollwire_diameter::ResultCode;
use tollwire_diameter::base::TerminationCause;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlAnswer, CreditControlRequest, GrantedServiceUnit,
    MultipleServicesCreditControl, RequestedServiceUnit, SubscriptionId, SubscriptionIdType,
};
use tollwire_diameter::dictionary::{APPLICATION_CREDIT_CONTROL, APPLICATION_RX};
use tollwire_diameter::peer::Backoff;
use tollwire_runtime::diameter::{
    Address, Node, NodeConfig, NodeEvent, NodeHandle, PeerConfig, PeerId, ReplyTo,
};

/// Longer than anything here takes; reached only by a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A node with its events.
pub struct TestNode {
    pub handle: NodeHandle,
    pub events: mpsc::Receiver<NodeEvent>,
}

/// A directory of the test's own, removed at its end.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tollwire-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn socket(&self, name: &str) -> Address {
        Address::Unix(self.0.join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

pub fn config(origin_host: &str) -> NodeConfig {
    NodeConfig {
        origin_host: origin_host.to_owned(),
        origin_realm: "example".to_owned(),
        auth_application_ids: vec![APPLICATION_CREDIT_CONTROL, APPLICATION_RX],
        reconnect: Backoff {
            first: Duration::from_millis(10),
            max: Duration::from_millis(200),
        },
        ..NodeConfig::default()
    }
}

pub fn server(origin_host: &str, address: Address) -> NodeConfig {
    NodeConfig {
        listen: vec![address],
        ..config(origin_host)
    }
}

pub fn client(origin_host: &str, address: Address) -> NodeConfig {
    NodeConfig {
        connect: vec![PeerConfig {
            name: "server".to_owned(),
            address,
            alternatives: Vec::new(),
            origin_host: None,
        }],
        ..config(origin_host)
    }
}

pub fn server_id() -> PeerId {
    PeerId::new("server")
}

impl TestNode {
    pub fn start(config: NodeConfig) -> Self {
        Self::with_room(config, 1024)
    }

    pub fn with_room(config: NodeConfig, room: usize) -> Self {
        let (sender, events) = mpsc::channel(room);
        Self {
            handle: Node::start(config, sender).unwrap(),
            events,
        }
    }

    pub async fn next(&mut self) -> NodeEvent {
        tokio::time::timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("the node runs")
    }

    pub async fn opened(&mut self) -> (PeerId, String) {
        match self.next().await {
            NodeEvent::PeerOpen {
                peer, origin_host, ..
            } => (peer, origin_host),
            other => panic!("PeerOpen expected, not {other:?}"),
        }
    }

    pub async fn closed(&mut self) {
        match self.next().await {
            NodeEvent::PeerClosed { .. } => {}
            other => panic!("PeerClosed expected, not {other:?}"),
        }
    }

    pub async fn request(&mut self) -> (PeerId, ReplyTo, Message) {
        match self.next().await {
            NodeEvent::Request {
                peer,
                reply_to,
                message,
            } => (peer, reply_to, message),
            other => panic!("Request expected, not {other:?}"),
        }
    }

    pub async fn answer(&mut self) -> (u64, Message) {
        match self.next().await {
            NodeEvent::Answer { token, message } => (token, message),
            other => panic!("Answer expected, not {other:?}"),
        }
    }
}

pub fn credit_control_request(number: u32) -> CreditControlRequest {
    CreditControlRequest {
        session_id: "client.example;1;2".to_owned(),
        origin_host: "client.example".to_owned(),
        origin_realm: "example".to_owned(),
        destination_realm: "example".to_owned(),
        auth_application_id: APPLICATION_CREDIT_CONTROL,
        service_context_id: "32260@3gpp.org".to_owned(),
        cc_request_type: CcRequestType::InitialRequest,
        cc_request_number: number,
        termination_cause: Some(TerminationCause::Logout),
        subscription_ids: vec![SubscriptionId::new(
            SubscriptionIdType::EndUserSipUri,
            "sip:alice@example",
        )],
        multiple_services_credit_controls: vec![MultipleServicesCreditControl {
            rating_group: Some(100),
            requested_service_unit: Some(RequestedServiceUnit {
                cc_time: Some(60),
                ..RequestedServiceUnit::default()
            }),
            ..MultipleServicesCreditControl::default()
        }],
        ..CreditControlRequest::default()
    }
}

/// The answer of a server that grants what is asked.
pub fn grant(request: &Message) -> Message {
    let asked = CreditControlRequest::decode(request).unwrap();
    CreditControlAnswer {
        session_id: asked.session_id,
        result_code: Some(ResultCode::SUCCESS),
        origin_host: "server.example".to_owned(),
        origin_realm: "example".to_owned(),
        auth_application_id: asked.auth_application_id,
        cc_request_type: asked.cc_request_type,
        cc_request_number: asked.cc_request_number,
        multiple_services_credit_controls: asked
            .multiple_services_credit_controls
            .iter()
            .map(|services| MultipleServicesCreditControl {
                rating_group: services.rating_group,
                granted_service_unit: Some(GrantedServiceUnit {
                    cc_time: Some(60),
                    ..GrantedServiceUnit::default()
                }),
                result_code: Some(ResultCode::SUCCESS),
                ..MultipleServicesCreditControl::default()
            })
            .collect(),
        ..CreditControlAnswer::default()
    }
    .answer(request)
}

/// Waits for `condition` to hold, looking every few milliseconds.
pub async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "not in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
