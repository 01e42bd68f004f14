//! Signed messages: JWS in compact serialization (RFC 7515) of JSON payloads, and the keys to it (RFC 7517), without I/O.
//!
//! Signatures are `EdDSA` with Ed25519 (RFC 8037) or `ES256` (RFC 7518 3.4), and `HS256` (RFC 7518 3.2) where two share a
//! [`SessionKey`], which [`encrypt`] carries to whom it is for (JWE, RFC 7516). Which one follows from the key, and a
//! header that says otherwise is refused; what a token is for stands in its `typ`, and has to be what is asked for (RFC 8725
//! 3.11), so that no kind of message passes for another.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tollwire_jose::{SigningKey, sign, verify};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Greeting { text: String }
//!
//! # fn main() -> Result<(), tollwire_jose::JoseError> {
//! let key = SigningKey::generate_ed25519()?;
//! let token = sign(&key, "greeting+jwt", &Greeting { text: "hello".into() }, false)?;
//! let greeting: Greeting = verify(&token, key.public(), "greeting+jwt")?;
//! assert_eq!(greeting.text, "hello");
//! assert!(verify::<Greeting>(&token, key.public(), "farewell+jwt").is_err());
//! # Ok(())
//! # }
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod certificate;
mod error;
mod jwe;
mod jwk;
mod jws;
mod key;
mod session_key;

pub use certificate::{Certified, Chain, Trust};
pub use error::JoseError;
pub use jwe::{decrypt, encrypt};
pub use jwk::{Jwk, JwkSet};
pub use jws::{
    Header, LARGEST, digest, header, sign, sign_certified, sign_hs256, verify, verify_certified,
    verify_embedded, verify_hs256,
};
pub use key::{Algorithm, SigningKey};
pub use session_key::SessionKey;
