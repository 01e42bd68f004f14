use tollwire_wire::{Reader, Writer};

use crate::authentication::{AuthenticationBlock, read_blocks, write_blocks};
use crate::error::{DecodeError, Unencodable};
use crate::field;
use crate::url_entry::UrlEntry;

/// Registers a service, or updates it (RFC 2608 8.3, 9.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SrvReg<'a> {
    /// Address, lifetime and signatures.
    pub url: UrlEntry<'a>,
    /// The type; wins over the URL's scheme.
    pub service_type: &'a str,
    /// Comma list of scopes.
    pub scopes: &'a str,
    /// Attribute list (RFC 2608 5).
    pub attributes: &'a str,
    /// Signatures of the attribute list.
    pub authentication: Vec<AuthenticationBlock<'a>>,
}

impl<'a> SrvReg<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            url: UrlEntry::read(reader)?,
            service_type: field::string(reader, "Service Type")?,
            scopes: field::string(reader, "scope-list")?,
            attributes: field::string(reader, "attr-list")?,
            authentication: read_blocks(reader, "# of AttrAuths")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        self.url.write(writer)?;
        field::write_string(writer, "Service Type", self.service_type)?;
        field::write_string(writer, "scope-list", self.scopes)?;
        field::write_string(writer, "attr-list", self.attributes)?;
        write_blocks(writer, "# of AttrAuths", &self.authentication)
    }
}
