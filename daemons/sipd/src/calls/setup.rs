//! From the INVITE to the answer.

use super::account::ReportKind;
use super::call::{Leg, MAX_LEGS, MAX_WAITING, Purpose, Waiting};
use super::credit::{is_transient, result_code};
use super::ending::Bye;
use super::media::Timeout;
use super::{
    Call, CallEffect, Component, EarlyMedia, EndCause, Gate, Held, Negotiation, Phase, Settings,
};
use std::rc::Rc;
use std::time::Duration;
use tollwire_runtime::clock::Now;
use tollwire_sip::Method;
use tollwire_sip::sdp::SessionDescription;

use super::Side;

/// How far a call that nobody controls is opened ahead.
pub(super) const UNCONTROLLED_STEP: Duration = Duration::from_secs(60);

impl Call {
    pub(super) fn invited(
        &mut self,
        _settings: &Settings,
        _now: Now,
        sequence: u32,
        offer: Option<Box<SessionDescription>>,
        effects: &mut Vec<CallEffect>,
    ) {
        self.sequence = sequence;
        self.offer = offer.map(Rc::from);
        let order = self.credit.initial();
        // Before the request: a restart must find the reservation it may make.
        self.journal(effects);
        effects.push(CallEffect::Credit(order));
    }

    /// CCR-Initial was refused.
    pub(super) fn refuse(
        &mut self,
        settings: &Settings,
        now: Now,
        code: u32,
        effects: &mut Vec<CallEffect>,
    ) {
        let (status, reason) = match code {
            result_code::CREDIT_LIMIT_REACHED => (402, "Payment Required"),
            code if is_transient(code) => (503, "Service Unavailable"),
            _ => (403, "Forbidden"),
        };
        self.reject(settings, status, reason, effects);
        self.end(
            settings,
            now,
            now,
            EndCause::Rejected,
            None,
            Bye::NONE,
            effects,
        );
    }

    /// CCR-Initial got no answer.
    pub(super) fn unavailable(
        &mut self,
        settings: &Settings,
        now: Now,
        effects: &mut Vec<CallEffect>,
    ) {
        self.reject(settings, 503, "Service Unavailable", effects);
        self.end(
            settings,
            now,
            now,
            EndCause::NetworkFailure,
            None,
            Bye::NONE,
            effects,
        );
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn provisional(
        &mut self,
        settings: &Settings,
        now: Now,
        tag: Box<str>,
        body: Option<Box<SessionDescription>>,
        _reliable: bool,
        held: Held,
        effects: &mut Vec<CallEffect>,
    ) {
        if self.phase != Phase::Proceeding {
            // Late: the answer or the end is already under way.
            effects.push(CallEffect::Discard(held));
            return;
        }
        let sequence = self.sequence;
        let components = self.leg(&tag).and_then(|leg| {
            let agreed =
                leg.negotiation
                    .response(Side::Callee, &Method::Invite, sequence, 183, body);
            if agreed.is_some() {
                leg.components.clone_from(&agreed);
            }
            agreed
        });
        let moves = components.is_some();
        if let Some(components) = components {
            self.open_early(settings, now, &tag, components, effects);
        }
        self.pass_when_confirmed(held, moves, Purpose::Early, effects);
    }

    /// Early media of the first dialog that offers any: one caller hears one callee.
    pub(super) fn open_early(
        &mut self,
        settings: &Settings,
        now: Now,
        tag: &str,
        components: Vec<Component>,
        effects: &mut Vec<CallEffect>,
    ) {
        if settings.early_media == EarlyMedia::None {
            return;
        }
        let first = self.legs.iter().find(|leg| leg.components.is_some());
        if first.is_some_and(|leg| *leg.tag != *tag) {
            return;
        }
        let components = components
            .into_iter()
            .map(|component| early_gate(settings.early_media, component))
            .collect();
        if let Some(order) = self.media.want(
            now.instant,
            components,
            Timeout::After(settings.early_timeout),
            None,
        ) {
            effects.push(CallEffect::Media(order));
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn answer(
        &mut self,
        settings: &Settings,
        now: Now,
        tag: Box<str>,
        body: Option<Box<SessionDescription>>,
        session_expires: Option<u32>,
        held: Held,
        effects: &mut Vec<CallEffect>,
    ) {
        match self.phase {
            Phase::Proceeding if self.giving_up.is_none() => {}
            Phase::Answering if self.is_chosen(&tag) => {
                effects.push(CallEffect::Discard(held));
                return;
            }
            Phase::Established if self.is_chosen(&tag) => {
                effects.push(CallEffect::Release(held));
                return;
            }
            Phase::Ending | Phase::Closed if self.answered.is_some() && self.is_chosen(&tag) => {
                effects.push(CallEffect::AcknowledgeAgain(held));
                return;
            }
            Phase::Proceeding => {
                // CANCEL crossed the answer: the caller is told it was cancelled,
                // the callee that nobody is there.
                let cause = self.giving_up.unwrap_or(EndCause::Cancelled);
                self.dismiss(tag, held, effects);
                effects.push(CallEffect::Reject {
                    status: 487,
                    reason: "Request Terminated",
                    retry_after: None,
                });
                self.end(settings, now, now, cause, None, Bye::NONE, effects);
                return;
            }
            _ => {
                self.dismiss(tag, held, effects);
                return;
            }
        }
        let sequence = self.sequence;
        let agreed = self.leg(&tag).and_then(|leg| {
            leg.negotiation
                .response(Side::Callee, &Method::Invite, sequence, 200, body)
        });
        // One dialog is the call; the others' early state is of no more use.
        self.legs.retain(|leg| *leg.tag == *tag);
        if let Some(leg) = self.legs.first_mut()
            && agreed.is_some()
        {
            leg.components = agreed;
        }
        effects.push(CallEffect::Chosen { tag });
        self.phase = Phase::Answering;
        self.offer = None;
        self.session_timer.refresh(now.instant, session_expires);
        for waiting in std::mem::take(&mut self.waiting) {
            effects.push(match waiting.purpose {
                Purpose::Change => CallEffect::Release(waiting.held),
                Purpose::Early | Purpose::Answer => CallEffect::Discard(waiting.held),
            });
        }
        let Some(components) = self.leg_components() else {
            // The offer is in this 2xx or there are no streams: they come with the ACK.
            self.establish(settings, now, held, effects);
            return;
        };
        let granted = Timeout::After(Duration::from_secs(u64::from(self.credit.until())));
        if let Some(order) =
            self.media
                .want(now.instant, components, granted, self.credit.octet_quota())
        {
            effects.push(CallEffect::Media(order));
        }
        self.waiting.push(Waiting {
            held,
            revision: self.media.revision(),
            purpose: Purpose::Answer,
        });
    }

    /// The 2xx goes out: the grant counts from here.
    pub(super) fn establish(
        &mut self,
        settings: &Settings,
        now: Now,
        held: Held,
        effects: &mut Vec<CallEffect>,
    ) {
        self.phase = Phase::Established;
        self.setup_by = None;
        self.answered = Some(now);
        self.ack_by = Some(now.instant + settings.ack_timeout);
        self.credit.answered(now.instant, now.unix_ms);
        self.journal(effects);
        effects.push(CallEffect::Release(held));
        self.account(settings, now, now, ReportKind::Start, effects);
    }

    /// The best final response is not a 2xx.
    pub(super) fn failed(
        &mut self,
        settings: &Settings,
        now: Now,
        status: u16,
        held: Held,
        effects: &mut Vec<CallEffect>,
    ) {
        if self.phase != Phase::Proceeding {
            effects.push(CallEffect::Discard(held));
            return;
        }
        let cause = self.giving_up.unwrap_or(match status {
            408 | 480 | 487 => EndCause::NoAnswer,
            _ => EndCause::Rejected,
        });
        self.end(settings, now, now, cause, Some(held), Bye::NONE, effects);
    }

    /// The caller's CANCEL.
    pub(super) fn cancelled(
        &mut self,
        settings: &Settings,
        now: Now,
        effects: &mut Vec<CallEffect>,
    ) {
        match self.phase {
            Phase::Reserving => {
                effects.push(CallEffect::Reject {
                    status: 487,
                    reason: "Request Terminated",
                    retry_after: None,
                });
                self.end(
                    settings,
                    now,
                    now,
                    EndCause::Cancelled,
                    None,
                    Bye::NONE,
                    effects,
                );
            }
            Phase::Proceeding => {
                // The branches' own 487 is what the caller gets.
                self.giving_up = Some(EndCause::Cancelled);
                effects.push(CallEffect::CancelBranches);
            }
            Phase::Answering => self.abort(settings, now, EndCause::Cancelled, effects),
            // RFC 3261 9.2: too late.
            Phase::Established | Phase::Ending | Phase::Closed => {}
        }
    }

    /// Ends a call that was not answered yet, by ourselves.
    pub(super) fn abort(
        &mut self,
        settings: &Settings,
        now: Now,
        cause: EndCause,
        effects: &mut Vec<CallEffect>,
    ) {
        let (status, reason) = match cause {
            EndCause::Cancelled => (487, "Request Terminated"),
            EndCause::CreditExhausted => (402, "Payment Required"),
            EndCause::OperatorBlock => (403, "Forbidden"),
            EndCause::CalleeBye => (480, "Temporarily Unavailable"),
            _ => (503, "Service Unavailable"),
        };
        self.reject(settings, status, reason, effects);
        if self.phase == Phase::Proceeding {
            effects.push(CallEffect::CancelBranches);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting.purpose {
                Purpose::Answer => {
                    let tag = self.legs.first().map(|leg| leg.tag.clone());
                    self.dismiss(tag.unwrap_or_default(), waiting.held, effects);
                }
                Purpose::Change => effects.push(CallEffect::Release(waiting.held)),
                Purpose::Early => effects.push(CallEffect::Discard(waiting.held)),
            }
        }
        self.end(settings, now, now, cause, None, Bye::NONE, effects);
    }

    /// Lets a message pass once the limiter is where the call wants it.
    /// `moves`: its body moved the streams.
    pub(super) fn pass_when_confirmed(
        &mut self,
        held: Held,
        moves: bool,
        purpose: Purpose,
        effects: &mut Vec<CallEffect>,
    ) {
        let revision = self.media.revision();
        let ready = !moves || self.media.confirmed() >= revision;
        if (ready && self.waiting.is_empty()) || self.waiting.len() >= MAX_WAITING {
            effects.push(CallEffect::Release(held));
            return;
        }
        // Also what needs nothing waits behind what does: order is kept.
        self.waiting.push(Waiting {
            held,
            revision,
            purpose,
        });
    }

    fn reject(
        &self,
        settings: &Settings,
        status: u16,
        reason: &'static str,
        effects: &mut Vec<CallEffect>,
    ) {
        effects.push(CallEffect::Reject {
            status,
            reason,
            retry_after: (status == 503).then_some(settings.retry_after),
        });
    }

    fn dismiss(&mut self, tag: Box<str>, held: Held, effects: &mut Vec<CallEffect>) {
        if self.dismissed.contains(&tag) {
            effects.push(CallEffect::AcknowledgeAgain(held));
            return;
        }
        if self.dismissed.len() < MAX_LEGS {
            self.dismissed.push(tag);
        }
        effects.push(CallEffect::Dismiss(held));
    }

    fn is_chosen(&self, tag: &str) -> bool {
        self.legs.first().is_some_and(|leg| *leg.tag == *tag) && !self.is_dismissed(tag)
    }

    fn is_dismissed(&self, tag: &str) -> bool {
        self.dismissed.iter().any(|dismissed| **dismissed == *tag)
    }

    /// The dialog of this callee tag; `None` when there are too many.
    pub(super) fn leg(&mut self, tag: &str) -> Option<&mut Leg> {
        let position = self.legs.iter().position(|leg| *leg.tag == *tag);
        if let Some(position) = position {
            return self.legs.get_mut(position);
        }
        if self.legs.len() >= MAX_LEGS {
            return None;
        }
        self.legs.push(Leg {
            tag: tag.into(),
            negotiation: Negotiation::new(self.sequence, self.offer.clone()),
            components: None,
        });
        self.legs.last_mut()
    }
}

/// What of a stream may pass before the answer.
fn early_gate(policy: EarlyMedia, component: Component) -> Component {
    let gate = match (policy, component.gate) {
        (EarlyMedia::Both, gate) => gate,
        (_, Gate::Both | Gate::FromCallee) => Gate::FromCallee,
        (_, Gate::Removed) => Gate::Removed,
        (_, Gate::FromCaller | Gate::Shut) => Gate::Shut,
    };
    Component { gate, ..component }
}
