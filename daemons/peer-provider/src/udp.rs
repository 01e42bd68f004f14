//! Services by datagrams: what comes from the address of an open session is passed on, and back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tollwire_runtime::clock::Now;

use crate::config::Udp;
use crate::core::{SessionId, Taken};
use crate::provider::Shared;

/// The largest datagram.
const LARGEST: usize = 65_535;
/// How often flows are looked at that nobody may use any more.
const SWEEP: Duration = Duration::from_secs(5);
/// The pause after an error of a service's socket.
const PAUSE: Duration = Duration::from_millis(10);
/// Octets of the headers of IP and UDP, which count as the networks count them.
const HEADERS_4: usize = 28;
const HEADERS_6: usize = 48;

/// The sockets of all services by datagrams; dropped, they are closed.
#[derive(Debug)]
pub struct Relays {
    _tasks: JoinSet<()>,
    addresses: Vec<(String, SocketAddr)>,
}

impl Relays {
    /// Where each service listens, by name.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    pub(crate) async fn bind(shared: &Arc<Shared>) -> Result<Self, String> {
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::new();
        for service in &shared.live().config.udp {
            let named = |error| format!("{}: {error}", service.listen);
            let socket = UdpSocket::bind(service.listen).await.map_err(named)?;
            addresses.push((service.name.clone(), socket.local_addr().map_err(named)?));
            let relay = Relay {
                shared: Arc::clone(shared),
                service: service.clone(),
                socket: Arc::new(socket),
                buffer: Arc::new(Mutex::new(vec![0; LARGEST])),
                flows: HashMap::new(),
            };
            tasks.spawn(relay.run());
        }
        Ok(Self {
            _tasks: tasks,
            addresses,
        })
    }
}

struct Relay {
    shared: Arc<Shared>,
    service: Udp,
    socket: Arc<UdpSocket>,
    /// What comes back is read into, in all flows: one for each would be 64 KiB a session.
    buffer: Arc<Mutex<Vec<u8>>>,
    /// By the user's address: as many as there are open sessions.
    flows: HashMap<SocketAddr, Flow>,
}

/// The datagrams of one session.
struct Flow {
    id: SessionId,
    upstream: Arc<UdpSocket>,
    back: AbortHandle,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.back.abort();
    }
}

fn on_the_way(octets: usize, source: SocketAddr) -> usize {
    match source.ip().to_canonical() {
        IpAddr::V4(_) => octets + HEADERS_4,
        IpAddr::V6(_) => octets + HEADERS_6,
    }
}

impl Relay {
    async fn run(mut self) {
        let mut datagram = vec![0; LARGEST];
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut datagram) => match received {
                    Ok((length, source)) => {
                        self.pass(datagram.get(..length).unwrap_or_default(), source).await;
                    }
                    // What could not be delivered to somebody comes back as an error.
                    Err(error) => {
                        tracing::debug!(service = self.service.name, %error, "a socket's error");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                _ = sweep.tick() => {
                    let sessions = self.shared.sessions();
                    self.flows.retain(|source, flow| sessions.core.is_bound(&flow.id, *source));
                }
            }
        }
    }

    async fn pass(&mut self, datagram: &[u8], source: SocketAddr) {
        let octets = on_the_way(datagram.len(), source);
        let mut passed = false;
        if let Some((id, upstream)) = self.flow(source).await
            && let Taken::Octets(_) = take(&self.shared, &id, source, octets)
        {
            passed = upstream.send(datagram).await.is_ok();
            if !passed {
                self.shared.sessions().core.give_back(&id, octets);
            }
        }
        if !passed {
            self.shared.counters.datagrams_dropped.inc();
        }
    }

    /// The flow of a source, if an open session is there for it.
    async fn flow(&mut self, source: SocketAddr) -> Option<(SessionId, Arc<UdpSocket>)> {
        let (is_known, id) = {
            let mut sessions = self.shared.sessions();
            let known = self.flows.get(&source);
            match known.filter(|flow| sessions.core.is_bound(&flow.id, source)) {
                Some(flow) => (true, flow.id.clone()),
                None => (false, sessions.core.session_of(&self.service.name, source)?),
            }
        };
        if !is_known {
            self.flows.remove(&source);
            match self.connect(id, source).await {
                Ok(flow) => drop(self.flows.insert(source, flow)),
                Err(error) => {
                    tracing::warn!(service = self.service.name, %error, "a service of peers cannot be reached");
                    return None;
                }
            }
        }
        let flow = self.flows.get(&source)?;
        Some((flow.id.clone(), Arc::clone(&flow.upstream)))
    }

    async fn connect(&self, id: SessionId, source: SocketAddr) -> std::io::Result<Flow> {
        let any: IpAddr = match self.service.upstream {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let upstream = Arc::new(UdpSocket::bind((any, 0)).await?);
        upstream.connect(self.service.upstream).await?;
        let back = Back {
            shared: Arc::clone(&self.shared),
            socket: Arc::clone(&self.socket),
            upstream: Arc::clone(&upstream),
            buffer: Arc::clone(&self.buffer),
            id: id.clone(),
            source,
        };
        Ok(Flow {
            id,
            upstream,
            back: tokio::spawn(back.run()).abort_handle(),
        })
    }
}

fn take(shared: &Shared, id: &SessionId, source: SocketAddr, octets: usize) -> Taken {
    let taken = shared.with(|sessions| match sessions.core.is_bound(id, source) {
        true => sessions.core.take_datagram(Now::read(), id, octets),
        false => Taken::Ended,
    });
    if let Taken::Octets(count) = taken {
        shared.counters.octets.inc_by(count as u64);
    }
    taken
}

/// From the service to the user, as long as the session is his.
struct Back {
    shared: Arc<Shared>,
    socket: Arc<UdpSocket>,
    upstream: Arc<UdpSocket>,
    buffer: Arc<Mutex<Vec<u8>>>,
    id: SessionId,
    source: SocketAddr,
}

impl Back {
    async fn run(self) {
        loop {
            let Ok(datagram) = self.next().await else {
                // Nothing listens there: said for each datagram that went.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let octets = on_the_way(datagram.len(), self.source);
            let sent = match take(&self.shared, &self.id, self.source, octets) {
                Taken::Octets(_) => {
                    let sent = self.socket.send_to(&datagram, self.source).await.is_ok();
                    if !sent {
                        self.shared.sessions().core.give_back(&self.id, octets);
                    }
                    sent
                }
                Taken::Wait => false,
                Taken::Ended => return,
            };
            if !sent {
                self.shared.counters.datagrams_dropped.inc();
            }
        }
    }

    async fn next(&self) -> std::io::Result<Vec<u8>> {
        loop {
            self.upstream.readable().await?;
            let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            match self.upstream.try_recv(&mut buffer) {
                Ok(length) => return Ok(buffer.get(..length).unwrap_or_default().to_vec()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
