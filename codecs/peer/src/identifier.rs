//! Names that are used once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Random octets of a new one.
const RANDOM: usize = 16;

/// 22 to 64 characters of base64url, of 128 random bits or more, that are never used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identifier(String);

pub(crate) fn is_random(text: &str, longest: usize) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (22..=longest).contains(&text.len()) && text.bytes().all(fits)
}

/// 22 characters.
pub(crate) fn random() -> Result<String, String> {
    let mut octets = [0; RANDOM];
    getrandom::fill(&mut octets).map_err(|error| format!("no random octets: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(octets))
}

impl Identifier {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random octets.
    pub fn random() -> Result<Self, String> {
        random().map(Self)
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Identifier {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match is_random(&text, 64) {
            true => Ok(Self(text)),
            false => Err("an identifier is 22 to 64 characters of base64url"),
        }
    }
}

impl From<Identifier> for String {
    fn from(identifier: Identifier) -> Self {
        identifier.0
    }
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}
