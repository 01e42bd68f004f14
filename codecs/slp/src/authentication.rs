//! Authentication blocks (RFC 2608 9.2).

use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, DecodeErrorKind, Unencodable};
use crate::field;

/// Block Structure Descriptor of DSA with SHA-1, the one that the RFC defines.
pub const DSA_WITH_SHA1: u16 = 0x0002;
/// Octets of a block before its SPI's characters.
const FIXED_LENGTH: usize = 10;

/// One signature, and who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticationBlock<'a> {
    /// Block Structure Descriptor: the algorithm. 0x8000 to 0x8FFF are for private use (RFC 2608 15).
    pub block_structure_descriptor: u16,
    /// When it ends to hold, in seconds since 1970.
    pub timestamp: u32,
    /// The SLP Security Parameters Index: which key.
    pub spi: &'a str,
    /// The Structured Authentication Block: the signature.
    pub body: &'a [u8],
}

/// Reads a count and so many blocks.
pub(crate) fn read_blocks<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
) -> Result<Vec<AuthenticationBlock<'a>>, DecodeError> {
    let count = field::u8(reader, field)?;
    // Grows as blocks are there, not by the count.
    let mut blocks = Vec::new();
    for _ in 0..count {
        blocks.push(read_block(reader)?);
    }
    Ok(blocks)
}

fn read_block<'a>(reader: &mut Reader<'a>) -> Result<AuthenticationBlock<'a>, DecodeError> {
    const FIELD: &str = "Authentication Block";
    let offset = reader.position();
    let block_structure_descriptor = field::u16(reader, FIELD)?;
    let length = usize::from(field::u16(reader, "Authentication Block Length")?);
    // The length counts from the descriptor on: four octets of it are read.
    let Some(rest) = length.checked_sub(4).filter(|_| length >= FIXED_LENGTH) else {
        return Err(DecodeError {
            kind: DecodeErrorKind::Impossible(length),
            field: "Authentication Block Length",
            offset: offset + 2,
        });
    };
    let mut block = reader
        .sub(rest)
        .map_err(|short| DecodeError::short(FIELD, short))?;
    Ok(AuthenticationBlock {
        block_structure_descriptor,
        timestamp: field::u32(&mut block, "Timestamp")?,
        spi: field::string(&mut block, "SLP SPI String")?,
        body: block.rest(),
    })
}

/// Writes a count and the blocks.
pub(crate) fn write_blocks(
    writer: &mut Writer,
    field: &'static str,
    blocks: &[AuthenticationBlock<'_>],
) -> Result<(), Unencodable> {
    let count = u8::try_from(blocks.len()).map_err(|_| Unencodable {
        field,
        length: blocks.len(),
    })?;
    writer.u8(count);
    for block in blocks {
        let length = block.encoded_length();
        let length = u16::try_from(length).map_err(|_| Unencodable {
            field: "Authentication Block",
            length,
        })?;
        writer.u16(block.block_structure_descriptor);
        writer.u16(length);
        writer.u32(block.timestamp);
        field::write_string(writer, "SLP SPI String", block.spi)?;
        writer.bytes(block.body);
    }
    Ok(())
}

impl AuthenticationBlock<'_> {
    /// Octets on the wire.
    pub fn encoded_length(&self) -> usize {
        FIXED_LENGTH + self.spi.len() + self.body.len()
    }
}
