//! The core: sessions, queues and charging in memory; events in, effects out.
//!
//! ```text
//! submit_sm      -> Store(Accepted)                            -> Stored -> submit_sm_resp, queue
//! queue          -> [Credit(Reserve) -> granted] -> deliver_sm / submit_sm to the next hop
//! deliver_sm_resp, or the upstream's receipt
//!                -> Store(Done + receipt)                      -> Stored -> Record, Credit(Debit), the receipt's queue
//! failed         -> Store(Progress), wait, again; at the end of validity Store(Done)
//! Record, Credit -> RecordsStored, answered                    -> Store(RecordsWritten), Store(Settled)
//! ```
//! Rules that make a crash harmless at every point: an ESME hears only of what is stored; charging and records follow
//! what is stored, under names made from the message id, so that doing them again does nothing.

mod bind;
mod charging;
mod dispatch;
mod finish;
mod frames;
mod link;
mod manage;
mod operator;
mod reload;
mod remembered;
mod stored;
mod submit;
mod tick;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollwire_runtime::clock::Now;

use crate::credit::Settlements;
use crate::effect::Effect;
use crate::entry::Recovered;
use crate::esme::Peer;
use crate::event::{Event, LinkId, StoreFailure};
use crate::message::MessageId;
use crate::queue::Queue;
use crate::queue::hash::NumberHash;
use crate::router::Router;
use crate::settings::Settings;
use crate::wire::{command, write};
use link::{Link, Role};
use remembered::Remembered;
use stored::Pending;

/// Counters for the metrics page.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Messages accepted and stored.
    pub accepted: u64,
    /// Submissions refused.
    pub refused: u64,
    /// Of them with ESME_RTHROTTLED.
    pub throttled: u64,
    /// Messages sent to a next hop, repetitions included.
    pub sent: u64,
    /// Of them sent again.
    pub repeated: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages that ended otherwise.
    pub failed: u64,
    /// Of them because their validity ended.
    pub expired: u64,
    /// Receipts made, intermediate ones included.
    pub receipts: u64,
    /// Receipts that their ESME took.
    pub receipts_delivered: u64,
    /// Receipts of upstreams for messages that nobody knows.
    pub receipts_unmatched: u64,
    /// Tariffs that could not be read and were carried without a price.
    pub bad_tariffs: u64,
    /// Binds accepted.
    pub binds: u64,
    /// Binds refused.
    pub binds_refused: u64,
    /// PDUs that could not be read.
    pub malformed: u64,
    /// Requests of ours that were not answered in time.
    pub unanswered: u64,
    /// Reservations that credit control refused.
    pub credit_refused: u64,
    /// Renewals of reservations that credit control refused.
    pub renewals_refused: u64,
    /// Debits that credit control refused: money that is owed.
    pub debits_refused: u64,
    /// Times that the spool failed.
    pub store_failures: u64,
    /// Records made.
    pub records: u64,
}

/// The SMSC.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    /// ESMEs first, then upstreams; those that are gone from the settings stay until their links are closed.
    peers: Vec<Peer>,
    esmes: HashMap<Arc<str>, u32>,
    upstreams: HashMap<Arc<str>, u32>,
    router: Router,
    /// Names of routes that the operator holds.
    held: BTreeSet<Arc<str>>,
    queue: Queue,
    links: HashMap<u64, Link, NumberHash>,
    links_by_address: HashMap<IpAddr, u32>,
    link_timers: BinaryHeap<Reverse<(Instant, LinkId)>>,
    /// Wrong passwords by address, and since when they are counted.
    wrong_passwords: HashMap<IpAddr, (u32, Instant)>,
    next_id: u64,
    /// What each entry on its way to the disk is for; the first has the number `first_position`.
    pending: VecDeque<Pending>,
    first_position: u64,
    store_failure: Option<StoreFailure>,
    space_low: bool,
    /// What must be stored when the spool works again.
    lost: VecDeque<Pending>,
    /// Messages whose records are on their way; the first has the number `first_record`.
    records: VecDeque<MessageId>,
    first_record: u64,
    settlements: Settlements,
    credit_in_flight: u32,
    /// Credit control could not be asked: nothing is asked before this (unix ms).
    credit_paused_until: i64,
    /// Targets that waited for room among the credit-control requests.
    credit_blocked: Vec<u32>,
    /// Peers to which nothing is sent for a moment, by its end.
    paused: BTreeSet<(i64, u32)>,
    remembered: Remembered,
    dirty_links: Vec<LinkId>,
    dirty_targets: Vec<u32>,
    target_is_dirty: Vec<bool>,
    turn: usize,
    counters: Counters,
}

impl Core {
    /// A core that knows what the spool remembers; what it begins with goes to `effects`.
    pub fn new(
        now: Now,
        settings: Settings,
        recovered: Recovered,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut core = Self {
            settings: Settings::default(),
            peers: Vec::new(),
            esmes: HashMap::new(),
            upstreams: HashMap::new(),
            router: Router::default(),
            held: BTreeSet::new(),
            queue: Queue::default(),
            links: HashMap::default(),
            links_by_address: HashMap::new(),
            link_timers: BinaryHeap::new(),
            wrong_passwords: HashMap::new(),
            next_id: recovered.next_id.max(1),
            pending: VecDeque::new(),
            first_position: 1,
            store_failure: None,
            space_low: false,
            lost: VecDeque::new(),
            records: VecDeque::new(),
            first_record: 1,
            settlements: Settlements::default(),
            credit_in_flight: 0,
            credit_paused_until: 0,
            credit_blocked: Vec::new(),
            paused: BTreeSet::new(),
            remembered: Remembered::default(),
            dirty_links: Vec::new(),
            dirty_targets: Vec::new(),
            target_is_dirty: Vec::new(),
            turn: 0,
            counters: Counters::default(),
        };
        core.reload(now, settings, effects);
        core.recover(now, recovered, effects);
        core.end_turn(now, effects);
        core
    }

    /// The one door.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Accepted { link, remote, .. } => self.accepted(now, link, remote, effects),
            Event::Connected {
                link,
                upstream,
                index,
            } => self.connected(now, link, &upstream, index, effects),
            Event::ConnectFailed { upstream, index } => {
                self.reconnect(&upstream, index, effects);
            }
            Event::Frames { link, frames } => {
                for frame in &frames {
                    self.frame(now, link, frame, effects);
                }
            }
            Event::FramingFailed {
                link,
                sequence_number,
            } => self.framing_failed(now, link, sequence_number, effects),
            Event::Closed { link } => self.closed(now, link, effects),
            Event::Backlog { link, octets } => {
                if let Some(link) = self.links.get_mut(&link.0) {
                    link.backlog = octets;
                }
                self.link_may_have_room(link);
            }
            Event::PasswordChecked { link, ok } => self.password_checked(now, link, ok, effects),
            Event::Stored { up_to } => self.stored(now, up_to, effects),
            Event::StoreFailed(failure) => self.store_failed(now, failure, effects),
            Event::StoreReady => self.store_ready(effects),
            Event::SpaceLow(low) => self.space_low = low,
            Event::RecordsStored { up_to } => self.records_stored(up_to, effects),
            Event::Credit(answer) => self.credit_answered(now, answer, effects),
            Event::Operator { token, operation } => {
                let result = self.operate(now, operation, effects);
                effects.push(Effect::Reply { token, result });
            }
            Event::Reloaded(settings) => self.reload(now, *settings, effects),
            Event::Tick => self.tick(now, effects),
        }
        self.end_turn(now, effects);
    }

    /// How long until [`Event::Tick`] is due; zero if it is, `None` if nothing waits for time.
    pub fn next_deadline(&self, now: Now) -> Option<Duration> {
        let wall = [
            self.queue.next_due(),
            self.settlements.next_due(),
            self.paused.first().map(|(at, _)| *at),
            (self.settlements.is_ready() && self.credit_is_away(now))
                .then_some(self.credit_paused_until),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|at| {
            Duration::from_millis(u64::try_from(at.saturating_sub(now.unix_ms)).unwrap_or(0))
        });
        let link = self
            .link_timers
            .peek()
            .map(|Reverse((at, _))| at.saturating_duration_since(now.instant));
        [wall, link].into_iter().flatten().min()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the turn made possible is done, and what was written goes out.
    fn end_turn(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some(target) = self.dirty_targets.pop() {
            if let Some(dirty) = self.target_is_dirty.get_mut(target as usize) {
                *dirty = false;
            }
            self.pump(now, target, effects);
        }
        self.settle(now, effects);
        for id in self.dirty_links.drain(..) {
            let Some(link) = self.links.get_mut(&id.0) else {
                continue;
            };
            link.dirty = false;
            if !link.out.is_empty() {
                let octets = std::mem::take(&mut link.out);
                effects.push(Effect::Send { link: id, octets });
            }
            if link.closing {
                effects.push(Effect::Close { link: id });
            } else if let Some(deadline) = link.next_deadline()
                && link.timer.is_none_or(|timer| deadline < timer)
            {
                link.timer = Some(deadline);
                self.link_timers.push(Reverse((deadline, id)));
            }
        }
    }

    fn mark_link(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id.0)
            && !link.dirty
        {
            link.dirty = true;
            self.dirty_links.push(id);
        }
    }

    fn mark_target(&mut self, target: u32) {
        if let Some(dirty) = self.target_is_dirty.get_mut(target as usize)
            && !*dirty
        {
            *dirty = true;
            self.dirty_targets.push(target);
        }
    }

    fn mark_peer(&mut self, peer: u32) {
        let Some(peer) = self.peers.get(peer as usize) else {
            return;
        };
        for target in &peer.targets {
            if self.queue.has_ready(*target)
                && let Some(dirty) = self.target_is_dirty.get_mut(*target as usize)
                && !*dirty
            {
                *dirty = true;
                self.dirty_targets.push(*target);
            }
        }
    }

    /// Answers a request of the peer without a body.
    fn answer(&mut self, id: LinkId, command_id: u32, status: u32, sequence_number: u32) {
        if let Some(link) = self.links.get_mut(&id.0) {
            link.session
                .responded(command_id & !command::RESPONSE, status);
        }
        self.write_header(id, command_id, status, sequence_number);
    }

    /// Writes a PDU without a body.
    fn write_header(&mut self, id: LinkId, command_id: u32, status: u32, sequence_number: u32) {
        if let Some(link) = self.links.get_mut(&id.0)
            && !link.closing
        {
            write::header(&mut link.out, command_id, status, sequence_number);
            self.mark_link(id);
        }
    }

    /// Ends a session: what is written still goes out, what was sent and not answered is sent again elsewhere.
    fn close(&mut self, now: Now, id: LinkId, effects: &mut Vec<Effect>) {
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        if link.closing {
            return;
        }
        let lost = link.end();
        self.mark_link(id);
        for token in lost {
            self.link_lost(now, token, effects);
        }
    }

    /// The link stands in its peer's list again, if it has room.
    fn link_may_have_room(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        let Some(index) = link.peer else {
            return;
        };
        let Some(peer) = self.peers.get_mut(index as usize) else {
            return;
        };
        if !link.free && link.has_room(self.settings.limits.max_backlog_octets) {
            link.free = true;
            peer.free.push_back(id);
        }
        if link.free {
            self.mark_peer(index);
        }
    }

    /// Messages kept in any form.
    fn kept(&self) -> usize {
        self.queue.len() + self.settlements.len() + self.records.len()
    }

    fn remote(link: &Link) -> Option<IpAddr> {
        match link.role {
            Role::Server { remote } => Some(remote),
            Role::Client { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
