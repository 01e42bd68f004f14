use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tracing::{debug, warn};

use crate::diameter::Address;
use crate::diameter::connection;
use crate::diameter::event::PeerId;
use crate::diameter::state::Shared;
use crate::diameter::stream::Stream;

/// The pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket of either kind.
#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

impl Listener {
    /// Binds; a socket file that nobody listens on any more is replaced.
    pub(super) fn bind(address: &Address, socket_mode: u32) -> io::Result<Self> {
        let with_address =
            |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        match address {
            Address::Unix(path) => bind_unix(path, socket_mode).map_err(with_address),
            Address::Tcp(socket_address) => {
                let bind = || {
                    let listener = std::net::TcpListener::bind(socket_address)?;
                    listener.set_nonblocking(true)?;
                    TcpListener::from_std(listener)
                };
                bind().map(Self::Tcp).map_err(with_address)
            }
        }
    }

    /// Where it listens, with the port that was found if 0 was asked for.
    pub(super) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Unix(_, path) => Ok(Address::Unix(path.clone())),
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener, _) => listener.accept().await.map(|(it, _)| Stream::Unix(it)),
            Self::Tcp(listener) => listener
                .accept()
                .await
                .and_then(|(it, _)| Stream::from_tcp(it)),
        }
    }
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
            Ok(stream) => match shared.accept() {
                Some((id, wake)) => {
                    tokio::spawn(connection::run(
                        shared.clone(),
                        id,
                        stream,
                        wake,
                        Vec::new(),
                    ));
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

/// Connects to a configured peer once, and runs the connection.
pub(super) async fn connect(shared: Arc<Shared>, peer: PeerId, address: Address) {
    let stream = Stream::connect(&address, shared.config.connect_timeout).await;
    if let Err(error) = &stream {
        debug!(%peer, %address, %error, "Diameter peer cannot be reached");
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
