//! Netlink attributes (RFC 3549 2.3.2; linux/netfilter/nf_tables.h): type, length, value, padded to four octets.

/// Writes attributes, nested ones included.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    octets: Vec<u8>,
}

const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

impl Attributes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.octets.extend_from_slice(&length.to_ne_bytes());
        self.octets.extend_from_slice(&kind.to_ne_bytes());
        self.octets.extend_from_slice(value);
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        let mut octets = value.as_bytes().to_vec();
        octets.push(0);
        self.bytes(kind, &octets)
    }

    /// nf_tables' integers are in network byte order.
    pub(super) fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn u64(self, kind: u16, value: u64) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn nested(self, kind: u16, inner: impl std::borrow::Borrow<Self>) -> Self {
        self.bytes(kind | NESTED, &inner.borrow().octets)
    }

    /// Another's attributes after these.
    pub(super) fn append(&mut self, other: &Self) {
        self.octets.extend_from_slice(&other.octets);
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// Reads attributes: each with its type and value. Ends at the first that does not fit.
pub(super) fn read(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, rest) = octets.split_first_chunk::<2>()?;
        let (kind, _) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let value = octets.get(4..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes(*kind) & TYPE_MASK, value))
    })
}

/// The value of the first attribute of `kind`.
pub(super) fn find(octets: &[u8], kind: u16) -> Option<&[u8]> {
    read(octets)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

pub(super) fn number(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 => Some(u64::from(u32::from_be_bytes(value.try_into().ok()?))),
        8 => Some(u64::from_be_bytes(value.try_into().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_both_ways() {
        let octets = Attributes::new()
            .text(1, "ab")
            .nested(2, Attributes::new().u32(3, 7).u64(4, 9))
            .octets()
            .to_vec();
        assert_eq!(octets.len(), 8 + 4 + 8 + 12);
        assert_eq!(find(&octets, 1), Some(&b"ab\0"[..]));
        let inner = find(&octets, 2).unwrap();
        assert_eq!(find(inner, 3).and_then(number), Some(7));
        assert_eq!(find(inner, 4).and_then(number), Some(9));
        assert_eq!(find(inner, 5), None);
        for length in 0..octets.len() {
            assert!(read(&octets[..length]).count() <= 2);
        }
        assert_eq!(read(&[1, 0, 0, 0]).count(), 0);
    }
}
