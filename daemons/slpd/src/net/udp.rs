//! Datagrams of one address family, many in one call.

use std::collections::BTreeSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use bytes::Bytes;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
    sendmmsg, setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Datagrams in one call.
const BATCH: usize = 64;
/// Octets of the kernel's queues: room for what comes while a turn is worked on.
const QUEUE: usize = 1 << 20;

/// A datagram that came.
#[derive(Debug)]
pub struct Received {
    /// What it is.
    pub octets: Bytes,
    /// Who sent it.
    pub remote: SocketAddr,
    /// Where it was sent to.
    pub local: IpAddr,
    /// Index of the interface it came by.
    pub interface: u32,
}

/// A datagram to send.
#[derive(Debug)]
pub struct Datagram {
    /// What it is.
    pub octets: Vec<u8>,
    /// Whom to.
    pub remote: SocketAddr,
    /// From this address; the system's choice, if there is none.
    pub source: Option<IpAddr>,
    /// By this interface; zero is the system's choice.
    pub interface: u32,
}

/// A socket.
pub struct Udp {
    socket: UdpSocket,
    ipv6: bool,
    buffers: Vec<Vec<u8>>,
    headers: MultiHeaders<SockaddrStorage>,
    joined: BTreeSet<(IpAddr, u32)>,
}

impl std::fmt::Debug for Udp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Udp")
            .field("ipv6", &self.ipv6)
            .finish_non_exhaustive()
    }
}

impl Udp {
    /// Binds every address of the family, for datagrams of at most `largest` octets.
    ///
    /// # Errors
    /// What the system says: the port is somebody else's, or needs a privilege.
    pub fn bind(ipv6: bool, port: u16, largest: usize, ttl: u8) -> io::Result<Self> {
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        // User agents of this host hear adverts on the same port (RFC 2608 6.1).
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        let _ = socket.set_recv_buffer_size(QUEUE);
        let _ = socket.set_send_buffer_size(QUEUE);
        let any: IpAddr = if ipv6 {
            socket.set_only_v6(true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            socket.set_multicast_hops_v6(u32::from(ttl))?;
            socket.set_multicast_loop_v6(true)?;
            socket.set_multicast_all_v6(false)?;
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            socket.set_multicast_ttl_v4(u32::from(ttl))?;
            socket.set_multicast_loop_v4(true)?;
            // Only what was joined here, by the interface it was joined on.
            socket.set_multicast_all_v4(false)?;
            socket.set_broadcast(true)?;
            Ipv4Addr::UNSPECIFIED.into()
        };
        socket.bind(&SocketAddr::new(any, port).into())?;
        let space = nix::cmsg_space!(libc::in6_pktinfo);
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            ipv6,
            // One octet more, so that what is too large is seen to be.
            buffers: vec![vec![0; largest + 1]; BATCH],
            headers: MultiHeaders::preallocate(BATCH, Some(space)),
            joined: BTreeSet::new(),
        })
    }

    /// The port it has.
    ///
    /// # Errors
    /// What the system says.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Is in these groups, each by an interface, and in no others.
    pub fn set_groups(&mut self, groups: &BTreeSet<(IpAddr, u32)>) {
        let socket = SockRef::from(&self.socket);
        for (group, interface) in self.joined.difference(groups) {
            // With its interface it may be gone already.
            let _ = membership(&socket, *group, *interface, false);
        }
        let mut joined: BTreeSet<(IpAddr, u32)> =
            self.joined.intersection(groups).copied().collect();
        for (group, interface) in groups.difference(&self.joined) {
            match membership(&socket, *group, *interface, true) {
                Ok(()) => {
                    joined.insert((*group, *interface));
                }
                Err(error) => {
                    tracing::warn!(%group, interface, %error, "cannot join the group");
                }
            }
        }
        self.joined = joined;
    }

    /// Waits for datagrams, and takes as many as one call gives. Cancel safe.
    pub async fn receive(&mut self, received: &mut Vec<Received>) {
        loop {
            if self.socket.readable().await.is_err() {
                return std::future::pending().await;
            }
            let fd = self.socket.as_raw_fd();
            let (headers, buffers) = (&mut self.headers, &mut self.buffers);
            let taken = self.socket.try_io(Interest::READABLE, || {
                receive(fd, headers, buffers, received).map_err(io::Error::from)
            });
            // An error is that there was nothing, or ICMP's news of an earlier datagram: the next call is another.
            if taken.is_ok() {
                return;
            }
        }
    }

    /// Sends; what the system does not take now is lost, as datagrams are.
    ///
    /// How many were lost.
    pub fn send(&self, datagrams: &[Datagram]) -> usize {
        let mut lost = 0;
        let mut rest = datagrams;
        while let Some(first) = rest.first() {
            let alike = rest
                .iter()
                .take(BATCH)
                .take_while(|next| next.source == first.source && next.interface == first.interface)
                .count();
            let (batch, behind) = rest.split_at_checked(alike).unwrap_or((rest, &[]));
            lost += self.send_alike(batch);
            rest = behind;
        }
        lost
    }

    fn send_alike(&self, datagrams: &[Datagram]) -> usize {
        let Some(first) = datagrams.first() else {
            return 0;
        };
        let addresses: Vec<Option<SockaddrStorage>> = datagrams
            .iter()
            .map(|datagram| Some(SockaddrStorage::from(datagram.remote)))
            .collect();
        let interface = i32::try_from(first.interface).unwrap_or(0);
        let (v4, v6);
        let control = match (self.ipv6, first.source) {
            (false, source) => {
                let source = match source {
                    Some(IpAddr::V4(source)) => source,
                    _ => Ipv4Addr::UNSPECIFIED,
                };
                v4 = libc::in_pktinfo {
                    ipi_ifindex: interface,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(source.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                ControlMessage::Ipv4PacketInfo(&v4)
            }
            (true, source) => {
                let source = match source {
                    Some(IpAddr::V6(source)) => source,
                    _ => Ipv6Addr::UNSPECIFIED,
                };
                v6 = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: source.octets(),
                    },
                    ipi6_ifindex: first.interface,
                };
                ControlMessage::Ipv6PacketInfo(&v6)
            }
        };
        let space = nix::cmsg_space!(libc::in6_pktinfo);
        let mut headers = MultiHeaders::preallocate(datagrams.len(), Some(space));
        let slices: Vec<[IoSlice<'_>; 1]> = datagrams
            .iter()
            .map(|datagram| [IoSlice::new(&datagram.octets)])
            .collect();
        let fd = self.socket.as_raw_fd();
        let mut sent = 0;
        // One that cannot be sent ends the call: it is passed over, and the rest goes on.
        while sent < datagrams.len() {
            let result = sendmmsg(
                fd,
                &mut headers,
                slices.get(sent..).unwrap_or_default(),
                addresses.get(sent..).unwrap_or_default(),
                [control],
                MsgFlags::MSG_DONTWAIT,
            );
            match result.map(|results| results.count()) {
                Ok(0) | Err(nix::Error::EAGAIN) => break,
                Ok(count) => sent += count,
                Err(error) => {
                    tracing::debug!(%error, "a datagram cannot be sent");
                    return 1 + datagrams
                        .get(sent + 1..)
                        .map_or(0, |rest| self.send_alike(rest));
                }
            }
        }
        datagrams.len() - sent
    }
}

fn receive(
    fd: i32,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &mut [Vec<u8>],
    received: &mut Vec<Received>,
) -> Result<usize, nix::Error> {
    let largest = buffers.first().map_or(0, |buffer| buffer.len() - 1);
    let mut found: Vec<(usize, SocketAddr, IpAddr, u32)> = Vec::with_capacity(BATCH);
    let mut count = 0;
    {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let results = recvmmsg(fd, headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        for message in results {
            count += 1;
            let remote = message.address.as_ref().and_then(address_of);
            let (Some(remote), Ok(control)) = (remote, message.cmsgs()) else {
                found.push((0, SocketAddr::from(([0; 4], 0)), IpAddr::from([0; 4]), 0));
                continue;
            };
            let mut to: Option<(IpAddr, u32)> = None;
            for control in control {
                match control {
                    ControlMessageOwned::Ipv4PacketInfo(info) => {
                        let address = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
                        let interface = u32::try_from(info.ipi_ifindex).unwrap_or(0);
                        to = Some((address.into(), interface));
                    }
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                        to = Some((address.into(), info.ipi6_ifindex));
                    }
                    _ => {}
                }
            }
            let (local, interface) = to.unwrap_or((IpAddr::from([0; 4]), 0));
            found.push((message.bytes, remote, local, interface));
        }
    }
    for ((length, remote, local, interface), buffer) in found.into_iter().zip(buffers) {
        // Nothing is as short as nothing, and nobody sends more than his MTU.
        if length == 0 || length > largest {
            continue;
        }
        received.push(Received {
            octets: Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default()),
            remote,
            local,
            interface,
        });
    }
    Ok(count)
}

fn address_of(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    storage
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::V6((*v6).into()))
}

fn membership(socket: &Socket, group: IpAddr, interface: u32, join: bool) -> io::Result<()> {
    let by = InterfaceIndexOrAddress::Index(interface);
    match (group, join) {
        (IpAddr::V4(group), true) => socket.join_multicast_v4_n(&group, &by),
        (IpAddr::V4(group), false) => socket.leave_multicast_v4_n(&group, &by),
        (IpAddr::V6(group), true) => socket.join_multicast_v6(&group, interface),
        (IpAddr::V6(group), false) => socket.leave_multicast_v6(&group, interface),
    }
}
