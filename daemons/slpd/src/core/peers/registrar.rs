//! What one directory agent is told of this host's services, and what it has acknowledged.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollwire_runtime::clock::Now;
use tollwire_slp::agent::{Delivery, Exchange, ExchangeEffect, ExchangeEvent, Question, Request};
use tollwire_slp::attributes::AttributeList;
use tollwire_slp::signature::{block, of_deregistration, of_registration};
use tollwire_slp::{Body, ErrorCode, Meaning, ScopeList, decode, encode};

use crate::effect::Effect;
use crate::event::ConnectionId;
use crate::registry::{Entry, Registry};
use crate::settings::Settings;

/// RFC 2608 8.3: no service more often than once a second.
const LEAST_BETWEEN: Duration = Duration::from_secs(1);
/// How long a refused registration is left alone.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// A URL and a language.
type Key = Arc<(Box<str>, Box<str>)>;

/// What a registrar works with.
pub struct Surroundings<'a> {
    pub now: Now,
    pub address: SocketAddr,
    pub settings: &'a Settings,
    pub registry: &'a Registry,
    /// Scopes that the directory agent serves too.
    pub scopes: &'a ScopeList,
    pub next_connection: &'a mut u64,
    pub effects: &'a mut Vec<Effect>,
}

/// What a directory agent has acknowledged.
#[derive(Debug)]
struct Held {
    /// When it forgets it.
    expires: Instant,
    /// When it was told.
    sent: Instant,
    /// When it is to be told again.
    due: Instant,
    /// The scopes it is registered in there, which a deregistration repeats (RFC 2608 10.6).
    scopes: ScopeList,
}

#[derive(Debug)]
struct Order {
    key: Key,
    /// Nothing is a deregistration.
    lifetime: Option<Duration>,
    sent: Instant,
    scopes: ScopeList,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Datagram(Exchange),
    /// What does not fit a datagram goes by TCP (RFC 2608 6.2).
    Stream(ConnectionId, Instant),
}

/// What one directory agent is told.
#[derive(Debug)]
pub struct Registrar {
    begin: Instant,
    loaded: bool,
    min_refresh: Duration,
    /// SPIs that the agent can verify, a comma list.
    spis: Box<str>,
    waiting: VecDeque<Key>,
    queued: HashSet<Key>,
    held: HashMap<Key, Held>,
    due: BTreeSet<(Instant, Key)>,
    under_way: HashMap<u16, Order>,
    gave_up: bool,
    /// The address that the same agent is told by already.
    alias_of: Option<SocketAddr>,
}

impl Registrar {
    /// Everything is to be told from `begin` on, to an agent with these attributes and SPIs.
    pub fn new(begin: Instant, attributes: &str, spis: &str) -> Self {
        Self {
            begin,
            loaded: false,
            min_refresh: min_refresh(attributes),
            spis: spis.into(),
            waiting: VecDeque::new(),
            queued: HashSet::new(),
            held: HashMap::new(),
            due: BTreeSet::new(),
            under_way: HashMap::new(),
            gave_up: false,
            alias_of: None,
        }
    }

    /// The agent's scopes or attributes are others: everything is told again.
    pub fn begin_again(&mut self, begin: Instant, attributes: &str, spis: &str) {
        self.spis = spis.into();
        self.begin = begin;
        self.loaded = false;
        self.min_refresh = min_refresh(attributes);
    }

    /// Whether an order of this XID is under way.
    pub fn uses(&self, xid: u16) -> bool {
        self.under_way.contains_key(&xid)
    }

    /// Whether everything is told.
    pub fn is_done(&self) -> bool {
        self.loaded && self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether the agent has this service from us.
    fn holds(&self, key: &Key) -> bool {
        self.held.contains_key(key)
    }

    /// The address that the same agent is told by, if this is another one of it.
    pub fn alias_of(&self) -> Option<SocketAddr> {
        self.alias_of
    }

    /// That address is of no use any more: everything is told here.
    pub fn stand_in(&mut self) {
        self.alias_of = None;
        self.loaded = false;
    }

    /// The URL and language of an order, if it is for a service that `other` was told of.
    pub fn was_told_by(&self, xid: u16, other: &Self) -> bool {
        let order = self.under_way.get(&xid);
        order.is_some_and(|order| other.holds(&order.key))
    }

    /// It is the agent that is told at `address` already.
    pub fn is_alias(&mut self, address: SocketAddr) {
        self.alias_of = Some(address);
        self.under_way.clear();
        self.waiting.clear();
        self.queued.clear();
        self.held.clear();
        self.due.clear();
    }

    /// Services that were acknowledged.
    pub fn registered(&self) -> usize {
        self.held.len()
    }

    /// Services that wait, or are under way.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    /// This service is to be looked at.
    pub fn changed(&mut self, url: &str, language: &str) {
        if self.loaded && self.alias_of.is_none() {
            self.queue(Arc::new((url.into(), language.into())));
        }
    }

    fn queue(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.waiting.push_back(key);
        }
    }

    /// A stream is gone; whether an order was on it.
    pub fn disconnected(&mut self, connection: ConnectionId) -> bool {
        let lost: Vec<u16> = self
            .under_way
            .iter()
            .filter(
                |(_, order)| matches!(order.carrier, Carrier::Stream(own, _) if own == connection),
            )
            .map(|(xid, _)| *xid)
            .collect();
        for xid in &lost {
            if let Some(order) = self.under_way.remove(xid) {
                self.queue(order.key);
            }
        }
        !lost.is_empty()
    }

    /// Whether an order was given up since this was last asked.
    pub fn gave_up(&mut self) -> bool {
        std::mem::take(&mut self.gave_up)
    }

    /// Sends again what is not acknowledged; whether the agent counts as gone (RFC 2608 12.3).
    pub fn timers(&mut self, around: &mut Surroundings<'_>) -> bool {
        let now = around.now.instant;
        let mut steps = Vec::new();
        let mut lost = Vec::new();
        for (xid, order) in &mut self.under_way {
            match &mut order.carrier {
                Carrier::Datagram(exchange) => {
                    exchange.handle(now, ExchangeEvent::Timer, &mut steps);
                    for step in steps.drain(..) {
                        match step {
                            ExchangeEffect::Send(octets) => around.effects.push(Effect::Datagram {
                                remote: around.address,
                                octets,
                            }),
                            ExchangeEffect::Unanswered => lost.push(*xid),
                            ExchangeEffect::Answered { .. } => {}
                        }
                    }
                }
                Carrier::Stream(connection, until) if *until <= now => {
                    around.effects.push(Effect::Close {
                        connection: *connection,
                    });
                    lost.push(*xid);
                }
                Carrier::Stream(..) => {}
            }
        }
        for xid in &lost {
            if let Some(order) = self.under_way.remove(xid) {
                self.queue(order.key);
            }
        }
        !lost.is_empty()
    }

    /// Queues what is due: everything at first, then each service when its time comes.
    pub fn load(&mut self, around: &mut Surroundings<'_>) {
        let now = around.now.instant;
        if now < self.begin {
            return;
        }
        if !self.loaded {
            self.loaded = true;
            let local = around.registry.iter().filter(|(_, entry)| entry.is_local());
            for (_, entry) in local {
                self.queue(key_of(entry));
            }
        }
        while let Some((due, key)) = self.due.first().cloned() {
            if due > now {
                break;
            }
            self.due.pop_first();
            self.queue(key);
        }
    }

    /// Whether another order may be under way.
    pub fn has_room(&self, around: &Surroundings<'_>) -> bool {
        !self.waiting.is_empty()
            && self.under_way.len() < around.settings.window
            && around.now.instant >= self.begin
    }

    /// Sends the next order under `xid`; false if nothing can be sent now.
    pub fn send_next(&mut self, around: &mut Surroundings<'_>, xid: u16) -> bool {
        for _ in 0..self.waiting.len() {
            let Some(key) = self.waiting.pop_front() else {
                return false;
            };
            self.queued.remove(&key);
            // One order of a URL at a time: a deregistration means all its languages.
            let busy = |order: &Order| order.key.0 == key.0;
            if self.under_way.values().any(busy) {
                self.queue(key);
                continue;
            }
            if self.send(around, xid, key) {
                return true;
            }
        }
        false
    }

    fn send(&mut self, around: &mut Surroundings<'_>, xid: u16, key: Key) -> bool {
        let now = around.now;
        let entry = around
            .registry
            .of_url(&key.0)
            .map(|(_, entry)| entry)
            .find(|entry| entry.is_local() && entry.language.eq_ignore_ascii_case(&key.1));
        let entry = entry.filter(|entry| entry.scopes.intersects(around.scopes));
        let held = self.held.get(&key);
        let scopes = entry.map(|entry| entry.scopes.common(around.scopes));
        // Other scopes are no update: it is deregistered, and registered again (RFC 2608 9.3).
        let moved = match (&scopes, held) {
            (Some(scopes), Some(held)) => !scopes.same_set(&held.scopes),
            _ => false,
        };
        let (question, scopes, language, lifetime) = match (entry, held) {
            (None, None) => return false,
            (None, Some(held)) => (deregister(&key), held.scopes.clone(), &key.1, None),
            (Some(_), Some(held)) if moved => (deregister(&key), held.scopes.clone(), &key.1, None),
            (Some(entry), held) => {
                let lifetime = entry.lifetime(now).min(around.settings.lifetime);
                if let Some(held) = held {
                    let until = now.instant + Duration::from_secs(lifetime.into());
                    let between = LEAST_BETWEEN.max(self.min_refresh);
                    // It has as long to live there as here: nothing is gained by telling again.
                    let told =
                        entry.refreshed <= held.sent && until <= held.expires + LEAST_BETWEEN;
                    let early = held.sent + between;
                    if told {
                        return false;
                    }
                    if early > now.instant {
                        self.due.insert((early, key));
                        return false;
                    }
                }
                let question = Question::Register {
                    url: entry.url.to_string(),
                    service_type: entry.service_type.to_string(),
                    attributes: entry.text.to_string(),
                    lifetime,
                    fresh: true,
                };
                let lifetime = Duration::from_secs(lifetime.into());
                let scopes = scopes.unwrap_or_default();
                (question, scopes, &entry.language, Some(lifetime))
            }
        };
        let request = Request {
            language: language.to_string(),
            scopes: scopes.to_string(),
            question,
        };
        let Some(octets) = self.encoded(around, &request, xid) else {
            tracing::error!(url = %key.0, "a service is too long for any message");
            return false;
        };
        let carrier = if octets.len() <= around.settings.mtu {
            let mut steps = Vec::new();
            let exchange = Exchange::begin(
                now.instant,
                octets,
                xid,
                request.answer(),
                &around.settings.timers,
                &mut steps,
            );
            for step in steps {
                if let ExchangeEffect::Send(octets) = step {
                    around.effects.push(Effect::Datagram {
                        remote: around.address,
                        octets,
                    });
                }
            }
            Carrier::Datagram(exchange)
        } else {
            *around.next_connection += 1;
            let connection = ConnectionId(*around.next_connection | OUTGOING);
            around.effects.push(Effect::Stream {
                connection,
                remote: around.address,
                octets,
            });
            Carrier::Stream(connection, now.instant + around.settings.timers.retry_max)
        };
        let order = Order {
            key,
            lifetime,
            sent: now.instant,
            scopes,
            carrier,
        };
        self.under_way.insert(xid, order);
        true
    }

    /// The request, signed if this agent has a key that the directory agent can verify (RFC 2608 8.5).
    fn encoded(&self, around: &Surroundings<'_>, request: &Request, xid: u16) -> Option<Vec<u8>> {
        let octets = request.encode(xid, Delivery::Unicast).ok()?;
        let known = |spi: &str| {
            self.spis
                .split(',')
                .any(|listed| tollwire_slp::text::equal(listed, spi))
        };
        let Some(signer) = around
            .settings
            .keys
            .signer(None)
            .filter(|signer| known(&signer.spi))
        else {
            return Some(octets);
        };
        let timestamp = signer.timestamp(around.now.unix_ms);
        let mut message = decode(&octets).ok()?;
        let header = message.header;
        let (spi, language) = (&signer.spi, header.language);
        let signed = match &message.body {
            Body::SrvReg(body) => {
                of_registration(spi, timestamp, language, header.flags.fresh, body)
            }
            Body::SrvDeReg(body) => of_deregistration(spi, timestamp, language, body),
            _ => return None,
        };
        let signature = signer.sign(&signed.ok()?);
        let blocks = vec![block(spi, timestamp, &signature)];
        match &mut message.body {
            Body::SrvReg(body) => body.url.authentication = blocks,
            Body::SrvDeReg(body) => body.url.authentication = blocks,
            _ => {}
        }
        let mut octets = Vec::new();
        encode(&message, &mut octets).ok()?;
        Some(octets)
    }

    /// The agent has answered; false if it is busy.
    pub fn acknowledged(
        &mut self,
        now: Instant,
        settings: &Settings,
        address: SocketAddr,
        xid: u16,
        error: ErrorCode,
    ) -> bool {
        let Some(order) = self.under_way.remove(&xid) else {
            return true;
        };
        if let Some(old) = self.held.remove(&order.key) {
            self.due.remove(&(old.due, order.key.clone()));
        }
        match (error, order.lifetime) {
            (ErrorCode::DA_BUSY_NOW, _) => {
                self.queue(order.key);
                return false;
            }
            (ErrorCode::OK, Some(lifetime)) => {
                // In good time, so that a lost message or two does not matter.
                let due = order.sent + lifetime.mul_f64(0.75).max(LEAST_BETWEEN);
                let held = Held {
                    expires: order.sent + lifetime,
                    sent: order.sent,
                    due,
                    scopes: order.scopes,
                };
                self.due.insert((due, order.key.clone()));
                self.held.insert(order.key, held);
            }
            (ErrorCode::OK, None) => {
                // It has removed the URL in all languages; those that are left are told again.
                let siblings: Vec<Key> = self
                    .held
                    .keys()
                    .filter(|key| key.0 == order.key.0)
                    .cloned()
                    .collect();
                for key in siblings.into_iter().chain([order.key]) {
                    if let Some(old) = self.held.remove(&key) {
                        self.due.remove(&(old.due, key.clone()));
                    }
                    // Whatever is there of it by now.
                    self.queue(key);
                }
            }
            (error, lifetime) => {
                tracing::warn!(%address, url = %order.key.0, %error, "the directory agent refuses");
                if lifetime.is_some() {
                    let wait = AFTER_REFUSAL.min(Duration::from_secs(settings.lifetime.into()));
                    self.due
                        .insert((now + wait.max(self.min_refresh), order.key));
                }
            }
        }
        true
    }

    /// When something is to be done, if the agent can be asked from `usable_from` on.
    pub fn deadline(&self, usable_from: Instant) -> Option<Instant> {
        let exchanges = self
            .under_way
            .values()
            .filter_map(|order| match &order.carrier {
                Carrier::Datagram(exchange) => exchange.deadline(),
                Carrier::Stream(_, until) => Some(*until),
            })
            .min();
        if self.alias_of.is_some() {
            return None;
        }
        let from = usable_from.max(self.begin);
        // Those under way make room when they end.
        let waiting = (!self.loaded || (!self.waiting.is_empty() && self.under_way.is_empty()))
            .then_some(from);
        let due = self.due.first().map(|(due, _)| (*due).max(from));
        [exchanges, waiting, due].into_iter().flatten().min()
    }
}

/// Names of connections that we make have this bit; those that others make do not.
pub const OUTGOING: u64 = 1 << 63;

fn deregister(key: &Key) -> Question {
    Question::Deregister {
        url: key.0.to_string(),
        tags: String::new(),
    }
}

fn key_of(entry: &Entry) -> Key {
    Arc::new((entry.url.clone(), entry.language.clone()))
}

/// RFC 2608 8.5: "a single Integer value indicating a number of seconds".
fn min_refresh(attributes: &str) -> Duration {
    let list = AttributeList::parse(attributes).unwrap_or_default();
    let seconds = list
        .get("min-refresh-interval")
        .and_then(|attribute| attribute.values.first())
        .and_then(|value| match value.meaning {
            Meaning::Integer(seconds) => u64::try_from(seconds).ok(),
            _ => None,
        });
    // An agent that asks for more than a registration can live asks for the impossible.
    Duration::from_secs(seconds.unwrap_or(0).min(u64::from(u16::MAX) / 2))
}
