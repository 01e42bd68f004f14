//! Keys that sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::DecodePrivateKey as _;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::der_parser::parse_der;
use zeroize::Zeroizing;

use crate::{JoseError, Jwk};

/// What a token is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037 3.1).
    EdDsa,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 3.4).
    Es256,
}

impl Algorithm {
    /// The value of `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

/// A private key with its public one. Its debug form shows the public one alone.
pub struct SigningKey {
    pair: Pair,
    public: Jwk,
    pkcs8: PrivatePkcs8KeyDer<'static>,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SigningKey({})", self.public.thumbprint())
    }
}

impl SigningKey {
    /// A new key of Ed25519.
    ///
    /// # Errors
    /// The system gives no random octets.
    pub fn generate_ed25519() -> Result<Self, JoseError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| JoseError::Key("no random octets for a key"))?;
        Self::from_pkcs8(document.as_ref())
    }

    /// A new key of P-256.
    ///
    /// # Errors
    /// The system gives no random octets.
    pub fn generate_p256() -> Result<Self, JoseError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| JoseError::Key("no random octets for a key"))?;
        Self::from_pkcs8(document.as_ref())
    }

    /// Of DER (PKCS #8, RFC 5958): of Ed25519 or P-256.
    ///
    /// # Errors
    /// Another kind, or broken.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, JoseError> {
        let pkcs8 = PrivatePkcs8KeyDer::from(der.to_vec());
        // OpenSSL writes Ed25519 without its public part.
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let public = pair.public_key().as_ref().try_into();
            let public = public.map_err(|_| JoseError::Key("a broken key of Ed25519"))?;
            return Ok(Self {
                public: Jwk::ed25519(public),
                pair: Pair::Ed25519(pair),
                pkcs8,
            });
        }
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new())
                .map_err(|_| JoseError::Key("a signing key is Ed25519 or P-256, in PKCS #8"))?;
        Ok(Self {
            public: Jwk::p256(pair.public_key().as_ref())?,
            pair: Pair::P256(pair),
            pkcs8,
        })
    }

    /// Of PEM, `BEGIN PRIVATE KEY`.
    ///
    /// # Errors
    /// No such block, or [`Self::from_pkcs8`]'s.
    pub fn from_pem(text: &str) -> Result<Self, JoseError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| JoseError::Key("no BEGIN PRIVATE KEY (PKCS #8) in it"))?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    /// As PEM. Secret.
    pub fn to_pem(&self) -> String {
        let text = STANDARD.encode(self.pkcs8.secret_pkcs8_der());
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        for (index, character) in text.chars().enumerate() {
            if index > 0 && index % 64 == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem + "\n-----END PRIVATE KEY-----\n"
    }

    /// What verifies.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    pub(crate) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::P256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| JoseError::Key("no random octets for a signature")),
        }
    }

    /// What decrypts for a key of Ed25519: the scalar of its Montgomery form (RFC 8032 5.1.5, RFC 7748 5).
    pub(crate) fn x25519_scalar(&self) -> Option<Result<Zeroizing<[u8; 32]>, JoseError>> {
        let Pair::Ed25519(_) = self.pair else {
            return None;
        };
        Some(self.ed25519_seed().map(|seed| {
            let key = ed25519_dalek::SigningKey::from_bytes(&seed);
            Zeroizing::new(key.to_scalar_bytes())
        }))
    }

    /// The private key within PKCS #8: an OCTET STRING within an OCTET STRING (RFC 8410 7).
    fn ed25519_seed(&self) -> Result<Zeroizing<[u8; 32]>, JoseError> {
        let broken = JoseError::Key("a broken key of Ed25519");
        let (_, document) = parse_der(self.pkcs8.secret_pkcs8_der()).map_err(|_| broken.clone())?;
        let key = (document.as_sequence().ok())
            .and_then(|items| items.get(2))
            .and_then(|item| item.as_slice().ok());
        let seed = match key.and_then(|key| key.split_at_checked(2)) {
            Some(([4, 32], seed)) => seed.try_into().ok(),
            _ => None,
        };
        seed.map(Zeroizing::new).ok_or(broken)
    }

    /// What decrypts for a key of P-256.
    pub(crate) fn p256_secret(&self) -> Result<p256::SecretKey, JoseError> {
        p256::SecretKey::from_pkcs8_der(self.pkcs8.secret_pkcs8_der())
            .map_err(|_| JoseError::Key("a broken key of P-256"))
    }
}
