//! Messages that are not final: by id, by destination in order, and by time.
//!
//! ```text
//! lane (a route, or the receipts of one ESME) -> target (who takes them; several lanes may share one)
//!   destination (lane + address) -> waiting messages: highest priority first, then in the order of their coming
//! target -> destinations that are ready, by the priority of their first message
//! ```
//! A destination is ready when it has a first message whose time has come and fewer than its lane's window under way.
//! A first message that waits for its next try holds back those behind it, except ones of a higher priority.

pub mod hash;
mod item;
mod order;
pub mod slots;
mod timers;

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::message::{Address, Message, MessageId, Progress};
use hash::NumberHash;
pub use item::{Item, Lane, Phase, Slot};
use slots::Slots;
use timers::Timers;

/// Priorities 0 to 3 (SMPP 3.4 section 5.2.14).
pub const PRIORITIES: usize = 4;
/// The list of those whose `schedule_delivery_time` has not come, beside the lists of the priorities.
const SCHEDULED: usize = PRIORITIES;
const LISTS: usize = PRIORITIES + 1;
const NONE: u32 = u32::MAX;

/// Ends of a list whose members name each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List {
    first: NONE,
    last: NONE,
};

impl Default for List {
    fn default() -> Self {
        EMPTY
    }
}

/// The list that a destination stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// Ready, by the priority of its first message.
    Ready(usize),
    /// It would be, but its lane is held.
    Parked,
}

#[derive(Debug)]
struct Destination {
    lane: u32,
    /// A message to it, for its address.
    example: Arc<Message>,
    hash: u64,
    waiting: [List; LISTS],
    count: u32,
    in_flight: u32,
    listed: Option<Listed>,
    previous: u32,
    next: u32,
}

impl Destination {
    fn head(&self) -> Option<(usize, u32)> {
        self.waiting
            .iter()
            .take(PRIORITIES)
            .enumerate()
            .rev()
            .find(|(_, list)| list.first != NONE)
            .map(|(level, list)| (level, list.first))
    }
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    items: Slots<Item>,
    by_id: HashMap<u64, u32, NumberHash>,
    destinations: Slots<Destination>,
    by_address: HashTable<u32>,
    hasher: RandomState,
    lanes: Vec<Lane>,
    ready: Vec<[List; PRIORITIES]>,
    timers: Timers,
    next_order: u64,
    octets: u64,
    receipts: usize,
}

/// What a message takes of the octets that may be kept.
pub fn footprint(message: &Message) -> u64 {
    let tlvs: usize = message.tlvs.iter().map(|tlv| tlv.value.len() + 4).sum();
    // The constant stands for the fixed parts here and in the tables.
    (message.payload.len() + tlvs + 512) as u64
}

impl Queue {
    /// Lanes and targets from now on. Everything that waited must be put in again with [`Self::wait`].
    pub fn reshape(&mut self, lanes: Vec<Lane>, targets: usize) {
        self.lanes = lanes;
        self.ready = vec![[EMPTY; PRIORITIES]; targets];
        self.destinations = Slots::default();
        self.by_address.clear();
        for (_, item) in self.items.iter_mut() {
            item.destination = NONE;
            item.previous = NONE;
            item.next = NONE;
        }
    }

    /// Keeps a message. It does nothing until it is told to.
    pub fn insert(&mut self, message: Arc<Message>, progress: Progress, phase: Phase) -> Slot {
        self.octets = self.octets.saturating_add(footprint(&message));
        self.receipts += usize::from(message.is_receipt());
        let id = message.id.number();
        let place = self.items.insert(Item {
            message,
            progress,
            phase,
            reserved_at: None,
            maybe_reserved: false,
            owner: NONE,
            link: None,
            credit_failures: 0,
            lane: NONE,
            destination: NONE,
            previous: NONE,
            next: NONE,
            order: 0,
            due: i64::MAX,
        });
        self.by_id.insert(id, place);
        Slot(place)
    }

    /// The message with this id.
    pub fn find(&self, id: MessageId) -> Option<Slot> {
        self.by_id.get(&id.number()).copied().map(Slot)
    }

    /// What is kept there.
    pub fn item(&self, slot: Slot) -> Option<&Item> {
        self.items.get(slot.0)
    }

    /// What is kept there.
    pub fn item_mut(&mut self, slot: Slot) -> Option<&mut Item> {
        self.items.get_mut(slot.0)
    }

    /// Every message.
    pub fn items(&self) -> impl Iterator<Item = (Slot, &Item)> {
        self.items.iter().map(|(place, item)| (Slot(place), item))
    }

    /// Messages kept.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets kept, about.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Receipts kept.
    pub fn receipts(&self) -> usize {
        self.receipts
    }

    /// Destinations with messages.
    pub fn destinations(&self) -> usize {
        self.destinations.len()
    }

    /// A lane.
    pub fn lane(&self, lane: u32) -> Option<&Lane> {
        self.lanes.get(lane as usize)
    }

    /// Messages that wait for `address` or are under way there.
    pub fn depth(&self, lane: u32, address: &Address) -> u32 {
        let hash = self.hash(lane, address);
        self.find_destination(hash, lane, address)
            .and_then(|place| self.destinations.get(place))
            .map_or(0, |destination| destination.count + destination.in_flight)
    }

    /// Messages that wait for `address`, scheduled ones first, then the first to go first.
    pub fn waiting(&self, lane: u32, address: &Address) -> impl Iterator<Item = Slot> {
        let hash = self.hash(lane, address);
        let lists = self
            .find_destination(hash, lane, address)
            .and_then(|place| self.destinations.get(place))
            .map_or([EMPTY; LISTS], |destination| destination.waiting);
        lists.into_iter().rev().flat_map(move |list| {
            std::iter::successors(self.items.get(list.first).map(|item| (list.first, item)), {
                |(_, item)| self.items.get(item.next).map(|next| (item.next, next))
            })
            .map(|(place, _)| Slot(place))
        })
    }

    /// Puts a message into its destination's queue, behind the others of its priority unless it has been there before.
    pub fn wait(&mut self, now_ms: i64, slot: Slot, lane: u32) {
        let place = self.enter(slot, lane, Phase::Waiting);
        self.time_waiting(now_ms, slot);
        self.mark_ready(now_ms, place);
    }

    /// Puts a message into its destination's queue until its `schedule_delivery_time`; [`Self::wait`] follows then.
    pub fn schedule(&mut self, slot: Slot, lane: u32, at_ms: i64) {
        self.enter(slot, lane, Phase::Scheduled);
        self.set_due(slot, at_ms);
    }

    /// Puts the message where `phase` says. Returns its destination.
    fn enter(&mut self, slot: Slot, lane: u32, phase: Phase) -> u32 {
        let Some(item) = self.items.get(slot.0) else {
            return NONE;
        };
        if item.destination != NONE {
            self.leave_list(slot);
        }
        let Some(item) = self.items.get(slot.0) else {
            return NONE;
        };
        let message = item.message.clone();
        let place = self.destination(lane, message);
        if let Some(item) = self.items.get_mut(slot.0) {
            if phase == Phase::Waiting && item.order == 0 {
                self.next_order += 1;
                item.order = self.next_order;
            }
            item.lane = lane;
            item.destination = place;
            item.phase = phase;
        }
        if let Some(lane) = self.lanes.get_mut(lane as usize) {
            lane.messages += 1;
        }
        self.link(slot.0, place);
        place
    }

    /// A message that is under way counts in its destination again, after [`Self::reshape`].
    pub fn rejoin(&mut self, slot: Slot, lane: u32) {
        let Some(item) = self.items.get(slot.0) else {
            return;
        };
        let message = item.message.clone();
        let place = self.destination(lane, message);
        if let Some(item) = self.items.get_mut(slot.0) {
            item.lane = lane;
            item.destination = place;
        }
        if let Some(destination) = self.destinations.get_mut(place) {
            destination.in_flight += 1;
        }
        if let Some(lane) = self.lanes.get_mut(lane as usize) {
            lane.messages += 1;
        }
    }

    /// A message that was taken with [`Self::take`] waits again, where it stood.
    pub fn put_back(&mut self, now_ms: i64, slot: Slot) {
        let Some(item) = self.items.get_mut(slot.0) else {
            return;
        };
        item.phase = Phase::Waiting;
        let place = item.destination;
        if let Some(destination) = self.destinations.get_mut(place) {
            destination.in_flight = destination.in_flight.saturating_sub(1);
            self.link(slot.0, place);
        }
        self.time_waiting(now_ms, slot);
        self.mark_ready(now_ms, place);
    }

    /// Takes the next message that is ready for `target`; it is in flight then. Its destination counts it as under way until
    /// [`Self::put_back`], [`Self::leave`] or [`Self::remove`].
    pub fn take(&mut self, now_ms: i64, target: u32) -> Option<Slot> {
        loop {
            let lists = self.ready.get(target as usize)?;
            let place = lists
                .iter()
                .rev()
                .map(|list| list.first)
                .find(|first| *first != NONE)?;
            let lane = self.destinations.get(place)?.lane;
            self.delist(place);
            if self.lanes.get(lane as usize).is_some_and(|lane| lane.held) {
                self.enlist(place, Listed::Parked);
                continue;
            }
            let Some(head) = self.eligible(now_ms, place) else {
                self.forget_if_empty(place);
                continue;
            };
            self.unlink(head);
            if let Some(item) = self.items.get_mut(head) {
                item.phase = Phase::InFlight;
            }
            if let Some(destination) = self.destinations.get_mut(place) {
                destination.in_flight += 1;
            }
            self.mark_ready(now_ms, place);
            return Some(Slot(head));
        }
    }

    /// Whether something may be ready for `target`.
    pub fn has_ready(&self, target: u32) -> bool {
        self.ready
            .get(target as usize)
            .is_some_and(|lists| lists.iter().any(|list| list.first != NONE))
    }

    /// Nothing leaves the lane any more, or again.
    pub fn hold(&mut self, now_ms: i64, lane: u32, held: bool) {
        let Some(entry) = self.lanes.get_mut(lane as usize) else {
            return;
        };
        entry.held = held;
        if !held {
            while let Some(place) = self.lanes.get(lane as usize).map(|lane| lane.parked.first)
                && place != NONE
            {
                self.delist(place);
                self.mark_ready(now_ms, place);
            }
        }
    }

    /// The message is no longer its destination's concern: it is final, or an upstream has it.
    pub fn leave(&mut self, now_ms: i64, slot: Slot) {
        let Some(item) = self.items.get_mut(slot.0) else {
            return;
        };
        let place = item.destination;
        if place == NONE {
            return;
        }
        self.leave_list(slot);
        self.mark_ready(now_ms, place);
        self.forget_if_empty(place);
    }

    fn leave_list(&mut self, slot: Slot) {
        let Some(item) = self.items.get(slot.0) else {
            return;
        };
        let (place, lane) = (item.destination, item.lane as usize);
        if item.is_listed() {
            self.unlink(slot.0);
        } else if let Some(destination) = self.destinations.get_mut(place) {
            destination.in_flight = destination.in_flight.saturating_sub(1);
        }
        if let Some(item) = self.items.get_mut(slot.0) {
            item.destination = NONE;
        }
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.messages = lane.messages.saturating_sub(1);
        }
    }

    /// Takes a message out for good.
    pub fn remove(&mut self, now_ms: i64, slot: Slot) -> Option<Item> {
        self.leave(now_ms, slot);
        let item = self.items.remove(slot.0)?;
        self.by_id.remove(&item.message.id.number());
        self.octets = self.octets.saturating_sub(footprint(&item.message));
        self.receipts = self
            .receipts
            .saturating_sub(usize::from(item.message.is_receipt()));
        Some(item)
    }

    /// The same message with another content. It must not stand in a list: [`Self::leave`] first.
    pub fn replace(&mut self, slot: Slot, message: Arc<Message>) {
        let Some(item) = self.items.get_mut(slot.0) else {
            return;
        };
        let before = footprint(&item.message);
        self.octets = self
            .octets
            .saturating_sub(before)
            .saturating_add(footprint(&message));
        item.message = message;
    }

    /// The item is looked at again at `at_ms`.
    pub fn set_due(&mut self, slot: Slot, at_ms: i64) {
        if let Some(item) = self.items.get_mut(slot.0)
            && item.due != at_ms
        {
            item.due = at_ms;
            self.timers.push(at_ms, item.message.id, slot.0);
            if self.timers.is_stale(self.items.places()) {
                let live = self
                    .items
                    .iter()
                    .filter(|(_, item)| item.due != i64::MAX)
                    .map(|(place, item)| (item.due, item.message.id, place));
                self.timers.rebuild(live);
            }
        }
    }

    /// When the next item is due.
    pub fn next_due(&self) -> Option<i64> {
        self.timers.next()
    }

    /// An item whose time has come; its due time is cleared.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<Slot> {
        while let Some((due, id, place)) = self.timers.pop(now_ms) {
            if let Some(item) = self.items.get_mut(place)
                && item.message.id == id
                && item.due == due
            {
                item.due = i64::MAX;
                return Some(Slot(place));
            }
        }
        None
    }

    /// The time of a waiting item's next try has come, or it is to be timed anew.
    pub fn wake(&mut self, now_ms: i64, slot: Slot) {
        self.time_waiting(now_ms, slot);
        if let Some(item) = self.items.get(slot.0) {
            self.mark_ready(now_ms, item.destination);
        }
    }

    /// The item's target, if it is in a lane.
    pub fn target(&self, slot: Slot) -> Option<u32> {
        let item = self.items.get(slot.0)?;
        self.lanes.get(item.lane as usize).map(|lane| lane.target)
    }
}

#[cfg(test)]
mod tests;
