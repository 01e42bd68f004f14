//! When items are to be looked at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::message::MessageId;

/// A heap that may hold entries nobody waits for any more: the reader checks, and now and then it is built anew, so
/// that it never grows beyond twice what is alive.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(i64, MessageId, u32)>>,
}

const SLACK: usize = 1024;

impl Timers {
    /// Entries held, old ones included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Adds an entry.
    pub fn push(&mut self, at_ms: i64, id: MessageId, place: u32) {
        self.heap.push(Reverse((at_ms, id, place)));
    }

    /// The earliest time.
    pub fn next(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The earliest entry, if its time has come.
    pub fn pop(&mut self, now_ms: i64) -> Option<(i64, MessageId, u32)> {
        if self.next()? > now_ms {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Whether most entries are old, if there are `places` for items.
    pub fn is_stale(&self, places: usize) -> bool {
        self.heap.len() > places.saturating_mul(2).saturating_add(SLACK)
    }

    /// Holds only these.
    pub fn rebuild(&mut self, live: impl Iterator<Item = (i64, MessageId, u32)>) {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        entries.clear();
        entries.extend(live.map(Reverse));
        self.heap = BinaryHeap::from(entries);
    }
}
