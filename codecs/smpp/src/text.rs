//! C-Octet Strings (SMPP 3.4 section 3.1), and the text in them.

use std::borrow::Cow;
use std::fmt;

/// A C-Octet String without its final NUL.
///
/// Any octets but NUL, which would end it early: [`crate::encode`] refuses a value with one inside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct COctetString<'a>(pub &'a [u8]);

impl<'a> COctetString<'a> {
    /// The octets.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Octets, without the NUL.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// The text, if it is ASCII, as the specification wants it.
    pub fn as_ascii(self) -> Option<&'a str> {
        if self.0.is_ascii() {
            std::str::from_utf8(self.0).ok()
        } else {
            None
        }
    }

    /// The text, read as ISO 8859-1. [`encode_latin1`] gives the same octets back.
    pub fn to_text(self) -> Cow<'a, str> {
        decode_latin1(self.0)
    }
}

impl<'a> From<&'a str> for COctetString<'a> {
    /// The text's octets as they are: meant for ASCII. Other text goes through [`encode_latin1`] first.
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for COctetString<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self(octets)
    }
}

impl PartialEq<str> for COctetString<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for COctetString<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for COctetString<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_text())
    }
}

impl fmt::Debug for COctetString<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_text(), formatter)
    }
}

/// Octets read as ISO 8859-1; borrowed if they are ASCII.
pub fn decode_latin1(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) if octets.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(octets.iter().copied().map(char::from).collect()),
    }
}

/// The octets of a text in ISO 8859-1; borrowed if it is ASCII, `None` if a character is beyond U+00FF.
pub fn encode_latin1(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect::<Option<Vec<u8>>>()
        .map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_survives_as_text() {
        let octets: Vec<u8> = (1..=255).collect();
        let text = COctetString(&octets).to_text();
        assert_eq!(text.chars().count(), 255);
        assert_eq!(encode_latin1(&text).unwrap(), octets);
        assert_eq!(COctetString(b"B\xfccher").to_string(), "B\u{fc}cher");
        assert_eq!(COctetString(b"B\xfccher").as_ascii(), None);
        assert_eq!(COctetString(b"12345").as_ascii(), Some("12345"));
        assert_eq!(encode_latin1("\u{20ac}"), None);
    }
}
