//! Delivery receipts: made for ESMEs, read from upstreams.
//!
//! The text is the one of SMPP 3.4 appendix B; beside it go the optional parameters of section 5.3.2.12 and 5.3.2.35.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use tollwire_smpp::receipt::{self, Receipt};
use tollwire_smpp::text::decode_latin1;

use crate::entry::Done;
use crate::message::{Kind, Message, MessageId, MessageState, Tlv};
use crate::wire::{read::Submission, tag, write};

/// `esm_class`: the message is a delivery receipt (SMPP 3.4 section 5.2.12).
pub const ESM_CLASS_RECEIPT: u8 = 0x04;
/// `esm_class`: the message is an intermediate notification.
pub const ESM_CLASS_INTERMEDIATE: u8 = 0x20;
/// Bits of `esm_class` that say what a message is.
pub const ESM_CLASS_TYPE: u8 = 0x3C;

/// Whether `registered_delivery` asks for a receipt of this end (SMPP 3.4 section 5.2.17; 3, "success only", is
/// SMPP 5.0's).
pub fn is_wanted(registered_delivery: u8, state: MessageState) -> bool {
    let delivered = matches!(state, MessageState::Delivered | MessageState::Accepted);
    match registered_delivery & 0x03 {
        1 => true,
        2 => !delivered,
        3 => delivered,
        _ => false,
    }
}

/// Whether it asks for an intermediate notification.
pub fn is_intermediate_wanted(registered_delivery: u8) -> bool {
    registered_delivery & 0x10 != 0
}

/// A report of `message` for its ESME.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The message.
    pub message: &'a Message,
    /// Its state.
    pub state: MessageState,
    /// `command_status` or the like that decided; its last three digits are `err:`.
    pub status: u32,
    /// When the state was reached.
    pub at_unix_ms: i64,
}

impl<'a> Report<'a> {
    /// The report of a final message.
    pub fn of_done(message: &'a Message, done: &Done) -> Self {
        Self {
            message,
            state: done.state,
            status: done.status,
            at_unix_ms: done.at_unix_ms,
        }
    }

    /// The receipt as a message of its own with the name `id`.
    pub fn into_receipt(self, id: MessageId, validity_ms: i64) -> Arc<Message> {
        let message = self.message;
        let public_id = message.public_id();
        // One buffer: the id with its NUL (receipted_message_id is a C-Octet String), message_state, the text.
        let mut octets = Vec::with_capacity(200);
        write::decimal(&mut octets, public_id.number());
        let mut id_digits = [0; 20];
        let id_end = octets.len();
        let id_text = id_digits.get_mut(..id_end).unwrap_or_default();
        id_text.copy_from_slice(&octets);
        octets.extend_from_slice(&[0, self.state.number()]);
        let text_start = octets.len();
        let delivered = matches!(self.state, MessageState::Delivered | MessageState::Accepted);
        Receipt {
            id: id_text,
            submitted: 1,
            delivered: u16::from(delivered),
            submit_unix_ms: message.accepted_unix_ms,
            done_unix_ms: self.at_unix_ms,
            state: self.state,
            error: self.status,
            text: if is_plain_text(message) {
                &message.payload
            } else {
                &[]
            },
        }
        .write(&mut octets);
        let octets = Bytes::from(octets);
        let intermediate = !self.state.is_final();
        let tlvs = vec![
            Tlv {
                tag: tag::RECEIPTED_MESSAGE_ID,
                value: octets.slice(..=id_end),
            },
            Tlv {
                tag: tag::MESSAGE_STATE,
                value: octets.slice(id_end + 1..text_start),
            },
        ];
        Arc::new(Message {
            id,
            batch: None,
            submitter: message.submitter.clone(),
            kind: Kind::Receipt { of: message.id },
            service_type: message.service_type.clone(),
            // SMPP 3.4 section 5.2.12 and appendix B: from the destination of the message to its source.
            source: message.destination.clone(),
            destination: message.source.clone(),
            esm_class: if intermediate {
                ESM_CLASS_INTERMEDIATE
            } else {
                ESM_CLASS_RECEIPT
            },
            protocol_id: 0,
            priority_flag: 0,
            registered_delivery: 0,
            data_coding: 0,
            sm_default_msg_id: 0,
            payload: octets.slice(text_start..),
            payload_as_tlv: false,
            data_sm: message.data_sm,
            tlvs,
            advice: None,
            accepted_unix_ms: self.at_unix_ms,
            schedule_unix_ms: None,
            expires_unix_ms: self.at_unix_ms.saturating_add(validity_ms),
            segments: 1,
            charge: None,
        })
    }
}

/// Whether the payload's first octets may stand in a receipt: text in a one-octet alphabet without a header.
fn is_plain_text(message: &Message) -> bool {
    message.esm_class & 0x40 == 0 && matches!(message.data_coding, 0 | 1 | 3)
}

/// What an upstream's receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'a> {
    /// The upstream's id of the message.
    pub id: Cow<'a, str>,
    /// The state that it reports.
    pub state: MessageState,
    /// `err:` of the text.
    pub error: u32,
}

/// Reads a receipt: its optional parameters first, and what they do not say from the text.
pub fn read<'a>(submission: &Submission<'a>) -> Option<Received<'a>> {
    let text = submission
        .tlvs
        .value(tag::MESSAGE_PAYLOAD)
        .unwrap_or(submission.short_message);
    let text = receipt::parse(text);
    let id = submission
        .tlvs
        .find(tag::RECEIPTED_MESSAGE_ID)
        .and_then(|tlv| tlv.text().ok())
        .map(|id| id.as_bytes())
        .filter(|id| !id.is_empty())
        .or(text.id)?;
    let state = match submission.tlvs.value(tag::MESSAGE_STATE) {
        Some([number]) => MessageState::from_number(*number),
        _ => text.state,
    };
    let error = text
        .error
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    Some(Received {
        id: decode_latin1(id),
        state: state?,
        error,
    })
}
