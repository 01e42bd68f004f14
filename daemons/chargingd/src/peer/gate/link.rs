//! The world around [`Gates`]: a Diameter node that speaks Rx to limiters, in a task of its own.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tollwire_diameter::peer::Backoff;
use tollwire_diameter::rx::RxReAuthRequest;
use tollwire_diameter::{Message, ResultCode, dictionary};
use tollwire_runtime::clock::Now;
use tollwire_runtime::diameter::{
    Address, Node, NodeConfig, NodeEvent, NodeHandle, PeerConfig, PeerId, ReplyTo, TlsFiles,
};
use tollwire_runtime::metrics::Reading;

use super::core::{Effect, Event, Figures, Gates, Report};
use super::{Answer, Ask, Order, Outcome, Request, Told, rx};

/// Asks and events that may wait.
const QUEUE: usize = 4096;
/// A user waits for it.
const ANSWER: Duration = Duration::from_secs(3);
/// Nothing is due sooner than this when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// Rows for [`tollwire_runtime::metrics::Gauges`].
pub const GAUGE_ROWS: &[(&str, &str, Reading<Figures>)] = &[
    ("peers_gates", "Gates that are to stand", |it| it.standing),
    (
        "peers_gates_closing",
        "Gates whose limiter could not be told yet that they are to go",
        |it| it.closing,
    ),
    ("peers_gates_opened", "Gates opened", |it| it.opened),
    (
        "peers_gates_refused",
        "Orders that a limiter refused",
        |it| it.refused,
    ),
    (
        "peers_gates_unanswered",
        "Orders that a limiter was not there for, or did not answer",
        |it| it.unreachable,
    ),
    (
        "peers_gates_spent",
        "Gates that the kernel shut at the end of their time or octets",
        |it| it.spent,
    ),
];

/// Who asks the limiters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    /// Origin-Host; the sessions are named after it, so it stays what it is.
    pub origin_host: String,
    /// Origin-Realm.
    pub origin_realm: String,
    /// For limiters on other hosts.
    pub tls: Option<TlsFiles>,
    /// Whether limiters on other hosts may be spoken to in clear.
    pub allow_remote: bool,
}

/// The link to the limiters. Dropped, it takes leave of them; the gates stay.
#[derive(Debug)]
pub struct Link {
    asks: mpsc::Sender<Ask>,
    told: mpsc::UnboundedSender<Told>,
    gates: Arc<Mutex<Gates>>,
}

impl Link {
    /// Begins to connect to `limiters`, inside a tokio runtime. `standing`: the gates of every session that is open, each
    /// of which is found again by its name. What is told leaves by `told`.
    ///
    /// # Errors
    /// `InvalidInput` for what cannot work.
    pub fn start(
        config: LinkConfig,
        limiters: Vec<Address>,
        standing: Vec<Order>,
        told: mpsc::UnboundedSender<Told>,
    ) -> io::Result<Self> {
        let (events, node_events) = mpsc::channel(QUEUE);
        let (asks, asked) = mpsc::channel(QUEUE);
        let mut peers: Vec<PeerConfig> = Vec::new();
        for address in limiters {
            let name = address.to_string();
            if peers.iter().all(|peer| peer.name != name) {
                peers.push(PeerConfig::behind(&name, &address.into()));
            }
        }
        let addresses = peers.iter().map(|peer| {
            let id = PeerId::new(&peer.name);
            (id, (peer.address.clone(), None))
        });
        let limiters = addresses.collect();
        let node = NodeConfig {
            origin_host: config.origin_host,
            origin_realm: config.origin_realm,
            product_name: "Tollwire chargingd".into(),
            auth_application_ids: vec![dictionary::APPLICATION_RX],
            connect: peers,
            allow_remote: config.allow_remote,
            tls: config.tls,
            // Commonly on this host, and sessions wait for it.
            reconnect: Backoff {
                max: Duration::from_secs(1),
                ..Backoff::default()
            },
            request_timeout: ANSWER,
            ..NodeConfig::default()
        };
        let gates: Arc<Mutex<Gates>> = Arc::default();
        let mut running = Running {
            gates: Arc::clone(&gates),
            node: Node::start(node, events)?,
            limiters,
            told: told.clone(),
            replies: HashMap::new(),
            reply: 0,
        };
        for order in standing {
            running.handle(Event::Standing(order));
        }
        tokio::spawn(running.run(asked, node_events));
        Ok(Self { asks, told, gates })
    }

    /// Asks; [`Told`] follows with the ask's token. Never waits.
    pub fn ask(&self, ask: Ask) {
        if let Err(error) = self.asks.try_send(ask) {
            let ask = error.into_inner();
            let _ = self.told.send(Told {
                token: Some(ask.token),
                session: ask.order.session,
                outcome: Outcome::Unreachable,
            });
        }
    }

    /// For `/metrics`.
    pub fn figures(&self) -> Figures {
        lock(&self.gates).figures()
    }
}

fn lock(gates: &Mutex<Gates>) -> MutexGuard<'_, Gates> {
    gates.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Running {
    gates: Arc<Mutex<Gates>>,
    node: NodeHandle,
    /// The address of each, and its realm since it has said so.
    limiters: HashMap<PeerId, (Address, Option<String>)>,
    told: mpsc::UnboundedSender<Told>,
    replies: HashMap<u64, (ReplyTo, Message)>,
    reply: u64,
}

impl Running {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>, mut events: mpsc::Receiver<NodeEvent>) {
        loop {
            let due = lock(&self.gates).next_deadline();
            let pause = due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()));
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => self.handle(Event::Ask(ask)),
                    None => break,
                },
                event = events.recv() => match event {
                    Some(event) => self.node_event(event),
                    None => break,
                },
                () = tokio::time::sleep(pause) => self.handle(Event::Tick),
            }
        }
        self.node.shutdown().await;
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        lock(&self.gates).handle(Now::read(), event, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send {
                    ticket,
                    order,
                    request,
                } => {
                    if !self.send(ticket, &order, &request) {
                        self.handle(Event::Failed { ticket });
                    }
                }
                Effect::Tell(told) => {
                    if let Outcome::Refused(why) = &told.outcome {
                        tracing::warn!(session = told.session, why, "a gate is refused");
                    }
                    let _ = self.told.send(told);
                }
                Effect::Reply { reply, known } => {
                    let Some((reply_to, message)) = self.replies.remove(&reply) else {
                        continue;
                    };
                    let code = match known {
                        true => ResultCode::SUCCESS,
                        false => ResultCode::UNKNOWN_SESSION_ID,
                    };
                    // An answer that says no more than its result.
                    let answer = message.refuse(self.node.identity(), code, None, None);
                    self.node.answer(reply_to, &answer);
                }
            }
        }
    }

    fn send(&self, ticket: u64, order: &Order, request: &Request) -> bool {
        let peer = PeerId::new(&order.pinholed.to_string());
        let Some((_, Some(realm))) = self.limiters.get(&peer) else {
            return false;
        };
        if !self.node.is_open(&peer) {
            return false;
        }
        let message = rx::encode(self.node.identity(), realm, order, request);
        self.node.send_request(&peer, ticket, message).is_ok()
    }

    fn node_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::PeerOpen {
                peer, origin_realm, ..
            } => {
                let Some((address, realm)) = self.limiters.get_mut(&peer) else {
                    return;
                };
                tracing::info!(%peer, "the limiter is there");
                *realm = Some(origin_realm);
                let address = address.clone();
                self.handle(Event::Open(address));
            }
            NodeEvent::PeerClosed { peer } => {
                tracing::warn!(%peer, "the limiter is gone; its gates stay as they are, and none is opened");
            }
            NodeEvent::Answer { token, message } => {
                let answer = match message.command_code {
                    dictionary::command::AA => rx::authorised(&message),
                    dictionary::command::SESSION_TERMINATION => rx::terminated(&message),
                    _ => Answer::Refused("an answer to something else".into()),
                };
                self.handle(Event::Answered {
                    ticket: token,
                    answer,
                });
            }
            NodeEvent::Failed { token, why } => {
                tracing::warn!(?why, "the limiter does not answer");
                self.handle(Event::Failed { ticket: token });
            }
            NodeEvent::Request {
                reply_to, message, ..
            } => self.request(reply_to, message),
        }
    }

    /// RAR: the limiter speaks first.
    fn request(&mut self, reply_to: ReplyTo, message: Message) {
        let identity = self.node.identity();
        let refusal = if message.command_code != dictionary::command::RE_AUTH {
            message.refuse(identity, ResultCode::COMMAND_UNSUPPORTED, None, None)
        } else {
            match RxReAuthRequest::decode(&message) {
                Err(error) => message.refuse_undecodable(identity, &error),
                Ok(request) => {
                    let session = rx::session_of(&identity.origin_host, &request.session_id);
                    if let Some(session) = session.map(str::to_owned) {
                        self.reply += 1;
                        self.replies.insert(self.reply, (reply_to, message));
                        let report = Report {
                            reply: self.reply,
                            session,
                            spent: rx::spent(&request),
                        };
                        return self.handle(Event::Report(report));
                    }
                    message.refuse(identity, ResultCode::UNKNOWN_SESSION_ID, None, None)
                }
            }
        };
        self.node.answer(reply_to, &refusal);
    }
}
