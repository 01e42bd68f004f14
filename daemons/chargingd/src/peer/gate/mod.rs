//! The manager's gate: a pinhole for a user's session at a `pinholed` of the manager's own.
//!
//! ```text
//! manager --Ask--> Link --Event--> Gates --Effect--> Link --AAR, STR--> pinholed
//! manager <-Told-- Link <--------- Gates <---------- Link <--AAA, STA, RAR--
//! ```
//!
//! A gate is what the manager wants, not what was once sent: [`Gates`] keeps the order of each session, and gives it again to a
//! `pinholed` that was away. The kernel ends a gate at its time and its quota whoever is away.
//!
//! What passes is counted in octets of IP packets, both ways, and so must be what the provider reports.

mod config;
mod core;
mod count;
mod link;
mod rx;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use tollwire_runtime::diameter::Address;

pub use config::GateConfig;
pub use core::{Effect, Event, Figures, Gates, Report};
pub use count::{Comparison, Counted, Tolerance, compare};
pub use link::{GAUGE_ROWS, Link, LinkConfig};
pub use rx::{Answer, Request};

/// A gate, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The accounting session.
    pub session: String,
    /// The limiter.
    pub pinholed: Address,
    /// The user's end.
    pub user: SocketAddr,
    /// The provider's end.
    pub service: SocketAddr,
    /// When it shuts, milliseconds since 1970.
    pub not_after_unix_ms: i64,
    /// Octets that may pass in all since the session began; `None` is as many as like to.
    pub octets: Option<u64>,
    /// What has passed, as it was told last; the default for a new session.
    pub counted: Counted,
}

/// What is wanted of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A new one. If it does not come to stand, nothing is left of it.
    Open,
    /// Other limits.
    Move,
    /// Nothing but what has passed until now.
    Count,
    /// No more of it.
    Close,
}

/// The manager asks. It is told the outcome once, under its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The manager's name for it.
    pub token: u64,
    /// What is wanted.
    pub what: What,
    /// Of which gate, whole: who asks need not know what was asked before.
    pub order: Order,
}

/// The manager is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The ask; `None` if nobody asked.
    pub token: Option<u64>,
    /// The accounting session.
    pub session: String,
    /// What there is to tell.
    pub outcome: Outcome,
}

/// What became of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It stands as ordered; so much has passed.
    Stands(Counted),
    /// It is gone; so much has passed in all. `None`: the limiter has forgotten it, what was told before holds.
    Closed(Option<Counted>),
    /// The limiter will not have it so.
    Refused(String),
    /// The limiter is away, or does not answer. A gate to be opened is not, or is closed as soon as may be; for others the order
    /// holds as soon as may be.
    Unreachable,
    /// The kernel has shut it: its time or its octets are over.
    Spent(Counted),
}
