//! Delivery receipts: made for ESMEs, read from upstreams.
//!
//! The text is the one of SMPP 3.4 appendix B; beside it go the optional parameters of section 5.3.2.12 and 5.3.2.35.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use tollwire_smpp::text::decode_latin1;

use crate::entry::Done;
use crate::message::{Kind, Message, MessageId, MessageState, Tlv};
use crate::wire::{read::Submission, tag, time, write};

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

/// The seven letters of a state (SMPP 3.4 appendix B, table B-2).
pub fn state_text(state: MessageState) -> &'static str {
    match state {
        MessageState::Scheduled => "SCHEDLD",
        MessageState::Enroute => "ENROUTE",
        MessageState::Delivered => "DELIVRD",
        MessageState::Expired => "EXPIRED",
        MessageState::Deleted => "DELETED",
        MessageState::Undeliverable => "UNDELIV",
        MessageState::Accepted => "ACCEPTD",
        MessageState::Unknown => "UNKNOWN",
        MessageState::Rejected => "REJECTD",
    }
}

/// The state that these letters name.
pub fn state_of(text: &[u8]) -> Option<MessageState> {
    (0..=8)
        .filter_map(MessageState::from_number)
        .find(|state| text.eq_ignore_ascii_case(state_text(*state).as_bytes()))
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
        // One buffer for the text and the values of the parameters.
        let mut octets = Vec::with_capacity(200);
        octets.extend_from_slice(b"id:");
        write::decimal(&mut octets, public_id.number());
        let id_end = octets.len();
        let delivered = matches!(self.state, MessageState::Delivered | MessageState::Accepted);
        octets.extend_from_slice(if delivered {
            b" sub:001 dlvrd:001 submit date:"
        } else {
            b" sub:001 dlvrd:000 submit date:"
        });
        time::minute(&mut octets, message.accepted_unix_ms);
        octets.extend_from_slice(b" done date:");
        time::minute(&mut octets, self.at_unix_ms);
        octets.extend_from_slice(b" stat:");
        octets.extend_from_slice(state_text(self.state).as_bytes());
        octets.extend_from_slice(b" err:");
        let error = u8::try_from(self.status % 1000 / 10).unwrap_or_default();
        octets.extend_from_slice(&[b'0' + error / 10]);
        time::two(
            &mut octets,
            u8::try_from(self.status % 100).unwrap_or_default(),
        );
        octets.extend_from_slice(b" text:");
        if is_plain_text(message) {
            octets.extend_from_slice(message.payload.get(..20).unwrap_or(&message.payload));
        }
        let text_end = octets.len();
        octets.push(0);
        octets.push(self.state.number());
        let octets = Bytes::from(octets);
        // receipted_message_id is a C-Octet String: the digits again, with their NUL.
        let mut receipted = Vec::with_capacity(24);
        receipted.extend_from_slice(octets.get(3..id_end).unwrap_or_default());
        receipted.push(0);
        let intermediate = !self.state.is_final();
        let tlvs = vec![
            Tlv {
                tag: tag::RECEIPTED_MESSAGE_ID,
                value: receipted.into(),
            },
            Tlv {
                tag: tag::MESSAGE_STATE,
                value: octets.slice(text_end + 1..),
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
            payload: octets.slice(..text_end),
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
    let id = submission
        .tlvs
        .value(tag::RECEIPTED_MESSAGE_ID)
        .map(|value| value.strip_suffix(&[0]).unwrap_or(value))
        .filter(|value| !value.is_empty())
        .or_else(|| field(text, b"id:"))?;
    let state = match submission.tlvs.value(tag::MESSAGE_STATE) {
        Some([number]) => MessageState::from_number(*number),
        _ => field(text, b"stat:").and_then(state_of),
    };
    let error = field(text, b"err:")
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    Some(Received {
        id: decode_latin1(id),
        state: state?,
        error,
    })
}

/// The word after `name`, which stands at the beginning or after a space, in any case.
fn field<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = (0..text.len().saturating_sub(name.len()).saturating_add(1)).find(|start| {
        (*start == 0 || text.get(start - 1) == Some(&b' '))
            && text
                .get(*start..start.saturating_add(name.len()))
                .is_some_and(|found| found.eq_ignore_ascii_case(name))
    })?;
    let rest = text.get(start.saturating_add(name.len())..)?;
    let word = rest.split(|octet| *octet == b' ').next()?;
    (!word.is_empty()).then_some(word)
}
