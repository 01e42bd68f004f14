//! Where messages to everybody go: one group on IPv4 (RFC 2608 6.1), groups by content and scope on IPv6 (RFC 3111 4.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::agent::Group;

/// The group of all messages on IPv4.
pub const IPV4: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 253);
/// SLPv1: the group of all but discovery of directory agents (RFC 2165 22).
pub const IPV4_V1_GENERAL: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 22);
/// SLPv1: discovery of directory agents (RFC 2165 22).
pub const IPV4_V1_DIRECTORY_AGENTS: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 35);

/// Interface-local scope.
pub const INTERFACE_LOCAL: u8 = 1;
/// Link-local scope.
pub const LINK_LOCAL: u8 = 2;
/// Site-local scope: SLP goes no further (RFC 3111 4.2.2).
pub const SITE_LOCAL: u8 = 5;

const SVRLOC: u16 = 0x0116;
const SVRLOC_DA: u16 = 0x0123;
const SERVICE_LOCATION: u16 = 0x1000;

/// The hash of RFC 3111 4.1: 0 to 1023.
///
/// A request and a registration have to spell a type alike to meet, so callers give the folded type.
pub fn hash(service_type: &str) -> u16 {
    let hash = service_type.bytes().fold(0_u32, |hash, octet| {
        hash.wrapping_mul(33).wrapping_add(u32::from(octet))
    });
    u16::try_from(hash & 0x3FF).unwrap_or_default()
}

/// SVRLOC: requests for attributes and service types.
pub fn general(scope: u8) -> Ipv6Addr {
    address(scope, 0, SVRLOC)
}

/// SVRLOC-DA: requests for directory agents, and their adverts.
pub fn directory_agents(scope: u8) -> Ipv6Addr {
    address(scope, 0, SVRLOC_DA)
}

/// The group of service types with this [`hash`].
pub fn service_location(scope: u8, hash: u16) -> Ipv6Addr {
    address(scope, 1, SERVICE_LOCATION + (hash & 0x3FF))
}

/// The group of a request, in an IPv6 scope.
pub fn ipv6(group: &Group, scope: u8) -> Ipv6Addr {
    match group {
        Group::General => general(scope),
        Group::DirectoryAgents => directory_agents(scope),
        Group::ServiceType(service_type) => {
            let folded = crate::text::fold(service_type);
            service_location(scope, hash(&folded))
        }
    }
}

fn address(scope: u8, high: u16, low: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xFF00 | u16::from(scope & 0x0F), 0, 0, 0, 0, 0, high, low)
}

/// The widest scope that may be sent to, or joined, with this address on an interface (RFC 3111 4.2.1, 4.2.2).
pub fn widest_scope(own: Ipv6Addr) -> u8 {
    match own {
        own if own.is_loopback() => INTERFACE_LOCAL,
        own if own.is_unicast_link_local() => LINK_LOCAL,
        _ => SITE_LOCAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_3111() {
        assert_eq!(hash("service:service-agent"), 0x01D8);
        let group = Group::ServiceType("service:service-agent".into());
        assert_eq!(ipv6(&group, 5).to_string(), "ff05::1:11d8");
        let loud = Group::ServiceType(" Service:Service-Agent".into());
        assert_eq!(ipv6(&loud, 2).to_string(), "ff02::1:11d8");
        assert_eq!(general(1).to_string(), "ff01::116");
        assert_eq!(directory_agents(5).to_string(), "ff05::123");
    }

    #[test]
    fn no_group_is_wider_than_the_address() {
        let widest = |text: &str| widest_scope(text.parse().expect("an address"));
        assert_eq!(widest("::1"), 1);
        assert_eq!(widest("fe80::1"), 2);
        assert_eq!(widest("fd00::1"), 5);
        assert_eq!(widest("2001:db8::1"), 5);
    }
}
