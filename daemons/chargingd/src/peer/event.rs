//! What the manager's core hears.

use std::net::IpAddr;
use std::sync::Arc;

use tollwire_peer::Refusal;

use super::effect::Change;
use super::gate::{Outcome, What};
use super::measure::Per;
use super::session::{Keys, Message, Session};
use super::settings::Settings;

/// A request over HTTP that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// A ServiceCredentialRequest, whose signature was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRequest {
    /// a1: the service.
    pub service: Box<str>,
    /// a1: the port that a gated service is used from.
    pub udp_port: Option<u16>,
    /// a2
    pub request_id: Box<str>,
    /// a3
    pub nonce: Box<str>,
    /// Until when the nonce is remembered, milliseconds since 1970.
    pub nonce_until_ms: i64,
    /// The name of the certificate that signed it.
    pub user: Box<str>,
    /// That certificate with those that lead to a root, PEM.
    pub chain: Box<str>,
    /// Where it came from.
    pub ip: IpAddr,
    /// Digest of its octets.
    pub digest: Box<str>,
    /// The name of the session that it may become.
    pub session: Box<str>,
    /// That session's key.
    pub keys: Keys,
}

/// What storing a request found.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// It is stored.
    Stored,
    /// Just this request was there: how far it is, and what was answered.
    Known(Box<Session>, Option<Arc<str>>),
    /// Another request has its identifier or its nonce.
    Replayed,
}

/// What storing a message found.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// It is stored.
    Stored(Box<Session>),
    /// It was there, and is not answered yet.
    Pending(Box<Session>),
    /// It was there, and answered so.
    Answered(Answer),
    /// No such session.
    Unknown,
    /// Not of this provider.
    NotYours,
    /// Another message has its identifier, its sequence number or its nonce.
    Replayed,
    /// Too many of this session wait.
    Full,
}

/// An answer that is given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The acknowledgement, signed; or why it was refused.
    pub said: Result<Arc<str>, Refusal>,
}

/// What the charging core said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charged {
    /// It did what was asked.
    Done {
        /// What may be used beyond what is charged: of each measure, if anything was granted.
        granted: Per<Option<i64>>,
        /// Why a measure was granted nothing: its Result-Code.
        refused: Option<u32>,
        /// These are the last units.
        last: bool,
        /// What the session has cost, micro-units, and in which currency (ISO 4217 number).
        cost: Option<(i64, u32)>,
    },
    /// It did nothing, by this Result-Code.
    Refused(u32),
    /// It could not be asked, or what it did is not known.
    Unknown,
}

/// What a provider said to a UserCredential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// It has acknowledged it.
    Acknowledged,
    /// It refuses, or what it says is no acknowledgement.
    Refused(Box<str>),
    /// It does not answer.
    Unreachable(Box<str>),
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A user wants a credential.
    Request {
        /// Who waits.
        client: ClientId,
        /// What for.
        request: Box<CredentialRequest>,
    },
    /// A request is stored or found.
    Begun {
        /// Who waits.
        client: ClientId,
        /// The session that it was to become.
        session: Box<Session>,
        /// What came of it; nothing if it could not be stored.
        outcome: Option<Begun>,
    },
    /// A provider's accounting message.
    Message {
        /// Who waits.
        client: ClientId,
        /// What.
        message: Box<Message>,
    },
    /// A message is stored or found.
    Taken {
        /// Who waits.
        client: ClientId,
        /// What.
        message: Box<Message>,
        /// Whether it was stored together with its order.
        ordered: bool,
        /// What came of it; nothing if it could not be stored.
        outcome: Option<Taken>,
    },
    /// A change is on disk.
    Stored(Box<Change>),
    /// It is not: the disk is full, or broken.
    NotStored(Box<Change>),
    /// Of the charging core.
    Charged {
        /// Which session.
        id: Box<str>,
        /// CC-Request-Number.
        number: u32,
        /// What it said.
        result: Charged,
    },
    /// The charging core wants its client back (Re-Auth-Request).
    Refresh(Box<str>),
    /// The charging core ended the session (Abort-Session-Request).
    Aborted(Box<str>),
    /// The certificate of its user, or of its provider, was revoked.
    Withdrawn(Box<str>),
    /// A provider was told of a credential.
    Delivered {
        /// Which session.
        id: Box<str>,
        /// What it said.
        result: Delivered,
    },
    /// A provider was told to stop.
    Revoked {
        /// Which session.
        id: Box<str>,
        /// Whether it knows, or knew no such session.
        taken: bool,
    },
    /// Of a gate.
    Gate {
        /// Which session's.
        id: Box<str>,
        /// What was asked of it; nothing if nobody asked.
        what: Option<What>,
        /// What became of that.
        outcome: Outcome,
    },
    /// An operator ends a session.
    Close {
        /// Who waits.
        client: ClientId,
        /// Which.
        id: Box<str>,
    },
    /// Time went by.
    Tick,
    /// The configuration was read again.
    Reloaded(Arc<Settings>),
}
