use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::DisconnectCause;
use crate::message::Message;
use crate::peer::local::LocalNode;
use crate::peer::pending::Pending;
use crate::peer::watchdog::{Verdict, Watchdog};
use crate::peer::{ConnectionId, Failure, PeerEffect, PeerEvent, PeerSettings, Refused, Remote};

/// The state machine of one peer (RFC 6733 5.6).
#[derive(Debug)]
pub struct Peer {
    pub(super) local: Arc<LocalNode>,
    pub(super) settings: PeerSettings,
    pub(super) state: State,
    pub(super) remote: Option<Remote>,
    pub(super) pending: Pending,
    pub(super) watchdog: Option<Watchdog>,
    /// Until when the transport, the CEA or the DPA may take.
    pub(super) state_deadline: Option<Instant>,
    /// When to connect again.
    reconnect_at: Option<Instant>,
    pub(super) pause: Option<Duration>,
    pub(super) opened_at: Option<Instant>,
    /// When anything at all last came from it.
    pub(super) heard_at: Option<Instant>,
    /// Whether the connection is to stand: since Start, until Stop.
    wanted: bool,
    stopped: bool,
    next_hop_by_hop_id: u32,
    next_end_to_end_id: u32,
    random: u64,
}

/// The states of RFC 6733 5.6. I-Open and R-Open differ in nothing but the connection they use.
#[derive(Debug)]
pub(super) enum State {
    Closed,
    WaitConnAck,
    WaitICea {
        initiator: ConnectionId,
    },
    WaitConnAckElect {
        responder: Responder,
    },
    WaitReturns {
        initiator: ConnectionId,
        responder: Responder,
    },
    Open {
        connection: ConnectionId,
    },
    Closing {
        connection: ConnectionId,
    },
}

/// An incoming connection whose CER is not answered yet.
#[derive(Debug)]
pub(super) struct Responder {
    pub(super) connection: ConnectionId,
    pub(super) cer: Box<Message>,
    pub(super) remote: Remote,
}

impl Peer {
    /// A peer in the state Closed. `unix_ms` and `random` begin the identifiers, as RFC 6733 3 asks:
    /// the high 12 bits of End-to-End Identifiers are the time, the rest is random.
    pub fn new(local: Arc<LocalNode>, settings: PeerSettings, unix_ms: i64, random: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = random.to_be_bytes();
        let seconds = unix_ms.div_euclid(1000).rem_euclid(1 << 12);
        let high = u32::try_from(seconds).unwrap_or(0) << 20;
        Self {
            local,
            settings,
            state: State::Closed,
            remote: None,
            pending: Pending::default(),
            watchdog: None,
            state_deadline: None,
            reconnect_at: None,
            pause: None,
            opened_at: None,
            heard_at: None,
            wanted: false,
            stopped: false,
            next_hop_by_hop_id: u32::from_be_bytes([a, b, c, d]),
            next_end_to_end_id: high | (u32::from_be_bytes([e, f, g, h]) & 0x000f_ffff),
            random: random | 1,
        }
    }

    /// Takes one event; what is to be done is appended to `effects`.
    pub fn handle(&mut self, now: Instant, event: PeerEvent, effects: &mut Vec<PeerEffect>) {
        match event {
            PeerEvent::Start => self.start(now, effects),
            PeerEvent::Connected(connection) => self.connected(now, connection, effects),
            PeerEvent::ConnectFailed => self.connect_failed(now, effects),
            PeerEvent::Incoming { connection, cer } => {
                self.incoming(now, connection, cer, effects);
            }
            PeerEvent::Received {
                connection,
                message,
            } => self.received(now, connection, message, effects),
            PeerEvent::Undecodable {
                connection,
                malformed,
            } => self.undecodable(now, connection, &malformed, effects),
            PeerEvent::Disconnected(connection) => self.disconnected(now, connection, effects),
            PeerEvent::Stop(cause) => self.stop(now, cause, effects),
            PeerEvent::Tick => self.tick(now, effects),
        }
    }

    /// Sends `request`, with a Hop-by-Hop Identifier of its own, and an End-to-End Identifier if its
    /// is 0. [`PeerEffect::Answer`] or [`PeerEffect::Failed`] follows with `token`.
    ///
    /// # Errors
    /// [`Refused`]: the request was not sent, and nothing follows.
    pub fn send_request(
        &mut self,
        now: Instant,
        token: u64,
        mut request: Message,
        effects: &mut Vec<PeerEffect>,
    ) -> Result<(), Refused> {
        let connection = self.open_connection().ok_or(Refused::Unreachable)?;
        if self.watchdog.as_ref().is_some_and(Watchdog::is_suspect) {
            return Err(Refused::Unreachable);
        }
        let remote = self.remote.as_ref().ok_or(Refused::Unreachable)?;
        if !remote.supports(request.application_id) {
            return Err(Refused::Unsupported);
        }
        if self.pending.len() >= self.settings.max_pending {
            return Err(Refused::Full);
        }
        request.hop_by_hop_id = self.new_hop_by_hop_id();
        if request.end_to_end_id == 0 {
            request.end_to_end_id = self.new_end_to_end_id();
        }
        let frame = request.encode();
        self.pending.insert(
            request.hop_by_hop_id,
            token,
            frame.clone(),
            now + self.settings.request_timeout,
        );
        effects.push(PeerEffect::Write { connection, frame });
        Ok(())
    }

    /// When [`PeerEvent::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        [
            self.state_deadline,
            self.reconnect_at,
            self.watchdog.as_ref().map(Watchdog::deadline),
            self.pending.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The connection that requests can be sent on.
    pub fn open_connection(&self) -> Option<ConnectionId> {
        match self.state {
            State::Open { connection } => Some(connection),
            _ => None,
        }
    }

    /// What the peer said of itself when the connection was last opened.
    pub fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    /// Forgets the requests that wait for their answer: another server is asked instead.
    pub fn forget_pending(&mut self) {
        self.pending.drain();
    }

    /// Requests that wait for their answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing is left to do: closed, nothing waiting, no connection wanted.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Closed) && self.pending.len() == 0 && !self.wanted
    }

    fn start(&mut self, now: Instant, effects: &mut Vec<PeerEffect>) {
        self.wanted = true;
        self.stopped = false;
        if matches!(self.state, State::Closed) {
            self.connect(now, effects);
        }
    }

    fn connect(&mut self, now: Instant, effects: &mut Vec<PeerEffect>) {
        self.reconnect_at = None;
        self.state = State::WaitConnAck;
        self.state_deadline = Some(now + self.settings.connect_timeout);
        effects.push(PeerEffect::Connect);
    }

    fn connected(&mut self, now: Instant, initiator: ConnectionId, effects: &mut Vec<PeerEffect>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::WaitConnAck => {
                self.send_cer(now, initiator, effects);
                self.state = State::WaitICea { initiator };
            }
            State::WaitConnAckElect { responder } => {
                self.send_cer(now, initiator, effects);
                self.elect(now, initiator, responder, effects);
            }
            other => {
                // A connection that came up after its time.
                self.state = other;
                effects.push(PeerEffect::Close {
                    connection: initiator,
                });
            }
        }
    }

    fn connect_failed(&mut self, now: Instant, effects: &mut Vec<PeerEffect>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::WaitConnAck => self.enter_closed(now, effects),
            State::WaitConnAckElect { responder } => self.open_responder(now, responder, effects),
            other => self.state = other,
        }
    }

    /// R-Conn-CER.
    fn incoming(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        cer: Message,
        effects: &mut Vec<PeerEffect>,
    ) {
        let Some(remote) = self.process_cer(connection, &cer, effects) else {
            return;
        };
        let responder = Responder {
            connection,
            cer: Box::new(cer),
            remote,
        };
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed if !self.stopped => self.open_responder(now, responder, effects),
            State::WaitConnAck => self.state = State::WaitConnAckElect { responder },
            State::WaitICea { initiator } => self.elect(now, initiator, responder, effects),
            other => {
                // R-Reject: the peer has a connection already.
                self.state = other;
                effects.push(PeerEffect::Close { connection });
            }
        }
    }

    pub(super) fn open(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        remote: Remote,
        effects: &mut Vec<PeerEffect>,
    ) {
        self.state = State::Open { connection };
        self.state_deadline = None;
        self.reconnect_at = None;
        self.opened_at = Some(now);
        self.heard_at = Some(now);
        let interval = self.jittered(self.settings.watchdog);
        self.watchdog = Some(Watchdog::new(now, interval));
        self.remote = Some(remote.clone());
        effects.push(PeerEffect::Opened {
            connection,
            remote: Box::new(remote),
        });
        // RFC 6733 5.5.4: what was not answered is sent again, with the T bit.
        for frame in self.pending.retransmissions() {
            effects.push(PeerEffect::Write { connection, frame });
        }
    }

    fn disconnected(&mut self, now: Instant, lost: ConnectionId, effects: &mut Vec<PeerEffect>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open { connection } if connection == lost => {
                effects.push(PeerEffect::Closed { connection });
                self.enter_closed(now, effects);
            }
            State::Closing { connection } if connection == lost => self.enter_closed(now, effects),
            State::WaitICea { initiator } if initiator == lost => self.enter_closed(now, effects),
            State::WaitConnAckElect { responder } if responder.connection == lost => {
                self.state = State::WaitConnAck;
            }
            State::WaitReturns {
                initiator,
                responder,
            } => {
                if responder.connection == lost {
                    self.state = State::WaitICea { initiator };
                } else if initiator == lost {
                    self.open_responder(now, responder, effects);
                } else {
                    self.state = State::WaitReturns {
                        initiator,
                        responder,
                    };
                }
            }
            other => self.state = other,
        }
    }

    fn stop(&mut self, now: Instant, cause: DisconnectCause, effects: &mut Vec<PeerEffect>) {
        self.wanted = false;
        self.stopped = true;
        self.reconnect_at = None;
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open { connection } => {
                let dpr = self
                    .local
                    .dpr(cause)
                    .encode(self.new_hop_by_hop_id(), self.new_end_to_end_id());
                effects.push(PeerEffect::Write {
                    connection,
                    frame: dpr.encode(),
                });
                self.enter_closing(now, connection, effects);
            }
            State::Closing { connection } => self.state = State::Closing { connection },
            other => self.abandon(now, other, effects),
        }
    }

    /// Error: every connection of `state` is closed.
    fn abandon(&mut self, now: Instant, state: State, effects: &mut Vec<PeerEffect>) {
        let (first, second) = match state {
            State::Closed | State::WaitConnAck => (None, None),
            State::WaitICea { initiator } => (Some(initiator), None),
            State::WaitConnAckElect { responder } => (Some(responder.connection), None),
            State::WaitReturns {
                initiator,
                responder,
            } => (Some(initiator), Some(responder.connection)),
            State::Open { connection } => {
                effects.push(PeerEffect::Closed { connection });
                (Some(connection), None)
            }
            State::Closing { connection } => (Some(connection), None),
        };
        for connection in [first, second].into_iter().flatten() {
            effects.push(PeerEffect::Close { connection });
        }
        self.enter_closed(now, effects);
    }

    pub(super) fn enter_closing(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        effects: &mut Vec<PeerEffect>,
    ) {
        self.state = State::Closing { connection };
        self.state_deadline = Some(now + self.settings.connect_timeout);
        self.watchdog = None;
        effects.push(PeerEffect::Closed { connection });
    }

    /// The connection was closed by this side, or is to be; nothing may use it any more.
    pub(super) fn enter_closed(&mut self, now: Instant, effects: &mut Vec<PeerEffect>) {
        self.state = State::Closed;
        self.state_deadline = None;
        self.watchdog = None;
        if self.stopped {
            for token in self.pending.drain() {
                effects.push(PeerEffect::Failed {
                    token,
                    why: Failure::Stopped,
                });
            }
        }
        if let (true, Some(backoff)) = (self.wanted, self.settings.connect) {
            if let Some(opened_at) = self.opened_at.take()
                && now.saturating_duration_since(opened_at) >= backoff.max
            {
                self.pause = None;
            }
            let pause = backoff.after(self.pause);
            self.pause = Some(pause);
            self.reconnect_at = Some(now + pause);
        }
    }

    fn tick(&mut self, now: Instant, effects: &mut Vec<PeerEffect>) {
        let mut expired = false;
        while let Some(token) = self.pending.pop_expired(now) {
            expired = true;
            effects.push(PeerEffect::Failed {
                token,
                why: Failure::Timeout,
            });
        }
        if expired && self.is_silent(now) {
            let state = std::mem::replace(&mut self.state, State::Closed);
            self.abandon(now, state, effects);
        }
        if self.state_deadline.is_some_and(|deadline| deadline <= now) {
            let state = std::mem::replace(&mut self.state, State::Closed);
            self.abandon(now, state, effects);
        }
        if self.reconnect_at.is_some_and(|at| at <= now) {
            self.connect(now, effects);
        }
        let verdict = self
            .watchdog
            .as_mut()
            .map_or(Verdict::Wait, |watchdog| watchdog.tick(now));
        match (verdict, self.open_connection()) {
            (Verdict::SendWatchdog, Some(connection)) => {
                let dwr = self
                    .local
                    .dwr()
                    .encode(self.new_hop_by_hop_id(), self.new_end_to_end_id());
                effects.push(PeerEffect::Write {
                    connection,
                    frame: dwr.encode(),
                });
            }
            (Verdict::Close, Some(_)) => {
                let state = std::mem::replace(&mut self.state, State::Closed);
                self.abandon(now, state, effects);
            }
            _ => {}
        }
    }

    /// Whether an open connection has brought nothing for as long as a request lives, and another server may do better.
    fn is_silent(&self, now: Instant) -> bool {
        let heard = self.heard_at.map(|at| now.saturating_duration_since(at));
        self.settings.has_alternatives
            && self.open_connection().is_some()
            && heard.is_none_or(|silence| silence >= self.settings.request_timeout)
    }

    /// The connections that messages may come in on.
    pub(super) fn uses(&self, connection: ConnectionId) -> bool {
        match &self.state {
            State::Closed | State::WaitConnAck => false,
            State::WaitICea { initiator } => *initiator == connection,
            State::WaitConnAckElect { responder } => responder.connection == connection,
            State::WaitReturns {
                initiator,
                responder,
            } => *initiator == connection || responder.connection == connection,
            State::Open { connection: own } | State::Closing { connection: own } => {
                *own == connection
            }
        }
    }

    pub(super) fn new_hop_by_hop_id(&mut self) -> u32 {
        // After 2^32 requests one may still wait; its identifier is passed over.
        loop {
            let id = self.next_hop_by_hop_id;
            self.next_hop_by_hop_id = id.wrapping_add(1);
            if !self.pending.contains(id) {
                return id;
            }
        }
    }

    pub(super) fn new_end_to_end_id(&mut self) -> u32 {
        let id = self.next_end_to_end_id.max(1);
        self.next_end_to_end_id = id.wrapping_add(1);
        id
    }

    /// RFC 3539 3.4.1: a jitter of up to 2 s either way, so that watchdogs do not synchronise;
    /// less for the short intervals that tests use.
    fn jittered(&mut self, interval: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let span = (interval / 8).min(Duration::from_secs(2));
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(0);
        let offset = self.random % (2 * span_ms + 1);
        (interval - span) + Duration::from_millis(offset)
    }
}
