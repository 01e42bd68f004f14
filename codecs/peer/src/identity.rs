//! A party, and the keys that are sent to it.

use tollwire_jose::{Chain, JoseError, Jwk, SessionKey, SigningKey, decrypt, encrypt};

/// A party's key with its certificates.
#[derive(Debug)]
pub struct Identity {
    key: SigningKey,
    chain: Chain,
}

impl Identity {
    /// Of PEM: certificates, the party's first, and its private key.
    ///
    /// # Errors
    /// They are none, or not of each other.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, JoseError> {
        let (chain, key) = (Chain::from_pem(chain)?, SigningKey::from_pem(key)?);
        match chain.certified().key == *key.public() {
            true => Ok(Self { key, chain }),
            false => Err(JoseError::Key("the certificate is not the key's")),
        }
    }

    /// What signs.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Whose it is.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The party's name.
    pub fn name(&self) -> &str {
        &self.chain.certified().name
    }
}

/// A session's key as only the owner of the certificate with the key `to` can read it (b4, c3).
///
/// # Errors
/// [`encrypt`]'s.
pub fn seal_key(to: &Jwk, key: &SessionKey) -> Result<String, JoseError> {
    encrypt(to, key.octets())
}

/// A session's key that was sent to this party.
///
/// # Errors
/// It was not.
pub fn open_key(identity: &Identity, sealed: &str) -> Result<SessionKey, JoseError> {
    SessionKey::from_octets(&decrypt(identity.key(), sealed)?)
}
