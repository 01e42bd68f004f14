//! Scope lists (RFC 2608 6.4.1, 11), and lists of SPIs, which have the same grammar (RFC 2608 9.2).

use std::fmt;

use crate::text::{self, Context, fold};
use crate::value_error::{ValueError, ValueErrorKind};

/// The scope of everybody who has no other (RFC 2608 11).
pub const DEFAULT: &str = "DEFAULT";

/// Scopes of one list, at most.
pub const MAX_SCOPES: usize = 64;

/// A list of scopes: folded and unescaped, in order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ScopeList {
    folded: Vec<Box<str>>,
    text: Box<str>,
}

impl ScopeList {
    /// Reads a comma list; an empty one is a list of none.
    ///
    /// # Errors
    /// An empty scope between commas, a reserved character, a broken escape, more than [`MAX_SCOPES`].
    pub fn parse(list: &str) -> Result<Self, ValueError> {
        const FIELD: &str = "scope-list";
        let mut folded: Vec<Box<str>> = Vec::new();
        for (offset, item) in text::items(list) {
            let plain = text::unescape(item, Context::Scope, true, FIELD, offset)?;
            let scope = fold(&plain);
            if scope.is_empty() {
                return Err(ValueError::new(ValueErrorKind::Empty, FIELD, offset));
            }
            if folded.iter().any(|known| **known == *scope) {
                continue;
            }
            if folded.len() == MAX_SCOPES {
                return Err(ValueError::new(ValueErrorKind::TooMany, FIELD, offset));
            }
            folded.push(scope.as_ref().into());
        }
        folded.sort_unstable();
        let text = match folded.is_empty() {
            true => "",
            false => list,
        };
        Ok(Self {
            folded,
            text: text.into(),
        })
    }

    /// The list as it was spelled.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Each scope, folded and unescaped, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.folded.iter().map(AsRef::as_ref)
    }

    /// Scopes in it.
    pub fn len(&self) -> usize {
        self.folded.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.folded.is_empty()
    }

    /// Whether a folded, unescaped scope is in it.
    pub fn contains(&self, folded: &str) -> bool {
        self.folded
            .binary_search_by(|known| known.as_ref().cmp(folded))
            .is_ok()
    }

    /// Whether they have a scope in common.
    pub fn intersects(&self, other: &Self) -> bool {
        self.iter().any(|scope| other.contains(scope))
    }

    /// Whether `other` has every scope of this list.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|scope| other.contains(scope))
    }

    /// Whether they are the same scopes, however spelled.
    pub fn same_set(&self, other: &Self) -> bool {
        self.folded == other.folded
    }

    /// The scopes that `other` has too.
    pub fn common(&self, other: &Self) -> Self {
        self.only(|scope| other.contains(scope))
    }

    /// The scopes that `other` has not.
    pub fn without(&self, other: &Self) -> Self {
        self.only(|scope| !other.contains(scope))
    }

    /// The scopes of both.
    pub fn union(&self, other: &Self) -> Self {
        let missing = other.without(self);
        if missing.is_empty() {
            return self.clone();
        }
        let comma = if self.is_empty() { "" } else { "," };
        let text = format!("{}{comma}{}", self.text, missing.text);
        let mut folded = self.folded.clone();
        folded.extend(missing.folded);
        folded.sort_unstable();
        Self {
            folded,
            text: text.into(),
        }
    }

    fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let folded: Vec<Box<str>> = self
            .folded
            .iter()
            .filter(|scope| keep(scope))
            .cloned()
            .collect();
        // A whole list keeps its spelling.
        if folded.len() == self.folded.len() {
            return self.clone();
        }
        let text = folded
            .iter()
            .map(|scope| text::escape(scope, Context::Scope))
            .collect::<Vec<_>>()
            .join(",");
        Self {
            folded,
            text: text.into(),
        }
    }
}

impl fmt::Display for ScopeList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
