//! What the manager's core wants done.

use std::sync::Arc;

use tollwire_peer::{Reason, Refusal};

use super::event::{Answer, ClientId};
use super::gate::{self, What};
use super::session::{Message, Order, Session};

/// A change of a stored session: one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// As it is from now on.
    pub session: Box<Session>,
    /// The credentials that were made.
    pub credentials: Option<Credentials>,
    /// The message that is answered, and how.
    pub answered: Option<(Box<str>, Answer)>,
}

/// The two credentials of a session, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The provider's.
    pub user_credential: Arc<str>,
    /// The user's.
    pub service_credential: Arc<str>,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// 200, with this token.
    Token(Arc<str>),
    /// A refusal.
    Refused(Refusal),
    /// To an operator: it is done, or was before.
    Closed,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Store a request, if it is new.
    Begin {
        /// Who waits.
        client: ClientId,
        /// What it becomes.
        session: Box<Session>,
        /// Digest of its octets.
        digest: Box<str>,
        /// The user's certificate, with those that lead to a root, PEM.
        chain: Box<str>,
        /// Its nonce.
        nonce: Box<str>,
        /// Until when that is remembered.
        nonce_until_ms: i64,
    },
    /// Store a message, if it is new, and with it, if there is one, the session with its order.
    Take {
        /// Who waits.
        client: ClientId,
        /// What.
        message: Box<Message>,
        /// The session as it is if the message was new.
        ordered: Option<Box<Session>>,
        /// When, milliseconds since 1970.
        at_ms: i64,
    },
    /// Store a change.
    Store(Box<Change>),
    /// Ask the charging core for what the session's order says.
    Charge {
        /// The session.
        session: Box<Session>,
        /// The order.
        order: Order,
    },
    /// Give a provider its credential.
    Deliver {
        /// Of which session.
        id: Box<str>,
        /// The provider's name.
        provider: Box<str>,
        /// Below this URL.
        url: Box<str>,
        /// What.
        credential: Arc<str>,
    },
    /// Tell a provider to stop.
    Revoke {
        /// Which session.
        id: Box<str>,
        /// Below this URL.
        url: Box<str>,
        /// Why.
        reason: Reason,
    },
    /// Open, move, count or close a gate; [`super::event::Event::Gate`] follows.
    Gate {
        /// What of it.
        what: What,
        /// The gate, whole: a restart may lie between what is asked of one.
        order: Box<gate::Order>,
    },
    /// Answer.
    Reply {
        /// Whom.
        client: ClientId,
        /// What.
        reply: Reply,
    },
}
