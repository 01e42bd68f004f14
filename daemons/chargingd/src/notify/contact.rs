//! Where a customer is reached.

use std::fmt;
use std::str::FromStr;

use axum::http::Uri as HttpUri;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tollwire_sip::Uri as SipUri;

/// Octets of a contact as text.
const MAX_LENGTH: usize = 512;
/// Octets of a mail address: RFC 5321 4.5.3.1.3, a path of 256 with its angle brackets.
const MAX_MAIL: usize = 254;
/// Octets of a mail address before its @: RFC 5321 4.5.3.1.1.
const MAX_LOCAL_PART: usize = 64;

/// One way to reach a customer. As text, in JSON too: `sms:+491701234`, `sip:alice@example.org`,
/// `https://example.org/hook`, `mailto:alice@example.org`.
///
/// One that was parsed holds no control character, no blank and nothing but ASCII: nothing in it ends a line of a protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Contact {
    /// A short message to this international number: digits alone.
    Sms(String),
    /// A SIP MESSAGE to this `sip:` or `sips:` URI.
    Sip(String),
    /// A POST to this `https:` or `http:` URL.
    Webhook(String),
    /// Mail to this address.
    Mail(String),
}

/// Why a text is no contact.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no contact: {what}")]
pub struct BadContact {
    text: String,
    what: &'static str,
}

impl FromStr for Contact {
    type Err = BadContact;

    fn from_str(text: &str) -> Result<Self, BadContact> {
        parse(text).map_err(|what| BadContact {
            text: text.chars().take(80).collect(),
            what,
        })
    }
}

fn parse(text: &str) -> Result<Contact, &'static str> {
    if text.len() > MAX_LENGTH {
        return Err("at most 512 characters");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("ASCII without blanks and control characters");
    }
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "sms" => sms(rest),
        "sip" | "sips" => sip(text),
        "https" | "http" => webhook(text),
        "mailto" => mail(rest),
        _ => Err("sms:+NUMBER, sip:USER@HOST, https://HOST/PATH or mailto:USER@HOST"),
    }
}

/// RFC 5724, with a global number and nothing after it.
fn sms(number: &str) -> Result<Contact, &'static str> {
    let digits: String = number
        .strip_prefix('+')
        .unwrap_or(number)
        .chars()
        .filter(|character| !matches!(character, '-' | '.' | '(' | ')'))
        .collect();
    // ITU-T E.164 6.1: at most 15 digits, none of which begins with a zero.
    if !(5..=15).contains(&digits.len())
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || digits.starts_with('0')
    {
        return Err("sms: an international number, 5 to 15 digits with the country first");
    }
    Ok(Contact::Sms(digits))
}

fn sip(text: &str) -> Result<Contact, &'static str> {
    const WHAT: &str = "sip: a SIP URI with user and host, without password and headers";
    match SipUri::parse(text) {
        Ok(SipUri::Sip(uri))
            if uri.user.is_some_and(|user| !user.is_empty())
                && uri.password.is_none()
                && uri.headers.is_none()
                // What would end the URI where it stands in angle brackets.
                && !text.contains(['<', '>', '"']) =>
        {
            Ok(Contact::Sip(text.to_owned()))
        }
        _ => Err(WHAT),
    }
}

fn webhook(text: &str) -> Result<Contact, &'static str> {
    const WHAT: &str = "https: a URL with a host, without user and fragment (RFC 9110 4.2)";
    let uri: HttpUri = text.parse().map_err(|_| WHAT)?;
    let host = uri.host().unwrap_or_default();
    let user = uri.authority().is_none_or(|all| all.as_str().contains('@'));
    if host.is_empty()
        || user
        || text.contains('#')
        || uri.port().is_some_and(|port| port.as_u16() == 0)
    {
        return Err(WHAT);
    }
    Ok(Contact::Webhook(text.to_owned()))
}

/// The addresses in daily use: RFC 5321 4.1.2 `Dot-string@Domain`, without quoted strings and address literals.
fn mail(address: &str) -> Result<Contact, &'static str> {
    const WHAT: &str = "mailto: one address USER@HOST, without parameters";
    let (local, domain) = address.rsplit_once('@').ok_or(WHAT)?;
    let atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if address.len() <= MAX_MAIL
        && local.len() <= MAX_LOCAL_PART
        // A "?" begins the parameters of a mailto URL (RFC 6068 2).
        && !local.contains('?')
        && local.split('.').all(atom)
        && domain.split('.').all(label)
    {
        Ok(Contact::Mail(address.to_owned()))
    } else {
        Err(WHAT)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sms(digits) => write!(formatter, "sms:+{digits}"),
            Self::Sip(uri) => formatter.write_str(uri),
            Self::Webhook(url) => formatter.write_str(url),
            Self::Mail(address) => write!(formatter, "mailto:{address}"),
        }
    }
}

impl TryFrom<String> for Contact {
    type Error = BadContact;

    fn try_from(text: String) -> Result<Self, BadContact> {
        text.parse()
    }
}

impl From<Contact> for String {
    fn from(contact: Contact) -> Self {
        contact.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_written_as_they_are_read() {
        for (text, contact) in [
            ("sms:+491701234", Contact::Sms("491701234".into())),
            (
                "sip:alice@example.org;transport=tcp",
                Contact::Sip("sip:alice@example.org;transport=tcp".into()),
            ),
            (
                "https://example.org:8443/hook?customer=7",
                Contact::Webhook("https://example.org:8443/hook?customer=7".into()),
            ),
            (
                "mailto:a.b+c@b.example",
                Contact::Mail("a.b+c@b.example".into()),
            ),
        ] {
            assert_eq!(text.parse::<Contact>().as_ref(), Ok(&contact));
            let json = serde_json::to_string(&contact).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Contact>(&json).unwrap(), contact);
        }
        assert_eq!(
            "SMS:+49-170.1234".parse(),
            Ok(Contact::Sms("491701234".into()))
        );
    }

    #[test]
    fn what_would_speak_in_a_protocol_is_no_contact() {
        for text in [
            "",
            "alice",
            "sms:",
            "sms:+49170x",
            "sms:0170123",
            "sms:+1234567890123456",
            "sip:example.org",
            "sip:alice:secret@example.org",
            "sip:alice@example.org?Subject=x",
            "sip:alice@example.org\r\nX: y",
            "sip:alice@example.org>;x=<",
            "tel:+491701234",
            "https://",
            "https:///path",
            "https://user@example.org/",
            "https://example.org/#part",
            "https://example.org:0/",
            "https://example.org/\r\nX: y",
            "ftp://example.org/",
            "mailto:alice",
            "mailto:@example.org",
            "mailto:a..b@example.org",
            "mailto:alice@example..org",
            "mailto:alice@-example.org",
            "mailto:alice@example.org,bob@example.org",
            "mailto:alice@example.org?subject=x",
            "mailto:al?ice@example.org",
            "mailto:<alice@example.org>",
            "mailto:alice@example.org\n",
            "mailto:älice@example.org",
        ] {
            assert!(text.parse::<Contact>().is_err(), "{text:?}");
        }
        let long = format!("https://example.org/{}", "x".repeat(MAX_LENGTH));
        assert!(long.parse::<Contact>().is_err());
    }
}
