//! Fields that all messages are made of.

use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, DecodeErrorKind, Unencodable};

pub(crate) fn u8(reader: &mut Reader<'_>, field: &'static str) -> Result<u8, DecodeError> {
    reader
        .u8()
        .map_err(|short| DecodeError::short(field, short))
}

pub(crate) fn u16(reader: &mut Reader<'_>, field: &'static str) -> Result<u16, DecodeError> {
    reader
        .u16()
        .map_err(|short| DecodeError::short(field, short))
}

pub(crate) fn u24(reader: &mut Reader<'_>, field: &'static str) -> Result<u32, DecodeError> {
    reader
        .u24()
        .map_err(|short| DecodeError::short(field, short))
}

pub(crate) fn u32(reader: &mut Reader<'_>, field: &'static str) -> Result<u32, DecodeError> {
    reader
        .u32()
        .map_err(|short| DecodeError::short(field, short))
}

/// A string behind its 16-bit length (RFC 2608 4.1).
pub(crate) fn string<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
) -> Result<&'a str, DecodeError> {
    let length = u16(reader, field)?;
    string_of(reader, field, length)
}

/// A string of `length` octets.
pub(crate) fn string_of<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    length: u16,
) -> Result<&'a str, DecodeError> {
    let offset = reader.position();
    let octets = reader
        .take(usize::from(length))
        .map_err(|short| DecodeError::short(field, short))?;
    std::str::from_utf8(octets).map_err(|error| DecodeError {
        kind: DecodeErrorKind::Utf8,
        field,
        offset: offset + error.valid_up_to(),
    })
}

/// Writes a string behind its length.
pub(crate) fn write_string(
    writer: &mut Writer,
    field: &'static str,
    text: &str,
) -> Result<(), Unencodable> {
    let length = u16::try_from(text.len()).map_err(|_| Unencodable {
        field,
        length: text.len(),
    })?;
    writer.u16(length);
    writer.bytes(text.as_bytes());
    Ok(())
}
