//! What the core hears.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::message::MessageId;
use crate::settings::Settings;

/// The driver's name for a TCP connection. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// Number of a [`crate::effect::Effect::Store`], from 1 and one more each.
pub type Position = u64;

pub use tollwire_smpp::Frame;

/// Why the spool does not store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFailure {
    /// No space is left: ESME_RMSGQFUL.
    Full,
    /// Anything else: ESME_RSYSERR.
    Broken,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// An ESME has connected.
    Accepted {
        /// The connection.
        link: LinkId,
        /// Where from.
        remote: IpAddr,
        /// Name in its TLS certificate, if it showed one that was verified.
        tls_client_name: Option<Box<str>>,
    },
    /// A connection to an upstream stands.
    Connected {
        /// The connection.
        link: LinkId,
        /// The upstream's name.
        upstream: Arc<str>,
        /// Which of its binds, as in [`crate::effect::Effect::Connect`].
        index: u32,
    },
    /// A connection to an upstream failed.
    ConnectFailed {
        /// The upstream's name.
        upstream: Arc<str>,
        /// Which of its binds.
        index: u32,
    },
    /// PDUs of one link, in order.
    Frames {
        /// The connection.
        link: LinkId,
        /// One or more.
        frames: Vec<Frame>,
    },
    /// The stream cannot be read on: a `command_length` that does not do.
    FramingFailed {
        /// The connection.
        link: LinkId,
        /// `sequence_number`, if the header was whole.
        sequence_number: Option<u32>,
    },
    /// The connection is gone.
    Closed {
        /// The connection.
        link: LinkId,
    },
    /// Octets that wait to be written, said when it crosses a limit of the driver's and when it is nothing again.
    Backlog {
        /// The connection.
        link: LinkId,
        /// Octets not yet written.
        octets: usize,
    },
    /// Answer to [`crate::effect::Effect::CheckPassword`].
    PasswordChecked {
        /// The connection.
        link: LinkId,
        /// Whether it is the right one.
        ok: bool,
    },
    /// Every entry up to this one is on disk.
    Stored {
        /// Number of the last.
        up_to: Position,
    },
    /// Every entry after the last [`Event::Stored`] is lost and will never be read again, and so is each one that
    /// comes before [`crate::effect::Effect::StoreFailureHeard`].
    StoreFailed(StoreFailure),
    /// After [`crate::effect::Effect::StoreFailureHeard`]: there is space again.
    StoreReady,
    /// Whether the spool has room only for what happens to the messages at hand: no new ones then.
    SpaceLow(bool),
    /// The records up to this one are in the record files. The first [`crate::effect::Effect::Record`] is number 1.
    RecordsStored {
        /// Number of the last.
        up_to: u64,
    },
    /// Credit control answers.
    Credit(CreditAnswer),
    /// The operator asks; the reply carries `token`.
    Operator {
        /// The driver's name for the request.
        token: u64,
        /// What for.
        operation: Operation,
    },
    /// Other settings from now on.
    Reloaded(Box<Settings>),
    /// A deadline may have passed.
    Tick,
}

/// Answer to a [`crate::effect::CreditRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditAnswer {
    /// As in the request.
    pub message: MessageId,
    /// As in the request.
    pub reservation: u32,
    /// As in the request.
    pub action: CreditAction,
    /// What came of it.
    pub result: CreditResult,
}

/// What is asked of credit control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreditAction {
    /// Hold the price (CCR-Initial).
    Reserve,
    /// Hold it for longer (CCR-Update that uses nothing and requests the same).
    Renew,
    /// Take it (CCR-Terminate with used units).
    Debit,
    /// Give it back (CCR-Terminate without).
    Release,
}

/// What came of a request to credit control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditResult {
    /// Done (DIAMETER_SUCCESS).
    Granted,
    /// Refused for good: the payer is short of money, blocked, unknown, or pays in another currency. Its Result-Code.
    Refused(u32),
    /// The session is not known, or is over (DIAMETER_UNKNOWN_SESSION_ID).
    UnknownSession,
    /// No answer, or a temporary one.
    Unavailable,
}

/// What an operator can ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Every ESME.
    ListEsmes,
    /// Every session, with ESMEs and with upstreams.
    ListBinds,
    /// Every route, with what waits for it.
    ListRoutes,
    /// How much is kept.
    QueueDepth,
    /// Every price of every tariff class.
    ListTariffClasses,
    /// What is known of a message.
    Trace {
        /// Its id, decimal.
        id: u64,
    },
    /// Nothing is delivered over the route until it is released.
    HoldRoute {
        /// The route.
        name: Box<str>,
    },
    /// Undoes [`Operation::HoldRoute`].
    ReleaseRoute {
        /// The route.
        name: Box<str>,
    },
    /// Unbinds and closes a link.
    Disconnect {
        /// Number of the link, as in the list of binds.
        link: u64,
    },
    /// Unbinds and closes every link of an ESME.
    DisconnectEsme {
        /// `system_id`
        system_id: Box<str>,
    },
}
