//! The world around the core.
//!
//! ```text
//! connections --Frames----+            +--Send, Close, Connect--> connections
//! spool --Stored----------+            +--Store--> spool thread
//! records --RecordsStored-+--> Core ---+--Record--> records thread --> files --> Shipper --ACR--> accounting storage
//! passwords --Checked-----+            +--CheckPassword--> passwords thread
//! Diameter node --CCA-----+            +--Credit--> Diameter node
//! admin socket, timer ----+            +--Reply--> admin socket
//! ```
//!
//! Everything that waits is handled in one turn; then its effects are carried out, entries and records in one piece.

mod credit;
mod records;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tollwire_runtime::accounting::stream::{self, Streamer};
use tollwire_runtime::accounting::{self, Janitor, Shipper};
use tollwire_runtime::clock::Now;
use tollwire_runtime::daemon::{self, Fault, Started};
use tollwire_runtime::diameter::{Node, NodeEvent};
use tollwire_runtime::metrics::{Gauges, Metrics};
use tollwire_runtime::signals::{Request, Signals};
use tollwire_runtime::{admin as runtime_admin, notify};

use self::credit::Credit;
use self::records::Records;
use crate::admin::{self, Answer, Ask};
use crate::config::Config;
use crate::core::Core;
use crate::effect::Effect;
use crate::entry::Entry;
use crate::event::{Event, Operation};
use crate::net::{Destination, Net};
use crate::password::Checker;
use crate::spool::{Report, Spool};

/// Events of the network that may wait for the core; each is one read.
const QUEUE: usize = 256;
/// Events handled in one turn at the most.
const TURN: usize = 64;
/// How often gauges are read.
const GAUGES: Duration = Duration::from_secs(5);
/// How long a stop waits for answers that are on their way.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs `smscd`.
pub fn main() -> ExitCode {
    daemon::run(
        "smscd",
        "Tollwire SMSC: SMPP, store and forward, tariffs, charge records",
        |started| async { LocalSet::new().run_until(run(started)).await },
    )
}

struct Driver {
    core: Core,
    net: Net,
    spool: Spool,
    records: Records,
    passwords: Checker,
    credit: Credit,
    upstreams: HashMap<Arc<str>, Destination>,
    operators: HashMap<u64, Answer>,
    next_token: u64,
    path: PathBuf,
}

async fn run(started: Started<Config>) -> Result<(), Fault> {
    let Started {
        configuration: config,
        path,
    } = started;
    let mut signals = Signals::listen().map_err(Fault::unavailable)?;
    let settings = config.settings().map_err(Fault::configuration)?;
    let upstreams = config.destinations().map_err(Fault::configuration)?;
    let tls = config.acceptor().map_err(Fault::configuration)?;
    // The disk's and the passwords' threads: their answers are few, and never wait.
    let (told, mut tells) = mpsc::unbounded_channel::<Event>();
    let (spool, recovered) = Spool::open(config.spool(), {
        let told = told.clone();
        move |report| drop(told.send(event(report)))
    })
    .map_err(Fault::unavailable)?;
    let owed = recovered.owed.iter();
    let owed = owed.filter(|owed| !owed.record_written).count();
    let records = Records::start(&config, owed, told.clone()).map_err(Fault::unavailable)?;
    // Dropped after the driver, whose records it sends.
    let _janitor = Janitor::start(config.retention()).map_err(Fault::unavailable)?;
    let streamer = (config.feed())
        .map(|feed| Streamer::start(feed, records.durable.clone()))
        .transpose()
        .map_err(Fault::unavailable)?;
    let shipper = (config.shipping())
        .map(|source| Shipper::start(source, records.durable.clone()))
        .transpose()
        .map_err(Fault::unavailable)?;
    let passwords = Checker::start(move |link, ok| {
        let _ = told.send(Event::PasswordChecked { link, ok });
    })
    .map_err(Fault::unavailable)?;
    let (node_sender, mut node_events) = mpsc::channel(1024);
    let node = match config.node() {
        Some(node) => Some(Node::start(node, node_sender).map_err(Fault::unavailable)?),
        None => None,
    };
    let (asks, mut asked) = mpsc::channel::<(Ask, Answer)>(64);
    let metrics = Metrics::new("smscd");
    let gauges = Gauges::register(&metrics, admin::GAUGE_ROWS);
    let shipping_gauges =
        (shipper.as_ref()).map(|_| Gauges::register(&metrics, accounting::GAUGE_ROWS));
    let stream_gauges = (streamer.as_ref()).map(|_| Gauges::register(&metrics, stream::GAUGE_ROWS));
    let router = admin::router(asks);
    let _serving =
        runtime_admin::serve(&config.admin.socket, config.admin.metrics, router, &metrics)
            .await
            .map_err(Fault::unavailable)?;
    let (sender, mut network) = mpsc::channel(QUEUE);
    let net = Net::new(sender, config.bounds());
    let waiting = recovered.unfinished.len() + recovered.owed.len();
    let mut effects = Vec::new();
    let core = Core::new(Now::read(), settings, recovered, &mut effects);
    let mut driver = Driver {
        core,
        net,
        spool,
        records,
        passwords,
        credit: Credit::new(node, config.parties()),
        upstreams,
        operators: HashMap::new(),
        next_token: 0,
        path,
    };
    driver.carry_out(effects);
    for (addresses, tls) in [(&config.smpp.listen, None), (&config.smpp.listen_tls, tls)] {
        for address in addresses {
            let local = driver.net.listen(*address, tls.clone()).await;
            let local = local.map_err(Fault::unavailable)?;
            tracing::info!(%local, tls = tls.is_some(), "listening");
        }
    }
    let watchdog = notify::watchdog_interval().map_or(GAUGES, |interval| interval.min(GAUGES));
    let mut alive = tokio::time::interval(watchdog);
    notify::ready();
    tracing::info!(messages = waiting, "serving");
    let (mut batch, mut told) = (Vec::with_capacity(TURN), Vec::with_capacity(TURN));
    loop {
        let mut effects = Vec::new();
        let pause = (driver.core.next_deadline(Now::read())).unwrap_or(Duration::from_secs(60));
        tokio::select! {
            _ = network.recv_many(&mut batch, TURN) => driver.events(&mut batch, &mut effects),
            _ = tells.recv_many(&mut told, TURN) => driver.events(&mut told, &mut effects),
            Some(event) = node_events.recv() => {
                driver.node_event(event, &mut effects);
                for _ in 1..TURN {
                    match node_events.try_recv() {
                        Ok(event) => driver.node_event(event, &mut effects),
                        Err(_) => break,
                    }
                }
            }
            Some((ask, answer)) = asked.recv() => driver.ask(ask, answer, &mut effects),
            () = tokio::time::sleep(pause) => {
                driver.core.handle(Now::read(), Event::Tick, &mut effects);
            }
            _ = alive.tick() => {
                notify::alive();
                gauges.set(&driver.core);
                if let (Some(gauges), Some(streamer)) = (&stream_gauges, &streamer) {
                    gauges.set(&streamer.figures());
                }
                if let (Some(gauges), Some(shipper)) = (&shipping_gauges, &shipper) {
                    gauges.set(&shipper.figures());
                }
            }
            request = signals.next() => match request {
                Request::Reload => drop(driver.reload(&mut effects)),
                Request::Stop => break,
            },
        }
        driver.carry_out(effects);
    }
    notify::stopping();
    driver
        .drain(&mut network, &mut tells, &mut node_events)
        .await;
    driver.credit.shutdown().await;
    Ok(())
}

fn event(report: Report) -> Event {
    match report {
        Report::Stored { up_to } => Event::Stored { up_to },
        Report::Failed(failure) => Event::StoreFailed(failure),
        Report::Ready => Event::StoreReady,
        Report::SpaceLow(low) => Event::SpaceLow(low),
    }
}

impl Driver {
    fn events(&mut self, batch: &mut Vec<Event>, effects: &mut Vec<Effect>) {
        let now = Now::read();
        for event in batch.drain(..) {
            self.core.handle(now, event, effects);
        }
    }

    fn node_event(&mut self, event: NodeEvent, effects: &mut Vec<Effect>) {
        if let Some(event) = self.credit.event(event) {
            self.core.handle(Now::read(), event, effects);
        }
    }

    /// Carries effects out in order; what follows from them at once is handled in the same turn.
    fn carry_out(&mut self, mut effects: Vec<Effect>) {
        // It ends: a backlog is told once, and the core leaves alone for a while who could not be asked.
        while !effects.is_empty() {
            let mut follow = Vec::new();
            let mut entries = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Store(entry) => entries.push(entry),
                    Effect::StoreFailureHeard => {
                        self.store(&mut entries);
                        self.spool.failure_heard();
                    }
                    Effect::Send { link, octets } => follow.extend(self.net.send(link, octets)),
                    Effect::Close { link } => self.net.close(link),
                    Effect::Connect {
                        upstream,
                        index,
                        after,
                    } => match self.upstreams.get(&upstream) {
                        Some(destination) => {
                            self.net
                                .connect(upstream, index, destination.clone(), after);
                        }
                        // Gone with a reload; the core forgets it with its last link.
                        None => follow.push(Event::ConnectFailed { upstream, index }),
                    },
                    Effect::CheckPassword {
                        link,
                        hash,
                        password,
                    } => self.passwords.check(link, hash, password),
                    Effect::Record(facts) => self.records.write(&facts),
                    Effect::Credit(order) => follow.extend(self.credit.ask(*order)),
                    Effect::Reply { token, result } => {
                        if let Some(answer) = self.operators.remove(&token) {
                            let _ = answer.send(admin::reply(result));
                        }
                    }
                }
            }
            self.store(&mut entries);
            self.records.flush();
            effects = Vec::new();
            self.events(&mut follow, &mut effects);
        }
    }

    fn store(&mut self, entries: &mut Vec<Entry>) {
        if !entries.is_empty() {
            self.spool.store(std::mem::take(entries));
        }
    }

    fn ask(&mut self, ask: Ask, answer: Answer, effects: &mut Vec<Effect>) {
        match ask {
            Ask::Operate(operation) => {
                self.next_token += 1;
                let token = self.next_token;
                self.operators.insert(token, answer);
                let event = Event::Operator { token, operation };
                self.core.handle(Now::read(), event, effects);
            }
            Ask::Classes => {
                let _ = answer.send(admin::classes(&self.core.settings().tariffs));
            }
            Ask::Reload => {
                let result = self.reload(effects);
                let _ = answer.send(admin::reloaded(result));
            }
        }
    }

    fn reload(&mut self, effects: &mut Vec<Effect>) -> Result<(), String> {
        notify::reloading();
        let result = self.try_reload(effects);
        match &result {
            Ok(()) => tracing::info!(
                "ESMEs, routes, upstreams, tariffs, retries, limits and timers read again; the rest keeps its values until a restart"
            ),
            Err(error) => tracing::error!("{error}; the old configuration stays in force"),
        }
        notify::ready();
        result
    }

    fn try_reload(&mut self, effects: &mut Vec<Effect>) -> Result<(), String> {
        let config = load(&self.path)?;
        let settings = config.settings()?;
        self.upstreams = config.destinations()?;
        self.net.set_bounds(config.bounds());
        let event = Event::Reloaded(Box::new(settings));
        self.core.handle(Now::read(), event, effects);
        Ok(())
    }

    /// Nothing new is read; what was read is stored and answered, and what is under way may still be answered.
    async fn drain(
        &mut self,
        network: &mut mpsc::Receiver<Event>,
        tells: &mut mpsc::UnboundedReceiver<Event>,
        node_events: &mut mpsc::Receiver<NodeEvent>,
    ) {
        self.net.stop_listening();
        let mut effects = Vec::new();
        for link in self.net.links() {
            // No reply: nobody asked.
            let event = Event::Operator {
                token: 0,
                operation: Operation::Disconnect { link: link.0 },
            };
            self.core.handle(Now::read(), event, &mut effects);
        }
        self.carry_out(effects);
        let until = tokio::time::Instant::now() + DRAIN;
        let (mut batch, mut told) = (Vec::new(), Vec::new());
        loop {
            let depth = self.core.depth();
            if self.net.is_empty() && depth.unstored == 0 && depth.records == 0 {
                return;
            }
            let mut effects = Vec::new();
            tokio::select! {
                count = network.recv_many(&mut batch, TURN) => {
                    if count == 0 {
                        return;
                    }
                    self.events(&mut batch, &mut effects);
                }
                _ = tells.recv_many(&mut told, TURN) => self.events(&mut told, &mut effects),
                Some(event) = node_events.recv() => self.node_event(event, &mut effects),
                () = tokio::time::sleep_until(until) => {
                    tracing::warn!("not everything was answered in time; it is found again at the next start");
                    return;
                }
            }
            self.carry_out(effects);
        }
    }
}

fn load(path: &Path) -> Result<Config, String> {
    tollwire_runtime::config::load(path).map_err(|error| error.to_string())
}
