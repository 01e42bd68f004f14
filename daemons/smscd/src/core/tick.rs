//! What time brings.

use std::cmp::Reverse;

use tollwire_runtime::clock::Now;

use super::Core;
use super::finish::Ending;
use super::link::Due;
use crate::effect::Effect;
use crate::entry::Cause;
use crate::message::MessageState;
use crate::queue::{Phase, Slot};

impl Core {
    pub(super) fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some(slot) = self.queue.pop_due(now.unix_ms) {
            self.item_due(now, slot, effects);
        }
        while let Some((at, peer)) = self.paused.first().copied()
            && at <= now.unix_ms
        {
            self.paused.remove(&(at, peer));
            self.mark_peer(peer);
        }
        self.settlements.tick(now.unix_ms);
        self.remembered
            .drop_before(now.unix_ms.saturating_sub(self.settings.timers.remember_ms));
        self.link_ticks(now, effects);
    }

    fn link_ticks(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some(Reverse((at, id))) = self.link_timers.peek().copied()
            && at <= now.instant
        {
            self.link_timers.pop();
            if let Some(link) = self.links.get_mut(&id.0)
                && link.timer == Some(at)
            {
                link.timer = None;
            }
            // Also so that its next deadline is looked for.
            self.mark_link(id);
            while let Some(due) = self
                .links
                .get_mut(&id.0)
                .and_then(|link| link.tick(now.instant))
            {
                match due {
                    Due::Unanswered(token) => {
                        self.message_unanswered(now, token, effects);
                        self.link_may_have_room(id);
                    }
                    Due::RefuseBind => self.refuse_bind(now, id, effects),
                    Due::Close => self.close(now, id, effects),
                }
            }
        }
    }

    fn item_due(&mut self, now: Now, slot: Slot, effects: &mut Vec<Effect>) {
        let Some(item) = self.queue.item(slot) else {
            return;
        };
        let expires = item.message.expires_unix_ms;
        match item.phase {
            Phase::Scheduled => self.admit(now, slot),
            Phase::Waiting if expires <= now.unix_ms => self.expire(now, slot, effects),
            Phase::Waiting => {
                self.queue.wake(now.unix_ms, slot);
                self.mark_slot_target(slot);
            }
            Phase::Stranded => self.expire(now, slot, effects),
            Phase::AwaitingReceipt if self.receipt_end(slot) > now.unix_ms => {
                if self.is_charged_online(slot) {
                    self.renew(now, slot, effects);
                } else {
                    self.time_receipt(slot, i64::MAX);
                }
            }
            Phase::AwaitingReceipt => {
                let status = item.progress.last_status;
                self.finish(
                    now,
                    slot,
                    Ending {
                        state: MessageState::Unknown,
                        cause: Cause::NoReceipt,
                        status,
                    },
                    None,
                    effects,
                );
            }
            // It is looked at when its answer comes.
            Phase::Storing | Phase::Reserving | Phase::InFlight => {}
        }
    }
}
