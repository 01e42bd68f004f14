//! What outlives a restart: subscribers and bindings, in SQLite.
//!
//! One thread owns the database. It takes every change that waits, commits them
//! in one transaction, and only then reports them done: a change reported as done
//! is on disk (`synchronous=FULL`).

mod schema;

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, params};
use thiserror::Error;

use crate::auth::{Secrets, Subscriber, Subscribers};
use crate::registrar::{Binding, Location};

/// Changes that may wait; more are refused, so that a slow disk cannot fill the memory.
const QUEUE: usize = 4096;
/// Changes in one transaction.
const GROUP: usize = 512;

/// Why the store could not do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite refused: disk full, permissions, corruption.
    #[error("{path}: {source}")]
    Database {
        /// The database file.
        path: String,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// A row that this version cannot read.
    #[error("{path}: table {table}: a row cannot be read; restore the file from a backup")]
    Row {
        /// The database file.
        path: String,
        /// The table.
        table: &'static str,
    },
}

/// Something to keep.
#[derive(Debug, Clone)]
pub enum Change {
    /// All bindings of an address of record.
    Bindings {
        /// Canonical address of record.
        address_of_record: Box<str>,
        /// What it has now.
        bindings: Vec<Binding>,
    },
    /// Bindings that ended at or before this time, milliseconds since 1970, are forgotten.
    Expire(i64),
    /// A new or changed subscriber.
    PutSubscriber(Subscriber),
    /// A subscriber by user name.
    RemoveSubscriber(Box<str>),
}

/// What a change came to, with the token it was submitted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The submitter's token.
    pub token: u64,
    /// Whether it is on disk.
    pub stored: bool,
}

/// The queue is full, or the store's thread is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the store does not keep up")]
pub struct Busy;

/// The way to the store's thread. Dropping it writes what waits and ends the thread.
pub struct Store {
    jobs: Option<SyncSender<(u64, Change)>>,
    thread: Option<JoinHandle<()>>,
}

/// What the store remembered.
#[derive(Debug)]
pub struct Remembered {
    /// The subscribers.
    pub subscribers: Subscribers,
    /// The bindings, expired ones included.
    pub location: Location,
}

impl Store {
    /// Opens or makes the database at `path` and starts its thread. `done` is called on that
    /// thread with the outcome of each group of changes.
    pub fn open(
        path: &Path,
        done: impl Fn(Vec<Done>) + Send + 'static,
    ) -> Result<(Self, Remembered), StoreError> {
        let name = path.display().to_string();
        let database = |source| StoreError::Database {
            path: name.clone(),
            source,
        };
        let mut connection = Connection::open(path).map_err(database)?;
        schema::prepare(&mut connection).map_err(database)?;
        let remembered = Remembered {
            subscribers: schema::subscribers(&connection, &name)?,
            location: Location::restore(schema::bindings(&connection, &name)?),
        };
        let (jobs, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write_groups(connection, &queue, &done))
            .map_err(|error| StoreError::Database {
                path: name.clone(),
                source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
            })?;
        let store = Self {
            jobs: Some(jobs),
            thread: Some(thread),
        };
        Ok((store, remembered))
    }

    /// Asks for `change` to be kept; its [`Done`] carries `token`.
    pub fn submit(&self, token: u64, change: Change) -> Result<(), Busy> {
        let jobs = self.jobs.as_ref().ok_or(Busy)?;
        jobs.try_send((token, change)).map_err(|_| Busy)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed by it; there is nothing left to write.
            let _ = thread.join();
        }
    }
}

fn write_groups(
    mut connection: Connection,
    queue: &Receiver<(u64, Change)>,
    done: &dyn Fn(Vec<Done>),
) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        group.extend(queue.try_iter().take(GROUP - 1));
        let stored = match write_group(&mut connection, group.iter().map(|(_, change)| change)) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, changes = group.len(), "the store refused a group of changes; free disk space or mend its permissions");
                false
            }
        };
        done(
            group
                .iter()
                .map(|(token, _)| Done {
                    token: *token,
                    stored,
                })
                .collect(),
        );
    }
}

fn write_group<'a>(
    connection: &mut Connection,
    changes: impl Iterator<Item = &'a Change>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for change in changes {
        write(&transaction, change)?;
    }
    transaction.commit()
}

fn write(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Bindings {
            address_of_record,
            bindings,
        } => {
            transaction
                .prepare_cached("DELETE FROM binding WHERE address_of_record = ?1")?
                .execute([address_of_record])?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO binding (address_of_record, contact, expires_at_unix_ms, value) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for binding in bindings {
                let value = serde_json::to_string(binding)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                insert.execute(params![
                    address_of_record,
                    binding.key(),
                    binding.expires_at_unix_ms,
                    value
                ])?;
            }
        }
        Change::Expire(unix_ms) => {
            transaction
                .prepare_cached("DELETE FROM binding WHERE expires_at_unix_ms <= ?1")?
                .execute([unix_ms])?;
        }
        Change::PutSubscriber(subscriber) => {
            let Secrets { md5, sha256 } = &subscriber.secrets;
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO subscriber (username, ha1_md5, ha1_sha256, identity, enabled) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    subscriber.username,
                    md5.as_slice(),
                    sha256.as_slice(),
                    subscriber.identity,
                    subscriber.enabled
                ])?;
        }
        Change::RemoveSubscriber(username) => {
            transaction
                .prepare_cached("DELETE FROM subscriber WHERE username = ?1")?
                .execute([username])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
