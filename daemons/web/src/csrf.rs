//! Tokens that a form carries, so that nobody else's page can post it; and secrets that nobody guesses.
//!
//! ```
//! use tollwire_web::Tokens;
//! let tokens = Tokens::new([7; 32]);
//! let token = tokens.make("consent order-1", 1_700_000_000 + 900);
//! assert!(tokens.check("consent order-1", &token, 1_700_000_000).is_ok());
//! assert!(tokens.check("consent order-2", &token, 1_700_000_000).is_err());
//! ```

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Octets of a key.
const KEY: usize = 32;
/// Octets of a token: its end, and its authentication code.
const TOKEN: usize = 8 + 32;

/// Makes and checks tokens, with a key of its own.
#[derive(Clone)]
pub struct Tokens {
    mac: Hmac<Sha256>,
}

/// Why a token does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was made, and its time is over: show the form again.
    #[error("the form is too old: load the page again")]
    Expired,
    /// It was not made here, or not for this.
    #[error("the form does not come from this page")]
    Wrong,
}

impl Tokens {
    /// With this key, which nobody else may know.
    pub fn new(key: [u8; KEY]) -> Self {
        // RFC 2104: a shorter key is filled up with zeros.
        let mut block = [0; 64];
        block[..KEY].copy_from_slice(&key);
        Self {
            mac: Hmac::new(&block.into()),
        }
    }

    /// With the key in a file of 64 hexadecimal digits, made (mode 0640) if it is not there.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        if !path.exists() {
            let key = random(KEY).map_err(|error| named(&error))?;
            crate::tls::write_secret(path, format!("{key}\n").as_bytes())?;
        }
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        let mut key = [0; KEY];
        hex::decode_to_slice(text.trim(), &mut key)
            .map_err(|_| named(&"is not 64 hexadecimal digits: remove it, and another is made"))?;
        Ok(Self::new(key))
    }

    /// A token for `subject` (what is done, to which order or by which session: never two things under one name) that
    /// ends at `until`, Unix seconds. 80 hexadecimal digits.
    pub fn make(&self, subject: &str, until: i64) -> String {
        let mut token = [0; TOKEN];
        let (end, code) = token.split_at_mut(8);
        end.copy_from_slice(&until.to_be_bytes());
        code.copy_from_slice(&self.code(subject, until));
        hex::encode(token)
    }

    /// Whether `token` was made for `subject` and has not ended at `now`, Unix seconds. Takes as long for every wrong
    /// token of the right length.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn check(&self, subject: &str, token: &str, now: i64) -> Result<(), TokenError> {
        let mut octets = [0; TOKEN];
        hex::decode_to_slice(token, &mut octets).map_err(|_| TokenError::Wrong)?;
        let (end, code) = octets.split_at(8);
        let until = end.try_into().map(i64::from_be_bytes);
        let until = until.map_err(|_| TokenError::Wrong)?;
        if !bool::from(code.ct_eq(&self.code(subject, until))) {
            return Err(TokenError::Wrong);
        }
        match until <= now {
            true => Err(TokenError::Expired),
            false => Ok(()),
        }
    }

    fn code(&self, subject: &str, until: i64) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(b"tollwire form\0");
        mac.update(&until.to_be_bytes());
        mac.update(subject.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// So many random octets as hexadecimal digits: 16 or more are a name that nobody guesses.
///
/// # Errors
/// Why the system gives none.
pub fn random(octets: usize) -> Result<String, String> {
    let mut bytes = vec![0; octets];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn a_token_is_of_one_key_one_subject_and_its_time() {
        let tokens = Tokens::new([1; KEY]);
        let token = tokens.make("a", NOW + 10);
        assert_eq!(token.len(), 80);
        assert_eq!(tokens.check("a", &token, NOW + 9), Ok(()));
        assert_eq!(
            tokens.check("a", &token, NOW + 10),
            Err(TokenError::Expired)
        );
        assert_eq!(tokens.check("b", &token, NOW), Err(TokenError::Wrong));
        assert_eq!(
            Tokens::new([2; KEY]).check("a", &token, NOW),
            Err(TokenError::Wrong)
        );
        for wrong in ["", "00", "é", &token[..78], &format!("{token}00")] {
            assert_eq!(
                tokens.check("a", wrong, NOW),
                Err(TokenError::Wrong),
                "{wrong}"
            );
        }
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                tokens.check("a", &changed, NOW),
                Err(TokenError::Wrong),
                "{at}"
            );
        }
    }

    #[test]
    fn the_key_stays_in_its_file() {
        use std::os::unix::fs::PermissionsExt;
        let path = crate::scratch("csrf").join("key");
        let token = Tokens::of_file(&path).unwrap().make("a", NOW + 1);
        assert_eq!(
            Tokens::of_file(&path).unwrap().check("a", &token, NOW),
            Ok(())
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        std::fs::write(&path, "short").unwrap();
        assert!(
            Tokens::of_file(&path)
                .err()
                .unwrap()
                .contains("key: is not 64")
        );
    }

    #[test]
    fn what_is_random_is_not_twice_the_same() {
        let one = random(16).unwrap();
        assert_eq!(one.len(), 32);
        assert_ne!(one, random(16).unwrap());
    }
}
