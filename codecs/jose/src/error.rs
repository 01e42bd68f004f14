//! Why a token or key is not taken.

/// Why a token or key is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// More octets than [`crate::LARGEST`].
    #[error("a token of {0} octets is too large")]
    TooLarge(usize),
    /// Not three parts between dots.
    #[error("a compact JWS has three parts (RFC 7515 7.1)")]
    Parts,
    /// A part is not base64url without padding.
    #[error("the {0} is not base64url (RFC 7515 2)")]
    Base64(&'static str),
    /// A part is not the JSON that it should be.
    #[error("the {part} is not what it should be: {reason}")]
    Json {
        /// Which.
        part: &'static str,
        /// What serde_json says of it.
        reason: String,
    },
    /// The header's `alg` is not the key's.
    #[error("alg {0:?} is not the key's")]
    Algorithm(String),
    /// The header's `typ` is not what is awaited.
    #[error("a token of type {found:?}, where {awaited:?} is awaited")]
    Type {
        /// In the header.
        found: String,
        /// By the caller.
        awaited: String,
    },
    /// The header has `crit`, or an unencoded payload: nothing that has to be understood is (RFC 7515 4.1.11).
    #[error("the header has extensions that have to be understood, and are not")]
    Critical,
    /// The signature is not the key's, or not of this.
    #[error("the signature is not good")]
    Signature,
    /// A key is broken, or of a kind that is not known here.
    #[error("{0}")]
    Key(&'static str),
    /// The header should have a key, and has none.
    #[error("the header has no jwk")]
    NoKey,
    /// A certificate, or the way from it to a root, is not good (RFC 5280 6).
    #[error("the certificate is not good: {0}")]
    Certificate(String),
    /// A certificate of the chain was revoked.
    #[error("the certificate was revoked")]
    Revoked,
    /// What is encrypted is not for this key, or was changed.
    #[error("it cannot be decrypted")]
    Encryption,
}
