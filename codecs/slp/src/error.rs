//! What an agent answers, and why octets could not be read.

use std::fmt;

use thiserror::Error;
use tollwire_wire::ShortBuffer;

/// The error code of an answer (RFC 2608 7). Any value may arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ErrorCode(pub u16);

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The RFC's name, if the code has one.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    /// No error.
    OK = 0;
    /// There is data for the type and scope, but in other languages.
    LANGUAGE_NOT_SUPPORTED = 1;
    /// The message does not obey the syntax.
    PARSE_ERROR = 2;
    /// The SrvReg has problems: a lifetime of zero, no language tag, values of mixed types.
    INVALID_REGISTRATION = 3;
    /// No scope of the request is supported.
    SCOPE_NOT_SUPPORTED = 4;
    /// The SPI is not supported.
    AUTHENTICATION_UNKNOWN = 5;
    /// The authentication expected is not there.
    AUTHENTICATION_ABSENT = 6;
    /// The authentication is wrong.
    AUTHENTICATION_FAILED = 7;
    /// Another version of SLP.
    VER_NOT_SUPPORTED = 9;
    /// A fault of the agent itself.
    INTERNAL_ERROR = 10;
    /// Try later, with exponential backoff.
    DA_BUSY_NOW = 11;
    /// A mandatory extension is unknown.
    OPTION_NOT_UNDERSTOOD = 12;
    /// An update of what is not registered, or of another service type.
    INVALID_UPDATE = 13;
    /// The agent does not answer such requests.
    MSG_NOT_SUPPORTED = 14;
    /// A refresh sooner than `min-refresh-interval`.
    REFRESH_REJECTED = 15;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "error {}", self.0),
        }
    }
}

/// Why octets are no SLPv2 message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} at octet {offset}: {kind}")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The field, by the RFC's name.
    pub field: &'static str,
    /// Where it begins, from the start of the message.
    pub offset: usize,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    /// It ends before its length says, or the message does.
    #[error("{needed} octets needed, {available} left")]
    Short {
        /// Octets that the field needs.
        needed: usize,
        /// Octets that are left.
        available: usize,
    },
    /// The version number is not 2.
    #[error("version {0} is not 2")]
    Version(u8),
    /// The length field is not the number of octets at hand.
    #[error("length {announced} of a message of {actual}")]
    Length {
        /// What the field says.
        announced: usize,
        /// Octets at hand.
        actual: usize,
    },
    /// No message has this function id.
    #[error("unknown function {0}")]
    Function(u8),
    /// A string is not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// The language tag has not the form of RFC 1766.
    #[error("not a language tag")]
    LanguageTag,
    /// Octets are left behind the body.
    #[error("{0} octets too many")]
    Trailing(usize),
    /// An extension begins before the body ends, or not behind the one before it.
    #[error("impossible offset {0}")]
    ExtensionOffset(usize),
    /// A length that cannot be.
    #[error("impossible length {0}")]
    Impossible(usize),
    /// More of them than anybody needs.
    #[error("too many")]
    TooMany,
}

impl DecodeError {
    /// The answer it deserves: the one place where faults of the octets become codes (RFC 2608 7).
    pub fn error_code(&self) -> ErrorCode {
        match self.kind {
            DecodeErrorKind::Version(_) => ErrorCode::VER_NOT_SUPPORTED,
            DecodeErrorKind::Function(_) => ErrorCode::MSG_NOT_SUPPORTED,
            _ => ErrorCode::PARSE_ERROR,
        }
    }

    pub(crate) fn short(field: &'static str, short: ShortBuffer) -> Self {
        Self {
            kind: DecodeErrorKind::Short {
                needed: short.needed,
                available: short.available,
            },
            field,
            offset: short.offset,
        }
    }
}

/// A value that has no place on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} is too long: {length} octets")]
pub struct Unencodable {
    /// The field, by the RFC's name.
    pub field: &'static str,
    /// How long it is, in octets, or in entries for a count.
    pub length: usize,
}
