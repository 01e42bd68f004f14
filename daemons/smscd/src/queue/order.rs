//! The lists of the queue: messages of a destination, destinations that are ready.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::{Destination, EMPTY, LISTS, List, Listed, NONE, Queue, Slot};
use crate::message::{Address, Message};

impl Queue {
    pub(super) fn time_waiting(&mut self, now_ms: i64, slot: Slot) {
        if let Some(item) = self.items.get(slot.0) {
            let expires = item.message.expires_unix_ms;
            let next = item.progress.next_attempt_unix_ms;
            let due = if next > now_ms {
                next.min(expires)
            } else {
                expires
            };
            self.set_due(slot, due);
        }
    }

    pub(super) fn eligible(&self, now_ms: i64, place: u32) -> Option<u32> {
        let destination = self.destinations.get(place)?;
        let window = self.lanes.get(destination.lane as usize)?.window;
        if destination.in_flight >= window {
            return None;
        }
        let (_, head) = destination.head()?;
        (self.items.get(head)?.progress.next_attempt_unix_ms <= now_ms).then_some(head)
    }

    pub(super) fn mark_ready(&mut self, now_ms: i64, place: u32) {
        if self.eligible(now_ms, place).is_none() {
            return;
        }
        let Some(destination) = self.destinations.get(place) else {
            return;
        };
        let Some((level, _)) = destination.head() else {
            return;
        };
        match destination.listed {
            Some(Listed::Parked) => return,
            Some(Listed::Ready(listed)) if listed >= level => return,
            Some(Listed::Ready(_)) => self.delist(place),
            None => {}
        }
        self.enlist(place, Listed::Ready(level));
    }

    /// The list itself, of a destination in `lane`.
    pub(super) fn list_mut(&mut self, lane: u32, listed: Listed) -> Option<&mut List> {
        let lane = self.lanes.get_mut(lane as usize)?;
        match listed {
            Listed::Parked => Some(&mut lane.parked),
            Listed::Ready(level) => self.ready.get_mut(lane.target as usize)?.get_mut(level),
        }
    }

    /// Puts a destination that stands in no list at the end of one.
    pub(super) fn enlist(&mut self, place: u32, listed: Listed) {
        let Some(lane) = self
            .destinations
            .get(place)
            .map(|destination| destination.lane)
        else {
            return;
        };
        let Some(list) = self.list_mut(lane, listed) else {
            return;
        };
        let last = std::mem::replace(&mut list.last, place);
        if list.first == NONE {
            list.first = place;
        }
        if let Some(before) = self.destinations.get_mut(last) {
            before.next = place;
        }
        if let Some(destination) = self.destinations.get_mut(place) {
            destination.listed = Some(listed);
            destination.previous = last;
            destination.next = NONE;
        }
    }

    /// Takes a destination out of the list that it stands in.
    pub(super) fn delist(&mut self, place: u32) {
        let Some(destination) = self.destinations.get_mut(place) else {
            return;
        };
        let Some(listed) = destination.listed.take() else {
            return;
        };
        let (lane, previous, next) = (destination.lane, destination.previous, destination.next);
        if let Some(before) = self.destinations.get_mut(previous) {
            before.next = next;
        }
        if let Some(after) = self.destinations.get_mut(next) {
            after.previous = previous;
        }
        if let Some(list) = self.list_mut(lane, listed) {
            if list.first == place {
                list.first = next;
            }
            if list.last == place {
                list.last = previous;
            }
        }
    }

    pub(super) fn hash(&self, lane: u32, address: &Address) -> u64 {
        if self
            .lanes
            .get(lane as usize)
            .is_some_and(|lane| lane.single)
        {
            return u64::from(lane);
        }
        self.hasher.hash_one((lane, address))
    }

    pub(super) fn find_destination(&self, hash: u64, lane: u32, address: &Address) -> Option<u32> {
        let single = self.lanes.get(lane as usize)?.single;
        self.by_address
            .find(hash, |place| {
                self.destinations.get(*place).is_some_and(|destination| {
                    destination.lane == lane
                        && (single || destination.example.destination == *address)
                })
            })
            .copied()
    }

    pub(super) fn destination(&mut self, lane: u32, message: Arc<Message>) -> u32 {
        let hash = self.hash(lane, &message.destination);
        if let Some(place) = self.find_destination(hash, lane, &message.destination) {
            return place;
        }
        let place = self.destinations.insert(Destination {
            lane,
            example: message,
            hash,
            waiting: [EMPTY; LISTS],
            count: 0,
            in_flight: 0,
            listed: None,
            previous: NONE,
            next: NONE,
        });
        let destinations = &self.destinations;
        self.by_address.insert_unique(hash, place, |place| {
            destinations
                .get(*place)
                .map_or(0, |destination| destination.hash)
        });
        place
    }

    pub(super) fn forget_if_empty(&mut self, place: u32) {
        let Some(destination) = self.destinations.get(place) else {
            return;
        };
        if destination.count > 0 || destination.in_flight > 0 {
            return;
        }
        let hash = destination.hash;
        self.delist(place);
        if let Ok(entry) = self.by_address.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
        self.destinations.remove(place);
    }

    /// Puts the item into its destination's list, by its order.
    pub(super) fn link(&mut self, place: u32, destination: u32) {
        let Some(item) = self.items.get(place) else {
            return;
        };
        let order = item.order;
        let level = item.level();
        let Some(list) = self
            .destinations
            .get(destination)
            .and_then(|destination| destination.waiting.get(level))
            .copied()
        else {
            return;
        };
        let order_of = |place: u32| self.items.get(place).map(|item| item.order);
        // New ones go to the end. One that comes back finds before it only others that came back: few.
        let (previous, next) = if order_of(list.last).is_none_or(|last| last < order) {
            (list.last, NONE)
        } else {
            let (mut previous, mut next) = (NONE, list.first);
            while let Some(other) = self.items.get(next)
                && other.order < order
            {
                previous = next;
                next = other.next;
            }
            (previous, next)
        };
        if let Some(item) = self.items.get_mut(place) {
            item.previous = previous;
            item.next = next;
        }
        if let Some(before) = self.items.get_mut(previous) {
            before.next = place;
        }
        if let Some(after) = self.items.get_mut(next) {
            after.previous = place;
        }
        if let Some(destination) = self.destinations.get_mut(destination) {
            destination.count += 1;
            if let Some(list) = destination.waiting.get_mut(level) {
                if previous == NONE {
                    list.first = place;
                }
                if next == NONE {
                    list.last = place;
                }
            }
        }
    }

    pub(super) fn unlink(&mut self, place: u32) {
        let Some(item) = self.items.get_mut(place) else {
            return;
        };
        let level = item.level();
        let (previous, next, destination) = (item.previous, item.next, item.destination);
        item.previous = NONE;
        item.next = NONE;
        if let Some(before) = self.items.get_mut(previous) {
            before.next = next;
        }
        if let Some(after) = self.items.get_mut(next) {
            after.previous = previous;
        }
        if let Some(destination) = self.destinations.get_mut(destination) {
            destination.count = destination.count.saturating_sub(1);
            if let Some(list) = destination.waiting.get_mut(level) {
                if list.first == place {
                    list.first = next;
                }
                if list.last == place {
                    list.last = previous;
                }
            }
        }
    }
}
