//! Our table in nf_tables, over one netlink socket.
//!
//! ```text
//! table inet NAME {
//!   set gate4  { ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout }   who may pass, until when
//!   set usage4 { the same key; counter }                                               what passed
//!   set gate6, set usage6                                                              IPv6
//!   chain forward {                                     hook forward, policy accept: nothing of others is touched
//!     udp dport PORTS  saddr . sport . daddr . dport @gate4  saddr . sport . daddr . dport @usage4  accept
//!     udp dport PORTS  ... @gate6 ... @usage6 accept
//!     udp dport PORTS  counter drop
//!   }
//! }
//! ```
//!
//! Every packet of guarded ports is looked up: there is no `established` shortcut that would let media outlive its
//! gate. The counter stands behind the gate, so it counts what passed and nothing else; and in a set of its own, whose
//! elements do not end with the gate, so that a call is billed to what the kernel counted even if every daemon was dead
//! when its credit ran out.

mod attributes;
mod element;
mod socket;
mod table;

use std::io;

use crate::flow::{FlowKey, Usage};

pub use table::{Adopted, Table, TableSettings};

/// One change of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Lets a flow pass for so many milliseconds from now, and at most so many octets if a quota is given; in the
    /// place of what it was let before.
    OpenGate {
        /// The flow.
        key: FlowKey,
        /// Milliseconds.
        timeout_ms: u64,
        /// Octets.
        quota: Option<u64>,
    },
    /// Lets a flow pass no more.
    CloseGate {
        /// The flow.
        key: FlowKey,
    },
    /// Counts a flow, from zero.
    AddUsage {
        /// The flow.
        key: FlowKey,
        /// Kept with the element, for whoever reads the table after a restart; at most 250 octets.
        label: String,
    },
    /// Counts a flow no more.
    RemoveUsage {
        /// The flow.
        key: FlowKey,
    },
}

/// What is asked of the table at once.
#[derive(Debug, Default)]
pub struct Job {
    /// Done first.
    pub changes: Vec<Change>,
    /// Then read; flows without a counter read as zero.
    pub read: Vec<FlowKey>,
    /// Done last, and not waited for.
    pub afterwards: Vec<Change>,
}

/// What became of a [`Job`]: the counters in the order asked, or why a change was refused.
pub type Done = Result<Vec<Usage>, io::Error>;
