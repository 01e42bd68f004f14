//! Who sends a request: digest authentication (RFC 3261 22, RFC 7616, RFC 8760).

mod digest;
mod failures;
mod nonce;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use subtle::ConstantTimeEq;
use tollwire_runtime::clock::Now;
use tollwire_sip::digest::{Algorithm, Challenge, Credentials, DigestCredentials};
use tollwire_sip::{HeaderName, Message};

pub use digest::Secrets;
use digest::{Answered, response};
use failures::Failures;
use nonce::{Nonces, Use};

/// Somebody who may register and call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// The digest user name.
    pub username: Box<str>,
    /// The password's hashes under our realm.
    pub secrets: Secrets,
    /// The address of record (a canonical SIP URI) that the subscriber owns, and that is charged.
    pub identity: Box<str>,
    /// A disabled subscriber is refused like an unknown one.
    pub enabled: bool,
}

/// All subscribers, by user name.
pub type Subscribers = HashMap<Box<str>, Subscriber>;

/// What the operator decides about authentication.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The realm of the challenges; also part of the stored hashes.
    pub realm: String,
    /// In the order of the challenges: the preferred one first (RFC 8760 2.3).
    pub algorithms: Vec<Algorithm>,
    /// Seconds a nonce lives.
    pub nonce_lifetime: u64,
    /// Nonces in use that are remembered.
    pub nonce_table: usize,
    /// Wrong answers that one source may give at once and per minute.
    pub failures_per_minute: u32,
    /// Failing sources that are remembered.
    pub failure_table: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            realm: String::new(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_lifetime: 300,
            nonce_table: 65_536,
            failures_per_minute: 30,
            failure_table: 65_536,
        }
    }
}

/// Which pair of header fields carries challenge and credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// 401, WWW-Authenticate, Authorization: the request ends here (RFC 3261 22.2).
    Server,
    /// 407, Proxy-Authenticate, Proxy-Authorization: the request goes on (22.3).
    Proxy,
}

impl Role {
    fn challenge(self) -> (u16, HeaderName) {
        match self {
            Self::Server => (401, HeaderName::WwwAuthenticate),
            Self::Proxy => (407, HeaderName::ProxyAuthenticate),
        }
    }
}

/// What became of a request's credentials.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The password was right. Take our credentials out with [`Authenticator::strip`] before the request goes on.
    Authenticated {
        /// The user name.
        username: Box<str>,
        /// The subscriber's address of record.
        identity: Box<str>,
    },
    /// Send this 401 or 407: no credentials, wrong ones, or stale ones.
    Challenge(Message),
    /// Send this refusal: malformed credentials (400), or too many wrong ones from this source (403).
    Refuse(Message),
}

/// Issues challenges and checks their answers.
pub struct Authenticator {
    settings: Settings,
    nonces: Nonces,
    failures: Failures,
    random: Box<dyn FnMut() -> [u8; 8] + Send>,
}

impl Authenticator {
    /// `key` is secret and random; `random` gives the unpredictable part of each nonce.
    pub fn new(
        settings: Settings,
        key: [u8; 32],
        random: impl FnMut() -> [u8; 8] + Send + 'static,
    ) -> Self {
        Self {
            nonces: Nonces::new(key, settings.nonce_lifetime, settings.nonce_table),
            failures: Failures::new(
                settings.failures_per_minute,
                Duration::from_secs(60),
                settings.failure_table,
            ),
            settings,
            random: Box::new(random),
        }
    }

    /// The realm of the challenges.
    pub fn realm(&self) -> &str {
        &self.settings.realm
    }

    /// Judges the credentials of `request`, which came from `source`.
    ///
    /// An unknown user, a disabled one and a wrong password get the same challenge after the same work.
    pub fn check(
        &mut self,
        now: Now,
        request: &Message,
        source: IpAddr,
        role: Role,
        subscribers: &Subscribers,
    ) -> Verdict {
        let credentials = match self.ours(request, role) {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return Verdict::Challenge(self.challenge(now, request, role, false)),
            Err(Malformed) => {
                return Verdict::Refuse(
                    Message::response_to(request, 400, "Malformed Credentials").build(),
                );
            }
        };
        if self.failures.exhausted(now.instant, source) {
            return Verdict::Refuse(
                Message::response_to(request, 403, "Too Many Wrong Passwords").build(),
            );
        }
        let Some((subscriber, nonce_count)) = self.right(request, &credentials, subscribers) else {
            self.failures.record(now.instant, source);
            return Verdict::Challenge(self.challenge(now, request, role, false));
        };
        match self
            .nonces
            .use_up(seconds(now), &credentials.nonce, nonce_count)
        {
            Use::Fresh => Verdict::Authenticated {
                username: subscriber.username.clone(),
                identity: subscriber.identity.clone(),
            },
            // RFC 7616 3.3: the password was right, the client may answer the new nonce without asking its user.
            Use::Stale => Verdict::Challenge(self.challenge(now, request, role, true)),
        }
    }

    /// Removes the credentials for our realm: no later hop has use for them (RFC 3261 22.3).
    pub fn strip(&self, request: &mut Message) {
        request.retain(HeaderName::ProxyAuthorization, |value| {
            !matches!(
                Credentials::parse(value),
                Ok(Credentials::Digest(credentials)) if credentials.realm == self.settings.realm
            )
        });
    }

    /// The credentials for our realm under an algorithm we offer.
    fn ours<'a>(
        &self,
        request: &'a Message,
        role: Role,
    ) -> Result<Option<DigestCredentials<'a>>, Malformed> {
        let name = match role {
            Role::Server => HeaderName::Authorization,
            Role::Proxy => HeaderName::ProxyAuthorization,
        };
        for value in request.header_fields(name) {
            if let Credentials::Digest(credentials) =
                Credentials::parse(value).map_err(|_| Malformed)?
                && credentials.realm == self.settings.realm
                && self.settings.algorithms.contains(&credentials.algorithm)
            {
                return Ok(Some(*credentials));
            }
        }
        Ok(None)
    }

    /// The subscriber whose password made the response, and the nonce count it came with.
    ///
    /// The `uri` parameter is hashed as it stands and not compared with the Request-URI, which a proxy
    /// in between may have rewritten (RFC 3261 22.4 item 5 leaves the comparison to the server's policy);
    /// a captured response is of no use for another request, because its count is used up.
    fn right<'a>(
        &self,
        request: &Message,
        credentials: &DigestCredentials<'_>,
        subscribers: &'a Subscribers,
    ) -> Option<(&'a Subscriber, u32)> {
        // We offer qop="auth" alone, and without a count there is no protection against replay.
        let offered = credentials.qop.as_deref() == Some("auth");
        let (Some(cnonce), Some(nonce_count), Some(count), true) = (
            credentials.cnonce.as_deref(),
            credentials.nc,
            credentials.nonce_count,
            offered,
        ) else {
            return None;
        };
        let subscriber = subscribers.get(credentials.username.as_ref());
        let nobody = Secrets {
            md5: [0; 16],
            sha256: [0; 32],
        };
        let expected = response(
            credentials.algorithm,
            subscriber.map_or(&nobody, |subscriber| &subscriber.secrets),
            &Answered {
                method: request.method().as_str(),
                uri: &credentials.uri,
                nonce: &credentials.nonce,
                nonce_count,
                cnonce,
            },
        )?;
        let given = credentials.response.to_ascii_lowercase();
        let equal: bool = expected.as_bytes().ct_eq(given.as_bytes()).into();
        subscriber
            .filter(|subscriber| equal && subscriber.enabled)
            .map(|subscriber| (subscriber, count))
    }

    fn challenge(&mut self, now: Now, request: &Message, role: Role, stale: bool) -> Message {
        let (status, header) = role.challenge();
        let nonce = self.nonces.issue(seconds(now), (self.random)());
        let mut response = Message::response_to(request, status, "").stateless_to_tag();
        for algorithm in &self.settings.algorithms {
            let challenge = Challenge {
                realm: self.settings.realm.as_str().into(),
                nonce: nonce.as_str().into(),
                algorithm: *algorithm,
                opaque: None,
                stale,
                qop_auth: true,
            };
            response = response.header(header, &challenge.to_string());
        }
        response.build()
    }
}

struct Malformed;

fn seconds(now: Now) -> u64 {
    u64::try_from(now.unix_ms / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests;
