//! Messages in the queue, and the lanes that they stand in.

use std::sync::Arc;

use super::{List, PRIORITIES, SCHEDULED};
use crate::event::LinkId;
use crate::message::{Message, Progress};

/// Where a message is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot(pub(super) u32);

/// What a message does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is on its way to the disk, and not acknowledged.
    Storing,
    /// It waits for its `schedule_delivery_time`.
    Scheduled,
    /// It waits in its destination's queue.
    Waiting,
    /// Credit control is asked.
    Reserving,
    /// It was sent; the answer is awaited.
    InFlight,
    /// An upstream has it; its receipt is awaited.
    AwaitingReceipt,
    /// No route leads to its destination since the settings changed.
    Stranded,
}

impl Phase {
    /// Its name for the operator.
    pub fn name(self) -> &'static str {
        match self {
            Self::Storing => "storing",
            Self::Scheduled => "scheduled",
            Self::Waiting => "waiting",
            Self::Reserving => "reserving",
            Self::InFlight => "in-flight",
            Self::AwaitingReceipt => "awaiting-receipt",
            Self::Stranded => "no-route",
        }
    }
}

/// A message with what happens to it.
#[derive(Debug)]
pub struct Item {
    /// The message.
    pub message: Arc<Message>,
    /// What has happened.
    pub progress: Progress,
    /// What it does now.
    pub phase: Phase,
    /// Money is held under `progress.reservation` since then (unix ms).
    pub reserved_at: Option<i64>,
    /// Credit control may have been asked for this reservation before a crash.
    pub maybe_reserved: bool,
    /// Index of the peer that submitted it, or whose receipt it is.
    pub owner: u32,
    /// The link that it was sent over.
    pub link: Option<LinkId>,
    /// Times that credit control could not be asked in a row.
    pub credit_failures: u32,
    /// Its lane, if it was ever put into one.
    pub lane: u32,
    pub(super) destination: u32,
    pub(super) previous: u32,
    pub(super) next: u32,
    pub(super) order: u64,
    pub(super) due: i64,
}

impl Item {
    /// When it came to its queue, beside others.
    pub fn order(&self) -> u64 {
        self.order
    }

    pub(super) fn is_listed(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Scheduled)
    }

    /// Which of its destination's lists it stands in.
    pub(super) fn level(&self) -> usize {
        if self.phase == Phase::Scheduled {
            SCHEDULED
        } else {
            usize::from(self.message.priority_flag).min(PRIORITIES - 1)
        }
    }
}

/// A route's part of the queue, or that of one ESME's receipts.
#[derive(Debug, Clone, Default)]
pub struct Lane {
    /// Who takes its messages.
    pub target: u32,
    /// Nothing leaves it.
    pub held: bool,
    /// Messages under way to one destination.
    pub window: u32,
    /// All addresses are one destination.
    pub single: bool,
    /// Messages that wait in it or are under way.
    pub messages: usize,
    /// Destinations that would be ready if it were not held.
    pub(crate) parked: List,
}
