//! Accounting storage (RFC 6733 9): what elements report is kept, once, before it is acknowledged.
//!
//! ```text
//! Accounting-Request --Arrival--> thread: what is known of it? --> Book (pure) --> changes --commit--> answer
//!                                         ^                                           |
//!                                         +---------------- Backend ------------------+
//! ```
//!
//! The [`Book`] judges: new, or kept already; which sequence numbers of an element are missing; whether a session has
//! its beginning. The [`Backend`] keeps: one transaction for all that waits. An answer leaves after its commit.

mod admin;
mod answer;
mod arrival;
mod backend;
mod book;
mod config;
mod describe;
mod postgres;
mod ranges;
mod read;
mod recorder;
mod rows;
mod schema;
mod sqlite;
mod thread;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use admin::router;
pub use answer::Told;
pub use arrival::{Arrival, Key};
pub use backend::{Backend, BackendError, Known, Look, Query};
pub use book::{Book, Change, Counters, Element, Limits, Session, Stored, Verdict};
pub use config::{Config, PATH, RealtimeRequired, SCHEMA, open};
pub use ranges::Ranges;
pub use read::{record, records, sessions, views};
pub(crate) use recorder::{GAUGE_ROWS, Recorder};
pub use thread::{After, Figures, Storage};
pub use view::{ElementView, Gap, RecordDetail, RecordView, SessionView};
