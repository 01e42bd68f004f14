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

pub mod agent;
pub mod attributes;
pub mod authentication;
pub mod error;
pub mod extension;
mod field;
pub mod filter;
pub mod header;
pub mod message;
pub mod multicast;
pub mod scope;
pub mod service_type;
pub mod signature;
pub mod tags;
pub mod template;
pub mod text;
pub mod url_entry;
pub mod v1;
mod value_error;

pub use attributes::{AttributeList, Meaning};
pub use authentication::AuthenticationBlock;
pub use error::{DecodeError, DecodeErrorKind, ErrorCode, Unencodable};
pub use extension::Extension;
pub use filter::Filter;
pub use header::{Flags, Function, Header, WireHeader, announced_length};
pub use message::{Body, Message, decode, encode};
pub use scope::ScopeList;
pub use service_type::ServiceType;
pub use tags::TagList;
pub use template::Template;
pub use url_entry::UrlEntry;
pub use value_error::{ValueError, ValueErrorKind};

/// The port of all messages, UDP and TCP (RFC 2608 6.1).
pub const PORT: u16 = 427;
/// Octets of SLP in a datagram by default (RFC 2608 6.1).
pub const DEFAULT_MTU: usize = 1400;
