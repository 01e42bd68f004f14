use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, Unencodable};
use crate::field;

/// Asks for services (RFC 2608 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SrvRqst<'a> {
    /// Dotted IPv4 addresses (or IPv6, RFC 3111) of those that answered already, by comma; empty in unicast.
    pub previous_responders: &'a str,
    /// The type asked for.
    pub service_type: &'a str,
    /// Comma list; empty only when looking for directory or service agents.
    pub scopes: &'a str,
    /// LDAPv3 filter, or empty.
    pub predicate: &'a str,
    /// Whose signature the answer needs, or empty.
    pub spi: &'a str,
}

impl<'a> SrvRqst<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            previous_responders: field::string(reader, "PRList")?,
            service_type: field::string(reader, "Service Type")?,
            scopes: field::string(reader, "scope-list")?,
            predicate: field::string(reader, "predicate")?,
            spi: field::string(reader, "SLP SPI String")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        field::write_string(writer, "PRList", self.previous_responders)?;
        field::write_string(writer, "Service Type", self.service_type)?;
        field::write_string(writer, "scope-list", self.scopes)?;
        field::write_string(writer, "predicate", self.predicate)?;
        field::write_string(writer, "SLP SPI String", self.spi)
    }
}
