//! The world around the core.
//!
//! ```text
//! Diameter node --CCR--+                        +--> After::Answer  --> node
//! admin socket ---ask--+--> Core --> Group --> store thread --commit--> After::Reply --> admin socket
//! deadline, SIGHUP ----+                        |                      After::Abort  --> node
//!                                               |                      After::Tell   --> notify thread --> customers
//! Diameter node --ACR------> Recorder --> accounting's thread --commit--> answer --> node
//!                                               +--> records thread --> files --> Shipper --ACR--> accounting storage
//! ```
//!
//! Everything that waits is handled in one turn, and goes to the store as one group.

mod peers;
mod requests;
mod waiting;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use axum::Extension;
use tokio::sync::{mpsc, oneshot, watch};
use tollwire_diameter::credit_control::{CcSessionFailover, CreditControlRequest};
use tollwire_diameter::{Avp, Message, dictionary};
use tollwire_runtime::accounting::stream::{self, Streamer};
use tollwire_runtime::accounting::{self as shipping, Janitor, Shipper};
use tollwire_runtime::clock::Now;
use tollwire_runtime::daemon::{self, Fault, Started};
use tollwire_runtime::diameter::{Node, NodeEvent, NodeHandle, ReplyTo};
use tollwire_runtime::metrics::{Gauges, Metrics};
use tollwire_runtime::records::RecordWriter;
use tollwire_runtime::signals::{Request, Signals};
use tollwire_runtime::{admin as runtime_admin, notify};

use crate::accounting::{self, Recorder};
use crate::admin::{self, Ask, Routes};
use crate::answer;
use crate::api;
use crate::ask;
use crate::audit;
use crate::caller;
use crate::config::Config;
use crate::core::{Core, State};
use crate::effect::{Effect, Mutation, Refusal, Reply};
use crate::elsewhere;
use crate::event::Event;
use crate::gauges;
use crate::invoice::{self, Closer, Keep};
use crate::notify::{Handle, Service, Write};
use crate::outbox::{self, Outbox};
use crate::part::Overview;
use crate::peer::manager::Manager;
use crate::role::Role;
use crate::session::Outcome;
use crate::store::{Group, Notice, Opened, Store};
use peers::Peers;
use requests::Placed;
use waiting::Waiting;

/// Requests that may wait for the core.
const QUEUE: usize = 4096;
/// Requests handled in one turn at the most.
const TURN: usize = 1024;
/// How often the gauges are read.
const GAUGES: Duration = Duration::from_secs(5);

/// Runs `chargingd`.
pub fn main() -> ExitCode {
    daemon::run_paced(
        "chargingd",
        "Tollwire charging: accounts, rating, ledger, Diameter Ro",
        run,
    )
}

struct Asked {
    reply_to: ReplyTo,
    message: Message,
    request: CreditControlRequest,
}

struct Driver {
    config: Config,
    core: Core,
    epoch: u64,
    role: watch::Sender<Role>,
    /// Whether another instance may go on with a session (CC-Session-Failover).
    failover: bool,
    node: NodeHandle,
    store: Store<Waiting>,
    /// Keeps accounting records, if that is wanted.
    recorder: Option<Recorder>,
    token: u64,
    asked: HashMap<u64, Asked>,
    operators: HashMap<u64, oneshot::Sender<Result<Reply, Refusal>>>,
    /// The accounting manager's requests.
    charges: HashMap<u64, oneshot::Sender<Outcome>>,
    /// The way to it, if there is one.
    peers: Option<Peers>,
    tell: Handle,
    closer: Closer,
    /// Of the other parts, if there are others.
    overview: Option<Overview>,
    /// Requests whose place it has found.
    places: mpsc::UnboundedSender<Placed>,
}

async fn run(started: Started<Config>) -> Result<(), Fault> {
    let Started {
        configuration: config,
        path,
    } = started;
    let mut signals = Signals::listen().map_err(Fault::unavailable)?;
    let rules = config.rules().map_err(Fault::configuration)?;
    let writer = RecordWriter::open(config.record_settings(), Now::read().unix_ms)
        .map_err(Fault::unavailable)?;
    let durable = writer.durable();
    let (records, queue) = outbox::queue();
    let (notices, mut notice) = mpsc::unbounded_channel();
    let place = config.place();
    place.check().map_err(Fault::configuration)?;
    let overview = (place.server().map(Overview::start).transpose())
        .map_err(Fault::unavailable)?
        .flatten();
    // No more than the overview lets wait.
    let (places, mut placed) = mpsc::unbounded_channel();
    let accounting_place = config.accounting_place();
    accounting_place.check().map_err(Fault::configuration)?;
    let Opened {
        store,
        notice: first,
    } = Store::open(
        &place,
        move |batch| drop(records.send(batch)),
        move |notice| drop(notices.send(notice)),
    )
    .map_err(|error| match error.is_of_configuration() {
        true => Fault::configuration(error),
        false => Fault::unavailable(error),
    })?;
    let written = store.written();
    // Declared before the driver and so dropped after it: the store's thread ends first, and with it the queue.
    let _outbox = Outbox::start(writer, queue, {
        let written = std::sync::Mutex::new(written);
        move |number| {
            if let Ok(written) = written.lock()
                && let Some(written) = &*written
            {
                written.up_to(number);
            }
        }
    })
    .map_err(Fault::unavailable)?;
    let recorder = Recorder::start(&config.accounting_storage, &accounting_place)
        .map_err(Fault::unavailable)?;
    let (events, mut node_events) = mpsc::channel(QUEUE);
    let node = Node::start(config.node(), events).map_err(Fault::unavailable)?;
    // Behind the node: the storage that records go to may be this very daemon.
    let _janitor = Janitor::start(config.retention()).map_err(Fault::unavailable)?;
    let streamer = (config.feed())
        .map(|feed| Streamer::start(feed, durable.clone()))
        .transpose()
        .map_err(Fault::unavailable)?;
    let shipper = (config.shipping())
        .map(|source| Shipper::start(source, durable))
        .transpose()
        .map_err(Fault::unavailable)?;
    let (asks, mut asked) = mpsc::channel(QUEUE);
    let metrics = Metrics::new("chargingd");
    let gauges = Gauges::register(&metrics, gauges::GAUGE_ROWS);
    let accounting_gauges =
        (recorder.as_ref()).map(|_| Gauges::register(&metrics, accounting::GAUGE_ROWS));
    let role_gauges = Gauges::register(&metrics, gauges::ROLE_ROWS);
    let (role, its_role) = watch::channel(Role::default());
    let (writes, mut told) = mpsc::unbounded_channel();
    let telling = Service::start(
        config.notifications.clone(),
        place.clone(),
        its_role.clone(),
        writes,
        &metrics,
    )
    .map_err(Fault::configuration)?;
    let shipping_gauges =
        (shipper.as_ref()).map(|_| Gauges::register(&metrics, shipping::GAUGE_ROWS));
    let stream_gauges = (streamer.as_ref()).map(|_| Gauges::register(&metrics, stream::GAUGE_ROWS));
    // One at a time: a closing waits for each part of it.
    let (keeps, mut kept) = mpsc::channel(1);
    let closer = Closer::new(
        place.clone(),
        config.invoices.clone(),
        keeps.clone(),
        its_role.clone(),
    )
    .map_err(|(key, what)| Fault::configuration(format!("invoices.{key}: {what}")))?;
    let closing = tokio::spawn(closer.clone().close_when_due());
    let (charge, mut charges) = mpsc::channel(QUEUE);
    let manager = (config.peers_setup(charge))
        .map(Manager::start)
        .transpose()
        .map_err(Fault::unavailable)?;
    let peers_gauges = (manager.as_ref()).map(|_| peers::Shown::register(&metrics));
    let routes = Routes {
        asks,
        tell: telling.handle(),
        store: place.clone(),
        records: config.records.directory.clone(),
        role: its_role,
        overview: overview.clone(),
    };
    let routes = admin::router(routes)
        .merge(accounting::router(
            &config.accounting_storage,
            &accounting_place,
        ))
        .merge(invoice::router(closer.clone()))
        .merge(Manager::routes(manager.as_ref()).layer(Extension(audit::Log::new(keeps))));
    let routes = match &overview {
        Some(overview) => routes.layer(axum::middleware::from_fn_with_state(
            overview.clone(),
            elsewhere::refuse,
        )),
        None => routes,
    };
    let api = api::Server::start(&config.api, routes.clone())
        .await
        .map_err(Fault::unavailable)?;
    let router = routes.layer(axum::middleware::from_fn(caller::of_socket));
    let _serving =
        runtime_admin::serve(&config.admin.socket, config.admin.metrics, router, &metrics)
            .await
            .map_err(Fault::unavailable)?;
    let mut driver = Driver {
        core: Core::new(config.settings(), rules, State::default()),
        epoch: 0,
        role,
        failover: place.is_shared(),
        node,
        store,
        recorder,
        token: 0,
        asked: HashMap::new(),
        operators: HashMap::new(),
        charges: HashMap::new(),
        peers: manager
            .as_ref()
            .and_then(|manager| Peers::of(&config, manager)),
        tell: telling.handle(),
        closer,
        overview,
        places,
        config,
    };
    driver.heed(first);
    let watchdog = notify::watchdog_interval().map_or(GAUGES, |interval| interval.min(GAUGES));
    let mut alive = tokio::time::interval(watchdog);
    notify::ready();
    tracing::info!(listen = ?driver.config.diameter.listen, "serving");
    loop {
        let mut effects = Vec::new();
        let pause = driver.until_deadline();
        tokio::select! {
            Some(event) = node_events.recv() => {
                driver.node_event(event, &mut effects);
                for _ in 1..TURN {
                    match node_events.try_recv() {
                        Ok(event) => driver.node_event(event, &mut effects),
                        Err(_) => break,
                    }
                }
            }
            Some(first) = placed.recv() => {
                driver.placed(first, &mut effects);
                for _ in 1..TURN {
                    match placed.try_recv() {
                        Ok(next) => driver.placed(next, &mut effects),
                        Err(_) => break,
                    }
                }
            }
            Some(ask) = asked.recv() => driver.ask(ask, &mut effects),
            Some(first) = charges.recv() => driver.charge_all(first, &mut charges, &mut effects),
            Some(notice) = notice.recv() => driver.heed(notice),
            Some(writes) = told.recv() => driver.store_told(writes),
            Some(keep) = kept.recv() => driver.keep(keep),
            () = tokio::time::sleep(pause) => driver.tick(&mut effects),
            _ = alive.tick() => {
                notify::alive();
                gauges.set(&driver.core);
                if let (Some(gauges), Some(recorder)) = (&accounting_gauges, &driver.recorder) {
                    gauges.set(&recorder.figures());
                }
                if let (Some(gauges), Some(streamer)) = (&stream_gauges, &streamer) {
                    gauges.set(&streamer.figures());
                }
                if let (Some(gauges), Some(shipper)) = (&shipping_gauges, &shipper) {
                    gauges.set(&shipper.figures());
                }
                if let (Some(gauges), Some(manager)) = (&peers_gauges, &manager) {
                    gauges.set(manager);
                }
                role_gauges.set(&driver.role.borrow());
            }
            request = signals.next() => match request {
                Request::Reload => driver.reload(&path, api.as_ref()),
                Request::Stop => break,
            },
        }
        driver.carry_out(effects);
    }
    notify::stopping();
    drop(charges);
    driver.end_peers(manager).await;
    // A closing that runs is left undone: none of it counts.
    closing.abort();
    drop(kept);
    // What was told before now is stored as told.
    drop(telling);
    while let Ok(writes) = told.try_recv() {
        driver.store_told(writes);
    }
    driver.node.shutdown().await;
    // What the peers sent before they were told: answered with a commit, if not to them.
    let mut effects = Vec::new();
    while let Ok(event) = node_events.try_recv() {
        driver.node_event(event, &mut effects);
    }
    driver.carry_out(effects);
    Ok(())
}

impl Driver {
    fn until_deadline(&self) -> Duration {
        if !self.is_active() {
            return Duration::from_secs(60);
        }
        let milliseconds = self
            .core
            .next_deadline_unix_ms()
            .map_or(60_000, |deadline| deadline - Now::read().unix_ms);
        // Looked at now and then all the same: the wall clock may be set.
        Duration::from_millis(milliseconds.clamp(1, 60_000).unsigned_abs())
    }

    fn next_token(&mut self) -> u64 {
        self.token += 1;
        self.token
    }

    fn node_event(&mut self, event: NodeEvent, effects: &mut Vec<Effect>) {
        match event {
            NodeEvent::Request {
                reply_to, message, ..
            } => self.request(reply_to, message, effects),
            NodeEvent::PeerOpen {
                peer, origin_host, ..
            } => tracing::info!(%peer, origin_host, "a Diameter peer is open"),
            NodeEvent::PeerClosed { peer } => tracing::info!(%peer, "a Diameter peer is closed"),
            // Of an ASR: what matters is the CCR-Terminate, and that Tcc covers its absence.
            NodeEvent::Answer { .. } | NodeEvent::Failed { .. } => {}
        }
    }

    fn ask(&mut self, ask: Ask, effects: &mut Vec<Effect>) {
        match ask {
            Ask::Look(look, sender) => {
                let elsewhere = self.role.borrow().refuse_operator();
                let found = elsewhere.map_or_else(|| look(&self.core), Err);
                let _ = sender.send(found);
            }
            Ask::Change {
                who,
                operation,
                reply: sender,
            } => {
                let elsewhere = self.role.borrow().refuse_operator();
                if let Some(refusal) = elsewhere {
                    return drop(sender.send(Err(refusal)));
                }
                let token = self.next_token();
                self.operators.insert(token, sender);
                let now = Now::read();
                let description = audit::Description::of(&operation);
                let event = Event::Operator { token, operation };
                self.core.handle(now, event, effects);
                let result = effects.iter().find_map(|effect| match effect {
                    Effect::Reply { token: of, result } if *of == token => Some(result),
                    _ => None,
                });
                if let Some(result) = result {
                    let entry = description.outcome(now.unix_ms, &who, result);
                    effects.push(Effect::Store(Mutation::Audit(Box::new(entry))));
                }
            }
        }
    }

    fn is_active(&self) -> bool {
        *self.role.borrow() == Role::Active
    }

    fn tick(&mut self, effects: &mut Vec<Effect>) {
        if self.is_active() {
            self.core.handle(Now::read(), Event::Tick, effects);
        }
    }

    /// Memory follows the disk: it begins again when this instance does, and is another's while that one works.
    fn heed(&mut self, notice: Notice) {
        let state = match notice {
            Notice::Active { epoch, state } => {
                self.epoch = epoch;
                self.role.send_replace(Role::Active);
                *state
            }
            Notice::Standby { active } => {
                tracing::info!(
                    active = active.as_deref().unwrap_or("unknown"),
                    "another instance works on this database: standing by"
                );
                self.role.send_replace(Role::Standby { active });
                State::default()
            }
            Notice::Away => {
                self.role.send_replace(Role::Away);
                State::default()
            }
        };
        let rules = self.core.rules();
        self.core = Core::new(self.config.settings(), rules, state);
        if self.is_active() {
            tracing::info!(
                accounts = self.core.accounts().count(),
                "this instance works"
            );
        }
    }

    /// What the thread that tells customers wants stored goes to disk with the charges that wait for it anyway.
    fn store_told(&self, writes: Vec<Write>) {
        let mut group = Group {
            epoch: self.epoch,
            mutations: Vec::new(),
            after: Vec::new(),
        };
        for (key, mutation) in writes {
            group.mutations.push(mutation);
            group.after.push(Waiting::Told(self.tell.clone(), key));
        }
        self.store.submit(group);
    }

    fn keep(&self, keep: Keep) {
        self.store.submit(Group {
            epoch: self.epoch,
            mutations: keep.mutations,
            after: vec![Waiting::Kept(keep.done)],
        });
    }

    fn reload(&mut self, path: &std::path::Path, api: Option<&api::Server>) {
        notify::reloading();
        let loaded = tollwire_runtime::config::load::<Config>(path)
            .map_err(|error| error.to_string())
            .and_then(|config| Ok((config.rules()?, config)));
        match loaded {
            Ok((rules, config)) => {
                self.core
                    .handle(Now::read(), Event::Rules(Box::new(rules)), &mut Vec::new());
                self.core.set_settings(config.settings());
                if let Some(Err(error)) = api.map(|api| api.reload(&config.api)) {
                    tracing::error!("{error}; the API keeps its tokens and certificates");
                }
                self.closer.configure(config.invoices.clone());
                if let Some(peers) = &self.peers {
                    peers.reload(&config);
                }
                self.config = config;
                tracing::info!(
                    "tariffs, classes and grants read again; sockets and paths keep theirs until a restart"
                );
            }
            Err(error) => tracing::error!("{error}; the old configuration stays in force"),
        }
        notify::ready();
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        if effects.is_empty() {
            return;
        }
        let mut group = Group {
            epoch: self.epoch,
            mutations: Vec::new(),
            after: Vec::new(),
        };
        for effect in effects {
            match effect {
                Effect::Store(mutation) => {
                    if let Mutation::Notification(notification) = &mutation {
                        let notification = notification.clone();
                        (group.after).push(Waiting::Tell(self.tell.clone(), notification));
                    }
                    group.mutations.push(mutation);
                }
                Effect::Answer { token, outcome } => {
                    group.after.extend(self.answer(token, &outcome));
                }
                Effect::Reply { token, result } => {
                    if let Some(sender) = self.operators.remove(&token) {
                        group.after.push(Waiting::Reply { sender, result });
                    }
                }
                Effect::Abort {
                    session_id,
                    origin_host,
                    origin_realm,
                } => group.after.extend(self.ask_client(
                    &session_id,
                    (&origin_host, &origin_realm),
                    ask::What::Abort,
                )),
                Effect::ReAuthorize {
                    session_id,
                    origin_host,
                    origin_realm,
                    pool,
                    rating_group,
                    service_identifiers,
                } => group.after.extend(self.ask_client(
                    &session_id,
                    (&origin_host, &origin_realm),
                    ask::What::ReAuthorize {
                        pool,
                        rating_group,
                        service_identifiers: &service_identifiers,
                    },
                )),
            }
        }
        self.store.submit(group);
    }

    fn answer(&mut self, token: u64, outcome: &Outcome) -> Option<Waiting> {
        if let Some(answer) = self.charges.remove(&token) {
            return Some(Waiting::Charged(answer, outcome.clone()));
        }
        let asked = self.asked.remove(&token)?;
        let mut answer = answer::credit_control(
            self.node.identity(),
            &asked.message,
            &asked.request,
            outcome,
        );
        if self.failover && !answer.is_error() {
            let supported = CcSessionFailover::FailoverSupported;
            let avp = Avp::new(&dictionary::CC_SESSION_FAILOVER, &supported);
            answer.avps.push(avp);
        }
        Some(Waiting::Answer {
            node: self.node.clone(),
            reply_to: asked.reply_to,
            request: asked.message,
            answer,
        })
    }

    /// A request of ours to the client of a session, if it is connected.
    fn ask_client(
        &self,
        session_id: &str,
        to: (&str, &str),
        what: ask::What<'_>,
    ) -> Option<Waiting> {
        if let Some(manager) = self.peers.as_ref().filter(|peers| peers.is(to.0)) {
            return Some(manager.tell(session_id, &what));
        }
        Some(Waiting::Ask {
            node: self.node.clone(),
            peer: self.node.find(to.0)?,
            request: ask::request(self.node.identity(), session_id, to, what),
        })
    }
}
