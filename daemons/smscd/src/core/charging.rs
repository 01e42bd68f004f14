//! Reservations before a delivery; debits and releases after its end is stored.

use tollwire_runtime::clock::Now;

use super::Core;
use super::finish::Ending;
use super::stored::Pending;
use crate::credit::{self, Settling};
use crate::effect::Effect;
use crate::entry::{Cause, Entry};
use crate::event::{CreditAction, CreditAnswer, CreditResult};
use crate::message::{MessageId, MessageState};
use crate::queue::{Phase, Slot};
use crate::retry;

/// Pause in which nothing is asked after credit control was away.
const AWAY_PAUSE_MS: i64 = 1000;
/// Pause while too many questions are under way.
const BUSY_PAUSE_MS: i64 = 1000;

impl Core {
    /// Whether another question to credit control may be under way.
    pub(super) fn may_ask(&self) -> bool {
        self.credit_in_flight < self.settings.limits.max_credit_requests.max(1)
    }

    /// Whether credit control was away just now.
    pub(super) fn credit_is_away(&self, now: Now) -> bool {
        // Farther ahead it is only if the clock was set back.
        (1..=AWAY_PAUSE_MS).contains(&self.credit_paused_until.saturating_sub(now.unix_ms))
    }

    pub(super) fn account(&self, submitter: &str) -> Option<&str> {
        let peer = self.esmes.get(submitter)?;
        self.peers.get(*peer as usize)?.esme()?.account.as_deref()
    }

    /// Asks for the price of a message that was taken from the queue.
    pub(super) fn reserve(&mut self, slot: Slot, effects: &mut Vec<Effect>) {
        let Some(item) = self.queue.item(slot) else {
            return;
        };
        let request = credit::request(
            CreditAction::Reserve,
            &item.message,
            item.progress.reservation,
            item.message.accepted_unix_ms,
            self.account(&item.message.submitter),
            item.maybe_reserved,
        );
        let Some(request) = request else {
            return;
        };
        if let Some(item) = self.queue.item_mut(slot) {
            item.phase = Phase::Reserving;
            // From here on it is not known whether money is held, until the answer comes.
            item.maybe_reserved = true;
        }
        self.credit_in_flight += 1;
        effects.push(Effect::Credit(request));
    }

    pub(super) fn credit_answered(
        &mut self,
        now: Now,
        answer: CreditAnswer,
        effects: &mut Vec<Effect>,
    ) {
        self.credit_in_flight = self.credit_in_flight.saturating_sub(1);
        if answer.result == CreditResult::Unavailable {
            self.credit_paused_until = now.unix_ms.saturating_add(AWAY_PAUSE_MS);
        }
        for target in std::mem::take(&mut self.credit_blocked) {
            self.mark_target(target);
        }
        match answer.action {
            CreditAction::Reserve => self.reservation_answered(now, answer, effects),
            CreditAction::Renew => self.renewal_answered(now, answer),
            CreditAction::Debit | CreditAction::Release => {
                self.settlement_answered(now, answer, effects);
            }
        }
    }

    fn reservation_answered(&mut self, now: Now, answer: CreditAnswer, effects: &mut Vec<Effect>) {
        let Some(slot) = self.queue.find(answer.message) else {
            return;
        };
        let Some(item) = self.queue.item_mut(slot) else {
            return;
        };
        if item.phase != Phase::Reserving || item.progress.reservation != answer.reservation {
            return;
        }
        match answer.result {
            CreditResult::Granted => {
                item.reserved_at = Some(now.unix_ms);
                item.credit_failures = 0;
                self.queue.put_back(now.unix_ms, slot);
                self.mark_slot_target(slot);
            }
            CreditResult::Refused(result_code) => {
                item.maybe_reserved = false;
                self.counters.credit_refused += 1;
                self.finish(
                    now,
                    slot,
                    Ending {
                        state: MessageState::Rejected,
                        cause: Cause::CreditRefused,
                        status: result_code,
                    },
                    None,
                    effects,
                );
            }
            CreditResult::UnknownSession => {
                // The reservation of before the crash is over: a new one needs a new name, which must be stored
                // before it is used.
                item.progress.reservation = item.progress.reservation.saturating_add(1);
                item.maybe_reserved = false;
                let id = item.message.id;
                let progress = item.progress.clone();
                self.store(
                    Entry::Progress { id, progress },
                    Pending::Progress {
                        id,
                        release: None,
                        resume: true,
                    },
                    effects,
                );
            }
            CreditResult::Unavailable => self.wait_for_credit(now, slot),
        }
    }

    /// A message that was taken from the queue waits until credit control may be there.
    pub(super) fn wait_for_credit(&mut self, now: Now, slot: Slot) {
        let Some(item) = self.queue.item_mut(slot) else {
            return;
        };
        item.credit_failures = item.credit_failures.saturating_add(1);
        let pause = retry::pause(&self.settings.retry.charging, item.credit_failures);
        item.progress.next_attempt_unix_ms = now.unix_ms.saturating_add(pause);
        self.queue.put_back(now.unix_ms, slot);
        self.mark_slot_target(slot);
    }

    /// The price of a message that an upstream has is held for longer.
    pub(super) fn renew(&mut self, now: Now, slot: Slot, effects: &mut Vec<Effect>) {
        let Some(item) = self.queue.item(slot) else {
            return;
        };
        let request = credit::request(
            CreditAction::Renew,
            &item.message,
            item.progress.reservation,
            now.unix_ms,
            self.account(&item.message.submitter),
            false,
        );
        if self.may_ask() {
            if let Some(request) = request {
                self.credit_in_flight += 1;
                effects.push(Effect::Credit(request));
            }
            self.time_receipt(slot, now.unix_ms);
        } else {
            self.time_receipt(
                slot,
                now.unix_ms
                    .saturating_sub(self.renewal_ms())
                    .saturating_add(BUSY_PAUSE_MS),
            );
        }
    }

    /// How long after a reservation it is renewed.
    pub(super) fn renewal_ms(&self) -> i64 {
        self.settings.timers.credit_hold_ms.max(1000)
    }

    fn renewal_answered(&mut self, now: Now, answer: CreditAnswer) {
        let Some(slot) = self.queue.find(answer.message) else {
            return;
        };
        let Some(item) = self.queue.item_mut(slot) else {
            return;
        };
        if item.phase != Phase::AwaitingReceipt || item.progress.reservation != answer.reservation {
            return;
        }
        match answer.result {
            CreditResult::Granted => item.reserved_at = Some(now.unix_ms),
            CreditResult::Unavailable => {
                item.credit_failures = item.credit_failures.saturating_add(1);
                let pause = retry::pause(&self.settings.retry.charging, item.credit_failures);
                let renewal = self.renewal_ms();
                self.time_receipt(
                    slot,
                    now.unix_ms.saturating_sub(renewal).saturating_add(pause),
                );
            }
            // The money is no longer held, and the message cannot be called back: the debit will say whether it is owed.
            CreditResult::Refused(_) | CreditResult::UnknownSession => {
                self.counters.renewals_refused += 1;
            }
        }
    }

    fn settlement_answered(&mut self, now: Now, answer: CreditAnswer, effects: &mut Vec<Effect>) {
        let (id, reservation) = (answer.message, answer.reservation);
        if answer.result == CreditResult::Unavailable {
            let asked = self.settlements.asked(id, reservation);
            let pause = retry::pause(&self.settings.retry.charging, asked);
            self.settlements
                .ask_again(id, reservation, now.unix_ms.saturating_add(pause));
            return;
        }
        let Some(settling) = self.settlements.answered(id, reservation) else {
            return;
        };
        if settling.debit && answer.result != CreditResult::Granted {
            self.counters.debits_refused += 1;
        }
        if settling.last {
            self.store(Entry::Settled { id }, Pending::Settled { id }, effects);
        }
    }

    /// Asks for what is to be settled, as far as there is room.
    pub(super) fn settle(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while self.may_ask() && !self.credit_is_away(now) {
            let Some((reservation, settling)) = self.settlements.take_ready() else {
                return;
            };
            settling.asked = settling.asked.saturating_add(1);
            let action = if settling.debit {
                CreditAction::Debit
            } else {
                CreditAction::Release
            };
            let repeated = settling.repeated || settling.asked > 1;
            let message = settling.message.clone();
            let at_unix_ms = settling.at_unix_ms;
            let account = self.account(&message.submitter);
            if let Some(request) =
                credit::request(action, &message, reservation, at_unix_ms, account, repeated)
            {
                self.credit_in_flight += 1;
                effects.push(Effect::Credit(request));
            } else if let Some(settling) = self.settlements.answered(message.id, reservation)
                && settling.last
            {
                let id = message.id;
                self.store(Entry::Settled { id }, Pending::Settled { id }, effects);
            }
        }
    }

    /// Where a message stands is stored.
    pub(super) fn progress_stored(
        &mut self,
        now: Now,
        id: MessageId,
        release: Option<u32>,
        resume: bool,
    ) {
        let Some(slot) = self.queue.find(id) else {
            return;
        };
        if let (Some(reservation), Some(item)) = (release, self.queue.item(slot)) {
            let message = item.message.clone();
            self.settlements.add(
                id,
                reservation,
                Settling {
                    message,
                    debit: false,
                    at_unix_ms: now.unix_ms,
                    last: false,
                    asked: 0,
                    repeated: false,
                },
            );
        }
        if resume
            && self
                .queue
                .item(slot)
                .is_some_and(|item| item.phase == Phase::Reserving)
        {
            self.queue.put_back(now.unix_ms, slot);
            self.mark_slot_target(slot);
        }
    }
}
