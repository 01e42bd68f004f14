//! URIs: `sip:` and `sips:` (RFC 3261 19.1), `tel:` (RFC 3966), and any other scheme kept as text.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Problem;
use crate::params::Params;
use crate::text;

/// The host of a URI or of a Via.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A domain name, as written.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; brackets on the wire.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Reads `hostname / IPv4address / IPv6reference`.
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        if let Some(inner) = text.strip_prefix('[') {
            return inner
                .strip_suffix(']')
                .and_then(parse_ipv6)
                .map(Self::V6)
                .ok_or(Problem::Malformed);
        }
        if text.starts_with(|first: char| first.is_ascii_digit())
            && let Ok(address) = text.parse()
        {
            return Ok(Self::V4(address));
        }
        if text::is_hostname(text) {
            Ok(Self::Name(text))
        } else {
            Err(Problem::Malformed)
        }
    }

    /// Reads `host [":" port]`, with white space around the colon as a Via allows.
    pub fn parse_with_port(text: &'a str) -> Result<(Self, Option<u16>), Problem> {
        let name_end = if text.starts_with('[') {
            text.find(']').ok_or(Problem::Malformed)? + 1
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (name, rest) = text.split_at_checked(name_end).ok_or(Problem::Malformed)?;
        let host = Self::parse(text::trim(name))?;
        let port = match text::trim(rest) {
            "" => None,
            rest => Some(
                rest.strip_prefix(':')
                    .map(text::trim_start)
                    .and_then(text::decimal)
                    .and_then(|port| u16::try_from(port).ok())
                    .ok_or(Problem::OutOfRange)?,
            ),
        };
        Ok((host, port))
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some((*address).into()),
            Self::V6(address) => Some((*address).into()),
        }
    }

    /// Whether both name the same host; names are compared without regard to case.
    pub fn matches(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Self::Name(one), Host::Name(two)) => one.eq_ignore_ascii_case(two),
            (one, two) => one.address().is_some() && one.address() == two.address(),
        }
    }
}

/// RFC 5118 4.10: the grammar of RFC 3261 leads to ":::" before an embedded IPv4 address; it is tolerated.
fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| {
        let (before, after) = text.split_once(":::")?;
        after.parse::<Ipv4Addr>().ok()?;
        format!("{before}::{after}").parse().ok()
    })
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::V4(address) => address.fmt(formatter),
            Self::V6(address) => write!(formatter, "[{address}]"),
        }
    }
}

/// A view of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uri<'a> {
    /// `sip:` or `sips:`.
    Sip(SipUri<'a>),
    /// `tel:`.
    Tel(TelUri<'a>),
    /// Any other absolute URI.
    Other {
        /// The scheme, as written.
        scheme: &'a str,
        /// What follows its colon.
        rest: &'a str,
    },
}

impl<'a> Uri<'a> {
    /// Reads a URI; fails with [`Problem::Uri`].
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        let (scheme, rest) = text.split_once(':').ok_or(Problem::Uri)?;
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::parse(text, false, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::parse(text, true, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("tel") {
            TelUri::parse(rest).map(Self::Tel)
        } else {
            // RFC 3986 3.1: a letter, then letters, digits, "+", "-" or ".".
            let sound = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
                && !rest.is_empty()
                && rest
                    .bytes()
                    .all(|byte| byte > b' ' && !matches!(byte, b'<' | b'>' | b'"' | 0x7f));
            if sound {
                Ok(Self::Other { scheme, rest })
            } else {
                Err(Problem::Uri)
            }
        }
    }

    /// The SIP or SIPS URI, if it is one.
    pub fn sip(&self) -> Option<&SipUri<'a>> {
        match self {
            Self::Sip(uri) => Some(uri),
            _ => None,
        }
    }

    /// The canonical address-of-record, the key of a registrar's table (RFC 3261 10.3 step 5):
    /// no password, parameters or header fields, escapes normalised, host in lower case.
    pub fn address_of_record(&self) -> String {
        match self {
            Self::Sip(uri) => uri.address_of_record(),
            Self::Tel(uri) => format!("tel:{}", uri.canonical_number()),
            Self::Other { scheme, rest } => format!("{}:{rest}", scheme.to_ascii_lowercase()),
        }
    }

    /// Whether both URIs are equivalent: RFC 3261 19.1.4 for SIP, RFC 3966 4 for tel, and equal text for others.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        match (self, other) {
            (Self::Sip(one), Uri::Sip(two)) => one.equivalent(two),
            (Self::Tel(one), Uri::Tel(two)) => one.canonical_number() == two.canonical_number(),
            (
                Self::Other { scheme, rest },
                Uri::Other {
                    scheme: other_scheme,
                    rest: other_rest,
                },
            ) => scheme.eq_ignore_ascii_case(other_scheme) && rest == other_rest,
            _ => false,
        }
    }
}

/// A view of a `sip:` or `sips:` URI (RFC 3261 19.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SipUri<'a> {
    /// The whole URI, as written.
    pub text: &'a str,
    /// `sips:`.
    pub secure: bool,
    /// The user part, escapes kept.
    pub user: Option<&'a str>,
    /// The password, escapes kept.
    pub password: Option<&'a str>,
    /// The host.
    pub host: Host<'a>,
    /// The port, if written.
    pub port: Option<u16>,
    /// The URI parameters.
    pub params: Params<'a>,
    /// The header fields after `?`, as written and without it.
    pub headers: Option<&'a str>,
}

impl<'a> SipUri<'a> {
    fn parse(text: &'a str, secure: bool, rest: &'a str) -> Result<Self, Problem> {
        // "@" may stand nowhere else unescaped, so the first one ends the userinfo.
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|info| info.split_once(':').ok_or(info)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
        };
        if !user.is_none_or(text::is_user) || !password.is_none_or(text::is_password) {
            return Err(Problem::Uri);
        }
        let (host_port, rest) = text::split_before(rest, b";?");
        if host_port.bytes().any(|byte| byte <= b' ') {
            return Err(Problem::Uri);
        }
        let (host, port) = Host::parse_with_port(host_port).map_err(|_| Problem::Uri)?;
        let (params, headers) = match rest.split_once('?') {
            Some((params, headers)) => (params, Some(headers)),
            None => (rest, None),
        };
        let params = Params::parse_uri(params)?;
        if let Some(headers) = headers {
            let sound = headers.split('&').all(|header| {
                header.split_once('=').is_some_and(|(name, value)| {
                    !name.is_empty() && text::is_uri_header(name) && text::is_uri_header(value)
                })
            });
            if !sound {
                return Err(Problem::Uri);
            }
        }
        Ok(Self {
            text,
            secure,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    /// The user part with its escapes resolved.
    pub fn unescaped_user(&self) -> Option<Cow<'a, str>> {
        self.user.map(text::unescape)
    }

    /// The port, or the default of the scheme (RFC 3261 19.1.2).
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 5061 } else { 5060 })
    }

    /// The `transport` parameter, as written.
    pub fn transport(&self) -> Option<&'a str> {
        self.params.value("transport")
    }

    /// Whether the `lr` parameter is present: the proxy named is a loose router (RFC 3261 19.1.1).
    pub fn is_loose_router(&self) -> bool {
        self.params.contains("lr")
    }

    /// See [`Uri::address_of_record`].
    pub fn address_of_record(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        out.push_str(if self.secure { "sips:" } else { "sip:" });
        if let Some(user) = self.user {
            out.push_str(&canonical_escapes(user));
            out.push('@');
        }
        match self.host {
            Host::Name(name) => out.extend(name.chars().map(|letter| letter.to_ascii_lowercase())),
            ref address => out.push_str(&address.to_string()),
        }
        if let Some(port) = self.port {
            out.push(':');
            out.push_str(&port.to_string());
        }
        out
    }

    /// RFC 3261 19.1.4.
    pub fn equivalent(&self, other: &SipUri<'_>) -> bool {
        let same_text = |one: Option<&str>, two: Option<&str>| match (one, two) {
            (Some(one), Some(two)) => canonical_escapes(one) == canonical_escapes(two),
            (None, None) => true,
            _ => false,
        };
        self.secure == other.secure
            && same_text(self.user, other.user)
            && same_text(self.password, other.password)
            && self.host.matches(&other.host)
            && self.port == other.port
            && params_match(&self.params, &other.params)
            && params_match(&other.params, &self.params)
            && same_headers(self.headers, other.headers)
    }
}

/// Whether each parameter of `one` allows the match with a URI having the parameters `two`.
fn params_match(one: &Params<'_>, two: &Params<'_>) -> bool {
    const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
    one.iter()
        .all(|(name, value)| match two.get(&canonical_escapes(name)) {
            Some(other) => match (value, other) {
                (Some(value), Some(other)) => {
                    canonical_escapes(value).eq_ignore_ascii_case(&canonical_escapes(other))
                }
                (None, None) => true,
                _ => false,
            },
            None => !NEVER_IGNORED
                .iter()
                .any(|kept| canonical_escapes(name).eq_ignore_ascii_case(kept)),
        })
}

fn same_headers(one: Option<&str>, two: Option<&str>) -> bool {
    let sorted = |headers: Option<&str>| {
        let mut list: Vec<(String, String)> = headers
            .into_iter()
            .flat_map(|headers| headers.split('&'))
            .map(|header| {
                let (name, value) = header.split_once('=').unwrap_or((header, ""));
                (
                    canonical_escapes(name).to_ascii_lowercase(),
                    canonical_escapes(value).into_owned(),
                )
            })
            .collect();
        list.sort();
        list
    };
    one == two || sorted(one) == sorted(two)
}

/// Escapes brought to one form: resolved where the character is unreserved, else with capital digits.
/// (RFC 3261 19.1.4: only characters outside RFC 2396's reserved set equal their escape.)
pub(crate) fn canonical_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let code = after
            .get(..2)
            .and_then(|digits| <[u8; 2]>::try_from(digits.as_bytes()).ok())
            .and_then(|[high, low]| Some(text::hex_digit(high)? << 4 | text::hex_digit(low)?));
        match (code, after.get(2..)) {
            (Some(code), Some(tail)) => {
                if code.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&code) {
                    out.push(char::from(code));
                } else {
                    out.push_str(&format!("%{code:02X}"));
                }
                rest = tail;
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A view of a `tel:` URI (RFC 3966).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelUri<'a> {
    /// The number as written, with its visual separators and a leading `+` if it is global.
    pub number: &'a str,
    /// The parameters.
    pub params: Params<'a>,
}

impl<'a> TelUri<'a> {
    fn parse(rest: &'a str) -> Result<Self, Problem> {
        let end = rest.find(';').unwrap_or(rest.len());
        let (number, params) = rest.split_at_checked(end).ok_or(Problem::Uri)?;
        let digits = number.strip_prefix('+').unwrap_or(number);
        let sound = digits
            .bytes()
            .any(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#'))
            && digits.bytes().all(|byte| {
                byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'.' | b'(' | b')' | b'*' | b'#')
            });
        if !sound {
            return Err(Problem::Uri);
        }
        Ok(Self {
            number,
            params: Params::parse_uri(params)?,
        })
    }

    /// Whether the number is global (E.164), written with `+`.
    pub fn is_global(&self) -> bool {
        self.number.starts_with('+')
    }

    /// The number without visual separators, with its `+` if it is global.
    pub fn canonical_number(&self) -> String {
        self.number
            .chars()
            .filter(|character| !matches!(character, '-' | '.' | '(' | ')'))
            .map(|character| character.to_ascii_uppercase())
            .collect()
    }
}
