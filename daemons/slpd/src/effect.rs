//! What the core wants done.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use tollwire_slp::agent::Group;

use crate::event::{Channel, ConnectionId};
use crate::registry::Change;

/// One thing to do. Those of a turn are done in order; a store is on disk before what follows it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Answer on the channel that a message came by.
    Answer {
        /// The channel.
        channel: Channel,
        /// A whole message.
        octets: Vec<u8>,
    },
    /// Send a datagram to a group: by IPv4, and by IPv6 in those of these scopes that an interface's addresses allow
    /// (RFC 3111 4.2.2).
    Multicast {
        /// The group.
        group: Group,
        /// IPv6 scopes.
        ipv6_scopes: Vec<u8>,
        /// From this address alone, which is one of ours; otherwise by every interface.
        from: Option<IpAddr>,
        /// A whole message.
        octets: Vec<u8>,
    },
    /// Hear requests for the service types with these hashes, and no others (RFC 3111 4.2.1).
    Join(BTreeSet<u16>),
    /// Send a datagram to another agent.
    Datagram {
        /// Whom to.
        remote: SocketAddr,
        /// A whole message.
        octets: Vec<u8>,
    },
    /// Connect to another agent, and send it a message.
    Stream {
        /// The connection's name, which the core chose.
        connection: ConnectionId,
        /// Whom to.
        remote: SocketAddr,
        /// A whole message.
        octets: Vec<u8>,
    },
    /// Close a stream that we made.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Keep changes of the registry. They are on disk before any effect behind them is done.
    Store(Vec<Change>),
    /// Answer an operator.
    Reply {
        /// The request.
        token: u64,
        /// The answer.
        reply: Reply,
    },
}

/// What an operator is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// It is done.
    Done,
    /// Registrations.
    Registrations(Vec<RegistrationView>),
    /// Directory agents.
    DirectoryAgents(Vec<DirectoryAgentView>),
}

/// A registration as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationView {
    /// The URL.
    pub url: String,
    /// Its language tag.
    pub language: String,
    /// The service type.
    pub service_type: String,
    /// Comma list of scopes.
    pub scopes: String,
    /// The attribute list.
    pub attributes: String,
    /// Seconds that it has left; nothing for one that stands in a file.
    pub lifetime_seconds: Option<u64>,
    /// Who registered it: `file`, `local`, or an address.
    pub source: String,
}

/// A directory agent as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryAgentView {
    /// Its URL.
    pub url: String,
    /// Where it is asked.
    pub address: SocketAddr,
    /// Comma list of its scopes.
    pub scopes: String,
    /// Seconds since 1970 of its last start without registrations.
    pub boot_timestamp: u32,
    /// How it became known: `configured`, `active`, `passive`.
    pub found: String,
    /// Registrations of ours that it has acknowledged.
    pub registered: usize,
    /// Registrations of ours that it has yet to acknowledge.
    pub waiting: usize,
}
