//! Why a header field's value could not be understood.

use thiserror::Error;

use crate::header::HeaderName;

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Problem {
    /// The header field is not there.
    #[error("missing")]
    Missing,
    /// More than one value where RFC 3261 7.3.1 allows one.
    #[error("more than one value")]
    Repeated,
    /// Not UTF-8 (RFC 3261 7).
    #[error("not UTF-8")]
    NotUtf8,
    /// Does not follow the grammar of RFC 3261 25.1.
    #[error("malformed")]
    Malformed,
    /// A number outside the range its field allows.
    #[error("number out of range")]
    OutOfRange,
    /// A quoted string or angle bracket is never closed.
    #[error("unterminated")]
    Unterminated,
    /// A URI that does not follow RFC 3261 19.1.1.
    #[error("malformed URI")]
    Uri,
}

/// A header field and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("{header}: {problem}")]
pub struct HeaderError {
    /// The header field.
    pub header: HeaderName,
    /// Its fault.
    pub problem: Problem,
}
