//! Requests and responses inside the call's dialog.

use super::call::Purpose;
use super::ending::Bye;
use super::{Call, CallEffect, EndCause, Held, Phase, Settings, Side};
use tollwire_runtime::clock::Now;
use tollwire_sip::Method;
use tollwire_sip::sdp::SessionDescription;

/// A response inside a dialog.
pub(super) struct DialogResponse {
    pub(super) from: Side,
    pub(super) method: Method,
    pub(super) sequence: u32,
    pub(super) status: u16,
    pub(super) body: Option<Box<SessionDescription>>,
    pub(super) session_expires: Option<u32>,
    pub(super) held: Held,
}

impl Call {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn request(
        &mut self,
        settings: &Settings,
        now: Now,
        from: Side,
        tag: &str,
        method: &Method,
        sequence: u32,
        body: Option<Box<SessionDescription>>,
        held: Held,
        effects: &mut Vec<CallEffect>,
    ) {
        match method {
            Method::Bye => {
                self.bye(settings, now, from, tag, held, effects);
                return;
            }
            Method::Ack if from == Side::Caller && sequence == self.sequence => {
                self.ack_by = None;
            }
            _ => {}
        }
        if matches!(self.phase, Phase::Ending | Phase::Closed) {
            // BYE crossed a re-INVITE: no dialog is left to change.
            if *method == Method::Ack {
                effects.push(CallEffect::Release(held));
                self.close_if_settled(now, effects);
            } else {
                effects.push(CallEffect::Answer {
                    held,
                    status: 481,
                    reason: "Call/Transaction Does Not Exist",
                });
            }
            return;
        }
        let agreed = self
            .leg_mut(tag)
            .and_then(|leg| leg.negotiation.request(from, method, sequence, body));
        self.apply(settings, now, tag, agreed, held, effects);
    }

    pub(super) fn response(
        &mut self,
        settings: &Settings,
        now: Now,
        tag: &str,
        response: DialogResponse,
        effects: &mut Vec<CallEffect>,
    ) {
        let DialogResponse {
            from,
            method,
            sequence,
            status,
            body,
            session_expires,
            held,
        } = response;
        if matches!(self.phase, Phase::Ending | Phase::Closed) {
            effects.push(CallEffect::Release(held));
            return;
        }
        if (200..300).contains(&status) && matches!(method, Method::Invite | Method::Update) {
            self.session_timer.refresh(now.instant, session_expires);
        }
        let agreed = self.leg_mut(tag).and_then(|leg| {
            leg.negotiation
                .response(from, &method, sequence, status, body)
        });
        self.apply(settings, now, tag, agreed, held, effects);
    }

    /// Moves the pinholes to what was agreed, and lets the message pass after that.
    fn apply(
        &mut self,
        settings: &Settings,
        now: Now,
        tag: &str,
        agreed: Option<Vec<super::Component>>,
        held: Held,
        effects: &mut Vec<CallEffect>,
    ) {
        let moves = agreed.is_some();
        if let Some(components) = agreed {
            if let Some(leg) = self.leg_mut(tag) {
                leg.components = Some(components.clone());
            }
            if self.phase == Phase::Established {
                self.authorise(now, effects);
            } else {
                self.open_early(settings, now, tag, components, effects);
            }
        }
        self.pass_when_confirmed(held, moves, Purpose::Change, effects);
    }

    fn bye(
        &mut self,
        settings: &Settings,
        now: Now,
        from: Side,
        tag: &str,
        held: Held,
        effects: &mut Vec<CallEffect>,
    ) {
        match self.phase {
            Phase::Established => {
                let cause = Self::bye_cause(from);
                self.end(settings, now, now, cause, Some(held), Bye::NONE, effects);
            }
            // RFC 3261 15: a caller may end an early dialog so; the INVITE then gets its own answer.
            Phase::Reserving | Phase::Proceeding => effects.push(CallEffect::Release(held)),
            Phase::Answering => {
                effects.push(CallEffect::Answer {
                    held,
                    status: 200,
                    reason: "OK",
                });
                if self.leg_mut(tag).is_some() {
                    let cause = match from {
                        Side::Caller => EndCause::Cancelled,
                        Side::Callee => EndCause::CalleeBye,
                    };
                    self.abort(settings, now, cause, effects);
                }
            }
            // The other side's BYE, or ours, is on its way: both mean the same.
            Phase::Ending | Phase::Closed => effects.push(CallEffect::Answer {
                held,
                status: 200,
                reason: "OK",
            }),
        }
    }
}
