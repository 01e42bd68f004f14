//! Why an invoice or an acknowledgement is not taken.

use tollwire_jose::JoseError;

/// Why an invoice or an acknowledgement is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not a signed message of this kind, or not by the right key.
    #[error(transparent)]
    Token(#[from] JoseError),
    /// A field is not what it has to be.
    #[error("{field}: {problem}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It is for somebody else.
    #[error("it is meant for another one (aud)")]
    Audience,
    /// It is from the future.
    #[error("it was made later than now: compare the clocks")]
    NotYet,
    /// It is too late.
    #[error("it has expired")]
    Expired,
    /// It came by here before, or went through too many hands.
    #[error("it has been handed on in a circle, or too often")]
    Loop,
    /// It says another thing than what was asked for.
    #[error("{0} is not that of the invoice")]
    Mismatch(&'static str),
}
