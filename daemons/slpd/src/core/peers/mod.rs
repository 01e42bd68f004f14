//! Directory agents, for a service agent: found, listened to, and told of this host's services (RFC 2608 12).

mod registrar;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use tollwire_runtime::clock::Now;
use tollwire_slp::agent::{
    Advert, Convergence, ConvergenceEffect, ConvergenceEvent, ConvergenceLimits, Delivery,
    DirectoryAgentLimits, DirectoryAgents, Discovery, Exchange, ExchangeEffect, ExchangeEvent,
    Heard, Links, Origin, Random, Request, Xids, peek,
};
use tollwire_slp::{Body, ErrorCode, Function, Message};

use self::registrar::{Registrar, Surroundings};
use super::Core;
use crate::effect::{DirectoryAgentView, Effect};
use crate::event::{Channel, ConnectionId};
use crate::registry::Registry;
use crate::settings::Settings;

/// The directory agents that a service agent deals with.
#[derive(Debug)]
pub struct Peers {
    known: DirectoryAgents,
    discovery: Discovery,
    looking: Option<(u16, Convergence)>,
    /// Configured ones that were asked who they are (RFC 2608 12).
    probes: BTreeMap<SocketAddr, (u16, Exchange)>,
    registrars: BTreeMap<SocketAddr, Registrar>,
    /// Not before this: hosts that start together do not ask together.
    probe_from: Instant,
    xids: Xids,
    random: Random,
    next_connection: u64,
    attached: bool,
    /// When there is something to do by itself.
    deadline: Option<Instant>,
}

impl Peers {
    /// Nobody is known but who is configured.
    pub fn new(now: Instant, settings: &Settings, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let limits = DirectoryAgentLimits {
            port: settings.port,
            max_known: settings.max_known,
            ..DirectoryAgentLimits::default()
        };
        let discovery = Discovery::new(now, &settings.timers, &mut random);
        let xids = Xids::new(&mut random);
        Self {
            known: DirectoryAgents::new(limits, settings.directory_agents.iter().copied()),
            discovery,
            looking: None,
            probes: BTreeMap::new(),
            registrars: BTreeMap::new(),
            probe_from: now + random.wait(settings.timers.start_wait),
            xids,
            random,
            next_connection: 0,
            attached: false,
            deadline: Some(now),
        }
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.known
            .iter()
            .filter(|known| known.advert.is_some())
            .count()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn set_links(&mut self, links: Links) {
        self.known.set_links(links);
        self.attached = true;
    }

    /// A service of this host is new, is another, or is no more.
    pub(super) fn changed(&mut self, now: Instant, url: &str, language: &str) {
        for registrar in self.registrars.values_mut() {
            registrar.changed(url, language);
        }
        self.deadline = Some(now);
    }

    pub(super) fn disconnected(&mut self, now: Instant, connection: ConnectionId) {
        for (address, registrar) in &mut self.registrars {
            if registrar.disconnected(connection) {
                self.known.failed(now, *address);
            }
        }
        self.deadline = Some(now);
    }

    /// Looks for directory agents now.
    pub(super) fn discover(
        &mut self,
        now: Instant,
        settings: &Settings,
        effects: &mut Vec<Effect>,
    ) {
        if self.looking.is_some() {
            return;
        }
        let Some(xid) = self.draw_xid() else { return };
        let request = Request::directory_agents(&settings.language, settings.scopes.as_str());
        let limits = ConvergenceLimits {
            mtu: settings.mtu,
            ..ConvergenceLimits::default()
        };
        let mut steps = Vec::new();
        self.discovery.began(now);
        if let Ok(convergence) =
            Convergence::begin(now, request, xid, &settings.timers, limits, &mut steps)
        {
            self.looking = Some((xid, convergence));
            self.looked(steps, effects);
        }
    }

    fn looked(&mut self, steps: Vec<ConvergenceEffect>, effects: &mut Vec<Effect>) {
        for step in steps {
            match step {
                ConvergenceEffect::Multicast {
                    octets,
                    ipv6_scopes,
                } => {
                    let group = self
                        .looking
                        .as_ref()
                        .and_then(|(_, convergence)| convergence.request().group());
                    effects.extend(group.map(|group| Effect::Multicast {
                        group,
                        ipv6_scopes: ipv6_scopes.to_vec(),
                        from: None,
                        octets,
                    }));
                }
                ConvergenceEffect::Reply { .. } => {}
                ConvergenceEffect::Over(_) => {
                    self.looking = None;
                    self.discovery.ended(self.len() > 0);
                }
            }
        }
    }

    fn draw_xid(&mut self) -> Option<u16> {
        let looking = self.looking.as_ref().map(|(xid, _)| *xid);
        let (probes, registrars) = (&self.probes, &self.registrars);
        self.xids.draw(|xid| {
            looking == Some(xid)
                || probes.values().any(|(taken, _)| *taken == xid)
                || registrars.values().any(|registrar| registrar.uses(xid))
        })
    }

    /// An advert came, asked for or not.
    fn advert(
        &mut self,
        now: Instant,
        settings: &Settings,
        from: SocketAddr,
        message: &Message<'_>,
        octets: &[u8],
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Body::DaAdvert(advert) = &message.body else {
            return false;
        };
        let xid = message.header.xid;
        let mut origin = Origin::Passive;
        if let Some((asked, convergence)) = &mut self.looking
            && *asked == xid
        {
            origin = Origin::Active;
            let mut steps = Vec::new();
            convergence.handle(now, ConvergenceEvent::Received { from, octets }, &mut steps);
            self.looked(steps, effects);
        }
        let probed = self
            .probes
            .iter()
            .find(|(address, (asked, _))| *asked == xid && address.ip() == from.ip())
            .map(|(address, _)| *address);
        if let Some(address) = probed {
            origin = Origin::Active;
            self.probes.remove(&address);
        }
        if origin == Origin::Passive && xid != 0 {
            // An answer to a question that nobody asked.
            return false;
        }
        let longest = match origin {
            Origin::Passive => settings.timers.reg_passive,
            _ => settings.timers.reg_active,
        };
        self.deadline = Some(now);
        match self.known.hear(from, advert, origin) {
            Heard::New(address) | Heard::Restarted(address) => {
                let begin = now + self.random.wait(longest);
                let registrar = Registrar::new(begin, advert.attributes, advert.spis);
                self.registrars.insert(address, registrar);
                tracing::info!(%address, scopes = advert.scopes, "directory agent");
                true
            }
            Heard::Changed(address) => {
                let begin = now + self.random.wait(longest);
                match self.registrars.get_mut(&address) {
                    Some(registrar) => registrar.begin_again(begin, advert.attributes, advert.spis),
                    None => {
                        let registrar = Registrar::new(begin, advert.attributes, advert.spis);
                        self.registrars.insert(address, registrar);
                    }
                }
                true
            }
            Heard::Same(_) => true,
            Heard::Leaving(address) => {
                self.registrars.remove(&address);
                tracing::info!(%address, "directory agent goes down");
                true
            }
            Heard::Ignored(why) => {
                tracing::debug!(%from, ?why, "advert not believed");
                false
            }
        }
    }

    /// Does what is due.
    pub(super) fn go_on(
        &mut self,
        now: Now,
        settings: &Settings,
        registry: &Registry,
        effects: &mut Vec<Effect>,
    ) {
        let due = self
            .deadline
            .is_some_and(|deadline| deadline <= now.instant);
        if !due || !self.attached {
            return;
        }
        let instant = now.instant;
        let discover = self.discovery.due().is_some_and(|due| due <= instant);
        if settings.discover && discover && self.looking.is_none() {
            self.discover(instant, settings, effects);
        }
        let mut steps = Vec::new();
        if let Some((_, convergence)) = &mut self.looking {
            convergence.handle(instant, ConvergenceEvent::Timer, &mut steps);
        }
        self.looked(steps, effects);
        self.probe(instant, settings, effects);
        let addresses: Vec<SocketAddr> = self.registrars.keys().copied().collect();
        for address in addresses {
            self.register(now, address, settings, registry, effects);
        }
        self.deadline = self.next(instant, settings);
    }

    /// Asks the configured ones who they are, until they say it (RFC 2608 12).
    fn probe(&mut self, now: Instant, settings: &Settings, effects: &mut Vec<Effect>) {
        let mut steps = Vec::new();
        let mut silent = Vec::new();
        for (address, (_, exchange)) in &mut self.probes {
            exchange.handle(now, ExchangeEvent::Timer, &mut steps);
            for step in steps.drain(..) {
                match step {
                    ExchangeEffect::Send(octets) => effects.push(Effect::Datagram {
                        remote: *address,
                        octets,
                    }),
                    ExchangeEffect::Unanswered => silent.push(*address),
                    ExchangeEffect::Answered { .. } => {}
                }
            }
        }
        for address in silent {
            self.probes.remove(&address);
            self.known.failed(now, address);
        }
        if now < self.probe_from {
            return;
        }
        let unknown: Vec<SocketAddr> = self
            .known
            .iter()
            .filter(|known| known.advert.is_none() && known.is_usable(now))
            .map(|known| known.address)
            .filter(|address| !self.probes.contains_key(address))
            .collect();
        for address in unknown {
            let Some(xid) = self.draw_xid() else { return };
            let request = Request::directory_agents(&settings.language, "");
            let Ok(octets) = request.encode(xid, Delivery::Unicast) else {
                return;
            };
            let exchange = Exchange::begin(
                now,
                octets,
                xid,
                request.answer(),
                &settings.timers,
                &mut steps,
            );
            for step in steps.drain(..) {
                if let ExchangeEffect::Send(octets) = step {
                    effects.push(Effect::Datagram {
                        remote: address,
                        octets,
                    });
                }
            }
            self.probes.insert(address, (xid, exchange));
        }
    }

    fn register(
        &mut self,
        now: Now,
        address: SocketAddr,
        settings: &Settings,
        registry: &Registry,
        effects: &mut Vec<Effect>,
    ) {
        let usable = self
            .known
            .get(address)
            .is_some_and(|known| known.is_usable(now.instant));
        let common = self
            .known
            .get(address)
            .and_then(|known| known.advert.as_ref())
            .map(|advert| settings.scopes.common(&advert.scopes));
        if self.waits_for_another(now.instant, address) {
            return;
        }
        let (Some(mut registrar), Some(scopes)) = (self.registrars.remove(&address), common) else {
            return;
        };
        let mut surroundings = Surroundings {
            now,
            address,
            settings,
            registry,
            scopes: &scopes,
            next_connection: &mut self.next_connection,
            effects,
        };
        let mut failed = registrar.timers(&mut surroundings);
        if usable && !failed {
            registrar.load(&mut surroundings);
            while registrar.has_room(&surroundings) {
                let Some(xid) = self.xids.draw(|xid| {
                    registrar.uses(xid)
                        || self.registrars.values().any(|other| other.uses(xid))
                        || self.probes.values().any(|(taken, _)| *taken == xid)
                        || self
                            .looking
                            .as_ref()
                            .is_some_and(|(taken, _)| *taken == xid)
                }) else {
                    break;
                };
                if !registrar.send_next(&mut surroundings, xid) {
                    break;
                }
            }
        }
        failed |= registrar.gave_up();
        if failed {
            self.known.failed(now.instant, address);
        }
        self.registrars.insert(address, registrar);
    }

    /// An agent may be heard by several addresses, and a registration is of the address of ours that it came from: it is
    /// told by one of them, and by another only when that turns out to be another agent, or the first is of no use.
    fn waits_for_another(&mut self, now: Instant, address: SocketAddr) -> bool {
        let Some(registrar) = self.registrars.get(&address) else {
            return false;
        };
        if let Some(first) = registrar.alias_of() {
            let alive = self.is_usable(now, first);
            if !alive && let Some(registrar) = self.registrars.get_mut(&address) {
                registrar.stand_in();
            }
            return alive;
        }
        self.registrars.iter().any(|(other, registrar)| {
            preference(*other) < preference(address)
                && !registrar.is_done()
                && self.may_be_one(address, *other)
                && self.is_usable(now, *other)
        })
    }

    /// Whether the agent at this address is told of services, and answers.
    fn is_usable(&self, now: Instant, address: SocketAddr) -> bool {
        self.registrars.contains_key(&address)
            && self
                .known
                .get(address)
                .is_some_and(|known| known.is_usable(now))
    }

    /// Whether two addresses may be of one agent: it started at one time, and says the same of itself.
    fn may_be_one(&self, one: SocketAddr, other: SocketAddr) -> bool {
        let said = |address| {
            let advert = self.known.get(address)?.advert.as_ref()?;
            let Advert {
                boot_timestamp,
                scopes,
                attributes,
                spis,
                url: _,
            } = advert;
            Some((*boot_timestamp, scopes, attributes, spis))
        };
        one != other && said(one).is_some() && said(one) == said(other)
    }

    fn acknowledged(
        &mut self,
        now: Now,
        settings: &Settings,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> bool {
        let xid = message.header.xid;
        let Body::SrvAck(ack) = &message.body else {
            return false;
        };
        let found = self
            .registrars
            .iter()
            .find(|(address, registrar)| address.ip() == from.ip() && registrar.uses(xid));
        let Some((address, _)) = found else {
            return false;
        };
        let address = *address;
        self.deadline = Some(now.instant);
        if ack.error == ErrorCode::AUTHENTICATION_ABSENT && self.is_told_by_another(address, xid) {
            self.known.answered(address);
            return true;
        }
        let Some(registrar) = self.registrars.get_mut(&address) else {
            return false;
        };
        match registrar.acknowledged(now.instant, settings, address, xid, ack.error) {
            true => self.known.answered(address),
            // DA_BUSY_NOW: with exponential backoff (RFC 2608 7).
            false => self.known.failed(now.instant, address),
        }
        true
    }

    /// A service is refused that we registered by another address of what may be the same agent: so it is.
    fn is_told_by_another(&mut self, address: SocketAddr, xid: u16) -> bool {
        let Some(registrar) = self.registrars.get(&address) else {
            return false;
        };
        let first = self
            .registrars
            .iter()
            .find(|(other, told)| {
                self.may_be_one(address, **other) && registrar.was_told_by(xid, told)
            })
            .map(|(other, _)| *other);
        let Some(first) = first else { return false };
        tracing::info!(%address, %first, "the same directory agent");
        if let Some(registrar) = self.registrars.get_mut(&address) {
            registrar.is_alias(first);
        }
        true
    }

    /// When something is due by itself.
    fn next(&self, now: Instant, settings: &Settings) -> Option<Instant> {
        let looking = self
            .looking
            .as_ref()
            .and_then(|(_, convergence)| convergence.deadline());
        let discovery = match self.looking {
            None if settings.discover => self.discovery.due(),
            _ => None,
        };
        let probes = self
            .probes
            .values()
            .filter_map(|(_, exchange)| exchange.deadline())
            .min();
        let unasked = self
            .known
            .iter()
            .filter(|known| known.advert.is_none() && !self.probes.contains_key(&known.address))
            .filter_map(|known| known.usable_from(now))
            .min()
            .map(|from| from.max(self.probe_from));
        let registrars = self
            .registrars
            .iter()
            .filter_map(|(address, registrar)| {
                let usable_from = self.known.get(*address)?.usable_from(now)?;
                match registrar.alias_of() {
                    Some(first) if !self.is_usable(now, first) => Some(usable_from),
                    _ => registrar.deadline(usable_from),
                }
            })
            .min();
        [looking, discovery, probes, unasked, registrars]
            .into_iter()
            .flatten()
            .min()
    }

    /// As an operator sees them.
    pub(super) fn view(&self) -> Vec<DirectoryAgentView> {
        self.known
            .iter()
            .map(|known| {
                let registrar = self.registrars.get(&known.address);
                let advert = known.advert.as_ref();
                DirectoryAgentView {
                    url: advert.map_or_else(String::new, |advert| advert.url.clone()),
                    address: known.address,
                    scopes: advert.map_or_else(String::new, |advert| advert.scopes.to_string()),
                    boot_timestamp: advert.map_or(0, |advert| advert.boot_timestamp),
                    found: match known.origin {
                        Origin::Configured => "configured",
                        Origin::Active => "active",
                        Origin::Passive => "passive",
                    }
                    .into(),
                    registered: registrar.map_or(0, Registrar::registered),
                    waiting: registrar.map_or(0, Registrar::waiting),
                }
            })
            .collect()
    }
}

/// Which of several addresses of one agent is told: the least. First IPv6, then IPv4, and what is good on one link alone
/// last.
fn preference(address: SocketAddr) -> (u8, SocketAddr) {
    let kind = match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => 2,
        SocketAddr::V6(_) => 0,
        SocketAddr::V4(_) => 1,
    };
    (kind, address)
}

impl Core {
    /// An advert or an acknowledgement: of consequence to a service agent alone.
    pub(super) fn heard(
        &mut self,
        now: Now,
        message: &Message<'_>,
        octets: &[u8],
        channel: &Channel,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(peers), Some(from)) = (&mut self.peers, channel.remote()) else {
            // A directory agent hears the others, and itself.
            return;
        };
        let believed = match &message.body {
            Body::DaAdvert(_) => {
                peers.advert(now.instant, &self.settings, from, message, octets, effects)
            }
            _ => peers.acknowledged(now, &self.settings, from, message),
        };
        if let Channel::Outgoing { connection, .. } = channel {
            effects.push(Effect::Close {
                connection: *connection,
            });
        }
        if !believed {
            match peek(octets) {
                Some((_, Function::DaAdvert)) => self.counters.dropped_adverts += 1,
                _ => self.counters.dropped_malformed += 1,
            }
        }
    }
}
