//! The state of one call, and the one door through which it hears things.

use super::account::{Account, ReportKind};
use super::credit::{CreditStep, earliest};
use super::ending::{Bye, Closing};
use super::media::Timeout;
use super::{
    CallEffect, CallEvent, CallNumber, Component, Credit, CreditAnswer, EndCause, Held,
    LinkFailure, Media, MediaAnswer, Negotiation, SessionTimer, Settings, Side,
};
use smallvec::SmallVec;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tollwire_runtime::clock::Now;
use tollwire_sip::sdp::SessionDescription;

/// Dialogs an INVITE may make before the answer: more forks are not told apart.
pub(super) const MAX_LEGS: usize = 16;

/// Messages of one call that may wait for the limiter at once.
pub(super) const MAX_WAITING: usize = 32;

/// Session-Timeout is in whole seconds, and the order to the limiter leaves
/// before the answer does: its end may lie this much before the grant's.
const LIMITER_GRAIN: Duration = Duration::from_secs(1);

/// Where a call is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// CCR-Initial is out, the INVITE waits.
    Reserving,
    /// The INVITE went out.
    Proceeding,
    /// A 2xx waits for the limiter.
    Answering,
    /// The 2xx went out.
    Established,
    /// Over; the limiter and the charging system are being told.
    Ending,
    /// Nothing is owed to anybody.
    Closed,
}

/// One dialog, early or confirmed.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    /// The callee's tag.
    pub(super) tag: Box<str>,
    pub(super) negotiation: Negotiation,
    /// Streams agreed last.
    pub(super) components: Option<Vec<Component>>,
}

/// Why a message waits for the limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A provisional response with an answer in it.
    Early,
    /// The 2xx that answers the call.
    Answer,
    /// A message that moves the streams of an answered call.
    Change,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) held: Held,
    pub(super) revision: u64,
    pub(super) purpose: Purpose,
}

/// A call under supervision.
#[derive(Debug)]
pub struct Call {
    pub(super) number: CallNumber,
    pub(super) phase: Phase,
    pub(super) credit: Credit,
    pub(super) media: Media,
    pub(super) sequence: u32,
    pub(super) offer: Option<Rc<SessionDescription>>,
    pub(super) legs: SmallVec<[Leg; 1]>,
    pub(super) waiting: SmallVec<[Waiting; 1]>,
    pub(super) dismissed: SmallVec<[Box<str>; 1]>,
    /// Set once the branches were told to give up.
    pub(super) giving_up: Option<EndCause>,
    pub(super) setup_by: Option<Instant>,
    pub(super) answered: Option<Now>,
    pub(super) ack_by: Option<Instant>,
    pub(super) session_timer: SessionTimer,
    pub(super) closing: Option<Box<Closing>>,
    pub(super) account: Account,
}

impl Call {
    /// A call whose INVITE has not been let pass.
    pub fn new(number: CallNumber) -> Self {
        Self {
            number,
            phase: Phase::Reserving,
            credit: Credit::new(),
            media: Media::new(),
            sequence: 0,
            offer: None,
            legs: SmallVec::new(),
            waiting: SmallVec::new(),
            dismissed: SmallVec::new(),
            giving_up: None,
            setup_by: None,
            answered: None,
            ack_by: None,
            session_timer: SessionTimer::default(),
            closing: None,
            account: Account::default(),
        }
    }

    /// Its number.
    pub fn number(&self) -> CallNumber {
        self.number
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When it was answered.
    pub fn answered(&self) -> Option<Now> {
        self.answered
    }

    /// Why it ended, once it did.
    pub fn end_cause(&self) -> Option<EndCause> {
        self.closing.as_ref().map(|closing| closing.cause)
    }

    /// Its credit-control state.
    pub fn credit(&self) -> &Credit {
        &self.credit
    }

    /// Its limiter state.
    pub fn media(&self) -> &Media {
        &self.media
    }

    /// Its session timer.
    pub fn session_timer(&self) -> &SessionTimer {
        &self.session_timer
    }

    /// When [`CallEvent::Tick`] is due.
    pub fn next_deadline(&self, settings: &Settings) -> Option<Instant> {
        let mut next = earliest(
            self.credit.next_deadline(settings.update_at_percent),
            self.media.next_deadline(),
        );
        next = earliest(next, self.ack_by);
        match self.phase {
            Phase::Reserving | Phase::Closed => {}
            Phase::Proceeding | Phase::Answering => next = earliest(next, self.setup_by),
            Phase::Established => {
                next = earliest(next, self.credit.expiry());
                next = earliest(next, self.session_timer.expires());
                next = earliest(next, self.limiter_dead());
                next = earliest(next, self.interim_due());
            }
            Phase::Ending => {
                let close_by = self.closing.as_ref().and_then(|closing| closing.close_by);
                next = earliest(next, close_by);
            }
        }
        next
    }

    /// The one door.
    pub fn handle(
        &mut self,
        settings: &Settings,
        now: Now,
        event: CallEvent,
        effects: &mut Vec<CallEffect>,
    ) {
        match event {
            CallEvent::Invited { sequence, offer } => {
                self.invited(settings, now, sequence, offer, effects);
            }
            CallEvent::Credit(answer) => self.credit_answered(settings, now, &answer, effects),
            CallEvent::CreditFailed(failure) => {
                self.credit_failed(settings, now, failure, effects);
            }
            CallEvent::Media(answer) => self.media_answered(settings, now, &answer, effects),
            CallEvent::MediaClosed(usage) => {
                self.media.handle_closed(usage);
                self.proceed(settings, now, effects);
            }
            CallEvent::MediaFailed(failure) => self.media_failed(settings, now, failure, effects),
            CallEvent::Provisional {
                tag,
                body,
                reliable,
                held,
            } => self.provisional(settings, now, tag, body, reliable, held, effects),
            CallEvent::Answered {
                tag,
                body,
                session_expires,
                held,
            } => self.answer(settings, now, tag, body, session_expires, held, effects),
            CallEvent::Failed { status, held } => {
                self.failed(settings, now, status, held, effects);
            }
            CallEvent::Cancelled => self.cancelled(settings, now, effects),
            CallEvent::Request {
                from,
                tag,
                method,
                sequence,
                body,
                held,
            } => self.request(
                settings, now, from, &tag, &method, sequence, body, held, effects,
            ),
            CallEvent::Response {
                from,
                tag,
                method,
                sequence,
                status,
                body,
                session_expires,
                held,
            } => {
                let response = super::dialog::DialogResponse {
                    from,
                    method,
                    sequence,
                    status,
                    body,
                    session_expires,
                    held,
                };
                self.response(settings, now, &tag, response, effects);
            }
            CallEvent::BearerLost {
                last_packet_unix_ms,
            } => self.bearer_lost(settings, now, last_packet_unix_ms, effects),
            CallEvent::OutOfCredit { usage } => self.out_of_credit(settings, now, usage, effects),
            CallEvent::Reauthorise => {
                if let Some(order) = self.credit.reauthorise(now.instant) {
                    effects.push(CallEffect::Credit(order));
                }
            }
            CallEvent::OperatorEnd => {
                self.force_end(settings, now, EndCause::OperatorBlock, effects)
            }
            CallEvent::LimiterEnd => {
                self.force_end(settings, now, EndCause::NetworkFailure, effects)
            }
            CallEvent::Accounted(number) => self.accounted(now, number, effects),
            CallEvent::Tick => self.tick(settings, now, effects),
        }
    }

    fn credit_answered(
        &mut self,
        settings: &Settings,
        now: Now,
        answer: &CreditAnswer,
        effects: &mut Vec<CallEffect>,
    ) {
        let (step, order) = self.credit.handle_answer(
            now.instant,
            answer,
            settings.default_grant_seconds,
            settings.retry_interval,
        );
        self.after_credit(settings, now, step, order, effects);
    }

    fn credit_failed(
        &mut self,
        settings: &Settings,
        now: Now,
        failure: LinkFailure,
        effects: &mut Vec<CallEffect>,
    ) {
        let (step, order) = self.credit.handle_failure(
            now.instant,
            failure == LinkFailure::Timeout,
            settings.retry_interval,
        );
        self.after_credit(settings, now, step, order, effects);
    }

    fn after_credit(
        &mut self,
        settings: &Settings,
        now: Now,
        step: CreditStep,
        order: Option<super::CreditOrder>,
        effects: &mut Vec<CallEffect>,
    ) {
        if let Some(order) = order {
            effects.push(CallEffect::Credit(order));
        }
        match (self.phase, step) {
            (Phase::Reserving, CreditStep::Granted) => {
                self.phase = Phase::Proceeding;
                self.setup_by = Some(now.instant + settings.setup_timeout);
                effects.push(CallEffect::ForwardInvite);
            }
            (Phase::Reserving, CreditStep::Refused(code)) => {
                self.refuse(settings, now, code, effects);
            }
            (Phase::Reserving, CreditStep::Unavailable) => {
                self.unavailable(settings, now, effects);
            }
            (Phase::Established, CreditStep::Granted) => {
                self.authorise(now, effects);
                self.journal(effects);
                self.account_renewal(settings, now, effects);
            }
            (Phase::Established, CreditStep::Uncontrolled) => {
                self.authorise(now, effects);
            }
            (
                Phase::Proceeding | Phase::Answering | Phase::Established,
                CreditStep::Exhausted(cause),
            ) => self.force_end(settings, now, cause, effects),
            (Phase::Ending, _) => {
                if self.credit.is_settled() {
                    self.close_if_settled(now, effects);
                } else {
                    self.journal(effects);
                }
            }
            _ => {}
        }
    }

    fn media_answered(
        &mut self,
        settings: &Settings,
        now: Now,
        answer: &MediaAnswer,
        effects: &mut Vec<CallEffect>,
    ) {
        match self.media.handle_answer(now.instant, answer) {
            Ok(order) => {
                if let Some(order) = order {
                    effects.push(CallEffect::Media(order));
                }
                self.release_confirmed(settings, now, effects);
            }
            Err(code) => self.media_refused(settings, now, code, effects),
        }
    }

    fn media_failed(
        &mut self,
        settings: &Settings,
        now: Now,
        failure: LinkFailure,
        effects: &mut Vec<CallEffect>,
    ) {
        let closing = self.media.handle_failure(
            now.instant,
            failure == LinkFailure::Timeout,
            settings.retry_interval,
        );
        if closing {
            self.proceed(settings, now, effects);
        } else {
            self.media_refused(settings, now, 0, effects);
        }
    }

    /// The limiter did not do what was asked.
    fn media_refused(
        &mut self,
        settings: &Settings,
        now: Now,
        code: u32,
        effects: &mut Vec<CallEffect>,
    ) {
        match self.phase {
            Phase::Proceeding | Phase::Answering => {
                self.abort(settings, now, EndCause::NetworkFailure, effects);
            }
            Phase::Established if self.waiting.is_empty() && self.media.confirmed() > 0 => {
                // A renewal: the kernel still lets the old grant pass.
                if code == super::credit::result_code::UNKNOWN_SESSION_ID {
                    self.media.abandon();
                }
                self.media.retry_at(now.instant + settings.retry_interval);
            }
            Phase::Established => {
                self.force_end(settings, now, EndCause::NetworkFailure, effects);
            }
            _ => self.close_if_settled(now, effects),
        }
    }

    /// Lets go of what waited for the limiter, in the order it came.
    fn release_confirmed(&mut self, settings: &Settings, now: Now, effects: &mut Vec<CallEffect>) {
        let confirmed = self.media.confirmed();
        while let Some(first) = self.waiting.first().copied() {
            if first.revision > confirmed {
                return;
            }
            self.waiting.remove(0);
            if first.purpose == Purpose::Answer {
                self.establish(settings, now, first.held, effects);
            } else {
                effects.push(CallEffect::Release(first.held));
                if self.phase == Phase::Established {
                    self.journal(effects);
                }
            }
        }
    }

    /// Tells the limiter the streams and the time granted.
    pub(super) fn authorise(&mut self, now: Now, effects: &mut Vec<CallEffect>) {
        let Some(components) = self.leg_components() else {
            return;
        };
        let timeout = match self.credit.expiry() {
            Some(at) => Timeout::At(at),
            // Uncontrolled: short renewals, so that a daemon that dies leaves no open gate.
            None => Timeout::At(now.instant + super::setup::UNCONTROLLED_STEP),
        };
        if let Some(order) =
            self.media
                .want(now.instant, components, timeout, self.credit.octet_quota())
        {
            effects.push(CallEffect::Media(order));
        }
    }

    pub(super) fn leg_components(&self) -> Option<Vec<Component>> {
        self.legs.first().and_then(|leg| leg.components.clone())
    }

    pub(super) fn leg_mut(&mut self, tag: &str) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| *leg.tag == *tag)
    }

    pub(super) fn journal(&self, effects: &mut Vec<CallEffect>) {
        effects.push(CallEffect::Journal);
    }

    fn tick(&mut self, settings: &Settings, now: Now, effects: &mut Vec<CallEffect>) {
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now.instant);
        match self.phase {
            Phase::Proceeding if passed(self.setup_by) => {
                self.setup_by = None;
                self.giving_up.get_or_insert(EndCause::NoAnswer);
                effects.push(CallEffect::CancelBranches);
            }
            Phase::Answering if passed(self.setup_by) => {
                self.setup_by = None;
                self.abort(settings, now, EndCause::NetworkFailure, effects);
            }
            Phase::Established => {
                if passed(self.credit.expiry()) {
                    let cause = if self.credit.is_final() {
                        EndCause::CreditExhausted
                    } else {
                        EndCause::SupervisionExpired
                    };
                    // After a restart the grant may have ended a while ago: so did the call, in the kernel.
                    let ended = self.grant_end(now);
                    self.end(settings, now, ended, cause, None, Bye::BOTH, effects);
                } else if passed(self.session_timer.expires()) {
                    self.force_end(settings, now, EndCause::SessionExpired, effects);
                } else if passed(self.ack_by) || passed(self.limiter_dead()) {
                    self.force_end(settings, now, EndCause::NetworkFailure, effects);
                }
            }
            Phase::Ending => {
                let closing = self.closing.as_mut();
                if closing.is_some_and(|closing| passed(closing.close_by)) {
                    self.stop_waiting_for_limiter(settings, now, effects);
                }
            }
            _ => {}
        }
        if passed(self.interim_due()) {
            self.account(settings, now, now, ReportKind::Interim, effects);
        }
        if passed(self.ack_by) {
            self.ack_by = None;
        }
        if let Some(order) = self.media.tick(now.instant) {
            effects.push(CallEffect::Media(order));
        }
        if self.phase != Phase::Closed
            && let Some(order) = self.credit.tick(now.instant, settings.update_at_percent)
        {
            effects.push(CallEffect::Credit(order));
            self.journal(effects);
        }
        if self.phase == Phase::Ending {
            self.close_if_settled(now, effects);
        }
    }

    /// When the grant ended, if it did; now at the latest.
    fn grant_end(&self, now: Now) -> Now {
        match (self.credit.expiry(), self.answered) {
            (Some(expiry), Some(answered)) if expiry < now.instant => {
                let after = expiry.saturating_duration_since(answered.instant);
                let after = i64::try_from(after.as_millis()).unwrap_or(0);
                Now {
                    instant: expiry,
                    unix_ms: answered.unix_ms.saturating_add(after).min(now.unix_ms),
                }
            }
            _ => now,
        }
    }

    /// When the kernel certainly shut although the grant goes on: renewals failed.
    fn limiter_dead(&self) -> Option<Instant> {
        let expires = self.media.expires().filter(|_| self.media.is_open())?;
        Some(expires + LIMITER_GRAIN)
    }

    /// How a BYE of `side` is recorded.
    pub(super) fn bye_cause(side: Side) -> EndCause {
        match side {
            Side::Caller => EndCause::CallerBye,
            Side::Callee => EndCause::CalleeBye,
        }
    }
}
