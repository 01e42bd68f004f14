//! The addresses of this host, by interface.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

/// An interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
    /// Whether multicast goes by it; over loopback it does, whatever its flags say.
    pub(crate) multicast: bool,
    /// IPv4 addresses, with the length of their prefix.
    pub(crate) ipv4: Vec<(Ipv4Addr, u8)>,
    /// IPv6 addresses, with the length of their prefix.
    pub(crate) ipv6: Vec<(Ipv6Addr, u8)>,
}

impl Interface {
    /// All addresses, with the length of their prefix.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let ipv4 = self.ipv4.iter();
        let ipv6 = self.ipv6.iter();
        ipv4.map(|(address, prefix)| (IpAddr::V4(*address), *prefix))
            .chain(ipv6.map(|(address, prefix)| (IpAddr::V6(*address), *prefix)))
    }
}

/// The interfaces that are up and have an address.
pub(crate) fn list() -> io::Result<Vec<Interface>> {
    let mut interfaces: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs()? {
        let Some(address) = entry.address.as_ref().and_then(ip_of) else {
            continue;
        };
        if !entry.flags.contains(InterfaceFlags::IFF_UP) {
            continue;
        }
        let prefix = entry.netmask.as_ref().and_then(ip_of);
        // An interface may go between the two calls.
        let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else {
            continue;
        };
        let loopback = entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        let interface = interfaces
            .entry(entry.interface_name.clone())
            .or_insert_with(|| Interface {
                name: entry.interface_name.clone(),
                index,
                multicast: loopback || entry.flags.contains(InterfaceFlags::IFF_MULTICAST),
                ipv4: Vec::new(),
                ipv6: Vec::new(),
            });
        match (address, prefix) {
            (IpAddr::V4(address), Some(IpAddr::V4(mask))) => {
                interface.ipv4.push((address, ones(mask.to_bits().into())));
            }
            (IpAddr::V6(address), Some(IpAddr::V6(mask))) => {
                interface.ipv6.push((address, ones(mask.to_bits())));
            }
            (IpAddr::V4(address), _) => interface.ipv4.push((address, 32)),
            (IpAddr::V6(address), _) => interface.ipv6.push((address, 128)),
        }
    }
    Ok(interfaces.into_values().collect())
}

fn ones(mask: u128) -> u8 {
    u8::try_from(mask.count_ones()).unwrap_or(128)
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(address) = address.as_sockaddr_in() {
        return Some(IpAddr::V4(address.ip()));
    }
    address
        .as_sockaddr_in6()
        .map(|address| IpAddr::V6(address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_and_multicasts() {
        let interfaces = list().unwrap();
        let loopback = interfaces
            .iter()
            .find(|interface| interface.name == "lo")
            .unwrap();
        assert!(loopback.multicast);
        assert!(
            loopback
                .addresses()
                .any(|address| address == (IpAddr::V4(Ipv4Addr::LOCALHOST), 8))
        );
    }
}
