//! One attribute-value pair, and how a run of them is read and written.

use bytes::Bytes;
use tollwire_wire::{Reader, Writer};

use crate::dictionary::Definition;
use crate::error::{DecodeError, Fault};
use crate::flags::AvpFlags;
use crate::value::AvpData;

/// AVPs that one message, or one grouped AVP, may hold.
///
/// The smallest AVP takes 8 octets on the wire and several times that in memory.
pub const MAX_AVPS: usize = 1024;

/// Grouped AVPs that may stand inside one another.
pub const MAX_DEPTH: u8 = 16;

/// One attribute-value pair (RFC 6733 4.1).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                           AVP Code                            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |V M P r r r r r|                  AVP Length                   |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                        Vendor-ID (opt)                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |    Data ...
/// +-+-+-+-+-+-+-+-+
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Avp {
    /// AVP Code.
    pub code: u32,
    /// Vendor-ID; `None` for the IETF's own AVPs. An explicit 0 is read as `None` (4.1.1).
    pub vendor_id: Option<u32>,
    /// The flags but V.
    pub flags: AvpFlags,
    /// The data without padding: a slice of the received message, not a copy.
    pub data: Bytes,
}

impl Avp {
    /// The AVP of `definition` carrying `value`, flagged as the dictionary says.
    pub fn new<T: AvpData>(definition: &Definition, value: &T) -> Self {
        let mut data = Writer::new();
        value.encode_data(&mut data);
        Self::with_data(definition, Bytes::from(data.into_vec()))
    }

    /// The AVP of `definition` carrying `data` as it is.
    pub fn with_data(definition: &Definition, data: Bytes) -> Self {
        Self {
            code: definition.code,
            vendor_id: definition.vendor_id,
            flags: definition.flags(),
            data,
        }
    }

    /// The grouped AVP of `definition` holding `members`.
    pub fn grouped(definition: &Definition, members: &[Avp]) -> Self {
        Self::with_data(definition, encode_avps(members))
    }

    /// Whether this is the AVP of `definition`.
    pub fn is(&self, definition: &Definition) -> bool {
        self.code == definition.code && self.vendor_id == definition.vendor_id
    }

    /// The data as a `T`.
    ///
    /// # Errors
    /// 5014 for a length the type cannot have, 5004 for a value outside the type's, and what
    /// a member of a group deserves; the Failed-AVP holds this AVP.
    pub fn value<T: AvpData>(&self) -> Result<T, DecodeError> {
        self.value_at(0)
    }

    pub(crate) fn value_at<T: AvpData>(&self, depth: u8) -> Result<T, DecodeError> {
        T::decode_data(&self.data, depth).map_err(|fault| fault.in_avp(self))
    }

    /// The members of this AVP, taken as a group; their own groups stay unread.
    ///
    /// # Errors
    /// 5014 for a member whose length is impossible, 5012 for more than [`MAX_AVPS`].
    pub fn members(&self) -> Result<Vec<Avp>, DecodeError> {
        decode_avps(&self.data).map_err(|error| error.within(self))
    }

    /// Octets on the wire, with header and padding.
    pub fn encoded_len(&self) -> usize {
        let header = if self.vendor_id.is_some() { 12 } else { 8 };
        (header + self.data.len()).next_multiple_of(4)
    }

    /// Appends the AVP with its padding.
    pub fn write(&self, out: &mut Writer) {
        write_avp(out, self.code, self.vendor_id, self.flags, |out| {
            out.bytes(&self.data);
        });
    }
}

/// Appends one AVP whose data is what `data` writes; length and padding follow from it.
pub(crate) fn write_avp(
    out: &mut Writer,
    code: u32,
    vendor_id: Option<u32>,
    flags: AvpFlags,
    data: impl FnOnce(&mut Writer),
) {
    let start = out.len();
    out.u32(code);
    let vendor_bit = if vendor_id.is_some() {
        AvpFlags::VENDOR
    } else {
        0
    };
    out.u8(flags.octet() | vendor_bit);
    let length_at = out.len();
    out.u24(0);
    if let Some(vendor_id) = vendor_id {
        out.u32(vendor_id);
    }
    data(out);
    let length = out.len() - start;
    // A message is held to 24 bits of length by its sender; an AVP is shorter than its message.
    out.patch_u24(length_at, u32::try_from(length).unwrap_or(u32::MAX));
    for _ in length..length.next_multiple_of(4) {
        out.u8(0);
    }
}

/// `avps` one after the other.
pub(crate) fn encode_avps(avps: &[Avp]) -> Bytes {
    let mut out = Writer::with_capacity(avps.iter().map(Avp::encoded_len).sum());
    for avp in avps {
        avp.write(&mut out);
    }
    Bytes::from(out.into_vec())
}

/// All AVPs of `buffer`, one level deep.
pub(crate) fn decode_avps(buffer: &Bytes) -> Result<Vec<Avp>, DecodeError> {
    let mut avps = Vec::new();
    decode_avps_into(buffer, &mut avps)?;
    Ok(avps)
}

/// As [`decode_avps`]; on an error `avps` holds those before the fault.
pub(crate) fn decode_avps_into(buffer: &Bytes, avps: &mut Vec<Avp>) -> Result<(), DecodeError> {
    let mut reader = Reader::new(buffer);
    while !reader.is_empty() {
        if avps.len() == MAX_AVPS {
            return Err(Fault::TooManyAvps.into());
        }
        avps.push(next_avp(buffer, &mut reader)?);
    }
    Ok(())
}

/// The AVP at `reader`, which runs over `buffer`.
pub(crate) fn next_avp(buffer: &Bytes, reader: &mut Reader<'_>) -> Result<Avp, DecodeError> {
    let mut header = reader.clone();
    let (Ok(code), Ok(octet), Ok(length)) = (header.u32(), header.u8(), header.u24()) else {
        // RFC 6733 7.1.5: an incomplete header is padded with zeros.
        let mut padded = [0; 4];
        for (place, octet) in padded.iter_mut().zip(reader.rest()) {
            *place = *octet;
        }
        return Err(Fault::InvalidAvpLength(Avp {
            code: u32::from_be_bytes(padded),
            ..Avp::default()
        })
        .into());
    };
    let mut avp = Avp {
        code,
        vendor_id: None,
        flags: AvpFlags::from_octet(octet),
        data: Bytes::new(),
    };
    let mut header_length = 8;
    if octet & AvpFlags::VENDOR != 0 {
        header_length = 12;
        match header.u32() {
            // RFC 6733 4.1.1: vendor id 0 is the IETF's own space.
            Ok(vendor_id) => avp.vendor_id = (vendor_id != 0).then_some(vendor_id),
            Err(_) => return Err(Fault::InvalidAvpLength(avp).into()),
        }
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some(data_length) = length.checked_sub(header_length) else {
        return Err(Fault::InvalidAvpLength(avp).into());
    };
    if data_length > header.remaining() {
        return Err(Fault::InvalidAvpLength(avp).into());
    }
    let start = header.position();
    if header.skip(data_length).is_err() {
        return Err(Fault::InvalidAvpLength(avp).into());
    }
    avp.data = buffer.slice(start..start + data_length);
    // The padding of the last member of a group is left out by some senders.
    let padding = length.next_multiple_of(4) - length;
    let padding = padding.min(header.remaining());
    if header.skip(padding).is_err() {
        return Err(Fault::InvalidAvpLength(avp).into());
    }
    *reader = header;
    Ok(avp)
}
