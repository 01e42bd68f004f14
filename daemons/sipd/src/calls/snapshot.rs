//! A call as it is kept across a restart.

use super::account::Account;
use super::credit::CreditSnapshot;
use super::ending::{Bye, Closing};
use super::{
    Call, CallEffect, CallNumber, Component, Credit, EndCause, Media, MediaUsage, Negotiation,
    Phase, SessionTimer, Settings,
};
use serde::{Deserialize, Serialize};
use smallvec::smallvec;
use std::time::{Duration, Instant};
use tollwire_runtime::clock::Now;

/// The part of a call that cannot be learnt again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSnapshot {
    credit: CreditSnapshot,
    /// CSeq of the INVITE.
    sequence: u32,
    /// The callee's tag.
    tag: Option<Box<str>>,
    components: Vec<Component>,
    limiter_expires_unix_ms: Option<i64>,
    octet_quota: Option<u64>,
    usage: MediaUsage,
    answer_unix_ms: Option<i64>,
    session_interval: Option<u32>,
    session_expires_unix_ms: Option<i64>,
    ended: Option<EndedSnapshot>,
    account: Account,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct EndedSnapshot {
    cause: EndCause,
    end_unix_ms: i64,
}

impl CallSnapshot {
    /// Accounting records that are not known to be on disk.
    pub fn owed(&self) -> usize {
        self.account.owed().len()
    }

    /// Whether the call was answered and had not ended.
    pub fn is_live(&self) -> bool {
        self.answer_unix_ms.is_some() && self.ended.is_none()
    }
}

impl Call {
    /// What a restart needs. Times are on the wall clock: they outlive the process.
    pub fn snapshot(&self) -> CallSnapshot {
        // The anchor between both clocks is the answer; before it no time is kept.
        let unix = |instant: Option<Instant>| {
            let answered = self.answered?;
            let after = instant?.saturating_duration_since(answered.instant);
            Some(answered.unix_ms + i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 2))
        };
        CallSnapshot {
            credit: self.credit.snapshot(),
            sequence: self.sequence,
            tag: self.legs.first().map(|leg| leg.tag.clone()),
            components: self.media.components().to_vec(),
            limiter_expires_unix_ms: unix(self.media.expires()),
            octet_quota: self.credit.octet_quota(),
            usage: self.media.usage(),
            answer_unix_ms: self.answered.map(|answered| answered.unix_ms),
            session_interval: self.session_timer.interval(),
            session_expires_unix_ms: unix(self.session_timer.expires()),
            ended: self.closing.as_ref().map(|closing| EndedSnapshot {
                cause: closing.cause,
                end_unix_ms: closing.ended.unix_ms,
            }),
            account: self.account.clone(),
        }
    }

    /// Takes a call up again after a restart. One whose grant still runs goes
    /// on; any other is ended: what it used is the smaller of granted and elapsed.
    pub fn restore(
        number: CallNumber,
        snapshot: CallSnapshot,
        settings: &Settings,
        now: Now,
        effects: &mut Vec<CallEffect>,
    ) -> Self {
        let at = |unix_ms: i64| instant_of(now, unix_ms);
        let live = snapshot.is_live();
        let mut call = Self::new(number);
        call.restore_account(settings, now, snapshot.account, effects);
        call.sequence = snapshot.sequence;
        call.answered = snapshot.answer_unix_ms.map(|unix_ms| Now {
            instant: at(unix_ms),
            unix_ms,
        });
        call.credit = Credit::restore(snapshot.credit, now.instant, now.unix_ms);
        call.media = Media::restore(
            // An order may have left after the last record: closing nothing is harmless.
            true,
            snapshot.components.clone(),
            snapshot.octet_quota,
            snapshot.limiter_expires_unix_ms.map(at),
            snapshot.usage,
        );
        if let Some(tag) = snapshot.tag {
            call.legs = smallvec![super::call::Leg {
                tag,
                negotiation: Negotiation::default(),
                components: (!snapshot.components.is_empty()).then_some(snapshot.components),
            }];
        }
        call.session_timer = SessionTimer::restore(
            snapshot.session_interval,
            snapshot.session_expires_unix_ms.map(at),
        );
        if live {
            call.phase = Phase::Established;
            return call;
        }
        call.credit.abandon_initial();
        let (cause, ended) = match snapshot.ended {
            Some(ended) => (
                ended.cause,
                Now {
                    instant: at(ended.end_unix_ms),
                    unix_ms: ended.end_unix_ms,
                },
            ),
            None => (EndCause::NetworkFailure, now),
        };
        call.credit.stop();
        if call.credit.has_termination() {
            // It was decided before: only the repetition is left.
            call.phase = Phase::Ending;
            call.closing = Some(Box::new(Closing {
                cause,
                ended,
                bye: Bye::NONE,
                held: None,
                close_by: None,
                told: true,
            }));
            if let Some(order) = call.media.close() {
                effects.push(CallEffect::Media(order));
            }
            call.close_if_settled(now, effects);
            return call;
        }
        // Whether the BYEs left before the crash is not known: one too many does no harm.
        let bye = if call.answered.is_some() {
            Bye::BOTH
        } else {
            Bye::NONE
        };
        call.end(settings, now, ended, cause, None, bye, effects);
        call
    }
}

/// A wall-clock time on the monotonic clock.
fn instant_of(now: Now, unix_ms: i64) -> Instant {
    let difference = unix_ms.saturating_sub(now.unix_ms);
    let distance = Duration::from_millis(difference.unsigned_abs());
    if difference >= 0 {
        now.instant + distance
    } else {
        now.instant.checked_sub(distance).unwrap_or(now.instant)
    }
}
