//! All calls, by number and by deadline.

use super::CallEntry;
use crate::calls::{CallNumber, Settings};
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// Calls by number, with one deadline each.
#[derive(Debug, Default)]
pub struct CallTable {
    entries: HashMap<CallNumber, (CallEntry, Option<Instant>)>,
    deadlines: BTreeSet<(Instant, CallNumber)>,
}

impl CallTable {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a call.
    pub fn insert(&mut self, entry: CallEntry) {
        self.entries.insert(entry.call.number(), (entry, None));
    }

    /// A call.
    pub fn get(&self, number: CallNumber) -> Option<&CallEntry> {
        self.entries.get(&number).map(|(entry, _)| entry)
    }

    /// A call, to be changed. Follow it by [`CallTable::reschedule`].
    pub fn get_mut(&mut self, number: CallNumber) -> Option<&mut CallEntry> {
        self.entries.get_mut(&number).map(|(entry, _)| entry)
    }

    /// Forgets a call.
    pub fn remove(&mut self, number: CallNumber) -> Option<CallEntry> {
        let (entry, deadline) = self.entries.remove(&number)?;
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, number));
        }
        Some(entry)
    }

    /// All calls, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &CallEntry> {
        self.entries.values().map(|(entry, _)| entry)
    }

    /// Takes note of a call's deadline after it changed.
    pub fn reschedule(&mut self, number: CallNumber, settings: &Settings) {
        let Some((entry, known)) = self.entries.get_mut(&number) else {
            return;
        };
        let next = entry.call.next_deadline(settings);
        if next == *known {
            return;
        }
        if let Some(old) = known.take() {
            self.deadlines.remove(&(old, number));
        }
        if let Some(new) = next {
            self.deadlines.insert((new, number));
        }
        *known = next;
    }

    /// The earliest deadline of all.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A call whose deadline passed.
    pub fn due(&mut self, now: Instant) -> Option<CallNumber> {
        let (deadline, number) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.deadlines.remove(&(deadline, number));
        if let Some((_, known)) = self.entries.get_mut(&number) {
            *known = None;
        }
        Some(number)
    }
}
