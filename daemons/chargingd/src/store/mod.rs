//! What outlives a restart: accounts, ledger, sessions, records on their way to files.
//!
//! One thread owns the database. It takes every group that waits, commits them as one, and only then
//! lets their answers go. If the commit fails, nothing of it counts: its requests are refused, the core's
//! memory is thrown away, and what is on disk is read again.
//!
//! A database is a [`Backend`]: it answers questions and writes a [`Batch`]. What a change becomes in rows stands in
//! [`batch`], what is asked in [`read`], once for all of them.

mod audit;
mod backend;
mod batch;
mod invoice;
mod notification;
mod place;
pub(crate) mod postgres;
mod read;
mod schema;
pub(crate) mod sqlite;
mod voucher;
mod writer;

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use tollwire_cdr::ChargeRecord;

use crate::core::State;
use crate::effect::Mutation;

pub use audit::{AuditQuery, audit};
pub use backend::{Backend, Cause, Mismatch, Queries, Row, Standing, Unwritten, Value};
pub use batch::{Batch, Removal, Repeated, Rows, Table, Type};
pub use invoice::{
    Customer, Found, Last, ProviderSum, Range, carried, closed, customer, customers, entries,
    first_after, invoice, invoices, owed_before, periods, provider_sums, range, settlements,
    taken_numbers,
};
pub use notification::{all_waiting, due, waiting_by_channel};
pub use place::{Place, StoreError};
pub(crate) use postgres::Directory;
pub use postgres::{Server, Url};
pub use read::{Balance, TrialBalance, ledger, trial_balance};

use writer::Writer;

/// What waits for a group's commit. Dropped without a word if nobody can say any more what became of it.
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

/// What is known of the store.
#[derive(Debug)]
pub enum Notice {
    /// This instance writes: the core begins again with `state`, and groups of an earlier epoch are refused.
    Active {
        /// The new epoch.
        epoch: u64,
        /// What is on disk.
        state: Box<State>,
    },
    /// Another instance does.
    Standby {
        /// Its Origin-Host, if it is known.
        active: Option<String>,
    },
    /// Nothing can be written now: a commit failed, or the database is gone.
    Away,
}

/// For the thread that writes the files.
#[derive(Debug)]
pub enum Records {
    /// This instance writes from now on: everything up to `after` is in somebody's files, `waiting` perhaps not.
    Begin {
        /// A sequence number.
        after: u64,
        /// The next ones.
        waiting: Vec<ChargeRecord>,
    },
    /// Those of a committed group.
    Made(Vec<ChargeRecord>),
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
    /// What it remembers, or why not.
    pub notice: Notice,
}

impl<A: After> Store<A> {
    /// Starts the store's thread, which opens or makes the database at `place`. `records` is called with the records of
    /// each committed group, `notice` when what it says changes; both on that thread.
    ///
    /// # Errors
    /// A database of our own that cannot be used. A server may come later: that is [`Notice::Away`].
    pub fn open(
        place: &Place,
        records: impl Fn(Records) + Send + 'static,
        notice: impl Fn(Notice) + Send + 'static,
    ) -> Result<Opened<A>, StoreError> {
        let (jobs, queue) = channel();
        let (first, opened) = channel();
        let at = place.clone();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || match Writer::open(&at, records, notice) {
                Ok((writer, notice)) => {
                    if first.send(Ok(notice)).is_ok() {
                        writer.run(&queue);
                    }
                }
                Err(error) => drop(first.send(Err(error))),
            });
        let thread = thread.map_err(|error| place.fault(error.into()))?;
        let notice = opened
            .recv()
            .unwrap_or_else(|_| Err(place.fault("the store's thread ended".into())))?;
        Ok(Opened {
            store: Self {
                jobs: Some(jobs),
                thread: Some(thread),
            },
            notice,
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
