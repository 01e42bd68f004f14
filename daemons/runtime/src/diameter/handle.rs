use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tollwire_diameter::base::DisconnectCause;
use tollwire_diameter::peer::{LocalNode, Refused};
use tollwire_diameter::{Identity, Message};

use crate::diameter::config::NodeConfig;
use crate::diameter::connection::deliver_all;
use crate::diameter::event::{NodeEvent, PeerId, ReplyTo};
use crate::diameter::listen::{self, Listener};
use crate::diameter::state::Shared;
use crate::diameter::tls::Tls;
use crate::diameter::{Address, timer};

/// How long a shutdown waits for the peers' answers to its DPR.
const SHUTDOWN_TIME: Duration = Duration::from_secs(3);

/// A Diameter node; [`Node::start`] makes it run.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Binds the listeners and begins to connect to the configured peers, inside a tokio runtime.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration or certificates that cannot work; else why an address cannot be bound.
    pub fn start(config: NodeConfig, events: mpsc::Sender<NodeEvent>) -> io::Result<NodeHandle> {
        config.check()?;
        let tls = config
            .tls
            .clone()
            .map(|files| Tls::new(files, config.origin_host.clone()))
            .transpose()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let local = LocalNode {
            identity: Identity {
                origin_host: config.origin_host.clone(),
                origin_realm: config.origin_realm.clone(),
            },
            served_realms: config.served_realms.clone(),
            host_ip_addresses: config
                .listen
                .iter()
                .filter_map(|address| match address {
                    Address::Tcp(address) | Address::Tls(address)
                        if !address.ip().is_unspecified() =>
                    {
                        Some(address.ip())
                    }
                    _ => None,
                })
                .collect(),
            vendor_id: 0,
            product_name: config.product_name.clone(),
            origin_state_id: Some(seconds_since_1970()),
            auth_application_ids: config.auth_application_ids.clone(),
            acct_application_ids: config.acct_application_ids.clone(),
        };
        let mut listeners = Vec::new();
        for address in &config.listen {
            listeners.push(Listener::bind(address, config.socket_mode)?);
        }
        let listening = listeners
            .iter()
            .map(Listener::address)
            .collect::<io::Result<_>>()?;
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let hangups = tls
            .is_some()
            .then(|| signal(SignalKind::hangup()))
            .transpose()?;
        let shared = Shared::new(local, config, tls, events, runtime);
        if let Some(hangups) = hangups {
            tokio::spawn(reload(shared.clone(), hangups));
        }
        for listener in listeners {
            tokio::spawn(listen::listen(shared.clone(), listener));
        }
        let timer = tokio::spawn(timer::run(shared.clone())).abort_handle();
        shared.start_peers();
        Ok(NodeHandle {
            shared,
            listening,
            timer,
        })
    }
}

/// Speaks to the peers of a running node; clones speak for the same node.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    shared: Arc<Shared>,
    listening: Vec<Address>,
    timer: AbortHandle,
}

impl NodeHandle {
    /// Sends a request. [`NodeEvent::Answer`] or [`NodeEvent::Failed`] follows with `token`, within
    /// the request timeout. Never waits.
    ///
    /// The node sets the Hop-by-Hop Identifier, and the End-to-End Identifier if it is 0. A request
    /// that the daemon itself sends again keeps its End-to-End Identifier and sets the T bit.
    ///
    /// # Errors
    /// [`Refused`]: the request was not sent, and no event follows.
    pub fn send_request(&self, peer: &PeerId, token: u64, request: Message) -> Result<(), Refused> {
        self.shared.send_request(peer, token, request)
    }

    /// Sends an answer on the connection its request came in on; `false` if that is gone, and the
    /// peer will send the request again. Never waits.
    pub fn answer(&self, reply_to: ReplyTo, answer: &Message) -> bool {
        self.shared.answer(reply_to, answer)
    }

    /// The peer that last said it has this Origin-Host.
    pub fn find(&self, origin_host: &str) -> Option<PeerId> {
        self.shared.find(origin_host)
    }

    /// Whether requests can be sent to the peer.
    pub fn is_open(&self, peer: &PeerId) -> bool {
        self.shared.is_open(peer)
    }

    /// Every peer, whether it is open, and how many requests wait for its answer.
    pub fn peers(&self) -> Vec<(PeerId, bool, usize)> {
        self.shared.peers()
    }

    /// Origin-Host and Origin-Realm of this node, as its answers give them.
    pub fn identity(&self) -> &Identity {
        &self.shared.local.identity
    }

    /// Where the node listens, with the ports that were found where 0 was configured.
    pub fn listening(&self) -> &[Address] {
        &self.listening
    }

    /// Disconnects from every peer with a DPR (REBOOTING), and closes the listeners. Requests that
    /// still wait then fail. Returns when all connections are closed, at the latest after 3 s.
    pub async fn shutdown(&self) {
        self.shared.stopping.send_replace(true);
        let mut events = Vec::new();
        self.shared
            .stop_peers(DisconnectCause::Rebooting, &mut events);
        deliver_all(&self.shared, events).await;
        let all_closed = async {
            loop {
                let ended = self.shared.ended.notified();
                if self.shared.connections() == 0 {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_TIME, all_closed)
            .await
            .is_err()
        {
            self.shared.close_all();
        }
        self.timer.abort();
    }
}

/// Reads the certificates again at each SIGHUP, until the node stops.
async fn reload(shared: Arc<Shared>, mut hangups: Signal) {
    let mut stopping = shared.stopping.subscribe();
    loop {
        tokio::select! {
            heard = hangups.recv() => match (heard, &shared.tls) {
                (Some(()), Some(tls)) => tls.reload(),
                _ => return,
            },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

fn seconds_since_1970() -> u32 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
        })
}
