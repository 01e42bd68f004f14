//! Extensions behind a body (RFC 2608 9.1).

use tollwire_wire::{Reader, Writer};

use crate::authentication::{AuthenticationBlock, read_blocks, write_blocks};
use crate::error::{DecodeError, DecodeErrorKind, Unencodable};
use crate::field;
use crate::header::MAX_LENGTH;

/// Octets of an extension before its data.
const EXTENSION_HEADER_LENGTH: usize = 5;
/// Extensions of one message; a reply has one for each URL entry (RFC 3059).
pub const MAX_EXTENSIONS: usize = 4096;

/// Ids of extensions that this codec reads.
pub mod id {
    /// Required Attribute Missing Option (RFC 2608 D.1).
    pub const REQUIRED_ATTRIBUTE_MISSING: u16 = 0x0001;
    /// Attribute List Extension (RFC 3059).
    pub const ATTRIBUTE_LIST: u16 = 0x0002;
    /// Vendor Opaque Extension (RFC 3224 5).
    pub const VENDOR_OPAQUE: u16 = 0x0003;
}

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension<'a> {
    /// RFC 2608 D.1: the registration lacks attributes that its template requires.
    RequiredAttributeMissing {
        /// Template id and version.
        template: &'a str,
        /// Tags of what is missing, without wildcards.
        tags: &'a str,
    },
    /// RFC 3059: empty in a request, one for each URL entry in the reply.
    AttributeList {
        /// The URL of the entry.
        url: &'a str,
        /// All attributes of the service.
        attributes: &'a str,
        /// Signatures of the attribute list.
        authentication: Vec<AuthenticationBlock<'a>>,
    },
    /// RFC 3224 5: whatever an enterprise defines.
    VendorOpaque {
        /// The IANA enterprise number.
        enterprise: u32,
        /// What is its own.
        data: &'a [u8],
    },
    /// Any other.
    Unknown {
        /// The extension's id.
        id: u16,
        /// What follows the extension's header.
        data: &'a [u8],
    },
}

impl Extension<'_> {
    /// The extension's id.
    pub fn id(&self) -> u16 {
        match self {
            Self::RequiredAttributeMissing { .. } => id::REQUIRED_ATTRIBUTE_MISSING,
            Self::AttributeList { .. } => id::ATTRIBUTE_LIST,
            Self::VendorOpaque { .. } => id::VENDOR_OPAQUE,
            Self::Unknown { id, .. } => *id,
        }
    }

    /// Whether it has to be understood and is not (RFC 2608 9.1): a request with it gets OPTION_NOT_UNDERSTOOD, a
    /// reply with it is dropped.
    pub fn is_mandatory_and_unknown(&self) -> bool {
        matches!(self, Self::Unknown { id, .. } if (0x4000..=0x7FFF).contains(id))
    }

    /// Octets on the wire.
    pub fn encoded_length(&self) -> usize {
        EXTENSION_HEADER_LENGTH
            + match self {
                Self::RequiredAttributeMissing { template, tags } => {
                    4 + template.len() + tags.len()
                }
                Self::AttributeList {
                    url,
                    attributes,
                    authentication,
                } => {
                    let blocks = authentication.iter();
                    5 + url.len()
                        + attributes.len()
                        + blocks
                            .map(AuthenticationBlock::encoded_length)
                            .sum::<usize>()
                }
                Self::VendorOpaque { data, .. } => 4 + data.len(),
                Self::Unknown { data, .. } => data.len(),
            }
    }
}

/// Reads the chain of extensions of `message`, whose first begins at `first` and whose body ends at `body_end`.
///
/// Each has to begin behind the one before, so a chain cannot loop.
pub(crate) fn read_chain(
    message: &[u8],
    body_end: usize,
    first: usize,
) -> Result<Vec<Extension<'_>>, DecodeError> {
    let mut extensions = Vec::new();
    let mut earliest = body_end;
    let mut offset = first;
    while offset != 0 {
        let mut reader = Reader::new(message);
        let fault = |kind| DecodeError {
            kind,
            field: "Next Extension Offset",
            offset,
        };
        if offset < earliest {
            return Err(fault(DecodeErrorKind::ExtensionOffset(offset)));
        }
        if extensions.len() == MAX_EXTENSIONS {
            return Err(fault(DecodeErrorKind::TooMany));
        }
        reader
            .skip(offset)
            .map_err(|_| fault(DecodeErrorKind::ExtensionOffset(offset)))?;
        let id = field::u16(&mut reader, "Extension ID")?;
        let next = field::u24(&mut reader, "Next Extension Offset")? as usize;
        let start = reader.position();
        let length = match next {
            0 => reader.remaining(),
            next => next
                .checked_sub(start)
                .ok_or(fault(DecodeErrorKind::ExtensionOffset(next)))?,
        };
        let data = reader
            .sub(length)
            .map_err(|_| fault(DecodeErrorKind::ExtensionOffset(next)))?;
        extensions.push(read_data(id, data)?);
        earliest = start;
        offset = next;
    }
    Ok(extensions)
}

fn read_data<'a>(id: u16, mut data: Reader<'a>) -> Result<Extension<'a>, DecodeError> {
    let extension = match id {
        id::REQUIRED_ATTRIBUTE_MISSING => Extension::RequiredAttributeMissing {
            template: field::string(&mut data, "Template IDVer")?,
            tags: field::string(&mut data, "Required Attr <tag-list>")?,
        },
        // Some requesters leave out the empty fields altogether.
        id::ATTRIBUTE_LIST if data.is_empty() => Extension::AttributeList {
            url: "",
            attributes: "",
            authentication: Vec::new(),
        },
        id::ATTRIBUTE_LIST => {
            let url = field::string(&mut data, "Service URL")?;
            let attributes = field::string(&mut data, "Attribute List")?;
            // RFC 3059 2 is silent on whether a request's empty extension has the count.
            let authentication = match data.is_empty() {
                true => Vec::new(),
                false => read_blocks(&mut data, "# of AttrAuths")?,
            };
            Extension::AttributeList {
                url,
                attributes,
                authentication,
            }
        }
        id::VENDOR_OPAQUE => Extension::VendorOpaque {
            enterprise: field::u32(&mut data, "Enterprise Number")?,
            data: data.rest(),
        },
        id => Extension::Unknown {
            id,
            data: data.rest(),
        },
    };
    Ok(extension)
}

/// Writes the chain for the message that began at `start`, and its offsets.
pub(crate) fn write_chain(
    writer: &mut Writer,
    start: usize,
    extensions: &[Extension<'_>],
) -> Result<(), Unencodable> {
    // Where the offset of the next extension belongs: in the header first.
    let mut link = start + 7;
    for extension in extensions {
        let at = writer.len();
        let offset = at - start;
        let offset = u32::try_from(offset)
            .ok()
            .filter(|_| offset <= MAX_LENGTH)
            .ok_or(Unencodable {
                field: "Next Extension Offset",
                length: offset,
            })?;
        writer.patch_u24(link, offset);
        link = at + 2;
        write_one(writer, extension)?;
    }
    Ok(())
}

fn write_one(writer: &mut Writer, extension: &Extension<'_>) -> Result<(), Unencodable> {
    writer.u16(extension.id());
    writer.u24(0);
    match extension {
        Extension::RequiredAttributeMissing { template, tags } => {
            field::write_string(writer, "Template IDVer", template)?;
            field::write_string(writer, "Required Attr <tag-list>", tags)
        }
        Extension::AttributeList {
            url,
            attributes,
            authentication,
        } => {
            field::write_string(writer, "Service URL", url)?;
            field::write_string(writer, "Attribute List", attributes)?;
            write_blocks(writer, "# of AttrAuths", authentication)
        }
        Extension::VendorOpaque { enterprise, data } => {
            writer.u32(*enterprise);
            writer.bytes(data);
            Ok(())
        }
        Extension::Unknown { data, .. } => {
            writer.bytes(data);
            Ok(())
        }
    }
}
