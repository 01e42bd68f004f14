//! Why the text in a field has no meaning.

use thiserror::Error;

use crate::error::ErrorCode;

/// Why a scope list, a service type, an attribute list, a tag list or a filter cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} at octet {offset}: {kind}")]
pub struct ValueError {
    /// What is wrong.
    pub kind: ValueErrorKind,
    /// The field, by the RFC's name.
    pub field: &'static str,
    /// Where, from the start of the field.
    pub offset: usize,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueErrorKind {
    /// Something has to stand here.
    #[error("nothing where something has to be")]
    Empty,
    /// A character that has to be escaped, or may not be there at all.
    #[error("{0:?} is reserved")]
    Reserved(char),
    /// A backslash without two hex digits.
    #[error("not an escape")]
    Escape,
    /// An escape of what is not reserved (RFC 2608 5).
    #[error("octet {0:#04x} may not be escaped")]
    NeedlessEscape(u8),
    /// A bracket without its other one.
    #[error("unbalanced brackets")]
    Unbalanced,
    /// Text behind the end.
    #[error("text behind the end")]
    Trailing,
    /// No operator, or one that there is not.
    #[error("no operator that is known")]
    Operator,
    /// A wildcard with another operator than `=` (RFC 2608 8.1).
    #[error("a wildcard needs =")]
    Wildcard,
    /// Brackets in brackets in brackets.
    #[error("nested too deeply")]
    TooDeep,
    /// More of them than anybody needs.
    #[error("too many")]
    TooMany,
    /// Values of one attribute that are not of one type (RFC 2608 5).
    #[error("values of different types")]
    MixedTypes,
    /// A boolean attribute with two values (RFC 2608 5).
    #[error("a boolean has one value")]
    ManyBooleans,
    /// The naming authority IANA is never written (RFC 2608 4.2).
    #[error("the naming authority IANA is not written")]
    Iana,
}

impl ValueError {
    pub(crate) fn new(kind: ValueErrorKind, field: &'static str, offset: usize) -> Self {
        Self {
            kind,
            field,
            offset,
        }
    }

    /// The answer it deserves (RFC 2608 5, 7).
    pub fn error_code(&self) -> ErrorCode {
        match self.kind {
            ValueErrorKind::MixedTypes | ValueErrorKind::ManyBooleans => {
                ErrorCode::INVALID_REGISTRATION
            }
            _ => ErrorCode::PARSE_ERROR,
        }
    }
}
