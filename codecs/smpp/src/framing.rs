//! PDUs out of a stream, by `command_length` alone (SMPP 3.4 section 3.2).
//!
//! ```text
//!  0               4               8               12              16
//! +---------------+---------------+---------------+---------------+------
//! |command_length | command_id    |command_status |sequence_number| body
//! +---------------+---------------+---------------+---------------+------
//! ```

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::refusal::Refusal;
use crate::{command, status};

/// Octets of the header; the least that `command_length` can say.
pub const HEADER_LENGTH: usize = 16;

/// One PDU as it stands in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// `command_id`
    pub command_id: u32,
    /// `command_status`
    pub command_status: u32,
    /// `sequence_number`
    pub sequence_number: u32,
    /// What follows the header. It shares the framer's buffer: copy what is kept for long.
    pub body: Bytes,
}

impl Frame {
    /// Octets of the whole PDU.
    pub fn command_length(&self) -> usize {
        HEADER_LENGTH + self.body.len()
    }
}

/// A `command_length` that cannot be: where the next PDU starts is not known, and the stream is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("command_length {command_length} is outside 16 to {max}")]
pub struct FramingError {
    /// What it said.
    pub command_length: u32,
    /// The most that is taken.
    pub max: u32,
    /// `sequence_number` of the PDU that is too long; a PDU that is shorter than a header has none.
    pub sequence_number: Option<u32>,
}

impl FramingError {
    /// What to send before the connection is closed: `generic_nack` with ESME_RINVCMDLEN, and `sequence_number` 0
    /// where the peer's is not known (SMPP 3.4 section 4.3.1).
    pub fn refusal(&self) -> Refusal {
        Refusal {
            answer: Some(command::GENERIC_NACK),
            command_status: status::ESME_RINVCMDLEN,
            sequence_number: self.sequence_number.unwrap_or(0),
            field: "command_length",
            offset: 0,
        }
    }
}

/// Cuts a stream into PDUs, wherever it was split. Holds at most one PDU that is not whole, and what was pushed last.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    max: u32,
    dead: bool,
}

impl Framer {
    /// A framer that takes PDUs of up to `max_pdu` octets, header included (at least 16).
    pub fn new(max_pdu: u32) -> Self {
        Self {
            buffer: BytesMut::new(),
            max: max_pdu.max(16),
            dead: false,
        }
    }

    /// Adds octets read from the stream. Take all that [`Self::next`] yields before the next push.
    pub fn push(&mut self, octets: &[u8]) {
        if !self.dead {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// The buffer, to read into without a copy (`read_buf`). Only append to it.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Octets held back until more arrive. A connection closed now cuts a PDU off unless it is 0.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a framing error was met: nothing is read any more.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// The next PDU; `None` until more octets arrive, and for ever after an error.
    #[allow(clippy::should_implement_trait)] // more octets may follow a None
    pub fn next(&mut self) -> Option<Result<Frame, FramingError>> {
        if self.dead {
            self.buffer.clear();
            return None;
        }
        let command_length = u32::from_be_bytes(*self.buffer.first_chunk::<4>()?);
        // What is too short has no sequence_number; what is too long has one if the header arrives.
        if command_length < 16 {
            return Some(Err(self.fail(command_length, None)));
        }
        let header = *self.buffer.first_chunk::<HEADER_LENGTH>()?;
        let word = |at: usize| {
            let octets = header.get(at..).and_then(<[u8]>::first_chunk::<4>);
            octets.map_or(0, |octets| u32::from_be_bytes(*octets))
        };
        let sequence_number = word(12);
        if command_length > self.max {
            return Some(Err(self.fail(command_length, Some(sequence_number))));
        }
        let length = command_length as usize;
        if self.buffer.len() < length {
            self.buffer.reserve(length - self.buffer.len());
            return None;
        }
        let mut body = self.buffer.split_to(length).freeze();
        body.advance(HEADER_LENGTH);
        Some(Ok(Frame {
            command_id: word(4),
            command_status: word(8),
            sequence_number,
            body,
        }))
    }

    fn fail(&mut self, command_length: u32, sequence_number: Option<u32>) -> FramingError {
        self.dead = true;
        self.buffer = BytesMut::new();
        FramingError {
            command_length,
            max: self.max,
            sequence_number,
        }
    }
}
