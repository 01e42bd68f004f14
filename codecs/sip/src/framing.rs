//! Messages out of a stream (RFC 3261 18.3), and keep-alives between them (RFC 5626 4.4.1).

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use thiserror::Error;

use crate::message::{Head, MAX_MESSAGE_SIZE, Message, ParseFailure, parse_head};
use crate::rejection::Fault;

/// What a stream held next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// A message.
    Message(Message),
    /// A double CRLF: answer it with one CRLF (RFC 5626 4.4.1).
    Ping,
    /// A single CRLF before a message: the answer to a ping of ours, or an old client's padding.
    Pong,
}

/// Why a stream did not yield a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FramingError {
    /// The message is malformed, but where the next one starts is known: answer and go on.
    #[error("{0}")]
    Message(ParseFailure),
    /// Where the next message starts cannot be known: answer, if an answer can be made, and close
    /// the connection (RFC 4475 3.1.2.3). Further calls yield the end of the stream.
    #[error("{0}; the stream cannot be read on")]
    Fatal(ParseFailure),
}

/// Cuts a stream into messages by Content-Length. Holds at most one message of the limit's size
/// plus what was pushed last.
pub struct StreamFramer {
    buffer: BytesMut,
    limit: usize,
    /// Octets of the buffer known not to hold the end of the head.
    searched: usize,
    /// The head of a message whose body has not all arrived, and the body's length.
    pending: Option<(Head, usize)>,
    dead: bool,
}

impl StreamFramer {
    /// A framer that refuses messages longer than `limit` octets (at most [`MAX_MESSAGE_SIZE`]).
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit: limit.min(MAX_MESSAGE_SIZE),
            searched: 0,
            pending: None,
            dead: false,
        }
    }

    /// Adds octets read from the stream. Take all that [`StreamFramer::next`] yields before the next push.
    pub fn push(&mut self, octets: &[u8]) {
        if !self.dead {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// Octets held back until more arrive.
    pub fn buffered(&self) -> usize {
        self.buffer.len() + self.pending.as_ref().map_or(0, |(head, _)| head.length)
    }

    /// Whether a message has begun and not ended: a connection closed now cuts it off.
    pub fn is_partial(&self) -> bool {
        self.pending.is_some() || !matches!(&*self.buffer, b"" | b"\r" | b"\r\n" | b"\r\n\r")
    }

    /// The next message or keep-alive; `None` until more octets arrive.
    #[allow(clippy::should_implement_trait)] // more octets may follow a None
    pub fn next(&mut self) -> Option<Result<Framed, FramingError>> {
        if self.dead {
            return None;
        }
        if self.pending.is_none() {
            if let Some(keep_alive) = self.keep_alive()? {
                return Some(Ok(keep_alive));
            }
            let Some(length) = self.head_length() else {
                if self.buffer.len() <= self.limit {
                    return None;
                }
                let head = parse_head(self.buffer.split().freeze());
                return Some(self.fatal(head, Fault::TooLarge));
            };
            let head = parse_head(self.buffer.split_to(length).freeze());
            self.searched = 0;
            // 20.14: a stream needs Content-Length. 18.3: without it there is no telling where the message ends.
            let Some(body) = head.content_length else {
                return Some(self.fatal(head, Fault::ContentLength));
            };
            if length.saturating_add(body) > self.limit {
                return Some(self.fatal(head, Fault::TooLarge));
            }
            self.pending = Some((head, body));
        }
        let (head, body) = self
            .pending
            .take_if(|(_, body)| *body <= self.buffer.len())?;
        let body = self.buffer.split_to(body).freeze();
        Some(match head.into_message(body) {
            Ok(message) => Ok(Framed::Message(message)),
            Err(failure) => Err(FramingError::Message(failure)),
        })
    }

    /// A keep-alive at the front. The outer `None`: more octets must tell.
    fn keep_alive(&mut self) -> Option<Option<Framed>> {
        let front = self.buffer.len().min(4);
        let (length, found) = match self.buffer.get(..front)? {
            [b'\r', b'\n', b'\r', b'\n'] => (4, Framed::Ping),
            // Perhaps the first part of a ping.
            [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return None,
            [b'\r', b'\n', ..] => (2, Framed::Pong),
            _ => return Some(None),
        };
        self.buffer.advance(length);
        Some(Some(found))
    }

    /// Octets up to and including the empty line; `None` until it has arrived.
    fn head_length(&mut self) -> Option<usize> {
        let from = self.searched.saturating_sub(3);
        match memmem::find(self.buffer.get(from..)?, b"\r\n\r\n") {
            Some(at) => Some(from + at + 4),
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }

    fn fatal(&mut self, head: Head, fault: Fault) -> Result<Framed, FramingError> {
        self.dead = true;
        self.buffer = BytesMut::new();
        let failure = match head.into_message(Bytes::new()) {
            Ok(message) => ParseFailure::new(fault, Some(message)),
            Err(failure) if fault == Fault::TooLarge => failure.with_fault(fault),
            Err(failure) => failure,
        };
        Err(FramingError::Fatal(failure))
    }
}

impl fmt::Debug for StreamFramer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamFramer")
            .field("buffered", &self.buffered())
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}
