//! What the proxy shows the calls: the INVITE, and every response of it.

use std::collections::VecDeque;
use std::rc::Rc;

use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{ClientTransactionId, Flow, ServerTransactionId};
use tollwire_sip::{HeaderName, Message, Method};

use super::{CallEntry, Parties};
use crate::calls::{Call, CallEvent, CallNumber, Held, Side};
use crate::core::{Core, own_response};
use crate::dialog::Dialog;
use crate::effect::Effect;
use crate::proxy::{Supervision, session_timer};
use crate::sdp;
use crate::services::{Services, Target};

impl<S: Services> Core<S> {
    /// An INVITE that somebody pays for.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn begin_call(
        &mut self,
        now: Now,
        id: ServerTransactionId,
        flow: Flow,
        request: Message,
        identity: Box<str>,
        remaining: VecDeque<Vec<Target>>,
        breadth: u32,
        effects: &mut Vec<Effect>,
    ) {
        // Never a call without media control.
        if self.calls.len() >= self.policy.max_calls || !self.limiter_is_there {
            self.reply(now, id, &request, 503, "Service Unavailable");
            return;
        }
        let (Ok(from), Ok(call_id), Ok(sequence)) =
            (request.from(), request.call_id(), request.cseq())
        else {
            return;
        };
        let number = CallNumber(self.tokens.next());
        let halves = ((number.0 >> 32) as u32, number.0 as u32);
        let parties = Parties {
            call_id: call_id.into(),
            identity,
            calling: from.uri.into(),
            called: request.request_uri().unwrap_or_default().into(),
            caller_address: flow.remote.ip(),
            callee_address: None,
            invite_unix_ms: now.unix_ms,
            session: halves,
        };
        let entry = CallEntry {
            call: Call::new(number),
            parties: Rc::new(parties),
            caller_tag: from.tag().unwrap_or_default().into(),
            caller_flow: flow,
            callee_flow: None,
            dialog: None,
            candidate: None,
            early_sequences: (0, 0),
            invite: Some(id),
        };
        let event = CallEvent::Invited {
            sequence: sequence.number,
            offer: sdp::description(&request),
        };
        // 16.2: the caller hears within 200 ms that somebody works on it.
        let trying = own_response(&self.policy, &request, 100, "", None);
        self.respond(now, id, trying);
        self.counters.calls += 1;
        self.contexts.insert(
            id,
            crate::proxy::context(
                request,
                flow,
                remaining,
                Supervision::Setup(number),
                breadth,
            ),
        );
        self.calls.insert(entry);
        self.call_event(now, number, event, effects);
    }

    /// A provisional response above 100.
    pub(crate) fn pass_provisional(
        &mut self,
        now: Now,
        client: ClientTransactionId,
        server: ServerTransactionId,
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        let supervision = self
            .contexts
            .get(&server)
            .map_or(Supervision::None, |context| context.supervision);
        match supervision {
            Supervision::None => self.send_up(now, server, message),
            Supervision::Dialog(number, side) => {
                self.dialog_response(now, server, number, side, message, effects);
            }
            Supervision::Setup(number) => {
                let tag = callee_tag(&message);
                let body = sdp::description(&message);
                let reliable = message.lists(HeaderName::Require, "100rel");
                let held = self.keep_response(server, Some(client), None, message);
                let event = CallEvent::Provisional {
                    tag,
                    body,
                    reliable,
                    held,
                };
                self.call_event(now, number, event, effects);
            }
        }
    }

    /// The best of the final responses that are not 2xx.
    pub(crate) fn pass_final(
        &mut self,
        now: Now,
        server: ServerTransactionId,
        supervision: Supervision,
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        match supervision {
            Supervision::None => self.send_up(now, server, message),
            Supervision::Dialog(number, side) => {
                self.dialog_response(now, server, number, side, message, effects);
            }
            Supervision::Setup(number) => {
                let status = message.status().unwrap_or(500);
                let held = self.keep_response(server, None, None, message);
                self.call_event(now, number, CallEvent::Failed { status, held }, effects);
            }
        }
    }

    /// A 2xx, also one that is repeated or comes from another fork.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn pass_success(
        &mut self,
        now: Now,
        client: ClientTransactionId,
        server: ServerTransactionId,
        supervision: Supervision,
        flow: Option<Flow>,
        mut message: Message,
        effects: &mut Vec<Effect>,
    ) {
        match supervision {
            Supervision::None => self.send_up(now, server, message),
            Supervision::Dialog(number, side) => {
                self.dialog_response(now, server, number, side, message, effects);
            }
            Supervision::Setup(number) if self.calls.get(number).is_none() => {
                self.dismiss_late(now, client, flow, &message, effects);
            }
            Supervision::Setup(number) => {
                self.note_candidate(number, server, flow, &message);
                let tag = callee_tag(&message);
                let body = sdp::description(&message);
                self.keep_session_timer(number, server, &mut message);
                let session_expires = interval(&message);
                let held = self.keep_response(server, Some(client), flow, message);
                let event = CallEvent::Answered {
                    tag,
                    body,
                    session_expires,
                    held,
                };
                self.call_event(now, number, event, effects);
            }
        }
    }

    fn note_candidate(
        &mut self,
        number: CallNumber,
        server: ServerTransactionId,
        flow: Option<Flow>,
        message: &Message,
    ) {
        let Some(context) = self.contexts.get(&server) else {
            return;
        };
        let dialog = Dialog::from_answer(&context.request, message, |value| {
            self.own_route(value).is_some()
        });
        if let (Some(entry), Some(dialog)) = (self.calls.get_mut(number), dialog) {
            entry.candidate = Some((Box::new(dialog), flow));
        }
    }

    fn keep_session_timer(
        &self,
        number: CallNumber,
        server: ServerTransactionId,
        message: &mut Message,
    ) {
        let request = self.contexts.get(&server).map(|context| &context.request);
        let call = self.calls.get(number);
        let kept = call.and_then(|entry| entry.call.session_timer().interval());
        session_timer::keep(message, request, kept, &self.policy.settings);
    }

    /// A response to a request inside a call.
    fn dialog_response(
        &mut self,
        now: Now,
        server: ServerTransactionId,
        number: CallNumber,
        requester: Side,
        mut message: Message,
        effects: &mut Vec<Effect>,
    ) {
        let (Ok(sequence), Some(status)) = (message.cseq(), message.status()) else {
            return;
        };
        let from = requester.other();
        let Some(entry) = self.calls.get_mut(number) else {
            self.send_up(now, server, message);
            return;
        };
        let tag = match requester {
            Side::Caller => callee_tag(&message),
            Side::Callee => message
                .from()
                .ok()
                .and_then(|address| address.tag().map(Box::from))
                .unwrap_or_default(),
        };
        if let Some(dialog) = entry.dialog.as_mut() {
            dialog.note_response(from, &message);
        }
        let body = sdp::description(&message);
        if (200..300).contains(&status) {
            self.keep_session_timer(number, server, &mut message);
        }
        let session_expires = interval(&message);
        let method = sequence.method.clone();
        let held: Held = self.keep_response(server, None, None, message);
        let event = CallEvent::Response {
            from,
            tag,
            method,
            sequence: sequence.number,
            status,
            body,
            session_expires,
            held,
        };
        self.call_event(now, number, event, effects);
    }
}

fn callee_tag(response: &Message) -> Box<str> {
    response
        .to()
        .ok()
        .and_then(|address| address.tag().map(Box::from))
        .unwrap_or_default()
}

/// The session interval that a 2xx agrees to (RFC 4028 8.2).
fn interval(response: &Message) -> Option<u32> {
    let is_timed = matches!(response.method(), Method::Invite | Method::Update);
    let agreed = response.session_expires().ok().flatten();
    agreed.filter(|_| is_timed).map(|agreed| agreed.seconds)
}
