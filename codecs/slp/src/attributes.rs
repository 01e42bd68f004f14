//! Attribute lists (RFC 2608 5): tags, and values whose type their text tells.

use std::borrow::Cow;
use std::fmt;

use crate::tags::{TagList, check_tag};
use crate::text::{self, Context, fold, is_white};
use crate::value_error::{ValueError, ValueErrorKind};

const FIELD: &str = "attr-list";

/// Attributes of one list, at most.
pub const MAX_ATTRIBUTES: usize = 1_024;
/// Values of one list, at most.
pub const MAX_VALUES: usize = 8_192;

/// What a value means (RFC 2608 5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meaning {
    /// Digits that fit 32 bits.
    Integer(i32),
    /// `true` or `false`.
    Boolean(bool),
    /// `\FF` and escaped octets.
    Opaque(Box<[u8]>),
    /// All else, folded and unescaped.
    String(Box<str>),
}

impl Meaning {
    /// Reads a value as it stands on the wire.
    ///
    /// With `strict` nothing that is reserved may stand unescaped, as in an attribute list; without, as in a filter,
    /// only brackets may not.
    pub(crate) fn read(
        text: &str,
        strict: bool,
        field: &'static str,
        base: usize,
    ) -> Result<Self, ValueError> {
        let trimmed = text.trim_matches(is_white);
        if let Some(octets) = text::opaque(trimmed, field, base) {
            return octets.map(Self::Opaque);
        }
        if let Some(integer) = integer(trimmed) {
            return Ok(Self::Integer(integer));
        }
        if trimmed.eq_ignore_ascii_case("true") {
            return Ok(Self::Boolean(true));
        }
        if trimmed.eq_ignore_ascii_case("false") {
            return Ok(Self::Boolean(false));
        }
        let plain = text::unescape(text, Context::Attribute, strict, field, base)?;
        Ok(Self::String(fold(&plain).as_ref().into()))
    }

    /// Whether both are of one type.
    pub fn is_of_type_of(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// `[-]1*DIGIT` in 32 bits with a sign; other digits are a string.
fn integer(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.bytes().all(|octet| octet.is_ascii_digit()) {
        true => text.parse().ok(),
        false => None,
    }
}

/// A value, as it was spelled and as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// As on the wire: escaped, not folded.
    pub text: Box<str>,
    /// What it means.
    pub meaning: Meaning,
}

impl Value {
    /// A string as it is meant for people: unescaped, with its case, without white space around it. Of an opaque value
    /// the text on the wire.
    pub fn plain(&self) -> Cow<'_, str> {
        let text = self.text.trim_matches(is_white);
        match self.meaning {
            // It could be read once, so it can be read again.
            Meaning::String(_) => text::unescape(text, Context::Attribute, false, "attr-list", 0)
                .unwrap_or(Cow::Borrowed(text)),
            _ => Cow::Borrowed(text),
        }
    }
}

/// A tag and its values; a keyword has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The tag as it was spelled, without white space around it.
    pub spelled: Box<str>,
    /// The tag, folded and unescaped.
    pub tag: Box<str>,
    /// Values of one type, each once.
    pub values: Vec<Value>,
}

impl Attribute {
    fn add(&mut self, value: Value) {
        if !self
            .values
            .iter()
            .any(|known| known.meaning == value.meaning)
        {
            self.values.push(value);
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.values.is_empty() {
            return formatter.write_str(&self.spelled);
        }
        write!(formatter, "({}=", self.spelled)?;
        for (index, value) in self.values.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            formatter.write_str(&value.text)?;
        }
        formatter.write_str(")")
    }
}

/// An attribute list: each tag once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttributeList {
    attributes: Vec<Attribute>,
}

impl AttributeList {
    /// Reads a list; an empty one has no attributes. A tag that stands twice has the values of both.
    ///
    /// # Errors
    /// What the grammar of RFC 2608 5 does not allow: PARSE_ERROR; values of one tag that are of different types, or
    /// two booleans: INVALID_REGISTRATION.
    pub fn parse(list: &str) -> Result<Self, ValueError> {
        let mut all = Self::default();
        let mut count = 0;
        let mut rest = list;
        let at = |rest: &str| list.len() - rest.len();
        if list.trim_matches(is_white).is_empty() {
            return Ok(all);
        }
        loop {
            rest = rest.trim_start_matches(is_white);
            rest = match rest.strip_prefix('(') {
                Some(inside) => all.read_bracketed(inside, at(inside), &mut count)?,
                None => all.read_keyword(rest, at(rest))?,
            };
            rest = rest.trim_start_matches(is_white);
            if rest.is_empty() {
                break;
            }
            rest = rest.strip_prefix(',').ok_or(ValueError::new(
                ValueErrorKind::Trailing,
                FIELD,
                at(rest),
            ))?;
        }
        all.check()?;
        Ok(all)
    }

    /// Reads up to the closing bracket, and gives what is behind it.
    fn read_bracketed<'a>(
        &mut self,
        inside: &'a str,
        base: usize,
        count: &mut usize,
    ) -> Result<&'a str, ValueError> {
        let fault = |kind, offset| ValueError::new(kind, FIELD, base + offset);
        let (body, rest) = inside
            .split_once(')')
            .ok_or(fault(ValueErrorKind::Unbalanced, inside.len()))?;
        let (tag, values) = body
            .split_once('=')
            .ok_or(fault(ValueErrorKind::Operator, body.len()))?;
        let index = self.index_of(tag, base)?;
        let mut at = tag.len() + 1;
        for text in values.split(',') {
            *count += 1;
            if *count > MAX_VALUES {
                return Err(fault(ValueErrorKind::TooMany, at));
            }
            if text.is_empty() {
                return Err(fault(ValueErrorKind::Empty, at));
            }
            let value = Value {
                text: text.into(),
                meaning: Meaning::read(text, true, FIELD, base + at)?,
            };
            if let Some(attribute) = self.attributes.get_mut(index) {
                attribute.add(value);
            }
            at += text.len() + 1;
        }
        Ok(rest)
    }

    fn read_keyword<'a>(&mut self, rest: &'a str, base: usize) -> Result<&'a str, ValueError> {
        let end = rest.find(',').unwrap_or(rest.len());
        let (tag, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        self.index_of(tag, base)?;
        Ok(rest)
    }

    /// Where the attribute of `tag` is; it is made if there is none.
    fn index_of(&mut self, tag: &str, base: usize) -> Result<usize, ValueError> {
        let spelled = tag.trim_matches(is_white);
        if spelled.is_empty() {
            return Err(ValueError::new(ValueErrorKind::Empty, FIELD, base));
        }
        check_tag(spelled, FIELD, base)?;
        let plain = text::unescape(spelled, Context::Attribute, true, FIELD, base)?;
        let tag = fold(&plain);
        let known = self.attributes.iter().position(|known| *known.tag == *tag);
        if let Some(index) = known {
            return Ok(index);
        }
        if self.attributes.len() == MAX_ATTRIBUTES {
            return Err(ValueError::new(ValueErrorKind::TooMany, FIELD, base));
        }
        self.attributes.push(Attribute {
            spelled: spelled.into(),
            tag: tag.as_ref().into(),
            values: Vec::new(),
        });
        Ok(self.attributes.len() - 1)
    }

    /// "Stored values must be consistent", and a boolean "can only take one value" (RFC 2608 5).
    fn check(&self) -> Result<(), ValueError> {
        for attribute in &self.attributes {
            let [first, others @ ..] = attribute.values.as_slice() else {
                continue;
            };
            let mixed = others
                .iter()
                .any(|value| !value.meaning.is_of_type_of(&first.meaning));
            if mixed {
                return Err(ValueError::new(ValueErrorKind::MixedTypes, FIELD, 0));
            }
            if matches!(first.meaning, Meaning::Boolean(_)) && !others.is_empty() {
                return Err(ValueError::new(ValueErrorKind::ManyBooleans, FIELD, 0));
            }
        }
        Ok(())
    }

    /// The attributes, in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The attribute of a folded, unescaped tag.
    pub fn get(&self, folded: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|known| *known.tag == *folded)
    }

    /// An incremental update (RFC 2608 9.3): attributes of `newer` replace those of the same tag, others stay.
    pub fn update(&mut self, newer: Self) {
        for attribute in newer.attributes {
            match self
                .attributes
                .iter_mut()
                .find(|known| known.tag == attribute.tag)
            {
                Some(known) => *known = attribute,
                None => self.attributes.push(attribute),
            }
        }
    }

    /// The union (RFC 2608 10.4): tags and values once each, in the spelling that came first.
    pub fn merge(&mut self, other: &Self) {
        for attribute in &other.attributes {
            match self
                .attributes
                .iter_mut()
                .find(|known| known.tag == attribute.tag)
            {
                Some(known) => {
                    for value in &attribute.values {
                        known.add(value.clone());
                    }
                }
                None => self.attributes.push(attribute.clone()),
            }
        }
    }

    /// Removes the attributes that `tags` means.
    pub fn remove(&mut self, tags: &TagList) {
        self.attributes
            .retain(|attribute| !tags.matches(&attribute.tag));
    }

    /// The attributes that `tags` means.
    pub fn select(&self, tags: &TagList) -> Self {
        let chosen = self.attributes.iter();
        Self {
            attributes: chosen
                .filter(|attribute| tags.matches(&attribute.tag))
                .cloned()
                .collect(),
        }
    }

    /// The list as text of at most `limit` octets, whole attributes alone; and whether that is all of it.
    pub fn to_text_within(&self, limit: usize) -> (String, bool) {
        let mut out = String::new();
        for attribute in &self.attributes {
            let before = out.len();
            if before > 0 {
                out.push(',');
            }
            out.push_str(&attribute.to_string());
            if out.len() > limit {
                out.truncate(before);
                return (out, false);
            }
        }
        (out, true)
    }
}

impl fmt::Display for AttributeList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.attributes.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            attribute.fmt(formatter)?;
        }
        Ok(())
    }
}
