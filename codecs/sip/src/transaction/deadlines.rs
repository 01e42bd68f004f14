//! One queue for all timers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of many owners. An owner that moves its deadline forward leaves its old entry,
/// which is looked at once more when it comes up: nothing is searched or removed in between.
#[derive(Debug)]
pub(super) struct Deadlines<T> {
    heap: BinaryHeap<Reverse<(Instant, T)>>,
}

impl<T: Ord + Copy> Deadlines<T> {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
        }
    }

    /// Notes that `owner` wants `deadline`; `queued` is the owner's memory of its earliest entry here.
    pub(super) fn want(
        &mut self,
        owner: T,
        deadline: Option<Instant>,
        queued: &mut Option<Instant>,
    ) {
        if let Some(deadline) = deadline
            && queued.is_none_or(|queued| deadline < queued)
        {
            self.heap.push(Reverse((deadline, owner)));
            *queued = Some(deadline);
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// The next owner whose entry has come up, and that entry.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
