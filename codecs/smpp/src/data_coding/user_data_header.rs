use tollwire_wire::Reader;

use super::ESM_CLASS_UDHI;

/// The user data header of a message (3GPP TS 23.040 section 9.2.3.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserDataHeader<'a> {
    /// Its octets in the message, the length octet among them.
    pub length: usize,
    /// What follows it.
    pub user_data: &'a [u8],
    elements: &'a [u8],
}

/// Which segment of a longer message a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Concatenation {
    /// The same for all segments of a message.
    pub reference: u16,
    /// How many there are, 1 or more.
    pub total: u8,
    /// Which this one is, from 1.
    pub number: u8,
}

impl Concatenation {
    /// TS 23.040 section 9.2.3.24.1: a reader ignores a number that is 0 or beyond the total.
    pub(super) fn checked(self) -> Option<Self> {
        (1..=self.total).contains(&self.number).then_some(self)
    }
}

impl<'a> UserDataHeader<'a> {
    /// The header that `esm_class` says a payload begins with; `None` if it says so of none, or the header is cut off.
    pub fn of(esm_class: u8, payload: &'a [u8]) -> Option<Self> {
        if esm_class & ESM_CLASS_UDHI == 0 {
            return None;
        }
        let mut reader = Reader::new(payload);
        let length = reader.u8().ok()?;
        let elements = reader.take(length.into()).ok()?;
        Some(Self {
            length: reader.position(),
            user_data: reader.rest(),
            elements,
        })
    }

    /// Its information elements: identifier and data.
    pub fn elements(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut reader = Reader::new(self.elements);
        std::iter::from_fn(move || {
            let identifier = reader.u8().ok()?;
            let length = reader.u8().ok()?;
            Some((identifier, reader.take(length.into()).ok()?))
        })
    }

    /// The last element for concatenation, with an 8-bit or a 16-bit reference (sections 9.2.3.24.1 and 9.2.3.24.8).
    pub fn concatenation(self) -> Option<Concatenation> {
        let mut found = None;
        for (identifier, data) in self.elements() {
            found = match (identifier, data) {
                (0x00, &[reference, total, number]) => Some(Concatenation {
                    reference: reference.into(),
                    total,
                    number,
                }),
                (0x08, &[high, low, total, number]) => Some(Concatenation {
                    reference: u16::from_be_bytes([high, low]),
                    total,
                    number,
                }),
                _ => found,
            };
        }
        found.and_then(Concatenation::checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_what_follows() {
        let payload = b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x09\x02\x01text";
        let header = UserDataHeader::of(0x40, payload).unwrap();
        assert_eq!(header.length, 12);
        assert_eq!(header.user_data, b"text");
        let elements: Vec<_> = header.elements().collect();
        assert_eq!(
            elements,
            [
                (0x05, &b"\x0b\x84\x23\xf0"[..]),
                (0x00, &b"\x09\x02\x01"[..])
            ]
        );
        assert_eq!(header.concatenation().unwrap().reference, 9);
        for length in 0..12 {
            assert_eq!(UserDataHeader::of(0x40, &payload[..length]), None);
        }
        assert_eq!(UserDataHeader::of(0x00, payload), None);
    }

    #[test]
    fn a_segment_that_cannot_be_is_none() {
        for wrong in [
            b"\x05\x00\x03\x09\x02\x00",
            b"\x05\x00\x03\x09\x02\x03",
            b"\x05\x00\x03\x09\x00\x00",
            b"\x05\x00\x09\x09\x02\x01",
        ] {
            let header = UserDataHeader::of(0x40, wrong).unwrap();
            assert_eq!(header.concatenation(), None);
        }
    }
}
