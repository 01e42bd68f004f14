use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, Unencodable};
use crate::field;

/// Asks for attributes (RFC 2608 10.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttrRqst<'a> {
    /// As in a [`super::SrvRqst`].
    pub previous_responders: &'a str,
    /// A URL, or a service type for all attributes of its services.
    pub url: &'a str,
    /// Comma list of scopes.
    pub scopes: &'a str,
    /// Attributes asked for; empty is all.
    pub tags: &'a str,
    /// Whose signature the answer needs, or empty.
    pub spi: &'a str,
}

impl<'a> AttrRqst<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            previous_responders: field::string(reader, "PRList")?,
            url: field::string(reader, "URL")?,
            scopes: field::string(reader, "scope-list")?,
            tags: field::string(reader, "tag-list")?,
            spi: field::string(reader, "SLP SPI String")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        field::write_string(writer, "PRList", self.previous_responders)?;
        field::write_string(writer, "URL", self.url)?;
        field::write_string(writer, "scope-list", self.scopes)?;
        field::write_string(writer, "tag-list", self.tags)?;
        field::write_string(writer, "SLP SPI String", self.spi)
    }
}
