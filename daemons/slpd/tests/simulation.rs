//! Service agents and directory agents in virtual time, over a network that loses, delays and repeats; directory agents
//! die and come back, services come, change and go. Then the network heals, and after a while every directory agent has
//! just what it should.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tollwire_runtime::clock::Now;
use tollwire_slp::agent::{Delivery, Question, Random, Request};
use tollwire_slp::{Body, decode};
use tollwire_slpd::config::{Config, Role};
use tollwire_slpd::core::Core;
use tollwire_slpd::effect::Effect;
use tollwire_slpd::event::{Arrived, Attachment, Channel, ConnectionId, Event};
use tollwire_slpd::settings::Settings;

const START_UNIX_MS: i64 = 1_800_000_000_000;
const DIRECTORIES: [&str; 2] = ["north,south", "south"];
const SERVICES: [&str; 3] = ["north,south", "south", "north"];

struct Node {
    core: Core,
    ip: IpAddr,
    scopes: &'static str,
}

enum Parcel {
    Message(usize, Arrived),
    Closed(usize, ConnectionId),
}

struct World {
    start: Instant,
    clock: Duration,
    random: Random,
    nodes: Vec<Node>,
    under_way: BTreeMap<(Duration, u64), Parcel>,
    parcels: u64,
    /// Of a thousand.
    loss: u64,
    /// SrvRegs that arrived, by sender and receiver.
    registrations: BTreeMap<(IpAddr, IpAddr), u64>,
}

fn ip(number: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, u8::try_from(number).expect("few") + 1).into()
}

fn settings(role: Role, scopes: &str) -> Settings {
    let mut config = Config::default();
    config.agent.role = role;
    config.agent.scopes = scopes.split(',').map(str::to_owned).collect();
    config.directory_agents.lifetime_seconds = 300;
    config.timers.da_beat_seconds = 600;
    config.network.mtu = 512;
    Settings::read(&config).expect("it is right")
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            start: Instant::now(),
            clock: Duration::ZERO,
            random: Random::new(seed),
            nodes: Vec::new(),
            under_way: BTreeMap::new(),
            parcels: 0,
            loss: 350,
            registrations: BTreeMap::new(),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.random.bits() % limit as u64).expect("small")
    }

    fn lost(&mut self) -> bool {
        self.random.bits() % 1_000 < self.loss
    }

    fn now(&self) -> Now {
        Now {
            instant: self.start + self.clock,
            unix_ms: START_UNIX_MS + i64::try_from(self.clock.as_millis()).expect("short"),
        }
    }

    fn node_of(&self, address: IpAddr) -> Option<usize> {
        self.nodes.iter().position(|node| node.ip == address)
    }

    fn start(&mut self, node: usize, role: Role, scopes: &'static str) {
        let mut effects = Vec::new();
        let now = self.now();
        let boot = u32::try_from(now.unix_ms / 1_000).expect("this century");
        let seed = self.random.bits();
        let core = Core::new(now, settings(role, scopes), boot, &[], seed, &mut effects);
        let started = Node {
            core,
            ip: ip(node),
            scopes,
        };
        match self.nodes.get_mut(node) {
            Some(place) => *place = started,
            None => self.nodes.push(started),
        }
        self.carry_out(node, effects);
        let attachment = Attachment {
            interface: 1,
            address: ip(node),
            prefix: 24,
            mtu: 1_472,
            loopback: false,
        };
        self.handle(node, Event::Attached(vec![attachment]));
    }

    fn handle(&mut self, node: usize, event: Event) {
        let mut effects = Vec::new();
        let now = self.now();
        self.nodes[node].core.handle(now, event, &mut effects);
        self.carry_out(node, effects);
    }

    fn carry_out(&mut self, from: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Answer { channel, octets } => self.answer(from, channel, &octets),
                Effect::Datagram { remote, octets } => {
                    self.datagram(from, remote.ip(), false, &octets)
                }
                Effect::Multicast { octets, .. } => {
                    for to in (0..self.nodes.len()).filter(|to| *to != from) {
                        self.datagram(from, ip(to), true, &octets);
                    }
                }
                Effect::Stream {
                    connection,
                    remote,
                    octets,
                } => match self.node_of(remote.ip()) {
                    Some(node) if !self.lost() => {
                        let channel = Channel::Tcp {
                            connection,
                            remote: SocketAddr::new(ip(from), 50_000),
                            local: remote.ip(),
                        };
                        self.post(node, channel, &octets);
                    }
                    _ => self.send(Parcel::Closed(from, connection)),
                },
                Effect::Join(_)
                | Effect::Close { .. }
                | Effect::Store(_)
                | Effect::Reply { .. } => {}
            }
        }
    }

    fn datagram(&mut self, from: usize, to: IpAddr, multicast: bool, octets: &[u8]) {
        let Some(node) = self.node_of(to) else { return };
        let channel = Channel::Datagram {
            remote: SocketAddr::new(ip(from), 427),
            local: to,
            interface: 1,
            multicast,
            on_link: true,
        };
        // Lost, or there, or seldom there twice.
        if self.lost() {
            return;
        }
        self.post(node, channel, octets);
        if self.loss > 0 && self.random.bits().is_multiple_of(100) {
            self.post(node, channel, octets);
        }
    }

    fn answer(&mut self, from: usize, channel: Channel, octets: &[u8]) {
        match channel {
            Channel::Datagram { remote, .. } => self.datagram(from, remote.ip(), false, octets),
            Channel::Tcp {
                connection, remote, ..
            } => {
                let channel = Channel::Outgoing {
                    connection,
                    remote: SocketAddr::new(ip(from), 427),
                };
                if let Some(node) = self.node_of(remote.ip()) {
                    self.post(node, channel, octets);
                }
            }
            Channel::Local { .. } => {
                let message = decode(octets).expect("an answer");
                let Body::SrvAck(ack) = message.body else {
                    panic!("an acknowledgement: {message:?}")
                };
                assert_eq!(ack.error, tollwire_slp::ErrorCode::OK);
            }
            Channel::Outgoing { .. } => panic!("nobody answers an answer"),
        }
    }

    fn post(&mut self, node: usize, channel: Channel, octets: &[u8]) {
        let octets = octets.to_vec().into();
        self.send(Parcel::Message(node, Arrived { octets, channel }));
    }

    fn send(&mut self, parcel: Parcel) {
        self.parcels += 1;
        let delay = Duration::from_micros(200 + self.random.bits() % 30_000);
        let at = (self.clock + delay, self.parcels);
        self.under_way.insert(at, parcel);
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.clock + time;
        for _ in 0..2_000_000 {
            let parcel = self.under_way.first_key_value().map(|((at, _), _)| *at);
            let timers = self.nodes.iter().enumerate().filter_map(|(node, this)| {
                let deadline = this.core.next_deadline()?;
                Some((deadline.saturating_duration_since(self.start), node))
            });
            match (parcel, timers.min()) {
                (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                    self.clock = self.clock.max(at);
                    if let Some((_, parcel)) = self.under_way.pop_first() {
                        self.deliver(parcel);
                    }
                }
                (_, Some((due, node))) if due <= end => {
                    self.clock = self.clock.max(due);
                    self.handle(node, Event::Tick);
                }
                _ => {
                    self.clock = end;
                    return;
                }
            }
        }
        panic!("it does not come to rest");
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Closed(node, connection) => {
                self.handle(node, Event::Disconnected { connection })
            }
            Parcel::Message(node, arrived) => {
                let remote = arrived.channel.remote();
                if let (Some(remote), Some(3)) = (remote, arrived.octets.get(1)) {
                    let pair = (remote.ip(), self.nodes[node].ip);
                    *self.registrations.entry(pair).or_default() += 1;
                }
                self.handle(node, Event::Arrived(arrived));
            }
        }
    }

    /// A program of this node says something about its service.
    fn local(&mut self, node: usize, scopes: &str, question: Question) {
        let request = Request {
            language: "en".into(),
            scopes: scopes.into(),
            question,
        };
        let octets = request.encode(1, Delivery::Unicast).expect("short");
        let channel = Channel::Local {
            connection: ConnectionId(1),
        };
        let octets = octets.into();
        self.handle(node, Event::Arrived(Arrived { octets, channel }));
    }

    /// URLs and attribute lists of a node: its own, or those it took in; in any of these scopes.
    fn list(&self, node: usize, own: bool, scopes: &str) -> BTreeSet<(String, String)> {
        let wanted = tollwire_slp::ScopeList::parse(scopes).expect("scopes");
        let all = self.nodes[node].core.registry().iter();
        all.filter(|(_, entry)| entry.is_local() == own && entry.scopes.intersects(&wanted))
            .map(|(_, entry)| (entry.url.to_string(), entry.text.to_string()))
            .collect()
    }

    fn something_happens(&mut self) {
        let node = DIRECTORIES.len() + self.below(SERVICES.len());
        let url = format!("service:a://{}-{}", ip(node), self.below(6));
        let what = self.below(10);
        let directory = self.below(DIRECTORIES.len());
        match what {
            // A directory agent dies, or says that it goes; it is back with nothing.
            0 | 1 => {
                let mut away = Duration::from_secs(1);
                if what == 1 {
                    self.handle(directory, Event::Stop);
                    away += self.random.wait(Duration::from_secs(30));
                }
                self.run(away);
                self.start(directory, Role::DirectoryAgent, DIRECTORIES[directory]);
            }
            2 | 3 => {
                let known = self.nodes[node].core.registry().of_url(&url).next();
                let scopes = known.map(|(_, entry)| entry.scopes.to_string());
                if let Some(scopes) = scopes {
                    let tags = String::new();
                    self.local(node, &scopes, Question::Deregister { url, tags });
                }
            }
            _ => {
                let all: Vec<&str> = self.nodes[node].scopes.split(',').collect();
                let one = all[self.below(all.len())];
                let scopes = match self.below(2) {
                    0 => one.to_owned(),
                    _ => all.join(","),
                };
                // Some are too long for a datagram.
                let text = "z".repeat([3, 700][self.below(2)]);
                let attributes = format!("(x={}),(y={text})", self.below(1_000));
                let question = Question::Register {
                    url,
                    service_type: "service:a".into(),
                    attributes,
                    lifetime: 60_000,
                    fresh: true,
                };
                self.local(node, &scopes, question);
            }
        }
    }
}

fn scenario(seed: u64) {
    let mut world = World::new(seed);
    for (node, scopes) in DIRECTORIES.into_iter().enumerate() {
        world.start(node, Role::DirectoryAgent, scopes);
    }
    for (node, scopes) in SERVICES.into_iter().enumerate() {
        world.start(DIRECTORIES.len() + node, Role::ServiceAgent, scopes);
    }
    for _ in 0..40 {
        let wait = world.random.wait(Duration::from_secs(20));
        world.run(wait);
        world.something_happens();
    }
    world.loss = 0;
    // The longest that a silent directory agent is left alone, and some lifetimes there.
    world.run(Duration::from_secs(3_000));
    for (node, scopes) in DIRECTORIES.into_iter().enumerate() {
        let services = DIRECTORIES.len()..DIRECTORIES.len() + SERVICES.len();
        let expected: BTreeSet<_> = services
            .flat_map(|service| world.list(service, true, scopes))
            .collect();
        let there = world.list(node, false, scopes);
        assert_eq!(there, expected, "directory agent {node}, seed {seed}");
    }
    // At rest nobody says more than the refresh of each service needs.
    world.registrations.clear();
    world.run(Duration::from_secs(900));
    for ((from, to), count) in &world.registrations {
        let node = world.node_of(*from).expect("a node");
        let services = world.list(node, true, "north,south").len() as u64;
        assert!(
            *count <= services * 5,
            "{from} to {to}: {count} for {services} services, seed {seed}"
        );
    }
}

#[test]
fn directory_agents_come_to_have_just_what_there_is() {
    for seed in 0..60 {
        scenario(seed);
    }
}
