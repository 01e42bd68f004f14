//! A SQLite file on threads of its own: what is answered is stored.
//!
//! Closures are queued in the order of the calls. Those that wait are run in one transaction, each under a savepoint,
//! and answered after its COMMIT has been synchronised to the disk.
//!
//! ```no_run
//! use tollwire_web::database::{Database, Failure, Options};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! static MIGRATIONS: &[&str] = &["CREATE TABLE paid (invoice TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT"];
//! let database = Database::open("/var/lib/billd/billd.db".as_ref(), &Options::new(MIGRATIONS))?;
//! let rows = database
//!     .call(|tx| tx.execute("INSERT INTO paid VALUES (?1, ?2)", ("i", 5)))
//!     .await;
//! match rows {
//!     Ok(_) => {}                                // on disk
//!     Err(Failure::Refused(error)) => {}         // the closure's own error; what it did is undone
//!     Err(Failure::NotStored(why)) => {}         // full disk: nothing of it will ever be there
//!     Err(Failure::Busy | Failure::Closed) => {} // not tried
//! }
//! let sum: i64 = database
//!     .read(|connection| connection.query_row("SELECT sum(amount) FROM paid", (), |row| row.get(0)))
//!     .await?;
//! database.close();
//! # Ok(()) }
//! ```

mod job;
mod schema;
mod writer;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

pub use rusqlite;
use rusqlite::Connection;
use tokio::sync::oneshot;

use job::{Asked, Job, Question};
use writer::Writer;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// SQL by number, from 1: those that the file has not seen are run, each wholly or not at all. Only ever appended
    /// to.
    pub migrations: &'static [&'static str],
    /// Closures that may wait, of each kind.
    pub queue: usize,
    /// Threads that read.
    pub readers: usize,
}

impl Options {
    /// 4096 may wait, one thread reads.
    pub fn new(migrations: &'static [&'static str]) -> Self {
        Self {
            migrations,
            queue: 4096,
            readers: 1,
        }
    }
}

/// Why a call has no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure<E> {
    /// The closure's own error; what it did is undone.
    #[error("{0}")]
    Refused(E),
    /// It could not be stored, and never will be. The database goes on as soon as it can.
    #[error("not stored: {0}")]
    NotStored(Arc<str>),
    /// Too many wait; it was not tried.
    #[error("the database has too much to do")]
    Busy,
    /// The database is closed; it was not tried.
    #[error("the database is closed")]
    Closed,
}

/// A handle to the threads; clones share them. They end when every handle is gone, or with [`Database::close`].
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    readers: Mutex<Option<SyncSender<Box<dyn Question>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn close(&self) {
        let _ = self.writer.lock().map(|mut it| it.take());
        let _ = self.readers.lock().map(|mut it| it.take());
        let threads = self.threads.lock().map(|mut it| std::mem::take(&mut *it));
        for thread in threads.unwrap_or_default() {
            // A closure may hold the last handle: its thread does not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// What was called is under way already; awaiting it only waits. If it is dropped, it is done all the same.
#[must_use = "whether it is stored is known when it is awaited"]
pub struct Call<T, E>(Result<oneshot::Receiver<Answer<T, E>>, Option<Failure<E>>>);

type Answer<T, E> = Result<T, Failure<E>>;

impl<T, E> Unpin for Call<T, E> {}

impl<T, E> Future for Call<T, E> {
    type Output = Result<T, Failure<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(answer) => (Pin::new(answer).poll(context))
                .map(|answer| answer.unwrap_or(Err(Failure::Closed))),
            Err(failure) => Poll::Ready(Err(failure.take().unwrap_or(Failure::Closed))),
        }
    }
}

impl Database {
    /// Opens or makes the file (0640; with `-wal`, `-shm` and `.lock` beside it), and brings its tables up to date.
    ///
    /// # Errors
    /// The file, and why: also that another process has it, or that it is of a newer program.
    pub fn open(path: &Path, options: &Options) -> Result<Self, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let (connection, lock) = schema::open(path, options.migrations)?;
        let (to_writer, jobs) = sync_channel(options.queue);
        let writer = Writer::new(connection, lock);
        let mut threads = Vec::new();
        let mut spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            threads.push(thread.spawn(run).map_err(|error| named(&error))?);
            Ok::<(), String>(())
        };
        spawn("database", Box::new(move || writer.run(&jobs)))?;
        let (to_readers, questions) = sync_channel(options.queue);
        let questions = Arc::new(Mutex::new(questions));
        for _ in 0..options.readers.max(1) {
            let connection = schema::open_to_read(path).map_err(|error| named(&error))?;
            let questions = Arc::clone(&questions);
            spawn(
                "database-read",
                Box::new(move || answer(connection, &questions)),
            )?;
        }
        let shared = Shared {
            writer: Mutex::new(Some(to_writer)),
            readers: Mutex::new(Some(to_readers)),
            threads: Mutex::new(threads),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Queues what changes something.
    ///
    /// `change` begins no transaction of its own: it has a savepoint. If it fails, what it did is undone, and others
    /// are not affected. An error of SQLite that it did not expect it gives back: after a full disk there may be no
    /// transaction any more.
    pub fn call<T, E, F>(&self, change: F) -> Call<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (asked, answer) = Asked::new(change);
        Call(
            send(&self.shared.writer, Box::new(asked))
                .map(|()| answer)
                .map_err(Some),
        )
    }

    /// Queues a question, which sees one state of the database: that of the last COMMIT, when it begins.
    pub fn read<T, E, F>(&self, question: F) -> Call<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (asked, answer) = Asked::new(question);
        Call(
            send(&self.shared.readers, Box::new(asked))
                .map(|()| answer)
                .map_err(Some),
        )
    }

    /// Takes nothing more, does what waits, and ends the threads: for the end of the daemon. Blocks until then.
    pub fn close(&self) {
        self.shared.close();
    }
}

fn send<J, E>(to: &Mutex<Option<SyncSender<J>>>, job: J) -> Result<(), Failure<E>> {
    let sender = to.lock().map_err(|_| Failure::Closed)?;
    match sender.as_ref().map(|sender| sender.try_send(job)) {
        Some(Ok(())) => Ok(()),
        Some(Err(TrySendError::Full(_))) => Err(Failure::Busy),
        Some(Err(TrySendError::Disconnected(_))) | None => Err(Failure::Closed),
    }
}

fn answer(mut connection: Connection, questions: &Mutex<Receiver<Box<dyn Question>>>) {
    loop {
        let Ok(next) = questions.lock().map(|questions| questions.recv()) else {
            return;
        };
        let Ok(question) = next else { return };
        // One snapshot for all that it asks.
        match connection.transaction() {
            Ok(transaction) => question.ask(&transaction),
            Err(error) => question.fail(&error.to_string().into()),
        }
    }
}
