//! From a URI to a flow (RFC 3263 for addresses and static names).

use crate::core::Core;
use crate::services::Services;
use std::net::SocketAddr;
use tollwire_sip::transaction::{Flow, Transport};
use tollwire_sip::{Host, Uri};

impl<S: Services> Core<S> {
    /// Where a request for this URI is sent. `known`: where its owner was
    /// heard from last; it stands in for a name, and for a connection that
    /// only its owner can open.
    pub(crate) fn flow_for(&self, uri: &str, known: Option<Flow>) -> Option<Flow> {
        let parsed = Uri::parse(uri).ok()?;
        let sip = parsed.sip()?;
        let transport = match sip.transport() {
            Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
            Some(name) if name.eq_ignore_ascii_case("udp") => Transport::Udp,
            Some(name) if name.eq_ignore_ascii_case("tls") => Transport::Tls,
            Some(_) => return known,
            None if sip.secure => Transport::Tls,
            None => Transport::Udp,
        };
        let host = match sip.params.value("maddr").map(Host::parse) {
            Some(Ok(maddr)) => maddr,
            _ => sip.host,
        };
        let Some(address) = host.address() else {
            return known;
        };
        let remote = SocketAddr::new(address, sip.port_or_default());
        if let Some(known) = known {
            // RFC 5923: requests use the connection their target opened. A
            // phone behind a translator is reached where it was heard from.
            let streams = known.transport == Transport::Tcp && transport == Transport::Tcp;
            if streams && known.remote.ip() == address {
                return Some(known);
            }
        }
        let listener = self.listeners.towards(transport, remote)?;
        Some(Flow {
            transport,
            local: listener.local,
            remote,
        })
    }
}
