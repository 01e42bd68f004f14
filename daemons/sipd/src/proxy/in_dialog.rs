//! Requests inside dialogs made here, and ACK.

use super::context::Supervision;
use super::forward::{count_hop, next_hop};
use super::record_route::OwnRoute;
use super::request::context;
use crate::calls::{CallEvent, CallNumber, Side};
use crate::core::Core;
use crate::effect::Effect;
use crate::sdp;
use crate::services::Services;
use crate::supervision::HeldItem;
use std::collections::VecDeque;
use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{Flow, ServerTransactionId};
use tollwire_sip::{Message, Method};

impl<S: Services> Core<S> {
    /// A request whose Route names one of our calls.
    pub(crate) fn in_dialog(
        &mut self,
        now: Now,
        id: ServerTransactionId,
        flow: Flow,
        request: Message,
        number: CallNumber,
        effects: &mut Vec<Effect>,
    ) {
        let Some((from, tag)) = self.sender(number, &request) else {
            self.reply(now, id, &request, 481, "Call/Transaction Does Not Exist");
            return;
        };
        let (Ok(sequence), method) = (request.cseq(), request.method().clone()) else {
            return;
        };
        if let Some(entry) = self.calls.get_mut(number) {
            entry.note_request(from, &request);
        }
        let body = sdp::description(&request);
        self.contexts.insert(
            id,
            context(
                request,
                flow,
                VecDeque::new(),
                Supervision::Dialog(number, from),
                1,
            ),
        );
        let held = self.held.keep(HeldItem::Request { server: id });
        self.call_event(
            now,
            number,
            CallEvent::Request {
                from,
                tag,
                method,
                sequence: sequence.number,
                body,
                held,
            },
            effects,
        );
    }

    /// Sends a request of a dialog on, by its Route (16.12.1.2).
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn forward_in_dialog(
        &mut self,
        now: Now,
        id: ServerTransactionId,
        flow: Flow,
        request: Message,
        supervision: Supervision,
        known: Option<Flow>,
        effects: &mut Vec<Effect>,
    ) {
        self.contexts
            .insert(id, context(request, flow, VecDeque::new(), supervision, 1));
        self.forward_held_request(now, id, known, effects);
    }

    /// The copy of a request whose context stands already.
    pub(crate) fn forward_held_request(
        &mut self,
        now: Now,
        id: ServerTransactionId,
        known: Option<Flow>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(context) = self.contexts.get(&id) else {
            return;
        };
        let mut copy = context.request.clone();
        let next = next_hop(&mut copy);
        let hop = self
            .flow_for(&next, known)
            .and_then(|flow| self.listeners.of(&flow).map(|out| (flow, *out)));
        match hop {
            Some((flow, out)) => self.send_copy(now, id, copy, flow, &out, None),
            None => self.finish_context(now, id, effects),
        }
    }

    /// An ACK for a 2xx: belongs to no transaction, is routed like any
    /// request of its dialog and never answered.
    pub(crate) fn acknowledge(
        &mut self,
        now: Now,
        _flow: Flow,
        mut message: Message,
        effects: &mut Vec<Effect>,
    ) {
        if message.check().is_err() || message.max_forwards().ok().flatten() == Some(0) {
            self.counters.strays += 1;
            return;
        }
        let own = self.preprocess_route(&mut message);
        let Some(OwnRoute::Call(number)) = own else {
            self.counters.strays += 1;
            return;
        };
        let Some((from, tag)) = self.sender(number, &message) else {
            self.counters.strays += 1;
            return;
        };
        let Ok(sequence) = message.cseq() else {
            return;
        };
        let body = sdp::description(&message);
        let held = self.held.keep(HeldItem::Ack {
            call: number,
            from,
            message,
        });
        self.call_event(
            now,
            number,
            CallEvent::Request {
                from,
                tag,
                method: Method::Ack,
                sequence: sequence.number,
                body,
                held,
            },
            effects,
        );
    }

    /// Sends an ACK on.
    pub(crate) fn forward_ack(
        &mut self,
        now: Now,
        number: CallNumber,
        from: Side,
        mut message: Message,
        effects: &mut Vec<Effect>,
    ) {
        let known = self
            .calls
            .get(number)
            .and_then(|entry| entry.flow(from.other()));
        count_hop(&mut message);
        self.send_own(now, message, known, effects);
    }

    /// Which party of the call sent this, and the callee's tag in it.
    fn sender(&self, number: CallNumber, request: &Message) -> Option<(Side, Box<str>)> {
        let entry = self.calls.get(number)?;
        if request.call_id().ok()? != &*entry.parties.call_id {
            return None;
        }
        let from = request.from().ok()?.tag().unwrap_or_default();
        let to = request.to().ok()?.tag().unwrap_or_default();
        let (side, tag) = if from == &*entry.caller_tag {
            (Side::Caller, to)
        } else if to == &*entry.caller_tag {
            (Side::Callee, from)
        } else {
            return None;
        };
        // A confirmed dialog has one callee; the tags of others are not of this call.
        match &entry.dialog {
            Some(dialog) if *dialog.callee.tag != *tag => None,
            _ => Some((side, tag.into())),
        }
    }
}
