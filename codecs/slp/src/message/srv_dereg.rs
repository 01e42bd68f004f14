use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, Unencodable};
use crate::field;
use crate::url_entry::UrlEntry;

/// Removes a service, or attributes of it (RFC 2608 10.6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SrvDeReg<'a> {
    /// The scopes it is registered in.
    pub scopes: &'a str,
    /// Its address; the lifetime has no meaning.
    pub url: UrlEntry<'a>,
    /// Attributes to remove; empty removes the service in all languages.
    pub tags: &'a str,
}

impl<'a> SrvDeReg<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            scopes: field::string(reader, "scope-list")?,
            url: UrlEntry::read(reader)?,
            tags: field::string(reader, "tag-list")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        field::write_string(writer, "scope-list", self.scopes)?;
        self.url.write(writer)?;
        field::write_string(writer, "tag-list", self.tags)
    }
}
