//! The world around the core.
//!
//! ```text
//! Diameter node --AAR, STR--+          +--> Table --> netlink thread --Done--+
//! netlink thread --Done-----+--> Core --+--> Answer, Report --> Diameter node |
//! deadline, admin socket ---+   ^                                             |
//!                               +---------------------------------------------+
//! ```

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tollwire_diameter::rx::{AaRequest, RxReAuthAnswer, RxSessionTerminationRequest};
use tollwire_diameter::{Message, ResultCode, dictionary::command};
use tollwire_runtime::clock::Now;
use tollwire_runtime::daemon::{self, Fault, Started};
use tollwire_runtime::diameter::{Node, NodeEvent, NodeHandle, ReplyTo};
use tollwire_runtime::metrics::{Gauges, Metrics, Reading};
use tollwire_runtime::signals::{Request, Signals};
use tollwire_runtime::{admin as runtime_admin, notify};

use crate::admin::{self, pinholes};
use crate::answer;
use crate::config::{Config, OnStart};
use crate::core::Core;
use crate::effect::{Answer, Effect};
use crate::event::Event;
use crate::kernel::Kernel;
use crate::nftables::{Done, Table};

/// Requests that may wait for the core.
const QUEUE: usize = 4096;
/// Requests handled in one turn at the most.
const TURN: usize = 256;
/// How often the gauges are read.
const GAUGES: Duration = Duration::from_secs(5);

/// Longest wait for answers at the end.
const DRAIN: Duration = Duration::from_secs(2);

/// Runs `pinholed`.
pub fn main() -> ExitCode {
    daemon::run_paced(
        "pinholed",
        "Tollwire media gate: Diameter Rx into nf_tables",
        run,
    )
}

enum Asked {
    /// With its Session-Id and Session-Timeout.
    Authorise(ReplyTo, Message, String, Option<u32>),
    Terminate(ReplyTo, Message, String),
}

struct Driver {
    core: Core,
    node: NodeHandle,
    kernel: Kernel,
    token: u64,
    asked: HashMap<u64, Asked>,
    reported: HashMap<u64, String>,
}

async fn run(started: Started<Config>) -> Result<(), Fault> {
    let config = started.configuration;
    let mut signals = Signals::listen().map_err(Fault::unavailable)?;
    let adopt = config.table.on_start == OnStart::Adopt;
    let (table, adopted) = Table::open(&config.table_settings(), adopt).map_err(table_fault)?;
    let (done, mut outcomes) = mpsc::unbounded_channel::<Vec<(u64, Done)>>();
    let kernel = Kernel::start(table, move |outcome| drop(done.send(outcome)))
        .map_err(Fault::unavailable)?;
    let mut core = Core::new(config.settings());
    if adopt {
        tracing::info!(
            table = config.table.name,
            flows = adopted.flows.len(),
            "the table stands; taken over what was in it"
        );
    }
    let mut first = Vec::new();
    core.handle(Now::read(), Event::Adopted(adopted), &mut first);
    let (events, mut node_events) = mpsc::channel(QUEUE);
    let node = Node::start(config.node(), events).map_err(Fault::unavailable)?;
    let (asks, mut asked) = mpsc::channel(16);
    let metrics = Metrics::new("pinholed");
    let gauges = Gauges::register(&metrics, GAUGE_ROWS);
    let router = admin::router(asks);
    let _serving =
        runtime_admin::serve(&config.admin.socket, config.admin.metrics, router, &metrics)
            .await
            .map_err(Fault::unavailable)?;
    let mut driver = Driver {
        core,
        node,
        kernel,
        token: 0,
        asked: HashMap::new(),
        reported: HashMap::new(),
    };
    let mut alive = tokio::time::interval(
        notify::watchdog_interval().map_or(GAUGES, |interval| interval.min(GAUGES)),
    );
    driver.carry_out(first);
    notify::ready();
    tracing::info!(listen = ?config.diameter.listen, "serving");
    loop {
        let mut effects = Vec::new();
        let deadline = (driver.core.next_deadline())
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
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
            Some(batch) = outcomes.recv() => {
                for (ticket, result) in batch {
                    driver.core.handle(Now::read(), Event::Done { ticket, result }, &mut effects);
                }
            }
            Some(sender) = asked.recv() => drop(sender.send(pinholes(&driver.core, Instant::now()))),
            () = tokio::time::sleep_until(deadline.into()) => {
                driver.core.handle(Now::read(), Event::Tick, &mut effects);
            }
            _ = alive.tick() => {
                notify::alive();
                gauges.set(&driver.core);
            }
            request = signals.next() => match request {
                Request::Reload => {
                    notify::reloading();
                    tracing::info!("nothing can be changed without a restart, which calls survive");
                    notify::ready();
                }
                Request::Stop => break,
            },
        }
        driver.carry_out(effects);
    }
    notify::stopping();
    driver.drain(&mut outcomes).await;
    // Gates stay, and shut when their time is over: calls go on through a restart.
    driver.node.shutdown().await;
    Ok(())
}

fn table_fault(error: io::Error) -> Fault {
    if error.kind() == io::ErrorKind::PermissionDenied {
        Fault::unavailable(
            "nf_tables refuses: pinholed needs CAP_NET_ADMIN (the systemd unit gives it that alone)",
        )
    } else {
        Fault::unavailable(format!("nf_tables: {error}"))
    }
}

impl Driver {
    fn node_event(&mut self, event: NodeEvent, effects: &mut Vec<Effect>) {
        match event {
            NodeEvent::Request {
                reply_to, message, ..
            } => self.request(reply_to, message, effects),
            NodeEvent::Answer { token, message } => {
                let session = self.reported.remove(&token);
                let unknown = RxReAuthAnswer::decode(&message)
                    .is_ok_and(|answer| answer.result_code == Some(ResultCode::UNKNOWN_SESSION_ID))
                    || message.result_code() == Some(ResultCode::UNKNOWN_SESSION_ID);
                if let Some(session) = session
                    && unknown
                {
                    self.core
                        .handle(Now::read(), Event::Disowned(session), effects);
                }
            }
            NodeEvent::Failed { token, why } => {
                if let Some(session) = self.reported.remove(&token) {
                    tracing::warn!(
                        session,
                        ?why,
                        "the client did not hear a report; the gate ends with its time"
                    );
                    self.core
                        .handle(Now::read(), Event::Unheard(session), effects);
                }
            }
            NodeEvent::PeerOpen { .. } | NodeEvent::PeerClosed { .. } => {}
        }
    }

    /// Answers what the kernel is at, and nothing new.
    async fn drain(&mut self, outcomes: &mut mpsc::UnboundedReceiver<Vec<(u64, Done)>>) {
        let deadline = Instant::now() + DRAIN;
        while !self.asked.is_empty() {
            let Ok(Some(batch)) = tokio::time::timeout_at(deadline.into(), outcomes.recv()).await
            else {
                return;
            };
            let mut effects = Vec::new();
            for (ticket, result) in batch {
                self.core
                    .handle(Now::read(), Event::Done { ticket, result }, &mut effects);
            }
            self.carry_out(effects);
        }
    }

    fn request(&mut self, reply_to: ReplyTo, message: Message, effects: &mut Vec<Effect>) {
        self.token += 1;
        let token = self.token;
        let decoded = match message.command_code {
            command::AA => AaRequest::decode(&message).map(|request| {
                let known = (request.session_id.clone(), request.session_timeout);
                let request = Box::new(request);
                (Some(known.1), known.0, Event::Authorise { token, request })
            }),
            command::SESSION_TERMINATION => {
                RxSessionTerminationRequest::decode(&message).map(|request| {
                    let session = request.session_id.clone();
                    let request = Box::new(request);
                    (None, session, Event::Terminate { token, request })
                })
            }
            _ => {
                let code = ResultCode::COMMAND_UNSUPPORTED;
                let refusal = message.refuse(self.node.identity(), code, None, None);
                self.node.answer(reply_to, &refusal);
                return;
            }
        };
        match decoded {
            Ok((authorise, session, event)) => {
                let asked = match authorise {
                    Some(timeout) => Asked::Authorise(reply_to, message, session, timeout),
                    None => Asked::Terminate(reply_to, message, session),
                };
                self.asked.insert(token, asked);
                self.core.handle(Now::read(), event, effects);
            }
            Err(error) => {
                let refusal = message.refuse_undecodable(self.node.identity(), &error);
                self.node.answer(reply_to, &refusal);
            }
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Table { ticket, job } => self.kernel.submit(ticket, job),
                Effect::Answer { token, answer } => self.answer(token, &answer),
                Effect::Report {
                    session_id,
                    origin_host,
                    origin_realm,
                    action,
                    last_packet_unix_ms,
                    report,
                } => {
                    let Some(peer) = self.node.find(&origin_host) else {
                        self.unheard(session_id);
                        continue;
                    };
                    self.token += 1;
                    let request = answer::report(
                        self.node.identity(),
                        session_id.clone(),
                        origin_host,
                        origin_realm,
                        action,
                        last_packet_unix_ms,
                        report,
                    );
                    if self.node.send_request(&peer, self.token, request).is_ok() {
                        self.reported.insert(self.token, session_id);
                    } else {
                        self.unheard(session_id);
                    }
                }
            }
        }
    }

    fn unheard(&mut self, session: String) {
        // Makes no effects: it only puts off the next report.
        self.core
            .handle(Now::read(), Event::Unheard(session), &mut Vec::new());
    }

    fn answer(&mut self, token: u64, answer: &Answer) {
        let identity = self.node.identity();
        if let Answer::Refused { code, message } = answer {
            tracing::info!(?code, message, "refused");
        }
        let (reply_to, message) = match self.asked.remove(&token) {
            Some(Asked::Authorise(reply_to, message, session_id, timeout)) => (
                reply_to,
                answer::authorise(identity, &message, &session_id, timeout, answer),
            ),
            Some(Asked::Terminate(reply_to, message, session_id)) => (
                reply_to,
                answer::terminate(identity, &message, &session_id, answer),
            ),
            None => return,
        };
        self.node.answer(reply_to, &message);
    }
}

/// What `/metrics` shows.
const GAUGE_ROWS: &[(&str, &str, Reading<Core>)] = &[
    ("authorised", "AA-Requests received", |core| {
        core.counters().authorised
    }),
    ("refused", "Requests refused", |core| {
        core.counters().refused
    }),
    ("terminated", "Sessions ended by their client", |core| {
        core.counters().terminated
    }),
    ("bearers_lost", "Sessions whose media fell silent", |core| {
        core.counters().losses
    }),
    (
        "spent",
        "Sessions whose time or octets were spent",
        |core| core.counters().spent,
    ),
    ("sessions", "Sessions known", |core| {
        core.sessions().count() as u64
    }),
    ("flows_open", "Flows that may pass", |core| {
        core.sessions()
            .filter(|session| !session.spent)
            .map(|session| session.flows.iter().filter(|flow| flow.open).count() as u64)
            .sum()
    }),
];
