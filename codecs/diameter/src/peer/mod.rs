//! One peer: the state machine of RFC 6733 5.6, the watchdog of RFC 3539 and the requests
//! that wait for an answer. Pure: time, connections and messages come in as events.
//!
//! ```text
//! Start/Connected/ConnectFailed ─┐                    ┌─> Connect, Write, Close
//! Incoming (CER), Received ──────┼─> Peer::handle() ──┼─> Opened, Closed
//! Disconnected, Stop, Tick ──────┘                    └─> Request, Answer, Failed
//! ```
//!
//! Where it goes beyond the table of 5.6, and why:
//! - A peer that is configured connects again by itself after 100 ms, doubling to 5 s; requests still
//!   waiting are then sent again with the T bit, until their own time is up.
//! - One of several servers ([`Pool`]) that is silent for as long as a request lives is disconnected from, so that what
//!   it was asked can go to another (5.5.4).
//! - RFC 3539's REOPEN, three watchdogs before a connection is used again, guards the way back from
//!   an alternative that works. Here nobody goes back by himself, so a completed capabilities exchange suffices.

mod backoff;
mod capabilities;
mod exchange;
mod local;
mod machine;
mod pending;
mod pool;
mod receive;
mod routes;
mod watchdog;

pub use backoff::Backoff;
pub use capabilities::{Remote, commands_of};
pub use local::LocalNode;
pub use machine::Peer;
pub use pool::{MOST_MEMBERS, Pool, PoolEffect, PoolSettings};

use std::time::Duration;

use bytes::Bytes;

use crate::base::DisconnectCause;
use crate::message::{Malformed, Message};

/// Names one transport connection, among all of the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What is set for one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// Origin-Host the peer must give; `None` accepts any.
    pub origin_host: Option<String>,
    /// Whether this side connects; otherwise it waits to be connected to.
    pub connect: Option<Backoff>,
    /// Tw of RFC 3539: silence after which a DWR is sent. Not below 6 s in production (3.4.1).
    pub watchdog: Duration,
    /// Time for the transport, for CEA and for DPA.
    pub connect_timeout: Duration,
    /// Time for an answer, over all retransmissions.
    pub request_timeout: Duration,
    /// Requests that may wait for an answer.
    pub max_pending: usize,
    /// Whether other servers could do what this one does not ([`Pool`]): then it is left when it falls silent.
    pub has_alternatives: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            origin_host: None,
            connect: None,
            watchdog: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            max_pending: 10_000,
            has_alternatives: false,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerEvent {
    /// Connect, and stay connected.
    Start,
    /// The connection that [`PeerEffect::Connect`] asked for stands.
    Connected(ConnectionId),
    /// It does not.
    ConnectFailed,
    /// A connection came in, and on it the CER of this peer (R-Conn-CER).
    Incoming {
        /// The connection.
        connection: ConnectionId,
        /// The CER.
        cer: Message,
    },
    /// A message arrived on one of the peer's connections.
    Received {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        message: Message,
    },
    /// A frame arrived that is no good message.
    Undecodable {
        /// The connection.
        connection: ConnectionId,
        /// What could be read of it.
        malformed: Malformed,
    },
    /// A connection is gone.
    Disconnected(ConnectionId),
    /// Disconnect with a DPR and stay away.
    Stop(DisconnectCause),
    /// The moment of [`Peer::next_deadline`] has come.
    Tick,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerEffect {
    /// Open a connection to the peer; [`PeerEvent::Connected`] or [`PeerEvent::ConnectFailed`] follows.
    Connect,
    /// Send a frame.
    Write {
        /// The connection.
        connection: ConnectionId,
        /// One encoded message.
        frame: Bytes,
    },
    /// Close a connection once all its frames are sent; no [`PeerEvent::Disconnected`] is needed.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Requests can be sent now.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// What the peer said of itself.
        remote: Box<Remote>,
    },
    /// They no longer can.
    Closed {
        /// The connection that was open.
        connection: ConnectionId,
    },
    /// The peer asks; the application answers on the same connection.
    Request {
        /// The connection.
        connection: ConnectionId,
        /// The request; its application and command are supported and it is meant for this node.
        message: Message,
    },
    /// The peer answered.
    Answer {
        /// As given to [`Peer::send_request`].
        token: u64,
        /// The answer.
        message: Message,
    },
    /// No answer will come.
    Failed {
        /// As given to [`Peer::send_request`].
        token: u64,
        /// Why.
        why: Failure,
    },
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No answer in time; the peer may have acted on the request.
    #[error("no answer in time")]
    Timeout,
    /// An answer came that cannot be read; the peer may have acted on the request.
    #[error("the answer cannot be read")]
    BadAnswer,
    /// The node was stopped before the answer came.
    #[error("stopped")]
    Stopped,
}

/// Why a request was not sent at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No connection to the peer, or one that its watchdog suspects.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// Too many requests wait already.
    #[error("too many requests wait for an answer")]
    Full,
    /// The peer did not advertise the request's application.
    #[error("the peer does not support the application")]
    Unsupported,
}
