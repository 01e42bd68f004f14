//! Sockets: what comes in is an [`Arrived`], what goes out is an effect.

pub mod interfaces;
pub mod stream;
pub mod udp;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;
use tollwire_runtime::admin::{self, SocketFile};
use tollwire_slp::agent::{Group, Links};
use tollwire_slp::multicast;

use self::interfaces::{Changes, Served};
use self::stream::{Bounds, StreamEvent, Streams, canonical};
use self::udp::{Datagram, Received, Udp};
use crate::event::{Arrived, Attachment, Channel, ConnectionId};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 256;
/// Events of streams that wait; each is one read.
const EVENTS: usize = 256;

/// What sockets are made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Interfaces and families.
    pub served: Served,
    /// UDP and TCP.
    pub port: u16,
    /// Octets of a datagram.
    pub largest: usize,
    /// TTL and hop limit of what is multicast.
    pub multicast_ttl: u8,
    /// Broadcast instead of multicast.
    pub broadcast: bool,
    /// Whether the groups of SLPv1 are joined.
    pub slpv1: bool,
    /// The registration socket, if there is one.
    pub registration_socket: Option<PathBuf>,
    /// Of streams.
    pub bounds: Bounds,
}

/// Something from outside.
#[derive(Debug)]
pub enum NetEvent {
    /// Messages.
    Arrived(Vec<Arrived>),
    /// Messages of one stream, which reads on when [`Net::handled`] is called.
    Stream(ConnectionId, Vec<Arrived>),
    /// A stream that we made is gone.
    Disconnected(ConnectionId),
    /// The addresses are others.
    Attached(Vec<Attachment>),
}

/// All sockets.
#[derive(Debug)]
pub struct Net {
    wanted: Wanted,
    attachments: Vec<Attachment>,
    v4: Option<Udp>,
    v6: Option<Udp>,
    tcp_v4: Option<TcpListener>,
    tcp_v6: Option<TcpListener>,
    local: Option<(UnixListener, SocketFile)>,
    streams: Streams,
    stream_events: mpsc::Receiver<StreamEvent>,
    changes: Changes,
    /// Hashes of the types that requests are heard for (RFC 3111 4.2.1).
    hashes: BTreeSet<u16>,
    lost: u64,
}

impl Net {
    /// Opens everything.
    ///
    /// # Errors
    /// Which socket, and what the system says.
    pub fn open(wanted: Wanted) -> io::Result<Self> {
        let port = wanted.port;
        let named = |what: String| {
            move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"))
        };
        for name in wanted.served.missing() {
            tracing::warn!(interface = name, "there is no such interface yet");
        }
        let udp = |ipv6: bool| {
            Udp::bind(ipv6, port, wanted.largest, wanted.multicast_ttl)
                .map_err(named(format!("UDP port {port}")))
        };
        let tcp = |ipv6: bool| listen(ipv6, port).map_err(named(format!("TCP port {port}")));
        let v4 = wanted.served.ipv4.then(|| udp(false)).transpose()?;
        let v6 = wanted.served.ipv6.then(|| udp(true)).transpose()?;
        let tcp_v4 = wanted.served.ipv4.then(|| tcp(false)).transpose()?;
        let tcp_v6 = wanted.served.ipv6.then(|| tcp(true)).transpose()?;
        let local = match &wanted.registration_socket {
            Some(path) => Some(admin::bind(path)?),
            None => None,
        };
        let (events, stream_events) = mpsc::channel(EVENTS);
        Ok(Self {
            streams: Streams::new(wanted.bounds, events),
            stream_events,
            attachments: Vec::new(),
            v4,
            v6,
            tcp_v4,
            tcp_v6,
            local,
            changes: Changes::listen()?,
            hashes: BTreeSet::new(),
            lost: 0,
            wanted,
        })
    }

    /// The addresses that are served, read anew; joins the groups there.
    ///
    /// # Errors
    /// What the system says.
    pub fn attach(&mut self) -> io::Result<Vec<Attachment>> {
        self.attachments = self.wanted.served.attachments()?;
        self.join();
        Ok(self.attachments.clone())
    }

    /// Waits for something from outside. Cancel safe.
    pub async fn next(&mut self) -> NetEvent {
        loop {
            let mut received = Vec::new();
            tokio::select! {
                () = receive(&mut self.v4, &mut received) => {}
                mut more = async {
                    let mut more = Vec::new();
                    receive(&mut self.v6, &mut more).await;
                    more
                } => received.append(&mut more),
                Some(event) = self.stream_events.recv() => match event {
                    StreamEvent::Arrived(connection, arrived) => {
                        return NetEvent::Stream(connection, arrived);
                    }
                    StreamEvent::Closed(connection) => {
                        if self.streams.closed(connection) {
                            return NetEvent::Disconnected(connection);
                        }
                    }
                },
                (stream, remote) = accept(self.tcp_v4.as_ref()) => {
                    self.accepted(stream, remote);
                }
                (stream, remote) = accept(self.tcp_v6.as_ref()) => {
                    self.accepted(stream, remote);
                }
                stream = accept_local(self.local.as_ref()) => self.streams.accept_local(stream),
                () = self.changes.next() => match self.changed() {
                    Some(attachments) => return NetEvent::Attached(attachments),
                    None => continue,
                },
            }
            if !received.is_empty() {
                let arrived: Vec<Arrived> = received
                    .into_iter()
                    .filter_map(|datagram| self.arrived(datagram))
                    .collect();
                if !arrived.is_empty() {
                    return NetEvent::Arrived(arrived);
                }
            }
        }
    }

    /// A connection to an address of an interface that is served; any other is closed.
    fn accepted(&mut self, stream: TcpStream, remote: SocketAddr) {
        let local = stream.local_addr().map(|local| local.ip().to_canonical());
        // All of 127.0.0.0/8 is loopback's.
        let served = local.is_ok_and(|local| {
            let loopback = self.attachments.iter().any(|own| own.loopback);
            self.is_own(local) || (local.is_loopback() && loopback)
        });
        if served {
            self.streams.accept_tcp(stream, remote);
        }
    }

    fn changed(&mut self) -> Option<Vec<Attachment>> {
        let before = self.attachments.clone();
        match self.attach() {
            Ok(attachments) => (attachments != before).then_some(attachments),
            Err(error) => {
                tracing::error!(%error, "cannot read the addresses of this host");
                None
            }
        }
    }

    /// A datagram as the core hears it; nothing of what came by an interface that is not served.
    fn arrived(&self, datagram: Received) -> Option<Arrived> {
        let interface = datagram.interface;
        let mut here = self
            .attachments
            .iter()
            .filter(|own| own.interface == interface)
            .peekable();
        here.peek()?;
        let remote = datagram.remote.ip().to_canonical();
        let own = self.attachments.iter().any(|own| own.address == remote);
        let links = Links::new(here.map(|own| (own.address, own.prefix)));
        let multicast = match datagram.local {
            IpAddr::V4(local) => {
                local.is_multicast()
                    || local.is_broadcast()
                    // Broadcasts to the subnet are to no address of ours.
                    || !(local.is_loopback() || self.is_own(local.into()))
            }
            IpAddr::V6(local) => local.is_multicast(),
        };
        Some(Arrived {
            octets: datagram.octets,
            channel: Channel::Datagram {
                remote: datagram.remote,
                local: datagram.local,
                interface,
                multicast,
                on_link: own || links.contains(remote),
            },
        })
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.attachments.iter().any(|own| own.address == address)
    }

    /// Hears requests for the types with these hashes.
    pub fn set_hashes(&mut self, hashes: BTreeSet<u16>) {
        self.hashes = hashes;
        self.join();
    }

    fn join(&mut self) {
        let mut groups: BTreeSet<(IpAddr, u32)> = BTreeSet::new();
        for own in &self.attachments {
            match own.address {
                IpAddr::V4(_) if self.wanted.broadcast => {}
                IpAddr::V4(_) => {
                    groups.insert((multicast::IPV4.into(), own.interface));
                    if self.wanted.slpv1 {
                        groups.insert((multicast::IPV4_V1_GENERAL.into(), own.interface));
                        groups.insert((multicast::IPV4_V1_DIRECTORY_AGENTS.into(), own.interface));
                    }
                }
                IpAddr::V6(address) => {
                    for scope in 1..=multicast::widest_scope(address) {
                        let general = [
                            multicast::general(scope),
                            multicast::directory_agents(scope),
                        ];
                        let hashed = self
                            .hashes
                            .iter()
                            .map(|hash| multicast::service_location(scope, *hash));
                        for group in general.into_iter().chain(hashed) {
                            groups.insert((group.into(), own.interface));
                        }
                    }
                }
            }
        }
        let (v4, v6): (BTreeSet<_>, BTreeSet<_>) =
            groups.into_iter().partition(|(group, _)| group.is_ipv4());
        if let Some(udp) = &mut self.v4 {
            udp.set_groups(&v4);
        }
        if let Some(udp) = &mut self.v6 {
            udp.set_groups(&v6);
        }
    }

    /// Sends datagrams, those of one family in as few calls as can be.
    pub fn send(&mut self, datagrams: Vec<Datagram>) {
        let (v4, v6): (Vec<_>, Vec<_>) = datagrams
            .into_iter()
            .partition(|datagram| datagram.remote.is_ipv4());
        for (udp, datagrams) in [(&self.v4, v4), (&self.v6, v6)] {
            if let Some(udp) = udp
                && !datagrams.is_empty()
            {
                self.lost += udp.send(&datagrams) as u64;
            }
        }
    }

    /// The datagrams that bring `octets` to a group: by each interface once, and on IPv6 in these scopes, as far as the
    /// interface's addresses allow (RFC 3111 4.2.2).
    pub fn multicast(
        &self,
        group: &Group,
        ipv6_scopes: &[u8],
        from: Option<IpAddr>,
        octets: &[u8],
    ) -> Vec<Datagram> {
        let mut datagrams = Vec::new();
        let mut used: BTreeSet<(IpAddr, u32)> = BTreeSet::new();
        let chosen = |own: &&Attachment| match from {
            Some(from) => own.address == from,
            None => true,
        };
        let mut to = |destination: IpAddr, own: &Attachment, datagrams: &mut Vec<Datagram>| {
            if !used.insert((destination, own.interface)) {
                return;
            }
            let remote = match destination {
                IpAddr::V4(v4) => SocketAddr::new(v4.into(), self.wanted.port),
                IpAddr::V6(v6) => SocketAddrV6::new(v6, self.wanted.port, 0, own.interface).into(),
            };
            datagrams.push(Datagram {
                octets: octets.to_vec(),
                remote,
                source: Some(own.address),
                interface: own.interface,
            });
        };
        // Addresses of wide scope first: a group takes the first that may be its source.
        let mut attachments: Vec<&Attachment> = self.attachments.iter().filter(chosen).collect();
        attachments.sort_by_key(|own| match own.address {
            IpAddr::V4(_) => 0,
            IpAddr::V6(address) => u8::MAX - multicast::widest_scope(address),
        });
        for own in attachments {
            match own.address {
                IpAddr::V4(_) if self.wanted.broadcast => {
                    to(Ipv4Addr::BROADCAST.into(), own, &mut datagrams);
                }
                IpAddr::V4(_) => to(multicast::IPV4.into(), own, &mut datagrams),
                IpAddr::V6(address) => {
                    for scope in ipv6_scopes {
                        let scope = multicast::widest_scope(address).min(*scope);
                        to(multicast::ipv6(group, scope).into(), own, &mut datagrams);
                    }
                }
            }
        }
        datagrams
    }

    /// The datagram that answers what came by `channel`; nothing for a stream.
    pub fn reply(&self, channel: &Channel, octets: Vec<u8>) -> Option<Datagram> {
        match channel {
            Channel::Datagram {
                remote,
                local,
                interface,
                multicast,
                ..
            } => Some(Datagram {
                octets,
                remote: *remote,
                source: (!multicast).then_some(*local),
                interface: *interface,
            }),
            _ => None,
        }
    }

    /// Sends on a stream.
    pub fn send_stream(&mut self, connection: ConnectionId, octets: Vec<u8>) {
        self.streams.send(connection, octets);
    }

    /// What came on a stream was handled.
    pub fn handled(&self, connection: ConnectionId) {
        self.streams.handled(connection);
    }

    /// Connects to another agent, and sends `octets`.
    pub fn connect(&mut self, connection: ConnectionId, remote: SocketAddr, octets: Vec<u8>) {
        self.streams.connect(connection, canonical(remote), octets);
    }

    /// Closes a stream.
    pub fn close(&mut self, connection: ConnectionId) {
        self.streams.close(connection);
    }

    /// Streams that are open.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Connections that were closed for the bounds.
    pub fn refused(&self) -> u64 {
        self.streams.refused()
    }

    /// Datagrams that the system did not take.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

async fn receive(udp: &mut Option<Udp>, received: &mut Vec<Received>) {
    match udp {
        Some(udp) => udp.receive(received).await,
        None => std::future::pending().await,
    }
}

async fn accept(listener: Option<&TcpListener>) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => pause(&error).await,
        }
    }
}

async fn accept_local(listener: Option<&(UnixListener, SocketFile)>) -> tokio::net::UnixStream {
    let Some((listener, _)) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => pause(&error).await,
        }
    }
}

/// Without descriptors accept(2) fails at once, and at once again.
async fn pause(error: &io::Error) {
    tracing::warn!(%error, "cannot accept");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

fn listen(ipv6: bool, port: u16) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if ipv6 {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    let any: IpAddr = match ipv6 {
        true => std::net::Ipv6Addr::UNSPECIFIED.into(),
        false => Ipv4Addr::UNSPECIFIED.into(),
    };
    socket.bind(&SocketAddr::new(any, port).into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}
