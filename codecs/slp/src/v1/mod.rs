//! SLPv1 (RFC 2165), as far as a directory agent of version 2 answers it (RFC 2608 3): what is asked in the one version is
//! asked in the other, of the same services.
//!
//! [`decode`] gives requests in the words of version 1, [`Request::to_v2`] in those of version 2; [`Reply::of_v2`] and
//! [`encode`] lead back. What has no place on the other side:
//! - tags of version 2 have no underscore: one of version 1 becomes a hyphen;
//! - signatures of version 1 (MD5 with RSA) are not verified: what bears one is refused;
//! - of the character encodings US-ASCII, ISO 8859-1 and UTF-8 are understood.

mod attributes;
mod base64;
mod charset;
mod message;
mod predicate;
mod reply;

pub use attributes::{Translated, attributes_to_v1, attributes_to_v2};
pub use charset::Charset;
pub use message::{Flags, Header, Message, Request, Undecodable, V2, decode};
pub use predicate::{Query, parse_predicate};
pub use reply::{Reply, encode, refusal};

use crate::error::ErrorCode as V2ErrorCode;

/// The version number.
pub const VERSION: u8 = 1;
/// Octets of the header (RFC 2165 4).
pub const HEADER_LENGTH: usize = 12;
/// The scope of whoever names none (RFC 2608 3).
pub const UNSCOPED: &str = crate::scope::DEFAULT;

/// The error code of an answer (RFC 2165 23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// No error.
    pub const OK: Self = Self(0);
    /// There is data, but in other languages.
    pub const LANGUAGE_NOT_SUPPORTED: Self = Self(1);
    /// The message does not obey the syntax.
    pub const PROTOCOL_PARSE_ERROR: Self = Self(2);
    /// The registration has problems, or there is none.
    pub const INVALID_REGISTRATION: Self = Self(3);
    /// The scope is not supported.
    pub const SCOPE_NOT_SUPPORTED: Self = Self(4);
    /// The character encoding is not supported.
    pub const CHARSET_NOT_UNDERSTOOD: Self = Self(5);
    /// The authentication expected is not there.
    pub const AUTHENTICATION_ABSENT: Self = Self(6);
    /// The authentication is wrong.
    pub const AUTHENTICATION_FAILED: Self = Self(7);
}

impl From<V2ErrorCode> for ErrorCode {
    /// The nearest: version 1 has fewer.
    fn from(code: V2ErrorCode) -> Self {
        match code {
            V2ErrorCode::OK => Self::OK,
            V2ErrorCode::LANGUAGE_NOT_SUPPORTED => Self::LANGUAGE_NOT_SUPPORTED,
            V2ErrorCode::SCOPE_NOT_SUPPORTED => Self::SCOPE_NOT_SUPPORTED,
            V2ErrorCode::AUTHENTICATION_ABSENT => Self::AUTHENTICATION_ABSENT,
            V2ErrorCode::AUTHENTICATION_UNKNOWN | V2ErrorCode::AUTHENTICATION_FAILED => {
                Self::AUTHENTICATION_FAILED
            }
            V2ErrorCode::INVALID_REGISTRATION
            | V2ErrorCode::INVALID_UPDATE
            | V2ErrorCode::REFRESH_REJECTED
            | V2ErrorCode::DA_BUSY_NOW => Self::INVALID_REGISTRATION,
            _ => Self::PROTOCOL_PARSE_ERROR,
        }
    }
}
