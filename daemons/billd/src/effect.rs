//! What the core wants done.

use std::sync::Arc;

use crate::event::{ClientId, CreditAction};
use crate::payment::{Onward, Order, Payment, PaymentId, State};

/// A change of a stored payment. Each is one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// What was handed on is collected, until then (seconds since 1970); now it is charged to who collected it.
    Collected {
        /// The acknowledgement's end.
        until: i64,
        /// The attempt to charge it.
        attempt: u32,
    },
    /// Debited; the acknowledgement goes with it.
    Paid {
        /// When, milliseconds since 1970.
        at_ms: i64,
        /// What the shop is sent.
        acknowledgement: Arc<str>,
    },
    /// Another state, for this cause.
    To {
        /// The state.
        state: State,
        /// Result-Code or status; 0 for none.
        cause: u32,
    },
}

/// A question to the charging system.
#[derive(Debug, Clone, PartialEq)]
pub struct CreditOrder {
    /// Debit or refund.
    pub action: CreditAction,
    /// The order.
    pub order: Arc<Order>,
    /// The attempt.
    pub attempt: u32,
    /// Whether it may have been asked before.
    pub repeated: bool,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Paid, or further: here is the receipt.
    Receipt(Box<str>),
    /// Not known yet: the receipt page will tell.
    Pending(Box<str>),
    /// The account has not enough.
    NotEnough,
    /// The charging system knows no such account, or blocks it.
    Denied(u32),
    /// Nothing was charged: the charging system is not there.
    TryAgain,
    /// Paid by somebody else.
    AlreadyPaid,
    /// Somebody else is about to pay it.
    BeingPaid,
    /// Too much at once, or nothing can be stored.
    Busy,
    /// Go on there.
    Forward(Box<Onward>),
    /// To another billing server: the shop has it.
    Taken,
    /// To another billing server: the shop does not deliver; pay back.
    NotTaken,
    /// To another billing server: not known yet, ask again.
    NotYet,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Store an order, if it is new, or was refused.
    Begin {
        /// Who waits.
        client: ClientId,
        /// What.
        order: Box<Order>,
        /// When, milliseconds since 1970.
        at_ms: i64,
    },
    /// Store a change.
    Store {
        /// Of which payment.
        id: PaymentId,
        /// What.
        change: Change,
        /// When, milliseconds since 1970.
        at_ms: i64,
    },
    /// Ask the charging system.
    Credit(Box<CreditOrder>),
    /// Send an acknowledgement.
    Post {
        /// Of which payment.
        id: PaymentId,
        /// Where to.
        url: Box<str>,
        /// What.
        acknowledgement: Arc<str>,
    },
    /// Answer.
    Reply {
        /// Whom.
        client: ClientId,
        /// What.
        reply: Reply,
    },
    /// A payment is over: for the charge records.
    Record(Box<Payment>),
}
