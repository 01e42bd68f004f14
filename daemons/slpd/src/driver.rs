//! The world around the core.
//!
//! ```text
//! datagrams, streams --Arrived--+            +--Answer, Multicast, Datagram, Stream--> sockets
//! rtnetlink ---------Attached---+--> Core ---+--Store--> file
//! admin socket, timer ----------+            +--Reply--> admin socket
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;
use tollwire_runtime::clock::Now;
use tollwire_runtime::daemon::{self, Fault, Started};
use tollwire_runtime::metrics::{Gauges, Metrics, Reading};
use tollwire_runtime::signals::{Request, Signals};
use tollwire_runtime::{admin as runtime_admin, notify};
use tollwire_slp::Function;

use crate::admin::{self, Answer, Ask};
use crate::config::Config;
use crate::core::Core;
use crate::effect::Effect;
use crate::event::{Arrived, ConnectionId, Event};
use crate::net::udp::Datagram;
use crate::net::{Net, NetEvent};
use crate::settings::Settings;
use crate::store::Store;

/// How often gauges are read.
const GAUGES: Duration = Duration::from_secs(5);

/// Runs `slpd`.
pub fn main() -> ExitCode {
    daemon::run(
        "slpd",
        "Tollwire SLP directory agent and service agent (RFC 2608)",
        run,
    )
}

struct Driver {
    core: Core,
    net: Net,
    store: Store,
    operators: HashMap<u64, Answer>,
    next_token: u64,
    path: PathBuf,
}

/// What of the network `/metrics` shows.
struct NetGauges {
    streams: u64,
    refused: u64,
    lost: u64,
}

const NET_ROWS: &[(&str, &str, Reading<NetGauges>)] = &[
    ("connections", "Streams that are open", |net| net.streams),
    (
        "connections_refused",
        "Streams that were closed for the bounds of limits",
        |net| net.refused,
    ),
    (
        "datagrams_lost",
        "Datagrams that the system did not take",
        |net| net.lost,
    ),
];

async fn run(started: Started<Config>) -> Result<(), Fault> {
    let Started {
        configuration: config,
        path,
    } = started;
    let mut signals = Signals::listen().map_err(Fault::unavailable)?;
    let settings = Settings::read(&config).map_err(Fault::configuration)?;
    let now = Now::read();
    let unix_seconds = u32::try_from(now.unix_ms / 1_000).unwrap_or(u32::MAX);
    let (store, kept) = Store::open(&config.store.path, config.store.registrations, unix_seconds)
        .map_err(Fault::unavailable)?;
    let (asks, mut asked) = mpsc::channel::<(Ask, Answer)>(64);
    let metrics = Metrics::new("slpd");
    let gauges = Gauges::register(&metrics, admin::GAUGE_ROWS);
    let net_gauges = Gauges::register(&metrics, NET_ROWS);
    let _serving = runtime_admin::serve(
        &config.admin.socket,
        config.admin.metrics,
        admin::router(asks),
        &metrics,
    )
    .await
    .map_err(Fault::unavailable)?;
    let mut net = Net::open(config.wanted()).map_err(Fault::unavailable)?;
    let attachments = net.attach().map_err(Fault::unavailable)?;
    let mut effects = Vec::new();
    let seed = seed().map_err(Fault::failure)?;
    let core = Core::new(
        now,
        settings,
        kept.boot_timestamp,
        &kept.snapshots,
        seed,
        &mut effects,
    );
    let mut driver = Driver {
        core,
        net,
        store,
        operators: HashMap::new(),
        next_token: 0,
        path,
    };
    tracing::info!(
        registrations = driver.core.registry().len(),
        addresses = attachments.len(),
        boot_timestamp = kept.boot_timestamp,
        "serving"
    );
    driver.handle(Event::Attached(attachments), &mut effects);
    driver.carry_out(effects);
    notify::ready();
    let mut alive =
        tokio::time::interval(notify::watchdog_interval().unwrap_or(GAUGES).min(GAUGES));
    loop {
        let mut effects = Vec::new();
        let mut answered = None;
        let deadline = driver.core.next_deadline();
        tokio::select! {
            event = driver.net.next() => {
                answered = driver.net_event(event, &mut effects);
            }
            () = until(deadline) => driver.handle(Event::Tick, &mut effects),
            Some((ask, answer)) = asked.recv() => driver.ask(ask, answer, &mut effects),
            _ = alive.tick() => {
                notify::alive();
                gauges.set(&driver.core);
                net_gauges.set(&NetGauges {
                    streams: driver.net.streams() as u64,
                    refused: driver.net.refused(),
                    lost: driver.net.lost(),
                });
            }
            request = signals.next() => match request {
                Request::Reload => drop(driver.reload(&mut effects)),
                Request::Stop => break,
            },
        }
        driver.carry_out(effects);
        if let Some(connection) = answered {
            driver.net.handled(connection);
        }
    }
    notify::stopping();
    let mut effects = Vec::new();
    driver.handle(Event::Stop, &mut effects);
    driver.carry_out(effects);
    Ok(())
}

async fn until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn seed() -> Result<u64, getrandom::Error> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets)?;
    Ok(u64::from_ne_bytes(octets))
}

impl Driver {
    fn handle(&mut self, event: Event, effects: &mut Vec<Effect>) {
        self.core.handle(Now::read(), event, effects);
    }

    /// The stream that waits until its messages are handled, if they are of one.
    fn net_event(&mut self, event: NetEvent, effects: &mut Vec<Effect>) -> Option<ConnectionId> {
        match event {
            NetEvent::Arrived(arrived) => self.arrived(arrived, effects),
            NetEvent::Stream(connection, arrived) => {
                self.arrived(arrived, effects);
                return Some(connection);
            }
            NetEvent::Disconnected(connection) => {
                self.handle(Event::Disconnected { connection }, effects);
            }
            NetEvent::Attached(attachments) => {
                tracing::info!(
                    addresses = attachments.len(),
                    "the addresses of this host have changed"
                );
                self.handle(Event::Attached(attachments), effects);
            }
        }
        None
    }

    fn arrived(&mut self, arrived: Vec<Arrived>, effects: &mut Vec<Effect>) {
        let now = Now::read();
        for message in arrived {
            self.core.handle(now, Event::Arrived(message), effects);
        }
    }

    /// Carries effects out: what is to be kept is on disk before anything is sent.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut changes = Vec::new();
        let mut others = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::Store(more) => changes.extend(more),
                other => others.push(other),
            }
        }
        let kept = self.store.keep(&changes);
        if let Err(error) = &kept {
            tracing::error!(%error, "registrations cannot be kept, and are not acknowledged");
        }
        let mut datagrams: Vec<Datagram> = Vec::with_capacity(others.len());
        for effect in others {
            match effect {
                // Nothing is acknowledged that is not stored: whoever asked asks again.
                Effect::Answer { octets, .. }
                    if kept.is_err() && octets.get(1) == Some(&(Function::SrvAck as u8)) => {}
                Effect::Answer { channel, octets } => match channel {
                    crate::event::Channel::Tcp { connection, .. }
                    | crate::event::Channel::Local { connection }
                    | crate::event::Channel::Outgoing { connection, .. } => {
                        self.net.send_stream(connection, octets);
                    }
                    channel => datagrams.extend(self.net.reply(&channel, octets)),
                },
                Effect::Multicast {
                    group,
                    ipv6_scopes,
                    from,
                    octets,
                } => datagrams.extend(self.net.multicast(&group, &ipv6_scopes, from, &octets)),
                Effect::Join(hashes) => self.net.set_hashes(hashes),
                Effect::Datagram { remote, octets } => datagrams.push(Datagram {
                    octets,
                    remote,
                    source: None,
                    interface: 0,
                }),
                Effect::Stream {
                    connection,
                    remote,
                    octets,
                } => self.net.connect(connection, remote, octets),
                Effect::Close { connection } => self.net.close(connection),
                // Taken out above.
                Effect::Store(_) => {}
                Effect::Reply { token, reply } => {
                    if let Some(answer) = self.operators.remove(&token) {
                        let _ = answer.send(admin::reply(reply));
                    }
                }
            }
        }
        self.net.send(datagrams);
    }

    fn ask(&mut self, ask: Ask, answer: Answer, effects: &mut Vec<Effect>) {
        match ask {
            Ask::Operate(operation) => {
                self.next_token += 1;
                let token = self.next_token;
                self.operators.insert(token, answer);
                self.handle(Event::Operator { token, operation }, effects);
            }
            Ask::Reload => {
                let result = self.reload(effects);
                let _ = answer.send(
                    result
                        .map(|()| serde_json::json!({ "status": "ok" }))
                        .map_err(runtime_admin::Problem::bad_request),
                );
            }
        }
    }

    fn reload(&mut self, effects: &mut Vec<Effect>) -> Result<(), String> {
        notify::reloading();
        let settings = load(&self.path).and_then(|config| Settings::read(&config));
        let result = settings.map(|settings| {
            self.handle(Event::Reloaded(Box::new(settings)), effects);
        });
        match &result {
            Ok(()) => tracing::info!(
                "scopes, attributes, services, templates, keys, registrations, limits and timers read again; the rest keeps its values until a restart"
            ),
            Err(error) => tracing::error!("{error}; the old configuration stays in force"),
        }
        notify::ready();
        result
    }
}

fn load(path: &Path) -> Result<Config, String> {
    tollwire_runtime::config::load(path).map_err(|error| error.to_string())
}
