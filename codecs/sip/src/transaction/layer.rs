//! The layer: matching, timers, and the machines of all transactions.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::deadlines::Deadlines;
use super::invite_client::InviteClient;
use super::invite_server::InviteServer;
use super::non_invite_client::NonInviteClient;
use super::non_invite_server::NonInviteServer;
use super::{
    ClientTransactionId, Flow, Output, Running, ServerTransactionId, Step, Timers, ack, key,
};
use crate::via::Via;
use crate::{HeaderName, Message, Method};

/// What bounds the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Server transactions at once; a request beyond gets 503 and no transaction. BYE and CANCEL may take
    /// an eighth more: they free what an overloaded element holds.
    pub server_transactions: usize,
    /// Retry-After of that 503, seconds.
    pub retry_after: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            server_transactions: 200_000,
            retry_after: 5,
        }
    }
}

impl Limits {
    fn for_method(&self, method: &Method) -> usize {
        let all = self.server_transactions;
        match method {
            Method::Bye | Method::Cancel => all.saturating_add(all.div_ceil(8)),
            _ => all,
        }
    }
}

#[derive(Debug)]
enum ClientMachine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

impl ClientMachine {
    fn running(&self) -> Running {
        match self {
            Self::Invite(machine) => machine.running,
            Self::NonInvite(machine) => machine.running,
        }
    }

    fn is_unanswered(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_unanswered(),
            Self::NonInvite(machine) => machine.is_unanswered(),
        }
    }
}

#[derive(Debug)]
struct Client {
    machine: ClientMachine,
    key: Box<str>,
    flow: Flow,
    /// What Timer A or E repeats; empty once a final response came.
    bytes: Bytes,
    /// The INVITE, from which ACK and CANCEL are made; gone once a 2xx came.
    invite: Option<Message>,
    cancel: Cancel,
    queued: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    /// To be sent when a provisional response comes (9.1).
    Wanted,
    Sent,
    /// This transaction is a CANCEL of ours: its end interests nobody.
    Itself,
}

#[derive(Debug)]
enum ServerMachine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

impl ServerMachine {
    fn running(&self) -> Running {
        match self {
            Self::Invite(machine) => machine.running,
            Self::NonInvite(machine) => machine.running,
        }
    }
}

#[derive(Debug)]
struct Server {
    machine: ServerMachine,
    key: Box<str>,
    /// Where responses go (18.2.2).
    flow: Flow,
    /// The last response, for repetition.
    bytes: Bytes,
    queued: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Client(ClientTransactionId),
    Server(ServerTransactionId),
}

/// All transactions of an element.
#[derive(Debug)]
pub struct TransactionLayer {
    timers: Timers,
    limits: Limits,
    clients: HashMap<ClientTransactionId, Client>,
    servers: HashMap<ServerTransactionId, Server>,
    client_keys: HashMap<Box<str>, ClientTransactionId>,
    server_keys: HashMap<Box<str>, ServerTransactionId>,
    /// Client transactions on streams: a stream may break.
    on_streams: BTreeSet<(Flow, ClientTransactionId)>,
    deadlines: Deadlines<Owner>,
    last_id: u64,
}

impl TransactionLayer {
    /// A layer without transactions.
    pub fn new(timers: Timers, limits: Limits) -> Self {
        Self {
            timers,
            limits,
            clients: HashMap::new(),
            servers: HashMap::new(),
            client_keys: HashMap::new(),
            server_keys: HashMap::new(),
            on_streams: BTreeSet::new(),
            deadlines: Deadlines::new(),
            last_id: 0,
        }
    }

    /// Client and server transactions at present.
    pub fn load(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// When [`TransactionLayer::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// A message came in over `flow`. A request's topmost Via was stamped (18.2.1, RFC 3581 4).
    pub fn receive(&mut self, now: Instant, flow: Flow, message: Message, out: &mut Vec<Output>) {
        if message.is_request() {
            self.receive_request(now, flow, message, out);
        } else {
            self.receive_response(now, flow, message, out);
        }
    }

    /// Sends `request`, whose topmost Via is ours with a fresh branch, in a transaction of its own.
    /// An ACK for a 2xx is no transaction: send it past the layer.
    pub fn send_request(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        out: &mut Vec<Output>,
    ) -> ClientTransactionId {
        self.start_client(now, flow, request, Cancel::No, out)
    }

    /// Sends `response` in the transaction `id`. Without effect if the state machine does not allow it.
    pub fn respond(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        response: Message,
        out: &mut Vec<Output>,
    ) {
        let (Some(server), Some(status)) = (self.servers.get_mut(&id), response.status()) else {
            return;
        };
        let step = match &mut server.machine {
            ServerMachine::Invite(machine) => machine.respond(now, &self.timers, status),
            ServerMachine::NonInvite(machine) => machine.respond(now, &self.timers, status),
        };
        if step.send {
            let bytes = response.to_bytes();
            // RFC 6026 7.1: a 2xx to an INVITE is repeated by the user agent, not here.
            let is_repeated = !(matches!(server.machine, ServerMachine::Invite(_))
                && (200..300).contains(&status));
            server.bytes = if is_repeated {
                bytes.clone()
            } else {
                Bytes::new()
            };
            out.push(Output::Send {
                flow: server.flow,
                bytes,
            });
        }
        self.after_server(id, step, out);
    }

    /// Cancels the INVITE transaction `id` (9.1): at once if a provisional response came, else when one comes.
    pub fn cancel(&mut self, now: Instant, id: ClientTransactionId, out: &mut Vec<Output>) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.cancel != Cancel::No || client.invite.is_none() {
            return;
        }
        client.cancel = Cancel::Wanted;
        self.cancel_if_possible(now, id, out);
    }

    /// The stream `flow` broke, or a send over it failed: requests without any answer will have none.
    pub fn transport_failed(&mut self, _now: Instant, flow: Flow, out: &mut Vec<Output>) {
        let failed: Vec<ClientTransactionId> = if flow.transport.is_reliable() {
            self.on_streams
                .range((flow, ClientTransactionId(0))..=(flow, ClientTransactionId(u64::MAX)))
                .map(|(_, id)| *id)
                .collect()
        } else {
            (self.clients.iter())
                .filter(|(_, client)| client.flow == flow)
                .map(|(id, _)| *id)
                .collect()
        };
        for id in failed {
            let Some(client) = self.clients.get(&id) else {
                continue;
            };
            if client.machine.is_unanswered() {
                if client.cancel != Cancel::Itself {
                    out.push(Output::TransportFailed { id });
                }
                self.remove_client(id, out);
            }
        }
    }

    /// Runs the timers that are due.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some((deadline, owner)) = self.deadlines.pop_due(now) {
            match owner {
                Owner::Client(id) => self.tick_client(now, deadline, id, out),
                Owner::Server(id) => self.tick_server(now, deadline, id, out),
            }
        }
    }

    fn receive_request(
        &mut self,
        now: Instant,
        flow: Flow,
        message: Message,
        out: &mut Vec<Output>,
    ) {
        let Some(key) = key::server(&message, message.method()) else {
            return;
        };
        if let Some(&id) = self.server_keys.get(&key) {
            return self.request_again(now, id, flow, message, out);
        }
        if *message.method() == Method::Ack {
            out.push(Output::Ack { flow, message });
            return;
        }
        let reply = reply_flow(flow, &message);
        if self.servers.len() >= self.limits.for_method(message.method()) {
            let busy = Message::response_to(&message, 503, "")
                .stateless_to_tag()
                .header(HeaderName::RetryAfter, &self.limits.retry_after.to_string())
                .build();
            out.push(Output::Send {
                flow: reply,
                bytes: busy.to_bytes(),
            });
            return;
        }
        let reliable = flow.transport.is_reliable();
        let machine = if *message.method() == Method::Invite {
            ServerMachine::Invite(InviteServer::new(&self.timers, reliable))
        } else {
            ServerMachine::NonInvite(NonInviteServer::new(now, &self.timers, reliable))
        };
        let id = ServerTransactionId(self.fresh_id());
        self.server_keys.insert(key.clone(), id);
        self.servers.insert(
            id,
            Server {
                machine,
                key,
                flow: reply,
                bytes: Bytes::new(),
                queued: None,
            },
        );
        self.after_server(id, Step::NOTHING, out);
        out.push(if *message.method() == Method::Cancel {
            let invite = key::server(&message, &Method::Invite)
                .and_then(|key| self.server_keys.get(&key).copied());
            Output::Cancel {
                id,
                invite,
                flow,
                message,
            }
        } else {
            Output::Request { id, flow, message }
        });
    }

    fn request_again(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        flow: Flow,
        message: Message,
        out: &mut Vec<Output>,
    ) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let is_ack = *message.method() == Method::Ack;
        let step = match &mut server.machine {
            ServerMachine::Invite(machine) if is_ack => machine.acknowledge(now, &self.timers),
            ServerMachine::Invite(machine) => machine.request(),
            ServerMachine::NonInvite(machine) => machine.request(),
        };
        if step.send && !server.bytes.is_empty() {
            out.push(Output::Send {
                flow: server.flow,
                bytes: server.bytes.clone(),
            });
        }
        if step.deliver {
            out.push(Output::Ack { flow, message });
        }
        self.after_server(id, step, out);
    }

    fn receive_response(
        &mut self,
        now: Instant,
        flow: Flow,
        message: Message,
        out: &mut Vec<Output>,
    ) {
        let key = message.via().ok().and_then(|via| {
            via.branch()
                .map(|branch| key::client(branch, message.method()))
        });
        let id = key.and_then(|key| self.client_keys.get(&key).copied());
        let (Some(id), Some(status)) = (id, message.status()) else {
            out.push(Output::StrayResponse { message, flow });
            return;
        };
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let step = match &mut client.machine {
            ClientMachine::Invite(machine) => machine.response(now, &self.timers, status),
            ClientMachine::NonInvite(machine) => machine.response(now, &self.timers, status),
        };
        if step.acknowledge {
            if let Some(invite) = &client.invite {
                client.bytes = ack::acknowledgement(invite, &message).to_bytes();
                client.invite = None;
            }
            out.push(Output::Send {
                flow: client.flow,
                bytes: client.bytes.clone(),
            });
        } else if step.deliver && status >= 200 {
            client.bytes = Bytes::new();
            client.invite = None;
        }
        if step.deliver && client.cancel != Cancel::Itself {
            out.push(Output::Response { id, message });
        }
        self.cancel_if_possible(now, id, out);
        self.after_client(id, step, out);
    }

    fn start_client(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        cancel: Cancel,
        out: &mut Vec<Output>,
    ) -> ClientTransactionId {
        let id = ClientTransactionId(self.fresh_id());
        let reliable = flow.transport.is_reliable();
        let bytes = request.to_bytes();
        let branch = request
            .via()
            .ok()
            .and_then(|via| via.branch())
            .unwrap_or_default();
        let key = key::client(branch, request.method());
        let is_invite = *request.method() == Method::Invite;
        let machine = if is_invite {
            ClientMachine::Invite(InviteClient::new(now, &self.timers, reliable))
        } else {
            ClientMachine::NonInvite(NonInviteClient::new(now, &self.timers, reliable))
        };
        out.push(Output::Send {
            flow,
            bytes: bytes.clone(),
        });
        self.client_keys.insert(key.clone(), id);
        if reliable {
            self.on_streams.insert((flow, id));
        }
        self.clients.insert(
            id,
            Client {
                machine,
                key,
                flow,
                bytes: if reliable { Bytes::new() } else { bytes },
                invite: is_invite.then_some(request),
                cancel,
                queued: None,
            },
        );
        self.after_client(id, Step::NOTHING, out);
        id
    }

    fn cancel_if_possible(&mut self, now: Instant, id: ClientTransactionId, out: &mut Vec<Output>) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let (Cancel::Wanted, ClientMachine::Invite(machine), Some(invite)) =
            (client.cancel, &mut client.machine, &client.invite)
        else {
            return;
        };
        if machine.is_unanswered() {
            return;
        }
        machine.cancelled(now, &self.timers);
        client.cancel = Cancel::Sent;
        let (flow, cancellation) = (client.flow, ack::cancellation(invite));
        self.start_client(now, flow, cancellation, Cancel::Itself, out);
        self.after_client(id, Step::NOTHING, out);
    }

    fn tick_client(
        &mut self,
        now: Instant,
        entry: Instant,
        id: ClientTransactionId,
        out: &mut Vec<Output>,
    ) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.queued != Some(entry) {
            return;
        }
        client.queued = None;
        let step = match &mut client.machine {
            ClientMachine::Invite(machine) => machine.tick(now),
            ClientMachine::NonInvite(machine) => machine.tick(now, &self.timers),
        };
        if step.send {
            out.push(Output::Send {
                flow: client.flow,
                bytes: client.bytes.clone(),
            });
        }
        if step.timed_out && client.cancel != Cancel::Itself {
            out.push(Output::TimedOut { id });
        }
        self.after_client(id, step, out);
    }

    fn tick_server(
        &mut self,
        now: Instant,
        entry: Instant,
        id: ServerTransactionId,
        out: &mut Vec<Output>,
    ) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        if server.queued != Some(entry) {
            return;
        }
        server.queued = None;
        let step = match &mut server.machine {
            ServerMachine::Invite(machine) => machine.tick(now, &self.timers),
            ServerMachine::NonInvite(machine) => machine.tick(now),
        };
        if step.send {
            out.push(Output::Send {
                flow: server.flow,
                bytes: server.bytes.clone(),
            });
        }
        if step.timed_out {
            out.push(Output::AckTimedOut { id });
        }
        self.after_server(id, step, out);
    }

    /// Ends the transaction, or queues its next timer.
    fn after_client(&mut self, id: ClientTransactionId, step: Step, out: &mut Vec<Output>) {
        if step.terminated {
            self.remove_client(id, out);
        } else if let Some(client) = self.clients.get_mut(&id) {
            let next = client.machine.running().next();
            self.deadlines
                .want(Owner::Client(id), next, &mut client.queued);
        }
    }

    fn after_server(&mut self, id: ServerTransactionId, step: Step, out: &mut Vec<Output>) {
        if step.terminated {
            if let Some(server) = self.servers.remove(&id) {
                self.server_keys.remove(&server.key);
                out.push(Output::ServerTerminated { id });
            }
        } else if let Some(server) = self.servers.get_mut(&id) {
            let next = server.machine.running().next();
            self.deadlines
                .want(Owner::Server(id), next, &mut server.queued);
        }
    }

    fn remove_client(&mut self, id: ClientTransactionId, out: &mut Vec<Output>) {
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        // Another transaction may have taken the key if its user gave a branch twice.
        if self.client_keys.get(&client.key) == Some(&id) {
            self.client_keys.remove(&client.key);
        }
        self.on_streams.remove(&(client.flow, id));
        if client.cancel != Cancel::Itself {
            out.push(Output::ClientTerminated { id });
        }
    }

    fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// Where the responses to `request` go (RFC 3261 18.2.2, RFC 3581 4): back over a stream; over UDP to the
/// source address, at the source port if the client asked so with `rport`, else at the port of sent-by.
/// `maddr` is not followed: it would let anybody point our answers at a third party.
pub(crate) fn reply_flow(flow: Flow, request: &Message) -> Flow {
    let via: Option<Via<'_>> = request.via().ok();
    match via {
        Some(via) if !flow.transport.is_reliable() && via.rport().is_none() => Flow {
            remote: SocketAddr::new(flow.remote.ip(), via.port_or_default()),
            ..flow
        },
        _ => flow,
    }
}

#[cfg(test)]
impl TransactionLayer {
    pub(super) fn client_keys_len(&self) -> usize {
        self.client_keys.len() + self.on_streams.len()
    }

    pub(super) fn deadlines_len(&self) -> usize {
        self.deadlines.len()
    }
}
