//! Connections: many PDUs a read, many PDUs a write, and what waits to be written is bounded.

mod link;
pub mod tls;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::link::{Outgoing, converse};
use self::tls::ServerName;
use crate::event::{Event, LinkId};

/// Time for a connection to open, its TLS handshake included.
const OPEN: Duration = Duration::from_secs(5);
/// Pause of the listener when no connection can be taken.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The largest PDU, octets.
    pub max_pdu: u32,
    /// Octets that may wait to be written before nothing more is read from the peer.
    pub max_backlog: usize,
    /// How long a peer may take nothing of what is written to it.
    pub stalled: Duration,
}

/// An address to connect to.
#[derive(Clone)]
pub struct Destination {
    /// Host name or address, and port.
    pub address: Arc<str>,
    /// With TLS, and whose certificate is expected.
    pub tls: Option<(TlsConnector, ServerName)>,
}

/// All connections. Must be used within a `LocalSet`.
pub struct Net {
    shared: Rc<Shared>,
    listeners: RefCell<Vec<JoinHandle<()>>>,
}

/// What the tasks of the connections share.
struct Shared {
    links: RefCell<HashMap<u64, Rc<Outgoing>>>,
    events: mpsc::Sender<Event>,
    next: Cell<u64>,
    bounds: Cell<Bounds>,
}

impl Shared {
    fn add(&self) -> (LinkId, Rc<Outgoing>) {
        let number = self.next.get() + 1;
        self.next.set(number);
        let outgoing = Rc::new(Outgoing::default());
        self.links.borrow_mut().insert(number, outgoing.clone());
        (LinkId(number), outgoing)
    }

    async fn serve<S>(&self, stream: S, link: LinkId, outgoing: Rc<Outgoing>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        converse(stream, link, &outgoing, self.bounds.get(), &self.events).await;
        self.links.borrow_mut().remove(&link.0);
        let _ = self.events.send(Event::Closed { link }).await;
    }
}

impl Net {
    /// No connections yet; what happens on them goes to `events`.
    pub fn new(events: mpsc::Sender<Event>, bounds: Bounds) -> Self {
        Self {
            shared: Rc::new(Shared {
                links: RefCell::new(HashMap::new()),
                events,
                next: Cell::new(0),
                bounds: Cell::new(bounds),
            }),
            listeners: RefCell::new(Vec::new()),
        }
    }

    /// Bounds of connections from now on.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.shared.bounds.set(bounds);
    }

    /// Listens; with `tls` if it is given. Returns the address, with the port that was found where 0 was asked.
    pub async fn listen(
        &self,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<SocketAddr> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(named)?;
        let local = listener.local_addr().map_err(named)?;
        let task = tokio::task::spawn_local(accept(listener, tls, self.shared.clone()));
        self.listeners.borrow_mut().push(task);
        Ok(local)
    }

    /// No more connections.
    pub fn stop_listening(&self) {
        for listener in self.listeners.take() {
            listener.abort();
        }
    }

    /// Connections at present.
    pub fn links(&self) -> Vec<LinkId> {
        self.shared
            .links
            .borrow()
            .keys()
            .copied()
            .map(LinkId)
            .collect()
    }

    /// Connects after a pause; answered with `Connected` or `ConnectFailed`.
    pub fn connect(
        &self,
        upstream: Arc<str>,
        index: u32,
        destination: Destination,
        after: Duration,
    ) {
        tokio::task::spawn_local(connect(
            upstream,
            index,
            destination,
            after,
            self.shared.clone(),
        ));
    }

    /// Writes whole PDUs; the event that follows at once, if one does.
    pub fn send(&self, link: LinkId, octets: Vec<u8>) -> Option<Event> {
        let links = self.shared.links.borrow();
        let backlog = links.get(&link.0)?.push(octets)?;
        Some(Event::Backlog {
            link,
            octets: backlog,
        })
    }

    /// Closes when all is written.
    pub fn close(&self, link: LinkId) {
        if let Some(outgoing) = self.shared.links.borrow().get(&link.0) {
            outgoing.close();
        }
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.shared.links.borrow().is_empty()
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Rc<Shared>) {
    loop {
        let Ok((stream, remote)) = listener.accept().await else {
            // Out of descriptors: those in use have to close first.
            tokio::time::sleep(EXHAUSTED).await;
            continue;
        };
        tokio::task::spawn_local(accepted(stream, remote, tls.clone(), shared.clone()));
    }
}

async fn accepted(
    stream: TcpStream,
    remote: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Rc<Shared>,
) {
    let _ = stream.set_nodelay(true);
    // A dual-stack socket shows IPv4 peers as mapped addresses.
    let accepted = |link| Event::Accepted {
        link,
        remote: remote.ip().to_canonical(),
        tls_client_name: None,
    };
    match tls {
        None => {
            let (link, outgoing) = shared.add();
            if shared.events.send(accepted(link)).await.is_ok() {
                shared.serve(stream, link, outgoing).await;
            }
        }
        Some(tls) => {
            // Nothing is known of the peer until its handshake is through.
            match tokio::time::timeout(OPEN, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let (link, outgoing) = shared.add();
                    if shared.events.send(accepted(link)).await.is_ok() {
                        shared.serve(stream, link, outgoing).await;
                    }
                }
                Ok(Err(error)) => tracing::info!(%remote, %error, "a TLS handshake failed"),
                Err(_) => tracing::info!(%remote, "a TLS handshake took too long"),
            }
        }
    }
}

async fn connect(
    upstream: Arc<str>,
    index: u32,
    destination: Destination,
    after: Duration,
    shared: Rc<Shared>,
) {
    tokio::time::sleep(after).await;
    let opened = tokio::time::timeout(OPEN, open(&destination)).await;
    let error = match opened {
        Ok(Ok(opened)) => {
            let (link, outgoing) = shared.add();
            let event = Event::Connected {
                link,
                upstream,
                index,
            };
            if shared.events.send(event).await.is_ok() {
                match opened {
                    Opened::Plain(stream) => shared.serve(stream, link, outgoing).await,
                    Opened::Tls(stream) => shared.serve(*stream, link, outgoing).await,
                }
            }
            return;
        }
        Ok(Err(error)) => error,
        Err(_) => io::ErrorKind::TimedOut.into(),
    };
    tracing::warn!(%upstream, address = %destination.address, %error, "an upstream cannot be reached");
    let failed = Event::ConnectFailed { upstream, index };
    let _ = shared.events.send(failed).await;
}

enum Opened {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn open(destination: &Destination) -> io::Result<Opened> {
    let stream = TcpStream::connect(&*destination.address).await?;
    let _ = stream.set_nodelay(true);
    match &destination.tls {
        None => Ok(Opened::Plain(stream)),
        Some((tls, name)) => {
            let stream = tls.connect(name.clone(), stream).await?;
            Ok(Opened::Tls(Box::new(stream)))
        }
    }
}
