//! Digest challenges and credentials (RFC 7616, RFC 8760). Only their text: hashing is the caller's.

use std::borrow::Cow;
use std::fmt;

use crate::error::Problem;
use crate::text::{self, Elements};

/// A digest algorithm (RFC 8760 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, also the default when the parameter is absent.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// Any other; not served.
    Other,
}

impl Algorithm {
    /// The algorithm of an `algorithm` parameter's value.
    pub fn parse(token: &str) -> Self {
        if token.eq_ignore_ascii_case("MD5") {
            Self::Md5
        } else if token.eq_ignore_ascii_case("SHA-256") {
            Self::Sha256
        } else {
            Self::Other
        }
    }

    /// As written on the wire; empty for [`Algorithm::Other`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Other => "",
        }
    }
}

/// A value of Authorization or Proxy-Authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// `Digest`.
    Digest(Box<DigestCredentials<'a>>),
    /// Another scheme, by its name.
    Other(&'a str),
}

impl<'a> Credentials<'a> {
    /// Reads `auth-scheme LWS auth-param *(COMMA auth-param)`.
    pub fn parse(value: &'a str) -> Result<Self, Problem> {
        let (scheme, rest) = split_scheme(value)?;
        if scheme.eq_ignore_ascii_case("Digest") {
            DigestCredentials::parse(rest).map(|digest| Self::Digest(Box::new(digest)))
        } else {
            Ok(Self::Other(scheme))
        }
    }
}

/// What a client proves its secret with (RFC 7616 3.4). Quoted values stand without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestCredentials<'a> {
    /// The user name.
    pub username: Cow<'a, str>,
    /// The realm of the challenge.
    pub realm: Cow<'a, str>,
    /// The nonce of the challenge.
    pub nonce: Cow<'a, str>,
    /// The URI the response was computed for.
    pub uri: Cow<'a, str>,
    /// The response, hexadecimal digits.
    pub response: Cow<'a, str>,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The client's nonce.
    pub cnonce: Option<Cow<'a, str>>,
    /// The opaque value of the challenge.
    pub opaque: Option<Cow<'a, str>>,
    /// The quality of protection chosen: `auth`, `auth-int`.
    pub qop: Option<Cow<'a, str>>,
    /// The nonce count.
    pub nonce_count: Option<u32>,
    /// The nonce count as written, which is what was hashed.
    pub nc: Option<&'a str>,
}

impl<'a> DigestCredentials<'a> {
    fn parse(parameters: &'a str) -> Result<Self, Problem> {
        let mut username = None;
        let mut realm = None;
        let mut nonce = None;
        let mut uri = None;
        let mut response = None;
        let mut algorithm = None;
        let mut cnonce = None;
        let mut opaque = None;
        let mut qop = None;
        let mut nc = None;
        for parameter in auth_params(parameters) {
            let (name, value) = parameter?;
            let place = match name.to_ascii_lowercase().as_str() {
                "username" => &mut username,
                "realm" => &mut realm,
                "nonce" => &mut nonce,
                "uri" => &mut uri,
                "response" => &mut response,
                "algorithm" => &mut algorithm,
                "cnonce" => &mut cnonce,
                "opaque" => &mut opaque,
                "qop" => &mut qop,
                "nc" => &mut nc,
                _ => continue,
            };
            // A repeated parameter would let two readers see two different credentials.
            if place.replace(value).is_some() {
                return Err(Problem::Repeated);
            }
        }
        let nonce_count = nc.map(nonce_count).transpose()?;
        let required = |value: Option<&'a str>| value.map(text::unquote).ok_or(Problem::Malformed);
        Ok(Self {
            username: required(username)?,
            realm: required(realm)?,
            nonce: required(nonce)?,
            uri: required(uri)?,
            response: required(response)?,
            algorithm: algorithm.map_or(Algorithm::Md5, |token| {
                Algorithm::parse(&text::unquote(token))
            }),
            cnonce: cnonce.map(text::unquote),
            opaque: opaque.map(text::unquote),
            qop: qop.map(text::unquote),
            nonce_count,
            nc,
        })
    }
}

impl fmt::Display for DigestCredentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::from("Digest ");
        let mut quoted = |name: &str, value: &str| {
            if out.len() > 7 {
                out.push_str(", ");
            }
            out.push_str(name);
            out.push('=');
            text::push_quoted(&mut out, value);
        };
        quoted("username", &self.username);
        quoted("realm", &self.realm);
        quoted("nonce", &self.nonce);
        quoted("uri", &self.uri);
        quoted("response", &self.response);
        if let Some(cnonce) = &self.cnonce {
            quoted("cnonce", cnonce);
        }
        if let Some(opaque) = &self.opaque {
            quoted("opaque", opaque);
        }
        formatter.write_str(&out)?;
        if self.algorithm != Algorithm::Other {
            write!(formatter, ", algorithm={}", self.algorithm.as_str())?;
        }
        if let Some(qop) = &self.qop {
            write!(formatter, ", qop={qop}")?;
        }
        if let Some(count) = self.nonce_count {
            write!(formatter, ", nc={count:08x}")?;
        }
        Ok(())
    }
}

/// What a server asks for (RFC 7616 3.3); printed with qop "auth".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The realm.
    pub realm: Cow<'a, str>,
    /// The nonce.
    pub nonce: Cow<'a, str>,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Returned by the client as it is.
    pub opaque: Option<Cow<'a, str>>,
    /// Whether the last nonce was good but too old.
    pub stale: bool,
    /// Whether `auth` is among the qualities of protection offered.
    pub qop_auth: bool,
}

impl<'a> Challenge<'a> {
    /// Reads a WWW-Authenticate or Proxy-Authenticate value of the Digest scheme.
    pub fn parse(value: &'a str) -> Result<Self, Problem> {
        let (scheme, rest) = split_scheme(value)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(Problem::Malformed);
        }
        let mut realm = None;
        let mut nonce = None;
        let mut algorithm = Algorithm::Md5;
        let mut opaque = None;
        let mut stale = false;
        let mut qop_auth = false;
        for parameter in auth_params(rest) {
            let (name, value) = parameter?;
            let value = text::unquote(value);
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "nonce" => nonce = Some(value),
                "algorithm" => algorithm = Algorithm::parse(&value),
                "opaque" => opaque = Some(value),
                "stale" => stale = value.eq_ignore_ascii_case("true"),
                "qop" => {
                    qop_auth = value
                        .split(',')
                        .any(|token| token.trim().eq_ignore_ascii_case("auth"));
                }
                _ => {}
            }
        }
        Ok(Self {
            realm: realm.ok_or(Problem::Malformed)?,
            nonce: nonce.ok_or(Problem::Malformed)?,
            algorithm,
            opaque,
            stale,
            qop_auth,
        })
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::from("Digest realm=");
        text::push_quoted(&mut out, &self.realm);
        out.push_str(", nonce=");
        text::push_quoted(&mut out, &self.nonce);
        if let Some(opaque) = &self.opaque {
            out.push_str(", opaque=");
            text::push_quoted(&mut out, opaque);
        }
        formatter.write_str(&out)?;
        if self.algorithm != Algorithm::Other {
            write!(formatter, ", algorithm={}", self.algorithm.as_str())?;
        }
        if self.qop_auth {
            formatter.write_str(", qop=\"auth\"")?;
        }
        if self.stale {
            formatter.write_str(", stale=true")?;
        }
        Ok(())
    }
}

fn split_scheme(value: &str) -> Result<(&str, &str), Problem> {
    let (scheme, rest) = text::trim(value)
        .split_once([' ', '\t'])
        .ok_or(Problem::Malformed)?;
    if text::is_token(scheme) {
        Ok((scheme, rest))
    } else {
        Err(Problem::Malformed)
    }
}

/// `name=value` pairs between commas; values as written.
fn auth_params(text: &str) -> impl Iterator<Item = Result<(&str, &str), Problem>> {
    Elements::new(text).map(|parameter| {
        let (name, value) = parameter.split_once('=').ok_or(Problem::Malformed)?;
        let (name, value) = (text::trim(name), text::trim(value));
        let sound = text::is_token(name)
            && match value.starts_with('"') {
                true => text::split_quoted(value).is_some_and(|(_, rest)| rest.is_empty()),
                false => !value.is_empty() && !value.contains(['"', ' ', '\t']),
            };
        if sound {
            Ok((name, value))
        } else {
            Err(Problem::Malformed)
        }
    })
}

/// `nc-value = 8LHEX` (RFC 7616 3.4); some clients quote it.
fn nonce_count(value: &str) -> Result<u32, Problem> {
    let digits = text::unquote(value);
    if digits.len() != 8 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(Problem::Malformed);
    }
    u32::from_str_radix(&digits, 16).map_err(|_| Problem::OutOfRange)
}
