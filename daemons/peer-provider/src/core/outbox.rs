//! What a session has told, and has to tell.

use std::time::{Duration, Instant};

use tollwire_peer::{Cause, Measure};
use tollwire_runtime::clock::Now;

use super::Settings;
use super::effect::{Answer, Effect, Settled};
use super::session::{Session, State, pace};
use super::totals::{Totals, asks_at};

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// On its way to the disk.
    Storing,
    /// It could not be stored: again then.
    Unstored(Instant),
    /// To be sent, then at the earliest.
    Ready(Instant),
    /// Sent.
    Posted,
    /// Its answer is on its way to the disk.
    Settling,
}

#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    sequence: u64,
    is_final: bool,
    totals: Totals,
    replaces: Option<u64>,
    stage: Stage,
    tries: u32,
}

impl Outgoing {
    /// One that was stored before.
    pub(super) fn stored(sequence: u64, is_final: bool, totals: Totals, at: Instant) -> Self {
        Self {
            sequence,
            is_final,
            totals,
            replaces: None,
            stage: Stage::Ready(at),
            tries: 0,
        }
    }
}

impl Session {
    /// When something is to be done with messages that there are.
    pub(super) fn message_is_due(&self) -> Option<Instant> {
        let unstored = self
            .outbox
            .iter()
            .filter_map(|message| match message.stage {
                Stage::Unstored(then) => Some(then),
                _ => None,
            });
        let first = self.outbox.front().and_then(|message| match message.stage {
            Stage::Ready(then) => Some(then),
            _ => None,
        });
        unstored.chain(first).min()
    }

    /// Makes a message of what was used up to now: the final one, when the session is over.
    pub(super) fn message(
        &mut self,
        now: Instant,
        replaces: Option<u64>,
        effects: &mut Vec<Effect>,
    ) {
        self.sequence += 1;
        self.reported = self.used;
        self.messaged = now;
        let message = Outgoing {
            sequence: self.sequence,
            is_final: self.is_over(),
            totals: self.used,
            replaces,
            stage: Stage::Storing,
            tries: 0,
        };
        effects.push(self.stored(&message));
        self.outbox.push_back(message);
    }

    fn stored(&self, message: &Outgoing) -> Effect {
        Effect::Message {
            id: self.id.clone(),
            sequence: message.sequence,
            cause: self.cause().filter(|_| message.is_final),
            totals: message.totals,
            replaces: message.replaces,
        }
    }

    fn cause(&self) -> Option<Cause> {
        match self.state {
            State::Ended(cause) => Some(cause),
            _ => None,
        }
    }

    pub(super) fn message_stored(
        &mut self,
        now: Instant,
        settings: &Settings,
        sequence: u64,
        stored: bool,
        effects: &mut Vec<Effect>,
    ) {
        let id = self.id.clone();
        let Some(message) = self.outgoing(sequence) else {
            return;
        };
        if message.stage != Stage::Storing {
            return;
        }
        if !stored {
            message.stage = Stage::Unstored(now + settings.retry);
            return;
        }
        let (totals, replaces, is_final) = (message.totals, message.replaces, message.is_final);
        let wait = match replaces {
            // What was refused just now is not tried again at once.
            Some(_) => settings.longest_retry,
            None => Duration::ZERO,
        };
        message.stage = Stage::Ready(now + wait);
        if let Some(replaced) = replaces {
            self.outbox.retain(|it| it.sequence > replaced);
        }
        self.checkpoint_stored(totals, effects);
        if is_final {
            self.end_is_stored = true;
            effects.push(Effect::Changed { id });
        }
    }

    fn outgoing(&mut self, sequence: u64) -> Option<&mut Outgoing> {
        self.outbox.iter_mut().find(|it| it.sequence == sequence)
    }

    pub(super) fn answered(
        &mut self,
        now: Instant,
        settings: &Settings,
        sequence: u64,
        answer: Answer,
        effects: &mut Vec<Effect>,
    ) {
        let is_newest = self.outbox.back().map(|it| it.sequence) == Some(sequence);
        let Some(message) = self.outgoing(sequence) else {
            return;
        };
        if message.stage != Stage::Posted {
            return;
        }
        let is_final = message.is_final;
        let settled = match answer {
            Answer::Later => {
                message.tries = message.tries.saturating_add(1);
                message.stage = Stage::Ready(now + settings.pause(message.tries));
                return;
            }
            Answer::Never if is_newest => {
                message.stage = Stage::Settling;
                return self.message(now, Some(sequence), effects);
            }
            Answer::Acknowledged {
                granted,
                last,
                closed,
            } => Settled::Acknowledged {
                granted,
                last,
                closed,
            },
            Answer::Closed if is_final => Settled::GivenUp,
            Answer::Unknown => Settled::GivenUp,
            Answer::Never | Answer::Closed => Settled::Dropped,
        };
        message.stage = Stage::Settling;
        let over = answer_ends(&settled, is_final);
        effects.push(Effect::Settle {
            id: self.id.clone(),
            sequence,
            settled,
            is_done: over,
        });
        if matches!(answer, Answer::Closed) {
            self.end(now, Cause::Revoked, effects);
        }
    }

    pub(super) fn settled(
        &mut self,
        now: Instant,
        settings: &Settings,
        sequence: u64,
        settled: &Settled,
        stored: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(message) = self.outgoing(sequence) else {
            return;
        };
        let is_final = message.is_final;
        if !stored {
            // It is sent again, and answered as it was.
            message.stage = Stage::Ready(now + settings.retry);
            return;
        }
        self.outbox.retain(|it| it.sequence != sequence);
        if answer_ends(settled, is_final) {
            self.since = None;
            if !self.is_over() {
                self.state = State::Ended(Cause::Revoked);
            }
            self.end_is_stored = true;
            self.outbox.clear();
            let id = self.id.clone();
            effects.push(Effect::Changed { id: id.clone() });
            effects.push(Effect::Forget { id });
            return;
        }
        if let Settled::Acknowledged {
            granted,
            last,
            closed,
        } = settled
        {
            self.settle(now);
            self.granted = *granted;
            self.last = *last;
            self.heard = now;
            match closed {
                true => self.end(now, Cause::Revoked, effects),
                false => effects.push(Effect::Changed {
                    id: self.id.clone(),
                }),
            }
        }
    }

    /// What is due by now.
    pub(super) fn due(&mut self, now: Now, settings: &Settings, effects: &mut Vec<Effect>) {
        let at = now.instant;
        self.settle(at);
        if let Some(cause) = self.is_at_its_end(now, settings) {
            self.end(at, cause, effects);
        }
        if !self.is_over() && self.outbox.is_empty() && self.message_at(settings) <= at {
            self.message(at, None, effects);
        }
        let mut again = Vec::new();
        for message in &mut self.outbox {
            if let Stage::Unstored(then) = message.stage
                && then <= at
            {
                message.stage = Stage::Storing;
                again.push(message.clone());
            }
        }
        effects.extend(again.iter().map(|message| self.stored(message)));
        self.give_up(now, settings, effects);
        // In their order: each waits until those before it are acknowledged.
        if let Some(message) = self.outbox.front_mut()
            && let Stage::Ready(then) = message.stage
            && then <= at
        {
            message.stage = Stage::Posted;
            effects.push(Effect::Post {
                id: self.id.clone(),
                sequence: message.sequence,
            });
        }
        if self.checkpoint_is_due(at, settings) {
            self.checkpointing = true;
            self.checkpoint_at = at + settings.checkpoint;
            effects.push(Effect::Checkpoint {
                id: self.id.clone(),
                totals: self.used,
            });
        }
    }

    /// A manager that is gone for good is not told for ever.
    fn give_up(&mut self, now: Now, settings: &Settings, effects: &mut Vec<Effect>) {
        let lifetime_ms = self.terms.policies.not_after.saturating_mul(1_000);
        let patience_ms = i64::try_from(settings.give_up.as_millis()).unwrap_or(i64::MAX);
        if !self.is_over() || now.unix_ms < lifetime_ms.saturating_add(patience_ms) {
            return;
        }
        if let Some(message) = self.outbox.front_mut()
            && let Stage::Ready(then) = message.stage
            && then <= now.instant
        {
            message.stage = Stage::Settling;
            effects.push(Effect::Settle {
                id: self.id.clone(),
                sequence: message.sequence,
                settled: Settled::GivenUp,
                is_done: true,
            });
        }
    }

    /// When the next message is to be made: at the policy's pace, or before a grant is used up.
    pub(super) fn message_at(&self, settings: &Settings) -> Instant {
        let paced = self.messaged + pace(&self.terms.policies);
        let asked = self
            .asks_at()
            .map(|at| at.max(self.messaged + settings.retry));
        asked.map_or(paced, |asked| asked.min(paced))
    }

    /// When a grant will be so far used that more is asked for, as far as that can be told: now, or by time alone.
    fn asks_at(&self) -> Option<Instant> {
        if self.last {
            return None;
        }
        let crossed = |measure: Measure| {
            let (used, reported) = (self.used.get(measure), self.reported.get(measure));
            // One that was told to be used up was to be more by now.
            let limit = self.granted.get(measure);
            limit.is_some_and(|it| used >= it || (used > reported && used >= asks_at(it, reported)))
        };
        if Measure::ALL.into_iter().any(crossed) {
            return Some(self.messaged);
        }
        let (limit, since) = (self.granted.time_ms?, self.since?);
        let more = asks_at(limit, self.reported.time_ms).saturating_sub(self.used.time_ms);
        Some(since + Duration::from_millis(more))
    }
}

/// Whether nothing more of a session is to be told.
fn answer_ends(settled: &Settled, is_final: bool) -> bool {
    match settled {
        Settled::Acknowledged { .. } => is_final,
        Settled::GivenUp => true,
        Settled::Dropped => false,
    }
}
