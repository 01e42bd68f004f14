//! The header of every message (RFC 2608 8).

use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, DecodeErrorKind, Unencodable};
use crate::field;

/// Octets of a header without its language tag.
pub const HEADER_LENGTH: usize = 14;
/// The version this module speaks.
pub const VERSION: u8 = 2;
/// The longest message that the 24-bit length can say.
pub const MAX_LENGTH: usize = 0x00FF_FFFF;

const OVERFLOW: u16 = 0x8000;
const FRESH: u16 = 0x4000;
const REQUEST_MCAST: u16 = 0x2000;

/// What a message is (RFC 2608 8): the function id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Function {
    /// Service request.
    SrvRqst = 1,
    /// Service reply.
    SrvRply = 2,
    /// Service registration.
    SrvReg = 3,
    /// Service deregistration.
    SrvDeReg = 4,
    /// Service acknowledgement.
    SrvAck = 5,
    /// Attribute request.
    AttrRqst = 6,
    /// Attribute reply.
    AttrRply = 7,
    /// Directory agent advertisement.
    DaAdvert = 8,
    /// Service type request.
    SrvTypeRqst = 9,
    /// Service type reply.
    SrvTypeRply = 10,
    /// Service agent advertisement.
    SaAdvert = 11,
}

impl Function {
    /// The function with this id.
    pub fn from_id(id: u8) -> Option<Self> {
        Some(match id {
            1 => Self::SrvRqst,
            2 => Self::SrvRply,
            3 => Self::SrvReg,
            4 => Self::SrvDeReg,
            5 => Self::SrvAck,
            6 => Self::AttrRqst,
            7 => Self::AttrRply,
            8 => Self::DaAdvert,
            9 => Self::SrvTypeRqst,
            10 => Self::SrvTypeRply,
            11 => Self::SaAdvert,
            _ => return None,
        })
    }

    /// The RFC's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SrvRqst => "SrvRqst",
            Self::SrvRply => "SrvRply",
            Self::SrvReg => "SrvReg",
            Self::SrvDeReg => "SrvDeReg",
            Self::SrvAck => "SrvAck",
            Self::AttrRqst => "AttrRqst",
            Self::AttrRply => "AttrRply",
            Self::DaAdvert => "DAAdvert",
            Self::SrvTypeRqst => "SrvTypeRqst",
            Self::SrvTypeRply => "SrvTypeRply",
            Self::SaAdvert => "SAAdvert",
        }
    }

    /// The function of the answer; nothing for what is itself an answer or an advert.
    pub fn answer(self) -> Option<Self> {
        Some(match self {
            Self::SrvRqst => Self::SrvRply,
            Self::SrvReg | Self::SrvDeReg => Self::SrvAck,
            Self::AttrRqst => Self::AttrRply,
            Self::SrvTypeRqst => Self::SrvTypeRply,
            _ => return None,
        })
    }
}

/// The flags of RFC 2608 8. Reserved bits are sent as zero and ignored when they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// OVERFLOW: the message holds not all there is.
    pub overflow: bool,
    /// FRESH: a new registration, not an update.
    pub fresh: bool,
    /// REQUEST MCAST: sent by multicast or broadcast.
    pub multicast: bool,
}

impl Flags {
    fn from_bits(bits: u16) -> Self {
        Self {
            overflow: bits & OVERFLOW != 0,
            fresh: bits & FRESH != 0,
            multicast: bits & REQUEST_MCAST != 0,
        }
    }

    fn bits(self) -> u16 {
        let mut bits = 0;
        if self.overflow {
            bits |= OVERFLOW;
        }
        if self.fresh {
            bits |= FRESH;
        }
        if self.multicast {
            bits |= REQUEST_MCAST;
        }
        bits
    }
}

/// What stands before a body, without the version, the length and the function, which the codec keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header<'a> {
    /// The flags.
    pub flags: Flags,
    /// Names the request; its answer repeats it. Zero only in unsolicited DAAdverts.
    pub xid: u16,
    /// RFC 1766 language tag, as it was spelled.
    pub language: &'a str,
}

/// A header with what only the wire has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireHeader<'a> {
    /// What is meant.
    pub header: Header<'a>,
    /// The function id, known or not.
    pub function: u8,
    /// Octets of the whole message.
    pub length: usize,
    /// Where the first extension begins, zero for none.
    pub extension_offset: usize,
}

impl<'a> WireHeader<'a> {
    /// Reads a header; what follows it is left in `reader`.
    ///
    /// Of use also where the body cannot be read: an answer needs function, XID and language.
    ///
    /// # Errors
    /// Another version, a truncated header, a language tag that is none.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = field::u8(reader, "Version")?;
        if version != VERSION {
            return Err(DecodeError {
                kind: DecodeErrorKind::Version(version),
                field: "Version",
                offset: 0,
            });
        }
        let function = field::u8(reader, "Function-ID")?;
        let length = field::u24(reader, "Length")?;
        let flags = field::u16(reader, "Flags")?;
        let extension_offset = field::u24(reader, "Next Ext Offset")?;
        let xid = field::u16(reader, "XID")?;
        let offset = reader.position();
        let language = field::string(reader, "Language Tag")?;
        if !language.is_empty() && !is_language_tag(language) {
            return Err(DecodeError {
                kind: DecodeErrorKind::LanguageTag,
                field: "Language Tag",
                offset,
            });
        }
        Ok(Self {
            header: Header {
                flags: Flags::from_bits(flags),
                xid,
                language,
            },
            function,
            length: length as usize,
            extension_offset: extension_offset as usize,
        })
    }
}

/// Writes a header whose length is patched by [`finish`].
pub(crate) fn begin(
    writer: &mut Writer,
    header: &Header<'_>,
    function: Function,
) -> Result<(), Unencodable> {
    writer.u8(VERSION);
    writer.u8(function as u8);
    writer.u24(0);
    writer.u16(header.flags.bits());
    writer.u24(0);
    writer.u16(header.xid);
    field::write_string(writer, "Language Tag", header.language)
}

/// Patches the length of the message that began at `start`.
pub(crate) fn finish(writer: &mut Writer, start: usize) -> Result<(), Unencodable> {
    let length = writer.len().saturating_sub(start);
    match u32::try_from(length) {
        Ok(short) if length <= MAX_LENGTH => {
            writer.patch_u24(start + 2, short);
            Ok(())
        }
        _ => Err(Unencodable {
            field: "Length",
            length,
        }),
    }
}

/// Sets the OVERFLOW flag of the message that began at `start`.
pub(crate) fn set_overflow(writer: &mut Writer, start: usize, flags: Flags) {
    let flags = Flags {
        overflow: true,
        ..flags
    };
    writer.patch_u16(start + 5, flags.bits());
}

/// `1*8ALPHA *("-" 1*8ALPHA)` (RFC 2608 8).
pub fn is_language_tag(tag: &str) -> bool {
    tag.split('-')
        .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// Octets of the message that begins `octets`, from its length field, for framing on a stream.
///
/// Nothing while fewer than five octets are there; the version is not looked at.
pub fn announced_length(octets: &[u8]) -> Option<usize> {
    match octets {
        [_, _, high, middle, low, ..] => {
            Some(u32::from_be_bytes([0, *high, *middle, *low]) as usize)
        }
        _ => None,
    }
}
