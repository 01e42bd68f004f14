use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, ErrorCode, Unencodable};
use crate::field;

/// Acknowledges a registration or deregistration (RFC 2608 8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SrvAck {
    /// Whether it was done.
    pub error: ErrorCode,
}

impl SrvAck {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            error: ErrorCode(field::u16(reader, "Error Code")?),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        writer.u16(self.error.0);
        Ok(())
    }
}
