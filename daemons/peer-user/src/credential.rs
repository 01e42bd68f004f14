//! What a user may ask a provider with.

use axum::http::Uri;
use serde::{Deserialize, Serialize};
use tollwire_jose::SessionKey;
use tollwire_peer::{Identifier, Nonce, ServiceCredential, ServiceRequest, Target};

use crate::UserError;
use crate::route::Base;

/// A ServiceCredential that was verified, with its session key. Its debug form does not show that; its JSON does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The service's name.
    pub service: String,
    /// The name of the provider's certificate.
    pub provider: String,
    /// Where the service is: `https:`, `http:`, or `udp://address:port`.
    pub address: String,
    /// Where sessions are opened and ended.
    pub sessions: String,
    /// From when, seconds since 1970.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
    /// The manager's name of the session.
    pub accounting_session_id: Identifier,
    #[serde(with = "key")]
    session_key: SessionKey,
}

mod key {
    use serde::{Deserializer, Serializer, de::Error as _};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::{Deserialize, SessionKey};

    pub(super) fn serialize<S: Serializer>(
        key: &SessionKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(key.octets()))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<SessionKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        let octets = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        SessionKey::from_octets(&octets).map_err(D::Error::custom)
    }
}

/// A credential is renewed at the last tenth of its time, but neither earlier than this nor later than that before its end.
const EARLIEST: i64 = 120;
const LATEST: i64 = 2;

impl Credential {
    pub(crate) fn new(service: &str, verified: ServiceCredential, session_key: SessionKey) -> Self {
        Self {
            service: service.to_owned(),
            provider: verified.provider.name,
            address: verified.provider.address,
            sessions: verified.provider.sessions,
            not_before: verified.validity.not_before,
            not_after: verified.validity.not_after,
            accounting_session_id: verified.accounting_session_id,
            session_key,
        }
    }

    /// A ServiceRequest for one HTTP request: what goes into the header field `Tollwire-Service-Request`. `target` is the
    /// path and query just as they are sent.
    ///
    /// # Errors
    /// The system gives no random octets, or the target is too long.
    pub fn sign(&self, method: &str, target: &str) -> Result<String, UserError> {
        let wrong = |error: &dyn std::fmt::Display| UserError::Setting(error.to_string());
        let claims = ServiceRequest {
            accounting_session_id: self.accounting_session_id.clone(),
            request: Target {
                method: method.to_owned(),
                target: target.to_owned(),
                nonce: Nonce::new(crate::now()).map_err(|error| wrong(&error))?,
            },
        };
        claims
            .sign(&self.session_key)
            .map_err(|error| wrong(&error))
    }

    /// The whole URL of `target`: one below the service's address, or what stands behind that: `/today?unit=c`.
    ///
    /// # Errors
    /// The service is not of HTTP, or the URL leads elsewhere.
    pub fn url(&self, target: &str) -> Result<Uri, UserError> {
        let base = Base::of(&self.address).ok_or_else(|| {
            UserError::Setting(format!("{}: the service is not of HTTP", self.address))
        })?;
        let asked = target
            .parse()
            .map_err(|_| UserError::Setting(format!("{target:?} is no URL and no path")))?;
        let (url, _) = base.target(&asked).map_err(UserError::Setting)?;
        Ok(url)
    }

    /// Whether it is good at `now_unix`.
    pub fn is_good(&self, now_unix: i64) -> bool {
        now_unix < self.not_after
    }

    /// From when on the next should be asked for, seconds since 1970.
    pub fn renew_at(&self) -> i64 {
        let tenth = self.not_after.saturating_sub(self.not_before) / 10;
        self.not_after.saturating_sub(tenth.clamp(LATEST, EARLIEST))
    }
}
