//! Streams: TCP and the registration socket, both ways. Memory grows as octets arrive, never by what a length announces.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tollwire_slp::announced_length;

use crate::event::{Arrived, Channel, ConnectionId};

/// Messages of one connection that are handled together.
const BATCH: usize = 64;
/// The shortest header: of SLPv1.
const SHORTEST: usize = 12;
/// Octets read at once.
const READ: usize = 4_096;

/// What a stream may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Octets of a message.
    pub message: usize,
    /// How long a message may take from its first octet to its last, and how long a write may stand still.
    pub patience: Duration,
    /// How long nothing may be said (CONFIG_CLOSE_CONN).
    pub idle: Duration,
    /// Connections in all.
    pub connections: usize,
    /// Connections of one source address.
    pub per_source: usize,
    /// Octets of answers that wait to be written, on all connections.
    pub queued: usize,
}

/// News of a stream.
#[derive(Debug)]
pub enum StreamEvent {
    /// Messages, in order. The stream reads on when [`Streams::handled`] says so.
    Arrived(ConnectionId, Vec<Arrived>),
    /// It is gone.
    Closed(ConnectionId),
}

/// What a connection's task is told.
#[derive(Debug)]
enum Told {
    Send(Vec<u8>),
    Handled,
}

#[derive(Debug)]
struct Open {
    source: Option<IpAddr>,
    outgoing: bool,
    tell: mpsc::UnboundedSender<Told>,
    queued: Queued,
    task: Option<AbortHandle>,
}

/// Octets that wait to be written: on one stream, and on all.
#[derive(Debug, Clone, Default)]
struct Queued {
    own: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

impl Queued {
    fn add(&self, octets: usize) {
        self.own.fetch_add(octets, Ordering::Relaxed);
        self.all.fetch_add(octets, Ordering::Relaxed);
    }

    /// Less by `octets`, or by what is left: a stream that was closed is not counted any more.
    fn remove(&self, octets: usize) {
        let octets = octets.min(self.own());
        self.own.fetch_sub(octets, Ordering::Relaxed);
        self.all.fetch_sub(octets, Ordering::Relaxed);
    }

    fn own(&self) -> usize {
        self.own.load(Ordering::Relaxed)
    }

    fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

/// All streams.
#[derive(Debug)]
pub struct Streams {
    bounds: Bounds,
    events: mpsc::Sender<StreamEvent>,
    open: HashMap<ConnectionId, Open>,
    sources: HashMap<IpAddr, usize>,
    queued: Queued,
    next: u64,
    refused: u64,
}

impl Streams {
    /// None yet; `events` hears of them.
    pub fn new(bounds: Bounds, events: mpsc::Sender<StreamEvent>) -> Self {
        Self {
            bounds,
            events,
            open: HashMap::new(),
            sources: HashMap::new(),
            queued: Queued::default(),
            next: 0,
            refused: 0,
        }
    }

    /// Streams that are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Connections that were closed at once, for the bounds.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Somebody has connected by TCP.
    pub fn accept_tcp(&mut self, stream: TcpStream, remote: SocketAddr) {
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let _ = stream.set_nodelay(true);
        let channel = move |connection| Channel::Tcp {
            connection,
            remote: canonical(remote),
            local: local.ip().to_canonical(),
        };
        self.accept(stream, Some(remote.ip().to_canonical()), channel);
    }

    /// Somebody has connected on the registration socket.
    pub fn accept_local(&mut self, stream: tokio::net::UnixStream) {
        self.accept(stream, None, |connection| Channel::Local { connection });
    }

    fn accept<S>(
        &mut self,
        stream: S,
        source: Option<IpAddr>,
        channel: impl FnOnce(ConnectionId) -> Channel,
    ) where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let of_source = source.and_then(|source| self.sources.get(&source).copied());
        if self.open.len() >= self.bounds.connections
            || of_source.unwrap_or(0) >= self.bounds.per_source
        {
            self.refused += 1;
            return;
        }
        self.next += 1;
        let connection = ConnectionId(self.next);
        let task = self.task(connection, channel(connection), source);
        let running = tokio::spawn(task.run(stream));
        self.started(connection, running.abort_handle());
    }

    /// Connects to another agent, and sends `octets`.
    pub fn connect(&mut self, connection: ConnectionId, remote: SocketAddr, octets: Vec<u8>) {
        let task = self.task(connection, Channel::Outgoing { connection, remote }, None);
        let patience = self.bounds.patience;
        let running = tokio::spawn(async move {
            let stream = match timeout(patience, TcpStream::connect(remote)).await {
                Ok(Ok(mut stream)) => {
                    let sent = timeout(patience, stream.write_all(&octets)).await;
                    matches!(sent, Ok(Ok(()))).then_some(stream)
                }
                _ => None,
            };
            match stream {
                Some(stream) => task.run(stream).await,
                None => drop(task.events.send(StreamEvent::Closed(connection)).await),
            }
        });
        self.started(connection, running.abort_handle());
    }

    fn started(&mut self, connection: ConnectionId, task: AbortHandle) {
        if let Some(open) = self.open.get_mut(&connection) {
            open.task = Some(task);
        }
    }

    fn task(&mut self, connection: ConnectionId, channel: Channel, source: Option<IpAddr>) -> Task {
        let (tell, heard) = mpsc::unbounded_channel();
        if let Some(source) = source {
            *self.sources.entry(source).or_default() += 1;
        }
        let queued = Queued {
            own: Arc::default(),
            all: self.queued.all.clone(),
        };
        let open = Open {
            source,
            outgoing: matches!(channel, Channel::Outgoing { .. }),
            tell,
            queued: queued.clone(),
            task: None,
        };
        self.open.insert(connection, open);
        Task {
            channel,
            connection,
            bounds: self.bounds,
            events: self.events.clone(),
            heard,
            queued,
        }
    }

    /// Sends on a stream. While too many octets wait, the stream that lets most of them wait is closed.
    pub fn send(&mut self, connection: ConnectionId, octets: Vec<u8>) {
        if let Some(open) = self.open.get(&connection) {
            open.queued.add(octets.len());
            // It fails when the task has ended; with its connection the count goes too.
            let _ = open.tell.send(Told::Send(octets));
        }
        while self.queued.all() > self.bounds.queued {
            let worst = self
                .open
                .iter()
                .max_by_key(|(_, open)| open.queued.own())
                .map(|(connection, _)| *connection);
            let Some(worst) = worst else { return };
            self.refused += 1;
            if let Some(task) = self.open.get(&worst).and_then(|open| open.task.as_ref()) {
                task.abort();
            }
            self.close(worst);
        }
    }

    /// What came on a stream was handled: it may read on.
    pub fn handled(&self, connection: ConnectionId) {
        if let Some(open) = self.open.get(&connection) {
            let _ = open.tell.send(Told::Handled);
        }
    }

    /// Closes a stream, when what waits is written.
    pub fn close(&mut self, connection: ConnectionId) {
        // Its task ends when nobody can tell it anything any more.
        let Some(open) = self.open.remove(&connection) else {
            return;
        };
        // What it has not written yet it counts no more: its own count is gone with it.
        open.queued.all.fetch_sub(
            open.queued.own.swap(0, Ordering::Relaxed),
            Ordering::Relaxed,
        );
        if let Some(source) = open.source
            && let Some(count) = self.sources.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// A stream is gone; whether it was one that we made, and had not closed.
    pub fn closed(&mut self, connection: ConnectionId) -> bool {
        let outgoing = self.open.get(&connection).is_some_and(|open| open.outgoing);
        self.close(connection);
        outgoing
    }
}

/// A v4 address inside IPv6 is a v4 address.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

struct Task {
    channel: Channel,
    connection: ConnectionId,
    bounds: Bounds,
    events: mpsc::Sender<StreamEvent>,
    heard: mpsc::UnboundedReceiver<Told>,
    queued: Queued,
}

impl Task {
    async fn run<S: AsyncRead + AsyncWrite>(mut self, stream: S) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = BytesMut::new();
        loop {
            let frames = match self.frames(&mut reader, &mut buffer).await {
                Ok(frames) if !frames.is_empty() => frames,
                _ => break,
            };
            let event = StreamEvent::Arrived(self.connection, frames);
            if self.events.send(event).await.is_err() || !self.answer(&mut writer).await {
                break;
            }
        }
        let _ = self.events.send(StreamEvent::Closed(self.connection)).await;
    }

    /// Writes what is told, until what was read is handled; false when the stream is over.
    async fn answer<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> bool {
        let mut out = Vec::new();
        let mut open = true;
        loop {
            match self.heard.recv().await {
                Some(Told::Send(octets)) => out.extend(octets),
                Some(Told::Handled) => break,
                None => {
                    open = false;
                    break;
                }
            }
        }
        let length = out.len();
        let written = self.write(writer, &out).await;
        self.queued.remove(length);
        open && written.is_ok()
    }

    async fn write<W: AsyncWrite + Unpin>(&self, writer: &mut W, out: &[u8]) -> io::Result<()> {
        let mut rest = out;
        while !rest.is_empty() {
            let written = timeout(self.bounds.patience, writer.write(rest)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// The next messages: at least one, all that are there whole. None when the stream is over.
    async fn frames<R: AsyncRead + Unpin>(
        &self,
        reader: &mut R,
        buffer: &mut BytesMut,
    ) -> io::Result<Vec<Arrived>> {
        let mut frames = Vec::new();
        // From the first octet of a message on it has to come to its end.
        let mut until = match buffer.is_empty() {
            true => None,
            false => Some(Instant::now() + self.bounds.patience),
        };
        loop {
            while frames.len() < BATCH
                && let Some(octets) = cut(buffer, self.bounds.message)?
            {
                frames.push(Arrived {
                    octets,
                    channel: self.channel,
                });
            }
            if !frames.is_empty() {
                return Ok(frames);
            }
            buffer.reserve(READ);
            let read = match until {
                Some(until) => timeout_at(until, reader.read_buf(buffer)).await??,
                None => timeout(self.bounds.idle, reader.read_buf(buffer)).await??,
            };
            if read == 0 {
                return Ok(frames);
            }
            until = until.or(Some(Instant::now() + self.bounds.patience));
        }
    }
}

/// Cuts a whole message off, if one is there.
fn cut(buffer: &mut BytesMut, longest: usize) -> io::Result<Option<Bytes>> {
    let length = match buffer.as_ref() {
        // SLPv1 has a 16-bit length (RFC 2165 4).
        [1, _, high, low, ..] => Some(usize::from(u16::from_be_bytes([*high, *low]))),
        octets => announced_length(octets),
    };
    let Some(length) = length else {
        return Ok(None);
    };
    if !(SHORTEST..=longest).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    match buffer.len() >= length {
        true => Ok(Some(buffer.split_to(length).freeze())),
        false => Ok(None),
    }
}
