//! The manager ends a session.

use serde::{Deserialize, Serialize};

use super::Signed;
use crate::{Identifier, Nonce};

/// The provider has to stop at once, and to send its final message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Which session.
    pub accounting_session_id: Identifier,
    /// Why.
    pub reason: Reason,
    /// Another each time that it is sent.
    pub nonce: Nonce,
}

/// Why a session is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The account has nothing left.
    Credit,
    /// An operator, or the provider's silence, ended it.
    Operator,
    /// A party's certificate was revoked.
    Certificate,
    /// The provider reports what cannot be.
    Report,
}

impl Signed for Revocation {
    const TYPE: &'static str = "revocation+jwt";
}
