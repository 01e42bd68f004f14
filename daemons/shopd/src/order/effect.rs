//! What an event has the driver do.

use super::range::Span;

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The order was not paid in time.
    #[error("the order was not paid in time")]
    Expired,
    /// It is paid already; by another invoice, where one is acknowledged.
    #[error("the order is paid already")]
    AlreadyPaid,
    /// [`super::MAX_INVOICES`].
    #[error("the order has as many invoices as one may have")]
    TooManyInvoices,
    /// No invoice of this order has the reference.
    #[error("no invoice of this order has this reference")]
    UnknownReference,
    /// It has to be paid first.
    #[error("the order is not paid")]
    NotPaid,
    /// All of it went out.
    #[error("the goods were delivered")]
    Spent,
    /// As many octets went out, or a stream was begun as often, as one payment is good for.
    #[error("the goods were sent as often as one payment is good for")]
    Exhausted,
    /// As many transfers of this order are under way as may be.
    #[error("other transfers of this order are under way")]
    Busy,
    /// 416: the file has no such octets.
    #[error("the file has no such octets")]
    Unsatisfiable,
}

/// What the driver does once the order is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Sign an invoice of this reference, and come back with [`super::Event::Signed`] before anything is shown.
    Sign {
        /// Its reference.
        reference: String,
        /// Until when it can be paid, milliseconds since 1970.
        expires_ms: i64,
    },
    /// Show the form of this invoice, which there is.
    Show {
        /// Its reference.
        reference: String,
    },
    /// The acknowledgement is taken, and the customer has his right.
    Granted,
    /// The same was acknowledged before; nothing changed.
    GrantedBefore,
    /// Send these octets.
    Send {
        /// Which.
        span: Span,
        /// Whether that answers a range (206).
        partial: bool,
    },
    /// Let what is upstream through.
    Pass,
    /// The order is over.
    Delivered,
    /// Nothing, for this reason.
    Refuse(Refusal),
}
