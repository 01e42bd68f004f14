//! Transactions (RFC 3261 17, RFC 6026, RFC 4320): four machines and the layer that runs them.
//!
//! The machines are given events and a clock and say what to do in a [`Step`]. The
//! [`TransactionLayer`] matches messages to machines, keeps their timers in one
//! queue, and turns steps into [`Output`]s.

mod ack;
mod deadlines;
mod invite_client;
mod invite_server;
mod key;
mod layer;
mod non_invite_client;
mod non_invite_server;
mod timers;

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use crate::Message;

pub use layer::{Limits, TransactionLayer};
pub use timers::Timers;

/// How octets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams, which may be lost.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// Whether the transport itself repeats what is lost.
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// The token in Via.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// Where octets go to or came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// How.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The neighbour's address.
    pub remote: SocketAddr,
}

/// Names a client transaction; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientTransactionId(u64);

/// Names a server transaction; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerTransactionId(u64);

/// What the layer wants done, or tells the transaction user.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Put these octets on the wire.
    Send {
        /// Where.
        flow: Flow,
        /// One message.
        bytes: Bytes,
    },
    /// A new request. The user answers an INVITE with 100 at once, unless its final answer comes within
    /// 200 ms (17.2.1): the layer does not.
    Request {
        /// Its transaction.
        id: ServerTransactionId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// An ACK for a 2xx: it belongs to no transaction.
    Ack {
        /// Where it came from.
        flow: Flow,
        /// The ACK.
        message: Message,
    },
    /// A CANCEL.
    Cancel {
        /// The CANCEL's own transaction.
        id: ServerTransactionId,
        /// The INVITE it wants cancelled, if it is known.
        invite: Option<ServerTransactionId>,
        /// Where it came from.
        flow: Flow,
        /// The CANCEL.
        message: Message,
    },
    /// A response; after a 2xx to an INVITE also each further 2xx (RFC 6026 7.2).
    Response {
        /// The request's transaction.
        id: ClientTransactionId,
        /// The response.
        message: Message,
    },
    /// A response to nothing we know.
    StrayResponse {
        /// The response.
        message: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// No final response came (Timer B or F; after a CANCEL, 64*T1). The transaction is over.
    TimedOut {
        /// The transaction.
        id: ClientTransactionId,
    },
    /// The request could not be sent. The transaction is over.
    TransportFailed {
        /// The transaction.
        id: ClientTransactionId,
    },
    /// Our final response to an INVITE was not acknowledged (Timer H).
    AckTimedOut {
        /// The transaction.
        id: ServerTransactionId,
    },
    /// Nothing more will come of this transaction.
    ClientTerminated {
        /// The transaction.
        id: ClientTransactionId,
    },
    /// Nothing more can be sent in this transaction.
    ServerTerminated {
        /// The transaction.
        id: ServerTransactionId,
    },
}

/// What a machine wants after one event.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// Send the last message (again).
    send: bool,
    /// Give the message to the transaction user.
    deliver: bool,
    /// Acknowledge the final response.
    acknowledge: bool,
    /// Tell the user that the peer did not answer.
    timed_out: bool,
    /// The machine is in its Terminated state.
    terminated: bool,
}

impl Step {
    const NOTHING: Self = Self {
        send: false,
        deliver: false,
        acknowledge: false,
        timed_out: false,
        terminated: false,
    };
    const SEND: Self = Self {
        send: true,
        ..Self::NOTHING
    };
    const DELIVER: Self = Self {
        deliver: true,
        ..Self::NOTHING
    };
    const ACKNOWLEDGE: Self = Self {
        acknowledge: true,
        ..Self::NOTHING
    };
    const TIMED_OUT: Self = Self {
        timed_out: true,
        terminated: true,
        ..Self::NOTHING
    };
    const TERMINATED: Self = Self {
        terminated: true,
        ..Self::NOTHING
    };

    fn ending_if(self, terminated: bool) -> Self {
        Self { terminated, ..self }
    }
}

/// The two timers a machine may have at once: repeat the message, and leave the state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Running {
    repeat: Option<Instant>,
    end: Option<Instant>,
}

impl Running {
    const NONE: Self = Self {
        repeat: None,
        end: None,
    };

    fn end_at(end: Instant) -> Self {
        Self {
            repeat: None,
            end: Some(end),
        }
    }

    fn next(&self) -> Option<Instant> {
        [self.repeat, self.end].into_iter().flatten().min()
    }
}

fn due(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

#[cfg(test)]
mod tests;
