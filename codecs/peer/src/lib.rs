//! What a user, a service provider and their accounting manager say to each other (docs/peer.md), without I/O.
//!
//! ```text
//! user                    manager                  provider
//!   | ServiceCredentialRequest |                      |
//!   |------------------------->|    UserCredential    |
//!   |                          |--------------------->|
//!   |        ServiceCredential |   .. Acknowledgement |
//!   |<-------------------------|<---------------------|
//!   | ServiceRequest                                  |
//!   |------------------------------------------------>|
//!   |                          |   AccountingMessage  |
//!   |                          |<---------------------|
//! ```
//! Manager and parties sign with their certificates; what goes from user to provider is signed with the session key that the
//! manager gave both. Members have the letters of the system's description beside them: a1 to e7.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod data;
mod identifier;
mod identity;
mod message;
mod nonce;
mod policies;
mod refusal;

pub use data::{Data, Measure};
pub use identifier::Identifier;
pub use identity::{Identity, open_key, seal_key};
pub use message::{
    AccountingAcknowledgement, AccountingMessage, Cause, Kind, Listed, Provider, Reason,
    Revocation, Service, ServiceCredential, ServiceCredentialRequest, ServiceList, ServiceRequest,
    Signed, State, Target, UserAddress, UserCredential, UserCredentialAcknowledgement, Validity,
};
pub use nonce::{Nonce, Skewed};
pub use policies::{Day, Policies, TimeOfDay, Untimely};
pub use refusal::{Refusal, Word};

/// Octets of a string at the most, where nothing else is said.
pub const LONGEST_TEXT: usize = 512;
/// The media type of every message.
pub const MEDIA_TYPE: &str = "application/jose";
/// The header field that a [`ServiceRequest`] is in.
pub const SERVICE_REQUEST_FIELD: &str = "Tollwire-Service-Request";
