use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, ErrorCode, Unencodable};
use crate::field;

/// Answers a SrvTypeRqst (RFC 2608 10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SrvTypeRply<'a> {
    /// Zero, or why there is nothing.
    pub error: ErrorCode,
    /// Comma list of service types.
    pub service_types: &'a str,
}

impl<'a> SrvTypeRply<'a> {
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
            service_types: field::string(reader, "srvtype-list")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        writer.u16(self.error.0);
        field::write_string(writer, "srvtype-list", self.service_types)
    }
}
