/// The GSM 7-bit default alphabet (3GPP TS 23.038 section 6.2.1).
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Its extension table: what follows an escape (section 6.2.1.1).
const EXTENSION: &[(u8, char)] = &[
    (0x0A, '\u{0C}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

const ESCAPE: u8 = 0x1B;

/// The text of unpacked septets, an octet each. What is no septet becomes U+FFFD; an escape to a character that the
/// table does not have shows that of the default alphabet, and a lone escape a space (TS 23.038 section 6.2.1.1).
pub fn decode(octets: &[u8]) -> String {
    let basic: Vec<char> = BASIC.chars().collect();
    let character = |octet: u8| {
        let found = basic.get(usize::from(octet)).copied();
        found.unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        text.push(match octet {
            ESCAPE => match octets.next() {
                None | Some(ESCAPE) => ' ',
                Some(next) => EXTENSION
                    .iter()
                    .find(|(octet, _)| *octet == next)
                    .map_or_else(|| character(next), |(_, character)| *character),
            },
            octet => character(octet),
        });
    }
    text
}

/// Septets that a character takes: 1, 2 if it needs an escape, `None` if the alphabet does not have it.
pub fn septets(character: char) -> Option<usize> {
    if character != '\u{1b}' && BASIC.contains(character) {
        Some(1)
    } else {
        EXTENSION
            .iter()
            .any(|(_, extended)| *extended == character)
            .then_some(2)
    }
}

/// The unpacked septets of a text, an octet each; `None` if the alphabet does not have all its characters.
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    for character in text.chars() {
        let basic = BASIC.chars().position(|basic| basic == character);
        match basic.and_then(|place| u8::try_from(place).ok()) {
            Some(ESCAPE) => return None,
            Some(octet) => octets.push(octet),
            None => {
                let (octet, _) = EXTENSION.iter().find(|(_, other)| *other == character)?;
                octets.extend([ESCAPE, *octet]);
            }
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_128_places() {
        assert_eq!(BASIC.chars().count(), 128);
        let octets: Vec<u8> = (0..128).filter(|octet| *octet != ESCAPE).collect();
        let text = decode(&octets);
        assert_eq!(text.chars().count(), 127);
        assert!(text.chars().all(|character| septets(character) == Some(1)));
        // Where it differs from ASCII, and where it does not.
        assert_eq!(decode(b"AZaz09 !?"), "AZaz09 !?");
        assert_eq!(
            decode(&[0x00, 0x02, 0x11, 0x24, 0x40, 0x5B, 0x60, 0x7F]),
            "@$_¤¡Ä¿à"
        );
    }

    #[test]
    fn escapes() {
        for (octet, character) in EXTENSION {
            assert_eq!(decode(&[ESCAPE, *octet]), character.to_string());
            assert_eq!(septets(*character), Some(2));
        }
        let all: String = BASIC.chars().filter(|basic| *basic != '\u{1b}').collect();
        let all = all + "^{}\\[~]|€\u{0c}";
        assert_eq!(decode(&encode(&all).unwrap()), all);
        assert_eq!(encode("ç"), None);
        assert_eq!(encode("\u{1b}"), None);
        assert_eq!(decode(&[ESCAPE, b'a']), "a");
        assert_eq!(decode(&[ESCAPE]), " ");
        assert_eq!(decode(&[0x80]), "\u{fffd}");
        assert_eq!(septets('ç'), None);
        assert_eq!(septets('Ç'), Some(1));
    }
}
