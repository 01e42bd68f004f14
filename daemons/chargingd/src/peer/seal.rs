//! What the manager signs.

use std::sync::Arc;

use tollwire_peer::{
    AccountingAcknowledgement, Identifier, Identity, Nonce, Policies, Provider, Reason, Revocation,
    ServiceCredential, Signed, State as Standing, UserAddress, UserCredential, Validity,
};

use super::effect::Credentials;
use super::measure::to_data;
use super::session::{Session, State};
use super::settings::Seal;

/// Signs with the manager's certificate.
#[derive(Debug)]
pub struct Manager {
    identity: Identity,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn identifier(name: &str) -> Result<Identifier, String> {
    Identifier::try_from(name.to_owned()).map_err(text)
}

impl Manager {
    /// One.
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }

    /// Any message, signed.
    ///
    /// # Errors
    /// It is too large, or the system gives no random octets.
    pub fn sign(&self, message: &impl Signed) -> Result<String, String> {
        message.sign(&self.identity).map_err(text)
    }

    /// The notice to a provider to stop.
    ///
    /// # Errors
    /// What cannot be signed.
    pub fn revocation(&self, id: &str, reason: Reason, now_ms: i64) -> Result<String, String> {
        self.sign(&Revocation {
            accounting_session_id: identifier(id)?,
            reason,
            nonce: Nonce::new(now_ms / 1000)?,
        })
    }
}

impl Seal for Manager {
    fn credentials(&self, session: &Session) -> Result<Credentials, String> {
        let keys = session.keys.as_ref().ok_or("a session without keys")?;
        let terms = &session.terms;
        let id = identifier(&session.id)?;
        let user_credential = UserCredential {
            user_address: UserAddress {
                ip: session.ip,
                udp_port: session.udp_port,
            },
            accounting_session_id: id.clone(),
            session_key: keys.provider.to_string(),
            policies: Policies {
                service: terms.service.to_string(),
                not_before: session.not_before,
                not_after: session.not_after,
                times_of_day: terms.times_of_day.clone(),
                max_requests: terms.max_requests.map(u64::from),
                address_change: terms.address_change,
                collect: (terms.rating_groups.all())
                    .map(|(measure, _)| measure)
                    .collect(),
                max_seconds_between_messages: terms.max_seconds_between_messages,
                granted: to_data(&terms.rating_groups, &session.granted),
            },
        };
        let service_credential = ServiceCredential {
            request_id: identifier(&session.request_id)?,
            provider: Provider {
                name: terms.provider.to_string(),
                address: terms.address.to_string(),
                sessions: format!("{}/sessions", terms.credentials_url),
            },
            validity: Validity {
                not_before: session.not_before,
                not_after: session.not_after,
            },
            session_key: keys.user.to_string(),
            accounting_session_id: id,
        };
        Ok(Credentials {
            user_credential: self.sign(&user_credential)?.into(),
            service_credential: self.sign(&service_credential)?.into(),
        })
    }

    fn acknowledgement(
        &self,
        session: &Session,
        (message, sequence): (&str, i64),
        now_ms: i64,
    ) -> Result<Arc<str>, String> {
        let acknowledgement = AccountingAcknowledgement {
            message_id: identifier(message)?,
            accounting_session_id: identifier(&session.id)?,
            sequence: u64::try_from(sequence).map_err(text)?,
            state: match session.state {
                State::Closed => Standing::Closed,
                _ => Standing::Open,
            },
            granted: to_data(&session.terms.rating_groups, &session.granted),
            last: session.last,
            nonce: Nonce::new(now_ms / 1000)?,
        };
        Ok(self.sign(&acknowledgement)?.into())
    }
}
