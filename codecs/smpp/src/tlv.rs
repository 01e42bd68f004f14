//! Optional parameters (SMPP 3.4 section 5.3, SMPP 5.0 section 4.8): kept octet for octet, in order, duplicates too.
//!
//! ```text
//!  0       2       4
//! +-------+-------+-------- - -
//! | tag   | length| value
//! +-------+-------+-------- - -
//! ```

mod tag;

use crate::refusal::Unencodable;
use crate::status;
use crate::text::COctetString;

pub use tag::*;

/// One optional parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its tag, SMPP 3.4 table 5-7.
    pub tag: u16,
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// A value of one octet.
    ///
    /// # Errors
    /// Another length.
    pub fn u8(self) -> Result<u8, InvalidTlv> {
        self.array().map(u8::from_be_bytes)
    }

    /// A value of two octets.
    ///
    /// # Errors
    /// Another length.
    pub fn u16(self) -> Result<u16, InvalidTlv> {
        self.array().map(u16::from_be_bytes)
    }

    /// A value of four octets.
    ///
    /// # Errors
    /// Another length.
    pub fn u32(self) -> Result<u32, InvalidTlv> {
        self.array().map(u32::from_be_bytes)
    }

    /// A value that is a C-Octet String. Its NUL may be missing, as it often is in the field; nothing may follow it.
    ///
    /// # Errors
    /// ESME_RINVTLVVAL: a NUL inside.
    pub fn text(self) -> Result<COctetString<'a>, InvalidTlv> {
        let octets = self.value.strip_suffix(&[0]).unwrap_or(self.value);
        if octets.contains(&0) {
            return Err(self.invalid(status::ESME_RINVTLVVAL));
        }
        Ok(COctetString(octets))
    }

    /// A fault of this parameter.
    pub fn invalid(self, command_status: u32) -> InvalidTlv {
        InvalidTlv {
            tag: self.tag,
            command_status,
        }
    }

    fn array<const N: usize>(self) -> Result<[u8; N], InvalidTlv> {
        self.value
            .try_into()
            .map_err(|_| self.invalid(status::ESME_RINVTLVLEN))
    }
}

/// An optional parameter whose value is not what its tag says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} (0x{tag:04x}): {}", name(*tag).unwrap_or("optional parameter"), status::name(*command_status))]
pub struct InvalidTlv {
    /// Its tag.
    pub tag: u16,
    /// For the answer.
    pub command_status: u32,
}

/// The optional part of a PDU: a view of octets that are known to be whole TLVs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tlvs<'a>(&'a [u8]);

/// What is wrong with an optional part, and where from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TlvFault {
    pub(crate) tag: u16,
    pub(crate) offset: usize,
    pub(crate) command_status: u32,
}

impl<'a> Tlvs<'a> {
    /// None.
    pub const EMPTY: Tlvs<'static> = Tlvs(&[]);

    /// The TLVs that these octets are, vendor-specific ones and lengths of any kind among them.
    ///
    /// # Errors
    /// ESME_RINVTLVSTREAM: the last one is not whole.
    pub fn new(octets: &'a [u8]) -> Result<Self, InvalidTlv> {
        Self::read(octets, false).map_err(|fault| InvalidTlv {
            tag: fault.tag,
            command_status: fault.command_status,
        })
    }

    pub(crate) fn read(octets: &'a [u8], lengths: bool) -> Result<Self, TlvFault> {
        let mut rest = octets;
        while !rest.is_empty() {
            let fault = |tag, command_status| TlvFault {
                tag,
                offset: octets.len() - rest.len(),
                command_status,
            };
            let Some((tlv, after)) = split(rest) else {
                let tag = rest.first_chunk().map_or(0, |tag| u16::from_be_bytes(*tag));
                return Err(fault(tag, status::ESME_RINVTLVSTREAM));
            };
            if lengths && !has_valid_length(tlv.tag, tlv.value.len()) {
                return Err(fault(tlv.tag, status::ESME_RINVTLVLEN));
            }
            rest = after;
        }
        Ok(Self(octets))
    }

    /// As they stand in the PDU.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in order.
    pub fn iter(self) -> Iter<'a> {
        Iter(self.0)
    }

    /// The first with this tag.
    pub fn find(self, tag: u16) -> Option<Tlv<'a>> {
        self.iter().find(|tlv| tlv.tag == tag)
    }

    /// Value of the first with this tag.
    pub fn value(self, tag: u16) -> Option<&'a [u8]> {
        self.find(tag).map(|tlv| tlv.value)
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterator over [`Tlvs`].
#[derive(Debug, Clone)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        let (tlv, rest) = split(self.0)?;
        self.0 = rest;
        Some(tlv)
    }
}

fn split(octets: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (tag, rest) = octets.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let tag = u16::from_be_bytes(*tag);
    Some((Tlv { tag, value }, rest))
}

/// An optional part that is being put together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlvBuffer(Vec<u8>);

impl TlvBuffer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter behind the others.
    ///
    /// # Errors
    /// The value is longer than 65,535 octets; nothing was added.
    pub fn push(&mut self, tag: u16, value: &[u8]) -> Result<&mut Self, Unencodable> {
        push(&mut self.0, Tlv { tag, value })?;
        Ok(self)
    }

    /// Takes all out, and keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What was added.
    pub fn as_tlvs(&self) -> Tlvs<'_> {
        Tlvs(&self.0)
    }
}

/// Appends one parameter to `out`.
///
/// # Errors
/// The value is longer than 65,535 octets; nothing was added.
pub fn push(out: &mut Vec<u8>, tlv: Tlv<'_>) -> Result<(), Unencodable> {
    let length = u16::try_from(tlv.value.len()).map_err(|_| Unencodable {
        field: name(tlv.tag).unwrap_or("optional parameter"),
    })?;
    out.extend_from_slice(&tlv.tag.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(tlv.value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_duplicates_and_vendor_tags_are_kept() {
        let mut buffer = TlvBuffer::new();
        buffer.push(0x1403, b"150").unwrap();
        buffer.push(CALLBACK_NUM, b"\x01\x01\x011").unwrap();
        buffer.push(CALLBACK_NUM, b"\x01\x01\x012").unwrap();
        buffer.push(0x3FFF, b"").unwrap();
        let tlvs = Tlvs::new(buffer.as_tlvs().as_bytes()).unwrap();
        let tags: Vec<u16> = tlvs.iter().map(|tlv| tlv.tag).collect();
        assert_eq!(tags, [0x1403, CALLBACK_NUM, CALLBACK_NUM, 0x3FFF]);
        assert_eq!(tlvs.value(CALLBACK_NUM), Some(&b"\x01\x01\x011"[..]));
        assert!(buffer.push(0x1403, &[0; 65_536]).is_err());
        assert_eq!(buffer.as_tlvs().iter().count(), 4);
    }

    #[test]
    fn every_truncation_is_found_where_it_is() {
        let mut buffer = TlvBuffer::new();
        buffer.push(USER_MESSAGE_REFERENCE, &[0, 7]).unwrap();
        buffer.push(0x1403, b"150").unwrap();
        let octets = buffer.as_tlvs().as_bytes();
        for length in 0..octets.len() {
            let result = Tlvs::read(&octets[..length], true);
            if matches!(length, 0 | 6) {
                assert_eq!(result.unwrap().as_bytes(), &octets[..length]);
            } else {
                let fault = result.unwrap_err();
                assert_eq!(fault.command_status, status::ESME_RINVTLVSTREAM);
                assert_eq!(fault.offset, if length < 6 { 0 } else { 6 });
            }
        }
    }

    #[test]
    fn values_by_type() {
        let tlv = |value| Tlv {
            tag: RECEIPTED_MESSAGE_ID,
            value,
        };
        assert_eq!(tlv(&[7]).u8(), Ok(7));
        assert_eq!(tlv(&[1, 2]).u16(), Ok(0x0102));
        assert_eq!(tlv(&[1, 2, 3, 4]).u32(), Ok(0x0102_0304));
        assert_eq!(tlv(b"12\0").text().unwrap(), "12");
        assert_eq!(tlv(b"12").text().unwrap(), "12");
        let wrong = tlv(b"1\x002").text().unwrap_err();
        assert_eq!(wrong.command_status, status::ESME_RINVTLVVAL);
        let wrong = tlv(&[1, 2]).u8().unwrap_err();
        assert_eq!(wrong.command_status, status::ESME_RINVTLVLEN);
        assert_eq!(
            wrong.to_string(),
            "receipted_message_id (0x001e): ESME_RINVPARLEN"
        );
    }
}
