//! What the core wants done, in order.

use serde::Serialize;
use thiserror::Error;
use tollwire_cdr::ChargeRecord;

use crate::account::Account;
use crate::audit;
use crate::ledger::Entry;
use crate::notify::{Key, Notification, Waiting};
use crate::service_account::ServiceAccount;
use crate::session::{Outcome, Session};
use crate::voucher::{Batch, BatchView, Voucher};

/// One thing for the driver to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Keep this; answers of the same turn wait for it.
    Store(Mutation),
    /// Answer a CCR.
    Answer {
        /// The request.
        token: u64,
        /// The answer.
        outcome: Outcome,
    },
    /// Reply to the operator.
    Reply {
        /// The request.
        token: u64,
        /// What is so now, or why not.
        result: Result<Reply, Refusal>,
    },
    /// Ask the client to come back for more units of a service, or of all those of a pool (RAR).
    ReAuthorize {
        /// Session-Id.
        session_id: Box<str>,
        /// The client's Origin-Host.
        origin_host: Box<str>,
        /// Its Origin-Realm.
        origin_realm: Box<str>,
        /// G-S-U-Pool-Identifier; the service is not named then.
        pool: Option<u32>,
        /// The service's Rating-Group.
        rating_group: Option<u32>,
        /// Its Service-Identifiers.
        service_identifiers: Vec<u32>,
    },
    /// Tell the client to end the session (ASR).
    Abort {
        /// Session-Id.
        session_id: Box<str>,
        /// The client's Origin-Host.
        origin_host: Box<str>,
        /// Its Origin-Realm.
        origin_realm: Box<str>,
    },
}

/// A change of what is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Mutation {
    /// A new or changed account.
    Account(Account),
    /// A new or changed service account.
    ServiceAccount(Box<ServiceAccount>),
    /// Something that a customer is told.
    Notification(Box<Notification>),
    /// A contact that is told later.
    NotificationLater(Box<Waiting>),
    /// A contact that is told no more.
    NotificationEnded(Box<Key>),
    /// A new or changed batch of vouchers.
    VoucherBatch(Box<Batch>),
    /// A new or redeemed voucher.
    Voucher(Box<Voucher>),
    /// Who changed something.
    Audit(Box<audit::Entry>),
    /// An identity and its account; `None` takes it away.
    Identity(Box<str>, Option<Box<str>>),
    /// A line of the ledger.
    Entry(Entry),
    /// A new or changed session.
    Session(Box<Session>),
    /// Sessions closed at or before this time are forgotten.
    ForgetSessions(i64),
    /// An invoice, a settlement, or a period that is closed.
    Invoicing(Box<crate::invoice::rows::Row>),
    /// A record, to be written to the files.
    Record(Box<ChargeRecord>),
}

/// What an operator is told of a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// The account as it is now.
    Account(Box<AccountView>),
    /// The batch of vouchers.
    Batch(Box<BatchView>),
}

/// An account as the operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountView {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// What may still be spent.
    pub available_micro: i64,
    /// What is charged to it.
    pub identities: Vec<Box<str>>,
    /// Sessions that run.
    pub sessions: usize,
    /// Its service accounts, in the order of their priority.
    pub service_accounts: Vec<ServiceAccount>,
}

/// Why an operator's request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such account or identity.
    #[error("{0}")]
    NotFound(String),
    /// It exists already.
    #[error("{0}")]
    Conflict(String),
    /// A value that does not do.
    #[error("{0}")]
    Invalid(String),
    /// Too many wrong codes.
    #[error("too many wrong codes: try again in {seconds} s")]
    TooOften {
        /// When the next one is looked at.
        seconds: u64,
    },
    /// The store cannot write now.
    #[error("not stored: the disk or the database is full, failing or away; see the log")]
    NotStored,
    /// Another instance works on this database.
    #[error("this instance stands by; ask {0}")]
    Standby(String),
}
