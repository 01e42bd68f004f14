//! The addresses this proxy answers at, and which of them a message leaves from.

use std::net::{IpAddr, SocketAddr};
use tollwire_sip::Host;
use tollwire_sip::transaction::{Flow, Transport};

/// One address and transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// UDP or TCP.
    pub transport: Transport,
    /// What the socket is bound to.
    pub local: SocketAddr,
    /// What Via and Record-Route say.
    pub advertised: SocketAddr,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// Takes the list in order of preference.
    pub fn new(listeners: Vec<Listener>) -> Self {
        Self(listeners)
    }

    /// Every listener.
    pub fn iter(&self) -> impl Iterator<Item = &Listener> {
        self.0.iter()
    }

    /// Whether host and port name this proxy.
    pub fn is_own(&self, host: Host<'_>, port: u16) -> bool {
        host.address().is_some_and(|address| {
            self.0.iter().any(|listener| {
                listener.advertised == SocketAddr::new(address, port)
                    || listener.local == SocketAddr::new(address, port)
            })
        })
    }

    /// Whether the address, at whatever port, is one of ours.
    pub fn is_own_address(&self, address: IpAddr) -> bool {
        self.0
            .iter()
            .any(|listener| listener.advertised.ip() == address || listener.local.ip() == address)
    }

    /// The listener a flow came in through.
    pub fn of(&self, flow: &Flow) -> Option<&Listener> {
        self.0
            .iter()
            .find(|listener| listener.transport == flow.transport && listener.local == flow.local)
            .or_else(|| {
                self.0.iter().find(|listener| {
                    listener.transport == flow.transport
                        && listener.local.is_ipv4() == flow.remote.is_ipv4()
                })
            })
    }

    /// The listener to reach `remote` from: same family, and of several the
    /// one whose network is nearest.
    pub fn towards(&self, transport: Transport, remote: SocketAddr) -> Option<&Listener> {
        self.0
            .iter()
            .filter(|listener| {
                listener.transport == transport && listener.local.is_ipv4() == remote.is_ipv4()
            })
            .enumerate()
            .max_by_key(|(index, listener)| {
                (
                    common_bits(listener.advertised.ip(), remote.ip()),
                    std::cmp::Reverse(*index),
                )
            })
            .map(|(_, listener)| listener)
    }
}

fn common_bits(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}
