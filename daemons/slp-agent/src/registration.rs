//! Registering services: with the `slpd` of this host, or with directory agents (RFC 2608 8.3, 10.6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::UnixStream;
use tollwire_slp::agent::user_agent::{Impossible, Outcome, Target};
use tollwire_slp::agent::{Delivery, Question, Random, Request, Xids, error_of};
use tollwire_slp::scope::DEFAULT;
use tollwire_slp::service_type::check_url;
use tollwire_slp::{AttributeList, ErrorCode, ServiceType, TagList, decode};

use crate::agent::{UserAgent, fail, seed};
use crate::error::{Error, Peer};
use crate::stream;

/// Octets of an acknowledgement, at most: it is short.
const MAX_ACKNOWLEDGEMENT: usize = 64 * 1024;

/// A service to register.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Its URL.
    pub url: String,
    /// Its type; nothing takes it from the URL.
    #[serde(default)]
    pub service_type: Option<String>,
    /// Its attribute list: `(currency=EUR,USD),(fee=2),invoice`.
    #[serde(default)]
    pub attributes: String,
    /// Seconds until it has to be registered again: 1 to 65535.
    #[serde(default = "default_lifetime")]
    pub lifetime: u16,
    /// Whether it takes the place of what was registered under its URL and language; otherwise its attributes are added
    /// to that (RFC 2608 9.3).
    #[serde(default = "default_fresh")]
    pub fresh: bool,
}

fn default_lifetime() -> u16 {
    10_800
}

fn default_fresh() -> bool {
    true
}

impl Registration {
    /// A service at `url`, for three hours.
    pub fn new(url: impl Into<String>, attributes: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            service_type: None,
            attributes: attributes.into(),
            lifetime: default_lifetime(),
            fresh: default_fresh(),
        }
    }

    fn question(&self) -> Result<Question, Error> {
        check_url(&self.url)?;
        let service_type = match &self.service_type {
            Some(service_type) => ServiceType::parse(service_type)?,
            None => ServiceType::of_url(&self.url)?,
        };
        AttributeList::parse(&self.attributes)?;
        if self.lifetime == 0 {
            return Err(Error::Unfit("a registration lives 1 to 65535 seconds"));
        }
        Ok(Question::Register {
            url: self.url.clone(),
            service_type: service_type.as_str().into(),
            attributes: self.attributes.clone(),
            lifetime: self.lifetime,
            fresh: self.fresh,
        })
    }
}

impl UserAgent {
    /// Registers a service, once: it has to be done again before its lifetime is over ([`Self::advertise`] does).
    ///
    /// It goes to the `slpd` of this host by its registration socket; without that to whatever agent listens on the
    /// loopback address; without that to every directory agent that serves one of the scopes. A handle that asks
    /// [`Self::only`] one agent registers with that one. Returns who has taken it.
    ///
    /// # Errors
    /// A registration that cannot be read; whoever refuses it, or does not answer; nobody to register with.
    pub async fn register(&self, registration: &Registration) -> Result<Vec<Peer>, Error> {
        self.tell_agents(registration.question()?).await
    }

    /// Takes a service out in every language, or, with a comma list of tags, these attributes in this language.
    ///
    /// It goes the way of [`Self::register`].
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn deregister(&self, url: &str, tags: &str) -> Result<Vec<Peer>, Error> {
        check_url(url)?;
        TagList::parse(tags)?;
        self.tell_agents(Question::Deregister {
            url: url.into(),
            tags: tags.into(),
        })
        .await
    }

    async fn tell_agents(&self, question: Question) -> Result<Vec<Peer>, Error> {
        let registering = self.registering()?;
        if let Some(only) = self.only_agent() {
            let (outcome, takers) = registering.tell(question, Target::One(only)).await?;
            return all_of(outcome, takers);
        }
        if registering.tell_local(&question).await? {
            return Ok(vec![Peer::Local]);
        }
        let loopback: IpAddr = match registering.shared.settings.ipv4 {
            true => Ipv4Addr::LOCALHOST.into(),
            false => Ipv6Addr::LOCALHOST.into(),
        };
        let here = Target::One(SocketAddr::new(loopback, registering.port()));
        let (outcome, takers) = registering.tell(question.clone(), here).await?;
        if outcome.unanswered.is_empty() {
            return all_of(outcome, takers);
        }
        let everyone = Target::EveryDirectoryAgent;
        let (outcome, takers) = registering.tell(question, everyone).await?;
        all_of(outcome, takers)
    }

    /// RFC 2608 8.3: a service is registered in all scopes that are set, and in `DEFAULT` without any.
    fn registering(&self) -> Result<Self, Error> {
        if self.scopes.is_empty() {
            return self.in_scopes(DEFAULT);
        }
        Ok(self.clone())
    }

    /// Whether the `slpd` of this host was there to be told.
    async fn tell_local(&self, question: &Question) -> Result<bool, Error> {
        let path = &self.shared.settings.registration_socket;
        if path.as_os_str().is_empty() {
            return Ok(false);
        }
        let stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(socket = %path.display(), %error, "no local slpd");
                return Ok(false);
            }
        };
        let request = Request {
            language: self.language.clone(),
            scopes: self.scopes.as_str().into(),
            question: question.clone(),
        };
        let mut random = Random::new(seed()?);
        let xid = Xids::new(&mut random).draw(|_| false).unwrap_or(1);
        let octets = request
            .encode(xid, Delivery::Unicast)
            .map_err(|unencodable| Error::Impossible(Impossible::Unsendable(unencodable.into())))?;
        let patience = Duration::from_millis(self.shared.settings.timers.retry_max_ms);
        let exchange = stream::exchange(stream, &octets, MAX_ACKNOWLEDGEMENT);
        let answer = tokio::time::timeout(patience, exchange)
            .await
            .map_err(|_| Error::NoAnswer(vec![Peer::Local]))?
            .map_err(|source| Error::Io {
                doing: "the registration socket of slpd",
                source,
            })?;
        let code = match decode(&answer) {
            Ok(message)
                if message.header.xid == xid && message.body.function() == request.answer() =>
            {
                error_of(&message.body)
            }
            _ => return Err(Error::Unfit("the local slpd answers something else")),
        };
        match code {
            ErrorCode::OK => Ok(true),
            code => Err(Error::Refused {
                agent: Peer::Local,
                code,
            }),
        }
    }
}

/// Who has taken it, if nobody refuses.
fn all_of(outcome: Outcome, takers: Vec<Peer>) -> Result<Vec<Peer>, Error> {
    if takers.is_empty() {
        fail(&outcome)?;
        return Err(Error::Nobody("registrations".into()));
    }
    match outcome.refused {
        Some((agent, code)) => Err(Error::Refused {
            agent: agent.into(),
            code,
        }),
        None => Ok(takers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_the_urls_unless_it_is_given() {
        let mut registration = Registration::new("service:x.acme://h:9/p", "(a=1)");
        let kind = |registration: &Registration| match registration.question() {
            Ok(Question::Register { service_type, .. }) => service_type,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(&registration), "service:x.acme");
        registration.service_type = Some("service:y".into());
        assert_eq!(kind(&registration), "service:y");
    }

    #[test]
    fn what_nobody_would_take_is_not_sent() {
        let good = Registration::new("service:x://h", "(a=1)");
        let refused = |change: &dyn Fn(&mut Registration)| {
            let mut registration = good.clone();
            change(&mut registration);
            registration.question().is_err()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|one| one.url = "no url".into()));
        assert!(refused(&|one| one.attributes = "(a=".into()));
        assert!(refused(&|one| one.attributes = "(a=1,true)".into()));
        assert!(refused(&|one| one.lifetime = 0));
        assert!(refused(&|one| one.service_type = Some("a b".into())));
    }

    #[test]
    fn registrations_are_read_from_configuration() {
        let registration: Registration =
            toml::from_str("url = \"service:x://h\"\nattributes = \"(a=1)\"").unwrap();
        assert_eq!(registration, Registration::new("service:x://h", "(a=1)"));
        assert!(toml::from_str::<Registration>("url = \"x:y\"\nttl = 1").is_err());
    }
}
