//! What the core wants done, in order.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use crate::entry::{Done, Entry};
use crate::event::{CreditAction, LinkId};
use crate::message::Message;
use crate::tariff::TariffClass;

/// One thing for the driver to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write to the link: one or more whole PDUs.
    Send {
        /// The connection.
        link: LinkId,
        /// PDUs.
        octets: Vec<u8>,
    },
    /// Close the link when all is written. [`crate::event::Event::Closed`] follows.
    Close {
        /// The connection.
        link: LinkId,
    },
    /// Connect to an upstream; answered with `Connected` or `ConnectFailed`.
    Connect {
        /// The upstream's name.
        upstream: Arc<str>,
        /// Which of its binds, from 0.
        index: u32,
        /// How long to wait first.
        after: Duration,
    },
    /// Check a password; answered with `PasswordChecked`. Takes as long with no hash as with one.
    CheckPassword {
        /// The connection.
        link: LinkId,
        /// The hash; `None` if there is no such ESME.
        hash: Option<Arc<str>>,
        /// What the ESME says.
        password: Box<str>,
    },
    /// Keep this. Entries are numbered from 1 in the order of these effects.
    Store(Entry),
    /// The core has heard `StoreFailed`: entries after this one count again.
    StoreFailureHeard,
    /// Write the charge record of a message that is stored as done. Numbered from 1. A record whose id is already in
    /// the files is not written again.
    Record(Box<RecordFacts>),
    /// Ask credit control.
    Credit(Box<CreditRequest>),
    /// Reply to the operator.
    Reply {
        /// The request.
        token: u64,
        /// The answer, or why not.
        result: Result<Reply, Refusal>,
    },
}

/// What a charge record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFacts {
    /// The message. Its id is the record's.
    pub message: Arc<Message>,
    /// How it ended.
    pub done: Done,
    /// Number or account of who pays; `None` if nothing is charged for it.
    pub account: Option<Box<str>>,
}

/// A question to credit control. Message id and reservation make the Session-Id, so that a repetition after a crash
/// has the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditRequest {
    /// What is asked.
    pub action: CreditAction,
    /// The message: segments, addresses, charge.
    pub message: Arc<Message>,
    /// Which reservation of the message.
    pub reservation: u32,
    /// CC-Request-Number: 0 for the first, and above the one before for each further one (RFC 8506 8.2).
    pub number: u32,
    /// Who pays: digits of a number or name of an account.
    pub payer: Box<str>,
    /// The price, micro-units.
    pub amount_micro: i64,
    /// ISO 4217 code.
    pub currency: [u8; 3],
    /// Whether it may have been asked before (the T flag).
    pub repeated: bool,
}

/// Answer to an operator.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// It is done.
    Done,
    /// [`crate::event::Operation::ListEsmes`]
    Esmes(Vec<EsmeView>),
    /// [`crate::event::Operation::ListBinds`]
    Binds(Vec<BindView>),
    /// [`crate::event::Operation::ListRoutes`]
    Routes(Vec<RouteView>),
    /// [`crate::event::Operation::ListTariffClasses`]
    Classes(Vec<ClassView>),
    /// [`crate::event::Operation::QueueDepth`]
    Depth(DepthView),
    /// [`crate::event::Operation::Trace`]
    Message(Box<MessageView>),
}

/// An ESME as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EsmeView {
    /// `system_id`
    pub system_id: Box<str>,
    /// Its sessions.
    pub binds: usize,
    /// Its messages that are kept.
    pub messages: u32,
    /// Receipts that wait for it.
    pub receipts: usize,
}

/// A session as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BindView {
    /// Number of the link.
    pub link: u64,
    /// `system_id` of the ESME, or name of the upstream.
    pub peer: Box<str>,
    /// `esme` or `upstream`.
    pub role: &'static str,
    /// Where it is; empty for an upstream.
    pub remote: String,
    /// `open`, `bound-tx`, `bound-rx`, `bound-trx`, `unbound`.
    pub state: &'static str,
    /// Requests of ours without an answer.
    pub in_flight: usize,
    /// Octets that wait to be written.
    pub backlog_octets: usize,
    /// Messages taken from it.
    pub received: u64,
    /// Messages and receipts that it took.
    pub delivered: u64,
}

/// A route as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteView {
    /// Its name.
    pub name: Box<str>,
    /// Digits that a destination begins with.
    pub destination_prefix: Box<str>,
    /// Who takes its messages.
    pub target: Vec<Box<str>>,
    /// Whether the operator holds it.
    pub held: bool,
    /// Messages that wait for it or are under way.
    pub messages: usize,
}

/// A price of a tariff class as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassView {
    /// The price.
    #[serde(flatten)]
    pub class: TariffClass,
    /// Whether it is the one that counts now.
    pub in_force: bool,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DepthView {
    /// Messages that are not final, receipts included.
    pub messages: usize,
    /// Of them receipts.
    pub receipts: usize,
    /// Of them on their way to a receiver.
    pub in_flight: usize,
    /// Of them waiting for a later try or their schedule.
    pub waiting: usize,
    /// Of them delivered to an upstream whose receipt is awaited.
    pub awaiting_receipt: usize,
    /// Destinations with messages.
    pub destinations: usize,
    /// Octets of payloads and parameters.
    pub octets: u64,
    /// Entries on their way to the disk.
    pub unstored: usize,
    /// Records on their way to the disk.
    pub records: usize,
    /// Debits and releases that credit control has not answered.
    pub unsettled: usize,
}

/// A message as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageView {
    /// Its id, decimal.
    pub id: String,
    /// The message that it reports, if it is a receipt.
    pub receipt_of: Option<String>,
    /// Who submitted it.
    pub submitter: Box<str>,
    /// Source address.
    pub source: Box<str>,
    /// Destination address.
    pub destination: Box<str>,
    /// Its state by name: ENROUTE, DELIVERED...
    pub state: &'static str,
    /// What it does now: `waiting`, `reserving`, `in-flight`, `awaiting-receipt`, `final`...
    pub phase: &'static str,
    /// Its route.
    pub route: Option<Box<str>>,
    /// Deliveries tried.
    pub attempts: u32,
    /// `command_status` of the last try by name.
    pub last_status: &'static str,
    /// Who has it or was tried last.
    pub next_hop: Option<Box<str>>,
    /// Its id there.
    pub upstream_message_id: Option<Box<str>>,
    /// Milliseconds since 1970.
    pub accepted_unix_ms: i64,
    /// When it is tried next.
    pub next_attempt_unix_ms: Option<i64>,
    /// End of its validity.
    pub expires_unix_ms: i64,
    /// When it became final.
    pub done_unix_ms: Option<i64>,
    /// Price, micro-units.
    pub amount_micro: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Tariff class.
    pub class: Option<u16>,
    /// Who pays: `receiver`, `sender` or the account.
    pub payer: Option<String>,
}

/// Why an operator's request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such thing.
    #[error("{0}")]
    NotFound(String),
    /// A value that does not do.
    #[error("{0}")]
    Invalid(String),
}
