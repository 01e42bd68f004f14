//! A user agent, and hosts that answer it, on one link without sockets or clocks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tollwire_slp::agent::user_agent::{
    Ask, Effect, Event, LegId, Outcome, QueryId, Target, UserAgent, UserAgentSettings,
};
use tollwire_slp::agent::{DIRECTORY_AGENT, Heard, Links, Question, Random, Request};
use tollwire_slp::message::{DaAdvert, SrvRply};
use tollwire_slp::{Body, ErrorCode, Flags, Header, Message, ScopeList, UrlEntry, decode, encode};

const LATENCY: Duration = Duration::from_millis(5);

/// A host that answers service requests.
#[derive(Debug, Clone)]
pub struct Host {
    pub address: SocketAddr,
    /// As a directory agent, with its boot timestamp; otherwise as a service agent.
    pub boot_timestamp: Option<u32>,
    pub scopes: String,
    pub urls: Vec<String>,
    pub alive: bool,
    /// Answers every datagram so often.
    pub copies: usize,
    /// Added to the XID of each answer.
    pub xid_offset: u16,
    /// Looks whether it is in the PRList.
    pub reads_previous_responders: bool,
    /// Answers a datagram with one URL of several and OVERFLOW.
    pub overflows: bool,
    /// Takes TCP connections.
    pub accepts: bool,
    /// Answers services with this error.
    pub error: ErrorCode,
    /// What it was asked: when, whether by multicast, for which type.
    pub asked: Vec<(Duration, bool, String)>,
    /// Asked on streams: the XIDs.
    pub streams: Vec<u16>,
}

pub fn host(last: u8, urls: &[&str]) -> Host {
    Host {
        address: SocketAddr::from(([192, 0, 2, last], 427)),
        boot_timestamp: None,
        scopes: "DEFAULT".into(),
        urls: urls.iter().map(|url| (*url).into()).collect(),
        alive: true,
        copies: 1,
        xid_offset: 0,
        reads_previous_responders: true,
        overflows: false,
        accepts: true,
        error: ErrorCode::OK,
        asked: Vec::new(),
        streams: Vec::new(),
    }
}

pub fn directory_agent(last: u8, scopes: &str, urls: &[&str]) -> Host {
    Host {
        boot_timestamp: Some(1_000),
        scopes: scopes.into(),
        ..host(last, urls)
    }
}

enum Delivery {
    ToHost {
        host: usize,
        octets: Vec<u8>,
        multicast: bool,
        leg: Option<LegId>,
        stream: bool,
    },
    ToAgent {
        from: SocketAddr,
        octets: Vec<u8>,
        leg: Option<LegId>,
    },
    Unreachable(LegId),
}

pub struct Lan {
    pub start: Instant,
    pub now: Instant,
    pub agent: UserAgent,
    pub hosts: Vec<Host>,
    /// Datagrams lost of a hundred.
    pub loss: u64,
    pub answers: Vec<(QueryId, SocketAddr, Vec<u8>)>,
    pub finished: BTreeMap<QueryId, (Duration, Outcome)>,
    pub heard: Vec<Heard>,
    /// Each multicast: when, and its octets.
    pub multicasts: Vec<(Duration, Vec<u8>)>,
    random: Random,
    queue: BTreeMap<(Instant, u64), Delivery>,
    sequence: u64,
}

impl Lan {
    pub fn new(settings: UserAgentSettings, hosts: Vec<Host>, seed: u64) -> Self {
        let start = Instant::now();
        let mut agent = UserAgent::new(start, settings, seed);
        agent.set_links(Links::new([(
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)),
            24,
        )]));
        let mut lan = Self {
            start,
            now: start,
            agent,
            hosts,
            loss: 0,
            answers: Vec::new(),
            finished: BTreeMap::new(),
            heard: Vec::new(),
            multicasts: Vec::new(),
            random: Random::new(seed ^ 0x5151),
            queue: BTreeMap::new(),
            sequence: 0,
        };
        lan.event(Event::Start);
        lan
    }

    /// Asks for services of a type, and returns the question's name.
    pub fn find(&mut self, service_type: &str, scopes: &str, target: Target) -> QueryId {
        self.ask(
            Request {
                language: "en".into(),
                scopes: scopes.into(),
                question: Question::Services {
                    service_type: service_type.into(),
                    predicate: String::new(),
                    spi: String::new(),
                    attributes: false,
                },
            },
            target,
            None,
        )
    }

    pub fn ask(&mut self, request: Request, target: Target, span: Option<Duration>) -> QueryId {
        self.sequence += 1;
        let id = QueryId(self.sequence);
        self.event(Event::Ask(Ask {
            id,
            request,
            target,
            span,
            first_reply_is_enough: false,
        }));
        id
    }

    /// Lets time pass until a question is over, and says when that was and how.
    pub fn finish(&mut self, id: QueryId) -> (Duration, Outcome) {
        let end = self.now + Duration::from_secs(600);
        while !self.finished.contains_key(&id) {
            assert!(self.now < end, "{id:?} never ends");
            self.step(end);
        }
        self.finished.remove(&id).unwrap()
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }

    /// URLs that a question was answered with, sorted, each as often as it came.
    pub fn urls(&self, id: QueryId) -> Vec<String> {
        let mut urls: Vec<String> = self
            .answers
            .iter()
            .filter(|(answered, _, _)| *answered == id)
            .flat_map(|(_, _, octets)| match decode(octets).unwrap().body {
                Body::SrvRply(reply) => reply
                    .urls
                    .iter()
                    .map(|entry| entry.url.to_owned())
                    .collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            })
            .collect();
        urls.sort();
        urls
    }

    /// A datagram that nobody asked for.
    pub fn advertise(&mut self, from: SocketAddr, advert: DaAdvert<'_>) {
        let octets = message(0, "en", Body::DaAdvert(advert), false);
        self.event(Event::Datagram {
            from,
            octets: &octets,
        });
    }

    pub fn event(&mut self, event: Event<'_>) {
        let mut effects = Vec::new();
        self.agent.handle(self.now, event, &mut effects);
        for effect in effects {
            self.run(effect);
        }
    }

    /// The next thing that happens before `end`, or `end`.
    fn step(&mut self, end: Instant) {
        let timer = self.agent.deadline(self.now);
        let arrival = self.queue.keys().next().map(|(at, _)| *at);
        let next = timer.into_iter().chain(arrival).chain([end]).min().unwrap();
        self.now = self.now.max(next);
        if arrival.is_some_and(|at| at <= self.now) {
            let (_, delivery) = self.queue.pop_first().unwrap();
            self.deliver(delivery);
        } else if timer.is_some_and(|at| at <= self.now) {
            self.event(Event::Timer);
            let again = self.agent.deadline(self.now);
            assert!(
                again.is_none_or(|again| again > self.now),
                "a timer stays due"
            );
        }
    }

    fn run(&mut self, effect: Effect) {
        let since = self.now - self.start;
        match effect {
            Effect::Multicast { octets, .. } => {
                self.multicasts.push((since, octets.clone()));
                for host in 0..self.hosts.len() {
                    self.send(Delivery::ToHost {
                        host,
                        octets: octets.clone(),
                        multicast: true,
                        leg: None,
                        stream: false,
                    });
                }
            }
            Effect::Unicast { leg, to, octets } => self.send_to(leg, to, octets, false),
            Effect::Stream { leg, to, octets } => self.send_to(leg, to, octets, true),
            Effect::Close(_) => {}
            Effect::Answer { id, from, octets } => self.answers.push((id, from, octets)),
            Effect::Finished { id, outcome } => {
                assert!(self.finished.insert(id, (since, outcome)).is_none());
            }
            Effect::Heard(heard) => self.heard.push(heard),
        }
    }

    fn send_to(&mut self, leg: LegId, to: SocketAddr, octets: Vec<u8>, stream: bool) {
        if let Some(host) = self.hosts.iter().position(|host| host.address == to) {
            self.send(Delivery::ToHost {
                host,
                octets,
                multicast: false,
                leg: Some(leg),
                stream,
            });
        }
    }

    fn send(&mut self, delivery: Delivery) {
        let reliable = matches!(
            &delivery,
            Delivery::ToHost { stream: true, .. } | Delivery::Unreachable(_)
        );
        if !reliable && self.random.bits() % 100 < self.loss {
            return;
        }
        self.sequence += 1;
        self.queue
            .insert((self.now + LATENCY, self.sequence), delivery);
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Unreachable(leg) => self.event(Event::Unreachable(leg)),
            Delivery::ToAgent {
                from,
                octets,
                leg: Some(leg),
            } => {
                let _ = from;
                self.event(Event::Answered {
                    leg,
                    octets: &octets,
                });
            }
            Delivery::ToAgent {
                from,
                octets,
                leg: None,
            } => self.event(Event::Datagram {
                from,
                octets: &octets,
            }),
            Delivery::ToHost {
                host,
                octets,
                multicast,
                leg,
                stream,
            } => {
                let since = self.now - self.start;
                let host = &mut self.hosts[host];
                if stream && !(host.alive && host.accepts) {
                    return self.send(Delivery::Unreachable(leg.unwrap()));
                }
                let from = host.address;
                let copies = host.copies;
                if let Some(octets) = host.answer(since, &octets, multicast, stream) {
                    for _ in 0..copies {
                        self.send(Delivery::ToAgent {
                            from,
                            octets: octets.clone(),
                            leg,
                        });
                    }
                }
            }
        }
    }
}

impl Host {
    fn answer(
        &mut self,
        since: Duration,
        octets: &[u8],
        multicast: bool,
        stream: bool,
    ) -> Option<Vec<u8>> {
        if !self.alive {
            return None;
        }
        let request = decode(octets).unwrap();
        assert_eq!(request.header.flags.multicast, multicast);
        let Body::SrvRqst(body) = &request.body else {
            panic!("{request:?}");
        };
        assert!(multicast || body.previous_responders.is_empty());
        let own = self.address.ip().to_string();
        if self.reads_previous_responders
            && body.previous_responders.split(',').any(|one| one == own)
        {
            return None;
        }
        let xid = request.header.xid.wrapping_add(self.xid_offset);
        let asked = (since, multicast, body.service_type.to_owned());
        if body.service_type == DIRECTORY_AGENT {
            let boot_timestamp = self.boot_timestamp?;
            self.asked.push(asked);
            let url = format!("{DIRECTORY_AGENT}://{own}");
            let advert = DaAdvert {
                boot_timestamp,
                url: &url,
                scopes: &self.scopes,
                ..DaAdvert::default()
            };
            return Some(message(xid, "en", Body::DaAdvert(advert), false));
        }
        // Directory agents leave what is multicast to service agents.
        if multicast && self.boot_timestamp.is_some() {
            return None;
        }
        let mine = ScopeList::parse(&self.scopes).unwrap();
        let wanted = ScopeList::parse(body.scopes).unwrap();
        if !mine.intersects(&wanted) && multicast {
            return None;
        }
        self.asked.push(asked);
        if stream {
            self.streams.push(request.header.xid);
        }
        let error = if mine.intersects(&wanted) {
            self.error
        } else {
            ErrorCode::SCOPE_NOT_SUPPORTED
        };
        let overflow = self.overflows && !stream;
        let count = if overflow { 1 } else { self.urls.len() };
        let urls = self.urls[..count].iter();
        let reply = SrvRply {
            error,
            urls: urls
                .map(|url| UrlEntry {
                    lifetime: 60,
                    url,
                    authentication: Vec::new(),
                })
                .collect(),
        };
        Some(message(xid, "en", Body::SrvRply(reply), overflow))
    }
}

pub fn message(xid: u16, language: &str, body: Body<'_>, overflow: bool) -> Vec<u8> {
    let mut octets = Vec::new();
    let message = Message {
        header: Header {
            flags: Flags {
                overflow,
                ..Flags::default()
            },
            xid,
            language,
        },
        body,
        extensions: Vec::new(),
    };
    encode(&message, &mut octets).unwrap();
    octets
}
