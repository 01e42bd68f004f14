//! What the core is told.

use std::sync::Arc;

use crate::effect::Change;
use crate::payment::{Order, Payer, Payment, PaymentId};
use crate::settings::Settings;

/// A request of a browser, or of another billing server, that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// What the charging system said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditResult {
    /// It is done.
    Granted,
    /// It will not, by this Result-Code.
    Refused(u32),
    /// It was not asked: it cannot be reached.
    NotSent,
    /// It was asked, and did not answer, or said that it cannot now: it may have acted all the same.
    Unknown,
}

/// What it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreditAction {
    /// To debit.
    Debit,
    /// To pay back.
    Refund,
}

/// What a shop said to an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostResult {
    /// A status of HTTP; with 409 whether it says that another server was paid.
    Status {
        /// The status.
        status: u16,
        /// `{"error":"already-paid"}`
        already_paid: bool,
    },
    /// Its URL leads nowhere that may be called: nothing was sent.
    Impossible,
    /// Nothing came back.
    NoAnswer,
}

/// What storing an order found.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// It is stored, as this attempt.
    Stored(Box<Payment>),
    /// It was there.
    Known(Box<Payment>),
    /// Another invoice of the same shop with the same reference was there.
    Reference(Box<Payment>),
    /// Too many have been handed on and not come back: anybody's invoice may be handed on.
    Full,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A customer who has proven who he is wants to pay, or a proxy to hand on.
    Pay {
        /// Who waits.
        client: ClientId,
        /// What.
        order: Box<Order>,
    },
    /// An onward server's acknowledgement, verified, of the payment that is stored so.
    Collected {
        /// Who waits.
        client: ClientId,
        /// What.
        payment: Box<Payment>,
        /// Seconds since 1970 until which it is good.
        until: i64,
    },
    /// An order is stored or found.
    Begun {
        /// Who waits.
        client: ClientId,
        /// Who wants to pay.
        payer: Payer,
        /// What.
        outcome: Begun,
    },
    /// A change is on disk.
    Stored(PaymentId, Change),
    /// It is not: the disk is full, or broken.
    NotStored(PaymentId, Change),
    /// An order is not stored.
    NotBegun {
        /// Who waits.
        client: ClientId,
    },
    /// Of the charging system.
    Credit {
        /// Which payment.
        id: PaymentId,
        /// Which attempt.
        attempt: u32,
        /// What was asked.
        action: CreditAction,
        /// And said.
        result: CreditResult,
    },
    /// Of a shop.
    Posted {
        /// Which payment.
        id: PaymentId,
        /// What it said.
        result: PostResult,
    },
    /// Time went by.
    Tick,
    /// The configuration was read again.
    Reloaded(Arc<Settings>),
}
