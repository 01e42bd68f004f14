//! Which addresses a URL of somebody else's may lead to.

use std::net::IpAddr;

/// Whether the Internet reaches an address (IANA's special-purpose registries, RFC 6890): none of this host, of its
/// networks, of its provider's, and no group.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_multicast()
                || address.is_documentation()
                || a == 0
                || a >= 240
                // Shared address space, protocol assignments, benchmarks.
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(address) => {
            // Only 2000::/3 is given to hosts; of it not documentation, and not what hides an IPv4 address (6to4,
            // Teredo).
            let [first, second, ..] = address.segments();
            (first & 0xE000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second == 0 || second == 0x0DB8))
                && !(first == 0x3FFF && second < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_called() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "9.9.9.9",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1",
            "2a00::1",
            "::ffff:9.9.9.9",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
