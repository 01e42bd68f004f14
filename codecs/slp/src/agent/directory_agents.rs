//! Directory agents that are known, and which of them to ask (RFC 2608 6, 11.1, 12).

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use super::links::Links;
use super::request::DIRECTORY_AGENT;
use super::retransmission::later;
use crate::error::ErrorCode;
use crate::message::DaAdvert;
use crate::scope::ScopeList;
use crate::service_type::{ServiceType, host_of};
use crate::text;

/// What bounds the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryAgentLimits {
    /// The port at which directory agents are asked.
    pub port: u16,
    /// How many are known at once, those that are configured not counted.
    pub max_known: usize,
    /// How long one that does not answer is left alone at first; twice as long each time that it still does not.
    pub hold_down: Duration,
    /// How long it is left alone at most.
    pub max_hold_down: Duration,
    /// Whether adverts from networks that this host is not attached to are believed.
    pub accept_off_link: bool,
}

impl Default for DirectoryAgentLimits {
    fn default() -> Self {
        Self {
            port: crate::PORT,
            max_known: 64,
            hold_down: Duration::from_secs(15),
            max_hold_down: Duration::from_secs(900),
            accept_off_link: false,
        }
    }
}

/// How a directory agent became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By configuration.
    Configured,
    /// It answered a request for directory agents.
    Active,
    /// It was overheard.
    Passive,
}

/// A directory agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryAgent {
    /// Where it is asked.
    pub address: SocketAddr,
    /// How it became known.
    pub origin: Origin,
    /// What it said last; nothing while a configured one has said nothing yet.
    pub advert: Option<Advert>,
    held_until: Option<Instant>,
    hold_down: Duration,
    left: bool,
    /// Whether it has answered a request of ours, and none in vain since.
    proven: bool,
}

/// What a DAAdvert says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// Seconds since 1970 of its last start without registrations.
    pub boot_timestamp: u32,
    /// Its URL.
    pub url: String,
    /// Scopes it serves.
    pub scopes: ScopeList,
    /// Its attribute list.
    pub attributes: String,
    /// Comma list of the SPIs that it can verify.
    pub spis: String,
}

impl Advert {
    /// Whether both are of one agent, as far as can be told by all but the URL.
    fn is_alike(&self, other: &Self) -> bool {
        self.boot_timestamp == other.boot_timestamp
            && self.scopes.same_set(&other.scopes)
            && self.attributes == other.attributes
            && self.spis == other.spis
    }
}

impl DirectoryAgent {
    /// Whether it is asked: it has not left, and is not left alone for want of answers.
    pub fn is_usable(&self, now: Instant) -> bool {
        !self.left && self.held_until.is_none_or(|until| now >= until)
    }

    /// From when on it is asked: now, or when it was left alone for long enough. Never, if it has left.
    pub fn usable_from(&self, now: Instant) -> Option<Instant> {
        match self.left {
            true => None,
            false => Some(self.held_until.map_or(now, |until| until.max(now))),
        }
    }

    /// How soon it is asked, compared with others.
    fn rank(&self) -> u8 {
        match self.origin {
            Origin::Configured => 0,
            _ if self.proven => 1,
            _ => 2,
        }
    }

    /// Those of `wanted` that it serves: all of them while it has not said which.
    fn common(&self, wanted: &ScopeList) -> ScopeList {
        match &self.advert {
            Some(advert) => wanted.common(&advert.scopes),
            None => wanted.clone(),
        }
    }
}

/// What an advert changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// An agent that was not known: a service agent registers with it (RFC 2608 12.2.2).
    New(SocketAddr),
    /// An agent that has lost its registrations since: a service agent registers again.
    Restarted(SocketAddr),
    /// Its scopes or attributes are others.
    Changed(SocketAddr),
    /// Nothing.
    Same(SocketAddr),
    /// It goes down, and is not asked any more.
    Leaving(SocketAddr),
    /// The advert is not believed.
    Ignored(Disbelief),
}

/// Why an advert is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disbelief {
    /// It says an error.
    Error,
    /// Its URL is not one of a directory agent (RFC 2608 Appendix C).
    Url,
    /// It names no scope, or its list cannot be read.
    Scopes,
    /// It comes from a network that this host is not attached to.
    OffLink,
    /// It is older than what is known.
    Stale,
    /// As many agents are known as may be.
    Full,
}

/// Who is asked for what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cover {
    /// Agents, and the scopes that each is asked for.
    pub asked: Vec<(SocketAddr, ScopeList)>,
    /// Scopes that no agent serves.
    pub rest: ScopeList,
}

/// The table.
#[derive(Debug, Clone)]
pub struct DirectoryAgents {
    limits: DirectoryAgentLimits,
    links: Links,
    known: Vec<DirectoryAgent>,
}

impl DirectoryAgents {
    /// Knows those at `configured`, in order of preference.
    pub fn new(
        limits: DirectoryAgentLimits,
        configured: impl IntoIterator<Item = SocketAddr>,
    ) -> Self {
        let known = configured
            .into_iter()
            .map(|address| agent(address, Origin::Configured, None))
            .collect();
        Self {
            limits,
            links: Links::default(),
            known,
        }
    }

    /// The networks that this host is attached to are now these.
    pub fn set_links(&mut self, links: Links) {
        self.links = links;
    }

    /// All of them, those that are configured first.
    pub fn iter(&self) -> impl Iterator<Item = &DirectoryAgent> {
        self.known.iter()
    }

    /// The one that is asked at `address`.
    pub fn get(&self, address: SocketAddr) -> Option<&DirectoryAgent> {
        self.known.iter().find(|known| known.address == address)
    }

    fn get_mut(&mut self, address: SocketAddr) -> Option<&mut DirectoryAgent> {
        self.known.iter_mut().find(|known| known.address == address)
    }

    /// Takes in an advert that `from` sent, how it was come by ([`Origin::Active`] or [`Origin::Passive`]).
    pub fn hear(&mut self, from: SocketAddr, advert: &DaAdvert<'_>, origin: Origin) -> Heard {
        if !names_a_directory_agent(advert.url) {
            return Heard::Ignored(Disbelief::Url);
        }
        match self.address_of(from, advert.url) {
            Some(address) => self.hear_at(address, advert, origin),
            None => Heard::Ignored(Disbelief::OffLink),
        }
    }

    /// Takes in what the agent that is asked at `address` answered to a request for its advert (RFC 2608 12).
    pub fn introduced(&mut self, address: SocketAddr, advert: &DaAdvert<'_>) -> Heard {
        if !names_a_directory_agent(advert.url) {
            return Heard::Ignored(Disbelief::Url);
        }
        self.hear_at(address, advert, Origin::Active)
    }

    fn hear_at(&mut self, address: SocketAddr, advert: &DaAdvert<'_>, origin: Origin) -> Heard {
        if advert.error != ErrorCode::OK {
            return Heard::Ignored(Disbelief::Error);
        }
        if advert.boot_timestamp == 0 {
            return self.leave(address);
        }
        let scopes = match ScopeList::parse(advert.scopes) {
            Ok(scopes) if !scopes.is_empty() => scopes,
            _ => return Heard::Ignored(Disbelief::Scopes),
        };
        let said = Advert {
            boot_timestamp: advert.boot_timestamp,
            url: advert.url.into(),
            scopes,
            attributes: advert.attributes.into(),
            spis: advert.spis.into(),
        };
        let Some(known) = self.get_mut(address) else {
            return self.insert(address, origin, said);
        };
        let heard = match &known.advert {
            None => Heard::New(address),
            // RFC 2608 12.1: it only grows. A smaller one was under way for long, or is somebody else's.
            Some(old) if said.boot_timestamp < old.boot_timestamp => {
                return Heard::Ignored(Disbelief::Stale);
            }
            Some(old) if said.boot_timestamp > old.boot_timestamp => Heard::Restarted(address),
            Some(old) if *old != said => Heard::Changed(address),
            Some(_) if known.left => Heard::Changed(address),
            Some(_) => Heard::Same(address),
        };
        known.advert = Some(said);
        // Whoever speaks is there.
        known.left = false;
        known.held_until = None;
        known.hold_down = Duration::ZERO;
        heard
    }

    /// Where the agent is asked that `from` advertises as `url`.
    ///
    /// The URL's address, if it is a numeric one that adverts may name; else the source's. So no advert can send
    /// requests to a network that this host is not attached to.
    fn address_of(&self, from: SocketAddr, url: &str) -> Option<SocketAddr> {
        let source = SocketAddr::new(from.ip().to_canonical(), self.limits.port);
        let source = with_zone(source, from);
        if !self.may_be(source) {
            return None;
        }
        let named = host_of(url)
            .and_then(|host| host.parse::<IpAddr>().ok())
            .filter(|ip| !ip.is_unspecified() && !ip.is_multicast())
            .map(|ip| with_zone(SocketAddr::new(ip, self.limits.port), from));
        Some(match named {
            Some(named) if self.may_be(named) => named,
            _ => source,
        })
    }

    fn may_be(&self, address: SocketAddr) -> bool {
        let configured = |known: &DirectoryAgent| {
            known.origin == Origin::Configured && known.address.ip() == address.ip()
        };
        self.limits.accept_off_link
            || self.links.contains(address.ip())
            || self.known.iter().any(configured)
    }

    fn insert(&mut self, address: SocketAddr, origin: Origin, advert: Advert) -> Heard {
        let found = |known: &DirectoryAgent| known.origin != Origin::Configured;
        if self.known.iter().filter(|known| found(known)).count() >= self.limits.max_known {
            // One that does not answer makes room.
            let silent = |known: &DirectoryAgent| found(known) && known.held_until.is_some();
            match self.known.iter().position(silent) {
                Some(at) => {
                    self.known.remove(at);
                }
                None => return Heard::Ignored(Disbelief::Full),
            }
        }
        self.known.push(agent(address, origin, Some(advert)));
        Heard::New(address)
    }

    /// RFC 2608 12.2.2: "the DA is going down and no further messages should be sent to it".
    fn leave(&mut self, address: SocketAddr) -> Heard {
        let Some(at) = self
            .known
            .iter()
            .position(|known| known.address == address && !known.left)
        else {
            return Heard::Ignored(Disbelief::Stale);
        };
        match self.known.get_mut(at) {
            Some(known) if known.origin == Origin::Configured => known.left = true,
            _ => {
                self.known.remove(at);
            }
        }
        Heard::Leaving(address)
    }

    /// The agent at `address` did not answer, or says that it is busy: it is left alone for a while (RFC 2608 7, 12.3).
    pub fn failed(&mut self, now: Instant, address: SocketAddr) {
        let limits = self.limits;
        if let Some(known) = self.get_mut(address) {
            // Requests that were under way together fail together: that counts once.
            if !known.is_usable(now) {
                return;
            }
            known.hold_down = known
                .hold_down
                .saturating_mul(2)
                .clamp(limits.hold_down, limits.max_hold_down.max(limits.hold_down));
            known.held_until = Some(later(now, known.hold_down));
            known.proven = false;
        }
    }

    /// The agent at `address` answered.
    pub fn answered(&mut self, address: SocketAddr) {
        if let Some(known) = self.get_mut(address) {
            known.left = false;
            known.held_until = None;
            known.hold_down = Duration::ZERO;
            known.proven = true;
        }
    }

    /// Who of them is asked for `wanted`: few that together serve as much of it as can be had, none of `except`.
    ///
    /// Configured agents come before others (RFC 2608 6), those that have answered before those that only say that they
    /// are there, those that serve more of it before those that serve less.
    pub fn cover(&self, now: Instant, wanted: &ScopeList, except: &[SocketAddr]) -> Cover {
        let mut cover = Cover {
            asked: Vec::new(),
            rest: wanted.clone(),
        };
        for rank in 0..3 {
            while !cover.rest.is_empty() {
                let usable = |known: &&DirectoryAgent| {
                    known.rank() == rank
                        && known.is_usable(now)
                        && !except.contains(&known.address)
                        && !cover.asked.iter().any(|(asked, _)| *asked == known.address)
                };
                let mut best: Option<(SocketAddr, ScopeList)> = None;
                for known in self.known.iter().filter(usable) {
                    let common = known.common(&cover.rest);
                    if common.len() > best.as_ref().map_or(0, |(_, most)| most.len()) {
                        best = Some((known.address, common));
                    }
                }
                let Some((address, common)) = best else {
                    break;
                };
                cover.rest = cover.rest.without(&common);
                cover.asked.push((address, common));
            }
        }
        cover
    }

    /// Every agent that serves a scope of `wanted`, with the scopes in common: whom a service is registered with
    /// (RFC 2608 8.3). Each agent once, if it can be told which addresses are its own ([`Self::is_other_name`]).
    pub fn serving(&self, now: Instant, wanted: &ScopeList) -> Vec<(SocketAddr, ScopeList)> {
        self.known
            .iter()
            .filter(|known| known.is_usable(now) && !self.is_other_name(known.address))
            .map(|known| (known.address, known.common(wanted)))
            .filter(|(_, common)| !common.is_empty())
            .collect()
    }

    /// Whether the agent at `address` is, as far as can be told, known by a better address too.
    ///
    /// An agent with IPv4 and IPv6 answers a discovery from each, under URLs that have nothing in common. To register
    /// with it by several addresses is worse than idle: the registrations come from several addresses of ours, and it
    /// lets none of them change what another made. So of agents that say the same in all else, and started in the same
    /// second, those of one kind of address are taken: of the kind that there are most of, so that of two such agents
    /// none is passed over.
    pub fn is_other_name(&self, address: SocketAddr) -> bool {
        let Some((known, advert)) = self
            .get(address)
            .and_then(|known| Some((known, known.advert.as_ref()?)))
        else {
            return false;
        };
        let mut kinds = [(0_usize, false); 3];
        for other in &self.known {
            let is_alike = other.advert.as_ref().is_some_and(|it| it.is_alike(advert));
            if let Some(kind) = kinds.get_mut(kind_of(other.address)).filter(|_| is_alike) {
                kind.0 += 1;
                kind.1 |= other.origin == Origin::Configured;
            }
        }
        // The first of the best.
        let best = kinds
            .iter()
            .enumerate()
            .rev()
            .max_by_key(|(_, kind)| **kind);
        best.is_some_and(|(best, _)| best != kind_of(known.address))
    }
}

/// IPv4, IPv6 beyond the link, IPv6 of the link.
fn kind_of(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) if address.ip().is_unicast_link_local() => 2,
        SocketAddr::V6(_) => 1,
    }
}

fn agent(address: SocketAddr, origin: Origin, advert: Option<Advert>) -> DirectoryAgent {
    DirectoryAgent {
        address,
        origin,
        advert,
        held_until: None,
        hold_down: Duration::ZERO,
        left: false,
        proven: false,
    }
}

fn names_a_directory_agent(url: &str) -> bool {
    ServiceType::of_url(url).is_ok_and(|kind| text::equal(kind.as_str(), DIRECTORY_AGENT))
}

/// A link-local address means one only with the zone of the link that it was heard on.
fn with_zone(address: SocketAddr, from: SocketAddr) -> SocketAddr {
    match (address, from) {
        (SocketAddr::V6(address), SocketAddr::V6(from)) if address.ip().is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(
                *address.ip(),
                address.port(),
                0,
                from.scope_id(),
            ))
        }
        _ => address,
    }
}
