//! The agent itself: messages and time in, answers and adverts out.

mod advert;
mod answer;
mod dispatch;
mod operator;
mod peers;
mod register;
mod v1;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tollwire_runtime::clock::Now;
use tollwire_slp::ScopeList;
use tollwire_slp::agent::Links;
use tollwire_slp::multicast;

use crate::config::Role;
use crate::effect::Effect;
use crate::event::{Attachment, Channel, Event};
use crate::limits::{Rate, SourceBuckets, TotalBucket};
use crate::registry::{Change, Entry, Registration, Registry, Snapshot, Source};
use crate::settings::{Service, Settings};

use self::peers::Peers;

/// Entries that expire in one turn, so that a great many at once hold up nobody.
const EXPIRED_IN_A_TURN: usize = 1_024;

/// What was done, and what was not and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// SrvRqst answered.
    pub service_requests: u64,
    /// AttrRqst answered.
    pub attribute_requests: u64,
    /// SrvTypeRqst answered.
    pub type_requests: u64,
    /// Requests for agents answered.
    pub agent_requests: u64,
    /// SrvReg accepted.
    pub registrations: u64,
    /// SrvDeReg accepted.
    pub deregistrations: u64,
    /// Registrations whose time was over.
    pub expired: u64,
    /// Answers that did not hold all there was.
    pub overflows: u64,
    /// Requests that were not looked at to the end, for `limits.examined`.
    pub exhausted: u64,
    /// Answers that said an error.
    pub errors: u64,
    /// Dropped: more than `limits` lets one source, or all, ask.
    pub dropped_rate: u64,
    /// Dropped: no message, or an answer to nothing.
    pub dropped_malformed: u64,
    /// Dropped: in error, but sent to more than one.
    pub dropped_multicast: u64,
    /// Dropped: the sender has our answer already.
    pub dropped_previous_responder: u64,
    /// Dropped or refused: registrations from where none is allowed.
    pub refused_source: u64,
    /// Dropped: answers to networks that are not ours, above `limits.off_link_octets_per_second`.
    pub dropped_off_link: u64,
    /// Adverts of directory agents that were not believed.
    pub dropped_adverts: u64,
    /// Requests sent to a group without the flag that says so.
    pub unflagged_multicast: u64,
}

/// The agent.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    registry: Registry,
    attachments: Vec<Attachment>,
    links: Links,
    boot_timestamp: u32,
    next_beat: Option<Instant>,
    peers: Option<Peers>,
    requests: SourceBuckets,
    total_requests: TotalBucket,
    errors: SourceBuckets,
    off_link: SourceBuckets,
    log: TotalBucket,
    counters: Counters,
    joined: BTreeSet<u16>,
    stopping: bool,
}

impl Core {
    /// An agent that starts with what was kept.
    ///
    /// `boot_timestamp` is the time of its last start without registrations, in seconds since 1970; `seed` spreads its
    /// waits.
    pub fn new(
        now: Now,
        settings: Settings,
        boot_timestamp: u32,
        kept: &[Snapshot],
        seed: u64,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut registry = Registry::new(settings.quota, settings.min_refresh);
        for snapshot in kept {
            registry.restore(now, snapshot);
        }
        let peers = match settings.role {
            Role::ServiceAgent => Some(Peers::new(now.instant, &settings, seed)),
            Role::DirectoryAgent => None,
        };
        let mut core = Self {
            requests: SourceBuckets::new(settings.requests, settings.sources),
            total_requests: TotalBucket::new(settings.total_requests),
            errors: SourceBuckets::new(settings.errors, settings.sources),
            off_link: SourceBuckets::new(settings.off_link_octets, settings.sources),
            log: TotalBucket::new(Rate {
                per_second: 5,
                burst: 20,
            }),
            settings,
            registry,
            attachments: Vec::new(),
            links: Links::default(),
            boot_timestamp,
            next_beat: None,
            peers,
            counters: Counters::default(),
            joined: BTreeSet::new(),
            stopping: false,
        };
        core.load_services(now, effects);
        let local: Vec<_> = core
            .registry
            .iter()
            .map(|(_, entry)| entry.clone())
            .collect();
        for entry in &local {
            core.local_changed(now, entry);
        }
        core.join(effects);
        core
    }

    /// Takes an event; what is to be done for it is appended to `effects`.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        self.expire(now, effects);
        match event {
            Event::Arrived(arrived) => self.arrived(now, &arrived, effects),
            Event::Attached(attachments) => self.attached(now, attachments, effects),
            Event::Disconnected { connection } => {
                if let Some(peers) = &mut self.peers {
                    peers.disconnected(now.instant, connection);
                }
            }
            Event::Tick => {}
            Event::Operator { token, operation } => self.operate(now, token, operation, effects),
            Event::Reloaded(settings) => self.reload(now, *settings, effects),
            Event::Stop => self.stop(now, effects),
        }
        if self.next_beat.is_some_and(|beat| beat <= now.instant) {
            self.beat(now, effects);
        }
        if let Some(peers) = &mut self.peers {
            peers.go_on(now, &self.settings, &self.registry, effects);
        }
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let peers = self.peers.as_ref().and_then(Peers::next_deadline);
        [self.next_beat, self.registry.next_expiry(), peers]
            .into_iter()
            .flatten()
            .min()
    }

    /// What was done.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What is registered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// How many directory agents are known.
    pub fn directory_agents(&self) -> usize {
        self.peers.as_ref().map_or(0, |peers| peers.len())
    }

    fn is_directory_agent(&self) -> bool {
        self.settings.role == Role::DirectoryAgent
    }

    fn expire(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let over = self.registry.expire(now, EXPIRED_IN_A_TURN);
        if over.is_empty() {
            return;
        }
        self.counters.expired += over.len() as u64;
        let changes = over.iter().map(Entry::as_removal).collect();
        for entry in &over {
            self.local_changed(now, entry);
        }
        effects.push(Effect::Store(changes));
        self.join(effects);
    }

    /// Directory agents are told of what this host's services have become.
    fn local_changed(&mut self, now: Now, entry: &Entry) {
        if let Some(peers) = &mut self.peers {
            peers.changed(now.instant, &entry.url, &entry.language);
        }
    }

    /// Hears requests for the types of this host's services, and no others (RFC 3111 4.2.1).
    fn join(&mut self, effects: &mut Vec<Effect>) {
        let local = self.registry.local_types();
        let mut hashes: BTreeSet<u16> = BTreeSet::new();
        for service_type in local {
            hashes.insert(multicast::hash(service_type.as_str()));
            hashes.extend(service_type.abstract_type().map(multicast::hash));
        }
        if !self.is_directory_agent() {
            hashes.insert(multicast::hash(tollwire_slp::service_type::SERVICE_AGENT));
        }
        if hashes != self.joined {
            self.joined.clone_from(&hashes);
            effects.push(Effect::Join(hashes));
        }
    }

    fn attached(&mut self, now: Now, attachments: Vec<Attachment>, effects: &mut Vec<Effect>) {
        let first = self.attachments.is_empty();
        let new: Vec<Attachment> = attachments
            .iter()
            .filter(|attachment| !self.attachments.contains(attachment))
            .cloned()
            .collect();
        self.attachments = attachments;
        let attached = self.attachments.iter();
        self.links = Links::new(attached.map(|own| (own.address, own.prefix)));
        if let Some(peers) = &mut self.peers {
            peers.set_links(self.links.clone());
        }
        if self.is_directory_agent() && !self.stopping {
            // Also to those who are reached by an address that came later.
            self.advertise(now, &new, self.boot_timestamp, effects);
            if first {
                self.next_beat = Some(now.instant + self.settings.timers.da_beat);
            }
        }
    }

    fn beat(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let attachments = self.attachments.clone();
        self.advertise(now, &attachments, self.boot_timestamp, effects);
        // Counted from now: a host that slept beats once, not once for each time it missed.
        self.next_beat = Some(now.instant + self.settings.timers.da_beat);
    }

    fn stop(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.stopping = true;
        self.next_beat = None;
        if self.is_directory_agent() {
            let attachments = self.attachments.clone();
            // Zero says that it goes down (RFC 2608 12.1).
            self.advertise(now, &attachments, 0, effects);
        }
    }

    fn reload(&mut self, now: Now, settings: Settings, effects: &mut Vec<Effect>) {
        let adverts_differ = settings.attributes != self.settings.attributes
            || settings.scopes != self.settings.scopes;
        self.registry
            .set_limits(settings.quota, settings.min_refresh);
        if settings.requests != self.settings.requests {
            self.requests = SourceBuckets::new(settings.requests, settings.sources);
        }
        if settings.errors != self.settings.errors {
            self.errors = SourceBuckets::new(settings.errors, settings.sources);
        }
        if settings.off_link_octets != self.settings.off_link_octets {
            self.off_link = SourceBuckets::new(settings.off_link_octets, settings.sources);
        }
        if settings.total_requests != self.settings.total_requests {
            self.total_requests = TotalBucket::new(settings.total_requests);
        }
        // What only a restart changes stays.
        let role = self.settings.role;
        self.settings = Settings { role, ..settings };
        self.load_services(now, effects);
        if adverts_differ && self.is_directory_agent() {
            let attachments = self.attachments.clone();
            self.advertise(now, &attachments, self.boot_timestamp, effects);
        }
        self.join(effects);
    }

    /// The services of the file are those that are registered out of it.
    fn load_services(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let language = self.settings.language.clone();
        let wanted = |entry: &Entry, service: &Service| {
            *service.url == *entry.url
                && service
                    .language
                    .as_deref()
                    .unwrap_or(&language)
                    .eq_ignore_ascii_case(&entry.language)
        };
        let gone: Vec<_> = self
            .registry
            .iter()
            .filter(|(_, entry)| entry.source == Source::File)
            .filter(|(_, entry)| !self.settings.services.iter().any(|s| wanted(entry, s)))
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            if let Some(entry) = self.registry.withdraw(id) {
                self.local_changed(now, &entry);
            }
        }
        for service in self.settings.services.clone() {
            let scopes = service.scope_text(&self.settings.scopes);
            // It was checked when it was read.
            let Ok(service_type) = service.parsed_type() else {
                continue;
            };
            let language = service.language.as_deref().unwrap_or(&language);
            // The file is the operator's word: what somebody registered under its URL gives way.
            let others: Vec<_> = self
                .registry
                .of_url(&service.url)
                .filter(|(_, entry)| entry.source != Source::File)
                .map(|(id, _)| id)
                .collect();
            for id in others {
                if let Some(entry) = self.registry.withdraw(id) {
                    effects.push(Effect::Store(vec![entry.as_removal()]));
                }
            }
            let registration = Registration {
                url: &service.url,
                language,
                service_type: service_type.as_str(),
                scopes: &scopes,
                attributes: &service.attributes,
                lifetime: None,
                url_blocks: &[],
                attribute_blocks: &[],
                fresh: true,
                source: Source::File,
                interface: 0,
                verified: false,
            };
            match self.registry.register(now, &registration) {
                Ok(id) => {
                    if let Some(entry) = self.registry.get(id).cloned() {
                        self.local_changed(now, &entry);
                    }
                }
                Err(error) => {
                    tracing::error!(url = service.url, %error, "a service of the file is not registered");
                }
            }
        }
    }

    /// Our address that somebody on `channel` reaches us by.
    fn own_address(&self, channel: &Channel) -> Option<IpAddr> {
        match channel {
            Channel::Datagram {
                local,
                multicast: false,
                ..
            }
            | Channel::Tcp { local, .. } => Some(*local),
            Channel::Datagram {
                remote, interface, ..
            } => {
                let remote = remote.ip().to_canonical();
                let fits = |attachment: &&Attachment| {
                    attachment.interface == *interface
                        && attachment.address.is_ipv4() == remote.is_ipv4()
                };
                let near = |attachment: &&Attachment| {
                    is_link_local(attachment.address) == is_link_local(remote)
                };
                let mut own = self.attachments.iter().filter(fits);
                let best = own.clone().find(near).or_else(|| own.next());
                best.map(|attachment| attachment.address)
            }
            Channel::Local { .. } | Channel::Outgoing { .. } => None,
        }
    }

    /// Whether any of these addresses is ours (RFC 2608 8.1). What is no address counts for nothing.
    fn has_answered(&self, previous_responders: &str) -> bool {
        previous_responders
            .split(',')
            .filter_map(|text| text.trim().parse::<IpAddr>().ok())
            .any(|address| self.attachments.iter().any(|own| own.address == address))
    }

    /// A line in the log, but not for each of many.
    fn may_log(&mut self, now: Now) -> bool {
        self.log.take(now.instant, 1)
    }

    /// The scopes of a request that this agent serves; nothing if there is none.
    fn serves(&self, scopes: &ScopeList) -> bool {
        self.settings.scopes.intersects(scopes)
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Changes out of one registration or deregistration, to be stored; nothing of what stands in a file.
fn to_store(changes: Vec<Change>, effects: &mut Vec<Effect>) {
    if !changes.is_empty() {
        effects.push(Effect::Store(changes));
    }
}

/// Milliseconds of `duration`, for views.
fn seconds_left(until: Instant, now: Instant) -> u64 {
    let left: Duration = until.saturating_duration_since(now);
    left.as_secs()
}
