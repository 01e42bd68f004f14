use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollwire_diameter::peer::{Backoff, MOST_MEMBERS};

use crate::diameter::{Address, Servers, TlsFiles};

/// What a node is and whom it talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// Origin-Host.
    pub origin_host: String,
    /// Origin-Realm.
    pub origin_realm: String,
    /// Realms whose requests are for this node, besides its own.
    pub served_realms: Vec<String>,
    /// Product-Name.
    pub product_name: String,
    /// Applications that authorise: 4 is credit control, 16777236 is Rx.
    pub auth_application_ids: Vec<u32>,
    /// Applications that account: 3 is base accounting.
    pub acct_application_ids: Vec<u32>,
    /// Where to listen.
    pub listen: Vec<Address>,
    /// Permission bits of Unix sockets listened on.
    pub socket_mode: u32,
    /// Peers to connect to.
    pub connect: Vec<PeerConfig>,
    /// Who may connect; empty is anyone who can reach the sockets.
    pub allowed_peers: Vec<AllowedPeer>,
    /// Whether TCP addresses that other hosts can reach are accepted: the path must be protected by other means. Those
    /// with TLS always are.
    pub allow_remote: bool,
    /// For addresses with TLS; read again on SIGHUP.
    pub tls: Option<TlsFiles>,
    /// Silence after which a watchdog is sent (Tw of RFC 3539; 6 s or more in production).
    pub watchdog: Duration,
    /// Time for an answer, over all retransmissions.
    pub request_timeout: Duration,
    /// Time for a connection, for the handshake of TLS, for the first message, and for the answer to a disconnect.
    pub connect_timeout: Duration,
    /// The pause before a lost connection is tried again.
    pub reconnect: Backoff,
    /// Octets of the longest message accepted.
    pub max_message_size: usize,
    /// Connections accepted at one time, with those that have not said who they are.
    pub max_peers: usize,
    /// Requests per peer that may wait for an answer.
    pub max_pending: usize,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            origin_host: String::new(),
            origin_realm: String::new(),
            served_realms: Vec::new(),
            product_name: "Tollwire".to_owned(),
            auth_application_ids: Vec::new(),
            acct_application_ids: Vec::new(),
            listen: Vec::new(),
            socket_mode: 0o660,
            connect: Vec::new(),
            allowed_peers: Vec::new(),
            allow_remote: false,
            tls: None,
            watchdog: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            reconnect: Backoff::default(),
            max_message_size: 65_536,
            max_peers: 256,
            max_pending: 10_000,
        }
    }
}

/// A peer to connect to, and to stay connected to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// The name it has in events and in [`crate::diameter::PeerId`].
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// Other servers of the same service: all are connected, and a [`tollwire_diameter::peer::Pool`] decides who is asked.
    #[serde(default)]
    pub alternatives: Vec<Address>,
    /// The Origin-Host it must give; any if absent.
    #[serde(default)]
    pub origin_host: Option<String>,
}

/// Who may connect. At least one of the two is given; what is given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllowedPeer {
    /// Origin-Host.
    pub origin_host: Option<String>,
    /// Origin-Realm.
    pub origin_realm: Option<String>,
}

impl AllowedPeer {
    pub(super) fn matches(&self, origin_host: &str, origin_realm: &str) -> bool {
        let is = |wanted: &Option<String>, given: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(given))
        };
        (self.origin_host.is_some() || self.origin_realm.is_some())
            && is(&self.origin_host, origin_host)
            && is(&self.origin_realm, origin_realm)
    }
}

impl NodeConfig {
    /// What cannot work.
    pub(super) fn check(&self) -> io::Result<()> {
        let refuse = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if self.origin_host.is_empty() || self.origin_realm.is_empty() {
            return refuse("a Diameter node needs an origin host and an origin realm".to_owned());
        }
        if self.auth_application_ids.is_empty() && self.acct_application_ids.is_empty() {
            return refuse("a Diameter node needs an application".to_owned());
        }
        let addresses = self.connect.iter().flat_map(PeerConfig::addresses);
        for address in self.listen.iter().chain(addresses) {
            match address {
                Address::Tls(_) if self.tls.is_none() => {
                    return refuse(format!(
                        "{address} needs `tls_certificate`, `tls_key` and `tls_ca`"
                    ));
                }
                Address::Tcp(_) if !self.allow_remote && !address.is_local() => {
                    return refuse(format!(
                        "{address} is not on this host, and remote peers are not allowed without TLS (tls:{address})"
                    ));
                }
                _ => {}
            }
        }
        for (at, peer) in self.connect.iter().enumerate() {
            if peer.addresses().count() > MOST_MEMBERS {
                return refuse(format!(
                    "{:?} has more than {MOST_MEMBERS} servers",
                    peer.name
                ));
            }
            if self
                .connect
                .iter()
                .skip(at + 1)
                .any(|it| it.name == peer.name)
            {
                return refuse(format!("two Diameter peers are named {:?}", peer.name));
            }
        }
        Ok(())
    }
}

impl PeerConfig {
    /// The peer `name` behind any of `servers`.
    pub fn behind(name: &str, servers: &Servers) -> Self {
        Self {
            name: name.into(),
            address: servers.first.clone(),
            alternatives: servers.others.clone(),
            origin_host: None,
        }
    }

    /// `address` and `alternatives`.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.address).chain(&self.alternatives)
    }
}
