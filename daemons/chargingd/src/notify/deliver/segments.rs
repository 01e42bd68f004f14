//! A text as short messages (3GPP TS 23.040 section 9.2.3.24.1, TS 23.038).

use tollwire_smpp::data_coding::{ESM_CLASS_UDHI, encode_gsm_7bit};

/// Segments of one text; what is longer is cut off.
const MAX_SEGMENTS: usize = 10;
const GSM_7BIT: u8 = 0x00;
const UCS2: u8 = 0x08;
const ESCAPE: u8 = 0x1B;

/// One short message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) esm_class: u8,
    pub(super) data_coding: u8,
    /// With its user data header.
    pub(super) payload: Vec<u8>,
}

/// Cuts a text: 160 septets in one message or 153 in each of several; 70 UTF-16 units or 67 if the GSM alphabet does
/// not have all its characters. `reference` holds the segments together.
pub(super) fn segments(text: &str, reference: u8) -> Vec<Segment> {
    let (data_coding, parts) = match encode_gsm_7bit(text) {
        Some(septets) => (
            GSM_7BIT,
            pieces(
                &septets,
                160,
                153,
                |last| last == ESCAPE,
                |octet| vec![octet],
            ),
        ),
        None => {
            let units: Vec<u16> = text.encode_utf16().collect();
            let is_high = |unit: u16| (0xD800..0xDC00).contains(&unit);
            (
                UCS2,
                pieces(&units, 70, 67, is_high, |unit| unit.to_be_bytes().to_vec()),
            )
        }
    };
    let total = u8::try_from(parts.len()).unwrap_or(u8::MAX);
    if total == 1 {
        return parts
            .into_iter()
            .map(|payload| Segment {
                esm_class: 0,
                data_coding,
                payload,
            })
            .collect();
    }
    (1..=total)
        .zip(parts)
        .map(|(number, part)| {
            let mut payload = vec![0x05, 0x00, 0x03, reference, total, number];
            payload.extend(part);
            Segment {
                esm_class: ESM_CLASS_UDHI,
                data_coding,
                payload,
            }
        })
        .collect()
}

/// Cuts `all` into pieces of `several`, unless it fits in `one`; a piece does not end with what `binds` to the next.
fn pieces<T: Copy>(
    all: &[T],
    one: usize,
    several: usize,
    binds: impl Fn(T) -> bool,
    octets: impl Fn(T) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let written = |piece: &[T]| piece.iter().flat_map(|one| octets(*one)).collect();
    if all.len() <= one {
        return vec![written(all)];
    }
    let mut parts = Vec::new();
    let mut rest = all;
    while !rest.is_empty() && parts.len() < MAX_SEGMENTS {
        let mut end = several.min(rest.len());
        let last = end.checked_sub(1).and_then(|last| rest.get(last));
        if end < rest.len() && last.is_some_and(|last| binds(*last)) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        parts.push(written(piece));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollwire_smpp::Tlvs;
    use tollwire_smpp::data_coding::{self, Concatenation};

    fn together(segments: &[Segment]) -> String {
        let text = segments.iter().map(|segment| {
            data_coding::text(segment.data_coding, segment.esm_class, &segment.payload).unwrap()
        });
        text.collect()
    }

    #[test]
    fn a_short_text_is_one_message() {
        for (text, data_coding) in [
            ("a".repeat(160), GSM_7BIT),
            ("€".repeat(80), GSM_7BIT),
            ("ж".repeat(70), UCS2),
        ] {
            let [segment] = &segments(&text, 7)[..] else {
                panic!("{text}")
            };
            assert_eq!((segment.esm_class, segment.data_coding), (0, data_coding));
            assert_eq!(together(&segments(&text, 7)), text);
        }
    }

    #[test]
    fn a_long_text_is_several_that_belong_together() {
        for (text, count) in [
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            // An escape is not parted from what follows it: 76 pairs in each.
            ("€".repeat(160), 3),
            ("ж".repeat(71), 2),
            ("😀".repeat(36), 2),
            ("😀".repeat(67), 3),
        ] {
            let all = segments(&text, 7);
            assert_eq!(all.len(), count, "{text}");
            assert_eq!(together(&all), text);
            for (number, segment) in (1..).zip(&all) {
                assert!(segment.payload.len() <= 6 + 153);
                let found =
                    data_coding::concatenation(segment.esm_class, &segment.payload, Tlvs::EMPTY);
                let total = u8::try_from(count).unwrap();
                assert_eq!(
                    found,
                    Some(Concatenation {
                        reference: 7,
                        total,
                        number
                    })
                );
            }
        }
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(segments(&"a".repeat(5000), 7).len(), MAX_SEGMENTS);
    }
}
