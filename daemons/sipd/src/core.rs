//! The core of `sipd`: events in, a list of effects out; no socket, no clock.
//!
//! ```text
//! Event::Message -> transactions -> proxy (request / response contexts) -> transactions -> Effect::Send
//!                                     |  ^
//!                     CallEvent, held |  | CallEffect: release, reject, bye...
//!                                     v  |
//! Event::Credit, Media... ------> supervision (calls) -------------------> Effect::Credit, Media, Journal
//! ```

use crate::calls::{CallEvent, CallNumber};
use crate::effect::Effect;
use crate::event::Event;
use crate::listeners::Listeners;
use crate::policy::Policy;
use crate::proxy::{ClientUse, Context};
use crate::services::Services;
use crate::supervision::{CallTable, HeldMessages};
use crate::token::Tokens;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;
use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{
    ClientTransactionId, Flow, Output, ServerTransactionId, TransactionLayer,
};
use tollwire_sip::{Message, Method};

/// Counters for the metrics page.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Requests received, retransmissions not counted.
    pub requests: u64,
    /// Calls begun.
    pub calls: u64,
    /// Calls answered.
    pub answered: u64,
    /// Messages dropped as strays.
    pub strays: u64,
    /// Malformed messages.
    pub malformed: u64,
}

/// The whole state of the daemon.
pub struct Core<S> {
    pub(crate) policy: Policy,
    pub(crate) listeners: Listeners,
    pub(crate) services: S,
    pub(crate) tokens: Tokens,
    pub(crate) layer: TransactionLayer,
    pub(crate) contexts: HashMap<ServerTransactionId, Context>,
    pub(crate) clients: HashMap<ClientTransactionId, ClientUse>,
    pub(crate) timer_c: BTreeSet<(Instant, ClientTransactionId)>,
    pub(crate) calls: CallTable,
    pub(crate) held: HeldMessages,
    pub(crate) counters: Counters,
    pub(crate) limiter_is_there: bool,
    outputs: VecDeque<Output>,
    scratch: Vec<Output>,
}

impl<S: Services> Core<S> {
    /// A core without calls.
    pub fn new(
        policy: Policy,
        listeners: Listeners,
        services: S,
        layer: TransactionLayer,
        seed: [u8; 32],
    ) -> Self {
        Self {
            policy,
            listeners,
            services,
            tokens: Tokens::new(seed),
            layer,
            contexts: HashMap::new(),
            clients: HashMap::new(),
            timer_c: BTreeSet::new(),
            calls: CallTable::default(),
            held: HeldMessages::default(),
            counters: Counters::default(),
            limiter_is_there: true,
            outputs: VecDeque::new(),
            scratch: Vec::new(),
        }
    }

    /// The one door.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Message { flow, message } => self.receive(now, flow, message, effects),
            Event::Malformed { flow, failure } => {
                self.counters.malformed += 1;
                if let Some(response) = failure.response() {
                    effects.push(Effect::Send {
                        flow,
                        bytes: response.to_bytes(),
                    });
                }
            }
            Event::FlowFailed(flow) => {
                self.with_layer(|layer, out| layer.transport_failed(now.instant, flow, out));
            }
            Event::Respond {
                transaction,
                response,
            } => self.respond(now, transaction, response),
            Event::Credit { call, answer } => {
                self.call_event(now, call, CallEvent::Credit(answer), effects);
            }
            Event::CreditFailed { call, failure } => {
                self.call_event(now, call, CallEvent::CreditFailed(failure), effects);
            }
            Event::Media { call, answer } => {
                self.call_event(now, call, CallEvent::Media(answer), effects);
            }
            Event::MediaClosed { call, usage } => {
                self.call_event(now, call, CallEvent::MediaClosed(usage), effects);
            }
            Event::MediaFailed { call, failure } => {
                self.call_event(now, call, CallEvent::MediaFailed(failure), effects);
            }
            Event::BearerLost {
                call,
                last_packet_unix_ms,
            } => {
                let event = CallEvent::BearerLost {
                    last_packet_unix_ms,
                };
                self.call_event(now, call, event, effects);
            }
            Event::OutOfCredit { call, usage } => {
                self.call_event(now, call, CallEvent::OutOfCredit { usage }, effects);
            }
            Event::Reauthorise(call) => self.call_event(now, call, CallEvent::Reauthorise, effects),
            Event::OperatorEnd(call) => self.call_event(now, call, CallEvent::OperatorEnd, effects),
            Event::Accounted { call, number } => {
                self.call_event(now, call, CallEvent::Accounted(number), effects);
            }
            Event::LimiterEnd(call) => self.call_event(now, call, CallEvent::LimiterEnd, effects),
            Event::Tick => self.tick(now, effects),
        }
        self.drain(now, effects);
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        [
            self.layer.next_deadline(),
            self.calls.next_deadline(),
            self.timer_c.first().map(|(deadline, _)| *deadline),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Calls, for the admin interface and the tests.
    pub fn calls(&self) -> &CallTable {
        &self.calls
    }

    /// Whether a call is known here.
    pub fn has_call(&self, number: CallNumber) -> bool {
        self.calls.get(number).is_some()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Messages kept back, response contexts, client transactions in use.
    pub fn load(&self) -> (usize, usize, usize) {
        (self.held.len(), self.contexts.len(), self.clients.len())
    }

    /// Client and server transactions at present.
    pub fn transactions(&self) -> (usize, usize) {
        self.layer.load()
    }

    /// Registrar, location and authentication.
    pub fn services_mut(&mut self) -> &mut S {
        &mut self.services
    }

    /// Whether the limiter can be asked: without it no call is begun.
    pub fn set_limiter(&mut self, is_there: bool) {
        self.limiter_is_there = is_there;
    }

    /// The configuration in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A call that an earlier process left in the journal goes on, or is ended.
    pub fn take_up(
        &mut self,
        now: Now,
        line: crate::journal::Remembered,
        effects: &mut Vec<Effect>,
    ) {
        let mut wanted = Vec::new();
        let Some(entry) = line.restore(&self.policy.settings, now, &mut wanted) else {
            return;
        };
        let number = entry.call.number();
        self.calls.insert(entry);
        self.calls.reschedule(number, &self.policy.settings);
        for effect in wanted {
            self.call_effect(now, number, effect, effects);
        }
        self.drain(now, effects);
    }

    /// Takes over a changed configuration; calls under way keep their grants.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The interval of interim accounting records that the server asks for.
    pub fn set_interim(&mut self, interim: Option<std::time::Duration>) {
        self.policy.settings.interim = interim;
    }

    pub(crate) fn with_layer<R>(
        &mut self,
        work: impl FnOnce(&mut TransactionLayer, &mut Vec<Output>) -> R,
    ) -> R {
        let result = work(&mut self.layer, &mut self.scratch);
        self.outputs.extend(self.scratch.drain(..));
        result
    }

    pub(crate) fn respond(&mut self, now: Now, id: ServerTransactionId, response: Message) {
        self.with_layer(|layer, out| layer.respond(now.instant, id, response, out));
    }

    fn receive(&mut self, now: Now, flow: Flow, mut message: Message, effects: &mut Vec<Effect>) {
        if message.is_request() {
            if message.via().is_err() {
                self.unroutable(flow, &message, effects);
                return;
            }
            // RFC 3261 18.2.1, RFC 3581 4.
            message.stamp_received(flow.remote);
        }
        self.with_layer(|layer, out| layer.receive(now.instant, flow, message, out));
    }

    /// A request whose Via names no transaction and nowhere to answer to: refused where it came from
    /// (RFC 4475 3.1.2.1), statelessly.
    fn unroutable(&mut self, flow: Flow, request: &Message, effects: &mut Vec<Effect>) {
        self.counters.malformed += 1;
        let refusal = request
            .check()
            .err()
            .filter(|_| *request.method() != Method::Ack)
            .and_then(|fault| fault.rejection().response(request));
        if let Some(response) = refusal {
            effects.push(Effect::Send {
                flow,
                bytes: response.to_bytes(),
            });
        }
    }

    fn drain(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some(output) = self.outputs.pop_front() {
            match output {
                Output::Send { flow, bytes } => effects.push(Effect::Send { flow, bytes }),
                Output::Request { id, flow, message } => {
                    self.counters.requests += 1;
                    self.new_request(now, id, flow, message, effects);
                }
                Output::Ack { flow, message } => self.acknowledge(now, flow, message, effects),
                Output::Cancel {
                    id,
                    invite,
                    message,
                    ..
                } => self.cancel_request(now, id, invite, &message, effects),
                Output::Response { id, message } => self.response(now, id, message, effects),
                Output::StrayResponse { .. } => {
                    // RFC 6026 8.9: a stray response is not forwarded.
                    self.counters.strays += 1;
                }
                Output::TimedOut { id } => self.branch_failed(now, id, 408, effects),
                Output::TransportFailed { id } => self.branch_failed(now, id, 503, effects),
                Output::ClientTerminated { id } => self.client_terminated(id),
                Output::ServerTerminated { id } => self.server_terminated(id),
                Output::AckTimedOut { .. } => {}
            }
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.with_layer(|layer, out| layer.tick(now.instant, out));
        self.drain(now, effects);
        while let Some((deadline, client)) = self.timer_c.first().copied() {
            if deadline > now.instant {
                break;
            }
            self.timer_c.remove(&(deadline, client));
            self.timer_c_fired(now, client, effects);
        }
        while let Some(number) = self.calls.due(now.instant) {
            self.call_event(now, number, CallEvent::Tick, effects);
        }
    }
}

/// A response of our own to `request`.
pub(crate) fn own_response(
    policy: &Policy,
    request: &Message,
    status: u16,
    reason: &str,
    retry_after: Option<u32>,
) -> Message {
    let mut builder = Message::response_to(request, status, reason);
    if status > 100 {
        builder = builder.stateless_to_tag();
    }
    if let Some(seconds) = retry_after {
        builder = builder.header(tollwire_sip::HeaderName::RetryAfter, &seconds.to_string());
    }
    if !policy.server.is_empty() {
        builder = builder.header(tollwire_sip::HeaderName::Server, &policy.server);
    }
    builder.build()
}

/// Whether a request of this method makes a dialog (RFC 3261 12.1, RFC 6665 4.4.1).
pub(crate) fn makes_dialog(method: &Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Subscribe | Method::Refer | Method::Notify
    )
}
