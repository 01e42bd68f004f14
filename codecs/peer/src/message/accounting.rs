//! A provider says what was used (e).

use serde::{Deserialize, Serialize};

use super::Signed;
use crate::{Data, Identifier, Nonce, Refusal};

/// e: what was used since a session began. The signature (e7) is the token's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountingMessage {
    /// e1: the message's name.
    pub message_id: Identifier,
    /// e2: the session's.
    pub accounting_session_id: Identifier,
    /// e3: 1, 2, 3 ... in a session.
    pub sequence: u64,
    /// e4: whether more will come.
    pub kind: Kind,
    /// e4: why the session ended; with `final` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// e5: totals since the session began.
    pub data: Data,
    /// e6.
    pub nonce: Nonce,
}

/// Whether more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The session goes on.
    Interim,
    /// It has ended.
    Final,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The user ended it.
    User,
    /// Its lifetime is over.
    Lifetime,
    /// Its policies do not allow more.
    Policy,
    /// What was granted is used up.
    Credit,
    /// The manager revoked it.
    Revoked,
    /// The provider ended it.
    Provider,
    /// The user, or the way to him, was lost.
    Lost,
}

impl Cause {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Lifetime => "lifetime",
            Self::Policy => "policy",
            Self::Credit => "credit",
            Self::Revoked => "revoked",
            Self::Provider => "provider",
            Self::Lost => "lost",
        }
    }
}

/// The manager has stored an [`AccountingMessage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountingAcknowledgement {
    /// Of this message.
    pub message_id: Identifier,
    /// Of this session.
    pub accounting_session_id: Identifier,
    /// The message's.
    pub sequence: u64,
    /// Whether the session goes on.
    pub state: State,
    /// What may be used in all.
    pub granted: Data,
    /// No more will be granted.
    pub last: bool,
    /// When it was answered first.
    pub nonce: Nonce,
}

/// Whether a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does.
    Open,
    /// It does not.
    Closed,
}

impl Signed for AccountingMessage {
    const TYPE: &'static str = "accounting-message+jwt";

    fn validate(&self) -> Result<(), Refusal> {
        if !(1..=i64::MAX.unsigned_abs()).contains(&self.sequence) {
            return Err(Refusal::malformed("sequence", "1 to 2^63 - 1"));
        }
        match (self.kind == Kind::Final) == self.cause.is_some() {
            true => Ok(()),
            false => Err(Refusal::malformed(
                "cause",
                "is of final messages, and of each",
            )),
        }
    }
}

impl Signed for AccountingAcknowledgement {
    const TYPE: &'static str = "accounting-acknowledgement+jwt";
}
