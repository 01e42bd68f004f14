//! Two peers on a simulated network with virtual time: latency, refused and broken connections.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollwire_diameter::dictionary::command;
use tollwire_diameter::peer::{
    Backoff, ConnectionId, Failure, LocalNode, Peer, PeerEffect, PeerEvent, PeerSettings, Refused,
};
use tollwire_diameter::{Identity, Message, ResultCode};

pub const LATENCY: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    A,
    B,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

#[derive(Debug)]
enum Arrival {
    /// The outcome of a connection attempt of this side.
    Connect(Side),
    Frame(Side, ConnectionId, Bytes),
    Hangup(Side, ConnectionId),
}

/// What one side told its application.
#[derive(Debug, Default)]
pub struct Heard {
    pub opened: usize,
    pub closed: usize,
    pub answers: Vec<(u64, Message)>,
    pub failures: Vec<(u64, Failure)>,
    pub requests: Vec<(ConnectionId, Message)>,
}

pub struct World {
    pub now: Instant,
    start: Instant,
    pub peers: HashMap<Side, Peer>,
    pub heard: HashMap<Side, Heard>,
    arrivals: BTreeMap<(Instant, u64), Arrival>,
    next_arrival: u64,
    next_connection: u64,
    /// Connections that stand, and whether B has heard of them by a CER.
    connections: HashMap<ConnectionId, Side>,
    introduced: HashMap<ConnectionId, bool>,
    /// Whether connections can be made to this side.
    pub reachable: HashMap<Side, bool>,
    /// Whether frames arrive at this side.
    pub hears: HashMap<Side, bool>,
    /// Every frame sent, with its moment.
    pub log: Vec<(Duration, Side, Message)>,
    /// Whether the other side answers requests at once.
    pub answers: bool,
    /// What it answers instead, if it refuses.
    pub refuses: Option<ResultCode>,
}

pub fn local(origin_host: &str) -> LocalNode {
    LocalNode {
        identity: Identity {
            origin_host: origin_host.into(),
            origin_realm: "example".into(),
        },
        product_name: "test".into(),
        auth_application_ids: vec![4, 16_777_236],
        ..LocalNode::default()
    }
}

pub fn settings(connects: bool) -> PeerSettings {
    PeerSettings {
        connect: connects.then(Backoff::default),
        ..PeerSettings::default()
    }
}

impl World {
    pub fn new(a: (LocalNode, PeerSettings), b: (LocalNode, PeerSettings)) -> Self {
        let now = Instant::now();
        let peer = |(local, settings): (LocalNode, PeerSettings), random| {
            Peer::new(Arc::new(local), settings, 1_700_000_000_000, random)
        };
        Self {
            now,
            start: now,
            peers: [(Side::A, peer(a, 11)), (Side::B, peer(b, 22))].into(),
            heard: [(Side::A, Heard::default()), (Side::B, Heard::default())].into(),
            arrivals: BTreeMap::new(),
            next_arrival: 0,
            next_connection: 0,
            connections: HashMap::new(),
            introduced: HashMap::new(),
            reachable: [(Side::A, true), (Side::B, true)].into(),
            hears: [(Side::A, true), (Side::B, true)].into(),
            log: Vec::new(),
            answers: true,
            refuses: None,
        }
    }

    /// A connects to B.
    pub fn client_and_server() -> Self {
        Self::new(
            (local("client.example"), settings(true)),
            (local("server.example"), settings(false)),
        )
    }

    pub fn tell(&mut self, side: Side, event: PeerEvent) {
        let mut effects = Vec::new();
        let now = self.now;
        self.peer(side).handle(now, event, &mut effects);
        self.carry_out(side, effects);
    }

    pub fn peer(&mut self, side: Side) -> &mut Peer {
        self.peers.get_mut(&side).unwrap()
    }

    pub fn heard(&mut self, side: Side) -> &mut Heard {
        self.heard.get_mut(&side).unwrap()
    }

    pub fn is_open(&self, side: Side) -> bool {
        self.peers[&side].open_connection().is_some()
    }

    pub fn send(&mut self, side: Side, token: u64, request: Message) -> Result<(), Refused> {
        let now = self.now;
        let mut effects = Vec::new();
        let sent = self
            .peer(side)
            .send_request(now, token, request, &mut effects);
        self.carry_out(side, effects);
        sent
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let arrival = self.arrivals.first_key_value().map(|((at, _), _)| *at);
            let deadline = [Side::A, Side::B]
                .iter()
                .filter_map(|side| self.peers[side].next_deadline())
                .min();
            let Some(next) = [arrival, deadline].into_iter().flatten().min() else {
                break;
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, arrival) = self.arrivals.pop_first().unwrap();
                self.arrive(arrival);
            } else {
                for side in [Side::A, Side::B] {
                    self.tell(side, PeerEvent::Tick);
                }
            }
        }
        self.now = end;
    }

    /// Breaks every connection: both sides hear of it.
    pub fn break_connections(&mut self) {
        let mut broken: Vec<ConnectionId> = self.connections.drain().map(|(id, _)| id).collect();
        broken.sort_unstable();
        for id in broken {
            for side in [Side::A, Side::B] {
                self.tell(side, PeerEvent::Disconnected(id));
            }
        }
    }

    /// Commands sent by `side`, as `(command, is request)`.
    pub fn sent(&self, side: Side) -> Vec<(u32, bool)> {
        self.log
            .iter()
            .filter(|(_, sender, _)| *sender == side)
            .map(|(_, _, message)| (message.command_code, message.is_request()))
            .collect()
    }

    /// Moments at which `side` sent `command_code`.
    pub fn moments(&self, side: Side, command_code: u32) -> Vec<Duration> {
        self.log
            .iter()
            .filter(|(_, sender, message)| *sender == side && message.command_code == command_code)
            .map(|(at, _, _)| *at)
            .collect()
    }

    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    fn schedule(&mut self, arrival: Arrival) {
        let key = (self.now + LATENCY, self.next_arrival);
        self.next_arrival += 1;
        self.arrivals.insert(key, arrival);
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Connect(side) if self.reachable[&side.other()] => {
                let id = ConnectionId(self.next_connection);
                self.next_connection += 1;
                self.connections.insert(id, side);
                self.tell(side, PeerEvent::Connected(id));
            }
            Arrival::Connect(side) => self.tell(side, PeerEvent::ConnectFailed),
            Arrival::Frame(to, id, frame) => {
                if !self.connections.contains_key(&id) || !self.hears[&to] {
                    return;
                }
                let initiator = self.connections[&id];
                let event = match Message::decode(frame) {
                    Ok(message) if to != initiator && !self.introduced.contains_key(&id) => {
                        assert_eq!(message.command_code, command::CAPABILITIES_EXCHANGE);
                        self.introduced.insert(id, true);
                        PeerEvent::Incoming {
                            connection: id,
                            cer: message,
                        }
                    }
                    Ok(message) => PeerEvent::Received {
                        connection: id,
                        message,
                    },
                    Err(malformed) => PeerEvent::Undecodable {
                        connection: id,
                        malformed,
                    },
                };
                self.tell(to, event);
            }
            Arrival::Hangup(to, id) => {
                if self.connections.remove(&id).is_some() {
                    self.tell(to, PeerEvent::Disconnected(id));
                }
            }
        }
    }

    fn carry_out(&mut self, side: Side, effects: Vec<PeerEffect>) {
        for effect in effects {
            match effect {
                PeerEffect::Connect => self.schedule(Arrival::Connect(side)),
                PeerEffect::Write { connection, frame } => {
                    let message = Message::decode(frame.clone()).expect("peers write what reads");
                    self.log.push((self.now - self.start, side, message));
                    self.schedule(Arrival::Frame(side.other(), connection, frame));
                }
                PeerEffect::Close { connection } => {
                    self.schedule(Arrival::Hangup(side.other(), connection));
                }
                PeerEffect::Opened { .. } => self.heard(side).opened += 1,
                PeerEffect::Closed { .. } => self.heard(side).closed += 1,
                PeerEffect::Request {
                    connection,
                    message,
                } => {
                    if self.answers {
                        let identity = Identity {
                            origin_host: "server.example".into(),
                            origin_realm: "example".into(),
                        };
                        let answer = self.refuses.map_or_else(
                            || message.answer_header(),
                            |code| message.refuse(&identity, code, None, None),
                        );
                        let frame = answer.encode();
                        self.schedule(Arrival::Frame(side.other(), connection, frame));
                    }
                    self.heard(side).requests.push((connection, message));
                }
                PeerEffect::Answer { token, message } => {
                    self.heard(side).answers.push((token, message));
                }
                PeerEffect::Failed { token, why } => self.heard(side).failures.push((token, why)),
            }
        }
    }
}
