//! The handle that programs hold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot};
use tollwire_slp::agent::user_agent::{Ask, Outcome, QueryId, Target, UserAgent as Machine};
use tollwire_slp::agent::{
    Authority, DIRECTORY_AGENT, DirectoryAgent, Heard, Question, Request, SERVICE_AGENT,
};
use tollwire_slp::header::is_language_tag;
use tollwire_slp::scope::DEFAULT;
use tollwire_slp::text::{self, Context};
use tollwire_slp::{AttributeList, Filter, ScopeList, ServiceType, TagList};

use crate::answers::{Attributes, Scopes, Service, ServiceTypes, Services};
use crate::driver::{Command, Driver, Reply};
use crate::error::{Error, Peer};
use crate::settings::Settings;
use crate::trust::Trust;

/// Commands that wait for the driver.
const COMMANDS: usize = 64;
/// Changes of directory agents that a listener may fall behind by.
const HEARD: usize = 64;

/// A user agent: asks directory agents, or everybody, for services.
///
/// A handle: clones share one agent, which ends with the last of them. [`Self::in_scopes`] and its like give a handle
/// that asks in another way.
#[derive(Debug, Clone)]
pub struct UserAgent {
    pub(crate) shared: Arc<Shared>,
    pub(crate) scopes: ScopeList,
    pub(crate) language: String,
    spi: String,
    only: Option<SocketAddr>,
    span: Option<Duration>,
    first_reply_is_enough: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    commands: mpsc::Sender<Command>,
    pub(crate) heard: broadcast::Sender<Heard>,
}

/// What was found, and whether that is all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// What was found.
    pub found: T,
    /// Whether there is more than was had: limits, time, or a reply that could not be had whole.
    pub truncated: bool,
    /// Whether service agents were asked by multicast: one that was not heard may still be there.
    pub multicast: bool,
    /// Agents that were asked and did not answer.
    pub unanswered: Vec<SocketAddr>,
    /// Scopes that nobody could be asked for.
    pub unserved: ScopeList,
}

/// Services as they are found.
#[derive(Debug)]
pub struct ServiceStream {
    replies: mpsc::UnboundedReceiver<Reply>,
    services: Services,
    ready: std::vec::IntoIter<Service>,
    outcome: Option<Outcome>,
}

impl UserAgent {
    /// Starts an agent, on the runtime that it is called on.
    ///
    /// # Errors
    /// Settings that do not do: scopes or keys that cannot be read, a language that is no language tag.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let machine = settings.to_machine()?;
        let scopes = machine.scopes.clone();
        let language = settings.language.clone();
        check_language(&language)?;
        let machine = Machine::new(Instant::now(), machine, seed()?);
        let trust = Trust::of(&settings.verify)?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (heard, _) = broadcast::channel(HEARD);
        let driver = Driver::new(machine, settings.clone(), trust, receiver, heard.clone());
        tokio::spawn(driver.run());
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                commands,
                heard,
            }),
            scopes,
            language,
            spi: String::new(),
            only: None,
            span: None,
            first_reply_is_enough: false,
        })
    }

    /// Asks in these scopes, a comma list; with none, in those that there are (RFC 2608 11.2).
    ///
    /// # Errors
    /// A list that cannot be read.
    pub fn in_scopes(&self, scopes: &str) -> Result<Self, Error> {
        Ok(Self {
            scopes: ScopeList::parse(scopes)?,
            ..self.clone()
        })
    }

    /// Asks in this language, an RFC 1766 tag.
    ///
    /// # Errors
    /// What is no language tag.
    pub fn in_language(&self, language: &str) -> Result<Self, Error> {
        check_language(language)?;
        Ok(Self {
            language: language.into(),
            ..self.clone()
        })
    }

    /// Asks for services that were registered with the signature of this SPI, and for no others (RFC 2608 8.1).
    pub fn signed_by(&self, spi: &str) -> Self {
        Self {
            spi: text::escape(spi.trim(), Context::Scope),
            ..self.clone()
        }
    }

    /// Asks this agent alone, by unicast, and registers with it.
    pub fn only(&self, agent: SocketAddr) -> Self {
        Self {
            only: Some(agent),
            ..self.clone()
        }
    }

    /// Asks no longer than this; what was found by then is the answer.
    pub fn within(&self, span: Duration) -> Self {
        Self {
            span: Some(span),
            ..self.clone()
        }
    }

    /// Is content with the first reply to a multicast (RFC 2608 6.3).
    pub fn first_reply_is_enough(&self) -> Self {
        Self {
            first_reply_is_enough: true,
            ..self.clone()
        }
    }

    /// The port of all agents.
    pub fn port(&self) -> u16 {
        self.shared.settings.port
    }

    /// Finds services of a type, those alone that satisfy `predicate`, an LDAPv3 filter or nothing (RFC 2608 8.1).
    ///
    /// The type `service:directory-agent` finds directory agents.
    ///
    /// # Errors
    /// A type or a predicate that cannot be read; an agent that refuses; where one agent is asked, its silence.
    pub async fn find_services(
        &self,
        service_type: &str,
        predicate: &str,
    ) -> Result<Found<Vec<Service>>, Error> {
        self.collect_services(service_type, predicate, false).await
    }

    /// As [`Self::find_services`], with the attributes of each service (RFC 3059). Those of agents that do not know how
    /// to tell are asked for one by one; a service that is gone by then has none.
    ///
    /// # Errors
    /// As [`Self::find_services`].
    pub async fn find_services_with_attributes(
        &self,
        service_type: &str,
        predicate: &str,
    ) -> Result<Found<Vec<Service>>, Error> {
        let mut found = self.collect_services(service_type, predicate, true).await?;
        for service in &mut found.found {
            if service.attributes.is_none() {
                let answer = self.find_attributes(&service.url, "").await;
                service.attributes = answer.ok().map(|answer| answer.found);
            }
        }
        Ok(found)
    }

    /// As [`Self::find_services`], each service as soon as it is found.
    ///
    /// # Errors
    /// As [`Self::find_services`].
    pub async fn services(
        &self,
        service_type: &str,
        predicate: &str,
    ) -> Result<ServiceStream, Error> {
        self.stream_services(service_type, predicate, false).await
    }

    pub(crate) async fn collect_services(
        &self,
        service_type: &str,
        predicate: &str,
        attributes: bool,
    ) -> Result<Found<Vec<Service>>, Error> {
        let mut stream = self
            .stream_services(service_type, predicate, attributes)
            .await?;
        while stream.next().await.is_some() {}
        stream.finish()
    }

    async fn stream_services(
        &self,
        service_type: &str,
        predicate: &str,
        attributes: bool,
    ) -> Result<ServiceStream, Error> {
        ServiceType::parse(service_type)?;
        if !predicate.trim().is_empty() {
            Filter::parse(predicate)?;
        }
        if text::equal(service_type, DIRECTORY_AGENT) && self.only.is_none() {
            return self.known_directory_agents(predicate).await;
        }
        let target = if text::equal(service_type, SERVICE_AGENT) {
            Target::Everybody
        } else {
            Target::Anyone
        };
        let question = Question::Services {
            service_type: service_type.into(),
            predicate: predicate.into(),
            spi: String::new(),
            attributes,
        };
        let replies = self.ask(question, target).await?;
        Ok(ServiceStream {
            replies,
            services: Services::default(),
            ready: Vec::new().into_iter(),
            outcome: None,
        })
    }

    /// The attributes of the service at a URL, or of all services of a type; all of them, or those that a comma list of
    /// tags names (RFC 2608 10.3). An attribute list as it is on the wire.
    ///
    /// # Errors
    /// Tags that cannot be read; an agent that refuses; where one agent is asked, its silence.
    pub async fn find_attributes(
        &self,
        url_or_type: &str,
        tags: &str,
    ) -> Result<Found<String>, Error> {
        TagList::parse(tags)?;
        if url_or_type.trim().is_empty() {
            return Err(Error::Unfit("attributes are those of a URL or a type"));
        }
        let question = Question::Attributes {
            url: url_or_type.into(),
            tags: tags.into(),
            spi: String::new(),
        };
        let mut attributes = Attributes::default();
        let outcome = self
            .gather(question, Target::Anyone, |octets| attributes.take(octets))
            .await?;
        found(attributes.finish(), outcome)
    }

    /// Which types of service there are (RFC 2608 10.1), sorted.
    ///
    /// # Errors
    /// An agent that refuses; where one agent is asked, its silence.
    pub async fn find_service_types(
        &self,
        naming_authority: Authority,
    ) -> Result<Found<Vec<String>>, Error> {
        let question = Question::ServiceTypes { naming_authority };
        let mut types = ServiceTypes::default();
        let outcome = self
            .gather(question, Target::Anyone, |octets| types.take(octets))
            .await?;
        found(types.finish(), outcome)
    }

    /// Which scopes there are: those of directory agents; without any, those that are set; without these, those of
    /// service agents, and `DEFAULT` (RFC 2608 11.2). Never none. Where one directory agent is asked alone, its scopes.
    ///
    /// # Errors
    /// The silence of that one, or its refusal; the agent has stopped.
    pub async fn find_scopes(&self) -> Result<ScopeList, Error> {
        let mut scopes = Scopes::default();
        if let Some(only) = self.only {
            let spi = self.shared.settings.advert_spi();
            let request = Request::directory_agents(&self.language, "").signed_by(&spi);
            let replies = self.send(request, Target::One(only)).await?;
            let outcome = drain(replies, |_, octets| scopes.take(octets)).await?;
            return found(scopes.finish(), outcome).map(|found| found.found);
        }
        self.discover().await?;
        for known in self.directory_agents().await? {
            if let Some(advert) = &known.advert {
                scopes.add(&advert.scopes);
            }
        }
        let configured = self.shared.settings.scope_list()?;
        let known = scopes.finish();
        if !known.is_empty() || !configured.is_empty() {
            return Ok(known.union(&configured));
        }
        // RFC 2608 8.6: service agents only now.
        let spi = self.shared.settings.advert_spi();
        let request = Request::service_agents(&self.language, "").signed_by(&spi);
        let mut scopes = Scopes::default();
        let replies = self.send(request, Target::Everybody).await?;
        drain(replies, |_, octets| scopes.take(octets)).await?;
        let scopes = scopes.finish();
        if scopes.is_empty() {
            return Ok(ScopeList::parse(DEFAULT)?);
        }
        Ok(scopes)
    }

    /// Directory agents that are known, those that are configured first.
    ///
    /// # Errors
    /// The agent has stopped.
    pub async fn directory_agents(&self) -> Result<Vec<DirectoryAgent>, Error> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::DirectoryAgents(reply)).await?;
        answer.await.map_err(|_| Error::Stopped)
    }

    /// Looks for directory agents, if CONFIG_DA_FIND is over, and waits until that is done.
    ///
    /// # Errors
    /// The agent has stopped.
    pub async fn discover(&self) -> Result<(), Error> {
        let request = Request::directory_agents(&self.language, "");
        let replies = self.send(request, Target::Discovery).await?;
        drain(replies, |_, _| ()).await.map(drop)
    }

    /// Directory agents as services; whoever was found before need not be looked for again.
    async fn known_directory_agents(&self, predicate: &str) -> Result<ServiceStream, Error> {
        let filter = match predicate.trim() {
            "" => None,
            predicate => Some(Filter::parse(predicate)?),
        };
        self.discover().await?;
        let mut services = Services::default();
        let mut ready = Vec::new();
        for advert in self
            .directory_agents()
            .await?
            .into_iter()
            .filter_map(|known| known.advert)
        {
            let in_scope = self.scopes.is_empty() || self.scopes.intersects(&advert.scopes);
            let fits = filter.as_ref().is_none_or(|filter| {
                AttributeList::parse(&advert.attributes)
                    .is_ok_and(|attributes| filter.matches(&attributes))
            });
            if in_scope && fits {
                ready.extend(services.add_agent(&advert.url, &advert.attributes));
            }
        }
        let (sender, replies) = mpsc::unbounded_channel();
        let outcome = Outcome {
            multicast: true,
            ..Outcome::default()
        };
        // It is there: the receiver is at hand.
        let _ = sender.send(Reply::Finished(outcome));
        Ok(ServiceStream {
            replies,
            services,
            ready: ready.into_iter(),
            outcome: None,
        })
    }

    /// Asks a question in this handle's way, and gives every reply to `take`.
    async fn gather(
        &self,
        question: Question,
        target: Target,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Outcome, Error> {
        let replies = self.ask(question, target).await?;
        drain(replies, |_, octets| take(octets)).await
    }

    async fn ask(
        &self,
        question: Question,
        target: Target,
    ) -> Result<mpsc::UnboundedReceiver<Reply>, Error> {
        let scopes = match (self.scopes.is_empty(), self.only) {
            // RFC 2608 11.2: without scopes of its own it asks in those that there are.
            (true, None) => Box::pin(self.find_scopes()).await?,
            (true, Some(_)) => ScopeList::parse(DEFAULT)?,
            (false, _) => self.scopes.clone(),
        };
        let request = Request {
            language: self.language.clone(),
            scopes: scopes.as_str().into(),
            question,
        }
        .signed_by(&self.spi);
        let target = self.only.map_or(target, Target::One);
        self.send(request, target).await
    }

    /// Sends a registration or its like, and waits for the acknowledgements of whomever it goes to. Returns who has
    /// acknowledged without an error.
    pub(crate) async fn tell(
        &self,
        question: Question,
        target: Target,
    ) -> Result<(Outcome, Vec<Peer>), Error> {
        let replies = self.ask(question, target).await?;
        let mut takers = Vec::new();
        let outcome = drain(replies, |from, _| takers.push(from.into())).await?;
        Ok((outcome, takers))
    }

    /// The agent that is asked alone.
    pub(crate) fn only_agent(&self) -> Option<SocketAddr> {
        self.only
    }

    async fn send(
        &self,
        request: Request,
        target: Target,
    ) -> Result<mpsc::UnboundedReceiver<Reply>, Error> {
        let (sender, replies) = mpsc::unbounded_channel();
        let ask = Ask {
            // The driver names it.
            id: QueryId(0),
            request,
            target,
            span: self.span,
            first_reply_is_enough: self.first_reply_is_enough,
        };
        self.command(Command::Ask {
            ask,
            replies: sender,
        })
        .await?;
        Ok(replies)
    }

    async fn command(&self, command: Command) -> Result<(), Error> {
        let sent = self.shared.commands.send(command).await;
        sent.map_err(|_| Error::Stopped)
    }
}

impl ServiceStream {
    /// The next service; nothing when all are told.
    pub async fn next(&mut self) -> Option<Service> {
        loop {
            if let Some(service) = self.ready.next() {
                return Some(service);
            }
            match self.replies.recv().await? {
                Reply::Message { octets, .. } => {
                    self.ready = self.services.take(&octets).into_iter();
                }
                Reply::Finished(outcome) => {
                    self.outcome = Some(outcome);
                    return None;
                }
            }
        }
    }

    /// All that was told, and how the question went. For after the last [`Self::next`].
    ///
    /// # Errors
    /// As [`UserAgent::find_services`].
    pub fn finish(self) -> Result<Found<Vec<Service>>, Error> {
        let outcome = self.outcome.ok_or(Error::Stopped)?;
        found(self.services.finish(), outcome)
    }
}

async fn drain(
    mut replies: mpsc::UnboundedReceiver<Reply>,
    mut take: impl FnMut(SocketAddr, &[u8]),
) -> Result<Outcome, Error> {
    while let Some(reply) = replies.recv().await {
        match reply {
            Reply::Message { from, octets } => take(from, &octets),
            Reply::Finished(outcome) => return Ok(outcome),
        }
    }
    Err(Error::Stopped)
}

/// What was found, if somebody answered who could.
fn found<T>(found: T, outcome: Outcome) -> Result<Found<T>, Error> {
    let answered = outcome.answers > 0;
    if !answered {
        fail(&outcome)?;
    }
    Ok(Found {
        found,
        truncated: outcome.truncated,
        multicast: outcome.multicast,
        unanswered: outcome.unanswered,
        unserved: outcome.unserved,
    })
}

/// The error of a question that went wrong.
///
/// That nobody answers a multicast is no error: there is nothing to be found.
pub(crate) fn fail(outcome: &Outcome) -> Result<(), Error> {
    if let Some(impossible) = outcome.impossible {
        return Err(Error::Impossible(impossible));
    }
    if let Some((agent, code)) = outcome.refused {
        return Err(Error::Refused {
            agent: agent.into(),
            code,
        });
    }
    if !outcome.unanswered.is_empty() && !outcome.multicast {
        let peers = outcome.unanswered.iter().copied().map(Peer::from);
        return Err(Error::NoAnswer(peers.collect()));
    }
    if !outcome.unserved.is_empty() {
        return Err(Error::Nobody(format!("scope {}", outcome.unserved)));
    }
    Ok(())
}

fn check_language(language: &str) -> Result<(), Error> {
    if is_language_tag(language) {
        Ok(())
    } else {
        Err(Error::Unfit(
            "a language tag is of letters, 1 to 8 between hyphens: en, pt-BR",
        ))
    }
}

/// A number that others cannot guess easily: it begins the XIDs.
pub(crate) fn seed() -> Result<u64, Error> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(|error| Error::Io {
        doing: "random numbers",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(u64::from_ne_bytes(octets))
}
