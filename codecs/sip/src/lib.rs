//! SIP: RFC 3261 messages, transactions and dialogs, without I/O.
//!
//! The message layer keeps the octets it received. A [`Message`] is an ordered
//! list of raw header field spans over them; typed values ([`Via`], [`NameAddr`],
//! [`Uri`], [`CSeq`]...) are views parsed on demand, and an edit changes only the
//! header fields it names, as RFC 3261 16.6 asks of a proxy.
//!
//! Nothing here reads a socket or a clock.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod address;
pub mod digest;
pub mod error;
pub mod framing;
pub mod header;
pub mod message;
mod method;
pub mod params;
pub mod rejection;
pub mod sdp;
pub mod status;
mod text;
pub mod transaction;
pub mod uri;
pub mod values;
pub mod via;

pub use address::{Contacts, NameAddr};
pub use digest::{Challenge, Credentials, DigestCredentials};
pub use error::{HeaderError, Problem};
pub use framing::{Framed, FramingError, StreamFramer};
pub use header::HeaderName;
pub use message::{Message, ParseFailure, RequestBuilder, ResponseBuilder};
pub use method::Method;
pub use params::Params;
pub use rejection::{Capabilities, Fault, Rejection, Role};
pub use text::unquote;
pub use uri::{Host, SipUri, TelUri, Uri};
pub use values::{CSeq, MinSe, RAck, Refresher, SessionExpires};
pub use via::Via;
