//! The end of a message: its receipt, its record, its money.

use std::sync::Arc;

use tollwire_runtime::clock::Now;

use super::Core;
use super::stored::{Answer, Pending};
use crate::effect::Effect;
use crate::entry::{Cause, Done, Entry, Settlement};
use crate::message::{Message, MessageState};
use crate::queue::{Item, Slot};
use crate::receipt::{self, Report};
use crate::settings::RecordRole;

/// How a message ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// Its last state.
    pub state: MessageState,
    /// Why.
    pub cause: Cause,
    /// As in [`Done::status`].
    pub status: u32,
}

impl Core {
    /// The message is final. It leaves the queue now; everything that follows waits until that is stored.
    pub(super) fn finish(
        &mut self,
        now: Now,
        slot: Slot,
        ending: Ending,
        answer: Option<Answer>,
        effects: &mut Vec<Effect>,
    ) {
        let Ending {
            state,
            cause,
            status,
        } = ending;
        let charged_online = self.is_charged_online(slot);
        self.mark_slot_target(slot);
        let Some(item) = self.queue.remove(now.unix_ms, slot) else {
            return;
        };
        let Item {
            message,
            progress,
            reserved_at,
            maybe_reserved,
            owner,
            lane,
            ..
        } = item;
        if let Some(peer) = self.peers.get_mut(owner as usize) {
            peer.messages = peer.messages.saturating_sub(1);
        }
        let delivered = matches!(state, MessageState::Delivered | MessageState::Accepted);
        let is_receipt = message.is_receipt();
        self.count(is_receipt, delivered, cause);
        if let (Some(theirs), Some(hop)) = (&progress.upstream_message_id, &progress.next_hop)
            && let Some(upstream) = self.upstreams.get(hop)
            && let Some(peer) = self.peers.get_mut(*upstream as usize)
        {
            peer.awaited.by_id.remove(theirs);
        }
        let mut done = Done {
            id: message.id,
            state,
            cause,
            status,
            at_unix_ms: now.unix_ms,
            attempts: progress.attempts,
            next_hop: progress.next_hop,
            upstream_message_id: progress.upstream_message_id,
            record: !is_receipt
                && self
                    .router
                    .route(lane)
                    .is_none_or(|route| route.settings.record == RecordRole::Here),
            settlement: (reserved_at.is_some() || (maybe_reserved && charged_online)).then_some(
                Settlement {
                    reservation: progress.reservation,
                    debit: delivered,
                },
            ),
            receipt: None,
        };
        if !is_receipt && receipt::is_wanted(message.registered_delivery, state) {
            done.receipt = self.make_receipt(&message, &done, owner);
        }
        if !is_receipt {
            let limits = &self.settings.limits;
            self.remembered
                .add(&message, &done, limits.remembered as usize);
        }
        self.store(
            Entry::Done(done.clone()),
            Pending::Done {
                message,
                done: Box::new(done),
                answer,
            },
            effects,
        );
    }

    fn make_receipt(
        &mut self,
        message: &Arc<Message>,
        done: &Done,
        owner: u32,
    ) -> Option<Arc<Message>> {
        // Upstreams whose messages we deliver hear of it in deliver_sm_resp alone.
        self.peers.get(owner as usize)?.esme()?;
        let id = self.receipt_id();
        let receipt = Report::of_done(message, done)
            .into_receipt(id, self.settings.timers.receipt_validity_ms);
        self.counters.receipts += 1;
        self.insert(receipt.clone(), owner);
        Some(receipt)
    }

    fn count(&mut self, is_receipt: bool, delivered: bool, cause: Cause) {
        let counters = &mut self.counters;
        match (is_receipt, delivered) {
            (true, true) => counters.receipts_delivered += 1,
            (false, true) => counters.delivered += 1,
            (_, false) => {
                counters.failed += u64::from(!is_receipt);
                counters.expired += u64::from(!is_receipt && cause == Cause::ValidityExpired);
            }
        }
    }

    /// Its validity has ended.
    pub(super) fn expire(&mut self, now: Now, slot: Slot, effects: &mut Vec<Effect>) {
        let status = self
            .queue
            .item(slot)
            .map_or(0, |item| item.progress.last_status);
        self.finish(
            now,
            slot,
            Ending {
                state: MessageState::Expired,
                cause: Cause::ValidityExpired,
                status,
            },
            None,
            effects,
        );
    }
}
