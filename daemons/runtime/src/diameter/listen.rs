use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Notify;
use tollwire_diameter::peer::ConnectionId;
use tracing::{debug, warn};

use crate::diameter::Address;
use crate::diameter::connection;
use crate::diameter::event::PeerId;
use crate::diameter::state::Shared;
use crate::diameter::stream::Stream;
use crate::diameter::tls::Tls;

/// The pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket of any kind.
#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
    Tls(TcpListener),
}

/// A connection that came in.
enum Accepted {
    Ready(Stream),
    /// Its handshake is to come.
    Tls(TcpStream, SocketAddr),
}

impl Listener {
    /// Binds; a socket file that nobody listens on any more is replaced.
    pub(super) fn bind(address: &Address, socket_mode: u32) -> io::Result<Self> {
        let with_address =
            |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        match address {
            Address::Unix(path) => bind_unix(path, socket_mode).map_err(with_address),
            Address::Tcp(it) => bind_tcp(*it).map(Self::Tcp).map_err(with_address),
            Address::Tls(it) => bind_tcp(*it).map(Self::Tls).map_err(with_address),
        }
    }

    /// Where it listens, with the port that was found if 0 was asked for.
    pub(super) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Unix(_, path) => Ok(Address::Unix(path.clone())),
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Tls(listener) => listener.local_addr().map(Address::Tls),
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener, _) => {
                let (socket, _) = listener.accept().await?;
                Ok(Accepted::Ready(Stream::Unix(socket)))
            }
            Self::Tcp(listener) => {
                let (socket, _) = listener.accept().await?;
                Stream::from_tcp(socket).map(Accepted::Ready)
            }
            Self::Tls(listener) => {
                let (socket, from) = listener.accept().await?;
                socket.set_nodelay(true)?;
                Ok(Accepted::Tls(socket, from))
            }
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn bind_unix(path: &Path, socket_mode: u32) -> io::Result<Listener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(socket_mode))?;
    Ok(Listener::Unix(listener, path.to_owned()))
}

fn is_stale(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self
            && let Err(error) = std::fs::remove_file(&*path)
        {
            debug!(%error, path = %path.display(), "socket file not removed");
        }
    }
}

/// Accepts connections until the node stops.
pub(super) async fn listen(shared: Arc<Shared>, listener: Listener) {
    let mut stopping = shared.stopping.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok(accepted) => match shared.accept() {
                Some((id, wake)) => {
                    tokio::spawn(welcome(shared.clone(), id, accepted, wake));
                }
                None => warn!("too many Diameter connections; one more is refused"),
            },
            Err(error) => {
                warn!(%error, "accepting a Diameter connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Runs a connection that came in, after its handshake if it has one.
async fn welcome(shared: Arc<Shared>, id: ConnectionId, accepted: Accepted, wake: Arc<Notify>) {
    let stream = match (accepted, &shared.tls) {
        (Accepted::Ready(stream), _) => stream,
        (Accepted::Tls(socket, from), Some(tls)) => {
            let tls = tls.loaded();
            let shaken = tokio::select! {
                shaken = tls.accept(socket, shared.config.connect_timeout) => shaken,
                // Before a connection has a peer, it is woken only to be closed.
                () = wake.notified() => return shared.disconnected(id, &mut Vec::new()),
            };
            match shaken {
                Ok(stream) => Stream::Tls(Box::new(stream)),
                Err(error) => {
                    warn!(%from, %error, "TLS handshake failed; the Diameter connection is closed");
                    return shared.disconnected(id, &mut Vec::new());
                }
            }
        }
        // The configuration's check does not let a listener be without.
        (Accepted::Tls(..), None) => return shared.disconnected(id, &mut Vec::new()),
    };
    connection::run(shared, id, stream, wake, Vec::new()).await;
}

/// Connects to a configured peer once, and runs the connection.
pub(super) async fn connect(shared: Arc<Shared>, peer: PeerId, address: Address) {
    let tls = shared.tls.as_ref().map(Tls::loaded);
    let stream = Stream::connect(&address, shared.config.connect_timeout, tls).await;
    match &stream {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            warn!(%peer, %address, %error, "TLS handshake with the Diameter peer failed");
        }
        Err(error) => debug!(%peer, %address, %error, "Diameter peer cannot be reached"),
    }
    let mut events = Vec::new();
    let connected = shared.connected(&peer, stream.is_ok(), &mut events);
    match (connected, stream) {
        (Some((id, wake)), Ok(stream)) => {
            connection::run(shared, id, stream, wake, events).await;
        }
        _ => connection::deliver_all(&shared, events).await,
    }
}
