//! What the core hears, and who said it.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The network's name for a stream. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// One SLP message, whole: a datagram, or what the framing of a stream cut out.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The message.
    pub octets: Bytes,
    /// How it came, and so how its answer goes.
    pub channel: Channel,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// In a datagram.
    Datagram {
        /// Who sent it; scoped, if link-local.
        remote: SocketAddr,
        /// Where it was sent to: an address of this host, a group, or a broadcast address.
        local: IpAddr,
        /// Index of the interface it came in by.
        interface: u32,
        /// Whether `local` is a group or a broadcast address.
        multicast: bool,
        /// Whether `remote` is on a network that this host is attached to, or this host itself.
        on_link: bool,
    },
    /// On a TCP connection that somebody made to us.
    Tcp {
        /// The connection.
        connection: ConnectionId,
        /// Who made it.
        remote: SocketAddr,
        /// Our address on it.
        local: IpAddr,
    },
    /// On the registration socket: a program on this host that its file mode admits.
    Local {
        /// The connection.
        connection: ConnectionId,
    },
    /// On a TCP connection that we made.
    Outgoing {
        /// The connection.
        connection: ConnectionId,
        /// Whom it was made to.
        remote: SocketAddr,
    },
}

impl Channel {
    /// Whether it was sent to more than one: then nobody answers with an error (RFC 2608 7).
    pub fn is_multicast(&self) -> bool {
        matches!(self, Self::Datagram { multicast, .. } if *multicast)
    }

    /// Who sent it; nobody for the registration socket.
    pub fn remote(&self) -> Option<SocketAddr> {
        match self {
            Self::Datagram { remote, .. }
            | Self::Tcp { remote, .. }
            | Self::Outgoing { remote, .. } => Some(*remote),
            Self::Local { .. } => None,
        }
    }

    /// Whether the sender is this host: the registration socket, or a loopback address.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Local { .. } => true,
            Self::Datagram { remote, .. } | Self::Tcp { remote, .. } => {
                remote.ip().to_canonical().is_loopback()
            }
            Self::Outgoing { .. } => false,
        }
    }
}

/// An interface that SLP is spoken on, with an address of ours there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The interface's index.
    pub interface: u32,
    /// Our address there: what an advert of ours names.
    pub address: IpAddr,
    /// Bits of the network's prefix.
    pub prefix: u8,
    /// Octets of SLP that the link carries in one piece.
    pub mtu: usize,
    /// Whether it is the host's loopback.
    pub loopback: bool,
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "operation")]
pub enum Operation {
    /// Registrations, in the order of their URLs, at most so many after one.
    ListRegistrations {
        /// Only URLs behind this one.
        after: Option<String>,
        /// How many.
        limit: usize,
    },
    /// Directory agents that are known.
    ListDirectoryAgents,
    /// Look for directory agents now.
    Discover,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// A message came.
    Arrived(Arrived),
    /// The addresses of this host have changed, or are told for the first time.
    Attached(Vec<Attachment>),
    /// A stream that we made is gone, or could not be made.
    Disconnected {
        /// The connection.
        connection: ConnectionId,
    },
    /// The file of services and the limits were read again.
    Reloaded(Box<Settings>),
    /// The time of [`crate::core::Core::next_deadline`] has come.
    Tick,
    /// An operator asks.
    Operator {
        /// Names the answer.
        token: u64,
        /// What for.
        operation: Operation,
    },
    /// Stop: directory agents say that they go down.
    Stop,
}
