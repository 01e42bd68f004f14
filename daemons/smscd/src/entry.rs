//! What the spool keeps: entries, and what they add up to.
//!
//! ```text
//! Accepted -> (Progress | Replaced)* -> Done -> Settled         if money is held for it
//!                                            -> RecordsWritten   if it has a record
//! ```
//! A message may be forgotten when it is [`Done`], settled, and its record is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::message::{Message, MessageId, MessageState, Progress};

/// A line of the spool. Each is kept whole or not at all, and they are kept in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A new message.
    Accepted(Arc<Message>),
    /// The messages of one `submit_multi`: all of them or none.
    AcceptedTogether(Box<[Arc<Message>]>),
    /// Where a message that is not final stands; takes the place of what was known.
    Progress {
        /// The message.
        id: MessageId,
        /// All of it.
        progress: Progress,
    },
    /// The message with this id has another content.
    Replaced(Arc<Message>),
    /// The message is final. With it, in the same entry, its receipt.
    Done(Done),
    /// Charging has taken or given back what it held for the message.
    Settled {
        /// The message.
        id: MessageId,
    },
    /// Their records are in the record files.
    RecordsWritten {
        /// The messages.
        ids: Box<[MessageId]>,
    },
}

/// The end of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The message.
    pub id: MessageId,
    /// How it ended.
    pub state: MessageState,
    /// Why.
    pub cause: Cause,
    /// `command_status` that decided, 0 if it was delivered; the Result-Code if credit control refused.
    pub status: u32,
    /// When.
    pub at_unix_ms: i64,
    /// Deliveries tried.
    pub attempts: u32,
    /// Who has it or was tried last.
    pub next_hop: Option<Arc<str>>,
    /// Its id there.
    pub upstream_message_id: Option<Box<str>>,
    /// Whether it has a record.
    pub record: bool,
    /// What becomes of the money that is held.
    pub settlement: Option<Settlement>,
    /// The receipt, a message of its own.
    pub receipt: Option<Arc<Message>>,
}

/// Why a message ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// The receiver's side acknowledged it.
    Acknowledged = 0,
    /// Its validity ended.
    ValidityExpired = 1,
    /// `cancel_sm`.
    Cancelled = 2,
    /// The next hop refused it for good.
    NextHopRefused = 3,
    /// The next hop said later that it could not deliver it.
    NextHopFailed = 4,
    /// All tries of its error class failed.
    AttemptsExhausted = 5,
    /// Credit control refused it.
    CreditRefused = 6,
    /// The next hop took it and never said what became of it.
    NoReceipt = 7,
    /// The operator deleted it.
    Operator = 8,
}

impl Cause {
    /// Every cause with its name in records.
    pub const NAMES: [(Self, &'static str); 9] = [
        (Self::Acknowledged, "acknowledged"),
        (Self::ValidityExpired, "validity-expired"),
        (Self::Cancelled, "cancelled"),
        (Self::NextHopRefused, "next-hop-refused"),
        (Self::NextHopFailed, "next-hop-failed"),
        (Self::AttemptsExhausted, "attempts-exhausted"),
        (Self::CreditRefused, "credit-refused"),
        (Self::NoReceipt, "no-receipt"),
        (Self::Operator, "operator"),
    ];

    /// The cause with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::NAMES
            .iter()
            .map(|(cause, _)| *cause)
            .find(|cause| cause.number() == number)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its name in records.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(cause, _)| *cause == self)
            .map_or("unknown", |(_, name)| name)
    }
}

/// What becomes of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// The reservation, as in [`Progress::reservation`].
    pub reservation: u32,
    /// Whether it is debited; else it is released.
    pub debit: bool,
}

/// What the entries add up to when the daemon starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Number of the next message: above every id that any entry ever named.
    pub next_id: u64,
    /// Messages that are not final, by id.
    pub unfinished: Vec<(Arc<Message>, Progress)>,
    /// Final messages with something still to do, by id.
    pub owed: Vec<Owed>,
}

/// A final message with something still to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The message.
    pub message: Arc<Message>,
    /// Its end, without the receipt, which is a message now.
    pub done: Done,
    /// Its record is written, or it has none.
    pub record_written: bool,
    /// Its reservation is settled, or it has none.
    pub settled: bool,
}

impl Owed {
    fn is_over(&self) -> bool {
        self.record_written && self.settled
    }
}

/// All that is known of a message, in one piece: takes the place of whatever was said of it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// It is not final.
    Unfinished(Arc<Message>, Progress),
    /// It is, with something still to do.
    Owed(Owed),
}

impl Carried {
    /// The message.
    pub fn id(&self) -> MessageId {
        match self {
            Self::Unfinished(message, _) => message.id,
            Self::Owed(owed) => owed.message.id,
        }
    }
}

/// Adds entries up.
#[derive(Debug, Default)]
pub struct Fold {
    next_id: u64,
    unfinished: BTreeMap<MessageId, (Arc<Message>, Progress)>,
    owed: BTreeMap<MessageId, Owed>,
}

impl Fold {
    /// A fold whose next id is at least `next_id`.
    pub fn new(next_id: u64) -> Self {
        Self {
            next_id: next_id.max(1),
            ..Self::default()
        }
    }

    /// Adds one entry. Messages that are over with it, and of which nothing need be kept, are added to `over`.
    pub fn apply(&mut self, entry: Entry, over: &mut Vec<MessageId>) {
        match entry {
            Entry::Accepted(message) => {
                self.accept(message);
            }
            Entry::AcceptedTogether(messages) => {
                for message in messages {
                    self.accept(message);
                }
            }
            Entry::Progress { id, progress } => {
                if let Some((_, known)) = self.unfinished.get_mut(&id) {
                    *known = progress;
                }
            }
            Entry::Replaced(message) => {
                if let Some((known, _)) = self.unfinished.get_mut(&message.id) {
                    *known = message;
                }
            }
            Entry::Done(mut done) => {
                if let Some(receipt) = done.receipt.take() {
                    self.accept(receipt);
                }
                let id = done.id;
                let Some((message, _)) = self.unfinished.remove(&id) else {
                    return;
                };
                let owed = Owed {
                    message,
                    record_written: !done.record,
                    settled: done.settlement.is_none(),
                    done,
                };
                if owed.is_over() {
                    over.push(id);
                } else {
                    self.owed.insert(id, owed);
                }
            }
            Entry::Settled { id } => self.pay(id, over, |owed| owed.settled = true),
            Entry::RecordsWritten { ids } => {
                for id in ids {
                    self.pay(id, over, |owed| owed.record_written = true);
                }
            }
        }
    }

    /// Takes over what is known of a message.
    pub fn carry(&mut self, carried: Carried) {
        let id = carried.id();
        self.next_id = self.next_id.max(id.number().saturating_add(1));
        match carried {
            Carried::Unfinished(message, progress) => {
                self.owed.remove(&id);
                self.unfinished.insert(id, (message, progress));
            }
            Carried::Owed(owed) => {
                self.unfinished.remove(&id);
                self.owed.insert(id, owed);
            }
        }
    }

    /// All that is known of a message, unless nothing need be kept of it.
    pub fn carried(&self, id: MessageId) -> Option<Carried> {
        let unfinished = self.unfinished.get(&id);
        unfinished
            .map(|(message, progress)| Carried::Unfinished(message.clone(), progress.clone()))
            .or_else(|| self.owed.get(&id).cloned().map(Carried::Owed))
    }

    /// Number of the next message.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Ids below `next_id` were used.
    pub fn reserve(&mut self, next_id: u64) {
        self.next_id = self.next_id.max(next_id);
    }

    /// What has been added up so far.
    pub fn recovered(&self) -> Recovered {
        Recovered {
            next_id: self.next_id.max(1),
            unfinished: self.unfinished.values().cloned().collect(),
            owed: self.owed.values().cloned().collect(),
        }
    }

    /// What has been added up.
    pub fn finish(self) -> Recovered {
        Recovered {
            next_id: self.next_id.max(1),
            unfinished: self.unfinished.into_values().collect(),
            owed: self.owed.into_values().collect(),
        }
    }

    fn accept(&mut self, message: Arc<Message>) {
        self.next_id = self.next_id.max(message.id.number().saturating_add(1));
        self.unfinished
            .insert(message.id, (message, Progress::default()));
    }

    fn pay(&mut self, id: MessageId, over: &mut Vec<MessageId>, pay: impl FnOnce(&mut Owed)) {
        if let Some(owed) = self.owed.get_mut(&id) {
            pay(owed);
            if owed.is_over() {
                self.owed.remove(&id);
                over.push(id);
            }
        }
    }
}
