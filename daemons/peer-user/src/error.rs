//! Why something is not to be had.

use tollwire_peer::{Refusal, Word};
use tollwire_web::client::{Answer, ClientError};

/// Whom a user deals with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Who vouches for all.
    Manager,
    /// Whose service it is.
    Provider,
}

impl std::fmt::Display for Party {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Manager => "manager",
            Self::Provider => "provider",
        })
    }
}

/// Why a user does not get what he asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// What he was configured with does not do.
    #[error("{0}")]
    Setting(String),
    /// No answer; whether it was understood is not known.
    #[error("the {party} cannot be reached: {error}")]
    Unreachable {
        /// Who.
        party: Party,
        /// Why.
        error: ClientError,
    },
    /// An answer that says no.
    #[error("the {party} refuses with {status}: {detail}")]
    Refused {
        /// Who.
        party: Party,
        /// Of HTTP.
        status: u16,
        /// For programs, if it is an answer of this protocol.
        word: Option<Word>,
        /// For people.
        detail: String,
    },
    /// An answer that is not the other party's, or not to what was asked.
    #[error("the {party}'s answer is not believed: {why}")]
    Answer {
        /// Who.
        party: Party,
        /// What is wrong.
        why: String,
    },
    /// The manager lists no such service.
    #[error("the manager has no service {0:?}")]
    UnknownService(String),
    /// The credential has ended, and no other is to be asked for.
    #[error("the credential has ended")]
    Over,
}

impl UserError {
    pub(crate) fn answer(party: Party, why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        Self::Answer { party, why }
    }

    /// What an answer that is not a success says.
    pub(crate) fn refused(party: Party, answer: &Answer) -> Self {
        let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok();
        let (word, detail) = match refusal {
            Some(refusal) => (Some(refusal.error), short(&refusal.detail)),
            None => (None, short(&answer.text())),
        };
        Self::Refused {
            party,
            status: answer.status.as_u16(),
            word,
            detail,
        }
    }

    /// Whether the same may succeed later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { error, .. } => !matches!(error, ClientError::Refused(_)),
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            _ => false,
        }
    }

    /// Whether the account has not enough, now: what the session before did not use is released when its last message has
    /// come to the manager.
    pub(crate) fn is_short(&self) -> bool {
        let word = match self {
            Self::Refused { word, .. } => *word,
            _ => None,
        };
        word == Some(Word::NoCredit)
    }

    /// What a program that asked through us is told.
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused { status, .. } if (400..600).contains(status) => *status,
            Self::Over => 410,
            Self::UnknownService(_) => 404,
            Self::Setting(_) => 500,
            _ => 502,
        }
    }
}

/// Others' words, as long as is good to read.
fn short(text: &str) -> String {
    text.chars()
        .take(200)
        .filter(|character| !character.is_control())
        .collect()
}
