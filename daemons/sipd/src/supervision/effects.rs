//! What the calls want, done by the proxy, the links and the journal.

use std::rc::Rc;

use tollwire_runtime::clock::Now;
use tollwire_sip::Message;
use tollwire_sip::transaction::{ClientTransactionId, Flow, ServerTransactionId};

use super::{HeldItem, Parties};
use crate::calls::{CallEffect, CallEvent, CallNumber, EndCause, Held, Side};
use crate::core::{Core, own_response};
use crate::dialog::Dialog;
use crate::effect::Effect;
use crate::journal::Line;
use crate::services::Services;

impl<S: Services> Core<S> {
    /// Tells a call what happened, and does what it wants.
    pub(crate) fn call_event(
        &mut self,
        now: Now,
        number: CallNumber,
        event: CallEvent,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.calls.get_mut(number) else {
            self.orphan(now, event);
            return;
        };
        let mut wanted = Vec::new();
        entry
            .call
            .handle(&self.policy.settings, now, event, &mut wanted);
        self.calls.reschedule(number, &self.policy.settings);
        for effect in wanted {
            self.call_effect(now, number, effect, effects);
        }
    }

    /// Does what a call that was taken up again wants.
    pub(crate) fn call_effect(
        &mut self,
        now: Now,
        number: CallNumber,
        effect: CallEffect,
        effects: &mut Vec<Effect>,
    ) {
        match effect {
            CallEffect::Credit(order) => {
                if let Some(parties) = self.parties(number) {
                    effects.push(Effect::Credit {
                        call: number,
                        parties,
                        order,
                    });
                }
            }
            CallEffect::Media(order) => {
                if let Some(parties) = self.parties(number) {
                    effects.push(Effect::Media {
                        call: number,
                        parties,
                        order,
                    });
                }
            }
            CallEffect::Account(report) => {
                if let Some(parties) = self.parties(number) {
                    effects.push(Effect::Account {
                        call: number,
                        parties,
                        report,
                    });
                }
            }
            CallEffect::ForwardInvite => {
                if let Some(invite) = self.calls.get(number).and_then(|entry| entry.invite) {
                    self.forward_next_group(now, invite, effects);
                }
            }
            CallEffect::Reject {
                status,
                reason,
                retry_after,
            } => self.reject_invite(now, number, status, reason, retry_after),
            CallEffect::CancelBranches => {
                if let Some(invite) = self.calls.get(number).and_then(|entry| entry.invite) {
                    self.cancel_branches(now, invite);
                    // Where nothing was sent, nothing answers.
                    self.finish_context(now, invite, effects);
                }
            }
            CallEffect::Release(held) => self.release(now, number, held, effects),
            CallEffect::Discard(held) => drop(self.held.take(held)),
            CallEffect::Answer {
                held,
                status,
                reason,
            } => self.answer_held(now, held, status, reason),
            CallEffect::Dismiss(held) => self.dismiss(now, number, held, true, effects),
            CallEffect::AcknowledgeAgain(held) => self.dismiss(now, number, held, false, effects),
            CallEffect::Chosen { tag } => self.choose(number, &tag),
            CallEffect::Bye(side) => self.send_bye(now, number, side, effects),
            CallEffect::Journal => effects.push(Effect::Journal(number)),
            CallEffect::Closed => {
                effects.push(Effect::Closed(number));
                if let Some(entry) = self.calls.remove(number)
                    && let Some(invite) = entry.invite
                {
                    if let Some(context) = self.contexts.get_mut(&invite) {
                        context.holding = false;
                    }
                    self.drop_answered(invite);
                }
            }
        }
    }

    fn parties(&self, number: CallNumber) -> Option<Rc<Parties>> {
        self.calls.get(number).map(|entry| entry.parties.clone())
    }

    fn reject_invite(
        &mut self,
        now: Now,
        number: CallNumber,
        status: u16,
        reason: &str,
        retry_after: Option<u32>,
    ) {
        let Some(invite) = self.calls.get(number).and_then(|entry| entry.invite) else {
            return;
        };
        let Some(context) = self.contexts.get_mut(&invite) else {
            return;
        };
        context.answered = true;
        context.holding = false;
        context.remaining.clear();
        let response = own_response(&self.policy, &context.request, status, reason, retry_after);
        self.respond(now, invite, response);
        self.drop_answered(invite);
    }

    /// Forgets a context that nothing more will come of.
    fn drop_answered(&mut self, invite: ServerTransactionId) {
        let over = self
            .contexts
            .get(&invite)
            .is_some_and(|context| context.answered && context.is_done());
        if over {
            self.contexts.remove(&invite);
        }
    }

    fn release(&mut self, now: Now, number: CallNumber, held: Held, effects: &mut Vec<Effect>) {
        match self.held.take(held) {
            Some(HeldItem::Response {
                server, message, ..
            }) => {
                if message
                    .status()
                    .is_some_and(|status| (200..300).contains(&status))
                    && self.calls.get(number).and_then(|entry| entry.invite) == Some(server)
                {
                    self.counters.answered += 1;
                }
                let is_final = message.status().is_some_and(|status| status >= 200);
                self.send_up(now, server, message);
                if is_final && let Some(context) = self.contexts.get_mut(&server) {
                    context.answered = true;
                    context.holding = false;
                    self.drop_answered(server);
                }
            }
            Some(HeldItem::Request { server }) => {
                let known = self.contexts.get(&server).and_then(|context| {
                    let crate::proxy::Supervision::Dialog(number, from) = context.supervision
                    else {
                        return None;
                    };
                    self.calls.get(number)?.flow(from.other())
                });
                self.forward_held_request(now, server, known, effects);
            }
            Some(HeldItem::Ack {
                call,
                from,
                message,
            }) => self.forward_ack(now, call, from, message, effects),
            None => {}
        }
    }

    fn answer_held(&mut self, now: Now, held: Held, status: u16, reason: &str) {
        match self.held.take(held) {
            Some(HeldItem::Request { server }) => {
                if let Some(context) = self.contexts.remove(&server) {
                    self.reply(now, server, &context.request, status, reason);
                }
            }
            Some(HeldItem::Response { server, .. }) => {
                if let Some(context) = self.contexts.remove(&server) {
                    self.reply(now, server, &context.request, status, reason);
                }
            }
            // RFC 3261 17: an ACK is never answered.
            Some(HeldItem::Ack { .. }) | None => {}
        }
    }

    /// ACKs an unwanted 2xx, and at the first time ends its dialog.
    fn dismiss(
        &mut self,
        now: Now,
        number: CallNumber,
        held: Held,
        ends: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(HeldItem::Response {
            client,
            flow,
            message,
            ..
        }) = self.held.take(held)
        else {
            return;
        };
        let Some((dialog, known)) = self.dialog_of(number, &message) else {
            return;
        };
        self.end_unwanted(now, client, dialog, flow.or(known), ends, effects);
    }

    /// ACKs a 2xx of no use, and at the first time ends its dialog.
    fn end_unwanted(
        &mut self,
        now: Now,
        client: Option<ClientTransactionId>,
        mut dialog: Dialog,
        flow: Option<Flow>,
        ends: bool,
        effects: &mut Vec<Effect>,
    ) {
        self.send_own(now, dialog.ack(), flow, effects);
        let dismissed_before = client.is_some_and(|client| self.mark_dismissed(client));
        if ends && !dismissed_before {
            let bye = dialog.bye(Side::Callee, None);
            self.send_own(now, bye, flow, effects);
        }
    }

    /// A 2xx came for a call that is over: without ACK and BYE the callee would wait for the caller.
    pub(crate) fn dismiss_late(
        &mut self,
        now: Now,
        client: ClientTransactionId,
        flow: Option<Flow>,
        message: &Message,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(dialog) = self.dialog_from(message) {
            self.end_unwanted(now, Some(client), dialog, flow, true, effects);
        }
    }

    /// What the 2xx alone says of its dialog: enough to reach the callee.
    fn dialog_from(&self, message: &Message) -> Option<Dialog> {
        Dialog::from_answer(message, message, |value| self.own_route(value).is_some())
    }

    /// The dialog that a 2xx makes or made.
    fn dialog_of(&self, number: CallNumber, message: &Message) -> Option<(Dialog, Option<Flow>)> {
        let tag = message.to().ok()?.tag()?;
        let entry = self.calls.get(number)?;
        let candidate = entry
            .candidate
            .as_ref()
            .map(|(dialog, flow)| (&**dialog, *flow));
        let confirmed = entry
            .dialog
            .as_ref()
            .map(|dialog| (&**dialog, entry.callee_flow));
        [candidate, confirmed]
            .into_iter()
            .flatten()
            .find(|(dialog, _)| *dialog.callee.tag == *tag)
            .map(|(dialog, flow)| (dialog.clone(), flow))
            .or_else(|| Some((self.dialog_from(message)?, None)))
            .map(|(mut dialog, flow)| {
                entry.count_early_requests(&mut dialog);
                (dialog, flow)
            })
    }

    fn choose(&mut self, number: CallNumber, tag: &str) {
        let Some(entry) = self.calls.get_mut(number) else {
            return;
        };
        let Some((mut dialog, flow)) = entry.candidate.take() else {
            return;
        };
        if *dialog.callee.tag != *tag {
            return;
        }
        entry.count_early_requests(&mut dialog);
        entry.callee_flow = flow;
        Rc::make_mut(&mut entry.parties).callee_address = flow.map(|flow| flow.remote.ip());
        entry.dialog = Some(dialog);
    }

    fn send_bye(&mut self, now: Now, number: CallNumber, to: Side, effects: &mut Vec<Effect>) {
        let Some(entry) = self.calls.get_mut(number) else {
            return;
        };
        let reason = entry.call.end_cause().and_then(reason);
        let known = entry.flow(to);
        if let Some(dialog) = entry.dialog.as_mut() {
            let bye = dialog.bye(to, reason);
            self.send_own(now, bye, known, effects);
        }
    }

    /// A call as the journal would tell it now.
    pub fn journal_line(&self, number: CallNumber) -> Option<Line<'_>> {
        self.calls.get(number).map(Line::state)
    }

    /// Calls as the journal would tell them now.
    pub fn journal_lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.calls.iter().map(Line::state)
    }

    /// Something came for a call that is over: messages go on, so that no transaction hangs.
    fn orphan(&mut self, now: Now, event: CallEvent) {
        match event {
            CallEvent::Response { held, .. } | CallEvent::Failed { held, .. } => {
                if let Some(HeldItem::Response {
                    server, message, ..
                }) = self.held.take(held)
                {
                    self.send_up(now, server, message);
                }
            }
            CallEvent::Request { held, .. } => {
                self.answer_held(now, held, 481, "Call/Transaction Does Not Exist");
            }
            CallEvent::Provisional { held, .. } | CallEvent::Answered { held, .. } => {
                self.counters.strays += 1;
                self.held.take(held);
            }
            _ => {}
        }
    }
}

/// Why we end a call, for the parties (RFC 3326).
fn reason(cause: EndCause) -> Option<&'static str> {
    match cause {
        EndCause::CreditExhausted => Some("SIP;cause=402;text=\"Credit exhausted\""),
        EndCause::OperatorBlock => Some("SIP;cause=403;text=\"Ended by the operator\""),
        EndCause::LossOfBearer => Some("SIP;cause=503;text=\"No media\""),
        EndCause::SessionExpired => Some("SIP;cause=408;text=\"Session expired\""),
        EndCause::SupervisionExpired | EndCause::NetworkFailure => {
            Some("SIP;cause=503;text=\"Charging unavailable\"")
        }
        _ => None,
    }
}
