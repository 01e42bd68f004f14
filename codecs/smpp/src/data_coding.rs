//! What `data_coding` says about a message (SMPP 3.4 section 5.2.19, 3GPP TS 23.038): for display, and to count the
//! segments it takes on the air. What goes over the wire is never changed by it.

mod gsm;
mod user_data_header;

use std::borrow::Cow;

pub use gsm::{decode as decode_gsm_7bit, encode as encode_gsm_7bit, septets as gsm_7bit_septets};
pub use user_data_header::{Concatenation, UserDataHeader};

use crate::text::decode_latin1;
use crate::tlv::{self, Tlvs};

/// `esm_class`: the user data begins with a user data header (SMPP 3.4 section 5.2.12).
pub const ESM_CLASS_UDHI: u8 = 0x40;

/// Octets of user data in one short message (3GPP TS 23.040 section 9.2.3.16), which hold 160 septets.
const SEGMENT_OCTETS: usize = 140;
const SEGMENT_SEPTETS: usize = 160;
/// Octets of the header that each segment of a longer one begins with: `05 00 03 ref total number`.
const CONCATENATION_OCTETS: usize = 6;

/// How the octets of a message are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// The GSM 7-bit default alphabet, one character an octet as SMPP carries it.
    Gsm7,
    /// IA5, ASCII.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// ISO 8859-5, Cyrillic.
    Cyrillic,
    /// ISO 8859-8, Hebrew.
    Hebrew,
    /// UCS-2, high octet first; in practice UTF-16.
    Ucs2,
    /// Octets that are no text.
    Binary,
    /// JIS, ISO-2022-JP, KS C 5601, pictograms and what is reserved: text that is not read here.
    Other,
}

impl Alphabet {
    /// What `data_coding` names. 0 is the message centre's default alphabet: the GSM 7-bit one here.
    pub fn of(data_coding: u8) -> Self {
        match data_coding {
            0x00 => Self::Gsm7,
            0x01 => Self::Ascii,
            0x02 | 0x04 => Self::Binary,
            0x03 => Self::Latin1,
            0x06 => Self::Cyrillic,
            0x07 => Self::Hebrew,
            0x08 => Self::Ucs2,
            // General data coding with a message class (TS 23.038 section 4): SMPP reserves it, clients that send
            // "flash" messages use it. Bits 3 and 2 name the alphabet.
            0x10..=0x1F => match data_coding & 0x0C {
                0x00 => Self::Gsm7,
                0x04 => Self::Binary,
                0x08 => Self::Ucs2,
                _ => Self::Other,
            },
            // GSM message waiting indication (0xE0: UCS-2) and GSM message class control (bit 2: 8-bit data).
            0xC0..=0xDF => Self::Gsm7,
            0xE0..=0xEF => Self::Ucs2,
            0xF0..=0xFF if data_coding & 0x04 == 0 => Self::Gsm7,
            0xF0..=0xFF => Self::Binary,
            _ => Self::Other,
        }
    }

    /// The text of these octets, for people to read; `None` if they are no text that can be read here. An octet or a
    /// surrogate that is no character becomes U+FFFD.
    pub fn decode(self, octets: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Gsm7 => Some(gsm::decode(octets).into()),
            Self::Ascii | Self::Latin1 => Some(decode_latin1(octets)),
            Self::Cyrillic => Some(octets.iter().map(|octet| cyrillic(*octet)).collect()),
            Self::Hebrew => Some(octets.iter().map(|octet| hebrew(*octet)).collect()),
            Self::Ucs2 => {
                let units = octets.chunks(2).map(|unit| match unit {
                    [high, low] => u16::from_be_bytes([*high, *low]),
                    _ => 0xFFFD,
                });
                let characters = char::decode_utf16(units);
                Some(
                    characters
                        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
                        .collect(),
                )
            }
            Self::Binary | Self::Other => None,
        }
    }
}

/// ISO 8859-5: U+0401 to U+045F in a row, but for three.
fn cyrillic(octet: u8) -> char {
    match octet {
        0x00..=0xA0 | 0xAD => octet.into(),
        0xF0 => '\u{2116}',
        0xFD => '\u{A7}',
        _ => char::from_u32(0x360 + u32::from(octet)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// ISO 8859-8: the letters U+05D0 to U+05EA, signs as in ISO 8859-1 but for these.
fn hebrew(octet: u8) -> char {
    match octet {
        0xAA => '\u{D7}',
        0xBA => '\u{F7}',
        0xDF => '\u{2017}',
        0xE0..=0xFA => {
            char::from_u32(0x4F0 + u32::from(octet)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        0xFD => '\u{200E}',
        0xFE => '\u{200F}',
        0xA1 | 0xBF..=0xDE | 0xFB | 0xFC | 0xFF => char::REPLACEMENT_CHARACTER,
        _ => octet.into(),
    }
}

/// The text of a message without its user data header; `None` if it is none that can be read here.
pub fn text(data_coding: u8, esm_class: u8, payload: &[u8]) -> Option<Cow<'_, str>> {
    let header = UserDataHeader::of(esm_class, payload);
    let text = header.map_or(payload, |header| header.user_data);
    Alphabet::of(data_coding).decode(text)
}

/// Which segment of which message this is, by its user data header or by `sar_msg_ref_num`, `sar_total_segments` and
/// `sar_segment_seqnum` (SMPP 3.4 section 5.3.2.22 to 24). `None` if it is a whole message.
pub fn concatenation(esm_class: u8, payload: &[u8], tlvs: Tlvs<'_>) -> Option<Concatenation> {
    if let Some(header) = UserDataHeader::of(esm_class, payload) {
        return header.concatenation();
    }
    let octet = |tag| tlvs.find(tag)?.u8().ok();
    Concatenation {
        reference: tlvs.find(tlv::SAR_MSG_REF_NUM)?.u16().ok()?,
        total: octet(tlv::SAR_TOTAL_SEGMENTS)?,
        number: octet(tlv::SAR_SEGMENT_SEQNUM)?,
    }
    .checked()
}

/// Short messages that a payload takes on the air: 1 or more, 255 at most.
///
/// One holds 160 septets or 140 octets; each of several gives six octets to a header. ASCII and ISO 8859-1 text goes
/// in the GSM 7-bit alphabet if that has all its characters, and in UCS-2 otherwise, as other alphabets do.
pub fn segments(data_coding: u8, esm_class: u8, payload: &[u8]) -> u8 {
    let header = UserDataHeader::of(esm_class, payload);
    let header_octets = header.map_or(0, |header| header.length);
    let text = header.map_or(payload, |header| header.user_data);
    let alphabet = Alphabet::of(data_coding);
    let count = match alphabet {
        // An octet each, as SMPP carries them: an escape and what follows are two already.
        Alphabet::Gsm7 => septet_segments(text.len(), header_octets),
        Alphabet::Ascii | Alphabet::Latin1 => {
            let septets = decode_latin1(text)
                .chars()
                .map(gsm::septets)
                .sum::<Option<usize>>();
            match septets {
                Some(septets) => septet_segments(septets, header_octets),
                None => octet_segments(2 * text.len(), header_octets, 2),
            }
        }
        Alphabet::Cyrillic | Alphabet::Hebrew => octet_segments(2 * text.len(), header_octets, 2),
        Alphabet::Ucs2 => octet_segments(text.len(), header_octets, 2),
        Alphabet::Binary | Alphabet::Other => octet_segments(text.len(), header_octets, 1),
    };
    u8::try_from(count).unwrap_or(u8::MAX)
}

fn septet_segments(septets: usize, header_octets: usize) -> usize {
    // The header takes whole septets (TS 23.040 section 9.2.3.24: fill bits).
    let header = (header_octets * 8).div_ceil(7);
    if header + septets <= SEGMENT_SEPTETS {
        return 1;
    }
    let header = ((header_octets + CONCATENATION_OCTETS) * 8).div_ceil(7);
    septets
        .div_ceil(SEGMENT_SEPTETS.saturating_sub(header).max(1))
        .max(1)
}

fn octet_segments(octets: usize, header_octets: usize, unit: usize) -> usize {
    if header_octets + octets <= SEGMENT_OCTETS {
        return 1;
    }
    let room = SEGMENT_OCTETS.saturating_sub(header_octets + CONCATENATION_OCTETS);
    octets.div_ceil((room - room % unit).max(unit)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlvBuffer;

    #[test]
    fn texts_by_alphabet() {
        let gsm = text(0x00, 0, b"\x00 \x1be \x02 caf\x05").unwrap();
        assert_eq!(gsm, "@ \u{20ac} $ caf\u{e9}");
        assert_eq!(text(0x03, 0, b"caf\xe9").unwrap(), "caf\u{e9}");
        assert_eq!(text(0x01, 0, b"plain").unwrap(), "plain");
        assert_eq!(
            text(0x06, 0, b"\xbc\xd8\xe0").unwrap(),
            "\u{41c}\u{438}\u{440}"
        );
        assert_eq!(text(0x07, 0, b"\xe9\xec").unwrap(), "\u{5d9}\u{5dc}");
        assert_eq!(
            text(0x08, 0, b"\x04\x1c\xd8\x3d\xde\x00").unwrap(),
            "\u{41c}\u{1f600}"
        );
        assert_eq!(
            text(0x08, 0, b"\xd8\x3d\x00a\x00").unwrap(),
            "\u{fffd}a\u{fffd}"
        );
        assert_eq!(text(0x04, 0, b"\x01"), None);
        assert_eq!(text(0x18, 0, b"\x00a").unwrap(), "a");
        assert_eq!(text(0xF0, 0, b"a").unwrap(), "a");
        assert_eq!(text(0xF5, 0, b"a"), None);
        assert_eq!(
            text(0x00, ESM_CLASS_UDHI, b"\x05\x00\x03\x07\x02\x01hi").unwrap(),
            "hi"
        );
    }

    #[test]
    fn segments_at_their_edges() {
        let count = |data_coding, length| segments(data_coding, 0, &vec![b'a'; length]);
        for (data_coding, one, each) in [
            (0, 160, 153),
            (1, 160, 153),
            (3, 160, 153),
            (4, 140, 134),
            (8, 140, 134),
        ] {
            assert_eq!(count(data_coding, 0), 1);
            assert_eq!(count(data_coding, one), 1, "{data_coding}");
            assert_eq!(count(data_coding, one + 1), 2, "{data_coding}");
            assert_eq!(count(data_coding, 2 * each), 2, "{data_coding}");
            assert_eq!(count(data_coding, 2 * each + 1), 3, "{data_coding}");
        }
        // What the GSM alphabet has not goes in UCS-2; the euro sign takes two septets, and Latin-1 has none.
        assert_eq!(segments(3, 0, &[0xF0; 70]), 1);
        assert_eq!(segments(3, 0, &[0xF0; 71]), 2);
        assert_eq!(segments(1, 0, &[b'{'; 80]), 1);
        assert_eq!(segments(1, 0, &[b'{'; 81]), 2);
        assert_eq!(count(0, 65_535), 255);
        // A segment of a message that its sender has cut is one.
        let mut segment = b"\x05\x00\x03\x07\x02\x01".to_vec();
        segment.resize(6 + 153, b'a');
        assert_eq!(segments(0, ESM_CLASS_UDHI, &segment), 1);
        segment.push(b'a');
        assert_eq!(segments(0, ESM_CLASS_UDHI, &segment), 2);
        segment.truncate(140);
        assert_eq!(segments(8, ESM_CLASS_UDHI, &segment), 1);
    }

    #[test]
    fn segments_by_header_and_by_tlv() {
        let expected = Concatenation {
            reference: 0x0107,
            total: 3,
            number: 2,
        };
        let udh = b"\x06\x08\x04\x01\x07\x03\x02hi";
        assert_eq!(
            concatenation(ESM_CLASS_UDHI, udh, Tlvs::EMPTY),
            Some(expected)
        );
        assert_eq!(concatenation(0, udh, Tlvs::EMPTY), None);
        let mut tlvs = TlvBuffer::new();
        tlvs.push(tlv::SAR_MSG_REF_NUM, &[1, 7]).unwrap();
        tlvs.push(tlv::SAR_TOTAL_SEGMENTS, &[3]).unwrap();
        assert_eq!(concatenation(0, b"hi", tlvs.as_tlvs()), None);
        tlvs.push(tlv::SAR_SEGMENT_SEQNUM, &[2]).unwrap();
        assert_eq!(concatenation(0, b"hi", tlvs.as_tlvs()), Some(expected));
    }
}
