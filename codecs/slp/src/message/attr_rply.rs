use tollwire_wire::{Reader, Writer};

use crate::authentication::{AuthenticationBlock, read_blocks, write_blocks};
use crate::error::{DecodeError, ErrorCode, Unencodable};
use crate::field;

/// Answers an AttrRqst (RFC 2608 10.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttrRply<'a> {
    /// Zero, or why there is nothing.
    pub error: ErrorCode,
    /// Attribute list.
    pub attributes: &'a str,
    /// Signatures of the attribute list.
    pub authentication: Vec<AuthenticationBlock<'a>>,
}

impl<'a> AttrRply<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let error = ErrorCode(field::u16(reader, "Error Code")?);
        // Behind a nonzero code nothing need follow (RFC 2608 7).
        if error != ErrorCode::OK && reader.is_empty() {
            return Ok(Self {
                error,
                ..Self::default()
            });
        }
        Ok(Self {
            error,
            attributes: field::string(reader, "attr-list")?,
            authentication: read_blocks(reader, "# of AttrAuths")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        writer.u16(self.error.0);
        field::write_string(writer, "attr-list", self.attributes)?;
        write_blocks(writer, "# of AttrAuths", &self.authentication)
    }
}
