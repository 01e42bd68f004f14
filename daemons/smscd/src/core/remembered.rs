//! Final messages that can still be asked about.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::entry::Done;
use crate::message::{Message, MessageId, MessageState};
use crate::queue::footprint;
use crate::queue::hash::NumberHash;

/// Octets of messages remembered at most, whatever their number.
const MAX_OCTETS: u64 = 67_108_864;

/// How a message ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub message: Arc<Message>,
    pub state: MessageState,
    pub status: u32,
    pub at_unix_ms: i64,
    pub attempts: u32,
    pub next_hop: Option<Arc<str>>,
    pub upstream_message_id: Option<Box<str>>,
}

/// The last final messages.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    ended: HashMap<u64, Ended, NumberHash>,
    order: VecDeque<u64>,
    octets: u64,
}

impl Remembered {
    /// Adds one, in place of the oldest if there are more than `most`.
    pub fn add(&mut self, message: &Arc<Message>, done: &Done, most: usize) {
        let number = message.id.number();
        self.octets = self.octets.saturating_add(footprint(message));
        self.order.push_back(number);
        self.ended.insert(
            number,
            Ended {
                message: message.clone(),
                state: done.state,
                status: done.status,
                at_unix_ms: done.at_unix_ms,
                attempts: done.attempts,
                next_hop: done.next_hop.clone(),
                upstream_message_id: done.upstream_message_id.clone(),
            },
        );
        while self.order.len() > most || self.octets > MAX_OCTETS {
            self.drop_oldest();
        }
    }

    /// How the message ended, if it is remembered.
    pub fn find(&self, id: MessageId) -> Option<&Ended> {
        self.ended.get(&id.number())
    }

    /// Drops those that ended before `unix_ms`.
    pub fn drop_before(&mut self, unix_ms: i64) {
        while let Some(oldest) = self.order.front().and_then(|number| self.ended.get(number))
            && oldest.at_unix_ms < unix_ms
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(number) = self.order.pop_front()
            && let Some(ended) = self.ended.remove(&number)
        {
            self.octets = self.octets.saturating_sub(footprint(&ended.message));
        } else if self.order.is_empty() {
            self.octets = 0;
        }
    }
}
