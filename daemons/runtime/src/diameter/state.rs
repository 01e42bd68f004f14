mod pools;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tollwire_diameter::peer::{
    ConnectionId, LocalNode, Peer, PeerEffect, PeerEvent, PeerSettings, Refused,
};
use tollwire_diameter::{Message, ResultCode};
use tracing::{info, warn};

use crate::diameter::Address;
use crate::diameter::config::NodeConfig;
use crate::diameter::event::{NodeEvent, PeerId, ReplyTo};
use crate::diameter::listen;
use crate::diameter::tls::Tls;
use pools::Pooled;

/// Octets queued on a connection above which it is not read.
pub(super) const HIGH_WATER: usize = 1 << 20;
/// Octets queued on a connection above which it takes no new requests.
const REQUEST_LIMIT: usize = 16 << 20;
/// Octets queued on a connection above which its peer is taken for dead.
const QUEUE_LIMIT: usize = 64 << 20;

/// What all tasks of a node share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) local: Arc<LocalNode>,
    pub(super) config: NodeConfig,
    /// There if an address needs it.
    pub(super) tls: Option<Tls>,
    pub(super) events: mpsc::Sender<NodeEvent>,
    /// Becomes true when the node is being shut down.
    pub(super) stopping: watch::Sender<bool>,
    /// Rings when a deadline came to stand before all others.
    pub(super) timer: Notify,
    /// Rings when a connection has ended.
    pub(super) ended: Notify,
    runtime: Handle,
    state: Mutex<State>,
}

/// Peers and the queues of their connections. Held for some microseconds at a time.
#[derive(Debug, Default)]
pub(super) struct State {
    peers: HashMap<PeerId, Entry>,
    /// Services with several servers, each of which is one of the peers.
    pools: HashMap<PeerId, Pooled>,
    connections: HashMap<ConnectionId, Connection>,
    next_connection: u64,
    earliest: Option<Instant>,
    effects: Vec<PeerEffect>,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    /// Where it listens, if this side connects to it.
    address: Option<Address>,
    /// The pool that it is in, and its number there.
    pool: Option<(PeerId, usize)>,
}

#[derive(Debug)]
struct Connection {
    /// Whose it is, once known.
    peer: Option<PeerId>,
    /// Encoded frames that its task will write.
    queue: Vec<u8>,
    /// To be closed when the queue is empty.
    closing: bool,
    wake: Arc<Notify>,
}

/// What a connection's task is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// Go on.
    Open,
    /// Write what there is, then close.
    Closing,
}

impl Shared {
    pub(super) fn new(
        local: LocalNode,
        config: NodeConfig,
        tls: Option<Tls>,
        events: mpsc::Sender<NodeEvent>,
        runtime: Handle,
    ) -> Arc<Self> {
        Arc::new(Self {
            local: Arc::new(local),
            config,
            tls,
            events,
            stopping: watch::Sender::new(false),
            timer: Notify::new(),
            ended: Notify::new(),
            runtime,
            state: Mutex::new(State::default()),
        })
    }

    // A panic while the lock is held leaves whole values behind: no invariant spans two fields.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to connect to every configured peer.
    pub(super) fn start_peers(self: &Arc<Self>) {
        let mut state = self.lock();
        for config in &self.config.connect {
            let name = PeerId::new(&config.name);
            let several = !config.alternatives.is_empty();
            let mut members = Vec::new();
            for (number, address) in config.addresses().enumerate() {
                let id = match several {
                    true => PeerId::new(&format!("{name} at {address}")),
                    false => name.clone(),
                };
                let entry = Entry {
                    peer: self.new_peer(config.origin_host.clone(), true, several),
                    address: Some(address.clone()),
                    pool: several.then(|| (name.clone(), number)),
                };
                state.peers.insert(id.clone(), entry);
                members.push(id);
            }
            if several {
                let pool = self.new_pool(members.len());
                let members = members.clone();
                (state.pools).insert(name, Pooled { pool, members });
            }
            for id in members {
                self.tell(&mut state, &id, PeerEvent::Start, &mut Vec::new());
            }
        }
    }

    fn new_peer(&self, origin_host: Option<String>, connects: bool, several: bool) -> Peer {
        let (unix_ms, random) = beginning();
        let settings = PeerSettings {
            origin_host,
            connect: connects.then_some(self.config.reconnect),
            watchdog: self.config.watchdog,
            connect_timeout: self.config.connect_timeout,
            request_timeout: self.config.request_timeout,
            max_pending: self.config.max_pending,
            has_alternatives: several,
        };
        Peer::new(self.local.clone(), settings, unix_ms, random)
    }

    /// Hands `event` to a peer and carries out what follows, up to the events for the daemon.
    fn tell(
        self: &Arc<Self>,
        state: &mut State,
        id: &PeerId,
        event: PeerEvent,
        events: &mut Vec<NodeEvent>,
    ) {
        let mut effects = std::mem::take(&mut state.effects);
        let Some(entry) = state.peers.get_mut(id) else {
            return;
        };
        entry.peer.handle(Instant::now(), event, &mut effects);
        let deadline = entry.peer.next_deadline();
        self.carry_out(state, id, &mut effects, events);
        state.effects = effects;
        self.watch_deadline(state, deadline);
    }

    fn watch_deadline(&self, state: &mut State, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if state.earliest.is_none_or(|earliest| deadline < earliest) {
            state.earliest = Some(deadline);
            self.timer.notify_one();
        }
    }

    fn carry_out(
        self: &Arc<Self>,
        state: &mut State,
        id: &PeerId,
        effects: &mut Vec<PeerEffect>,
        events: &mut Vec<NodeEvent>,
    ) {
        let pool = (state.peers.get(id)).and_then(|entry| entry.pool.clone());
        // What the daemon knows the peer by.
        let name = pool.as_ref().map_or(id, |(name, _)| name);
        for effect in effects.drain(..) {
            match effect {
                PeerEffect::Connect => self.connect(state, id),
                PeerEffect::Write { connection, frame } => state.queue(connection, &frame),
                PeerEffect::Close { connection } => state.close(connection),
                PeerEffect::Opened { remote, .. } => {
                    info!(peer = %id, origin_host = remote.origin_host, "Diameter peer open");
                    if let Some((pool, number)) = &pool {
                        let mut is_first = false;
                        self.ask_pool(state, pool, events, |pool, now, effects| {
                            is_first = pool.opened(now, *number, &remote.origin_host, effects);
                        });
                        if !is_first {
                            continue;
                        }
                    }
                    events.push(NodeEvent::PeerOpen {
                        peer: name.clone(),
                        origin_host: remote.origin_host,
                        origin_realm: remote.origin_realm,
                        origin_state_id: remote.origin_state_id,
                    });
                }
                PeerEffect::Closed { .. } => {
                    info!(peer = %id, "Diameter peer closed");
                    if let Some((pool, number)) = &pool {
                        if let Some(entry) = state.peers.get_mut(id) {
                            entry.peer.forget_pending();
                        }
                        let mut was_last = false;
                        self.ask_pool(state, pool, events, |pool, now, effects| {
                            was_last = pool.closed(now, *number, effects);
                        });
                        if !was_last {
                            continue;
                        }
                    }
                    events.push(NodeEvent::PeerClosed { peer: name.clone() });
                }
                PeerEffect::Request {
                    connection,
                    message,
                } => events.push(NodeEvent::Request {
                    peer: name.clone(),
                    reply_to: ReplyTo(connection),
                    message,
                }),
                PeerEffect::Answer { token, message } => match &pool {
                    Some((pool, _)) => self.ask_pool(state, pool, events, |pool, now, effects| {
                        pool.answered(now, token, message, effects);
                    }),
                    None => events.push(NodeEvent::Answer { token, message }),
                },
                PeerEffect::Failed { token, why } => match &pool {
                    Some((pool, _)) => self.ask_pool(state, pool, events, |pool, _, effects| {
                        pool.failed(token, why, effects);
                    }),
                    None => events.push(NodeEvent::Failed { token, why }),
                },
            }
        }
    }

    fn connect(self: &Arc<Self>, state: &State, id: &PeerId) {
        let Some(entry) = state.peers.get(id) else {
            return;
        };
        let Some(address) = entry.address.clone() else {
            return;
        };
        self.runtime
            .spawn(listen::connect(self.clone(), id.clone(), address));
    }

    /// The outcome of a connector's attempt: the machine hears of it; the connection's wake-up is
    /// returned if there is one to run.
    pub(super) fn connected(
        self: &Arc<Self>,
        id: &PeerId,
        succeeded: bool,
        events: &mut Vec<NodeEvent>,
    ) -> Option<(ConnectionId, Arc<Notify>)> {
        let mut state = self.lock();
        if !succeeded {
            self.tell(&mut state, id, PeerEvent::ConnectFailed, events);
            return None;
        }
        let (connection, wake) = state.add_connection(Some(id.clone()));
        self.tell(&mut state, id, PeerEvent::Connected(connection), events);
        Some((connection, wake))
    }

    /// Room for a connection that came in; `None` if there are too many.
    pub(super) fn accept(&self) -> Option<(ConnectionId, Arc<Notify>)> {
        let mut state = self.lock();
        if state.connections.len() >= self.config.max_peers || *self.stopping.borrow() {
            return None;
        }
        Some(state.add_connection(None))
    }

    /// The first message of an incoming connection, which must be a CER.
    pub(super) fn introduce(
        self: &Arc<Self>,
        connection: ConnectionId,
        cer: Message,
        events: &mut Vec<NodeEvent>,
    ) {
        let origin_host = cer.origin_host().unwrap_or_default().to_owned();
        let origin_realm = cer
            .text(&tollwire_diameter::dictionary::ORIGIN_REALM)
            .unwrap_or_default();
        let allowed = self.config.allowed_peers.is_empty()
            || self
                .config
                .allowed_peers
                .iter()
                .any(|peer| peer.matches(&origin_host, origin_realm));
        let mut state = self.lock();
        if !allowed {
            warn!(origin_host, origin_realm, "Diameter peer is not allowed");
            let cea =
                self.local
                    .refuse_cer(&cer, ResultCode::UNKNOWN_PEER, "the peer is not allowed");
            state.queue(connection, &cea.encode());
            state.close(connection);
            return;
        }
        let id = self.peer_of(&state, &origin_host);
        if !state.peers.contains_key(&id) {
            state.forget_idle();
            if state.peers.len() >= self.config.max_peers + self.config.connect.len() {
                state.close(connection);
                return;
            }
            let entry = Entry {
                peer: self.new_peer(None, false, false),
                address: None,
                pool: None,
            };
            state.peers.insert(id.clone(), entry);
        }
        if let Some(entry) = state.connections.get_mut(&connection) {
            entry.peer = Some(id.clone());
        }
        let event = PeerEvent::Incoming { connection, cer };
        self.tell(&mut state, &id, event, events);
    }

    /// The configured peer that has this Origin-Host, or else the one named after it.
    fn peer_of(&self, state: &State, origin_host: &str) -> PeerId {
        let expected = self.config.connect.iter().find(|config| {
            let host = config.origin_host.as_deref();
            host.unwrap_or(&config.name)
                .eq_ignore_ascii_case(origin_host)
        });
        if let Some(config) = expected {
            return PeerId::new(&config.name);
        }
        find_by_origin_host(state, origin_host)
            .unwrap_or_else(|| PeerId::new(&origin_host.to_ascii_lowercase()))
    }

    /// Messages that arrived on a connection whose peer is known, under one lock.
    pub(super) fn received(
        self: &Arc<Self>,
        connection: ConnectionId,
        arrivals: impl Iterator<Item = PeerEvent>,
        events: &mut Vec<NodeEvent>,
    ) {
        let mut state = self.lock();
        let Some(id) = state.owner(connection) else {
            return;
        };
        for event in arrivals {
            self.tell(&mut state, &id, event, events);
        }
    }

    /// Whether the connection's peer is known.
    pub(super) fn is_introduced(&self, connection: ConnectionId) -> bool {
        self.lock().owner(connection).is_some()
    }

    /// Queues one frame on a connection that has no peer yet, and closes it.
    pub(super) fn dismiss(&self, connection: ConnectionId, answer: Option<&Message>) {
        let mut state = self.lock();
        if let Some(answer) = answer {
            state.queue(connection, &answer.encode());
        }
        state.close(connection);
    }

    /// Moves the queue into `buffer`, which must be empty.
    pub(super) fn take_queue(&self, connection: ConnectionId, buffer: &mut Vec<u8>) -> Course {
        let mut state = self.lock();
        let Some(connection) = state.connections.get_mut(&connection) else {
            return Course::Closing;
        };
        std::mem::swap(&mut connection.queue, buffer);
        if connection.closing {
            Course::Closing
        } else {
            Course::Open
        }
    }

    /// Whether the connection is to be closed.
    pub(super) fn course(&self, connection: ConnectionId) -> Course {
        match self.lock().connections.get(&connection) {
            Some(connection) if !connection.closing => Course::Open,
            _ => Course::Closing,
        }
    }

    /// Octets queued behind those that the connection's task is writing.
    pub(super) fn backlog(&self, connection: ConnectionId) -> usize {
        backlog(&self.lock().connections, connection)
    }

    /// The socket is gone.
    pub(super) fn disconnected(
        self: &Arc<Self>,
        connection: ConnectionId,
        events: &mut Vec<NodeEvent>,
    ) {
        let mut state = self.lock();
        let Some(gone) = state.connections.remove(&connection) else {
            return;
        };
        if let Some(id) = gone.peer {
            let event = PeerEvent::Disconnected(connection);
            self.tell(&mut state, &id, event, events);
        }
        drop(state);
        self.ended.notify_waiters();
    }

    /// Lets every peer whose time has come act on it; when the next one's comes is returned.
    pub(super) fn tick(self: &Arc<Self>, events: &mut Vec<NodeEvent>) -> Option<Instant> {
        let mut state = self.lock();
        let now = Instant::now();
        let due: Vec<PeerId> = state
            .peers
            .iter()
            .filter(|(_, entry)| entry.peer.next_deadline().is_some_and(|at| at <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &due {
            self.tell(&mut state, id, PeerEvent::Tick, events);
        }
        self.tick_pools(&mut state, now, events);
        state.forget_idle();
        let of_peers = (state.peers.values()).filter_map(|entry| entry.peer.next_deadline());
        let of_pools = (state.pools.values()).filter_map(|pooled| pooled.pool.next_deadline());
        state.earliest = of_peers.chain(of_pools).min();
        state.earliest
    }

    /// When the next peer's time comes.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.lock().earliest
    }

    pub(super) fn send_request(
        self: &Arc<Self>,
        id: &PeerId,
        token: u64,
        request: Message,
    ) -> Result<(), Refused> {
        let mut state = self.lock();
        match state.pools.contains_key(id) {
            true => self.send_to_pool(&mut state, id, token, request),
            false => self.send(&mut state, id, token, request),
        }
    }

    /// Sends a request to one peer.
    fn send(
        self: &Arc<Self>,
        state: &mut State,
        id: &PeerId,
        token: u64,
        request: Message,
    ) -> Result<(), Refused> {
        let mut effects = std::mem::take(&mut state.effects);
        let entry = state.peers.get_mut(id).ok_or(Refused::Unreachable)?;
        let connection = entry.peer.open_connection();
        if connection
            .is_some_and(|connection| backlog(&state.connections, connection) > REQUEST_LIMIT)
        {
            return Err(Refused::Full);
        }
        let sent = entry
            .peer
            .send_request(Instant::now(), token, request, &mut effects);
        let deadline = entry.peer.next_deadline();
        self.carry_out(state, id, &mut effects, &mut Vec::new());
        state.effects = effects;
        self.watch_deadline(state, deadline);
        sent
    }

    pub(super) fn answer(&self, ReplyTo(connection): ReplyTo, answer: &Message) -> bool {
        let mut state = self.lock();
        let open = state
            .connections
            .get(&connection)
            .is_some_and(|connection| !connection.closing);
        if open {
            state.queue_message(connection, answer);
        }
        open
    }

    pub(super) fn find(&self, origin_host: &str) -> Option<PeerId> {
        find_by_origin_host(&self.lock(), origin_host)
    }

    pub(super) fn is_open(&self, id: &PeerId) -> bool {
        let state = self.lock();
        let of_peer = |entry: &Entry| entry.peer.open_connection().is_some();
        match state.pools.get(id) {
            Some(pooled) => pooled.pool.is_open(),
            None => state.peers.get(id).is_some_and(of_peer),
        }
    }

    /// Every peer, whether it is open, and how many requests wait for it.
    pub(super) fn peers(&self) -> Vec<(PeerId, bool, usize)> {
        self.lock()
            .peers
            .iter()
            .map(|(id, entry)| {
                let open = entry.peer.open_connection().is_some();
                (id.clone(), open, entry.peer.pending())
            })
            .collect()
    }

    /// Sends a DPR to every peer, and closes connections that have none.
    pub(super) fn stop_peers(
        self: &Arc<Self>,
        cause: tollwire_diameter::base::DisconnectCause,
        events: &mut Vec<NodeEvent>,
    ) {
        let mut state = self.lock();
        self.stop_pools(&mut state, events);
        let peers: Vec<PeerId> = state.peers.keys().cloned().collect();
        for id in &peers {
            self.tell(&mut state, id, PeerEvent::Stop(cause), events);
        }
        for connection in state.connections.values_mut() {
            if connection.peer.is_none() {
                connection.closing = true;
                connection.wake.notify_one();
            }
        }
    }

    /// Closes every connection without waiting for its peer.
    pub(super) fn close_all(&self) {
        for connection in self.lock().connections.values_mut() {
            connection.closing = true;
            connection.wake.notify_one();
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.lock().connections.len()
    }
}

/// The wall clock and a random number, for the identifiers of a node's requests (RFC 6733 3).
fn beginning() -> (i64, u64) {
    let unix_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
    // Identifiers need not be secret; without entropy they are merely predictable.
    (unix_ms, getrandom::u64().unwrap_or(unix_ms.unsigned_abs()))
}

fn backlog(connections: &HashMap<ConnectionId, Connection>, connection: ConnectionId) -> usize {
    connections
        .get(&connection)
        .map_or(0, |connection| connection.queue.len())
}

fn find_by_origin_host(state: &State, origin_host: &str) -> Option<PeerId> {
    let is = |entry: &Entry| {
        entry
            .peer
            .remote()
            .is_some_and(|remote| remote.origin_host.eq_ignore_ascii_case(origin_host))
    };
    state
        .peers
        .iter()
        .find(|(_, entry)| is(entry))
        .map(|(id, _)| id.clone())
}

impl State {
    fn add_connection(&mut self, peer: Option<PeerId>) -> (ConnectionId, Arc<Notify>) {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let wake = Arc::new(Notify::new());
        self.connections.insert(
            id,
            Connection {
                peer,
                queue: Vec::new(),
                closing: false,
                wake: wake.clone(),
            },
        );
        (id, wake)
    }

    fn owner(&self, connection: ConnectionId) -> Option<PeerId> {
        self.connections.get(&connection)?.peer.clone()
    }

    fn queue(&mut self, connection: ConnectionId, frame: &[u8]) {
        self.with_queue(connection, |queue| queue.extend_from_slice(frame));
    }

    fn queue_message(&mut self, connection: ConnectionId, message: &Message) {
        self.with_queue(connection, |queue| message.encode_into(queue));
    }

    fn with_queue(&mut self, connection: ConnectionId, append: impl FnOnce(&mut Vec<u8>)) {
        let Some(connection) = self.connections.get_mut(&connection) else {
            return;
        };
        append(&mut connection.queue);
        if connection.queue.len() > QUEUE_LIMIT {
            warn!("a Diameter peer does not read; its connection is closed");
            connection.queue = Vec::new();
            connection.closing = true;
        }
        connection.wake.notify_one();
    }

    fn close(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.closing = true;
            connection.wake.notify_one();
        }
    }

    fn forget_idle(&mut self) {
        self.peers
            .retain(|_, entry| entry.address.is_some() || !entry.peer.is_idle());
    }
}
