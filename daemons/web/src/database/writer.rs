//! The thread that writes.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, TransactionBehavior};

use super::job::Job;
use super::schema::Lock;

/// Changes in one transaction.
const MOST: usize = 512;

pub(super) struct Writer {
    connection: Connection,
    /// The last group could not be stored: said once.
    failing: bool,
    _lock: Lock,
}

impl Writer {
    pub(super) fn new(connection: Connection, lock: Lock) -> Self {
        Self {
            connection,
            failing: false,
            _lock: lock,
        }
    }

    /// Until every sender is gone.
    pub(super) fn run(mut self, queue: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = queue.recv() {
            let waiting = queue.try_iter().take(MOST - 1);
            let group: Vec<_> = std::iter::once(first).chain(waiting).collect();
            self.store(group);
        }
    }

    fn store(&mut self, mut group: Vec<Box<dyn Job>>) {
        match self.transaction(&mut group) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the database stores again");
                }
                group.into_iter().for_each(|job| job.tell(Ok(())));
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "not stored: free disk space or mend the database; until then every change is refused");
                }
                // What of a group is refused may fit the next time by itself.
                let why: Arc<str> = error.to_string().into();
                group.into_iter().for_each(|job| job.tell(Err(&why)));
            }
        }
    }

    /// Each under its savepoint; stored when it returns.
    fn transaction(&mut self, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        let mut transaction =
            (self.connection).transaction_with_behavior(TransactionBehavior::Immediate)?;
        for job in group {
            let savepoint = transaction.savepoint()?;
            let stays = job.run(&savepoint);
            // A full disk may undo the whole transaction in the middle of it (SQLite, "Response To Errors Within A
            // Transaction"): then there is no such savepoint any more, and nothing of the group is told to be stored.
            match stays {
                true => savepoint.commit()?,
                // Undone.
                false => savepoint.finish()?,
            }
        }
        transaction.commit()
    }
}
