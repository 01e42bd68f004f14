//! Sockets that multicast, one for each address that is fit for it, and sockets that overhear adverts.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tollwire_slp::multicast::{self, LINK_LOCAL, SITE_LOCAL};

use crate::interfaces::Interface;
use crate::settings::Settings;

/// The receive buffer that is asked for: many agents answer at once.
const RECEIVE_BUFFER: usize = 1 << 20;

/// What a socket is for. Two that are equal need but one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Sends to groups from this address of the interface, and gets the answers.
    Ask {
        address: IpAddr,
        interface: u32,
        /// Where broadcasts go, if the interface has such an address.
        broadcast: Option<Ipv4Addr>,
    },
    /// Overhears what is sent to this group on the interface.
    Overhear { group: IpAddr, interface: u32 },
}

/// The sockets that `settings` want on `interfaces`.
pub(crate) fn wanted(settings: &Settings, interfaces: &[Interface]) -> Vec<Use> {
    let named = |interface: &&Interface| {
        interface.multicast
            && (settings.interfaces.is_empty() || settings.interfaces.contains(&interface.name))
    };
    let mut wanted = Vec::new();
    for interface in interfaces.iter().filter(named) {
        let index = interface.index;
        if let Some((address, prefix)) = interface.ipv4.first().filter(|_| settings.ipv4) {
            wanted.push(Use::Ask {
                address: (*address).into(),
                interface: index,
                broadcast: broadcast(*address, *prefix),
            });
            wanted.push(Use::Overhear {
                group: multicast::IPV4.into(),
                interface: index,
            });
        }
        if !settings.ipv6 || settings.broadcast {
            continue;
        }
        // RFC 3111 4.2.2 and 4.2.3: one for each width, since what is answered depends on the source's.
        let mut widths = Vec::new();
        for (address, _) in &interface.ipv6 {
            let width = multicast::widest_scope(*address);
            if !widths.contains(&width) {
                widths.push(width);
                wanted.push(Use::Ask {
                    address: (*address).into(),
                    interface: index,
                    broadcast: None,
                });
            }
        }
        let widest = widths.into_iter().max().unwrap_or_default();
        for scope in [LINK_LOCAL, SITE_LOCAL] {
            if scope <= widest {
                wanted.push(Use::Overhear {
                    group: multicast::directory_agents(scope).into(),
                    interface: index,
                });
            }
        }
    }
    if !(settings.passive && settings.discover) {
        wanted.retain(|one| matches!(one, Use::Ask { .. }));
    }
    wanted
}

fn broadcast(address: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
    let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    // Links of two hosts and of one have none.
    (hosts > 1).then(|| Ipv4Addr::from_bits(address.to_bits() | hosts))
}

/// Opens a socket.
pub(crate) fn open(wanted: Use, settings: &Settings) -> io::Result<UdpSocket> {
    let socket = match wanted {
        Use::Ask {
            address: IpAddr::V4(address),
            ..
        } => {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_multicast_if_v4(&address)?;
            socket.set_multicast_ttl_v4(settings.multicast_ttl.into())?;
            // The agents of this host are asked too.
            socket.set_multicast_loop_v4(true)?;
            socket.set_broadcast(settings.broadcast)?;
            socket.bind(&SocketAddr::from((address, 0)).into())?;
            socket
        }
        Use::Ask {
            address: IpAddr::V6(address),
            interface,
            ..
        } => {
            let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_only_v6(true)?;
            socket.set_multicast_if_v6(interface)?;
            socket.set_multicast_hops_v6(settings.multicast_ttl.into())?;
            socket.set_multicast_loop_v6(true)?;
            let zone = zone_of(address, interface);
            socket.bind(&SocketAddrV6::new(address, 0, 0, zone).into())?;
            socket
        }
        Use::Overhear {
            group: IpAddr::V4(group),
            interface,
        } => {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_reuse_address(true)?;
            // Bound to the group, not to every address: what is sent to this host's own agent stays with it.
            socket.bind(&SocketAddr::from((group, settings.port)).into())?;
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface))?;
            // Linux otherwise gives it what any socket of the host has joined.
            socket.set_multicast_all_v4(false)?;
            socket
        }
        Use::Overhear {
            group: IpAddr::V6(group),
            interface,
        } => {
            let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_only_v6(true)?;
            socket.set_reuse_address(true)?;
            let zone = zone_of(group, interface);
            socket.bind(&SocketAddrV6::new(group, settings.port, 0, zone).into())?;
            socket.join_multicast_v6(&group, interface)?;
            socket.set_multicast_all_v6(false)?;
            socket
        }
    };
    // The kernel may grant less; it is enough for fewer agents then.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// A socket that asks one agent, and hears that agent alone.
pub(crate) async fn connect(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// Where a request goes that is multicast from a socket: to which addresses of a group.
pub(crate) fn destinations(
    one: Use,
    all: &[Use],
    group: &tollwire_slp::agent::Group,
    ipv6_scopes: &[u8],
    settings: &Settings,
) -> Vec<SocketAddr> {
    match one {
        Use::Overhear { .. } => Vec::new(),
        Use::Ask {
            address: IpAddr::V4(_),
            broadcast,
            ..
        } => {
            let to = match (settings.broadcast, broadcast) {
                (false, _) => multicast::IPV4,
                (true, Some(broadcast)) => broadcast,
                (true, None) => return Vec::new(),
            };
            vec![(to, settings.port).into()]
        }
        Use::Ask {
            address: IpAddr::V6(own),
            interface,
            ..
        } => {
            let widths: Vec<u8> = all
                .iter()
                .filter_map(|other| match other {
                    Use::Ask {
                        address: IpAddr::V6(address),
                        interface: its,
                        ..
                    } if *its == interface => Some(multicast::widest_scope(*address)),
                    _ => None,
                })
                .collect();
            let widest = widths.iter().copied().max().unwrap_or_default();
            let mut scopes = Vec::new();
            for scope in ipv6_scopes {
                let scope = (*scope).min(widest);
                // The narrowest address that may send so wide: agents tell link-local services to it alone.
                let sender = widths.iter().copied().filter(|width| *width >= scope).min();
                if sender == Some(multicast::widest_scope(own)) && !scopes.contains(&scope) {
                    scopes.push(scope);
                }
            }
            scopes
                .into_iter()
                .map(|scope| {
                    let to = multicast::ipv6(group, scope);
                    SocketAddrV6::new(to, settings.port, 0, interface).into()
                })
                .collect()
        }
    }
}

/// Addresses and groups within a link or an interface mean one only with its index.
fn zone_of(address: Ipv6Addr, interface: u32) -> u32 {
    let narrow_group =
        address.is_multicast() && address.octets().get(1).is_some_and(|o| o & 0xF <= 2);
    if address.is_unicast_link_local() || narrow_group {
        interface
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollwire_slp::agent::Group;

    fn interface(ipv6: &[&str]) -> Interface {
        Interface {
            name: "eth0".into(),
            index: 2,
            multicast: true,
            ipv4: vec![("192.0.2.5".parse().unwrap(), 24)],
            ipv6: ipv6
                .iter()
                .map(|address| (address.parse().unwrap(), 64))
                .collect(),
        }
    }

    fn sent(interface: &Interface, scopes: &[u8]) -> Vec<(String, String)> {
        let settings = Settings::default();
        let all = wanted(&settings, std::slice::from_ref(interface));
        all.iter()
            .flat_map(|one| {
                let Use::Ask { address, .. } = one else {
                    return Vec::new();
                };
                destinations(*one, &all, &Group::DirectoryAgents, scopes, &settings)
                    .into_iter()
                    .map(|to| (address.to_string(), to.ip().to_string()))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn each_scope_is_sent_to_from_the_narrowest_address_that_may() {
        let both = interface(&["2001:db8::5", "fe80::5", "2001:db8::6"]);
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            sent(&both, &[1, 2]),
            [
                pair("192.0.2.5", "239.255.255.253"),
                pair("fe80::5", "ff01::123"),
                pair("fe80::5", "ff02::123"),
            ]
        );
        assert_eq!(
            sent(&both, &[5]),
            [
                pair("192.0.2.5", "239.255.255.253"),
                pair("2001:db8::5", "ff05::123"),
            ]
        );
        let narrow = interface(&["fe80::5"]);
        assert_eq!(
            sent(&narrow, &[5]),
            [
                pair("192.0.2.5", "239.255.255.253"),
                pair("fe80::5", "ff02::123"),
            ]
        );
    }

    #[test]
    fn broadcasts_go_to_the_networks_own_address() {
        assert_eq!(
            broadcast("192.0.2.5".parse().unwrap(), 25),
            Some("192.0.2.127".parse().unwrap())
        );
        assert_eq!(broadcast("192.0.2.5".parse().unwrap(), 31), None);
        assert_eq!(broadcast("192.0.2.5".parse().unwrap(), 32), None);
    }

    #[test]
    fn what_is_not_wanted_is_not_opened() {
        let both = interface(&["2001:db8::5", "fe80::5"]);
        let count = |settings: &Settings| wanted(settings, std::slice::from_ref(&both)).len();
        // IPv4, two widths of IPv6; three groups to overhear.
        assert_eq!(count(&Settings::default()), 6);
        let passive = Settings {
            passive: false,
            ..Settings::default()
        };
        assert_eq!(count(&passive), 3);
        let other = Settings {
            interfaces: vec!["eth1".into()],
            ..Settings::default()
        };
        assert_eq!(count(&other), 0);
        let ipv4 = Settings {
            ipv6: false,
            ..passive
        };
        assert_eq!(count(&ipv4), 1);
    }
}
