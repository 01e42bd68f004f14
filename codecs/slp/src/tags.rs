//! Tag lists (RFC 2608 9.4): which attributes are meant.

use crate::text::{self, Context, fold};
use crate::value_error::{ValueError, ValueErrorKind};

/// Tags of one list, at most.
pub const MAX_TAGS: usize = 256;

/// A list of attribute tags, with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagList {
    patterns: Vec<Pattern>,
}

/// What is around the stars: `a*b` is `["a", "b"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(pub(crate) Vec<Box<str>>);

impl TagList {
    /// Reads a comma list; an empty one means every tag.
    ///
    /// # Errors
    /// An empty tag between commas, a reserved character, a broken escape, more than [`MAX_TAGS`].
    pub fn parse(list: &str) -> Result<Self, ValueError> {
        const FIELD: &str = "tag-list";
        let mut patterns = Vec::new();
        for (offset, item) in text::items(list) {
            if patterns.len() == MAX_TAGS {
                return Err(ValueError::new(ValueErrorKind::TooMany, FIELD, offset));
            }
            let item = item.trim_matches(text::is_white);
            if item.is_empty() {
                return Err(ValueError::new(ValueErrorKind::Empty, FIELD, offset));
            }
            let mut parts = Vec::new();
            for part in item.split('*') {
                check_tag(part, FIELD, offset)?;
                let plain = text::unescape(part, Context::Attribute, true, FIELD, offset)?;
                parts.push(text::fold_inside(&plain).into());
            }
            patterns.push(Pattern(parts));
        }
        Ok(Self { patterns })
    }

    /// Whether it means every tag.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether `tag` is meant, however it is spelled.
    pub fn matches(&self, tag: &str) -> bool {
        self.is_empty() || {
            let tag = fold(tag);
            self.patterns.iter().any(|pattern| pattern.matches(&tag))
        }
    }
}

impl Pattern {
    /// Whether the parts stand in folded `text` in this order, the first at its start, the last at its end.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let [initial, any @ .., last] = self.0.as_slice() else {
            return self.0.iter().any(|only| **only == *text);
        };
        let Some(mut rest) = text.strip_prefix(initial.as_ref()) else {
            return false;
        };
        for part in any {
            let found = rest
                .find(part.as_ref())
                .and_then(|at| rest.get(at + part.len()..));
            match found {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        rest.ends_with(last.as_ref())
    }
}

/// Refuses the characters that RFC 2608 5 calls bad in a tag.
pub(crate) fn check_tag(tag: &str, field: &'static str, base: usize) -> Result<(), ValueError> {
    match tag
        .char_indices()
        .find(|(_, character)| matches!(character, '\r' | '\n' | '\t' | '_' | '*'))
    {
        Some((offset, character)) => Err(ValueError::new(
            ValueErrorKind::Reserved(character),
            field,
            base + offset,
        )),
        None => Ok(()),
    }
}
