//! Which segments are still needed.
//!
//! A message's home is the segment that has all of it: where it was accepted, or carried to later. A segment goes when it
//! is the oldest and no message that is not over has its home there; so whatever later segments say of a message is
//! never outlived by the message itself.

use std::collections::{HashMap, VecDeque};

use super::encoding::Line;
use crate::entry::{Carried, Entry, Fold, Recovered};
use crate::message::MessageId;
use crate::queue::hash::NumberHash;

#[derive(Debug, Clone, Copy)]
struct Home {
    segment: u64,
    octets: u32,
}

/// A segment on disk.
#[derive(Debug, Clone, Copy)]
struct Kept {
    number: u64,
    messages: usize,
}

/// What the log adds up to, and where it is.
#[derive(Debug)]
pub struct Keep {
    fold: Fold,
    homes: HashMap<MessageId, Home, NumberHash>,
    segments: VecDeque<Kept>,
    octets: u64,
    /// Messages of the oldest segment that wait to be carried forward.
    to_carry: Vec<MessageId>,
    over: Vec<MessageId>,
}

impl Keep {
    /// Nothing yet; ids from `next_id`.
    pub fn new(next_id: u64) -> Self {
        Self {
            fold: Fold::new(next_id),
            homes: HashMap::default(),
            segments: VecDeque::new(),
            octets: 0,
            to_carry: Vec::new(),
            over: Vec::new(),
        }
    }

    /// A new segment follows.
    pub fn begin(&mut self, number: u64, next_id: u64) {
        self.fold.reserve(next_id);
        self.segments.push_back(Kept {
            number,
            messages: 0,
        });
    }

    /// A line of `octets` in the newest segment.
    pub fn apply(&mut self, line: Line, octets: usize) {
        match line {
            Line::Entry(entry) => {
                match &entry {
                    Entry::Accepted(message) => self.settle(message.id, octets),
                    Entry::AcceptedTogether(messages) => {
                        let each = octets / messages.len().max(1);
                        for message in messages {
                            self.settle(message.id, each);
                        }
                    }
                    Entry::Done(done) => {
                        if let Some(receipt) = &done.receipt {
                            self.settle(receipt.id, octets);
                        }
                    }
                    _ => {}
                }
                let mut over = std::mem::take(&mut self.over);
                self.fold.apply(entry, &mut over);
                for id in over.drain(..) {
                    self.leave(id);
                }
                self.over = over;
            }
            Line::Carried(carried) => {
                self.settle(carried.id(), octets);
                self.fold.carry(carried);
            }
            Line::End => {}
        }
    }

    /// The message's home is the newest segment.
    fn settle(&mut self, id: MessageId, octets: usize) {
        self.leave(id);
        let Some(newest) = self.segments.back_mut() else {
            return;
        };
        newest.messages += 1;
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        let segment = newest.number;
        self.homes.insert(id, Home { segment, octets });
        self.octets += u64::from(octets);
    }

    fn leave(&mut self, id: MessageId) {
        let Some(home) = self.homes.remove(&id) else {
            return;
        };
        self.octets = self.octets.saturating_sub(u64::from(home.octets));
        let oldest = self.segments.front().map_or(0, |oldest| oldest.number);
        let kept = usize::try_from(home.segment.saturating_sub(oldest))
            .ok()
            .and_then(|index| self.segments.get_mut(index));
        if let Some(kept) = kept {
            kept.messages = kept.messages.saturating_sub(1);
        }
    }

    /// The oldest segment if it is not needed, and not the newest; it is forgotten here.
    pub fn pop_unneeded(&mut self) -> Option<u64> {
        let oldest = self.segments.front()?;
        if self.segments.len() < 2 || oldest.messages > 0 {
            return None;
        }
        self.to_carry.clear();
        self.segments.pop_front().map(|kept| kept.number)
    }

    /// Messages of the oldest segment, at most `count`, if the segments take much more space than their messages.
    pub fn carry(&mut self, count: usize, segment_octets: u32) -> Vec<Carried> {
        let taken = self.segments.len() as u64 * u64::from(segment_octets);
        let bound = self.octets * 3 + u64::from(segment_octets) * 4;
        let oldest = match self.segments.front() {
            Some(oldest) if taken > bound => oldest.number,
            _ => return Vec::new(),
        };
        if self.to_carry.is_empty() {
            self.to_carry = self
                .homes
                .iter()
                .filter(|(_, home)| home.segment == oldest)
                .map(|(id, _)| *id)
                .collect();
        }
        let from = self.to_carry.len().saturating_sub(count);
        self.to_carry
            .drain(from..)
            .filter(|id| {
                self.homes
                    .get(id)
                    .is_some_and(|home| home.segment == oldest)
            })
            .filter_map(|id| self.fold.carried(id))
            .collect()
    }

    /// Number of the next message.
    pub fn next_id(&self) -> u64 {
        self.fold.next_id()
    }

    /// What the daemon begins with.
    pub fn recovered(&self) -> Recovered {
        self.fold.recovered()
    }
}
