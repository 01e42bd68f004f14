//! What a database has to do for the storage.

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use super::{Change, Element, Key, Session};
use crate::store::Queries;

/// Why a database did not do it.
#[derive(Debug, Error)]
pub enum BackendError {
    /// There is no space left; nothing was kept.
    #[error("{0}: free disk space")]
    Full(String),
    /// Anything else; nothing was kept.
    #[error("{0}")]
    Failed(String),
}

/// What is kept of an arrival's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Records of this name.
    pub records: u32,
    /// Whether one of them says the same.
    pub same: bool,
    /// The session it belongs to.
    pub session: Option<Session>,
}

/// Which records or sessions are wanted; the newest come first.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// Of this element.
    pub element: Option<String>,
    /// Of this session.
    pub session_id: Option<String>,
    /// With this sequence number.
    pub sequence_number: Option<u64>,
    /// Received at or after this time.
    pub from_unix_ms: Option<i64>,
    /// Received before this time.
    pub until_unix_ms: Option<i64>,
    /// Only what has a fault: a reused number; a session that lacks its start or a number.
    pub faulty: bool,
    /// At most so many; 100 if absent.
    pub limit: Option<u32>,
}

impl Query {
    /// How many are wanted, at most.
    pub fn count(&self) -> u32 {
        self.limit.unwrap_or(100).min(100_000)
    }
}

/// What is known before a group of arrivals is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Of each arrival's name, in their order.
    pub known: Vec<Known>,
    /// Elements that other instances have changed, as they are now.
    pub elements: HashMap<Box<str>, Element>,
}

/// A database for records. Calls block; only the storage's thread makes them, and what the operator asks goes to a
/// connection of its own.
pub trait Backend: Queries {
    /// Every element, with its sequence numbers. Whatever was begun is given up.
    ///
    /// # Errors
    /// The database cannot be read.
    fn elements(&mut self) -> Result<HashMap<Box<str>, Element>, BackendError>;

    /// What is kept under each of `names`, and whether it says what the digest is of. From here to
    /// [`Backend::commit`] nobody else keeps records.
    ///
    /// # Errors
    /// The database cannot be read.
    fn look(&mut self, names: &[(&Key, &[u8; 16])]) -> Result<Look, BackendError>;

    /// Keeps all of `changes`, durably, or none of them. Follows on [`Backend::look`], also when nothing has changed.
    ///
    /// # Errors
    /// None of them is kept, as far as is known: those that are after all are known when they come again.
    fn commit(&mut self, changes: &[Change]) -> Result<(), BackendError>;

    /// Forgets records received, and sessions last heard of, before this time; at most `count` of each. Whether
    /// there may be more.
    ///
    /// # Errors
    /// Nothing was forgotten.
    fn forget(&mut self, before_unix_ms: i64, count: u32) -> Result<bool, BackendError>;

    /// Whether it is a server's, which other instances may use too, and which may come later than we.
    fn is_shared(&self) -> bool;
}

/// `changes` without those that a later one of the same row makes needless, in their order.
pub(super) fn collapse(changes: &[Change]) -> Vec<&Change> {
    #[derive(PartialEq, Eq, Hash)]
    enum Row<'a> {
        Session(&'a str, &'a str),
        Element(&'a str),
        Range(&'a str, u64),
    }
    let mut seen = HashSet::new();
    let mut last: Vec<&Change> = changes
        .iter()
        .rev()
        .filter(|change| match change {
            Change::Record(_) | Change::RangeGone { .. } => true,
            Change::Session {
                element,
                session_id,
                ..
            } => seen.insert(Row::Session(element, session_id)),
            Change::Element { name, .. } => seen.insert(Row::Element(name)),
            Change::Range { element, first, .. } => seen.insert(Row::Range(element, *first)),
        })
        .collect();
    last.reverse();
    last
}
