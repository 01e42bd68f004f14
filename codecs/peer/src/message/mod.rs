//! The messages, one file for each of the description's letters.

mod accounting;
mod credential;
mod revocation;
mod service_list;
mod service_request;
mod user_credential;

pub use accounting::{AccountingAcknowledgement, AccountingMessage, Cause, Kind, State};
pub use credential::{Provider, Service, ServiceCredential, ServiceCredentialRequest, Validity};
pub use revocation::{Reason, Revocation};
pub use service_list::{Listed, ServiceList};
pub use service_request::{ServiceRequest, Target};
pub use user_credential::{UserAddress, UserCredential, UserCredentialAcknowledgement};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollwire_jose::{Certified, JoseError, Trust, sign_certified, verify_certified};

use crate::{Identity, LONGEST_TEXT, Refusal};

/// A message that a party signs with its certificate.
pub trait Signed: Serialize + DeserializeOwned {
    /// Its `typ`.
    const TYPE: &'static str;

    /// Whether its members are what they have to be, beyond their types.
    ///
    /// # Errors
    /// Which is not.
    fn validate(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// As a token.
    ///
    /// # Errors
    /// It is too large, or the system gives no random octets.
    fn sign(&self, identity: &Identity) -> Result<String, JoseError> {
        sign_certified(identity.key(), identity.chain(), Self::TYPE, self)
    }

    /// Of a token, with who signed it. Whether he may say it, and its nonce, remain to be seen.
    ///
    /// # Errors
    /// It is no such message, or not by a party that `trust` leads to at `now_unix` seconds.
    fn verify(token: &str, trust: &Trust, now_unix: i64) -> Result<(Self, Certified), Refusal> {
        let (message, certified): (Self, _) =
            verify_certified(token.trim(), Self::TYPE, trust, now_unix)?;
        message.validate()?;
        Ok((message, certified))
    }
}

fn text(member: &str, text: &str) -> Result<(), Refusal> {
    match !text.is_empty() && text.len() <= LONGEST_TEXT && !text.contains(char::is_control) {
        true => Ok(()),
        false => Err(Refusal::malformed(
            member,
            "1 to 512 octets without control characters",
        )),
    }
}
