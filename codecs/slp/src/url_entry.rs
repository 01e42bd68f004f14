//! URL entries (RFC 2608 4.3).

use tollwire_wire::{Reader, Writer};

use crate::authentication::{AuthenticationBlock, read_blocks, write_blocks};
use crate::error::{DecodeError, Unencodable};
use crate::field;

/// A service's address, and how long it may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UrlEntry<'a> {
    /// Seconds from now, at most 65535.
    pub lifetime: u16,
    /// The URL, as it was spelled.
    pub url: &'a str,
    /// Signatures of the URL.
    pub authentication: Vec<AuthenticationBlock<'a>>,
}

impl<'a> UrlEntry<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        // Reserved: sent as zero, ignored when it arrives.
        field::u8(reader, "URL Entry")?;
        Ok(Self {
            lifetime: field::u16(reader, "Lifetime")?,
            url: field::string(reader, "URL")?,
            authentication: read_blocks(reader, "# of URL auths")?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        writer.u8(0);
        writer.u16(self.lifetime);
        field::write_string(writer, "URL", self.url)?;
        write_blocks(writer, "# of URL auths", &self.authentication)
    }

    /// Octets on the wire.
    pub fn encoded_length(&self) -> usize {
        let blocks = self.authentication.iter();
        6 + self.url.len()
            + blocks
                .map(AuthenticationBlock::encoded_length)
                .sum::<usize>()
    }
}
