//! The storage's thread: takes all that waits, judges it, commits once, and only then lets the answers go.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tollwire_diameter::ResultCode;
use tollwire_runtime::clock::Now;
use tollwire_runtime::pace::Pace;

use super::{Arrival, Backend, BackendError, Book, Counters, Limits, Verdict};

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
    /// A database of our own cannot be read, or there is no thread to be had. A server is waited for, and records are
    /// refused until then.
    pub fn start(
        backend: Box<dyn Backend>,
        limits: Limits,
        keep: Option<Duration>,
    ) -> io::Result<Self> {
        let (asks, queue) = sync_channel(QUEUE);
        let (first, begun) = channel();
        let figures = Arc::new(Mutex::new(Figures::default()));
        let shown = figures.clone();
        // A server's database waits for its answers, which only a thread of its own may.
        let thread = std::thread::Builder::new()
            .name("accounting".into())
            .spawn(move || match Keeper::begin(backend, limits, keep, shown) {
                Ok(keeper) => {
                    if first.send(Ok(())).is_ok() {
                        keeper.run(&queue);
                    }
                }
                Err(error) => drop(first.send(Err(error))),
            })?;
        let ended = || Err(BackendError::Failed("the storage's thread ended".into()));
        begun
            .recv()
            .unwrap_or_else(|_| ended())
            .map_err(io::Error::other)?;
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
    /// What the book says is not what is kept.
    is_stale: bool,
    /// Records refused since it was.
    refused: u64,
    keep_for: Option<Duration>,
    /// When old records were last looked for, and none was left.
    forgot: Option<Instant>,
    /// When the figures were last set.
    shown: Option<Instant>,
    figures: Arc<Mutex<Figures>>,
}

impl Keeper {
    fn begin(
        mut backend: Box<dyn Backend>,
        limits: Limits,
        keep_for: Option<Duration>,
        figures: Arc<Mutex<Figures>>,
    ) -> Result<Self, BackendError> {
        let (elements, is_stale) = match backend.elements() {
            Ok(elements) => (elements, false),
            Err(error) if backend.is_shared() => {
                tracing::error!(%error, "the accounting storage is away: records are refused until it is there");
                (HashMap::new(), true)
            }
            Err(error) => return Err(error),
        };
        let mut keeper = Self {
            backend,
            book: Book::new(limits, elements),
            is_stale,
            refused: 0,
            keep_for,
            forgot: None,
            shown: None,
            figures,
        };
        keeper.show();
        Ok(keeper)
    }

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
        let (arrivals, waiting): (Vec<Arrival>, Vec<A>) =
            (group.into_iter().map(|ask| (ask.arrival, ask.after))).unzip();
        match self.keep(arrivals) {
            Ok(codes) => {
                // Nobody reads the figures more often.
                if self.shown.is_none_or(|at| at.elapsed() >= IDLE) {
                    self.show();
                }
                for (after, code) in waiting.into_iter().zip(codes) {
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
                for after in waiting {
                    after.done(code);
                }
                std::thread::sleep(PAUSE);
                self.is_stale = true;
                self.refused += refused;
                if let Err(error) = self.begin_again() {
                    tracing::error!(%error, "the accounting storage cannot be read");
                }
            }
        }
    }

    /// Judges all of them and keeps what is new; what each is to be told.
    fn keep(&mut self, arrivals: Vec<Arrival>) -> Result<Vec<ResultCode>, BackendError> {
        self.begin_again()?;
        let names: Vec<_> = (arrivals.iter())
            .map(|arrival| (&arrival.key, &arrival.digest))
            .collect();
        let look = self.backend.look(&names)?;
        self.book.learn(look.elements);
        let now = Now::read().unix_ms;
        let mut changes = Vec::new();
        let codes = (arrivals.into_iter().zip(&look.known))
            .map(
                |(arrival, known)| match self.book.handle(now, arrival, known, &mut changes) {
                    Verdict::New | Verdict::Duplicate => ResultCode::SUCCESS,
                    Verdict::Refused(code) => code,
                },
            )
            .collect();
        self.backend.commit(&changes)?;
        self.book.settled();
        Ok(codes)
    }

    /// If what memory says is not what is kept: memory follows the database.
    fn begin_again(&mut self) -> Result<(), BackendError> {
        if self.is_stale {
            let elements = self.backend.elements()?;
            self.book
                .begin_again(elements, std::mem::take(&mut self.refused));
            self.is_stale = false;
            self.show();
        }
        Ok(())
    }

    fn forget(&mut self) {
        let Some(keep) = self.keep_for else {
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
            counters: Counters {
                refused: self.book.counters().refused + self.refused,
                ..self.book.counters()
            },
            elements: self.book.elements().count() as u64,
            missing: (self.book.elements())
                .map(|(_, element)| element.ranges.missing())
                .fold(0, u64::saturating_add),
        };
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }
}
