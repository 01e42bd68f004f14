//! What outlives a restart, in SQLite: accounts, ledger, sessions, records on their way to files.
//!
//! One thread owns the database. It takes every group that waits, commits them as one, and only then
//! lets their answers go. If the commit fails, nothing of it counts: its requests are refused, the core's
//! memory is thrown away, and what is on disk is read again.

//!
//! A database is a [`Backend`]: it answers questions and writes a [`Batch`]. What a change becomes in rows stands in
//! [`batch`], what is asked in [`read`], once for all of them.

mod backend;
mod batch;
mod notification;
mod read;
mod schema;
mod sqlite;

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use tollwire_cdr::ChargeRecord;
use tollwire_runtime::pace::Pace;

use crate::core::State;
use crate::effect::Mutation;

pub use backend::{Backend, Cause, Mismatch, Queries, Row, Value};
pub use batch::{Batch, Removal, Repeated, Rows, Table, Type};
pub use notification::{all_waiting, due, waiting_by_channel};
pub use read::{Balance, TrialBalance, ledger, trial_balance};

use sqlite::Sqlite;

/// Groups in one transaction.
const GROUPS: usize = 1024;
/// Under load a commit begins once in this time, with everything that waits.
const SLOT: Duration = Duration::from_millis(16);
/// Without anything to commit for so long, what was put off is done.
const IDLE: Duration = Duration::from_secs(1);
/// After a failed commit, so that a full disk is not hammered.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the store cannot be used.
#[derive(Debug, Error)]
#[error("{place}: {source}")]
pub struct StoreError {
    place: Place,
    source: Cause,
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The SQLite database in this file.
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

impl Place {
    /// Asks the store something, on a connection of its own: what is committed is seen.
    ///
    /// # Errors
    /// It cannot be reached, or the question fails.
    pub fn ask<T>(
        &self,
        question: impl FnOnce(&mut dyn Queries) -> Result<T, Cause>,
    ) -> Result<T, StoreError> {
        let answer = match self {
            Self::File(path) => Sqlite::open_read_only(path).and_then(|mut it| question(&mut it)),
        };
        answer.map_err(|source| self.fault(source))
    }

    fn open(&self) -> Result<Box<dyn Backend>, StoreError> {
        match self {
            Self::File(path) => match Sqlite::open(path) {
                Ok(backend) => Ok(Box::new(backend)),
                Err(source) => Err(self.fault(source)),
            },
        }
    }

    fn fault(&self, source: Cause) -> StoreError {
        StoreError {
            place: self.clone(),
            source,
        }
    }
}

/// What waits for a group's commit.
pub trait After: Send + 'static {
    /// It is on disk.
    fn stored(self);
    /// It is not, and never will be.
    fn refused(self);
}

/// One turn of the core.
#[derive(Debug)]
pub struct Group<A> {
    /// The memory it was made with: see [`Notice`].
    pub epoch: u64,
    /// What to keep.
    pub mutations: Vec<Mutation>,
    /// What waits for it.
    pub after: Vec<A>,
}

/// A commit failed: groups of an earlier epoch are refused, and the core begins again with `state`.
#[derive(Debug)]
pub struct Notice {
    /// The new epoch.
    pub epoch: u64,
    /// What is on disk.
    pub state: State,
}

enum Job<A> {
    Group(Group<A>),
    Written(u64),
    Stop,
}

/// The way to the store's thread. Dropping it writes what waits and ends the thread.
pub struct Store<A: After> {
    jobs: Option<Sender<Job<A>>>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the store which records are in the files.
pub struct Written<A>(Sender<Job<A>>);

impl<A> Written<A> {
    /// Records up to `sequence_number` are.
    pub fn up_to(&self, sequence_number: u64) {
        let _ = self.0.send(Job::Written(sequence_number));
    }
}

/// What the store begins with.
pub struct Opened<A: After> {
    /// The way to it.
    pub store: Store<A>,
    /// What it remembers.
    pub state: State,
    /// Records that may not be in the files yet.
    pub outbox: Vec<ChargeRecord>,
}

impl<A: After> Store<A> {
    /// Opens or makes the database at `place` and starts its thread. `records` is called with the records of each
    /// committed group, `notice` after a failed one; both on that thread.
    pub fn open(
        place: &Place,
        records: impl Fn(Vec<ChargeRecord>) + Send + 'static,
        notice: impl Fn(Notice) + Send + 'static,
    ) -> Result<Opened<A>, StoreError> {
        let mut backend = place.open()?;
        let named = |source| place.fault(source);
        let state = read::state(backend.as_mut()).map_err(named)?;
        let outbox = read::outbox(backend.as_mut()).map_err(named)?;
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                Writer {
                    backend,
                    epoch: 0,
                    written: None,
                    records: Box::new(records),
                    notice: Box::new(notice),
                }
                .run(&queue);
            })
            .map_err(|error| named(error.into()))?;
        Ok(Opened {
            store: Self {
                jobs: Some(jobs),
                thread: Some(thread),
            },
            state,
            outbox,
        })
    }

    /// Hands a group over.
    pub fn submit(&self, group: Group<A>) {
        if let Some(jobs) = &self.jobs
            && let Err(error) = jobs.send(Job::Group(group))
            && let Job::Group(group) = error.0
        {
            group.after.into_iter().for_each(After::refused);
        }
    }

    /// For the thread that writes the files.
    pub fn written(&self) -> Option<Written<A>> {
        self.jobs.clone().map(Written)
    }
}

impl<A: After> Drop for Store<A> {
    fn drop(&mut self) {
        // The thread that reports written records holds a sender too, so the end has to be said.
        if let Some(jobs) = self.jobs.take() {
            let _ = jobs.send(Job::Stop);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    backend: Box<dyn Backend>,
    epoch: u64,
    /// Records up to this number are in the files, and may leave the outbox.
    written: Option<u64>,
    records: Box<dyn Fn(Vec<ChargeRecord>) + Send>,
    notice: Box<dyn Fn(Notice) + Send>,
}

impl Writer {
    fn run<A: After>(mut self, queue: &Receiver<Job<A>>) {
        let mut stopping = false;
        let mut pace = Pace::new(SLOT);
        while !stopping {
            let first = match queue.recv_timeout(IDLE) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            pace.sleep();
            let mut groups = Vec::new();
            let idle = first.is_none();
            for job in first.into_iter().chain(queue.try_iter().take(GROUPS - 1)) {
                match job {
                    Job::Group(group) if group.epoch == self.epoch => groups.push(group),
                    // Made with memory that the disk does not have.
                    Job::Group(group) => group.after.into_iter().for_each(After::refused),
                    Job::Written(number) => self.written = Some(number),
                    Job::Stop => stopping = true,
                }
            }
            if !groups.is_empty() {
                self.commit(groups);
            } else if idle || stopping {
                self.forget_outbox();
            }
        }
    }

    /// Done with the next commit, or when there is none for a while: repeated records are known by their numbers.
    fn forget_outbox(&mut self) {
        if self.written.is_some() {
            match self.write(std::iter::empty()) {
                Ok(()) => self.written = None,
                Err(error) => {
                    tracing::warn!(%error, "records that are in the files stay in the outbox for now");
                }
            }
        }
    }

    fn write<'a>(&mut self, mutations: impl Iterator<Item = &'a Mutation>) -> Result<(), Cause> {
        let batch = Batch::of(mutations, self.written)?;
        self.backend.write(&batch)
    }

    fn commit<A: After>(&mut self, groups: Vec<Group<A>>) {
        let mutations = || groups.iter().flat_map(|group| &group.mutations);
        if mutations().next().is_some() {
            if let Err(error) = self.write(mutations()) {
                tracing::error!(%error, "not stored: free disk space or mend the database; requests are refused until then");
                self.fail(groups);
                return;
            }
            self.written = None;
        }
        let records: Vec<ChargeRecord> = mutations()
            .filter_map(|mutation| match mutation {
                Mutation::Record(record) => Some((**record).clone()),
                _ => None,
            })
            .collect();
        groups
            .into_iter()
            .flat_map(|group| group.after)
            .for_each(After::stored);
        if !records.is_empty() {
            (self.records)(records);
        }
    }

    fn fail<A: After>(&mut self, groups: Vec<Group<A>>) {
        groups
            .into_iter()
            .flat_map(|group| group.after)
            .for_each(After::refused);
        std::thread::sleep(PAUSE);
        match read::state(self.backend.as_mut()) {
            Ok(state) => {
                self.epoch += 1;
                (self.notice)(Notice {
                    epoch: self.epoch,
                    state,
                });
            }
            Err(error) => {
                // Without the truth on disk no answer would be honest; systemd starts us again.
                tracing::error!(%error, "the database cannot be read");
                std::process::abort();
            }
        }
    }
}
