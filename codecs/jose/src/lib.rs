//! Signed messages: JWS in compact serialization (RFC 7515) of JSON payloads, and the keys to it (RFC 7517), without I/O.
//!
//! Two algorithms: `EdDSA` with Ed25519 (RFC 8037) and `ES256` (RFC 7518 3.4). Which one follows from the key, and a
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

mod error;
mod jwk;
mod jws;
mod key;

pub use error::JoseError;
pub use jwk::{Jwk, JwkSet};
pub use jws::{Header, LARGEST, digest, header, sign, verify, verify_embedded};
pub use key::{Algorithm, SigningKey};
