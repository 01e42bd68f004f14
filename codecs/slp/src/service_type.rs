//! Service types and service URLs (RFC 2608 4, RFC 2609).

use std::fmt;

use crate::text::{fold, is_white};
use crate::value_error::{ValueError, ValueErrorKind};

/// The type of requests for directory agents.
pub const DIRECTORY_AGENT: &str = "service:directory-agent";
/// The type of requests for service agents.
pub const SERVICE_AGENT: &str = "service:service-agent";

const SCHEME: &str = "service:";

/// A service type, folded.
///
/// `service:type`, `service:abstract:concrete`, either with a naming authority behind a dot of the first part; or the
/// scheme of a URL that is none of `service:`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceType {
    text: Box<str>,
    /// Octets of the abstract type, if it is the concrete type of one.
    abstract_length: Option<usize>,
}

impl ServiceType {
    /// Reads a service type.
    ///
    /// # Errors
    /// An empty type or part of one, white space or a reserved character, more than two parts behind `service:`, the
    /// naming authority IANA, which is never written (RFC 2608 4.2).
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        const FIELD: &str = "service-type";
        let fault = |kind, offset| ValueError::new(kind, FIELD, offset);
        let text = fold(text);
        let not_in_a_type = |character: char| {
            !(character.is_alphanumeric() || matches!(character, '+' | '-' | '.' | ':' | '_'))
        };
        if let Some((offset, character)) = text.char_indices().find(|(_, c)| not_in_a_type(*c)) {
            return Err(fault(ValueErrorKind::Reserved(character), offset));
        }
        let (prefix, rest) = match text.strip_prefix(SCHEME) {
            Some(rest) => (SCHEME.len(), rest),
            None => (0, text.as_ref()),
        };
        let mut parts = rest.split(':');
        let first = parts.next().unwrap_or_default();
        let second = parts.next();
        if first.is_empty() || second == Some("") {
            return Err(fault(ValueErrorKind::Empty, text.len()));
        }
        if parts.next().is_some() || (prefix == 0 && second.is_some()) {
            return Err(fault(ValueErrorKind::Reserved(':'), text.len()));
        }
        let (name, authority) = first.rsplit_once('.').unwrap_or((first, "-"));
        if name.is_empty() || authority.is_empty() {
            return Err(fault(ValueErrorKind::Empty, prefix));
        }
        if authority == "iana" {
            return Err(fault(ValueErrorKind::Iana, prefix + name.len() + 1));
        }
        Ok(Self {
            abstract_length: second.map(|_| prefix + first.len()),
            text: text.as_ref().into(),
        })
    }

    /// The type of the service at `url`: what is before `:/` in a service URL, the scheme of any other (RFC 2608 4.1).
    ///
    /// # Errors
    /// As [`ServiceType::parse`]; a URL without a scheme.
    pub fn of_url(url: &str) -> Result<Self, ValueError> {
        let scheme_end = match starts_with_scheme(url) {
            true => url.find(":/").or_else(|| url.rfind(':')),
            false => url.find(':'),
        };
        match scheme_end.and_then(|end| url.get(..end)) {
            Some(text) => Self::parse(text),
            None => Err(ValueError::new(ValueErrorKind::Empty, "URL", 0)),
        }
    }

    /// The type, folded.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The abstract type that this is a concrete type of: `service:printer` of `service:printer:lpr`.
    pub fn abstract_type(&self) -> Option<&str> {
        self.text.get(..self.abstract_length?)
    }

    /// The naming authority; nothing is IANA's.
    pub fn naming_authority(&self) -> Option<&str> {
        let whole = self.abstract_type().unwrap_or(&self.text);
        let (_, authority) = whole.rsplit_once('.')?;
        Some(authority)
    }

    /// Whether a request for this type is answered with services of type `stored` (RFC 2608 4.1).
    pub fn matches(&self, stored: &Self) -> bool {
        self.text == stored.text || stored.abstract_type() == Some(&self.text)
    }
}

impl fmt::Display for ServiceType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn starts_with_scheme(url: &str) -> bool {
    url.get(..SCHEME.len())
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

/// Checks that `url` can be registered: a scheme, something behind it, no white space and no control character.
///
/// # Errors
/// What of it is wrong.
pub fn check_url(url: &str) -> Result<(), ValueError> {
    const FIELD: &str = "URL";
    let unfit = |character: char| is_white(character) || character.is_control();
    if let Some((offset, character)) = url.char_indices().find(|(_, c)| unfit(*c)) {
        return Err(ValueError::new(
            ValueErrorKind::Reserved(character),
            FIELD,
            offset,
        ));
    }
    let (scheme, rest) =
        url.split_once(':')
            .ok_or(ValueError::new(ValueErrorKind::Empty, FIELD, 0))?;
    if scheme.is_empty() || rest.is_empty() {
        return Err(ValueError::new(ValueErrorKind::Empty, FIELD, scheme.len()));
    }
    Ok(())
}

/// The host of a URL's address specification, without brackets, port, user or path; of `service:x://host:port/path`
/// it is `host`.
pub fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', ';', '?']).unwrap_or(rest.len());
    let site = rest.get(..end)?;
    let site = site.rsplit_once('@').map_or(site, |(_, host)| host);
    let host = match site.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?.0,
        None => site.split_once(':').map_or(site, |(host, _)| host),
    };
    (!host.is_empty()).then_some(host)
}
