//! Writing: PDUs at the end of a link's buffer.

use super::command;
use crate::message::{Address, Message, Tlv};

/// A PDU that is being written; its length is filled in by [`finish`].
#[must_use]
#[derive(Debug, Clone, Copy)]
pub struct Started(usize);

/// Writes a header.
pub fn start(out: &mut Vec<u8>, command_id: u32, status: u32, sequence_number: u32) -> Started {
    let started = Started(out.len());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&command_id.to_be_bytes());
    out.extend_from_slice(&status.to_be_bytes());
    out.extend_from_slice(&sequence_number.to_be_bytes());
    started
}

/// Fills in `command_length`.
pub fn finish(out: &mut [u8], Started(start): Started) {
    let length = u32::try_from(out.len().saturating_sub(start)).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start.saturating_add(4)) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// A PDU without a body: an answer with an error, `enquire_link`, `unbind`.
pub fn header(out: &mut Vec<u8>, command_id: u32, status: u32, sequence_number: u32) {
    let started = start(out, command_id, status, sequence_number);
    finish(out, started);
}

/// `text` and its NUL. Letters beyond ASCII came in as ISO 8859-1 and go out so.
pub fn text(out: &mut Vec<u8>, text: &str) {
    if let Some(octets) = tollwire_smpp::text::encode_latin1(text) {
        out.extend_from_slice(&octets);
    }
    out.push(0);
}

/// Type of number, numbering plan, digits.
pub fn address(out: &mut Vec<u8>, address: &Address) {
    out.extend_from_slice(&[address.ton, address.npi]);
    text(out, &address.digits);
}

/// An optional parameter.
pub fn tlv(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    // A value came in under a 16-bit length, or was made here and is short.
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value);
}

/// `number` in decimal.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - length..).unwrap_or_default());
}

/// How a message goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// `deliver_sm`, `submit_sm` or `data_sm`.
    pub command_id: u32,
    /// `sequence_number`
    pub sequence_number: u32,
    /// `esm_class`
    pub esm_class: u8,
    /// `registered_delivery`
    pub registered_delivery: u8,
    /// `validity_period`
    pub validity_period: &'a [u8],
    /// The tariff TLV.
    pub advice: Option<&'a Tlv>,
    /// Whether optional parameters may be sent; not to an ESME of version 3.3 (SMPP 3.4 section 3.4).
    pub optional: bool,
}

/// Writes `message`.
pub fn message(out: &mut Vec<u8>, message: &Message, outgoing: Outgoing<'_>) {
    let data_sm = outgoing.command_id == command::DATA_SM;
    let as_tlv =
        data_sm || (message.payload_as_tlv && outgoing.optional) || message.payload.len() > 255;
    let started = start(out, outgoing.command_id, 0, outgoing.sequence_number);
    text(out, &message.service_type);
    address(out, &message.source);
    address(out, &message.destination);
    out.push(outgoing.esm_class);
    if data_sm {
        out.extend_from_slice(&[outgoing.registered_delivery, message.data_coding]);
    } else {
        // SMPP 3.4 section 4.6.1: schedule_delivery_time, replace_if_present_flag and sm_default_msg_id are NULL in a
        // deliver_sm; towards an upstream they have had their effect here.
        out.extend_from_slice(&[message.protocol_id, message.priority_flag, 0]);
        out.extend_from_slice(outgoing.validity_period);
        out.push(0);
        out.extend_from_slice(&[outgoing.registered_delivery, 0, message.data_coding, 0]);
        if as_tlv {
            out.push(0);
        } else {
            out.push(u8::try_from(message.payload.len()).unwrap_or_default());
            out.extend_from_slice(&message.payload);
        }
    }
    if outgoing.optional {
        if as_tlv {
            tlv(out, super::tag::MESSAGE_PAYLOAD, &message.payload);
        }
        for parameter in &message.tlvs {
            tlv(out, parameter.tag, &parameter.value);
        }
        if let Some(advice) = outgoing.advice {
            tlv(out, advice.tag, &advice.value);
        }
    }
    finish(out, started);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for number in [0, 7, 10, 99, 1234567890, u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
