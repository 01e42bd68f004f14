//! The task that gives the machine its sockets and its time.
//!
//! ```text
//! handles ──Command──> ┌────────┐ ──> sockets that multicast ──┐
//!                      │ driver │ ──> a socket or stream per leg ──> the network
//! readers ──Arrival──> └────────┘ ──> Answer, Finished ──> the channel of each question
//!    └─ one task per socket, one per leg
//! ```

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tollwire_slp::agent::user_agent::{
    Ask, Effect, Event, LegId, Outcome, QueryId, UserAgent as Machine,
};
use tollwire_slp::agent::{DirectoryAgent, Group, Heard, Links};

use crate::interfaces;
use crate::settings::Settings;
use crate::sockets::{self, Use};
use crate::stream;
use crate::trust::Trust;

/// Octets of a datagram, at most.
const MAX_DATAGRAM: usize = 65_535;
/// Arrivals that wait for the driver; behind that the sockets' own buffers fill.
const ARRIVALS: usize = 1024;

/// What a handle wants.
#[derive(Debug)]
pub(crate) enum Command {
    /// A question; its name is chosen here.
    Ask {
        ask: Ask,
        replies: mpsc::UnboundedSender<Reply>,
    },
    /// Directory agents that are known.
    DirectoryAgents(oneshot::Sender<Vec<DirectoryAgent>>),
}

/// What a question brings. Bounded by the machine's limits, as the channel is not.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A message that answers it.
    Message {
        /// Who sent it.
        from: SocketAddr,
        /// What it is.
        octets: Vec<u8>,
    },
    /// It is over.
    Finished(Outcome),
}

/// What the readers bring.
#[derive(Debug)]
enum Arrival {
    Datagram { from: SocketAddr, octets: Vec<u8> },
    Answered { leg: LegId, octets: Vec<u8> },
    Unreachable(LegId),
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct Task(pub(crate) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A socket, and the task that reads it.
#[derive(Debug)]
struct Open {
    socket: Arc<UdpSocket>,
    _reader: Task,
}

/// What serves a leg.
#[derive(Debug)]
enum LegIo {
    /// Datagrams; the task connects, sends, and reads.
    Datagrams {
        again: mpsc::UnboundedSender<Vec<u8>>,
        _task: Task,
    },
    /// A stream.
    Stream { _task: Task },
}

/// The task's state.
pub(crate) struct Driver {
    machine: Machine,
    settings: Settings,
    trust: Trust,
    commands: mpsc::Receiver<Command>,
    arrivals: mpsc::Receiver<Arrival>,
    arrival_sender: mpsc::Sender<Arrival>,
    heard: broadcast::Sender<Heard>,
    sockets: BTreeMap<Use, Open>,
    /// Sockets that could not be had, so that it is said once.
    refused: Vec<Use>,
    legs: HashMap<LegId, LegIo>,
    questions: HashMap<QueryId, mpsc::UnboundedSender<Reply>>,
    last_question: u64,
    effects: Vec<Effect>,
}

impl Driver {
    pub(crate) fn new(
        machine: Machine,
        settings: Settings,
        trust: Trust,
        commands: mpsc::Receiver<Command>,
        heard: broadcast::Sender<Heard>,
    ) -> Self {
        let (arrival_sender, arrivals) = mpsc::channel(ARRIVALS);
        Self {
            machine,
            settings,
            trust,
            commands,
            arrivals,
            arrival_sender,
            heard,
            sockets: BTreeMap::new(),
            refused: Vec::new(),
            legs: HashMap::new(),
            questions: HashMap::new(),
            last_question: 0,
            effects: Vec::new(),
        }
    }

    /// Runs until no handle is left.
    pub(crate) async fn run(mut self) {
        self.attach();
        self.handle(Event::Start).await;
        loop {
            let now = Instant::now();
            let deadline = self.machine.deadline(now);
            let timer = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => return,
                },
                Some(arrival) = self.arrivals.recv() => self.arrived(arrival).await,
                () = timer => self.handle(Event::Timer).await,
            }
            self.forget_abandoned().await;
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Ask { mut ask, replies } => {
                self.last_question += 1;
                ask.id = QueryId(self.last_question);
                self.questions.insert(ask.id, replies);
                self.handle(Event::Ask(ask)).await;
            }
            Command::DirectoryAgents(reply) => {
                let known = self.machine.directory_agents().iter().cloned().collect();
                // Whoever asked may be gone.
                let _ = reply.send(known);
            }
        }
    }

    async fn arrived(&mut self, arrival: Arrival) {
        if let Arrival::Datagram { octets, .. } | Arrival::Answered { octets, .. } = &arrival {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            // RFC 2608 8.5: "the UA MUST discard it".
            if !self
                .trust
                .admits(octets, now.map_or(0, |since| since.as_secs()))
            {
                return tracing::debug!("an advert that no key of ours has signed");
            }
        }
        match arrival {
            Arrival::Datagram { from, octets } => {
                self.handle(Event::Datagram {
                    from,
                    octets: &octets,
                })
                .await;
            }
            Arrival::Answered { leg, octets } => {
                self.handle(Event::Answered {
                    leg,
                    octets: &octets,
                })
                .await;
            }
            Arrival::Unreachable(leg) => self.handle(Event::Unreachable(leg)).await,
        }
    }

    /// Ends questions that nobody waits for any more.
    async fn forget_abandoned(&mut self) {
        let gone: Vec<QueryId> = self
            .questions
            .iter()
            .filter(|(_, replies)| replies.is_closed())
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.questions.remove(&id);
            self.handle(Event::Cancel(id)).await;
        }
    }

    async fn handle(&mut self, event: Event<'_>) {
        let mut effects = std::mem::take(&mut self.effects);
        self.machine.handle(Instant::now(), event, &mut effects);
        for effect in effects.drain(..) {
            self.perform(effect).await;
        }
        self.effects = effects;
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Multicast {
                group,
                octets,
                ipv6_scopes,
            } => self.multicast(&group, &octets, ipv6_scopes).await,
            Effect::Unicast { leg, to, octets } => self.unicast(leg, to, octets),
            Effect::Stream { leg, to, octets } => self.stream(leg, to, octets),
            Effect::Close(leg) => {
                self.legs.remove(&leg);
            }
            Effect::Answer { id, from, octets } => {
                if let Some(replies) = self.questions.get(&id) {
                    let _ = replies.send(Reply::Message { from, octets });
                }
            }
            Effect::Finished { id, outcome } => {
                if let Some(replies) = self.questions.remove(&id) {
                    let _ = replies.send(Reply::Finished(outcome));
                }
            }
            Effect::Heard(heard) => {
                tracing::debug!(?heard, "directory agent");
                // Nobody may be listening.
                let _ = self.heard.send(heard);
            }
        }
    }

    /// Opens the sockets that this host's addresses want, and closes the others.
    fn attach(&mut self) {
        let interfaces = match interfaces::list() {
            Ok(interfaces) => interfaces,
            Err(error) => return tracing::warn!(%error, "the interfaces cannot be listed"),
        };
        let addresses = interfaces
            .iter()
            .flat_map(|interface| interface.addresses());
        self.machine.set_links(Links::new(addresses));
        let wanted = sockets::wanted(&self.settings, &interfaces);
        self.sockets.retain(|open, _| wanted.contains(open));
        self.refused.retain(|refused| wanted.contains(refused));
        for wanted in wanted {
            if self.sockets.contains_key(&wanted) {
                continue;
            }
            match sockets::open(wanted, &self.settings) {
                Ok(socket) => {
                    let socket = Arc::new(socket);
                    let reader = tokio::spawn(read(socket.clone(), self.arrival_sender.clone()));
                    let open = Open {
                        socket,
                        _reader: Task(reader),
                    };
                    self.refused.retain(|refused| *refused != wanted);
                    self.sockets.insert(wanted, open);
                }
                // Usual without privileges, for what is overheard; and while an address is not yet fit for use.
                Err(error) if !self.refused.contains(&wanted) => {
                    tracing::debug!(?wanted, %error, "a socket cannot be had");
                    self.refused.push(wanted);
                }
                Err(_) => {}
            }
        }
        let overhears = self
            .sockets
            .keys()
            .any(|open| matches!(open, Use::Overhear { .. }));
        let mut effects = Vec::new();
        self.machine
            .handle(Instant::now(), Event::Passive(overhears), &mut effects);
        debug_assert!(effects.is_empty(), "it asks for nothing");
    }

    async fn multicast(&mut self, group: &Group, octets: &[u8], ipv6_scopes: &[u8]) {
        // Addresses come and go; each multicast is a good time to look.
        self.attach();
        let uses: Vec<Use> = self.sockets.keys().copied().collect();
        for (one, open) in &self.sockets {
            for to in sockets::destinations(*one, &uses, group, ipv6_scopes, &self.settings) {
                // One interface that is down must not keep the others silent.
                if let Err(error) = open.socket.send_to(octets, to).await {
                    tracing::debug!(%to, %error, "not sent");
                }
            }
        }
    }

    fn unicast(&mut self, leg: LegId, to: SocketAddr, octets: Vec<u8>) {
        if let Some(LegIo::Datagrams { again, .. }) = self.legs.get(&leg) {
            // A task that is gone has said so already.
            let _ = again.send(octets);
            return;
        }
        let (again, requests) = mpsc::unbounded_channel();
        let _ = again.send(octets);
        let arrivals = self.arrival_sender.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = converse(leg, to, requests, &arrivals).await {
                tracing::debug!(%to, %error, "unreachable");
                let _ = arrivals.send(Arrival::Unreachable(leg)).await;
            }
        });
        self.legs.insert(
            leg,
            LegIo::Datagrams {
                again,
                _task: Task(task),
            },
        );
    }

    fn stream(&mut self, leg: LegId, to: SocketAddr, octets: Vec<u8>) {
        let arrivals = self.arrival_sender.clone();
        let max_octets = self.settings.max_octets;
        let task = tokio::spawn(async move {
            let answer = async {
                let stream = TcpStream::connect(to).await?;
                stream::exchange(stream, &octets, max_octets).await
            };
            let arrival = match answer.await {
                Ok(octets) => Arrival::Answered { leg, octets },
                Err(error) => {
                    tracing::debug!(%to, %error, "no answer over TCP");
                    Arrival::Unreachable(leg)
                }
            };
            let _ = arrivals.send(arrival).await;
        });
        self.legs.insert(leg, LegIo::Stream { _task: Task(task) });
    }
}

/// Reads a socket that many answer to.
async fn read(socket: Arc<UdpSocket>, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        // Errors tell of datagrams that did not arrive somewhere; the socket goes on.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let octets = buffer.get(..length).unwrap_or_default().to_vec();
        if arrivals
            .send(Arrival::Datagram { from, octets })
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Sends what comes in `requests` to one agent, and says what it answers, until nobody asks any more.
async fn converse(
    leg: LegId,
    to: SocketAddr,
    mut requests: mpsc::UnboundedReceiver<Vec<u8>>,
    arrivals: &mpsc::Sender<Arrival>,
) -> io::Result<()> {
    let socket = sockets::connect(to).await?;
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                Some(octets) => {
                    socket.send(&octets).await?;
                }
                None => return Ok(()),
            },
            received = socket.recv(&mut buffer) => {
                let length = received?;
                let octets = buffer.get(..length).unwrap_or_default().to_vec();
                if arrivals.send(Arrival::Answered { leg, octets }).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}
