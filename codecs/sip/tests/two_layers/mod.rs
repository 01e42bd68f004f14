//! Two parties, their transaction layers, and the network between them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollwire_sip::transaction::{
    ClientTransactionId, Flow, Limits, Output, ServerTransactionId, Timers, TransactionLayer,
    Transport,
};
use tollwire_sip::{HeaderName, Message, Method, RequestBuilder};

const MS: Duration = Duration::from_millis(1);
/// Requests are seen once if none is under way longer than what is left of 64*T1 at the last repetition.
pub const PUNCTUAL: u64 = 400;

/// A sequence that is the same in every run (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn milliseconds(&mut self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    Caller,
    Callee,
}
use Party::{Callee, Caller};

impl Party {
    fn other(self) -> Self {
        match self {
            Caller => Callee,
            Callee => Caller,
        }
    }
}

/// What the network does. Streams lose, repeat and reorder nothing.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    pub transport: Transport,
    /// Of 100 messages.
    pub lost: u64,
    pub repeated: u64,
    /// The longest way, milliseconds.
    pub slowest: u64,
    /// How late timers run, milliseconds.
    pub lateness: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Invite,
    Ring,
    Answer(u16),
    /// The callee's own repetition of its 2xx (RFC 3261 13.3.1.4), and the next wait.
    AnswerAgain(Duration),
    Cancel,
    Bye(Party),
}

#[derive(Debug)]
enum Happening {
    Arrival(Party, Bytes),
    Act(usize, Act),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Final(u16),
    TimedOut,
}

/// One call as both parties mean it to go, and as it went.
#[derive(Debug, Default)]
pub struct Call {
    /// `None` rings for ever.
    answer: Option<u16>,
    cancelled: bool,
    client: Option<ClientTransactionId>,
    server: Option<ServerTransactionId>,
    invites_seen: u32,
    /// The callee's final answer.
    answered: Option<u16>,
    acknowledged: bool,
    answer_started: Option<Instant>,
}

/// A client transaction as its user saw it.
#[derive(Debug)]
pub struct Client {
    call: usize,
    pub is_invite: bool,
    pub outcome: Option<Outcome>,
    terminated: bool,
}

pub struct World {
    now: Instant,
    start: Instant,
    chance: Chance,
    network: Network,
    layers: HashMap<Party, TransactionLayer>,
    queue: BTreeMap<(Instant, u64), Happening>,
    last_arrival: HashMap<Party, Instant>,
    serial: u64,
    pub calls: Vec<Call>,
    pub clients: HashMap<(Party, ClientTransactionId), Client>,
    /// Server transactions, and whether they ended.
    pub servers: HashMap<(Party, ServerTransactionId), bool>,
    work: VecDeque<(Party, Output)>,
    /// Messages by the party that sent them in a layer, and by the party where they arrived.
    sent: HashMap<(Party, String), u64>,
    arrived: HashMap<(Party, String), u64>,
    /// Final answers that nobody acknowledged.
    unacknowledged: u32,
    /// Refusals of INVITEs that came when their transaction was over.
    late_refusals: u64,
    /// Responses that users gave to the layers.
    given: HashMap<(Party, String), u64>,
}

/// `INVITE`, or `486 INVITE`.
fn kind(message: &Message) -> String {
    match message.status() {
        Some(status) => format!("{status} {}", message.method().as_str()),
        None => message.method().as_str().to_owned(),
    }
}

fn is_refusal(kind: &str) -> bool {
    kind.ends_with(" INVITE") && *kind >= *"300"
}

impl World {
    pub fn new(seed: u64, network: Network) -> Self {
        let now = Instant::now();
        let layer = || TransactionLayer::new(Timers::default(), Limits::default());
        let mut world = Self {
            now,
            start: now,
            chance: Chance(seed),
            network,
            layers: [Caller, Callee].map(|party| (party, layer())).into(),
            queue: BTreeMap::new(),
            last_arrival: HashMap::new(),
            serial: 0,
            calls: Vec::new(),
            clients: HashMap::new(),
            servers: HashMap::new(),
            work: VecDeque::new(),
            sent: HashMap::new(),
            arrived: HashMap::new(),
            given: HashMap::new(),
            unacknowledged: 0,
            late_refusals: 0,
        };
        for number in 0..1 + world.chance.below(6) as usize {
            let answer = [Some(200), Some(486), None][world.chance.below(3) as usize];
            world.calls.push(Call {
                answer,
                ..Call::default()
            });
            let begin = world.chance.milliseconds(5_000);
            world.schedule(begin, Happening::Act(number, Act::Invite));
            // One in two gives up early, often while the answer is under way; all give up some time (Timer C).
            let patience = match world.chance.below(2) {
                0 => world.chance.milliseconds(5_000),
                _ => Duration::from_secs(185),
            };
            world.schedule(begin + patience, Happening::Act(number, Act::Cancel));
        }
        world
    }

    fn schedule(&mut self, wait: Duration, happening: Happening) {
        self.serial += 1;
        self.queue.insert((self.now + wait, self.serial), happening);
    }

    fn flow(&self, party: Party) -> Flow {
        let address = |party| match party {
            Caller => "192.0.2.1:5060".parse().unwrap(),
            Callee => "192.0.2.2:5060".parse().unwrap(),
        };
        Flow {
            transport: self.network.transport,
            local: address(party),
            remote: address(party.other()),
        }
    }

    fn request(&self, party: Party, call: usize, method: Method, branch: &str) -> Message {
        let via = format!(
            "SIP/2.0/{} {};branch=z9hG4bK{branch}",
            self.network.transport.as_str(),
            self.flow(party).local
        );
        let sequence = if method == Method::Bye { 2 } else { 1 };
        let cseq = format!("{sequence} {}", method.as_str());
        RequestBuilder::new(method, "sip:bob@example.org")
            .header(HeaderName::Via, &via)
            .header(HeaderName::From, "<sip:alice@example.org>;tag=a")
            .header(HeaderName::To, "<sip:bob@example.org>")
            .header(HeaderName::CallId, &call.to_string())
            .header(HeaderName::CSeq, &cseq)
            .header(HeaderName::MaxForwards, "70")
            .build()
    }

    /// Gives `bytes` to the network.
    fn send(&mut self, from: Party, bytes: Bytes) {
        let network = self.network;
        let mut copies = 1;
        if self.chance.below(100) < network.repeated {
            copies += 1;
        }
        for _ in 0..copies {
            if self.chance.below(100) < network.lost {
                continue;
            }
            let mut wait = MS + self.chance.milliseconds(network.slowest);
            if network.transport.is_reliable() {
                let earliest = self.last_arrival.get(&from).copied().unwrap_or(self.now);
                wait = wait.max(earliest.saturating_duration_since(self.now));
                self.last_arrival.insert(from, self.now + wait);
            }
            self.schedule(wait, Happening::Arrival(from.other(), bytes.clone()));
        }
    }

    fn layer(
        &mut self,
        party: Party,
        act: impl FnOnce(&mut TransactionLayer, Instant, &mut Vec<Output>),
    ) {
        let mut out = Vec::new();
        act(self.layers.get_mut(&party).unwrap(), self.now, &mut out);
        self.work
            .extend(out.into_iter().map(|output| (party, output)));
    }

    fn start(&mut self, party: Party, call: usize, message: Message) -> ClientTransactionId {
        let is_invite = *message.method() == Method::Invite;
        let flow = self.flow(party);
        let mut id = None;
        self.layer(party, |layer, now, out| {
            id = Some(layer.send_request(now, flow, message, out));
        });
        let id = id.unwrap();
        let client = Client {
            call,
            is_invite,
            outcome: None,
            terminated: false,
        };
        assert!(self.clients.insert((party, id), client).is_none());
        id
    }

    fn respond(&mut self, party: Party, id: ServerTransactionId, request: &Message, status: u16) {
        let response = Message::response_to(request, status, "")
            .to_tag("b")
            .build();
        *self.given.entry((party, kind(&response))).or_default() += 1;
        self.layer(party, |layer, now, out| {
            layer.respond(now, id, response, out);
        });
    }

    /// The callee answers its INVITE.
    fn answer(&mut self, call: usize, status: u16) {
        let Some(id) = self.calls[call].server else {
            return;
        };
        let invite = self.request(Caller, call, Method::Invite, &format!("invite{call}"));
        self.respond(Callee, id, &invite, status);
    }

    fn act(&mut self, number: usize, act: Act) {
        match act {
            Act::Invite => {
                let branch = format!("invite{number}");
                let invite = self.request(Caller, number, Method::Invite, &branch);
                let id = self.start(Caller, number, invite);
                self.calls[number].client = Some(id);
            }
            Act::Ring if self.calls[number].answered.is_none() => self.answer(number, 180),
            Act::Answer(status) if self.calls[number].answered.is_none() => {
                self.calls[number].answered = Some(status);
                self.calls[number].answer_started = Some(self.now);
                self.answer(number, status);
                if status == 200 {
                    let again = Act::AnswerAgain(1000 * MS);
                    self.schedule(500 * MS, Happening::Act(number, again));
                }
            }
            Act::AnswerAgain(wait) => {
                let call = &self.calls[number];
                let since = self.now - call.answer_started.unwrap();
                if !call.acknowledged && since < 32_000 * MS {
                    self.answer(number, 200);
                    let again = Act::AnswerAgain((wait * 2).min(4_000 * MS));
                    self.schedule(wait, Happening::Act(number, again));
                }
            }
            Act::Cancel => {
                let id = self.calls[number].client.unwrap();
                if self.clients[&(Caller, id)].outcome.is_none() {
                    self.calls[number].cancelled = true;
                    self.layer(Caller, |layer, now, out| layer.cancel(now, id, out));
                }
            }
            Act::Bye(party) => {
                let branch = format!("bye{number}{party:?}");
                let bye = self.request(party, number, Method::Bye, &branch);
                self.start(party, number, bye);
            }
            Act::Ring | Act::Answer(_) => {}
        }
    }

    fn output(&mut self, party: Party, output: Output) {
        match output {
            Output::Send { flow, bytes } => {
                assert_eq!(flow, self.flow(party));
                let message = Message::parse(bytes.clone()).unwrap();
                *self.sent.entry((party, kind(&message))).or_default() += 1;
                self.send(party, bytes);
            }
            Output::Request { id, message, .. } => {
                assert!(self.servers.insert((party, id), false).is_none());
                match message.method() {
                    Method::Invite => self.ring(id, &message),
                    _ => self.respond(party, id, &message, 200),
                }
            }
            Output::Cancel {
                id,
                invite,
                message,
                ..
            } => {
                assert!(self.servers.insert((party, id), false).is_none());
                let status = if invite.is_some() { 200 } else { 481 };
                self.respond(party, id, &message, status);
                let number: usize = message.call_id().unwrap().parse().unwrap();
                if invite.is_some() && invite == self.calls[number].server {
                    self.act(number, Act::Answer(487));
                }
            }
            Output::Ack { message, .. } => {
                let number: usize = message.call_id().unwrap().parse().unwrap();
                self.calls[number].acknowledged = true;
            }
            Output::Response { id, message } => self.response(party, id, &message),
            Output::TimedOut { id } => {
                let client = self.clients.get_mut(&(party, id)).unwrap();
                assert_eq!(client.outcome.replace(Outcome::TimedOut), None);
            }
            Output::ClientTerminated { id } => {
                let client = self.clients.get_mut(&(party, id)).unwrap();
                assert!(client.outcome.is_some() && !client.terminated, "{client:?}");
                client.terminated = true;
            }
            Output::ServerTerminated { id } => {
                assert_eq!(self.servers.insert((party, id), true), Some(false));
            }
            Output::AckTimedOut { id } => {
                assert!(!self.servers[&(party, id)]);
                self.unacknowledged += 1;
            }
            Output::StrayResponse { message, .. } => {
                assert!(
                    self.network.transport == Transport::Udp,
                    "a stream repeats nothing"
                );
                if is_refusal(&kind(&message)) {
                    self.late_refusals += 1;
                }
            }
            Output::TransportFailed { .. } => panic!("nobody said so"),
        }
    }

    /// The callee's phone.
    fn ring(&mut self, id: ServerTransactionId, invite: &Message) {
        let number: usize = invite.call_id().unwrap().parse().unwrap();
        self.calls[number].invites_seen += 1;
        if self.calls[number].server.is_some() {
            // A repetition that outlived its transaction (8.2.2.2).
            return self.respond(Callee, id, invite, 482);
        }
        self.calls[number].server = Some(id);
        self.respond(Callee, id, invite, 100);
        if self.chance.below(4) > 0 {
            let wait = self.chance.milliseconds(1_000);
            self.schedule(wait, Happening::Act(number, Act::Ring));
        }
        let (wait, status) = match self.calls[number].answer {
            Some(status) => (self.chance.milliseconds(6_000), status),
            // It rings for ever, but no server keeps a call for ever.
            None => (Duration::from_secs(300), 408),
        };
        self.schedule(wait, Happening::Act(number, Act::Answer(status)));
    }

    fn response(&mut self, party: Party, id: ClientTransactionId, message: &Message) {
        let status = message.status().unwrap();
        let client = self.clients.get_mut(&(party, id)).unwrap();
        assert!(!client.terminated);
        if status < 200 {
            assert_eq!(client.outcome, None);
            return;
        }
        let before = client.outcome.replace(Outcome::Final(status));
        let (number, is_invite) = (client.call, client.is_invite);
        if !is_invite || status >= 300 {
            assert_eq!(before, None, "one final response is told");
            return;
        }
        // Every 2xx to an INVITE is told, and acknowledged by the user agent (13.2.2.4).
        assert!(matches!(before, None | Some(Outcome::Final(200))));
        let ack = self.request(Caller, number, Method::Ack, &format!("ack{number}"));
        self.send(Caller, ack.to_bytes());
        if before.is_none() {
            // Either hangs up, or both do at once.
            let wait = self.chance.milliseconds(3_000);
            let who = self.chance.below(3);
            for (party, hangs_up) in [(Caller, who != 1), (Callee, who != 0)] {
                if hangs_up {
                    self.schedule(wait, Happening::Act(number, Act::Bye(party)));
                }
            }
        }
    }

    /// Runs until nothing is left to happen.
    pub fn run(&mut self) {
        let mut turns = 0;
        loop {
            let queued = self.queue.keys().next().map(|(at, _)| *at);
            let deadlines = [Caller, Callee].map(|party| self.layers[&party].next_deadline());
            let Some(next) = deadlines.into_iter().chain([queued]).flatten().min() else {
                break;
            };
            turns += 1;
            assert!(turns < 5_000 * self.calls.len(), "a storm");
            let late = self.chance.milliseconds(self.network.lateness + 1);
            self.now = self.now.max(next) + late;
            for party in [Caller, Callee] {
                self.layer(party, TransactionLayer::tick);
                let next = self.layers[&party].next_deadline();
                assert!(
                    next.is_none_or(|next| next > self.now),
                    "a timer stands still"
                );
            }
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                match entry.remove() {
                    Happening::Act(number, act) => self.act(number, act),
                    Happening::Arrival(party, bytes) => {
                        let message = Message::parse(bytes).unwrap();
                        *self.arrived.entry((party, kind(&message))).or_default() += 1;
                        let flow = self.flow(party);
                        self.layer(party, |layer, now, out| {
                            layer.receive(now, flow, message, out);
                        });
                    }
                }
                self.work_off();
            }
            self.work_off();
        }
        assert!(self.now - self.start < Duration::from_secs(600));
    }

    fn work_off(&mut self) {
        while let Some((party, output)) = self.work.pop_front() {
            self.output(party, output);
        }
    }

    /// How many requests of `method` the layer of `party` sent, repetitions among them.
    pub fn sent(&self, party: Party, method: &str) -> u64 {
        Self::count(&self.sent, party, |kind| kind == method)
    }

    fn count(of: &HashMap<(Party, String), u64>, party: Party, like: impl Fn(&str) -> bool) -> u64 {
        of.iter()
            .filter(|((who, kind), _)| *who == party && like(kind))
            .map(|(_, count)| count)
            .sum()
    }

    pub fn check(&mut self) {
        for party in [Caller, Callee] {
            assert_eq!(self.layers[&party].load(), (0, 0));
        }
        assert!(self.servers.values().all(|ended| *ended));
        for client in self.clients.values() {
            assert!(client.outcome.is_some() && client.terminated, "{client:?}");
        }
        for call in &self.calls {
            let outcome = self.clients[&(Caller, call.client.unwrap())].outcome;
            if self.network.slowest <= PUNCTUAL {
                assert!(call.invites_seen <= 1, "{call:?}");
                if let Some(Outcome::Final(status)) = outcome {
                    assert_eq!(call.answered, Some(status), "{call:?}");
                }
            }
            if self.network.lost == 0 && self.network.slowest <= PUNCTUAL {
                assert_eq!(outcome, call.answered.map(Outcome::Final), "{call:?}");
                assert!(call.cancelled || call.answered == call.answer, "{call:?}");
            }
            if self.network.lost == 100 {
                assert_eq!(outcome, Some(Outcome::TimedOut));
            }
        }
        if self.network.lost == 0 {
            assert_eq!(self.unacknowledged, 0);
        }
        self.check_sends();
        self.check_that_nothing_is_remembered();
    }

    /// What comes now belongs to no transaction.
    fn check_that_nothing_is_remembered(&mut self) {
        for number in 0..self.calls.len() {
            let branch = format!("invite{number}");
            let invite = self.request(Caller, number, Method::Invite, &branch);
            let ringing = Message::response_to(&invite, 180, "").build();
            for (party, message) in [(Callee, invite), (Caller, ringing)] {
                let flow = self.flow(party);
                self.layer(party, |layer, now, out| {
                    layer.receive(now, flow, message, out);
                });
            }
            let outputs: Vec<Output> = self.work.drain(..).map(|(_, output)| output).collect();
            assert!(
                matches!(
                    outputs.as_slice(),
                    [Output::Request { .. }, Output::StrayResponse { .. }]
                ),
                "{outputs:?}"
            );
        }
    }

    /// What is sent is bounded by the timers and by what arrived: nothing answers more than once.
    fn check_sends(&self) {
        let reliable = self.network.transport.is_reliable();
        let calls = self.calls.len() as u64;
        let is_invite_response = |kind: &str| kind.ends_with(" INVITE");
        for party in [Caller, Callee] {
            let sent = |kind: &str| Self::count(&self.sent, party, |other| other == kind);
            // Timer A: after 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s. Timer E: after 0.5, 1.5, 3.5 s, then every 4 s.
            let (invites, others) = if reliable { (1, 1) } else { (7, 11) };
            assert!(sent("INVITE") <= calls * invites);
            assert!(sent("CANCEL") <= calls * others);
            assert!(sent("BYE") <= calls * others);
            // Each refusal is acknowledged as often as it comes.
            let refusals = Self::count(&self.arrived, party, is_refusal);
            let late = if party == Caller {
                self.late_refusals
            } else {
                0
            };
            assert_eq!(sent("ACK") + late, refusals);

            let answers = Self::count(&self.sent, party, |kind| is_invite_response(kind));
            let given = Self::count(&self.given, party, |kind| is_invite_response(kind));
            let asked = Self::count(&self.arrived, party, |kind| kind == "INVITE");
            // Timer G, for each final response but 2xx.
            let repeated = if reliable {
                0
            } else {
                10 * Self::count(&self.given, party, is_refusal)
            };
            assert!(answers <= given + asked + repeated);
            for method in ["BYE", "CANCEL"] {
                let ends = |kind: &str| kind.ends_with(&format!(" {method}"));
                let answers = Self::count(&self.sent, party, ends);
                let given = Self::count(&self.given, party, ends);
                let asked = Self::count(&self.arrived, party, |kind| kind == method);
                assert!(given <= asked && answers <= asked);
            }
        }
    }
}
