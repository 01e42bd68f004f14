//! The world around a [`Shipment`]: files, cursor, Diameter node, in a thread of its own, so that neither a slow disk
//! nor a slow storage is felt by the daemon whose records these are.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tollwire_diameter::accounting::AccountingRequest;
use tollwire_diameter::peer::Backoff;
use tollwire_diameter::{CommandFlags, Identity, Message, ResultCode, dictionary};

use super::cursor::Cursor;
use super::spool::Spool;
use super::{Course, Kind, Shipment, request};
use crate::clock::Now;
use crate::diameter::{Node, NodeConfig, NodeEvent, NodeHandle, PeerId};
use crate::metrics::Reading;

/// The storage's name as a peer.
pub(super) const SERVER: &str = "accounting";
/// Events of the node that may wait.
const QUEUE: usize = 1024;
/// Events handled in one turn at the most.
const TURN: usize = 256;
/// The cursor is written no more often than this: it may be behind, never ahead.
const CURSOR: Duration = Duration::from_millis(200);
/// How long to wait after files could not be read.
const PAUSE: Duration = Duration::from_secs(5);
/// Nothing is due sooner than this when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// Which records go where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What they are.
    pub kind: Kind,
    /// Origin-Host of the records: names the sequence of their numbers.
    pub element: String,
    /// Folder of the files.
    pub directory: PathBuf,
    /// What the files' names begin with.
    pub name: String,
    /// The server's realm.
    pub server_realm: String,
    /// Records that may wait for their acknowledgement.
    pub window: usize,
    /// Pauses before a record that was not kept is sent again.
    pub retry: Backoff,
    /// The node that sends them.
    pub node: NodeConfig,
}

/// What `/metrics` shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// The last number up to which the storage has all.
    pub acknowledged: u64,
    /// Records on disk that it has not got, or not acknowledged.
    pub waiting: u64,
    /// Records sent again since the start.
    pub repeated: u64,
    /// Answers that refused a record since the start.
    pub refused: u64,
    /// Records that were not among the files when their turn came, since the start.
    pub absent: u64,
    /// Acct-Interim-Interval of the last answer, seconds; 0 if it had none.
    pub interim_seconds: u32,
}

impl Figures {
    /// The interval of interim records that the storage asks for (RFC 6733 9.8.2).
    pub fn interim(&self) -> Option<Duration> {
        (self.interim_seconds > 0).then(|| Duration::from_secs(self.interim_seconds.into()))
    }
}

/// Rows for [`crate::metrics::Gauges`].
pub const GAUGE_ROWS: &[(&str, &str, Reading<Figures>)] = &[
    (
        "records_shipped",
        "Sequence number up to which the accounting storage has all records",
        |figures| figures.acknowledged,
    ),
    (
        "records_unshipped",
        "Records on disk that the accounting storage has not acknowledged",
        |figures| figures.waiting,
    ),
    (
        "records_shipped_again",
        "Records sent to the accounting storage again",
        |figures| figures.repeated,
    ),
    (
        "records_ship_refused",
        "Records that the accounting storage refused for now",
        |figures| figures.refused,
    ),
    (
        "records_ship_absent",
        "Records that were not among the files when their turn came",
        |figures| figures.absent,
    ),
];

/// Sends records. Dropping it ends the thread; what is not acknowledged then is sent after the next start.
#[derive(Debug)]
pub struct Shipper {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    figures: Arc<Mutex<Figures>>,
}

impl Shipper {
    /// Begins behind the last acknowledged record; `durable` says up to where records will not change any more.
    ///
    /// # Errors
    /// The cursor cannot be read or written, or the node cannot work.
    pub fn start(source: Source, durable: watch::Receiver<u64>) -> io::Result<Self> {
        let cursor = Cursor::of(&source.directory, &source.name);
        let acknowledged = cursor.read()?;
        if acknowledged.is_none() {
            // From now on a record may have been sent before.
            cursor.write(0)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (events, node_events) = mpsc::channel(QUEUE);
        let node = {
            let _inside = runtime.enter();
            Node::start(source.node.clone(), events)?
        };
        let figures = Arc::new(Mutex::new(Figures::default()));
        let (stop, stopped) = oneshot::channel();
        let spooled = *durable.borrow();
        let desk = Desk {
            shipment: Shipment::new(acknowledged, spooled, source.window, source.retry),
            spool: Spool::new(&source.directory, &source.name),
            cursor,
            written: acknowledged.unwrap_or(0),
            written_at: Instant::now(),
            read_at: None,
            complained: None,
            end_to_end: end_to_end(),
            node,
            server: PeerId::new(SERVER),
            durable,
            figures: figures.clone(),
            told: Figures::default(),
            source,
        };
        let thread = std::thread::Builder::new()
            .name("shipping".into())
            .spawn(move || runtime.block_on(desk.run(node_events, stopped)))?;
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

impl Drop for Shipper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// RFC 6733 3: the time in the high 12 bits, the rest is random.
fn end_to_end() -> u32 {
    let seconds = Now::read().unix_ms.div_euclid(1000).rem_euclid(1 << 12);
    let high = u32::try_from(seconds).unwrap_or(0) << 20;
    high | (getrandom::u32().unwrap_or(0) & 0x000f_ffff)
}

struct Desk {
    source: Source,
    shipment: Shipment<AccountingRequest>,
    spool: Spool,
    cursor: Cursor,
    /// What the cursor says on disk.
    written: u64,
    written_at: Instant,
    /// When the files may be read again, after an error.
    read_at: Option<Instant>,
    /// The last thing that was wrong, so that it is said once.
    complained: Option<String>,
    end_to_end: u32,
    node: NodeHandle,
    server: PeerId,
    durable: watch::Receiver<u64>,
    figures: Arc<Mutex<Figures>>,
    told: Figures,
}

impl Desk {
    async fn run(
        mut self,
        mut node_events: mpsc::Receiver<NodeEvent>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let mut events = Vec::with_capacity(TURN);
        let mut spooling = true;
        loop {
            self.turn();
            let pause = self.pause();
            tokio::select! {
                _ = node_events.recv_many(&mut events, TURN) => {
                    for event in events.drain(..) {
                        self.event(event);
                    }
                }
                changed = self.durable.changed(), if spooling => spooling = changed.is_ok(),
                () = tokio::time::sleep(pause) => {}
                _ = &mut stopped => break,
            }
        }
        self.keep_cursor();
        self.node.shutdown().await;
    }

    /// Takes in what there is room for, and sends what is due.
    fn turn(&mut self) {
        let now = Instant::now();
        self.fill(now);
        for course in self.shipment.due(now) {
            self.send(now, course);
        }
        if now.saturating_duration_since(self.written_at) >= CURSOR {
            self.keep_cursor();
        }
        self.show();
    }

    fn fill(&mut self, now: Instant) {
        if self.read_at.is_some_and(|at| at > now) {
            return;
        }
        self.read_at = None;
        loop {
            let durable = *self.durable.borrow_and_update();
            let (room, behind) = self.shipment.room();
            let lines = match self.spool.read(behind, room, durable) {
                Ok(lines) => lines,
                Err(error) => {
                    self.read_at = Some(now + PAUSE);
                    self.complain(&format!(
                        "records cannot be read, and none behind is sent: {error}"
                    ));
                    return;
                }
            };
            if lines.is_empty() {
                return;
            }
            let mut expected = behind.saturating_add(1);
            for line in &lines {
                if line.number > expected {
                    self.told.absent += line.number - expected;
                    tracing::warn!(
                        first = expected,
                        last = line.number - 1,
                        "records that were never sent are not among the files; if no other instance has them, they are lost, \
                         and the accounting storage shows the gap"
                    );
                }
                expected = line.number.saturating_add(1);
            }
            let kind = self.source.kind;
            let identity = Identity {
                origin_host: self.source.element.clone(),
                origin_realm: self.node.identity().origin_realm.clone(),
            };
            let realm = self.source.server_realm.clone();
            self.shipment.take(lines.into_iter().map(|line| {
                let request = request::of(kind, &identity, &realm, line.number, &line.json);
                (line.number, request)
            }));
        }
    }

    fn send(&mut self, now: Instant, course: Course) {
        let Course { number, again } = course;
        let Some(request) = self.shipment.record(number) else {
            return;
        };
        let message = self.message(request, number, again);
        match self.node.send_request(&self.server, number, message) {
            Ok(()) => self.told.repeated += u64::from(again),
            Err(error) => {
                self.shipment.unsent(number, again);
                if self.node.is_open(&self.server) {
                    // It will not be better at once: it lacks the application, or is behind.
                    self.shipment.failed(now, number);
                    self.complain(&format!("records are not sent: {error}"));
                } else {
                    self.shipment.set_reachable(false);
                }
            }
        }
    }

    fn message(&self, request: &AccountingRequest, number: u64, again: bool) -> Message {
        // The same for each repetition of a record (RFC 6733 3), another for each record under way.
        let low = u32::try_from(number & 0x000f_ffff).unwrap_or(0);
        let id =
            (self.end_to_end & 0xfff0_0000) | (self.end_to_end.wrapping_add(low) & 0x000f_ffff);
        let mut message = request.encode(0, id.max(1));
        if again {
            message.flags = message.flags.with(CommandFlags::RETRANSMITTED);
        }
        message
    }

    fn event(&mut self, event: NodeEvent) {
        let now = Instant::now();
        match event {
            NodeEvent::PeerOpen { origin_host, .. } => {
                tracing::info!(origin_host, "the accounting storage is there");
                self.shipment.set_reachable(true);
            }
            NodeEvent::PeerClosed { .. } => self.shipment.set_reachable(false),
            NodeEvent::Answer { token, message } => {
                if message.result_code().is_some_and(ResultCode::is_success) {
                    self.told.interim_seconds = message
                        .find(&dictionary::ACCT_INTERIM_INTERVAL)
                        .and_then(|avp| avp.value().ok())
                        .unwrap_or(0);
                    self.shipment.kept(token);
                    self.complained = None;
                    return;
                }
                self.told.refused += 1;
                self.shipment.failed(now, token);
                let text = message.text(&dictionary::ERROR_MESSAGE).unwrap_or_default();
                self.complain(&match message.result_code() {
                    Some(code) => {
                        format!("the accounting storage refuses records: {code} {text}")
                    }
                    None => "the accounting storage answers without a result".into(),
                });
            }
            NodeEvent::Failed { token, .. } => self.shipment.failed(now, token),
            NodeEvent::Request {
                reply_to, message, ..
            } => {
                let refusal = message.refuse(
                    self.node.identity(),
                    ResultCode::COMMAND_UNSUPPORTED,
                    None,
                    None,
                );
                self.node.answer(reply_to, &refusal);
            }
        }
    }

    /// Until something is due of itself.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let cursor =
            (self.shipment.acknowledged() != self.written).then(|| self.written_at + CURSOR);
        [self.shipment.resume_at(), cursor, self.read_at]
            .into_iter()
            .flatten()
            .map(|at| at.saturating_duration_since(now))
            .min()
            .unwrap_or(IDLE)
            .max(Duration::from_millis(1))
    }

    fn keep_cursor(&mut self) {
        let acknowledged = self.shipment.acknowledged();
        if acknowledged == self.written {
            return;
        }
        self.written_at = Instant::now();
        match self.cursor.write(acknowledged) {
            Ok(()) => self.written = acknowledged,
            // Behind, it does no harm.
            Err(error) => self.complain(&format!("the cursor of shipped records: {error}")),
        }
    }

    fn complain(&mut self, what: &str) {
        if self.complained.as_deref() != Some(what) {
            tracing::error!("{what}");
            self.complained = Some(what.into());
        }
    }

    fn show(&mut self) {
        let acknowledged = self.shipment.acknowledged();
        self.told.acknowledged = acknowledged;
        self.told.waiting = self.durable.borrow().saturating_sub(acknowledged);
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = self.told;
    }
}
