//! Entries as octets: integers in network byte order, text and octets behind their length.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tollwire_wire::{Reader, ShortBuffer};

use crate::entry::{Carried, Cause, Done, Entry, Settlement};
use crate::message::{
    Address, Batch, Charge, Kind, Message, MessageId, MessageState, Payer, Progress, Tlv,
};

/// Octets that are no entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Undecodable {
    /// They end too early.
    #[error(transparent)]
    Short(#[from] ShortBuffer),
    /// A value that is not written here.
    #[error("{what} at octet {offset}")]
    Value {
        /// Which.
        what: &'static str,
        /// Where.
        offset: usize,
    },
}

/// What a line of the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An entry of the core.
    Entry(Entry),
    /// A message that is carried forward, so that an old segment can go.
    Carried(Carried),
    /// The segment ends here; another follows.
    End,
}

mod kind {
    pub const ACCEPTED: u8 = 1;
    pub const ACCEPTED_TOGETHER: u8 = 2;
    pub const PROGRESS: u8 = 3;
    pub const REPLACED: u8 = 4;
    pub const DONE: u8 = 5;
    pub const SETTLED: u8 = 6;
    pub const RECORDS_WRITTEN: u8 = 7;
    pub const UNFINISHED: u8 = 8;
    pub const OWED: u8 = 9;
    pub const END: u8 = 10;
}

/// Appends an entry.
pub fn write_entry(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Accepted(message) => {
            out.push(kind::ACCEPTED);
            write_message(message, out);
        }
        Entry::AcceptedTogether(messages) => {
            out.push(kind::ACCEPTED_TOGETHER);
            write_count(messages.len(), out);
            for message in messages {
                write_message(message, out);
            }
        }
        Entry::Progress { id, progress } => {
            out.push(kind::PROGRESS);
            write_id(*id, out);
            write_progress(progress, out);
        }
        Entry::Replaced(message) => {
            out.push(kind::REPLACED);
            write_message(message, out);
        }
        Entry::Done(done) => {
            out.push(kind::DONE);
            write_done(done, out);
        }
        Entry::Settled { id } => {
            out.push(kind::SETTLED);
            write_id(*id, out);
        }
        Entry::RecordsWritten { ids } => {
            out.push(kind::RECORDS_WRITTEN);
            write_count(ids.len(), out);
            for id in ids {
                write_id(*id, out);
            }
        }
    }
}

/// Appends a message that is carried forward.
pub fn write_carried(carried: &Carried, out: &mut Vec<u8>) {
    match carried {
        Carried::Unfinished(message, progress) => {
            out.push(kind::UNFINISHED);
            write_message(message, out);
            write_progress(progress, out);
        }
        Carried::Owed(owed) => {
            out.push(kind::OWED);
            write_message(&owed.message, out);
            write_done(&owed.done, out);
            out.push(u8::from(owed.record_written));
            out.push(u8::from(owed.settled));
        }
    }
}

/// Appends the end of a segment.
pub fn write_end(out: &mut Vec<u8>) {
    out.push(kind::END);
}

/// Reads what one of the above wrote, and nothing more.
pub fn read(octets: &[u8]) -> Result<Line, Undecodable> {
    let mut reader = Reader::new(octets);
    let line = line(&mut reader)?;
    if reader.is_empty() {
        Ok(line)
    } else {
        Err(value(&reader, "more than one entry"))
    }
}

fn line(reader: &mut Reader<'_>) -> Result<Line, Undecodable> {
    let entry = match reader.u8()? {
        kind::ACCEPTED => Entry::Accepted(read_message(reader)?),
        kind::ACCEPTED_TOGETHER => Entry::AcceptedTogether(read_many(reader, read_message)?),
        kind::PROGRESS => Entry::Progress {
            id: read_id(reader)?,
            progress: read_progress(reader)?,
        },
        kind::REPLACED => Entry::Replaced(read_message(reader)?),
        kind::DONE => Entry::Done(read_done(reader)?),
        kind::SETTLED => Entry::Settled {
            id: read_id(reader)?,
        },
        kind::RECORDS_WRITTEN => Entry::RecordsWritten {
            ids: read_many(reader, read_id)?,
        },
        kind::UNFINISHED => {
            let message = read_message(reader)?;
            return Ok(Line::Carried(Carried::Unfinished(
                message,
                read_progress(reader)?,
            )));
        }
        kind::OWED => {
            return Ok(Line::Carried(Carried::Owed(crate::entry::Owed {
                message: read_message(reader)?,
                done: read_done(reader)?,
                record_written: read_flag(reader)?,
                settled: read_flag(reader)?,
            })));
        }
        kind::END => return Ok(Line::End),
        _ => return Err(value(reader, "an unknown kind of entry")),
    };
    Ok(Line::Entry(entry))
}

fn value(reader: &Reader<'_>, what: &'static str) -> Undecodable {
    Undecodable::Value {
        what,
        offset: reader.position(),
    }
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    // Entries are bounded far below: 254 destinations, one group of records.
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

fn read_many<T>(
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Undecodable>,
) -> Result<Box<[T]>, Undecodable> {
    let count = reader.u32()?;
    // Nothing is reserved for a count that is not backed by octets.
    (0..count).map(|_| read(reader)).collect()
}

fn write_octets(octets: &[u8], out: &mut Vec<u8>) {
    write_count(octets.len(), out);
    out.extend_from_slice(octets);
}

fn read_octets<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Undecodable> {
    let length = reader.u32()?;
    let length = usize::try_from(length).map_err(|_| value(reader, "a length"))?;
    Ok(reader.take(length)?)
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_octets(text.as_bytes(), out);
}

fn read_text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Undecodable> {
    let octets = read_octets(reader)?;
    std::str::from_utf8(octets).map_err(|_| value(reader, "text that is not UTF-8"))
}

fn write_id(id: MessageId, out: &mut Vec<u8>) {
    out.extend_from_slice(&id.number().to_be_bytes());
}

fn read_id(reader: &mut Reader<'_>) -> Result<MessageId, Undecodable> {
    let number = reader.u64()?;
    NonZeroU64::new(number)
        .map(MessageId)
        .ok_or_else(|| value(reader, "message id 0"))
}

fn write_number(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn read_number(reader: &mut Reader<'_>) -> Result<i64, Undecodable> {
    Ok(reader.u64()?.cast_signed())
}

fn write_optional<T>(value: Option<T>, out: &mut Vec<u8>, write: impl FnOnce(T, &mut Vec<u8>)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(value, out);
    }
}

fn read_optional<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Undecodable>,
) -> Result<Option<T>, Undecodable> {
    read_flag(reader)?.then(|| read(reader)).transpose()
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, Undecodable> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(value(reader, "a flag that is neither 0 nor 1")),
    }
}

fn write_address(address: &Address, out: &mut Vec<u8>) {
    out.push(address.ton);
    out.push(address.npi);
    write_text(&address.digits, out);
}

fn read_address(reader: &mut Reader<'_>) -> Result<Address, Undecodable> {
    Ok(Address {
        ton: reader.u8()?,
        npi: reader.u8()?,
        digits: read_text(reader)?.into(),
    })
}

fn write_tlv(tlv: &Tlv, out: &mut Vec<u8>) {
    out.extend_from_slice(&tlv.tag.to_be_bytes());
    write_octets(&tlv.value, out);
}

fn read_tlv(reader: &mut Reader<'_>) -> Result<Tlv, Undecodable> {
    Ok(Tlv {
        tag: reader.u16()?,
        value: Bytes::copy_from_slice(read_octets(reader)?),
    })
}

fn write_message(message: &Message, out: &mut Vec<u8>) {
    write_id(message.id, out);
    write_optional(message.batch, out, |batch, out| {
        write_id(batch.first, out);
        out.push(batch.count);
    });
    write_text(&message.submitter, out);
    let receipt_of = match message.kind {
        Kind::Short => None,
        Kind::Receipt { of } => Some(of),
    };
    write_optional(receipt_of, out, write_id);
    write_text(&message.service_type, out);
    write_address(&message.source, out);
    write_address(&message.destination, out);
    out.extend_from_slice(&[
        message.esm_class,
        message.protocol_id,
        message.priority_flag,
        message.registered_delivery,
        message.data_coding,
        message.sm_default_msg_id,
        u8::from(message.payload_as_tlv),
        u8::from(message.data_sm),
        message.segments,
    ]);
    write_octets(&message.payload, out);
    write_count(message.tlvs.len(), out);
    for tlv in &message.tlvs {
        write_tlv(tlv, out);
    }
    write_optional(message.advice.as_ref(), out, write_tlv);
    write_number(message.accepted_unix_ms, out);
    write_optional(message.schedule_unix_ms, out, write_number);
    write_number(message.expires_unix_ms, out);
    write_optional(message.charge.as_ref(), out, write_charge);
}

fn read_message(reader: &mut Reader<'_>) -> Result<Arc<Message>, Undecodable> {
    Ok(Arc::new(Message {
        id: read_id(reader)?,
        batch: read_optional(reader, |reader| {
            Ok(Batch {
                first: read_id(reader)?,
                count: reader.u8()?,
            })
        })?,
        submitter: read_text(reader)?.into(),
        kind: read_optional(reader, read_id)?.map_or(Kind::Short, |of| Kind::Receipt { of }),
        service_type: read_text(reader)?.into(),
        source: read_address(reader)?,
        destination: read_address(reader)?,
        esm_class: reader.u8()?,
        protocol_id: reader.u8()?,
        priority_flag: reader.u8()?,
        registered_delivery: reader.u8()?,
        data_coding: reader.u8()?,
        sm_default_msg_id: reader.u8()?,
        payload_as_tlv: read_flag(reader)?,
        data_sm: read_flag(reader)?,
        segments: reader.u8()?,
        payload: Bytes::copy_from_slice(read_octets(reader)?),
        tlvs: read_many(reader, read_tlv)?.into_vec(),
        advice: read_optional(reader, read_tlv)?,
        accepted_unix_ms: read_number(reader)?,
        schedule_unix_ms: read_optional(reader, read_number)?,
        expires_unix_ms: read_number(reader)?,
        charge: read_optional(reader, read_charge)?,
    }))
}

fn write_charge(charge: &Charge, out: &mut Vec<u8>) {
    write_number(charge.amount_micro, out);
    out.extend_from_slice(&charge.currency);
    write_optional(charge.class, out, |class, out| {
        out.extend_from_slice(&class.to_be_bytes());
    });
    match &charge.payer {
        Payer::Receiver => out.push(0),
        Payer::Sender => out.push(1),
        Payer::ThirdParty(account) => {
            out.push(2);
            write_text(account, out);
        }
    }
}

fn read_charge(reader: &mut Reader<'_>) -> Result<Charge, Undecodable> {
    Ok(Charge {
        amount_micro: read_number(reader)?,
        currency: [reader.u8()?, reader.u8()?, reader.u8()?],
        class: read_optional(reader, |reader| Ok(reader.u16()?))?,
        payer: match reader.u8()? {
            0 => Payer::Receiver,
            1 => Payer::Sender,
            2 => Payer::ThirdParty(read_text(reader)?.into()),
            _ => return Err(value(reader, "an unknown payer")),
        },
    })
}

fn write_progress(progress: &Progress, out: &mut Vec<u8>) {
    out.extend_from_slice(&progress.attempts.to_be_bytes());
    write_number(progress.next_attempt_unix_ms, out);
    out.extend_from_slice(&progress.last_status.to_be_bytes());
    out.extend_from_slice(&progress.reservation.to_be_bytes());
    write_optional(progress.next_hop.as_deref(), out, write_text);
    write_optional(progress.upstream_message_id.as_deref(), out, write_text);
}

fn read_progress(reader: &mut Reader<'_>) -> Result<Progress, Undecodable> {
    Ok(Progress {
        attempts: reader.u32()?,
        next_attempt_unix_ms: read_number(reader)?,
        last_status: reader.u32()?,
        reservation: reader.u32()?,
        next_hop: read_optional(reader, read_text)?.map(Arc::from),
        upstream_message_id: read_optional(reader, read_text)?.map(Box::from),
    })
}

fn write_done(done: &Done, out: &mut Vec<u8>) {
    write_id(done.id, out);
    out.push(done.state.number());
    out.push(done.cause.number());
    out.extend_from_slice(&done.status.to_be_bytes());
    write_number(done.at_unix_ms, out);
    out.extend_from_slice(&done.attempts.to_be_bytes());
    write_optional(done.next_hop.as_deref(), out, write_text);
    write_optional(done.upstream_message_id.as_deref(), out, write_text);
    out.push(u8::from(done.record));
    write_optional(done.settlement, out, |settlement, out| {
        out.extend_from_slice(&settlement.reservation.to_be_bytes());
        out.push(u8::from(settlement.debit));
    });
    write_optional(done.receipt.as_deref(), out, write_message);
}

fn read_done(reader: &mut Reader<'_>) -> Result<Done, Undecodable> {
    Ok(Done {
        id: read_id(reader)?,
        state: MessageState::from_number(reader.u8()?)
            .ok_or_else(|| value(reader, "an unknown message_state"))?,
        cause: Cause::from_number(reader.u8()?).ok_or_else(|| value(reader, "an unknown cause"))?,
        status: reader.u32()?,
        at_unix_ms: read_number(reader)?,
        attempts: reader.u32()?,
        next_hop: read_optional(reader, read_text)?.map(Arc::from),
        upstream_message_id: read_optional(reader, read_text)?.map(Box::from),
        record: read_flag(reader)?,
        settlement: read_optional(reader, |reader| {
            Ok(Settlement {
                reservation: reader.u32()?,
                debit: read_flag(reader)?,
            })
        })?,
        receipt: read_optional(reader, read_message)?,
    })
}
