//! A media flow: one direction between two transport addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What a gate matches: source and destination address and port of UDP datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    source: End,
    destination: End,
}

/// Address and port in eighteen octets; sessions have many of them. IPv4 addresses are mapped (RFC 4291 2.5.5.2), and
/// no mapped address is taken for an IPv6 one: it never stands in a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct End([u8; 16], u16);

impl From<SocketAddr> for End {
    fn from(address: SocketAddr) -> Self {
        let octets = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        Self(octets, address.port())
    }
}

impl From<End> for SocketAddr {
    fn from(end: End) -> Self {
        Self::new(Ipv6Addr::from(end.0).to_canonical(), end.1)
    }
}

/// The address family of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Ip4,
    /// IPv6.
    Ip6,
}

impl FlowKey {
    /// The key, if both ends are of one family.
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Option<Self> {
        (source.is_ipv4() == destination.is_ipv4()).then_some(Self {
            source: source.into(),
            destination: destination.into(),
        })
    }

    /// Where the datagrams come from.
    pub fn source(&self) -> SocketAddr {
        self.source.into()
    }

    /// Where they go.
    pub fn destination(&self) -> SocketAddr {
        self.destination.into()
    }

    /// The family of both ends.
    pub fn family(&self) -> Family {
        if self.source().is_ipv4() {
            Family::Ip4
        } else {
            Family::Ip6
        }
    }

    /// The set element's key: saddr . sport . daddr . dport, each padded to four octets.
    pub fn to_octets(self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(40);
        for end in [self.source(), self.destination()] {
            match end.ip() {
                IpAddr::V4(address) => octets.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => octets.extend_from_slice(&address.octets()),
            }
            octets.extend_from_slice(&end.port().to_be_bytes());
            octets.extend_from_slice(&[0, 0]);
        }
        octets
    }

    /// Reads what [`FlowKey::to_octets`] writes.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let half = octets.len() / 2;
        let (source, destination) = octets.split_at_checked(half)?;
        let end = |octets: &[u8]| -> Option<SocketAddr> {
            let (address, port) = octets.split_at_checked(octets.len().checked_sub(4)?)?;
            let port = u16::from_be_bytes(*port.first_chunk()?);
            let address: IpAddr = match address.len() {
                4 => <[u8; 4]>::try_from(address).ok()?.into(),
                16 => <[u8; 16]>::try_from(address).ok()?.into(),
                _ => return None,
            };
            Some(SocketAddr::new(address, port))
        };
        Self::new(end(source)?, end(destination)?)
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} > {}", self.source(), self.destination())
    }
}

/// What passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Packets.
    pub packets: u64,
    /// Octets, IP header included.
    pub octets: u64,
}

impl Usage {
    /// Both sums.
    pub fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_add(other.packets),
            octets: self.octets.saturating_add(other.octets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_padded_fields_in_order() {
        let key = FlowKey::new(
            "192.0.2.1:4660".parse().unwrap(),
            "198.51.100.2:22136".parse().unwrap(),
        )
        .unwrap();
        let octets = [
            192, 0, 2, 1, 0x12, 0x34, 0, 0, 198, 51, 100, 2, 0x56, 0x78, 0, 0,
        ];
        assert_eq!(key.to_octets(), octets);
        assert_eq!(FlowKey::from_octets(&octets), Some(key));
        let key6 = FlowKey::new(
            "[2001:db8::1]:1".parse().unwrap(),
            "[2001:db8::2]:2".parse().unwrap(),
        )
        .unwrap();
        assert_eq!(key6.to_octets().len(), 40);
        assert_eq!(FlowKey::from_octets(&key6.to_octets()), Some(key6));
        for length in 0..16 {
            assert_eq!(FlowKey::from_octets(&octets[..length]), None);
        }
        assert_eq!(FlowKey::new(key.source(), key6.source()), None);
    }
}
