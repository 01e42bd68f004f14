//! Keys that two parties share for one session.

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::JoseError;

/// 32 random octets that two parties share (RFC 7518 3.2: no shorter than the hash). Its debug form shows nothing.
#[derive(Clone)]
pub struct SessionKey {
    octets: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionKey")
    }
}

impl SessionKey {
    pub(crate) const ALGORITHM: &str = "HS256";

    /// A new one.
    ///
    /// # Errors
    /// The system gives no random octets.
    pub fn generate() -> Result<Self, JoseError> {
        let mut octets = Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(octets.as_mut_slice())
            .map_err(|_| JoseError::Key("no random octets for a key"))?;
        Ok(Self { octets })
    }

    /// Of its octets.
    ///
    /// # Errors
    /// Not 32.
    pub fn from_octets(octets: &[u8]) -> Result<Self, JoseError> {
        let octets = octets
            .try_into()
            .map_err(|_| JoseError::Key("a session key has 32 octets"))?;
        Ok(Self {
            octets: Zeroizing::new(octets),
        })
    }

    /// Its octets. Secret.
    pub fn octets(&self) -> &[u8; 32] {
        &self.octets
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.octets.as_slice())
    }

    pub(crate) fn tag(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.hmac(), message).as_ref().to_vec()
    }

    /// In a time that does not depend on where they differ.
    pub(crate) fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.hmac(), message, tag).is_ok()
    }
}
