//! Service templates (RFC 2609 3): which attributes the services of a type have.

mod check;
mod parse;

use std::fmt;

use thiserror::Error;

use crate::attributes::Meaning;
use crate::service_type::ServiceType;

pub use self::check::{Fault, Violation};

/// Octets of a template, at most.
pub const MAX_OCTETS: usize = 256 << 10;
/// Attributes of a template, at most.
pub const MAX_ATTRIBUTES: usize = 512;
/// Values of one list, at most.
pub const MAX_VALUES: usize = 1_024;

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The type that it is of; an abstract one means its concrete ones too.
    pub service_type: ServiceType,
    /// `template-type`, as it was spelled.
    pub name: String,
    /// `template-version`: major and minor.
    pub version: (u32, u32),
    /// `template-description`.
    pub description: String,
    /// `template-url-syntax`.
    pub url_syntax: String,
    /// The attributes, in order.
    pub attributes: Vec<Definition>,
}

impl Template {
    /// The name and version by which SrvAcks name it (RFC 2608 D.1): `billing.1.0`.
    pub fn id(&self) -> String {
        let (major, minor) = self.version;
        format!("{}.{major}.{minor}", self.name)
    }

    /// The definition of a folded tag.
    pub fn get(&self, folded: &str) -> Option<&Definition> {
        self.attributes.iter().find(|known| *known.tag == *folded)
    }
}

/// What one attribute is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The tag, folded.
    pub tag: Box<str>,
    /// The tag, as it was spelled.
    pub spelled: Box<str>,
    /// The type of its values.
    pub kind: Kind,
    /// M: it may have several values.
    pub multiple: bool,
    /// L: it is not translated.
    pub literal: bool,
    /// O: it may be left out.
    pub optional: bool,
    /// X: requests should include it.
    pub explicit: bool,
    /// What it is when it is left out.
    pub default: Vec<Meaning>,
    /// What people are told of it.
    pub help: String,
    /// All that it may be; empty is anything.
    pub allowed: Vec<Meaning>,
    /// Where its definition begins, from 1.
    pub line: usize,
}

/// The type of an attribute's values (RFC 2609 3.2.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    String,
    /// 32 bits with a sign.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Octets.
    Opaque,
    /// No values: it is there, or not.
    Keyword,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Boolean => "a boolean",
            Self::Opaque => "opaque",
            Self::Keyword => "a keyword",
        })
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct TemplateError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}
