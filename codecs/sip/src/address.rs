//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route... (RFC 3261 20.10).

use std::borrow::Cow;

use crate::error::Problem;
use crate::params::Params;
use crate::text;
use crate::uri::Uri;

/// A view of a display name, a URI and the header field's own parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes kept.
    pub display_name: Option<&'a str>,
    /// The URI's text, without angle brackets.
    pub uri: &'a str,
    /// The parameters that belong to the header field, not to the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value.
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        let text = text::trim(text);
        if text.starts_with('"') {
            let (display_name, rest) = text::split_quoted(text).ok_or(Problem::Unterminated)?;
            return Self::bracketed(Some(display_name), text::trim_start(rest));
        }
        match text.find('<') {
            Some(bracket) => {
                let (name, rest) = text.split_at_checked(bracket).ok_or(Problem::Malformed)?;
                let name = text::trim(name);
                // display-name = *(token LWS): RFC 4475 3.1.2.15 shows one that is not.
                if !name
                    .split([' ', '\t'])
                    .filter(|word| !word.is_empty())
                    .all(text::is_token)
                {
                    return Err(Problem::Malformed);
                }
                Self::bracketed((!name.is_empty()).then_some(name), rest)
            }
            None => {
                // 20.10: without brackets, all parameters belong to the header field, and the URI
                // may hold no comma, semicolon or question mark.
                let end = text.find(';').unwrap_or(text.len());
                let (uri, params) = text.split_at_checked(end).ok_or(Problem::Malformed)?;
                let uri = text::trim(uri);
                if uri.contains(['?', ',']) {
                    return Err(Problem::Malformed);
                }
                Self::with_uri(None, uri, params)
            }
        }
    }

    fn bracketed(display_name: Option<&'a str>, text: &'a str) -> Result<Self, Problem> {
        let inner = text.strip_prefix('<').ok_or(Problem::Malformed)?;
        let (uri, params) = inner.split_once('>').ok_or(Problem::Unterminated)?;
        Self::with_uri(display_name, uri, params)
    }

    fn with_uri(
        display_name: Option<&'a str>,
        uri: &'a str,
        params: &'a str,
    ) -> Result<Self, Problem> {
        if uri.is_empty()
            || uri
                .bytes()
                .any(|byte| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"'))
        {
            return Err(Problem::Uri);
        }
        Ok(Self {
            display_name,
            uri,
            params: Params::parse(params)?,
        })
    }

    /// The URI; fails with [`Problem::Uri`].
    pub fn uri(&self) -> Result<Uri<'a>, Problem> {
        Uri::parse(self.uri)
    }

    /// The display name without quotes and escapes.
    pub fn unquoted_display_name(&self) -> Option<Cow<'a, str>> {
        self.display_name.map(text::unquote)
    }

    /// The `tag` parameter (RFC 3261 19.3).
    pub fn tag(&self) -> Option<&'a str> {
        self.params.value("tag")
    }

    /// A Contact's `expires` parameter, seconds; RFC 3261 10.2.1.1: a malformed one counts as 3600.
    pub fn expires(&self) -> Option<u32> {
        self.params.value("expires").map(|value| {
            text::decimal(value).map_or(3600, |seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
        })
    }

    /// A Contact's `q` parameter in thousandths, 0 to 1000; 1000 if absent or malformed.
    pub fn q_thousandths(&self) -> u16 {
        let Some(value) = self.params.value("q") else {
            return 1000;
        };
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return 1000;
        }
        match whole {
            "0" => fraction
                .bytes()
                .chain(std::iter::repeat(b'0'))
                .take(3)
                .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')),
            _ => 1000,
        }
    }
}

/// The value of the Contact header fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contacts<'a> {
    /// `Contact: *`, all bindings (RFC 3261 10.2.2).
    All,
    /// The contacts, in order; empty if the header field is absent.
    List(Vec<NameAddr<'a>>),
}
