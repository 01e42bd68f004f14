//! The end of a call: the limiter closes first, then the parties are told,
//! then the charging system is.

use super::call::Purpose;
use super::credit::Ending;
use super::{Call, CallEffect, EndCause, Held, MediaUsage, Phase, Settings, Side};
use std::time::{Duration, Instant};
use tollwire_runtime::clock::Now;

/// Who gets a BYE of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bye {
    pub(super) caller: bool,
    pub(super) callee: bool,
}

impl Bye {
    /// Nobody: there is no confirmed dialog, or a party's own BYE goes on.
    pub(super) const NONE: Self = Self {
        caller: false,
        callee: false,
    };
    /// Both.
    pub(super) const BOTH: Self = Self {
        caller: true,
        callee: true,
    };
}

/// What is left to do for a call that is over.
#[derive(Debug, Clone)]
pub(super) struct Closing {
    pub(super) cause: EndCause,
    pub(super) ended: Now,
    pub(super) bye: Bye,
    /// The BYE or final response that goes on once the limiter is closed.
    pub(super) held: Option<Held>,
    /// When it goes on anyway.
    pub(super) close_by: Option<Instant>,
    /// The parties were told.
    pub(super) told: bool,
}

impl Call {
    /// Ends the call. `ended` is when its use ended, which may lie in the past.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn end(
        &mut self,
        settings: &Settings,
        now: Now,
        ended: Now,
        cause: EndCause,
        held: Option<Held>,
        bye: Bye,
        effects: &mut Vec<CallEffect>,
    ) {
        self.phase = Phase::Ending;
        self.credit.stop();
        let close = self.media.close();
        let waits = close.is_some();
        if let Some(order) = close {
            effects.push(CallEffect::Media(order));
        }
        // What waited for the limiter goes to nobody who could use it, but a
        // request or response kept back would leave a transaction hanging.
        for waiting in std::mem::take(&mut self.waiting) {
            effects.push(match waiting.purpose {
                Purpose::Change => CallEffect::Release(waiting.held),
                Purpose::Early | Purpose::Answer => CallEffect::Discard(waiting.held),
            });
        }
        self.closing = Some(Box::new(Closing {
            cause,
            ended,
            bye,
            held,
            close_by: waits.then_some(now.instant + settings.close_deadline),
            told: false,
        }));
        self.setup_by = None;
        self.offer = None;
        self.journal(effects);
        if !waits {
            self.proceed(settings, now, effects);
        }
    }

    /// The daemon, the limiter or the charging system ends the call, in whatever phase it is.
    pub(super) fn force_end(
        &mut self,
        settings: &Settings,
        now: Now,
        cause: EndCause,
        effects: &mut Vec<CallEffect>,
    ) {
        match self.phase {
            Phase::Reserving | Phase::Proceeding | Phase::Answering => {
                self.abort(settings, now, cause, effects);
            }
            Phase::Established => self.end(settings, now, now, cause, None, Bye::BOTH, effects),
            Phase::Ending | Phase::Closed => {}
        }
    }

    /// The limiter heard nothing for a while: what was used ended with the last packet.
    pub(super) fn bearer_lost(
        &mut self,
        settings: &Settings,
        now: Now,
        last_packet_unix_ms: Option<i64>,
        effects: &mut Vec<CallEffect>,
    ) {
        let Some(answered) = self.answered.filter(|_| self.phase == Phase::Established) else {
            self.force_end(settings, now, EndCause::LossOfBearer, effects);
            return;
        };
        let unix_ms = last_packet_unix_ms
            .unwrap_or(now.unix_ms)
            .clamp(answered.unix_ms, now.unix_ms.max(answered.unix_ms));
        let ago = u64::try_from(now.unix_ms.saturating_sub(unix_ms)).unwrap_or(0);
        let instant = now
            .instant
            .checked_sub(Duration::from_millis(ago))
            .unwrap_or(now.instant)
            .max(answered.instant);
        let ended = Now { instant, unix_ms };
        self.end(
            settings,
            now,
            ended,
            EndCause::LossOfBearer,
            None,
            Bye::BOTH,
            effects,
        );
    }

    /// The limiter's timeout or quota is spent.
    pub(super) fn out_of_credit(
        &mut self,
        settings: &Settings,
        now: Now,
        usage: MediaUsage,
        effects: &mut Vec<CallEffect>,
    ) {
        self.media.note_usage(usage);
        if self.phase != Phase::Established {
            return;
        }
        if self.credit.is_final() {
            self.force_end(settings, now, EndCause::CreditExhausted, effects);
        } else if let Some(order) = self.credit.reauthorise(now.instant) {
            effects.push(CallEffect::Credit(order));
            self.journal(effects);
        }
    }

    /// The limiter's answer takes too long: the parties are told all the same.
    pub(super) fn stop_waiting_for_limiter(
        &mut self,
        settings: &Settings,
        now: Now,
        effects: &mut Vec<CallEffect>,
    ) {
        self.proceed(settings, now, effects);
    }

    /// The limiter is closed, or as good as: tells the parties, then the charging system.
    pub(super) fn proceed(&mut self, settings: &Settings, now: Now, effects: &mut Vec<CallEffect>) {
        let Some(closing) = self.closing.as_mut().filter(|closing| !closing.told) else {
            self.close_if_settled(now, effects);
            return;
        };
        closing.told = true;
        closing.close_by = None;
        if let Some(held) = closing.held.take() {
            effects.push(CallEffect::Release(held));
        }
        if closing.bye.callee {
            effects.push(CallEffect::Bye(Side::Callee));
        }
        if closing.bye.caller {
            effects.push(CallEffect::Bye(Side::Caller));
        }
        let ending = Ending {
            cause: closing.cause,
            end_unix_ms: closing.ended.unix_ms,
        };
        let ended = closing.ended;
        let usage = self.media.usage();
        let order = self.credit.terminate(
            now.instant,
            ended.instant,
            ending,
            (usage.from_caller, usage.to_caller),
        );
        if let Some(order) = order {
            // A restart repeats the very same request.
            self.journal(effects);
            effects.push(CallEffect::Credit(order));
        }
        self.account_end(settings, now, ended, effects);
        self.close_if_settled(now, effects);
    }

    pub(super) fn close_if_settled(&mut self, now: Now, effects: &mut Vec<CallEffect>) {
        let told = self.closing.as_ref().is_some_and(|closing| closing.told);
        let acknowledged = self.ack_by.is_none_or(|by| by <= now.instant);
        if self.phase == Phase::Ending
            && told
            && acknowledged
            && self.credit.is_settled()
            && self.media.is_settled()
            && self.account.is_settled()
        {
            self.phase = Phase::Closed;
            effects.push(CallEffect::Closed);
        }
    }
}
