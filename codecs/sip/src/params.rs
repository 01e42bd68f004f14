//! Parameters: `;name` and `;name=value`, of header fields and of URIs.

use std::borrow::Cow;

use crate::error::Problem;
use crate::text;
use crate::uri::canonical_escapes;

/// A view of the parameters that follow a value; the text starts with `;` or is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a> {
    text: &'a str,
    /// URI parameters: names may hold `%HH` escapes.
    escaped: bool,
}

impl<'a> Params<'a> {
    /// Checks the parameters of a header field (`generic-param`, RFC 3261 25.1).
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        let text = text::trim(text);
        if !text.is_empty() && !text.starts_with(';') {
            return Err(Problem::Malformed);
        }
        let params = Self {
            text,
            escaped: false,
        };
        for (name, value) in params.iter() {
            if !text::is_token(name) {
                return Err(Problem::Malformed);
            }
            match value {
                Some(value) if value.starts_with('"') => match text::split_quoted(value) {
                    Some((_, "")) => {}
                    Some(_) => return Err(Problem::Malformed),
                    None => return Err(Problem::Unterminated),
                },
                // Wider than `token / host`: RFC 5118 4.5 shows an IPv6 address without brackets here.
                Some(value) if !is_plain_value(value) => return Err(Problem::Malformed),
                _ => {}
            }
        }
        Ok(params)
    }

    /// Checks the parameters of a URI (`uri-parameters`, RFC 3261 25.1).
    pub fn parse_uri(text: &'a str) -> Result<Self, Problem> {
        let params = Self {
            text,
            escaped: memchr::memchr(b'%', text.as_bytes()).is_some(),
        };
        let sound = params
            .iter()
            .all(|(name, value)| text::is_uri_param(name) && value.is_none_or(text::is_uri_param));
        sound.then_some(params).ok_or(Problem::Uri)
    }

    /// Each parameter in order: its name and, if it has one, its value as it stands (quotes kept).
    pub fn iter(&self) -> ParamsIter<'a> {
        ParamsIter {
            rest: self.text.strip_prefix(';'),
        }
    }

    /// The first parameter called `name`, compared without regard to case:
    /// `None` if absent, `Some(None)` if it has no value.
    pub fn get(&self, name: &str) -> Option<Option<&'a str>> {
        self.iter()
            .find(|(candidate, _)| {
                candidate.eq_ignore_ascii_case(name)
                    || (self.escaped && canonical_escapes(candidate).eq_ignore_ascii_case(name))
            })
            .map(|(_, value)| value)
    }

    /// The value of the first parameter called `name`, as it stands.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name).flatten()
    }

    /// The value of the first parameter called `name` with quotes removed and escapes resolved.
    pub fn unquoted(&self, name: &str) -> Option<Cow<'a, str>> {
        self.value(name).map(text::unquote)
    }

    /// Whether a parameter called `name` is present, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// As it stands, with the leading `;`.
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

fn is_plain_value(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte > b' ' && !matches!(byte, b'"' | b',' | b'<' | b'>' | 0x7f))
}

/// Iterator of [`Params::iter`].
#[derive(Debug, Clone)]
pub struct ParamsIter<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for ParamsIter<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest?;
        let semicolon = if text.contains('"') {
            text::find_outside(text, b';')
        } else {
            memchr::memchr(b';', text.as_bytes())
        };
        let one = match semicolon {
            Some(at) => {
                self.rest = text.get(at + 1..);
                text.get(..at)?
            }
            None => {
                self.rest = None;
                text
            }
        };
        Some(match one.split_once('=') {
            Some((name, value)) => (text::trim(name), Some(text::trim(value))),
            None => (text::trim(one), None),
        })
    }
}
