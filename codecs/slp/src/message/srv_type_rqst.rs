use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, Unencodable};
use crate::field;

/// The length that stands for all naming authorities (RFC 2608 10.1).
const ALL: u16 = 0xFFFF;

/// Asks which types of service there are (RFC 2608 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SrvTypeRqst<'a> {
    /// As in a [`super::SrvRqst`].
    pub previous_responders: &'a str,
    /// Whose types.
    pub naming_authority: NamingAuthority<'a>,
    /// Comma list of scopes.
    pub scopes: &'a str,
}

/// Whose types are asked for (RFC 2608 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NamingAuthority<'a> {
    /// IANA's: types without an authority. On the wire the empty string.
    #[default]
    Iana,
    /// Everybody's. On the wire the length 0xFFFF without a string.
    All,
    /// This one's.
    Named(&'a str),
}

impl<'a> SrvTypeRqst<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        const FIELD: &str = "Naming Authority";
        let previous_responders = field::string(reader, "PRList")?;
        let naming_authority = match field::u16(reader, FIELD)? {
            ALL => NamingAuthority::All,
            0 => NamingAuthority::Iana,
            length => NamingAuthority::Named(field::string_of(reader, FIELD, length)?),
        };
        Ok(Self {
            previous_responders,
            naming_authority,
            scopes: field::string(reader, "scope-list")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        field::write_string(writer, "PRList", self.previous_responders)?;
        match self.naming_authority {
            NamingAuthority::Iana => writer.u16(0),
            NamingAuthority::All => writer.u16(ALL),
            // Its length would say "all".
            NamingAuthority::Named(name) if name.len() >= usize::from(ALL) => {
                return Err(Unencodable {
                    field: "Naming Authority",
                    length: name.len(),
                });
            }
            NamingAuthority::Named(name) => {
                field::write_string(writer, "Naming Authority", name)?;
            }
        }
        field::write_string(writer, "scope-list", self.scopes)
    }
}
