//! Networks that this host is attached to.

use std::net::IpAddr;

/// Prefixes of the attached networks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links(Vec<(IpAddr, u8)>);

impl Links {
    /// Attached by these addresses, each with the length of its prefix in bits.
    pub fn new(attached: impl IntoIterator<Item = (IpAddr, u8)>) -> Self {
        Self(attached.into_iter().collect())
    }

    /// Whether `address` needs no router: it is in one of the prefixes, link-local, or this host itself.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        link_local
            || address.is_loopback()
            || self
                .0
                .iter()
                .any(|(attached, prefix)| share_prefix(*attached, address, *prefix))
    }
}

fn share_prefix(left: IpAddr, right: IpAddr, length: u8) -> bool {
    let length = u32::from(length);
    match (left, right) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            (left.to_bits() ^ right.to_bits()).leading_zeros() >= length.min(32)
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => {
            (left.to_bits() ^ right.to_bits()).leading_zeros() >= length.min(128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_from_strangers() {
        let links = Links::new([
            ("192.0.2.1".parse().unwrap(), 25),
            ("2001:db8::1".parse().unwrap(), 64),
        ]);
        for near in [
            "192.0.2.127",
            "::ffff:192.0.2.5",
            "2001:db8::99",
            "fe80::1",
            "169.254.1.1",
            "127.0.0.1",
            "::1",
        ] {
            assert!(links.contains(near.parse().unwrap()), "{near}");
        }
        for far in ["192.0.2.128", "198.51.100.1", "2001:db8:0:1::1"] {
            assert!(!links.contains(far.parse().unwrap()), "{far}");
        }
        assert!(!Links::default().contains("192.0.2.1".parse().unwrap()));
    }
}
