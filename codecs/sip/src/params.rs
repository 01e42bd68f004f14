//! Parameters: `;name` and `;name=value`, of header fields and of URIs.

use std::borrow::Cow;

use crate::error::Problem;
use crate::text;
use crate::uri::canonical_escapes;

/// The most parameters accepted on one value.
pub const MAX_PARAMS: usize = 32;

/// Names already met. RFC 3261 7.3.1 and 19.1.1: none may appear twice, for two readers would then
/// see two different values.
struct Names<'a> {
    names: [&'a str; MAX_PARAMS],
    count: usize,
}

impl<'a> Names<'a> {
    fn new() -> Self {
        Self {
            names: [""; MAX_PARAMS],
            count: 0,
        }
    }

    /// Whether `name` is new and there is room for it.
    fn add(&mut self, name: &'a str, escaped: bool) -> bool {
        let same = |other: &&str| {
            if escaped {
                canonical_escapes(other).eq_ignore_ascii_case(&canonical_escapes(name))
            } else {
                other.eq_ignore_ascii_case(name)
            }
        };
        if self.names.iter().take(self.count).any(same) {
            return false;
        }
        let Some(place) = self.names.get_mut(self.count) else {
            return false;
        };
        *place = name;
        self.count += 1;
        true
    }
}

/// A view of the parameters that follow a value; the text starts with `;` or is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a> {
    text: &'a str,
    /// URI parameters: names may hold `%HH` escapes.
    escaped: bool,
}

impl<'a> Params<'a> {
    /// Checks the parameters of a header field (`generic-param`, RFC 3261 25.1): at most
    /// [`MAX_PARAMS`], each name once (7.3.1).
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        Self::parse_each(text, |_, _| true)
    }

    /// As [`Params::parse`], and asks `sound` about each parameter on the way.
    pub(crate) fn parse_each(
        text: &'a str,
        sound: impl Fn(&'a str, &'a str) -> bool,
    ) -> Result<Self, Problem> {
        let text = text::trim(text);
        if !text.is_empty() && !text.starts_with(';') {
            return Err(Problem::Malformed);
        }
        let params = Self {
            text,
            escaped: false,
        };
        let mut names = Names::new();
        for (name, value) in params.iter() {
            if !text::is_token(name) || !names.add(name, false) {
                return Err(Problem::Malformed);
            }
            let Some(value) = value else {
                continue;
            };
            if value.starts_with('"') {
                match text::split_quoted(value) {
                    Some((_, "")) => {}
                    Some(_) => return Err(Problem::Malformed),
                    None => return Err(Problem::Unterminated),
                }
            } else if !is_plain_value(value) {
                return Err(Problem::Malformed);
            }
            if !sound(name, value) {
                return Err(Problem::Malformed);
            }
        }
        Ok(params)
    }

    /// Checks the parameters of a URI (`uri-parameters`, RFC 3261 25.1): at most [`MAX_PARAMS`],
    /// each name once (19.1.1).
    pub fn parse_uri(text: &'a str) -> Result<Self, Problem> {
        let params = Self {
            text,
            escaped: memchr::memchr(b'%', text.as_bytes()).is_some(),
        };
        let mut names = Names::new();
        let sound = params.iter().all(|(name, value)| {
            text::is_uri_param(name)
                && value.is_none_or(text::is_uri_param)
                && names.add(name, params.escaped)
        });
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
        let bytes = text.as_bytes();
        let mut equals = None;
        let mut end = 0;
        while let Some(&byte) = bytes.get(end) {
            match byte {
                b';' => break,
                b'=' if equals.is_none() => equals = Some(end),
                b'"' => {
                    // One that is never closed reaches to the end; `parse` reports it.
                    end = text
                        .get(end..)
                        .and_then(text::split_quoted)
                        .map_or(text.len(), |(quoted, _)| end + quoted.len());
                    continue;
                }
                _ => {}
            }
            end += 1;
        }
        self.rest = text.get(end + 1..);
        let part = |from: usize, to: usize| text.get(from..to).map_or("", text::trim);
        Some(match equals {
            Some(at) => (part(0, at), Some(part(at + 1, end))),
            None => (part(0, end), None),
        })
    }
}
