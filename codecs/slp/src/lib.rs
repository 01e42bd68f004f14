//! SLPv2 (RFC 2608): messages and the values in them, without I/O.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod authentication;
pub mod error;
pub mod extension;
mod field;
pub mod header;
pub mod message;
pub mod url_entry;

pub use authentication::AuthenticationBlock;
pub use error::{DecodeError, DecodeErrorKind, ErrorCode, Unencodable};
pub use extension::Extension;
pub use header::{Flags, Function, Header, WireHeader, announced_length};
pub use message::{Body, Message, decode, encode};
pub use url_entry::UrlEntry;

/// The port of all messages, UDP and TCP (RFC 2608 6.1).
pub const PORT: u16 = 427;
/// Octets of SLP in a datagram by default (RFC 2608 6.1).
pub const DEFAULT_MTU: usize = 1400;
