//! The interfaces of this host, their addresses, and news of both.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use crate::event::Attachment;

/// Octets of the headers of IP and UDP.
const HEADERS_V4: usize = 28;
const HEADERS_V6: usize = 48;

/// What of this host speaks SLP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Names of interfaces; empty is every one that can multicast, and loopback.
    pub names: Vec<String>,
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

impl Served {
    /// The addresses that are served now.
    ///
    /// # Errors
    /// What the system says.
    pub fn attachments(&self) -> io::Result<Vec<Attachment>> {
        let mut found = Vec::new();
        let mut mtus: BTreeMap<String, usize> = BTreeMap::new();
        for address in getifaddrs()? {
            if !address.flags.contains(InterfaceFlags::IFF_UP) || !self.serves(&address) {
                continue;
            }
            let Some((ip, prefix)) = ip_of(&address) else {
                continue;
            };
            let wanted = match ip {
                IpAddr::V4(_) => self.ipv4,
                IpAddr::V6(_) => self.ipv6,
            };
            if !wanted {
                continue;
            }
            let interface = if_nametoindex(address.interface_name.as_str())?;
            let link = *mtus
                .entry(address.interface_name.clone())
                .or_insert_with(|| link_mtu(&address.interface_name));
            let headers = match ip {
                IpAddr::V4(_) => HEADERS_V4,
                IpAddr::V6(_) => HEADERS_V6,
            };
            found.push(Attachment {
                interface,
                address: ip,
                prefix,
                mtu: link.saturating_sub(headers),
                loopback: address.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            });
        }
        found.sort_by_key(|attachment| (attachment.interface, attachment.address));
        Ok(found)
    }

    fn serves(&self, address: &nix::ifaddrs::InterfaceAddress) -> bool {
        let flags = address.flags;
        match self.names.is_empty() {
            true => flags.intersects(InterfaceFlags::IFF_MULTICAST | InterfaceFlags::IFF_LOOPBACK),
            false => self.names.contains(&address.interface_name),
        }
    }

    /// Names that the configuration has and this host has not.
    pub fn missing(&self) -> Vec<&str> {
        self.names
            .iter()
            .filter(|name| if_nametoindex(name.as_str()).is_err())
            .map(String::as_str)
            .collect()
    }
}

fn ip_of(address: &nix::ifaddrs::InterfaceAddress) -> Option<(IpAddr, u8)> {
    let own = address.address.as_ref()?;
    let mask = address.netmask.as_ref();
    if let Some(v4) = own.as_sockaddr_in() {
        let mask = mask.and_then(|mask| mask.as_sockaddr_in().map(|mask| mask.ip()));
        let bits = mask.map_or(32, |mask| u32::from(mask).leading_ones());
        return Some((v4.ip().into(), u8::try_from(bits).unwrap_or(32)));
    }
    let v6 = own.as_sockaddr_in6()?;
    let mask: Option<Ipv6Addr> = mask.and_then(|mask| mask.as_sockaddr_in6().map(|mask| mask.ip()));
    let bits = mask.map_or(128, |mask| u128::from(mask).leading_ones());
    Some((v6.ip().into(), u8::try_from(bits).unwrap_or(128)))
}

/// The link's MTU; where it cannot be read, the least that IPv6 allows.
fn link_mtu(name: &str) -> usize {
    std::fs::read_to_string(format!("/sys/class/net/{name}/mtu"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1_280)
}

/// Says when links or addresses change (rtnetlink(7)).
#[derive(Debug)]
pub struct Changes {
    // Whatever its family: tokio waits for it, and nothing is read through this type.
    socket: UnixDatagram,
}

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

impl Changes {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkRoute,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Self {
            socket: UnixDatagram::from_std(std::os::unix::net::UnixDatagram::from(socket))?,
        })
    }

    /// Waits for a change; what it was is not looked at. Cancel safe.
    pub async fn next(&self) {
        if self.socket.readable().await.is_err() {
            return std::future::pending().await;
        }
        let mut buffer = [0_u8; 8_192];
        let fd = self.socket.as_raw_fd();
        // Until there is no more. An overrun is a change too.
        while self
            .socket
            .try_io(Interest::READABLE, || {
                recv(fd, &mut buffer, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from)
            })
            .is_ok_and(|octets| octets > 0)
        {}
    }
}
