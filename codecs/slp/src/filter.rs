//! Predicates: LDAPv3 search filters (RFC 2254, now RFC 4515) with the semantics of RFC 2608 8.1.
//!
//! | filter | holds when |
//! | --- | --- |
//! | `(x=3)`, `<=`, `>=` | a value of the attribute is of the same type as what is asked for, and compares so |
//! | `(x~=3)` | as `(x=3)` |
//! | `(x=a*b)` | a string value has this form |
//! | `(x=*)` | the attribute is there, with values or as a keyword |
//! | `(!(x=3))` | a value is of the same type and does *not* compare so: of `x=3,4` both `(x=3)` and `(!(x=3))` hold |
//! | `(!(x=*))` | the attribute is not there |
//!
//! RFC 2608 does not say what `(!(x=3))` is where there is no `x`, or one of another type. It does not hold: the term is
//! Undefined there, and so is its negation (RFC 4511 4.5.1.7). `&`, `|` and `!` combine as De Morgan says.

use crate::attributes::{Attribute, AttributeList, Meaning};
use crate::tags::{Pattern, check_tag};
use crate::text::{self, Context, fold, is_white};
use crate::value_error::{ValueError, ValueErrorKind};

const FIELD: &str = "predicate";
/// How deep filters may stand in one another.
pub const MAX_DEPTH: usize = 32;
/// Terms of one filter, at most.
pub const MAX_TERMS: usize = 256;

/// A predicate, with every `!` moved down to the terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All hold.
    And(Vec<Filter>),
    /// One holds.
    Or(Vec<Filter>),
    /// The term holds.
    Term(Term),
    /// The negated term holds.
    Not(Term),
}

/// One comparison with an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The tag, folded and unescaped.
    pub tag: Box<str>,
    /// The comparison.
    pub test: Test,
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// `=`, `~=`.
    Equal(Meaning),
    /// `<=`.
    AtMost(Meaning),
    /// `>=`.
    AtLeast(Meaning),
    /// `=` with wildcards.
    Like(Wildcard),
    /// `=*`.
    Present,
}

/// A string with wildcards, folded: what is before the first star, between two, and behind the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard(Pattern);

impl Wildcard {
    /// What a value begins with, if it is to match; may be empty.
    pub fn prefix(&self) -> &str {
        self.0.0.first().map_or("", AsRef::as_ref)
    }

    /// Whether the prefix and a star are all there is.
    pub fn is_prefix_alone(&self) -> bool {
        match self.0.0.as_slice() {
            [_, others @ ..] => others.iter().all(|part| part.is_empty()),
            [] => false,
        }
    }

    /// Whether a folded string has this form.
    pub fn matches(&self, folded: &str) -> bool {
        self.0.matches(folded)
    }
}

impl Test {
    /// Whether `value` satisfies it; nothing where the types differ.
    pub fn of(&self, value: &Meaning) -> Option<bool> {
        let same = |asked: &Meaning| value.is_of_type_of(asked);
        // A boolean "may only be compared with '='" (RFC 2608 5).
        let ordered = |asked: &Meaning| same(asked) && !matches!(asked, Meaning::Boolean(_));
        match self {
            Self::Equal(asked) => same(asked).then(|| value == asked),
            Self::AtMost(asked) => ordered(asked).then(|| value <= asked),
            Self::AtLeast(asked) => ordered(asked).then(|| value >= asked),
            Self::Like(wildcard) => match value {
                Meaning::String(text) => Some(wildcard.matches(text)),
                _ => None,
            },
            Self::Present => Some(true),
        }
    }
}

impl Term {
    fn holds(&self, attribute: Option<&Attribute>, wanted: bool) -> bool {
        match (&self.test, attribute) {
            (Test::Present, attribute) => attribute.is_some() == wanted,
            (test, Some(attribute)) => attribute
                .values
                .iter()
                .any(|value| test.of(&value.meaning) == Some(wanted)),
            (_, None) => false,
        }
    }
}

impl Filter {
    /// Reads a predicate that is not empty.
    ///
    /// # Errors
    /// Whatever the grammar does not allow, a wildcard with another operator than `=`, more than [`MAX_DEPTH`] levels
    /// or [`MAX_TERMS`] terms. All are PARSE_ERROR.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let mut parser = Parser {
            text,
            at: 0,
            terms: 0,
        };
        let filter = parser.filter(0, false)?;
        parser.white();
        match parser.rest().is_empty() {
            true => Ok(filter),
            false => Err(parser.fault(ValueErrorKind::Trailing)),
        }
    }

    /// Whether it holds for these attributes.
    pub fn matches(&self, attributes: &AttributeList) -> bool {
        match self {
            Self::And(all) => all.iter().all(|filter| filter.matches(attributes)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(attributes)),
            Self::Term(term) => term.holds(attributes.get(&term.tag), true),
            Self::Not(term) => term.holds(attributes.get(&term.tag), false),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, kind: ValueErrorKind) -> ValueError {
        ValueError::new(kind, FIELD, self.at)
    }

    fn white(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_white).len();
    }

    fn eat(&mut self, character: char) -> bool {
        let eaten = self.rest().starts_with(character);
        if eaten {
            self.at += character.len_utf8();
        }
        eaten
    }

    fn expect(&mut self, character: char) -> Result<(), ValueError> {
        self.white();
        match self.eat(character) {
            true => Ok(()),
            false => Err(self.fault(ValueErrorKind::Unbalanced)),
        }
    }

    /// One filter in brackets, under a negation or not.
    fn filter(&mut self, depth: usize, negated: bool) -> Result<Filter, ValueError> {
        if depth == MAX_DEPTH {
            return Err(self.fault(ValueErrorKind::TooDeep));
        }
        self.expect('(')?;
        self.white();
        let filter = if self.eat('&') {
            self.list(depth, negated, negated)?
        } else if self.eat('|') {
            self.list(depth, negated, !negated)?
        } else if self.eat('!') {
            self.filter(depth + 1, !negated)?
        } else {
            let term = self.term()?;
            match negated {
                true => Filter::Not(term),
                false => Filter::Term(term),
            }
        };
        self.expect(')')?;
        Ok(filter)
    }

    fn list(&mut self, depth: usize, negated: bool, any: bool) -> Result<Filter, ValueError> {
        let mut filters = Vec::new();
        self.white();
        while self.rest().starts_with('(') {
            filters.push(self.filter(depth + 1, negated)?);
            self.white();
        }
        match (filters.is_empty(), any) {
            (true, _) => Err(self.fault(ValueErrorKind::Empty)),
            (false, true) => Ok(Filter::Or(filters)),
            (false, false) => Ok(Filter::And(filters)),
        }
    }

    fn term(&mut self) -> Result<Term, ValueError> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(self.fault(ValueErrorKind::TooMany));
        }
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(['(', ')']).ok_or(ValueError::new(
            ValueErrorKind::Unbalanced,
            FIELD,
            start + rest.len(),
        ))?;
        let item = rest.get(..end).unwrap_or_default();
        let (spelled, value) = item
            .split_once('=')
            .ok_or(self.fault(ValueErrorKind::Operator))?;
        let value_at = start + spelled.len() + 1;
        let (spelled, operator) = match spelled.char_indices().next_back() {
            Some((at, operator @ ('<' | '>' | '~' | ':'))) => {
                (spelled.get(..at).unwrap_or_default(), operator)
            }
            _ => (spelled, '='),
        };
        let tag = self.tag(spelled)?;
        let test = match operator {
            // Extensible match (RFC 4515 3): no rule for it in SLP.
            ':' => return Err(self.fault(ValueErrorKind::Operator)),
            '=' if value.trim_matches(is_white) == "*" => Test::Present,
            '=' if value.contains('*') => Test::Like(Self::wildcard(value, value_at)?),
            _ if value.contains('*') => {
                return Err(ValueError::new(ValueErrorKind::Wildcard, FIELD, value_at));
            }
            operator => {
                let asked = Meaning::read(value, false, FIELD, value_at)?;
                match operator {
                    '<' => Test::AtMost(asked),
                    '>' => Test::AtLeast(asked),
                    _ => Test::Equal(asked),
                }
            }
        };
        self.at = start + end;
        Ok(Term { tag, test })
    }

    fn tag(&self, spelled: &str) -> Result<Box<str>, ValueError> {
        let spelled = spelled.trim_matches(is_white);
        if spelled.is_empty() {
            return Err(self.fault(ValueErrorKind::Empty));
        }
        check_tag(spelled, FIELD, self.at)?;
        let plain = text::unescape(spelled, Context::Attribute, true, FIELD, self.at)?;
        Ok(fold(&plain).as_ref().into())
    }

    fn wildcard(value: &str, base: usize) -> Result<Wildcard, ValueError> {
        let value = value.trim_matches(is_white);
        let mut parts = Vec::new();
        for part in value.split('*') {
            let plain = text::unescape(part, Context::Attribute, false, FIELD, base)?;
            parts.push(text::fold_inside(&plain).into());
        }
        Ok(Wildcard(Pattern(parts)))
    }
}
