//! One connection: a side that reads and a side that writes.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tollwire_smpp::{Framer, FramingError};

use super::Bounds;
use crate::event::{Event, Frame, LinkId};

/// Room for one read: most PDUs are small, and an idle connection keeps this.
const READ: usize = 4096;
/// The same when the last read was full.
const READ_MUCH: usize = 65_536;
/// Octets that wait to be written before the core is told.
const TELL: usize = 65_536;
/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    waiting: RefCell<Vec<u8>>,
    /// Octets in the hands of the operating system's write.
    writing: Cell<usize>,
    closing: Cell<bool>,
    told: Cell<bool>,
    wake: Notify,
    drained: Notify,
}

impl Outgoing {
    /// Adds octets; how many wait, if the core should know.
    pub(super) fn push(&self, mut octets: Vec<u8>) -> Option<usize> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            *waiting = octets;
        } else {
            waiting.append(&mut octets);
        }
        self.wake.notify_one();
        let backlog = waiting.len() + self.writing.get();
        (backlog > TELL).then(|| {
            self.told.set(true);
            backlog
        })
    }

    pub(super) fn close(&self) {
        self.closing.set(true);
        self.wake.notify_one();
    }

    fn backlog(&self) -> usize {
        self.waiting.borrow().len() + self.writing.get()
    }
}

/// Reads and writes until the peer is gone, the core has closed, or nothing can be written.
pub(super) async fn converse<S>(
    stream: S,
    link: LinkId,
    outgoing: &Outgoing,
    bounds: Bounds,
    events: &mpsc::Sender<Event>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        () = read(reader, link, outgoing, bounds, events) => {}
        _ = write(writer, link, outgoing, bounds, events) => {}
    }
}

async fn read<S: AsyncRead + AsyncWrite>(
    mut reader: ReadHalf<S>,
    link: LinkId,
    outgoing: &Outgoing,
    bounds: Bounds,
    events: &mpsc::Sender<Event>,
) {
    let mut framer = Framer::new(bounds.max_pdu);
    let mut room = READ;
    loop {
        // Who does not read its answers is not heard: TCP lets it wait.
        while outgoing.backlog() > bounds.max_backlog {
            outgoing.drained.notified().await;
        }
        framer.buffer_mut().reserve(room);
        let length = match reader.read_buf(framer.buffer_mut()).await {
            Ok(length @ 1..) => length,
            Ok(0) | Err(_) => return,
        };
        room = if length >= room { READ_MUCH } else { READ };
        let mut frames = Vec::new();
        let mut failure = None;
        while let Some(next) = framer.next() {
            match next {
                Ok(frame) => frames.push(Frame {
                    command_id: frame.command_id,
                    command_status: frame.command_status,
                    sequence_number: frame.sequence_number,
                    body: frame.body,
                }),
                Err(error) => failure = Some(error),
            }
        }
        if !frames.is_empty() && events.send(Event::Frames { link, frames }).await.is_err() {
            return;
        }
        if let Some(FramingError {
            sequence_number, ..
        }) = failure
        {
            let event = Event::FramingFailed {
                link,
                sequence_number,
            };
            let _ = events.send(event).await;
            // The core answers and closes; nothing more is read.
            return std::future::pending().await;
        }
    }
}

async fn write<S: AsyncRead + AsyncWrite>(
    mut writer: WriteHalf<S>,
    link: LinkId,
    outgoing: &Outgoing,
    bounds: Bounds,
    events: &mpsc::Sender<Event>,
) -> io::Result<()> {
    loop {
        let octets = outgoing.waiting.take();
        if octets.is_empty() {
            if outgoing.closing.get() {
                return tokio::time::timeout(LAST_WORDS, writer.shutdown())
                    .await
                    .unwrap_or(Ok(()));
            }
            outgoing.wake.notified().await;
            continue;
        }
        outgoing.writing.set(octets.len());
        let patience = if outgoing.closing.get() {
            LAST_WORDS
        } else {
            bounds.stalled
        };
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let written = tokio::time::timeout(patience, writer.write(rest)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(written..).unwrap_or_default();
            outgoing.writing.set(rest.len());
        }
        writer.flush().await?;
        if outgoing.backlog() <= bounds.max_backlog {
            outgoing.drained.notify_one();
        }
        if outgoing.told.get() && outgoing.backlog() == 0 {
            outgoing.told.set(false);
            let _ = events.send(Event::Backlog { link, octets: 0 }).await;
        }
    }
}
