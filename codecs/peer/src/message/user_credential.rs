//! A user will come (c).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Signed;
use crate::{Identifier, Nonce, Policies, Refusal};

/// Octets of an encrypted key at the most.
const LONGEST_KEY: usize = 1024;

/// c: the manager tells a provider who comes, and what he may do. The signature (c5) is the token's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserCredential {
    /// c1: from where.
    pub user_address: UserAddress,
    /// c2: the session's name.
    pub accounting_session_id: Identifier,
    /// c3: the key of his requests, as [`crate::open_key`] reads it.
    pub session_key: String,
    /// c4.
    pub policies: Policies,
}

/// Where a user comes from, as the manager saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserAddress {
    /// His address.
    pub ip: IpAddr,
    /// His port, where the service has a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_port: Option<u16>,
}

/// The provider has stored a [`UserCredential`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserCredentialAcknowledgement {
    /// Of this session.
    pub accounting_session_id: Identifier,
    /// When.
    pub nonce: Nonce,
}

impl Signed for UserCredential {
    const TYPE: &'static str = "user-credential+jwt";

    fn validate(&self) -> Result<(), Refusal> {
        if self.session_key.len() > LONGEST_KEY {
            return Err(Refusal::malformed("session_key", "more than 1024 octets"));
        }
        self.policies.validate()
    }
}

impl Signed for UserCredentialAcknowledgement {
    const TYPE: &'static str = "user-credential-acknowledgement+jwt";
}
