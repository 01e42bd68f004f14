//! Why something is not taken, in the words of the protocol.

use serde::{Deserialize, Serialize};
use tollwire_jose::JoseError;

use crate::{Skewed, Untimely};

/// Why something is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It is not such a message.
    Malformed,
    /// Its signature, alg or typ is not what it has to be.
    Signature,
    /// Its certificate is not good, or not of a party that may say this.
    Certificate,
    /// Its certificate was revoked.
    Revoked,
    /// It is not of now.
    Skew,
    /// Its nonce or identifier was used.
    Replayed,
    /// There is no such service.
    UnknownService,
    /// There is no such session.
    UnknownSession,
    /// The party has no account.
    UnknownUser,
    /// The account has not enough.
    NoCredit,
    /// The credential does not allow it.
    Policy,
    /// The session is over.
    Closed,
    /// The provider does not answer.
    ProviderUnreachable,
    /// Too many at once.
    TooMany,
    /// Not now.
    Unavailable,
}

impl Word {
    /// The status of HTTP that it comes with.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::NoCredit => 402,
            Self::Signature
            | Self::Certificate
            | Self::Revoked
            | Self::Skew
            | Self::UnknownUser
            | Self::Policy => 403,
            Self::UnknownService | Self::UnknownSession => 404,
            Self::Replayed => 409,
            Self::Closed => 410,
            Self::TooMany => 429,
            Self::ProviderUnreachable => 502,
            Self::Unavailable => 503,
        }
    }

    /// Whether the same may be taken later.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::ProviderUnreachable | Self::TooMany | Self::Unavailable
        )
    }
}

/// Why something is not taken, for a program and for a person: the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// For a program.
    pub error: Word,
    /// For a person.
    pub detail: String,
}

impl Refusal {
    /// One.
    pub fn new(error: Word, detail: impl Into<String>) -> Self {
        Self {
            error,
            detail: detail.into(),
        }
    }

    /// Of a message whose `member` is not what it has to be.
    pub fn malformed(member: &str, problem: &str) -> Self {
        Self::new(Word::Malformed, format!("{member}: {problem}"))
    }
}

impl From<JoseError> for Refusal {
    fn from(error: JoseError) -> Self {
        let word = match &error {
            JoseError::TooLarge(_)
            | JoseError::Parts
            | JoseError::Base64(_)
            | JoseError::Json { .. }
            | JoseError::Critical => Word::Malformed,
            JoseError::Algorithm(_)
            | JoseError::Type { .. }
            | JoseError::Signature
            | JoseError::Encryption
            | JoseError::NoKey
            | JoseError::Key(_) => Word::Signature,
            JoseError::Certificate(_) => Word::Certificate,
            JoseError::Revoked => Word::Revoked,
        };
        Self::new(word, error.to_string())
    }
}

impl From<Skewed> for Refusal {
    fn from(skewed: Skewed) -> Self {
        Self::new(Word::Skew, skewed.to_string())
    }
}

impl From<Untimely> for Refusal {
    fn from(untimely: Untimely) -> Self {
        Self::new(Word::Policy, untimely.to_string())
    }
}
