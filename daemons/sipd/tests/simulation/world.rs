//! Virtual time, a lossy network, a charging system and a limiter around the core.
//!
//! `SIMULATION_SEED=n` runs one ordering, `SIMULATION_TRACE=1` prints what the core hears and does.

use super::phone::{Action, Phone};
use bytes::Bytes;
use sipd::calls::{
    CallNumber, Component, CreditAnswer, CreditOrder, CreditOrderKind, EndCause, Gate, LinkFailure,
    MediaAnswer, MediaOrder, MediaUsage, Report, ReportKind, Settings,
};
use sipd::core::Core;
use sipd::effect::Effect;
use sipd::event::Event;
use sipd::journal::Remembered;
use sipd::listeners::{Listener, Listeners};
use sipd::policy::Policy;
use sipd::services::{Services, Target, Verdict};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{
    Flow, Limits, ServerTransactionId, Timers, TransactionLayer, Transport,
};
use tollwire_sip::{HeaderName, Message, Method, RequestBuilder};

/// Asked for by the proxy; the phones refresh nothing.
pub const SESSION: Option<u32> = Some(200);
pub const PROXY: &str = "192.0.2.1:5060";
const MAX_CONTEXTS: usize = 100;
const START_UNIX_MS: i64 = 1_800_000_000_000;

pub struct Directory {
    pub targets: Vec<Vec<Target>>,
}

impl Services for Directory {
    fn authenticate(&mut self, _: Now, _: &Message, _: SocketAddr) -> Verdict {
        Verdict::Known {
            identity: "sip:alice@example.org".into(),
        }
    }
    fn lookup(&mut self, _: Now, _: &str) -> Vec<Vec<Target>> {
        self.targets.clone()
    }
    fn register(
        &mut self,
        _: Now,
        _: ServerTransactionId,
        _: &Message,
        _: Flow,
    ) -> Option<Message> {
        None
    }
}

enum Delivery {
    ToCore(Event),
    ToPhone(usize, Bytes),
    Written(CallNumber, Report),
}

/// Grants seconds from one balance; remembers what it answered.
#[derive(Default)]
pub struct Charging {
    pub balance: u32,
    pub quantum: u32,
    reserved: HashMap<CallNumber, u32>,
    answers: HashMap<(CallNumber, u32), CreditAnswer>,
    pub charged: u32,
    pub ends: Vec<EndCause>,
    pub refuses_with: Option<u32>,
}

impl Charging {
    pub fn reservations(&self) -> usize {
        self.reserved.len()
    }

    fn answer(&mut self, call: CallNumber, order: &CreditOrder) -> CreditAnswer {
        if let Some(known) = self.answers.get(&(call, order.number)) {
            return known.clone();
        }
        if order.kind != CreditOrderKind::Initial && !self.reserved.contains_key(&call) {
            return answer(5002, None, false);
        }
        let before = self.reserved.remove(&call).unwrap_or(0);
        assert!(order.used_seconds <= before, "used more than was granted");
        self.balance += before - order.used_seconds;
        self.charged += order.used_seconds;
        let result = match order.kind {
            CreditOrderKind::Terminate => {
                self.ends.push(order.ending.expect("has an end").cause);
                answer(2001, None, false)
            }
            _ => match self.refuses_with {
                Some(code) if order.kind == CreditOrderKind::Initial => answer(code, None, false),
                _ if self.balance == 0 => {
                    if order.kind == CreditOrderKind::Update {
                        self.reserved.insert(call, 0);
                    }
                    answer(4012, None, false)
                }
                _ => {
                    let granted = self.balance.min(self.quantum);
                    self.balance -= granted;
                    self.reserved.insert(call, granted);
                    answer(2001, Some(granted), self.balance == 0)
                }
            },
        };
        self.answers.insert((call, order.number), result.clone());
        result
    }
}

fn answer(result_code: u32, granted_seconds: Option<u32>, final_unit: bool) -> CreditAnswer {
    CreditAnswer {
        result_code,
        granted_seconds,
        granted_octets: None,
        final_unit,
        validity_seconds: None,
        failure_handling: None,
    }
}

/// What the kernel would let pass, and until when.
#[derive(Default)]
pub struct Limiter {
    pub open: HashMap<CallNumber, (Vec<Component>, Instant)>,
    pub refuses: bool,
    /// Every state ever ordered, for tests of directions.
    pub gates: Vec<Gate>,
}

/// How well the links answer: out of 100.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    pub sip_loss: u64,
    pub link_loss: u64,
    pub unreachable: bool,
}

pub struct World {
    pub core: Core<Directory>,
    pub phones: Vec<Phone>,
    pub charging: Charging,
    pub limiter: Limiter,
    pub weather: Weather,
    pub journal: BTreeMap<CallNumber, Vec<u8>>,
    /// Accounting records on disk, each under its number.
    pub spool: BTreeMap<CallNumber, BTreeMap<u32, Report>>,
    pub now: Instant,
    start: Instant,
    queue: BTreeMap<(Instant, u64), Delivery>,
    sequence: u64,
    random: u64,
    pub planned: Vec<(Duration, Planned)>,
}

/// Things that happen to a call from outside.
#[derive(Debug, Clone, Copy)]
pub enum Planned {
    OperatorEnd,
    BearerLost,
    LimiterEnd,
    Restart(Duration),
    ChargingDown,
    ChargingUp,
    /// More requests than the proxy keeps, to somebody who never answers.
    Flood,
}

impl World {
    pub fn new(seed: u64, callees: usize) -> Self {
        let proxy: SocketAddr = PROXY.parse().unwrap();
        let mut phones = vec![Phone::new("192.0.2.10:5060", proxy, "alice")];
        let mut group = Vec::new();
        for index in 0..callees {
            let address = format!("192.0.2.{}:5060", 20 + index);
            group.push(Target {
                uri: format!("sip:bob@{address}").into(),
                path: Vec::new(),
                flow: None,
            });
            phones.push(Phone::new(&address, proxy, &format!("bob{index}")));
        }
        let start = Instant::now();
        Self {
            core: core(vec![group], seed),
            phones,
            charging: Charging {
                balance: 1000,
                quantum: 30,
                ..Charging::default()
            },
            limiter: Limiter::default(),
            weather: Weather::default(),
            journal: BTreeMap::new(),
            spool: BTreeMap::new(),
            now: start,
            start,
            queue: BTreeMap::new(),
            sequence: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            planned: Vec::new(),
        }
    }

    pub fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    pub fn plan(&mut self, phone: usize, after_ms: u64, action: Action) {
        let at = self.start + Duration::from_millis(after_ms);
        self.phones[phone].plan.push((at, action));
    }

    pub fn plan_outside(&mut self, after_ms: u64, planned: Planned) {
        self.planned
            .push((Duration::from_millis(after_ms), planned));
    }

    /// Runs until `limit` passed or nothing is left to happen.
    pub fn run(&mut self, limit: Duration) {
        let end = self.start + limit;
        loop {
            let next = self
                .queue
                .keys()
                .next()
                .map(|(at, _)| *at)
                .into_iter()
                .chain(self.core.next_deadline())
                .chain(self.phones.iter().filter_map(Phone::next_deadline))
                .chain(self.planned.iter().map(|(at, _)| self.start + *at))
                .min();
            let Some(next) = next.filter(|next| *next <= end) else {
                return;
            };
            self.now = self.now.max(next);
            self.step();
        }
    }

    fn step(&mut self) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            match entry.remove() {
                Delivery::ToCore(event) => self.tell(event),
                Delivery::Written(call, report) => self.spooled(call, report),
                Delivery::ToPhone(phone, bytes) => {
                    let mut sent = Vec::new();
                    self.phones[phone].receive(self.now, bytes, &mut sent);
                    self.take_from_phone(phone, sent);
                }
            }
        }
        let elapsed = self.now - self.start;
        while let Some(at) = self.planned.iter().position(|(at, _)| *at <= elapsed) {
            let (_, planned) = self.planned.remove(at);
            self.happen(planned);
        }
        for phone in 0..self.phones.len() {
            if self.phones[phone]
                .next_deadline()
                .is_some_and(|at| at <= self.now)
            {
                let mut sent = Vec::new();
                self.phones[phone].tick(self.now, &mut sent);
                self.take_from_phone(phone, sent);
            }
        }
        if self.core.next_deadline().is_some_and(|at| at <= self.now) {
            self.tell(Event::Tick);
        }
    }

    fn happen(&mut self, planned: Planned) {
        let calls: Vec<_> = self
            .core
            .calls()
            .iter()
            .map(|entry| entry.call.number())
            .collect();
        match planned {
            Planned::ChargingDown => self.weather.unreachable = true,
            Planned::ChargingUp => self.weather.unreachable = false,
            Planned::Flood => self.flood(),
            Planned::Restart(away) => self.restart(away),
            Planned::OperatorEnd => {
                for call in calls {
                    self.tell(Event::OperatorEnd(call));
                }
            }
            Planned::LimiterEnd => {
                for call in calls {
                    self.tell(Event::LimiterEnd(call));
                }
            }
            Planned::BearerLost => {
                for call in calls {
                    let last_packet_unix_ms = Some(self.clock().unix_ms - 2000);
                    self.tell(Event::BearerLost {
                        call,
                        last_packet_unix_ms,
                    });
                }
            }
        }
    }

    fn flood(&mut self) {
        self.core.services_mut().targets = vec![vec![Target {
            uri: "sip:bob@192.0.2.99:5060".into(),
            path: Vec::new(),
            flow: None,
        }]];
        let flow = Flow {
            transport: Transport::Udp,
            local: PROXY.parse().unwrap(),
            remote: "192.0.2.98:5060".parse().unwrap(),
        };
        for number in 0..2 * MAX_CONTEXTS {
            let via = format!("SIP/2.0/UDP 192.0.2.98:5060;branch=z9hG4bKflood{number}");
            let message = RequestBuilder::new(Method::Options, "sip:bob@example.org")
                .header(HeaderName::Via, &via)
                .header(HeaderName::MaxForwards, "70")
                .header(HeaderName::From, "<sip:eve@example.org>;tag=flood")
                .header(HeaderName::To, "<sip:bob@example.org>")
                .header(HeaderName::CallId, &format!("flood{number}"))
                .header(HeaderName::CSeq, "1 OPTIONS")
                .build();
            self.tell(Event::Message { flow, message });
        }
        assert_eq!(self.core.load().1, MAX_CONTEXTS);
    }

    /// kill -9: all that is left is the journal.
    fn restart(&mut self, away: Duration) {
        let targets = self.core.services_mut().targets.clone();
        self.core = core(targets, 77);
        self.queue
            .retain(|_, delivery| matches!(delivery, Delivery::ToPhone(..)));
        self.now += away;
        let mut effects = Vec::new();
        let now = self.clock();
        let octets: Vec<u8> = self.journal.values().flatten().copied().collect();
        let remembered: BTreeMap<_, _> = Remembered::read(&octets).into_iter().collect();
        assert_eq!(remembered.len(), self.journal.len());
        for line in remembered.into_values() {
            self.core.take_up(now, line, &mut effects);
        }
        self.execute(effects);
    }

    fn clock(&self) -> Now {
        let elapsed = (self.now - self.start).as_millis() as i64;
        Now {
            instant: self.now,
            unix_ms: START_UNIX_MS + elapsed,
        }
    }

    fn tell(&mut self, event: Event) {
        if std::env::var("SIMULATION_TRACE").is_ok() {
            let text = match &event {
                Event::Message { flow, message } => format!(
                    "{} -> {:?}",
                    flow.remote,
                    String::from_utf8_lossy(&message.to_bytes()).lines().next()
                ),
                other => format!("{other:?}"),
            };
            eprintln!("{:8.3} IN  {text}", (self.now - self.start).as_secs_f64());
        }
        let mut effects = Vec::new();
        self.core.handle(self.clock(), event, &mut effects);
        self.execute(effects);
    }

    fn execute(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if std::env::var("SIMULATION_TRACE").is_ok() {
                let text = match &effect {
                    Effect::Send { flow, bytes } => format!(
                        "-> {} {:?}",
                        flow.remote,
                        String::from_utf8_lossy(bytes).lines().next()
                    ),
                    Effect::Journal(_) | Effect::Closed(_) => "journal".into(),
                    Effect::Credit { order, .. } => format!("{order:?}"),
                    Effect::Media { order, .. } => format!("{order:?}"),
                    Effect::Account { report, .. } => format!("{report:?}"),
                };
                eprintln!("{:8.3} OUT {text}", (self.now - self.start).as_secs_f64());
            }
            match effect {
                Effect::Send { flow, bytes } => {
                    let phone = self
                        .phones
                        .iter()
                        .position(|phone| phone.address == flow.remote);
                    if let Some(phone) = phone
                        && !self.lost(self.weather.sip_loss)
                    {
                        self.deliver(Delivery::ToPhone(phone, bytes), 120);
                    }
                }
                Effect::Credit { call, order, .. } => self.credit(call, &order),
                Effect::Media { call, order, .. } => self.media(call, order),
                Effect::Account { call, report, .. } => {
                    self.deliver(Delivery::Written(call, report), 60);
                }
                Effect::Journal(call) => {
                    if let Some(line) = self.core.journal_line(call) {
                        let mut octets = Vec::new();
                        line.write_to(&mut octets).unwrap();
                        self.journal.insert(call, octets);
                    }
                }
                Effect::Closed(call) => {
                    self.journal.remove(&call);
                }
            }
        }
    }

    /// A record is on disk; that it is may be heard of late, or never.
    fn spooled(&mut self, call: CallNumber, report: Report) {
        let before = self
            .spool
            .entry(call)
            .or_default()
            .insert(report.number, report);
        // After a restart the same is written again, and nothing else under its number.
        assert!(before.is_none_or(|before| before == report));
        let number = report.number;
        self.deliver(Delivery::ToCore(Event::Accounted { call, number }), 60);
    }

    /// Each session is one event, or has a start, a stop, and no gap between.
    fn assert_accounted(&self, what: &str) {
        for reports in self.spool.values() {
            let kinds: Vec<ReportKind> = reports.values().map(|report| report.kind).collect();
            assert_eq!(
                reports.keys().copied().collect::<Vec<_>>(),
                (0..u32::try_from(kinds.len()).unwrap()).collect::<Vec<_>>(),
                "{what}"
            );
            match kinds.as_slice() {
                [ReportKind::Event] => {}
                [ReportKind::Start, interim @ .., ReportKind::Stop] => assert!(
                    interim.iter().all(|kind| *kind == ReportKind::Interim),
                    "{what}: {kinds:?}"
                ),
                _ => panic!("{what}: {kinds:?}"),
            }
            let last = reports.values().next_back().expect("one at least");
            assert!(last.cause.is_some(), "{what}");
            assert!(
                (last.answer_unix_ms).is_none_or(|answer| answer <= last.at_unix_ms),
                "{what}"
            );
        }
    }

    fn credit(&mut self, call: CallNumber, order: &CreditOrder) {
        if self.weather.unreachable {
            let failure = LinkFailure::Unreachable;
            self.deliver(Delivery::ToCore(Event::CreditFailed { call, failure }), 1);
            return;
        }
        let failed = Event::CreditFailed {
            call,
            failure: LinkFailure::Timeout,
        };
        if self.lost(self.weather.link_loss) {
            self.deliver(Delivery::ToCore(failed), 3000);
            return;
        }
        let answer = self.charging.answer(call, order);
        if self.lost(self.weather.link_loss) {
            self.deliver(Delivery::ToCore(failed), 3000);
        } else {
            self.deliver(Delivery::ToCore(Event::Credit { call, answer }), 80);
        }
    }

    fn media(&mut self, call: CallNumber, order: MediaOrder) {
        let failed = Event::MediaFailed {
            call,
            failure: LinkFailure::Timeout,
        };
        if self.lost(self.weather.link_loss) {
            self.deliver(Delivery::ToCore(failed), 3000);
            return;
        }
        let event = match order {
            MediaOrder::Authorise { .. } if self.limiter.refuses => Event::Media {
                call,
                answer: MediaAnswer {
                    result_code: 5063,
                    usage: MediaUsage::default(),
                },
            },
            MediaOrder::Authorise {
                components,
                timeout_seconds,
                ..
            } => {
                let until = self.now + Duration::from_secs(u64::from(timeout_seconds));
                self.limiter
                    .gates
                    .extend(components.iter().map(|component| component.gate));
                self.limiter.open.insert(call, (components, until));
                Event::Media {
                    call,
                    answer: MediaAnswer {
                        result_code: 2001,
                        usage: MediaUsage::default(),
                    },
                }
            }
            MediaOrder::Close => {
                self.limiter.open.remove(&call);
                Event::MediaClosed {
                    call,
                    usage: MediaUsage {
                        from_caller: 1000,
                        to_caller: 2000,
                    },
                }
            }
        };
        if self.lost(self.weather.link_loss) {
            self.deliver(Delivery::ToCore(failed), 3000);
        } else {
            self.deliver(Delivery::ToCore(event), 80);
        }
    }

    fn take_from_phone(&mut self, phone: usize, sent: Vec<Bytes>) {
        for bytes in sent {
            if self.lost(self.weather.sip_loss) {
                continue;
            }
            let flow = Flow {
                transport: Transport::Udp,
                local: PROXY.parse().unwrap(),
                remote: self.phones[phone].address,
            };
            let message = Message::parse(bytes).unwrap();
            self.deliver(Delivery::ToCore(Event::Message { flow, message }), 120);
        }
    }

    fn lost(&mut self, percent: u64) -> bool {
        percent > 0 && self.random(100) < percent
    }

    fn deliver(&mut self, delivery: Delivery, latest_ms: u64) {
        let at = self.now + Duration::from_micros(1 + self.random(latest_ms * 1000));
        self.sequence += 1;
        self.queue.insert((at, self.sequence), delivery);
    }

    /// Nothing of any call is left anywhere.
    pub fn assert_quiet(&self, what: &str) {
        self.assert_accounted(what);
        let standing: Vec<_> = (self.limiter.open.values())
            .filter(|(_, until)| *until > self.now)
            .collect();
        assert!(standing.is_empty(), "{what}: pinholes left: {standing:?}");
        assert_eq!(self.charging.reservations(), 0, "{what}: reservations");
        assert_eq!(self.core.calls().len(), 0, "{what}: calls");
        assert_eq!(
            self.core.load(),
            (0, 0, 0),
            "{what}: held, contexts, clients"
        );
        assert_eq!(self.core.transactions(), (0, 0), "{what}: transactions");
        assert!(self.journal.is_empty(), "{what}: journal");
        for (index, phone) in self.phones.iter().enumerate() {
            assert!(
                phone.gone || !phone.is_in_call(),
                "{what}: phone {index} still in a call"
            );
        }
    }
}

fn core(targets: Vec<Vec<Target>>, seed: u64) -> Core<Directory> {
    let local: SocketAddr = PROXY.parse().unwrap();
    let listener = Listener {
        transport: Transport::Udp,
        local,
        advertised: local,
    };
    let policy = Policy {
        domains: vec!["example.org".into()],
        trusted: Vec::new(),
        routes: Vec::new(),
        settings: Settings {
            session_expires: SESSION,
            accounting: true,
            // With each grant, or by time.
            interim: seed.is_multiple_of(2).then_some(Duration::from_secs(7)),
            ..Settings::default()
        },
        timer_c: Duration::from_secs(181),
        server: "".into(),
        max_calls: 1000,
        max_contexts: MAX_CONTEXTS,
        max_breadth: 60,
        origin_host: "sipd.example.org".into(),
        origin_realm: "example.org".into(),
        charging_realm: "example.org".into(),
        limiter_realm: "example.org".into(),
        service_context_id: "32260@3gpp.org".into(),
        rating_group: Some(100),
        requested_seconds: 60,
        symmetric_rtp: true,
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    Core::new(
        policy,
        Listeners::new(vec![listener]),
        Directory { targets },
        TransactionLayer::new(Timers::default(), Limits::default()),
        bytes,
    )
}
