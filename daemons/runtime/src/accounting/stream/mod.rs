//! Charge records as messages of a NATS JetStream: for dashboards, fraud detection, data lakes. `docs/accounting.md` tells how.
//!
//! The files are the spool, as for accounting storage, with a cursor of its own: a record counts as published when JetStream
//! has acknowledged it. Each has a name (`Nats-Msg-Id`), by which JetStream knows one that comes again.

mod config;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, HeaderMap, header};
use tokio::sync::{oneshot, watch};

pub use config::{Feed, Stream};

use super::cursor::Cursor;
use super::spool::{Line, Spool};
use crate::metrics::Reading;

/// The cursor is written no more often than this: it may be behind, never ahead.
const CURSOR: Duration = Duration::from_millis(200);

/// What `/metrics` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// The number up to which JetStream has all.
    pub acknowledged: u64,
    /// Records on disk that it has not acknowledged.
    pub waiting: u64,
    /// Records that it knew already, since the start.
    pub known: u64,
    /// Attempts that failed, since the start.
    pub failed: u64,
}

/// Rows for [`crate::metrics::Gauges`].
pub const GAUGE_ROWS: &[(&str, &str, Reading<Figures>)] = &[
    (
        "records_streamed",
        "Sequence number up to which JetStream has all records",
        |figures| figures.acknowledged,
    ),
    (
        "records_unstreamed",
        "Records on disk that JetStream has not acknowledged",
        |figures| figures.waiting,
    ),
    (
        "records_streamed_again",
        "Records that JetStream had already when they were published",
        |figures| figures.known,
    ),
    (
        "records_stream_failures",
        "Attempts to publish records that failed",
        |figures| figures.failed,
    ),
];

/// Publishes records. Dropping it ends the thread; what is not acknowledged then is published after the next start.
#[derive(Debug)]
pub struct Streamer {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    figures: Arc<Mutex<Figures>>,
}

impl Streamer {
    /// Begins behind the last acknowledged record; `durable` says up to where records will not change any more.
    ///
    /// # Errors
    /// The cursor or the credentials cannot be read.
    pub fn start(feed: Feed, durable: watch::Receiver<u64>) -> io::Result<Self> {
        let cursor = Cursor::named(&feed.directory, &feed.name, "streamed");
        let acknowledged = cursor.read()?.unwrap_or(0);
        let credentials = (feed.settings.credentials_file.as_ref())
            .map(|file| {
                let named = |error| {
                    io::Error::other(format!(
                        "stream.credentials_file: {}: {error}",
                        file.display()
                    ))
                };
                std::fs::read_to_string(file).map_err(named)
            })
            .transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let figures = Arc::new(Mutex::new(Figures::default()));
        let (stop, stopped) = oneshot::channel();
        let publisher = Publisher {
            spool: Spool::new(&feed.directory, &feed.name),
            cursor,
            acknowledged,
            written: acknowledged,
            written_at: Instant::now(),
            durable,
            complained: None,
            figures: figures.clone(),
            told: Figures::default(),
            feed,
        };
        let thread = std::thread::Builder::new()
            .name("stream".into())
            .spawn(move || runtime.block_on(publisher.run(credentials, stopped)))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
            figures,
        })
    }

    /// How it stands.
    pub fn figures(&self) -> Figures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Streamer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Publisher {
    feed: Feed,
    spool: Spool,
    cursor: Cursor,
    acknowledged: u64,
    /// What the cursor says on disk.
    written: u64,
    written_at: Instant,
    durable: watch::Receiver<u64>,
    /// The last thing that was wrong, so that it is said once.
    complained: Option<String>,
    figures: Arc<Mutex<Figures>>,
    told: Figures,
}

impl Publisher {
    async fn run(mut self, credentials: Option<String>, mut stopped: oneshot::Receiver<()>) {
        tokio::select! {
            () = self.publish_all(credentials) => {}
            _ = &mut stopped => {}
        }
        self.keep_cursor();
    }

    /// Until there are no more records, which is when the daemon ends.
    async fn publish_all(&mut self, credentials: Option<String>) {
        let first = Duration::from_millis(self.feed.settings.retry_first_ms);
        let most = Duration::from_millis(self.feed.settings.retry_most_ms);
        let mut pause = first;
        let context = loop {
            match self.connect(credentials.as_deref()).await {
                Ok(context) => break context,
                Err(error) => self.fail(&format!("stream.servers: {error}")),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(most);
        };
        pause = first;
        loop {
            self.show();
            match self.turn(&context).await {
                Ok(true) => {
                    pause = first;
                    self.complained = None;
                    continue;
                }
                Ok(false) => {
                    self.keep_cursor();
                    self.show();
                    if self.durable.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    self.fail(&error);
                    self.keep_cursor();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(most);
                }
            }
        }
    }

    async fn connect(&self, credentials: Option<&str>) -> Result<Context, String> {
        let settings = &self.feed.settings;
        // It connects again by itself whenever the connection is lost.
        let mut options = ConnectOptions::new()
            .name(format!("Tollwire {}", self.feed.element))
            .retry_on_initial_connect()
            .request_timeout(Some(self.feed.timeout))
            .require_tls(
                settings
                    .servers
                    .iter()
                    .any(|server| server.starts_with("tls:")),
            );
        if let Some(file) = &settings.tls_ca_file {
            options = options.add_root_certificates(file.clone());
        }
        if let Some(credentials) = credentials {
            options = options
                .credentials(credentials)
                .map_err(|error| error.to_string())?;
        }
        let client = options
            .connect(&settings.servers)
            .await
            .map_err(|error| error.to_string())?;
        let mut context = jetstream::new(client);
        context.set_timeout(self.feed.timeout);
        Ok(context)
    }

    /// Publishes a window full of records, and awaits what becomes of them; whether there were any.
    async fn turn(&mut self, context: &Context) -> Result<bool, String> {
        let durable = *self.durable.borrow_and_update();
        let lines = self
            .spool
            .read(self.acknowledged, self.feed.settings.window, durable)
            .map_err(|error| {
                format!("records cannot be read, and none behind is published: {error}")
            })?;
        let mut under_way = Vec::with_capacity(lines.len());
        for line in lines {
            let Line { number, json } = line;
            let mut headers = HeaderMap::new();
            headers.insert(
                header::NATS_MESSAGE_ID,
                format!("{}/{number}", self.feed.element),
            );
            let publishing =
                context.publish_with_headers(self.feed.subject.clone(), headers, json.into());
            let publishing = tokio::time::timeout(self.feed.timeout, publishing).await;
            let acknowledgement = publishing
                .map_err(|_| "no server is there".to_owned())?
                .map_err(|error| error.to_string())?;
            under_way.push((number, acknowledgement));
        }
        let any = !under_way.is_empty();
        // In their order: what is behind one that failed is published again, and known.
        for (number, acknowledgement) in under_way {
            let kept = acknowledgement.await.map_err(|error| {
                format!(
                    "{}: {error}; a stream has to be there that takes this subject",
                    self.feed.subject
                )
            })?;
            self.acknowledged = number;
            self.told.known += u64::from(kept.duplicate);
            if self.written_at.elapsed() >= CURSOR {
                self.keep_cursor();
            }
        }
        Ok(any)
    }

    fn keep_cursor(&mut self) {
        if self.acknowledged == self.written {
            return;
        }
        self.written_at = Instant::now();
        match self.cursor.write(self.acknowledged) {
            Ok(()) => self.written = self.acknowledged,
            // Behind, it does no harm.
            Err(error) => self.complain(&format!("the cursor of published records: {error}")),
        }
    }

    fn fail(&mut self, what: &str) {
        self.told.failed += 1;
        self.complain(&format!("charge records wait to be published: {what}"));
    }

    fn complain(&mut self, what: &str) {
        if self.complained.as_deref() != Some(what) {
            tracing::error!("{what}");
            self.complained = Some(what.into());
        }
    }

    fn show(&mut self) {
        self.told.acknowledged = self.acknowledged;
        self.told.waiting = self.durable.borrow().saturating_sub(self.acknowledged);
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = self.told;
    }
}
