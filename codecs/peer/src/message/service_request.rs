//! A user uses the service (d).

use serde::{Deserialize, Serialize};
use tollwire_jose::{JoseError, SessionKey, header, sign_hs256, verify_hs256};

use crate::{Identifier, Nonce, Refusal, Word};

const TYPE: &str = "service-request+jwt";
/// Octets of a target at the most.
const LONGEST_TARGET: usize = 4096;

/// d: a user's request, under the session's key. The signature (d3) is the token's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRequest {
    /// d1: of which session.
    pub accounting_session_id: Identifier,
    /// d2: what for.
    pub request: Target,
}

/// The request of HTTP that a [`ServiceRequest`] is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its method.
    pub method: String,
    /// Path and query, as they are sent to the provider.
    pub target: String,
    /// Another for each request.
    pub nonce: Nonce,
}

impl ServiceRequest {
    /// As a token.
    ///
    /// # Errors
    /// It is too large.
    pub fn sign(&self, key: &SessionKey) -> Result<String, JoseError> {
        sign_hs256(key, self.accounting_session_id.as_str(), TYPE, self)
    }

    /// Of which session a token says that it is: for finding the key.
    ///
    /// # Errors
    /// It is no such token.
    pub fn session_of(token: &str) -> Result<Identifier, Refusal> {
        let kid = header(token)?.kid.unwrap_or_default();
        Identifier::try_from(kid).map_err(|problem| Refusal::malformed("kid", problem))
    }

    /// Of a token that was signed with this session's key. Whether it is of now, and for what was asked, remains to be seen.
    ///
    /// # Errors
    /// It was not.
    pub fn verify(token: &str, key: &SessionKey) -> Result<Self, Refusal> {
        let request: Self = verify_hs256(token, key, TYPE)?;
        if request.accounting_session_id != Self::session_of(token)? {
            return Err(Refusal::malformed("kid", "is not accounting_session_id"));
        }
        if request.request.target.len() > LONGEST_TARGET {
            return Err(Refusal::malformed("target", "more than 4096 octets"));
        }
        Ok(request)
    }

    /// Whether it is for this request of HTTP: no token serves for another.
    ///
    /// # Errors
    /// It is not.
    pub fn is_for(&self, method: &str, target: &str) -> Result<(), Refusal> {
        match self.request.method == method && self.request.target == target {
            true => Ok(()),
            false => Err(Refusal::new(
                Word::Signature,
                "what is signed is another method or target than what is asked for",
            )),
        }
    }
}
