//! What waits for the disk, and what comes after it.

use std::sync::Arc;

use tollwire_runtime::clock::Now;
use tollwire_smpp::pdu::Address;

use super::Core;
use crate::credit::{self, Settling};
use crate::effect::{Effect, RecordFacts};
use crate::entry::{Done, Entry};
use crate::event::{LinkId, Position, StoreFailure};
use crate::message::{Message, MessageId};
use crate::queue::{Phase, Slot};
use crate::wire::read::Status;
use crate::wire::{command, status, write};

/// A request that is answered when its entry is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub link: LinkId,
    /// Of the response.
    pub command_id: u32,
    pub sequence_number: u32,
}

/// Destinations of a `submit_multi` that were not taken, as its answer lists them (SMPP 3.4 table 4-13).
#[derive(Debug, Clone, Default)]
pub(super) struct Unsuccessful {
    count: u8,
    octets: Vec<u8>,
    first: Option<Status>,
}

impl Unsuccessful {
    /// Adds one; a distribution list has no address.
    pub fn add(&mut self, view: Option<Address<'_>>, status: Status) {
        let view = view.unwrap_or_default();
        self.count = self.count.saturating_add(1);
        self.octets.extend_from_slice(&[view.ton, view.npi]);
        self.octets.extend_from_slice(view.digits.as_bytes());
        self.octets.push(0);
        self.octets.extend_from_slice(&status.to_be_bytes());
        self.first.get_or_insert(status);
    }

    /// Why the first was not taken.
    pub fn first_status(&self) -> Option<Status> {
        self.first
    }
}

/// What an entry on its way to the disk is for.
#[derive(Debug)]
pub(super) enum Pending {
    /// A message; with an answer it is not yet acknowledged.
    Accepted { slot: Slot, answer: Option<Answer> },
    /// Those of a `submit_multi`.
    AcceptedTogether {
        slots: Box<[Slot]>,
        answer: Answer,
        unsuccessful: Box<Unsuccessful>,
    },
    /// Where a message stands; then the reservation that it no longer needs is given back.
    Progress {
        id: MessageId,
        release: Option<u32>,
        /// It waited for this before credit control is asked again.
        resume: bool,
    },
    /// Another content.
    Replaced {
        message: Arc<Message>,
        answer: Answer,
    },
    /// The end of a message.
    Done {
        message: Arc<Message>,
        done: Box<Done>,
        answer: Option<Answer>,
    },
    /// Credit control has answered.
    Settled { id: MessageId },
    /// Records are in the files.
    RecordsWritten { ids: Box<[MessageId]> },
}

impl Core {
    /// Has an entry stored. While the spool fails, it is kept for later.
    pub(super) fn store(&mut self, entry: Entry, pending: Pending, effects: &mut Vec<Effect>) {
        if self.store_failure.is_some() {
            self.lost.push_back(pending);
            return;
        }
        self.pending.push_back(pending);
        effects.push(Effect::Store(entry));
    }

    pub(super) fn stored(&mut self, now: Now, up_to: Position, effects: &mut Vec<Effect>) {
        while self.first_position <= up_to {
            let Some(pending) = self.pending.pop_front() else {
                return;
            };
            self.first_position += 1;
            self.went_to_disk(now, pending, effects);
        }
    }

    fn went_to_disk(&mut self, now: Now, pending: Pending, effects: &mut Vec<Effect>) {
        match pending {
            Pending::Accepted { slot, answer } => {
                if let Some(answer) = answer {
                    self.counters.accepted += 1;
                    let id = self.queue.item(slot).map(|item| item.message.id);
                    self.answer_with_id(answer, id);
                }
                self.admit(now, slot);
            }
            Pending::AcceptedTogether {
                slots,
                answer,
                unsuccessful,
            } => {
                self.counters.accepted += slots.len() as u64;
                self.answer_multi(&slots, answer, &unsuccessful);
                for slot in slots {
                    self.admit(now, slot);
                }
            }
            Pending::Progress {
                id,
                release,
                resume,
            } => self.progress_stored(now, id, release, resume),
            Pending::Replaced { message, answer } => {
                self.replaced(now, message, answer);
            }
            Pending::Done {
                message,
                done,
                answer,
            } => self.done_stored(now, message, *done, answer, effects),
            Pending::Settled { .. } | Pending::RecordsWritten { .. } => {}
        }
    }

    fn done_stored(
        &mut self,
        now: Now,
        message: Arc<Message>,
        mut done: Done,
        answer: Option<Answer>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(answer) = answer {
            if answer.command_id == command::CANCEL_SM | command::RESPONSE {
                self.answer(
                    answer.link,
                    answer.command_id,
                    status::ESME_ROK,
                    answer.sequence_number,
                );
            } else {
                self.answer_with_id(answer, None);
            }
        }
        if let Some(receipt) = done.receipt.take()
            && let Some(slot) = self.queue.find(receipt.id)
        {
            self.admit(now, slot);
        }
        if let Some(settlement) = done.settlement {
            self.settlements.add(
                message.id,
                settlement.reservation,
                Settling {
                    message: message.clone(),
                    debit: settlement.debit,
                    at_unix_ms: done.at_unix_ms,
                    last: true,
                    asked: 0,
                    repeated: false,
                },
            );
        }
        if done.record {
            self.record(message, done, effects);
        }
    }

    /// Has the record of a stored message written.
    pub(super) fn record(&mut self, message: Arc<Message>, done: Done, effects: &mut Vec<Effect>) {
        self.counters.records += 1;
        self.records.push_back(message.id);
        let account = credit::payer(&message, self.account(&message.submitter)).map(Box::from);
        effects.push(Effect::Record(Box::new(RecordFacts {
            message,
            done,
            account,
        })));
    }

    pub(super) fn records_stored(&mut self, up_to: u64, effects: &mut Vec<Effect>) {
        let count = up_to
            .saturating_add(1)
            .saturating_sub(self.first_record)
            .min(self.records.len() as u64);
        if count == 0 {
            return;
        }
        self.first_record += count;
        let ids: Box<[MessageId]> = self
            .records
            .drain(..usize::try_from(count).unwrap_or(0))
            .collect();
        self.store(
            Entry::RecordsWritten { ids: ids.clone() },
            Pending::RecordsWritten { ids },
            effects,
        );
    }

    /// A stored message begins its way.
    pub(super) fn admit(&mut self, now: Now, slot: Slot) {
        let Some(item) = self.queue.item(slot) else {
            return;
        };
        let message = &item.message;
        let lane = if message.is_receipt() {
            Some(self.router.receipts_lane(item.owner))
        } else {
            self.router.find(item.owner, &message.destination.digits)
        };
        let (schedule, expires) = (message.schedule_unix_ms, message.expires_unix_ms);
        let Some(lane) = lane.filter(|lane| self.queue.lane(*lane).is_some()) else {
            if let Some(item) = self.queue.item_mut(slot) {
                item.phase = Phase::Stranded;
            }
            self.queue.set_due(slot, expires);
            return;
        };
        match schedule.filter(|at| *at > now.unix_ms) {
            Some(at) => self.queue.schedule(slot, lane, at),
            None => {
                self.queue.wait(now.unix_ms, slot, lane);
                if let Some(target) = self.queue.target(slot) {
                    self.mark_target(target);
                }
            }
        }
    }

    /// An answer that names a message: `submit_sm_resp`, `data_sm_resp`; with a NULL id `deliver_sm_resp`.
    pub(super) fn answer_with_id(&mut self, answer: Answer, id: Option<MessageId>) {
        let Some(link) = self.links.get_mut(&answer.link.0) else {
            return;
        };
        link.session
            .responded(answer.command_id & !command::RESPONSE, status::ESME_ROK);
        if link.closing {
            return;
        }
        let started = write::start(
            &mut link.out,
            answer.command_id,
            status::ESME_ROK,
            answer.sequence_number,
        );
        // SMPP 3.4 section 4.6.2: message_id of a deliver_sm_resp is NULL.
        if let Some(id) = id
            && answer.command_id != command::DELIVER_SM | command::RESPONSE
        {
            write::decimal(&mut link.out, id.number());
        }
        link.out.push(0);
        write::finish(&mut link.out, started);
        self.mark_link(answer.link);
    }

    fn answer_multi(&mut self, slots: &[Slot], answer: Answer, unsuccessful: &Unsuccessful) {
        let first = slots
            .first()
            .and_then(|slot| self.queue.item(*slot))
            .map(|item| item.message.public_id());
        let Some(link) = self.links.get_mut(&answer.link.0) else {
            return;
        };
        link.session
            .responded(answer.command_id & !command::RESPONSE, status::ESME_ROK);
        if link.closing {
            return;
        }
        let started = write::start(
            &mut link.out,
            answer.command_id,
            status::ESME_ROK,
            answer.sequence_number,
        );
        if let Some(first) = first {
            write::decimal(&mut link.out, first.number());
        }
        link.out.extend_from_slice(&[0, unsuccessful.count]);
        link.out.extend_from_slice(&unsuccessful.octets);
        write::finish(&mut link.out, started);
        self.mark_link(answer.link);
    }

    /// Nothing that is on its way arrives. What an ESME waits for is refused; what has happened is told again later.
    pub(super) fn store_failed(
        &mut self,
        now: Now,
        failure: StoreFailure,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.store_failures += 1;
        self.store_failure = Some(failure);
        effects.push(Effect::StoreFailureHeard);
        self.first_position += self.pending.len() as u64;
        let refusal = match failure {
            StoreFailure::Full => status::ESME_RMSGQFUL,
            StoreFailure::Broken => status::ESME_RSYSERR,
        };
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Accepted {
                    slot,
                    answer: Some(answer),
                } => {
                    self.forget(now, slot);
                    self.refuse_stored(answer, refusal);
                }
                Pending::AcceptedTogether { slots, answer, .. } => {
                    for slot in slots {
                        self.forget(now, slot);
                    }
                    self.refuse_stored(answer, refusal);
                }
                Pending::Replaced { message, answer } => {
                    // It goes on as it was.
                    if let Some(slot) = self.queue.find(message.id) {
                        self.admit(now, slot);
                    }
                    self.refuse_stored(answer, refusal);
                }
                Pending::Done {
                    message,
                    done,
                    answer: Some(answer),
                } => {
                    // The peer asks or reports again; the end itself is certain and kept.
                    self.refuse_stored(answer, refusal);
                    self.lost.push_back(Pending::Done {
                        message,
                        done,
                        answer: None,
                    });
                }
                other => self.lost.push_back(other),
            }
        }
    }

    fn refuse_stored(&mut self, answer: Answer, status: Status) {
        self.counters.refused += 1;
        self.answer(
            answer.link,
            answer.command_id,
            status,
            answer.sequence_number,
        );
    }

    /// A message that was never acknowledged is as if it had never come.
    fn forget(&mut self, now: Now, slot: Slot) {
        if let Some(item) = self.queue.remove(now.unix_ms, slot)
            && let Some(peer) = self.peers.get_mut(item.owner as usize)
        {
            peer.messages = peer.messages.saturating_sub(1);
        }
    }

    /// There is space: what has happened meanwhile is stored now.
    pub(super) fn store_ready(&mut self, effects: &mut Vec<Effect>) {
        self.store_failure = None;
        for pending in std::mem::take(&mut self.lost) {
            let entry = match &pending {
                Pending::Accepted { slot, .. } => self
                    .queue
                    .item(*slot)
                    .map(|item| Entry::Accepted(item.message.clone())),
                Pending::Progress { id, .. } => self
                    .queue
                    .find(*id)
                    .and_then(|slot| self.queue.item(slot))
                    .map(|item| Entry::Progress {
                        id: *id,
                        progress: item.progress.clone(),
                    }),
                Pending::Done { done, .. } => Some(Entry::Done((**done).clone())),
                Pending::Settled { id } => Some(Entry::Settled { id: *id }),
                Pending::RecordsWritten { ids } => Some(Entry::RecordsWritten { ids: ids.clone() }),
                // Both have an answer and were refused.
                Pending::AcceptedTogether { .. } | Pending::Replaced { .. } => None,
            };
            if let Some(entry) = entry {
                self.store(entry, pending, effects);
            }
        }
        for target in 0..self.router.targets() {
            self.mark_target(u32::try_from(target).unwrap_or(u32::MAX));
        }
    }
}
