//! Who is told next, who is told again and when, and who no more. Pure: time and events in, effects out.
//!
//! The store holds every contact that is to be told, with the time of its next attempt; memory holds a few of those
//! that are due, per channel. An attempt that fails goes back to the store with a later time. So a channel that is
//! dead costs neither memory nor another channel anything.

mod line;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tollwire_runtime::clock::Now;

use super::{Channel, Key, Notification, Task, Waiting};
use line::Line;

/// How a channel's contacts are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Whether they are at all.
    pub enabled: bool,
    /// Attempts at once.
    pub in_flight: usize,
    /// Of them to one server, where each contact names its own.
    pub in_flight_per_server: usize,
    /// Contacts of one account that are told in one hour; 0 is no limit.
    pub per_account_hour: u32,
    /// The pause after a first failure; each further one doubles it.
    pub retry_first_ms: i64,
    /// The longest pause.
    pub retry_most_ms: i64,
    /// After so long nobody is told any more.
    pub give_up_ms: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The next server has taken it over.
    Told,
    /// It never will be: the server knows no such contact.
    Refused(String),
    /// Not this time.
    Failed(String),
    /// The server did not answer, or refuses us: others will fare no better now.
    Unreachable(String),
}

/// Why a contact is told no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was told.
    Told,
    /// It was not, for this reason.
    GivenUp(String),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The store has a new notification.
    Made(Box<Notification>),
    /// The store has more than was said.
    Behind,
    /// What [`Effect::Load`] found: what is due, the earliest first.
    Loaded {
        /// The channel.
        channel: Channel,
        /// What is due.
        tasks: Vec<Task>,
        /// Whether more is due than was asked for.
        more: bool,
        /// When what is not due yet will be.
        next_unix_ms: Option<i64>,
    },
    /// The store could not be read.
    NotLoaded(Channel),
    /// An attempt ended.
    Ended(Key, Outcome),
    /// What [`Effect::End`] or [`Effect::Later`] asked for is on disk.
    Stored(Key),
    /// It is not.
    NotStored(Key),
    /// A deadline may have passed.
    Tick,
    /// Another instance tells from now on: what is in memory is its own now, and what is under way ends unheard.
    Halt,
    /// This instance tells (again).
    Resume,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Try it.
    Send(Task),
    /// Have the store forget it.
    End(Key, End),
    /// Have the store keep it for later.
    Later(Waiting),
    /// Read what is due from the store; answered with [`Event::Loaded`] or [`Event::NotLoaded`].
    Load {
        /// The channel.
        channel: Channel,
        /// Due up to here.
        until_unix_ms: i64,
        /// At most so many.
        limit: usize,
    },
}

/// A channel as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// The channel.
    pub channel: Channel,
    /// Whether it is on.
    pub enabled: bool,
    /// Attempts under way, and ends that are being stored.
    pub in_flight: usize,
    /// Contacts that were told since the start.
    pub told: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Contacts that were given up since the start.
    pub given_up: u64,
    /// Servers that are left alone for now.
    pub unreachable: usize,
    /// The last failure; empty if there was none.
    pub error: String,
}

/// All channels.
#[derive(Debug)]
pub struct Queue {
    lines: BTreeMap<Channel, Line>,
    halted: bool,
}

impl Queue {
    /// Channels about to read what waits in the store. One that is not among `limits` is off.
    pub fn new(limits: impl IntoIterator<Item = (Channel, Limits)>) -> Self {
        let mut limits: BTreeMap<Channel, Limits> = limits.into_iter().collect();
        let lines = Channel::ALL
            .into_iter()
            .map(|channel| (channel, Line::new(channel, limits.remove(&channel))))
            .collect();
        Self {
            lines,
            halted: false,
        }
    }

    /// The one door.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Halt => {
                self.halted = true;
                self.lines.values_mut().for_each(Line::forget);
            }
            Event::Resume => {
                self.halted = false;
                self.go_on(now, effects);
            }
            _ if self.halted => {}
            Event::Made(notification) => {
                let notification = std::sync::Arc::new(*notification);
                for contact in notification.told_contacts() {
                    let task = Task {
                        notification: notification.clone(),
                        contact: contact.clone(),
                        attempts: 0,
                    };
                    self.with(contact.channel(), |line| line.made(task));
                }
                self.go_on(now, effects);
            }
            Event::Behind => {
                self.lines.values_mut().for_each(Line::behind);
                self.go_on(now, effects);
            }
            Event::Loaded {
                channel,
                tasks,
                more,
                next_unix_ms,
            } => self.with(channel, |line| {
                line.loaded(tasks, more, next_unix_ms);
                line.go_on(now, effects);
            }),
            Event::NotLoaded(channel) => self.with(channel, |line| {
                line.not_loaded(now);
                line.go_on(now, effects);
            }),
            Event::Ended(key, outcome) => self.with(key.contact.channel(), |line| {
                line.ended(now, &key, outcome, effects);
                line.go_on(now, effects);
            }),
            Event::Stored(key) => self.with(key.contact.channel(), |line| {
                line.stored(&key);
                line.go_on(now, effects);
            }),
            Event::NotStored(key) => {
                self.with(key.contact.channel(), |line| line.not_stored(now, key));
            }
            Event::Tick => self.go_on(now, effects),
        }
    }

    /// How long until [`Event::Tick`] is due.
    pub fn until_deadline(&self, now: Now) -> Option<Duration> {
        let lines = self.lines.values().filter(|_| !self.halted);
        lines.filter_map(|line| line.until_deadline(now)).min()
    }

    /// Each channel.
    pub fn states(&self) -> impl Iterator<Item = State> {
        self.lines.values().map(Line::state)
    }

    fn with(&mut self, channel: Channel, act: impl FnOnce(&mut Line)) {
        if let Some(line) = self.lines.get_mut(&channel) {
            act(line);
        }
    }

    fn go_on(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for line in self.lines.values_mut() {
            line.go_on(now, effects);
        }
    }
}

#[cfg(test)]
mod tests;
