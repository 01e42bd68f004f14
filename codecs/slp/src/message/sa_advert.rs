use tollwire_wire::{Reader, Writer};

use crate::authentication::{AuthenticationBlock, read_blocks, write_blocks};
use crate::error::{DecodeError, Unencodable};
use crate::field;

/// A service agent says that it is there (RFC 2608 8.6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaAdvert<'a> {
    /// `service:service-agent://` and its address.
    pub url: &'a str,
    /// Scopes it serves.
    pub scopes: &'a str,
    /// Its attributes.
    pub attributes: &'a str,
    /// Signatures of the advert.
    pub authentication: Vec<AuthenticationBlock<'a>>,
}

impl<'a> SaAdvert<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            url: field::string(reader, "URL")?,
            scopes: field::string(reader, "scope-list")?,
            attributes: field::string(reader, "attr-list")?,
            authentication: read_blocks(reader, "# of Auth Blocks")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        field::write_string(writer, "URL", self.url)?;
        field::write_string(writer, "scope-list", self.scopes)?;
        field::write_string(writer, "attr-list", self.attributes)?;
        write_blocks(writer, "# of Auth Blocks", &self.authentication)
    }
}
