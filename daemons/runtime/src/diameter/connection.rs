use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tollwire_diameter::dictionary::command;
use tollwire_diameter::peer::{ConnectionId, PeerEvent};
use tollwire_diameter::{HEADER_LENGTH, Message, ResultCode, base, frame_length};
use tracing::{debug, warn};

use crate::diameter::event::NodeEvent;
use crate::diameter::state::{Course, HIGH_WATER, Shared};
use crate::diameter::stream::Stream;
use crate::diameter::tls;

/// Octets asked of the socket at a time.
const READ_SIZE: usize = 16_384;
/// The longest message of a peer that has not said who it is.
const MAX_CER_SIZE: usize = 8_192;
/// How long a closed connection is still read, so that its last frame is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);
/// A write buffer that grew beyond this is given back.
const KEEP_CAPACITY: usize = 1 << 20;

/// Runs one connection until it ends, and tells its peer.
pub(super) async fn run(
    shared: Arc<Shared>,
    id: ConnectionId,
    mut stream: Stream,
    wake: Arc<Notify>,
    early: Vec<NodeEvent>,
) {
    let mut connection = Connection {
        id,
        read: BytesMut::new(),
        write: Vec::new(),
        written: 0,
        events: early.into(),
        introduced: shared.is_introduced(id),
        broken: false,
    };
    let outcome = connection.serve(&shared, &mut stream, &wake).await;
    match &outcome {
        Ok(()) => {}
        // Of the kinds of stream only TLS has it: the peer's alert, or octets that do not decrypt.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            warn!(%error, "Diameter connection over TLS lost");
        }
        Err(error) => debug!(%error, "Diameter connection lost"),
    }
    let mut events = Vec::new();
    shared.disconnected(id, &mut events);
    connection.events.extend(events);
    deliver_all(&shared, connection.events).await;
    if outcome.is_ok() && stream.shutdown().await.is_ok() {
        // The peer closes when it has read everything.
        let _elapsed = tokio::time::timeout(LINGER, discard(&mut stream)).await;
    }
}

/// Sends `events` to the daemon, waiting for room; when the node stops, only while there is room.
pub(super) async fn deliver_all(shared: &Shared, events: impl IntoIterator<Item = NodeEvent>) {
    let mut stopping = shared.stopping.subscribe();
    for event in events {
        if let Err(TrySendError::Full(event)) = shared.events.try_send(event) {
            tokio::select! {
                // The receiver is gone: nobody wants to know.
                _ = shared.events.send(event) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}

struct Connection {
    id: ConnectionId,
    read: BytesMut,
    /// Being written, from `written` on.
    write: Vec<u8>,
    written: usize,
    /// What the daemon has no room for yet; reading pauses while there is any.
    events: VecDeque<NodeEvent>,
    /// Whether the peer is known.
    introduced: bool,
    /// The framing is lost.
    broken: bool,
}

impl Connection {
    /// Ends with `Ok` when everything is written and the connection is to be closed.
    async fn serve(
        &mut self,
        shared: &Arc<Shared>,
        stream: &mut Stream,
        wake: &Notify,
    ) -> io::Result<()> {
        let cer_deadline = Instant::now() + shared.config.connect_timeout;
        let mut close_deadline = None;
        loop {
            let course = self.write_queue(shared, stream)?;
            let writing = self.written < self.write.len() || stream.has_unsent();
            if course == Course::Closing {
                if !writing {
                    return Ok(());
                }
                let timeout = shared.config.connect_timeout;
                close_deadline.get_or_insert_with(|| Instant::now() + timeout);
            }
            self.deliver(shared);
            let reading = course == Course::Open
                && self.events.is_empty()
                && !(writing && shared.backlog(self.id) > HIGH_WATER);
            let interest = match (reading, writing) {
                (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
                (true, false) => Some(Interest::READABLE),
                (false, true) => Some(Interest::WRITABLE),
                (false, false) => None,
            };
            let deadline = close_deadline.or((!self.introduced).then_some(cer_deadline));
            tokio::select! {
                ready = ready(stream, interest) => {
                    if ready?.is_readable() && reading {
                        self.read_socket(shared, stream)?;
                    }
                }
                () = wake.notified() => {}
                permit = shared.events.reserve(), if !self.events.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.events.pop_front() {
                            permit.send(event);
                        }
                    }
                    Err(_closed) => self.events.clear(),
                },
                () = reached(deadline) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    fn write_queue(&mut self, shared: &Shared, stream: &mut Stream) -> io::Result<Course> {
        loop {
            match stream.flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(shared.course(self.id));
                }
                flushed => flushed?,
            }
            if self.written == self.write.len() {
                self.write.clear();
                self.written = 0;
                if self.write.capacity() > KEEP_CAPACITY {
                    self.write = Vec::new();
                }
                let course = shared.take_queue(self.id, &mut self.write);
                if self.write.is_empty() {
                    return Ok(course);
                }
            }
            let rest = self.write.get(self.written..).unwrap_or_default();
            match stream.try_write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(shared.course(self.id));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands over as many events as there is room for.
    fn deliver(&mut self, shared: &Shared) {
        while let Some(event) = self.events.pop_front() {
            match shared.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.events.push_front(event);
                    return;
                }
                Err(TrySendError::Closed(_)) => self.events.clear(),
            }
        }
    }

    fn read_socket(&mut self, shared: &Arc<Shared>, stream: &mut Stream) -> io::Result<()> {
        let wanted = frame_length(&self.read, self.max_size(shared))
            .ok()
            .flatten()
            .map_or(0, |length| length.saturating_sub(self.read.len()));
        if self.read.capacity() - self.read.len() < wanted.max(READ_SIZE / 4) {
            self.read.reserve(wanted.max(READ_SIZE));
        }
        match stream.try_read(&mut self.read) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut events = Vec::new();
        if !self.introduced {
            self.read_cer(shared, stream, &mut events);
        }
        if self.introduced {
            let mut arrivals = Vec::new();
            while let Some(event) = self.next_arrival(shared) {
                if let PeerEvent::Received { message, .. } = &event
                    && message.command_code == command::CAPABILITIES_EXCHANGE
                    && !speaks_for_itself(stream, message)
                {
                    self.broken = true;
                    break;
                }
                arrivals.push(event);
            }
            shared.received(self.id, arrivals.into_iter(), &mut events);
        }
        self.events.extend(events);
        if self.broken {
            shared.dismiss(self.id, None);
        }
        Ok(())
    }

    fn max_size(&self, shared: &Shared) -> usize {
        let max = shared.config.max_message_size;
        if self.introduced {
            max
        } else {
            max.min(MAX_CER_SIZE)
        }
    }

    /// The next whole frame, decoded.
    fn next_arrival(&mut self, shared: &Shared) -> Option<PeerEvent> {
        if self.broken {
            return None;
        }
        let length = match frame_length(&self.read, self.max_size(shared)) {
            Ok(length) => length?,
            Err(error) => {
                // The header is answered (5011 or 5015); what follows it cannot be told apart.
                debug!(%error, "Diameter framing lost");
                self.broken = true;
                if self.read.len() < HEADER_LENGTH {
                    return None;
                }
                HEADER_LENGTH
            }
        };
        if self.read.len() < length {
            return None;
        }
        let frame = self.read.split_to(length).freeze();
        Some(match Message::decode(frame) {
            Ok(message) => PeerEvent::Received {
                connection: self.id,
                message,
            },
            Err(malformed) => PeerEvent::Undecodable {
                connection: self.id,
                malformed,
            },
        })
    }

    /// RFC 6733 5.6.1: the first message says who the peer is; anything but a CER ends it.
    fn read_cer(&mut self, shared: &Arc<Shared>, stream: &Stream, events: &mut Vec<NodeEvent>) {
        let is_cer = |message: &Message| {
            message.is_request() && message.command_code == command::CAPABILITIES_EXCHANGE
        };
        let identity = &shared.local.identity;
        let answer = match self.next_arrival(shared) {
            None if self.broken => None,
            None => return,
            Some(PeerEvent::Received { message, .. }) if is_cer(&message) => {
                match base::CapabilitiesExchangeRequest::decode(&message) {
                    Ok(_) if !speaks_for_itself(stream, &message) => {
                        let text = "the certificate does not name the Origin-Host";
                        let refused = ResultCode::UNKNOWN_PEER;
                        Some(shared.local.refuse_cer(&message, refused, text))
                    }
                    Ok(_) => {
                        shared.introduce(self.id, message, events);
                        self.introduced = shared.is_introduced(self.id);
                        return;
                    }
                    Err(error) => Some(message.refuse_undecodable(identity, &error)),
                }
            }
            Some(PeerEvent::Undecodable { malformed, .. }) if is_cer(&malformed.received) => {
                malformed.answer(identity)
            }
            Some(_) => None,
        };
        shared.dismiss(self.id, answer.as_ref());
    }
}

/// RFC 6733 13.1: whether the peer's certificate, if it showed one, names the Origin-Host of its CER or CEA.
fn speaks_for_itself(stream: &Stream, message: &Message) -> bool {
    let Some(certificate) = stream.certificate() else {
        return true;
    };
    let origin_host = message.origin_host().unwrap_or_default();
    let named = tls::is_named(certificate, origin_host);
    if !named {
        let names = tls::names(certificate);
        warn!(
            origin_host,
            ?names,
            "Diameter peer refused: its certificate does not name its Origin-Host as a dNSName"
        );
    }
    named
}

async fn ready(stream: &Stream, interest: Option<Interest>) -> io::Result<tokio::io::Ready> {
    match interest {
        Some(interest) => stream.ready(interest).await,
        None => pending().await,
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Reads until the peer closes.
async fn discard(stream: &mut Stream) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_SIZE);
    loop {
        stream.ready(Interest::READABLE).await?;
        buffer.clear();
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
