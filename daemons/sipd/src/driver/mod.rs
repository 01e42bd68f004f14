//! The world around the core.
//!
//! ```text
//! sockets --Arrival----+             +--Send----> sockets
//! Diameter node --CCA--+             +--Credit--> Diameter node, peer "charging"
//!   AAA, RAR, ASR -----+--> Core ----+--Media---> Diameter node, peer "limiter"
//! store --Done---------+             +--Journal-> journal, before anything after it is sent
//! admin socket, timer -+             +--registrations--> store
//! spool --Accounted----+             +--Account-> spool thread --> files --> Shipper --ACR--> accounting storage
//! ```
//!
//! Everything that waits is handled in one turn; its effects are then carried out in order.

mod operator;
mod peers;
mod spool;

use std::collections::{HashMap, HashSet};
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tollwire_runtime::accounting::{self, Janitor, Shipper};
use tollwire_runtime::clock::Now;
use tollwire_runtime::daemon::{self, Fault, Started};
use tollwire_runtime::diameter::{Node, NodeEvent, NodeHandle, PeerId};
use tollwire_runtime::metrics::{Gauges, Metrics, Reading};
use tollwire_runtime::signals::{Request, Signals};
use tollwire_runtime::{admin as runtime_admin, notify};
use tollwire_sip::transaction::{Flow, TransactionLayer, Transport};

use crate::admin::{self, Ask, Reply};
use crate::auth::Authenticator;
use crate::calls::CallNumber;
use crate::config::{CHARGING, Config, LIMITER};
use crate::core::Core;
use crate::effect::Effect;
use crate::event::Event;
use crate::journal::{Journal, Line, Remembered};
use crate::links::{ro, rx};
use crate::listeners::{Listener, Listeners};
use crate::local::{Local, Registration};
use crate::net::{Arrival, Sockets};
use crate::registrar::Registrar;
use crate::store::{Change, Done, Store};

use self::spool::{Spool, Spooled};

/// Messages that may wait for the core.
const QUEUE: usize = 8192;
/// Handled in one turn at the most.
const TURN: usize = 256;
/// How often gauges are read and expired bindings are swept.
const SWEEP: Duration = Duration::from_secs(5);
/// A journal of this many octets is written anew.
const JOURNAL: u64 = 64 << 20;
/// How long a stop waits for the ends of calls to be told.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs `sipd`.
pub fn main() -> ExitCode {
    daemon::run_paced(
        "sipd",
        "Tollwire SIP registrar, proxy and call supervision",
        |started| async { LocalSet::new().run_until(run(started)).await },
    )
}

/// What an outstanding Diameter request is about.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Credit(CallNumber),
    Authorise(CallNumber),
    Close(CallNumber),
}

/// What waits for the store.
enum Storing {
    Registration(Box<Registration>),
    Operator(Reply, serde_json::Value, Box<Change>),
    Sweep,
}

struct Driver {
    core: Core<Local>,
    sockets: Sockets,
    node: NodeHandle,
    charging: PeerId,
    limiter: PeerId,
    journal: Journal,
    /// Where accounting records go, if they are made.
    spool: Option<Spool>,
    store: Store,
    token: u64,
    asked: HashMap<u64, Asked>,
    storing: HashMap<u64, Storing>,
    realm: String,
    open_peers: HashSet<String>,
}

async fn run(started: Started<Config>) -> Result<(), Fault> {
    let Started {
        configuration: config,
        path,
    } = started;
    let mut signals = Signals::listen().map_err(Fault::unavailable)?;
    let (done, mut stored) = mpsc::unbounded_channel::<Vec<Done>>();
    let (store, remembered) = Store::open(&config.store.path, move |group| drop(done.send(group)))
        .map_err(Fault::unavailable)?;
    let (journal, lines) = Journal::open(&config.store.journal).map_err(Fault::unavailable)?;
    let owed = lines.iter().map(Remembered::owed).sum();
    let (told, mut spooled) = mpsc::unbounded_channel::<Spooled>();
    let _janitor = Janitor::start(config.retention()).map_err(Fault::unavailable)?;
    let (spool, shipper) = match config.shipping() {
        Some(source) => {
            let spool = Spool::start(
                config.record_settings(),
                &source.element,
                owed,
                told.clone(),
            )
            .map_err(Fault::unavailable)?;
            let shipper =
                Shipper::start(source, spool.durable.clone()).map_err(Fault::unavailable)?;
            (Some(spool), Some(shipper))
        }
        None => (None, None),
    };
    let (arrivals, mut arrived) = mpsc::channel(QUEUE);
    let mut sockets = Sockets::new(arrivals, config.sip.max_connections, config.sip.max_message);
    let listeners = listen(&config, &mut sockets).await?;
    let (events, mut node_events) = mpsc::channel(QUEUE);
    let node = Node::start(config.node(), events).map_err(Fault::unavailable)?;
    let local = Local::new(
        Authenticator::new(config.auth_settings(), random(), random::<8>),
        Registrar::new(config.registrar_settings(), remembered.location),
        remembered.subscribers,
        config.sip.domains.clone(),
    );
    let (timers, limits) = config.transactions();
    let layer = TransactionLayer::new(timers, limits);
    let (asks, mut asked) = mpsc::channel::<(Ask, Reply)>(64);
    let metrics = Metrics::new("sipd");
    let gauges = Gauges::register(&metrics, GAUGE_ROWS);
    let shipping_gauges =
        (shipper.as_ref()).map(|_| Gauges::register(&metrics, accounting::GAUGE_ROWS));
    let router = admin::router(asks);
    let _serving =
        runtime_admin::serve(&config.admin.socket, config.admin.metrics, router, &metrics)
            .await
            .map_err(Fault::unavailable)?;
    let mut driver = Driver {
        core: Core::new(config.policy(), listeners, local, layer, random()),
        sockets,
        node,
        charging: PeerId::new(CHARGING),
        limiter: PeerId::new(LIMITER),
        journal,
        spool,
        store,
        token: 0,
        asked: HashMap::new(),
        storing: HashMap::new(),
        realm: config.realm(),
        open_peers: HashSet::new(),
    };
    driver.wait_for_peers(&mut node_events).await;
    driver.take_up(lines);
    let interval = notify::watchdog_interval().map_or(SWEEP, |interval| interval.min(SWEEP));
    let mut alive = tokio::time::interval(interval);
    notify::ready();
    tracing::info!(udp = ?config.sip.udp, tcp = ?config.sip.tcp, "serving");
    loop {
        let mut effects = Vec::new();
        let deadline = (driver.core.next_deadline())
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
        tokio::select! {
            Some(arrival) = arrived.recv() => {
                driver.arrival(arrival, &mut effects);
                for _ in 1..TURN {
                    match arrived.try_recv() {
                        Ok(arrival) => driver.arrival(arrival, &mut effects),
                        Err(_) => break,
                    }
                }
            }
            Some(event) = node_events.recv() => {
                driver.node_event(event, &mut effects);
                for _ in 1..TURN {
                    match node_events.try_recv() {
                        Ok(event) => driver.node_event(event, &mut effects),
                        Err(_) => break,
                    }
                }
            }
            Some(group) = stored.recv() => driver.stored(&group, &mut effects),
            Some(spooled) = spooled.recv() => driver.spooled(&spooled, &mut effects),
            Some((ask, reply)) = asked.recv() => driver.operator(ask, reply, &mut effects),
            () = tokio::time::sleep_until(deadline.into()) => {
                driver.core.handle(Now::read(), Event::Tick, &mut effects);
            }
            _ = alive.tick() => {
                notify::alive();
                driver.sweep();
                gauges.set(&driver.core);
                if let (Some(gauges), Some(shipper)) = (&shipping_gauges, &shipper) {
                    let figures = shipper.figures();
                    gauges.set(&figures);
                    driver.core.set_interim(figures.interim());
                }
            }
            request = signals.next() => match request {
                Request::Reload => driver.reload(&path),
                Request::Stop => break,
            },
        }
        driver.carry_out(effects);
    }
    notify::stopping();
    // Calls stay in the journal, and their gates open until their grants end: a restart goes on with them.
    driver.drain(&mut node_events).await;
    driver.node.shutdown().await;
    Ok(())
}

async fn listen(config: &Config, sockets: &mut Sockets) -> Result<Listeners, Fault> {
    let mut listeners = Vec::new();
    for (transport, addresses) in [
        (Transport::Udp, &config.sip.udp),
        (Transport::Tcp, &config.sip.tcp),
    ] {
        for address in addresses {
            let local = match transport {
                Transport::Udp => sockets.listen_udp(*address).await,
                _ => sockets.listen_tcp(*address).await,
            }
            .map_err(Fault::unavailable)?;
            let mut advertised = local;
            if let Some(address) = config
                .sip
                .advertised
                .filter(|_| local.ip().is_unspecified())
            {
                advertised.set_ip(address);
            }
            listeners.push(Listener {
                transport,
                local,
                advertised,
            });
        }
    }
    Ok(Listeners::new(listeners))
}

fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    if let Err(error) = getrandom::fill(&mut octets) {
        // Guessable nonces and call numbers would be worse than none.
        tracing::error!(%error, "the system gives no random numbers");
        std::process::abort();
    }
    octets
}

impl Driver {
    fn next_token(&mut self) -> u64 {
        self.token += 1;
        self.token
    }

    fn arrival(&mut self, arrival: Arrival, effects: &mut Vec<Effect>) {
        let event = match arrival {
            Arrival::Message(flow, Ok(message)) => Event::Message { flow, message },
            Arrival::Message(flow, Err(failure)) => Event::Malformed { flow, failure },
            Arrival::Opened(flow, writer) => {
                self.sockets.opened(flow, writer);
                return;
            }
            Arrival::Closed(flow) => {
                self.sockets.closed(&flow);
                Event::FlowFailed(flow)
            }
        };
        self.core.handle(Now::read(), event, effects);
    }

    /// Carries effects out in order; what fails at once comes back as events, whose effects follow.
    fn carry_out(&mut self, mut effects: Vec<Effect>) {
        // Bounded: each round has at least one failure less to report than the last had effects.
        for _ in 0..64 {
            if effects.is_empty() {
                break;
            }
            self.journal_changed(&effects);
            let mut failures = Vec::new();
            let mut closed = Vec::new();
            for effect in effects {
                if let Effect::Closed(call) = effect {
                    closed.push(call);
                } else {
                    failures.extend(self.one(effect));
                }
            }
            self.journal_closed(&closed);
            effects = Vec::new();
            for event in failures {
                self.core.handle(Now::read(), event, &mut effects);
            }
        }
        self.hand_to_store();
    }

    /// Calls that changed in this turn, each as it is now. Should this process die before all is sent, what was not
    /// sent is found owing by the next one, or repeated by the peers.
    fn journal_changed(&mut self, effects: &[Effect]) {
        let mut seen = HashSet::new();
        let lines = effects.iter().filter_map(|effect| match effect {
            Effect::Journal(call) if seen.insert(*call) => self.core.journal_line(*call),
            _ => None,
        });
        let mut written = Ok(());
        for line in lines {
            written = written.and(self.journal.push(&line));
        }
        self.journal_written(written);
    }

    /// Calls that are over, once all that they owed was sent.
    fn journal_closed(&mut self, closed: &[CallNumber]) {
        let mut written = Ok(());
        for call in closed {
            written = written.and(self.journal.push(&Line::Closed { call: *call }));
        }
        self.journal_written(written);
    }

    fn journal_written(&mut self, pushed: io::Result<()>) {
        if let Err(error) = pushed.and(self.journal.write()) {
            // Calls go on: what is at stake is only that a crash of this process as well would end them.
            tracing::error!(%error, "the journal cannot be written: calls would not survive a restart");
        }
        if self.journal.length() > JOURNAL {
            self.compact_journal();
        }
    }

    fn compact_journal(&mut self) {
        if let Err(error) = self.journal.compact(self.core.journal_lines()) {
            tracing::error!(%error, "the journal cannot be compacted");
        }
    }

    fn one(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Send { flow, bytes } => {
                (!self.sockets.send(flow, bytes)).then_some(Event::FlowFailed(flow))
            }
            Effect::Credit {
                call,
                parties,
                order,
            } => {
                let message = ro::request(self.core.policy(), &parties, &order);
                self.ask_peer(self.charging.clone(), message, Asked::Credit(call))
            }
            Effect::Media {
                call,
                parties,
                order,
            } => {
                let message = rx::request(self.core.policy(), &parties, &order);
                let asked = match order {
                    crate::calls::MediaOrder::Close => Asked::Close(call),
                    crate::calls::MediaOrder::Authorise { .. } => Asked::Authorise(call),
                };
                self.ask_peer(self.limiter.clone(), message, asked)
            }
            Effect::Account {
                call,
                parties,
                report,
            } => {
                if let Some(spool) = &self.spool {
                    spool.write(call, &parties, &report);
                }
                None
            }
            Effect::Journal(_) | Effect::Closed(_) => None,
        }
    }

    /// Calls that an earlier process left: they go on, or are ended.
    fn take_up(&mut self, lines: Vec<Remembered>) {
        let mut effects = Vec::new();
        let count = lines.len();
        for line in lines {
            self.core.take_up(Now::read(), line, &mut effects);
        }
        if count > 0 {
            tracing::info!(calls = count, "calls of an earlier run taken up");
        }
        self.compact_journal();
        self.carry_out(effects);
    }

    fn hand_to_store(&mut self) {
        let registrations = std::mem::take(&mut self.core.services_mut().registrations);
        for registration in registrations {
            let token = self.next_token();
            let change = registration.change.clone();
            self.storing
                .insert(token, Storing::Registration(Box::new(registration)));
            if self.store.submit(token, change).is_err() {
                let mut effects = Vec::new();
                self.stored(
                    &[Done {
                        token,
                        stored: false,
                    }],
                    &mut effects,
                );
                self.carry_out(effects);
            }
        }
    }

    fn spooled(&mut self, spooled: &Spooled, effects: &mut Vec<Effect>) {
        let now = Now::read();
        for (call, number) in spooled {
            let event = Event::Accounted {
                call: *call,
                number: *number,
            };
            self.core.handle(now, event, effects);
        }
    }

    fn stored(&mut self, group: &[Done], effects: &mut Vec<Effect>) {
        for done in group {
            match self.storing.remove(&done.token) {
                Some(Storing::Registration(registration)) => {
                    let Registration {
                        transaction,
                        request,
                        response,
                        address_of_record,
                        before,
                        ..
                    } = *registration;
                    let response = if done.stored {
                        response
                    } else {
                        self.core.services_mut().registrar.take_back(
                            &request,
                            &address_of_record,
                            before,
                        )
                    };
                    let event = Event::Respond {
                        transaction,
                        response,
                    };
                    self.core.handle(Now::read(), event, effects);
                }
                Some(Storing::Operator(reply, value, change)) => {
                    self.changed(done.stored, reply, value, *change);
                }
                Some(Storing::Sweep) | None => {}
            }
        }
    }

    /// Bindings that have ended leave memory and store.
    fn sweep(&mut self) {
        let now = Now::read().unix_ms;
        if self.core.services_mut().registrar.location.expire(now) > 0 {
            let token = self.next_token();
            if self.store.submit(token, Change::Expire(now)).is_ok() {
                self.storing.insert(token, Storing::Sweep);
            }
        }
    }

    fn reload(&mut self, path: &std::path::Path) {
        notify::reloading();
        match tollwire_runtime::config::load::<Config>(path) {
            Ok(config) => {
                self.core.set_policy(config.policy());
                tracing::info!(
                    "routes, trusted networks and calls read again; the rest keeps its values until a restart"
                );
            }
            Err(error) => tracing::error!("{error}; the old configuration stays in force"),
        }
        notify::ready();
    }

    /// Waits for the answers that are under way.
    async fn drain(&mut self, node_events: &mut mpsc::Receiver<NodeEvent>) {
        let until = Instant::now() + DRAIN;
        while !self.asked.is_empty() {
            let Ok(Some(event)) = tokio::time::timeout_at(until.into(), node_events.recv()).await
            else {
                break;
            };
            let mut effects = Vec::new();
            self.node_event(event, &mut effects);
            self.carry_out(effects);
        }
    }
}

/// A flow as a hint where its peer is, for logs.
pub(crate) fn printed(flow: &Flow) -> String {
    format!("{}/{}", flow.transport.as_str(), flow.remote)
}

/// What `/metrics` shows.
const GAUGE_ROWS: &[(&str, &str, Reading<Core<Local>>)] = &[
    (
        "requests",
        "Requests received, repetitions not counted",
        |core| core.counters().requests,
    ),
    ("calls_begun", "Calls begun", |core| core.counters().calls),
    ("calls_answered", "Calls answered", |core| {
        core.counters().answered
    }),
    (
        "strays",
        "Messages dropped because they belong to nothing",
        |core| core.counters().strays,
    ),
    ("malformed", "Messages that could not be read", |core| {
        core.counters().malformed
    }),
    ("calls", "Calls at present", |core| {
        core.calls().len() as u64
    }),
    ("contexts", "Requests under way", |core| {
        core.load().1 as u64
    }),
    (
        "held",
        "Messages that wait for charging or limiter",
        |core| core.load().0 as u64,
    ),
];
