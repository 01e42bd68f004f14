//! Character encodings by their MIBenum (RFC 2165 17.1).

use std::borrow::Cow;

/// A character encoding that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// US-ASCII.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-8.
    Utf8,
}

impl Charset {
    /// The one with this MIBenum.
    pub fn of(mib: u16) -> Option<Self> {
        Some(match mib {
            3 => Self::Ascii,
            4 => Self::Latin1,
            106 => Self::Utf8,
            _ => return None,
        })
    }

    /// Its MIBenum.
    pub fn mib(self) -> u16 {
        match self {
            Self::Ascii => 3,
            Self::Latin1 => 4,
            Self::Utf8 => 106,
        }
    }

    /// The text that `octets` are; nothing if they are none.
    pub(super) fn decode(self, octets: &[u8]) -> Option<String> {
        match self {
            Self::Ascii if !octets.is_ascii() => None,
            Self::Ascii | Self::Utf8 => std::str::from_utf8(octets).ok().map(Into::into),
            Self::Latin1 => Some(octets.iter().copied().map(char::from).collect()),
        }
    }

    /// `text` in this encoding, with a question mark for what it cannot say.
    pub(super) fn encode(self, text: &str) -> Cow<'_, [u8]> {
        let one = |character: char| match u8::try_from(character) {
            Ok(octet) if octet.is_ascii() || self == Self::Latin1 => octet,
            _ => b'?',
        };
        match self {
            _ if text.is_ascii() || self == Self::Utf8 => Cow::Borrowed(text.as_bytes()),
            _ => Cow::Owned(text.chars().map(one).collect()),
        }
    }
}
