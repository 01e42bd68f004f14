use thiserror::Error;

use crate::framing::HEADER_LENGTH;

/// Why a PDU has no meaning, and what its sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} at octet {offset}: {}", crate::status::name(*command_status))]
pub struct Refusal {
    /// `command_id` of the answer: the request's response, or `generic_nack`. `None` if the PDU is a response itself,
    /// or has none: nothing is sent then.
    pub answer: Option<u32>,
    /// `command_status` of the answer.
    pub command_status: u32,
    /// `sequence_number` of the PDU, and of the answer.
    pub sequence_number: u32,
    /// The field at fault, as the specification names it.
    pub field: &'static str,
    /// Where it begins, in octets from the start of the PDU.
    pub offset: usize,
}

impl Refusal {
    /// Appends the answer, a header alone; nothing if there is no answer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(command_id) = self.answer {
            header(command_id, self.command_status, self.sequence_number, out);
        }
    }
}

/// Appends a PDU without a body.
pub(crate) fn header(
    command_id: u32,
    command_status: u32,
    sequence_number: u32,
    out: &mut Vec<u8>,
) {
    let words = [
        HEADER_LENGTH as u32,
        command_id,
        command_status,
        sequence_number,
    ];
    let mut octets = [0; HEADER_LENGTH];
    for (place, word) in octets.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&octets);
}

/// What is wrong with one field of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) field: &'static str,
    /// From the start of the PDU.
    pub(crate) offset: usize,
    pub(crate) command_status: u32,
}

/// A value that its field cannot hold. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} cannot hold this value")]
pub struct Unencodable {
    /// The field, as the specification names it.
    pub field: &'static str,
}
