//! Requests that wait for their response: found by `sequence_number`, and in the order they were sent.

use std::time::Instant;

use super::is_message;

/// Requests about the session itself that may wait besides the window's.
const CONTROL: usize = 8;
const LAST_SEQUENCE_NUMBER: u32 = 0x7FFF_FFFF;
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// 0, which is no request's, if the slot is free.
    sequence_number: u32,
    request: u32,
    token: u64,
    sent: Instant,
    /// Slots of the requests sent before and after it.
    older: u32,
    newer: u32,
}

/// A request's slot is its `sequence_number` modulo the table's size. The table is at least twice as large as what may
/// wait, and a number whose slot is still taken by an old request is passed over: there is never a search, and one
/// request that nobody answers holds up nothing.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    /// Empty until the first request; then a power of two.
    slots: Vec<Slot>,
    oldest: u32,
    newest: u32,
    messages: usize,
    waiting: usize,
    last_sequence_number: u32,
}

impl Window {
    pub(super) fn new(limit: u16) -> Self {
        Self {
            limit: usize::from(limit.max(1)),
            slots: Vec::new(),
            oldest: NONE,
            newest: NONE,
            messages: 0,
            waiting: 0,
            last_sequence_number: 0,
        }
    }

    /// Another limit, if nothing waits.
    pub(super) fn set_limit(&mut self, limit: u16) {
        if self.waiting == 0 {
            *self = Self {
                last_sequence_number: self.last_sequence_number,
                ..Self::new(limit)
            };
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn has_room(&self) -> bool {
        self.messages < self.limit
    }

    /// SMPP 3.4 section 3.2: 0x00000001 to 0x7FFFFFFF.
    pub(super) fn next_sequence_number(&mut self) -> u32 {
        self.last_sequence_number = if self.last_sequence_number >= LAST_SEQUENCE_NUMBER {
            1
        } else {
            self.last_sequence_number + 1
        };
        self.last_sequence_number
    }

    /// Keeps a request: its `sequence_number`, or `None` if there is no room.
    pub(super) fn insert(&mut self, now: Instant, request: u32, token: u64) -> Option<u32> {
        if is_message(request) && !self.has_room() || self.waiting >= self.limit + CONTROL {
            return None;
        }
        if self.slots.is_empty() {
            let size = (2 * (self.limit + CONTROL)).next_power_of_two();
            let free = Slot {
                sequence_number: 0,
                request: 0,
                token: 0,
                sent: now,
                older: NONE,
                newer: NONE,
            };
            self.slots = vec![free; size];
        }
        let newest = self.newest;
        let (index, sequence_number) = loop {
            let sequence_number = self.next_sequence_number();
            let index = self.index(sequence_number);
            if self.slots.get(index as usize)?.sequence_number == 0 {
                break (index, sequence_number);
            }
        };
        *self.slots.get_mut(index as usize)? = Slot {
            sequence_number,
            request,
            token,
            sent: now,
            older: newest,
            newer: NONE,
        };
        match self.slots.get_mut(newest as usize) {
            Some(before) => before.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
        self.waiting += 1;
        self.messages += usize::from(is_message(request));
        Some(sequence_number)
    }

    /// Takes out the request with this number if it `matches`: `command_id` and token.
    pub(super) fn remove(
        &mut self,
        sequence_number: u32,
        matches: impl Fn(u32) -> bool,
    ) -> Option<(u32, u64)> {
        let index = self.index(sequence_number);
        let slot = *self.slots.get(index as usize)?;
        let here = sequence_number != 0 && slot.sequence_number == sequence_number;
        if !here || !matches(slot.request) {
            return None;
        }
        self.free(index, slot);
        Some((slot.request, slot.token))
    }

    /// The request that waits longest: when it was sent, `command_id` and token.
    pub(super) fn oldest(&self) -> Option<(Instant, u32, u64)> {
        let slot = self.slots.get(self.oldest as usize)?;
        Some((slot.sent, slot.request, slot.token))
    }

    pub(super) fn remove_oldest(&mut self) {
        let index = self.oldest;
        if let Some(slot) = self.slots.get(index as usize).copied() {
            self.free(index, slot);
        }
    }

    fn index(&self, sequence_number: u32) -> u32 {
        let mask = u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or_default();
        sequence_number & mask
    }

    fn free(&mut self, index: u32, slot: Slot) {
        match self.slots.get_mut(slot.older as usize) {
            Some(older) => older.newer = slot.newer,
            None => self.oldest = slot.newer,
        }
        match self.slots.get_mut(slot.newer as usize) {
            Some(newer) => newer.older = slot.older,
            None => self.newest = slot.older,
        }
        if let Some(place) = self.slots.get_mut(index as usize) {
            place.sequence_number = 0;
        }
        self.waiting = self.waiting.saturating_sub(1);
        let message = usize::from(is_message(slot.request));
        self.messages = self.messages.saturating_sub(message);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::*;
    use crate::command::{ENQUIRE_LINK, SUBMIT_SM};

    /// Against a list that is searched: the same answers, whatever order the responses come in.
    #[test]
    fn it_agrees_with_a_list() {
        let start = Instant::now();
        let mut seed = 7_u64;
        let mut random = move |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        for limit in [1, 2, 5, 100] {
            let mut window = Window::new(limit);
            window.last_sequence_number = LAST_SEQUENCE_NUMBER - 3;
            let mut list: VecDeque<(u32, u32, u64)> = VecDeque::new();
            for step in 0..20_000_u64 {
                let now = start + Duration::from_millis(step);
                match random(5) {
                    0 | 1 => {
                        let request = if random(20) == 0 {
                            ENQUIRE_LINK
                        } else {
                            SUBMIT_SM
                        };
                        let messages = list.iter().filter(|one| one.1 == SUBMIT_SM).count();
                        let room = if request == SUBMIT_SM {
                            messages < usize::from(limit)
                        } else {
                            true
                        } && list.len() < usize::from(limit) + CONTROL;
                        let number = window.insert(now, request, step);
                        assert_eq!(number.is_some(), room);
                        if let Some(number) = number {
                            assert!((1..=LAST_SEQUENCE_NUMBER).contains(&number));
                            assert!(list.iter().all(|one| one.0 != number));
                            list.push_back((number, request, step));
                        }
                    }
                    2 | 3 if !list.is_empty() => {
                        // Mostly one of the last: the first ones wait long.
                        let at = list.len() - 1 - random(list.len().min(3));
                        let (number, request, token) = list[at];
                        assert_eq!(window.remove(number, |_| false), None);
                        assert_eq!(window.remove(number, |_| true), Some((request, token)));
                        assert_eq!(window.remove(number, |_| true), None);
                        list.remove(at);
                    }
                    _ if random(40) == 0 => {
                        window.remove_oldest();
                        list.pop_front();
                    }
                    _ => assert_eq!(window.remove(0, |_| true), None),
                }
                assert_eq!(window.len(), list.len());
                let oldest = window.oldest().map(|(_, request, token)| (request, token));
                let first = list.front().map(|(_, request, token)| (*request, *token));
                assert_eq!(oldest, first);
            }
        }
    }
}
