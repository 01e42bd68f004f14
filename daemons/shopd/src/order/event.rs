//! What happens to an order.

use super::range::{Asked, Span};

/// A file as it is now: another one has another version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    /// Octets.
    pub size: u64,
    /// Its entity tag (RFC 9110 8.8.3), without quotes.
    pub tag: String,
}

/// The billing server that a customer chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Thumbprint of its acknowledgement key.
    pub server: String,
    /// The key, a JWK, whose thumbprint that is.
    pub key: String,
    /// Its URL and its attribute list.
    pub registration: (String, String),
    /// A reference that nobody can guess, never used before; for the invoice, if one has to be made.
    pub reference: String,
}

/// What happens to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time goes by.
    Tick,
    /// The customer chose a billing server.
    Choose(Box<Choice>),
    /// The invoice is signed.
    Signed {
        /// Its reference.
        reference: String,
        /// The compact JWS.
        jws: String,
    },
    /// The billing server of this invoice says that it is paid: signature and claims are verified.
    Acknowledged {
        /// The invoice's reference.
        reference: String,
    },
    /// The customer fetches a file.
    Fetch {
        /// As it is now.
        version: Version,
        /// What of it.
        asked: Asked,
        /// Octets that transfers of this order may still send.
        under_way: u64,
        /// Transfers of this order.
        transfers: usize,
    },
    /// Octets of a file went out.
    Sent {
        /// Of this version.
        version: Version,
        /// These.
        span: Span,
    },
    /// The customer says that a file went out and did not arrive.
    Lost,
    /// The customer fetches a stream, which is there.
    Stream {
        /// Transfers of this order.
        transfers: usize,
    },
    /// A stream ended.
    StreamEnded {
        /// By itself, and not because a connection broke.
        whole: bool,
    },
    /// The customer uses a service, which is there.
    Enter,
}
