//! Diameter: RFC 6733 base and accounting, RFC 8506 credit control, 3GPP TS 29.214 Rx, without I/O.
//!
//! Two levels of message: [`Message`] is a header and AVPs over the received octets;
//! the structs of [`base`], [`accounting`], [`credit_control`] and [`rx`] are its meaning, one per command.
//! [`peer`] holds the peer state machine of RFC 6733 5.6 with the watchdog of RFC 3539.
//!
//! ```
//! use tollwire_diameter::{Message, credit_control::CreditControlRequest};
//!
//! let request = CreditControlRequest {
//!     session_id: "sip.example;1;2".into(),
//!     auth_application_id: 4,
//!     ..Default::default()
//! };
//! let octets = request.encode(1, 2).encode();
//! let message = Message::decode(octets)?;
//! assert_eq!(CreditControlRequest::decode(&message)?, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod accounting;
pub mod avp;
pub mod base;
pub mod credit_control;
pub mod dictionary;
mod error;
mod fields;
mod flags;
mod ip_filter_rule;
mod message;
pub mod peer;
mod result_code;
pub mod rx;
pub mod value;

pub use avp::Avp;
pub use error::{DataFault, DecodeError, Fault};
pub use flags::{AvpFlags, CommandFlags};
pub use ip_filter_rule::{
    FilterAction, FilterAddress, FilterDirection, FilterEndpoint, InvalidFilterRule, IpFilterRule,
};
pub use message::{HEADER_LENGTH, Identity, Malformed, Message, frame_length};
pub use result_code::ResultCode;
pub use value::{Address, Ipv6Prefix, Time};
