//! Marks of the moment that are used once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::identifier::{is_random, random};

/// When it was made, a point, and what makes it the only one: `2026-11-21T14:00:00Z.pO9sQe1mXv4Jc2hLr7uYtA`.
///
/// The time is RFC 3339 in UTC with whole seconds, the rest 22 to 43 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce {
    text: String,
    unix: i64,
}

/// It is not of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Skewed {
    /// Made too long ago.
    #[error("the nonce is {0} s old")]
    Old(i64),
    /// Made later than now.
    #[error("the nonce is of {0} s from now")]
    Early(i64),
}

impl Nonce {
    /// A new one, of `now_unix` seconds.
    ///
    /// # Errors
    /// The system gives no random octets, or the clock stands where no calendar is.
    pub fn new(now_unix: i64) -> Result<Self, String> {
        let time = Timestamp::from_second(now_unix).map_err(|error| error.to_string())?;
        let text = format!("{time}.{}", random()?);
        Self::try_from(text).map_err(str::to_owned)
    }

    /// When it was made, seconds since 1970.
    pub fn unix(&self) -> i64 {
        self.unix
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it was made within `skew` seconds of `now_unix`.
    ///
    /// # Errors
    /// It was not.
    pub fn check(&self, now_unix: i64, skew: i64) -> Result<(), Skewed> {
        let age = now_unix.saturating_sub(self.unix);
        if age > skew {
            Err(Skewed::Old(age))
        } else if age < -skew {
            Err(Skewed::Early(age.saturating_neg()))
        } else {
            Ok(())
        }
    }
}

impl TryFrom<String> for Nonce {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "a nonce is a time of RFC 3339 in UTC with whole seconds, a point, and 22 to 43 characters of base64url";
        let (time, rest) = text.split_once('.').ok_or(WRONG)?;
        // The one spelling of each moment: 2026-11-21T14:00:00Z.
        let parsed: Timestamp = time.parse().map_err(|_| WRONG)?;
        if parsed.to_string() != time || !is_random(rest, 43) {
            return Err(WRONG);
        }
        let unix = parsed.as_second();
        Ok(Self { text, unix })
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        nonce.text
    }
}

impl std::fmt::Display for Nonce {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}
