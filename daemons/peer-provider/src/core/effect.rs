//! What a core is told, and what it wants done.

use std::sync::Arc;

use tollwire_peer::{Cause, Data};

use super::totals::Totals;

/// An accounting session's identifier.
pub type SessionId = Arc<str>;

/// What came of a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Acknowledged: up to so much may be served, and whether that is all, or the session over at the manager's.
    Acknowledged {
        /// Cumulative limits.
        granted: Data,
        /// No more will be granted.
        last: bool,
        /// The manager has closed the session.
        closed: bool,
    },
    /// No answer, or one that says later: the same octets go again.
    Later,
    /// These octets will never be taken (an old nonce, a certificate that was replaced): totals are cumulative, so another
    /// message tells the same.
    Never,
    /// The session is over at the manager's, who takes no message of it any more.
    Closed,
    /// The manager knows no such session.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time went by.
    Tick,
    /// A message is on disk, or could not be stored.
    Message {
        /// Its session.
        id: SessionId,
        /// Its number.
        sequence: u64,
        /// Whether it is.
        stored: bool,
    },
    /// Totals are on disk, or could not be stored.
    Checkpoint {
        /// Whose.
        id: SessionId,
        /// Which.
        totals: Totals,
        /// Whether they are.
        stored: bool,
    },
    /// A message that was sent has its answer.
    Answered {
        /// Its session.
        id: SessionId,
        /// Its number.
        sequence: u64,
        /// The answer.
        answer: Answer,
    },
    /// An answer's consequences are on disk, or could not be stored.
    Settled {
        /// Its session.
        id: SessionId,
        /// The message's number.
        sequence: u64,
        /// What was stored.
        settled: Settled,
        /// Whether it is.
        stored: bool,
    },
    /// Somebody ends a session.
    End {
        /// Which.
        id: SessionId,
        /// Who, and why.
        cause: Cause,
    },
}

/// What a message's answer changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is acknowledged.
    Acknowledged {
        /// Cumulative limits.
        granted: Data,
        /// No more will be granted.
        last: bool,
        /// The manager has closed the session.
        closed: bool,
    },
    /// It is given up, and with it the session: what was not acknowledged will never be paid.
    GivenUp,
    /// It is given up alone: a later one tells more.
    Dropped,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make, sign and store an accounting message, with the totals that it tells and, if it is the final one, the end of the
    /// session, in one transaction. [`Event::Message`] follows.
    Message {
        /// Of this session.
        id: SessionId,
        /// Its number.
        sequence: u64,
        /// The final one, and why the session ended.
        cause: Option<Cause>,
        /// What it tells.
        totals: Totals,
        /// Messages up to this number go with it: it stands for them.
        replaces: Option<u64>,
    },
    /// Store totals. [`Event::Checkpoint`] follows.
    Checkpoint {
        /// Whose.
        id: SessionId,
        /// Which.
        totals: Totals,
    },
    /// Send a stored message. [`Event::Answered`] follows.
    Post {
        /// Of this session.
        id: SessionId,
        /// Its number.
        sequence: u64,
    },
    /// Store what an answer changes. [`Event::Settled`] follows.
    Settle {
        /// Of this session.
        id: SessionId,
        /// The message's number.
        sequence: u64,
        /// What.
        settled: Settled,
        /// That was the session's last message.
        is_done: bool,
    },
    /// What a session may do has changed: those who wait look again.
    Changed {
        /// Which.
        id: SessionId,
    },
    /// A session is over and told: nobody needs it any more.
    Forget {
        /// Which.
        id: SessionId,
    },
}
