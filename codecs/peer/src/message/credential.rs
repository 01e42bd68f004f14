//! A user asks for a service (a), and may use it (b).

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Signed, text};
use crate::{Identifier, Nonce, Refusal};

/// Octets of an encrypted key at the most: one of P-256 has about 360.
const LONGEST_KEY: usize = 1024;

/// a: a user wants a service. Signature and certificate (a4, a5) are the token's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceCredentialRequest {
    /// a1: which.
    pub service: Service,
    /// a2: the request's name.
    pub request_id: Identifier,
    /// a3.
    pub nonce: Nonce,
}

/// Which service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name in the service list.
    pub name: String,
    /// The user's own port, where the service has a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_port: Option<u16>,
}

/// b: the user may use the service. Signature and certificate (b6, b7) are the token's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceCredential {
    /// b1: the request's name.
    pub request_id: Identifier,
    /// b2: where.
    pub provider: Provider,
    /// b3: when.
    pub validity: Validity,
    /// b4: the key for requests, as [`crate::open_key`] reads it.
    pub session_key: String,
    /// b5: the session's name.
    pub accounting_session_id: Identifier,
}

/// Who serves, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The name in its certificate.
    pub name: String,
    /// The service: `https://`, `http://` or `udp://address:port`.
    pub address: String,
    /// Where sessions are opened and ended.
    pub sessions: String,
}

/// From when until when, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// The first.
    pub not_before: i64,
    /// The one behind the last.
    pub not_after: i64,
}

impl Signed for ServiceCredentialRequest {
    const TYPE: &'static str = "service-credential-request+jwt";

    fn validate(&self) -> Result<(), Refusal> {
        if self.service.udp_port == Some(0) {
            return Err(Refusal::malformed("service.udp_port", "is 0"));
        }
        text("service.name", &self.service.name)
    }
}

impl Signed for ServiceCredential {
    const TYPE: &'static str = "service-credential+jwt";

    fn validate(&self) -> Result<(), Refusal> {
        let wrong = |member, problem| Err(Refusal::malformed(member, problem));
        text("provider.name", &self.provider.name)?;
        for (member, address, schemes) in [
            (
                "provider.address",
                &self.provider.address,
                &["https", "http", "udp"][..],
            ),
            (
                "provider.sessions",
                &self.provider.sessions,
                &["https", "http"],
            ),
        ] {
            text(member, address)?;
            match Url::parse(address) {
                Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => {}
                _ => return wrong(member, "is no such URL"),
            }
        }
        if self.validity.not_after <= self.validity.not_before {
            return wrong("validity", "ends before it begins");
        }
        match self.session_key.len() > LONGEST_KEY {
            true => wrong("session_key", "more than 1024 octets"),
            false => Ok(()),
        }
    }
}
