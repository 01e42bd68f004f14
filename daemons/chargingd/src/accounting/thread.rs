//! The storage's thread: takes all that waits, judges it, commits once, and only then lets the answers go.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tollwire_diameter::ResultCode;
use tollwire_runtime::clock::Now;
use tollwire_runtime::pace::Pace;

use super::{Arrival, Backend, BackendError, Book, Change, Counters, Limits, Verdict};

/// Records that may wait; more are answered with DIAMETER_TOO_BUSY.
const QUEUE: usize = 16_384;
/// Records in one transaction.
const GROUP: usize = 1024;
/// Under load a commit begins once in this time, with everything that waits.
const SLOT: Duration = Duration::from_millis(16);
/// Without anything to commit for so long, old records are looked for.
const IDLE: Duration = Duration::from_secs(1);
/// After a failed commit, so that a full disk is not hammered.
const PAUSE: Duration = Duration::from_millis(100);
/// How often old records are looked for, and how many go at once.
const FORGETTING: Duration = Duration::from_secs(60);
const FORGOTTEN: u32 = 1000;

/// What waits for the commit of a record.
pub trait After: Send + 'static {
    /// The record is kept (DIAMETER_SUCCESS), or it is not.
    fn done(self, result_code: ResultCode);
}

/// What `/metrics` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Since the start.
    pub counters: Counters,
    /// Elements that sent records, ever.
    pub elements: u64,
    /// Sequence numbers that lack, of all elements.
    pub missing: u64,
}

struct Ask<A> {
    arrival: Arrival,
    after: A,
}

/// The way to the thread. Dropping it keeps what waits and ends the thread.
pub struct Storage<A: After> {
    asks: Option<SyncSender<Ask<A>>>,
    thread: Option<JoinHandle<()>>,
    figures: Arc<Mutex<Figures>>,
}

impl<A: After> Storage<A> {
    /// Reads what `backend` knows and starts the thread. Records older than `keep` are forgotten; `None` keeps all.
    ///
    /// # Errors
    /// The database cannot be read, or there is no thread to be had.
    pub fn start(
        mut backend: Box<dyn Backend>,
        limits: Limits,
        keep: Option<Duration>,
    ) -> io::Result<Self> {
        let book = Book::new(limits, backend.elements().map_err(io::Error::other)?);
        let (asks, queue) = sync_channel(QUEUE);
        let figures = Arc::new(Mutex::new(Figures::default()));
        let mut keeper = Keeper {
            backend,
            book,
            keep,
            forgot: None,
            shown: None,
            figures: figures.clone(),
        };
        keeper.show();
        let thread = std::thread::Builder::new()
            .name("accounting".into())
            .spawn(move || keeper.run(&queue))?;
        Ok(Self {
            asks: Some(asks),
            thread: Some(thread),
            figures,
        })
    }

    /// Hands a record over; `after` hears of it once it is kept.
    pub fn submit(&self, arrival: Arrival, after: A) {
        let Some(asks) = &self.asks else {
            return after.done(ResultCode::TOO_BUSY);
        };
        match asks.try_send(Ask { arrival, after }) {
            Ok(()) => {}
            Err(TrySendError::Full(ask) | TrySendError::Disconnected(ask)) => {
                ask.after.done(ResultCode::TOO_BUSY);
            }
        }
    }

    /// The figures after the last commit.
    pub fn figures(&self) -> Figures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: After> Drop for Storage<A> {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Keeper {
    backend: Box<dyn Backend>,
    book: Book,
    keep: Option<Duration>,
    /// When old records were last looked for, and none was left.
    forgot: Option<Instant>,
    /// When the figures were last set.
    shown: Option<Instant>,
    figures: Arc<Mutex<Figures>>,
}

impl Keeper {
    fn run<A: After>(mut self, queue: &Receiver<Ask<A>>) {
        let mut pace = Pace::new(SLOT);
        loop {
            let first = match queue.recv_timeout(IDLE) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.show();
                    self.forget();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            pace.sleep();
            let group: Vec<Ask<A>> = std::iter::once(first)
                .chain(queue.try_iter().take(GROUP - 1))
                .collect();
            self.group(group);
            self.forget();
        }
    }

    fn group<A: After>(&mut self, group: Vec<Ask<A>>) {
        let now = Now::read().unix_ms;
        let mut waiting = Vec::with_capacity(group.len());
        let mut changes = Vec::new();
        let mut failed = None;
        for Ask { arrival, after } in group {
            if failed.is_some() {
                waiting.push((after, ResultCode::SUCCESS));
                continue;
            }
            match self.backend.known(&arrival.key, &arrival.digest) {
                Ok(known) => {
                    let verdict = self.book.handle(now, arrival, &known, &mut changes);
                    let code = match verdict {
                        Verdict::New | Verdict::Duplicate => ResultCode::SUCCESS,
                        Verdict::Refused(code) => code,
                    };
                    waiting.push((after, code));
                }
                Err(error) => {
                    failed = Some(error);
                    waiting.push((after, ResultCode::SUCCESS));
                }
            }
        }
        let outcome = match failed {
            Some(error) => Err(error),
            None => self.commit(&changes),
        };
        match outcome {
            Ok(()) => {
                self.book.settled();
                // Nobody reads the figures more often.
                if self.shown.is_none_or(|at| at.elapsed() >= IDLE) {
                    self.show();
                }
                for (after, code) in waiting {
                    after.done(code);
                }
            }
            Err(error) => {
                tracing::error!(%error, records = waiting.len(), "accounting records are refused: they are not kept");
                let code = match error {
                    BackendError::Full(_) => ResultCode::OUT_OF_SPACE,
                    BackendError::Failed(_) => ResultCode::TOO_BUSY,
                };
                let refused = waiting.len() as u64;
                for (after, _) in waiting {
                    after.done(code);
                }
                self.begin_again(refused);
            }
        }
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.backend.commit(changes)
    }

    /// What memory says is not on disk: memory follows the disk.
    fn begin_again(&mut self, refused: u64) {
        std::thread::sleep(PAUSE);
        match self.backend.elements() {
            Ok(elements) => self.book.begin_again(elements, refused),
            Err(error) => {
                // Without the truth on disk no answer would be honest; systemd starts us again.
                tracing::error!(%error, "the accounting storage cannot be read");
                std::process::abort();
            }
        }
        self.show();
    }

    fn forget(&mut self) {
        let Some(keep) = self.keep else {
            return;
        };
        if self.forgot.is_some_and(|at| at.elapsed() < FORGETTING) {
            return;
        }
        let kept = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = Now::read().unix_ms.saturating_sub(kept);
        match self.backend.forget(before, FORGOTTEN) {
            Ok(true) => {}
            Ok(false) => self.forgot = Some(Instant::now()),
            Err(error) => {
                tracing::warn!(%error, "old accounting records stay for now");
                self.forgot = Some(Instant::now());
            }
        }
    }

    fn show(&mut self) {
        self.shown = Some(Instant::now());
        let figures = Figures {
            counters: self.book.counters(),
            elements: self.book.elements().count() as u64,
            missing: (self.book.elements())
                .map(|(_, element)| element.ranges.missing())
                .fold(0, u64::saturating_add),
        };
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }
}
