use tollwire_wire::{Reader, Writer};

use crate::authentication::{AuthenticationBlock, read_blocks, write_blocks};
use crate::error::{DecodeError, ErrorCode, Unencodable};
use crate::field;

/// A directory agent says that it is there (RFC 2608 8.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaAdvert<'a> {
    /// Zero in unsolicited ones.
    pub error: ErrorCode,
    /// Seconds since 1970 of its last start without registrations; zero: it stops.
    pub boot_timestamp: u32,
    /// `service:directory-agent://` and its address.
    pub url: &'a str,
    /// Scopes it serves.
    pub scopes: &'a str,
    /// Its attributes.
    pub attributes: &'a str,
    /// Keys it can verify.
    pub spis: &'a str,
    /// Signatures of the advert.
    pub authentication: Vec<AuthenticationBlock<'a>>,
}

impl<'a> DaAdvert<'a> {
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
            boot_timestamp: field::u32(reader, "DA Stateless Boot Timestamp")?,
            url: field::string(reader, "URL")?,
            scopes: field::string(reader, "scope-list")?,
            attributes: field::string(reader, "attr-list")?,
            spis: field::string(reader, "SLP SPI List")?,
            authentication: read_blocks(reader, "# of Auth Blocks")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        writer.u16(self.error.0);
        writer.u32(self.boot_timestamp);
        field::write_string(writer, "URL", self.url)?;
        field::write_string(writer, "scope-list", self.scopes)?;
        field::write_string(writer, "attr-list", self.attributes)?;
        field::write_string(writer, "SLP SPI List", self.spis)?;
        write_blocks(writer, "# of Auth Blocks", &self.authentication)
    }
}
