//! Our table in nf_tables, over one netlink socket.
//!
//! ```text
//! table inet NAME {
//!   set gate4  { ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout }   who may pass, until when
//!   map volume4 { the same key : quota; flags timeout }                                the same, until octets are spent
//!   set usage4 { the same key; counter }                                               what passed
//!   set gate6, map volume6, set usage6                                                 IPv6
//!   chain forward {                                     hook forward, policy accept: nothing of others is touched
//!     udp, a fragment other than the first  counter drop
//!     udp dport PORTS  saddr . sport . daddr . dport @gate4  saddr . sport . daddr . dport @usage4  accept
//!     udp dport PORTS  quota name saddr . sport . daddr . dport map @volume4  ... @usage4  accept
//!     udp dport PORTS  ... the same for IPv6
//!     udp dport PORTS  counter drop
//!   }
//! }
//! ```
//!
//! A fragment other than the first has no ports to look up. A host that tracks connections puts datagrams together before
//! this chain sees them, and loses none to its first rule.
//!
//! A quota is an object that all flows of a session share, whichever of them spends it.
//!
//! Every packet of guarded ports is looked up: there is no `established` shortcut that would let media outlive its
//! gate. The counter stands behind the gate, so it counts what passed and nothing else; and in a set of its own, whose
//! elements do not end with the gate, so that a call is billed to what the kernel counted even if every daemon was dead
//! when its credit ran out.

mod attributes;
mod element;
mod frame;
mod quota;
mod socket;
mod table;

use std::io;

use crate::flow::{FlowKey, Usage};

pub use table::{Adopted, Standing, StandingQuota, Table, TableSettings};

/// One change of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Lets a flow pass for so many milliseconds from now, and while the quota lasts if one is named; in the place of
    /// what it was let before under the same quota, or under none.
    OpenGate {
        /// The flow.
        key: FlowKey,
        /// Milliseconds.
        timeout_ms: u64,
        /// The quota's name.
        quota: Option<String>,
        /// The flow is new: there is no gate to be replaced.
        new: bool,
    },
    /// Lets a flow pass no more.
    CloseGate {
        /// The flow.
        key: FlowKey,
        /// Whether it was opened with a quota.
        limited: bool,
    },
    /// Makes a quota, or changes its size; what it has counted stays.
    SetQuota {
        /// Its name, at most 255 octets.
        name: String,
        /// Octets that may pass in all.
        octets: u64,
    },
    /// Removes a quota, as soon as no gate refers to it any more.
    RemoveQuota {
        /// Its name.
        name: String,
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

impl Change {
    /// The flow it is about, if it is about one.
    pub fn key(&self) -> Option<FlowKey> {
        match self {
            Self::OpenGate { key, .. }
            | Self::CloseGate { key, .. }
            | Self::AddUsage { key, .. }
            | Self::RemoveUsage { key } => Some(*key),
            Self::SetQuota { .. } | Self::RemoveQuota { .. } => None,
        }
    }
}

/// What is asked of the table at once.
#[derive(Debug, Default)]
pub struct Job {
    /// Done first.
    pub changes: Vec<Change>,
    /// Then read; flows without a counter read as zero.
    pub read: Vec<FlowKey>,
    /// Quotas to look at; one that does not exist reads as not spent.
    pub quotas: Vec<String>,
    /// Done last, and not waited for.
    pub afterwards: Vec<Change>,
}

/// What was read, in the order asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Counters of the flows.
    pub counters: Vec<Usage>,
    /// Whether each quota is spent.
    pub spent: Vec<bool>,
}

/// What became of a [`Job`]: what was read, or why a change was refused.
pub type Done = Result<Reading, io::Error>;
