//! The eleven messages (RFC 2608 8 and 10), a file each.

mod attr_rply;
mod attr_rqst;
mod da_advert;
mod sa_advert;
mod srv_ack;
mod srv_dereg;
mod srv_reg;
mod srv_rply;
mod srv_rqst;
mod srv_type_rply;
mod srv_type_rqst;

use tollwire_wire::{Reader, Writer};

pub use self::attr_rply::AttrRply;
pub use self::attr_rqst::AttrRqst;
pub use self::da_advert::DaAdvert;
pub use self::sa_advert::SaAdvert;
pub use self::srv_ack::SrvAck;
pub use self::srv_dereg::SrvDeReg;
pub use self::srv_reg::SrvReg;
pub use self::srv_rply::{SrvRply, SrvRplyWriter};
pub use self::srv_rqst::SrvRqst;
pub use self::srv_type_rply::SrvTypeRply;
pub use self::srv_type_rqst::{NamingAuthority, SrvTypeRqst};
use crate::error::{DecodeError, DecodeErrorKind, Unencodable};
use crate::extension::{self, Extension};
use crate::header::{self, Function, Header, WireHeader};

/// A whole message. It borrows from the octets it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// Flags, XID and language.
    pub header: Header<'a>,
    /// What it says.
    pub body: Body<'a>,
    /// What is behind the body.
    pub extensions: Vec<Extension<'a>>,
}

/// What a message says. Strings are as they are on the wire: neither folded nor unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described at its struct")]
pub enum Body<'a> {
    SrvRqst(SrvRqst<'a>),
    SrvRply(SrvRply<'a>),
    SrvReg(SrvReg<'a>),
    SrvDeReg(SrvDeReg<'a>),
    SrvAck(SrvAck),
    AttrRqst(AttrRqst<'a>),
    AttrRply(AttrRply<'a>),
    DaAdvert(DaAdvert<'a>),
    SrvTypeRqst(SrvTypeRqst<'a>),
    SrvTypeRply(SrvTypeRply<'a>),
    SaAdvert(SaAdvert<'a>),
}

impl<'a> Body<'a> {
    /// The function id that says which it is.
    pub fn function(&self) -> Function {
        match self {
            Self::SrvRqst(_) => Function::SrvRqst,
            Self::SrvRply(_) => Function::SrvRply,
            Self::SrvReg(_) => Function::SrvReg,
            Self::SrvDeReg(_) => Function::SrvDeReg,
            Self::SrvAck(_) => Function::SrvAck,
            Self::AttrRqst(_) => Function::AttrRqst,
            Self::AttrRply(_) => Function::AttrRply,
            Self::DaAdvert(_) => Function::DaAdvert,
            Self::SrvTypeRqst(_) => Function::SrvTypeRqst,
            Self::SrvTypeRply(_) => Function::SrvTypeRply,
            Self::SaAdvert(_) => Function::SaAdvert,
        }
    }

    fn read(function: Function, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match function {
            Function::SrvRqst => Self::SrvRqst(SrvRqst::read(reader)?),
            Function::SrvRply => Self::SrvRply(SrvRply::read(reader)?),
            Function::SrvReg => Self::SrvReg(SrvReg::read(reader)?),
            Function::SrvDeReg => Self::SrvDeReg(SrvDeReg::read(reader)?),
            Function::SrvAck => Self::SrvAck(SrvAck::read(reader)?),
            Function::AttrRqst => Self::AttrRqst(AttrRqst::read(reader)?),
            Function::AttrRply => Self::AttrRply(AttrRply::read(reader)?),
            Function::DaAdvert => Self::DaAdvert(DaAdvert::read(reader)?),
            Function::SrvTypeRqst => Self::SrvTypeRqst(SrvTypeRqst::read(reader)?),
            Function::SrvTypeRply => Self::SrvTypeRply(SrvTypeRply::read(reader)?),
            Function::SaAdvert => Self::SaAdvert(SaAdvert::read(reader)?),
        })
    }

    fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        match self {
            Self::SrvRqst(body) => body.write(writer),
            Self::SrvRply(body) => body.write(writer),
            Self::SrvReg(body) => body.write(writer),
            Self::SrvDeReg(body) => body.write(writer),
            Self::SrvAck(body) => body.write(writer),
            Self::AttrRqst(body) => body.write(writer),
            Self::AttrRply(body) => body.write(writer),
            Self::DaAdvert(body) => body.write(writer),
            Self::SrvTypeRqst(body) => body.write(writer),
            Self::SrvTypeRply(body) => body.write(writer),
            Self::SaAdvert(body) => body.write(writer),
        }
    }
}

/// Reads the message that `octets` are, no more and no less: a datagram, or what a stream's framing cut out.
///
/// # Errors
/// The field that cannot be read, its offset, and by [`DecodeError::error_code`] the answer. Where the header itself
/// can be read ([`WireHeader::read`]) an answer can be made.
pub fn decode(octets: &[u8]) -> Result<Message<'_>, DecodeError> {
    let mut reader = Reader::new(octets);
    let wire = WireHeader::read(&mut reader)?;
    if wire.length != octets.len() {
        return Err(DecodeError {
            kind: DecodeErrorKind::Length {
                announced: wire.length,
                actual: octets.len(),
            },
            field: "Length",
            offset: 2,
        });
    }
    let function = Function::from_id(wire.function).ok_or(DecodeError {
        kind: DecodeErrorKind::Function(wire.function),
        field: "Function-ID",
        offset: 1,
    })?;
    let start = reader.position();
    // The body ends where the extensions begin, so none of it can be read from them.
    let body_length = match wire.extension_offset {
        0 => reader.remaining(),
        offset => offset.checked_sub(start).ok_or(DecodeError {
            kind: DecodeErrorKind::ExtensionOffset(offset),
            field: "Next Ext Offset",
            offset: 7,
        })?,
    };
    let mut rest = reader.sub(body_length).map_err(|_| DecodeError {
        kind: DecodeErrorKind::ExtensionOffset(wire.extension_offset),
        field: "Next Ext Offset",
        offset: 7,
    })?;
    let body = Body::read(function, &mut rest)?;
    if !rest.is_empty() {
        return Err(DecodeError {
            kind: DecodeErrorKind::Trailing(rest.remaining()),
            field: function.name(),
            offset: rest.position(),
        });
    }
    let extensions = extension::read_chain(octets, rest.position(), wire.extension_offset)?;
    Ok(Message {
        header: wire.header,
        body,
        extensions,
    })
}

/// Appends `message` to `out`.
///
/// # Errors
/// A field that its length cannot say; `out` is then as it was.
pub fn encode(message: &Message<'_>, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let start = out.len();
    let mut writer = Writer::from(std::mem::take(out));
    let written = write(message, &mut writer, start);
    *out = writer.into_vec();
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn write(message: &Message<'_>, writer: &mut Writer, start: usize) -> Result<(), Unencodable> {
    header::begin(writer, &message.header, message.body.function())?;
    message.body.write(writer)?;
    extension::write_chain(writer, start, &message.extensions)?;
    header::finish(writer, start)
}
