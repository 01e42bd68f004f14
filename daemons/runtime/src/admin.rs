//! The operator's interface: HTTP with JSON bodies over a Unix socket, whose group may use it.

pub mod client;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use axum::Json;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};

use crate::metrics::Metrics;

/// An error as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong and what to do.
    pub error: String,
    /// The HTTP status; carried by the status line alone.
    #[serde(skip, default)]
    pub status: u16,
}

impl Problem {
    /// A problem under `status`.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            status: status.as_u16(),
        }
    }

    /// 404.
    pub fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// 400.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// 409.
    pub fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error)
    }

    /// 503.
    pub fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self)).into_response()
    }
}

/// The socket file; removed when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds a Unix socket that owner and group may use (0660), in the place of one that nobody listens on.
///
/// # Errors
/// `AddrInUse` if another process listens on it; any other fault of the path, which the error names.
pub fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let name =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(name(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another process listens here",
            )));
        }
        std::fs::remove_file(path).map_err(name)?;
    }
    let listener = UnixListener::bind(path).map_err(name)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(name)?;
    Ok((listener, SocketFile(path.to_owned())))
}

/// Who is at the other end of a Unix socket, as the kernel tells; routes get it by `axum::extract::ConnectInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred();
        Self {
            uid: credentials.ok().map(|peer| peer.uid()),
        }
    }
}

/// Serves `router` on `path` until the task is dropped.
pub fn serve_unix(path: &Path, router: Router) -> io::Result<Serving> {
    let (listener, file) = bind(path)?;
    let task = tokio::spawn(async move {
        let router = router.into_make_service_with_connect_info::<Peer>();
        // axum::serve ends only with its task.
        let _ = axum::serve(listener, router).await;
    });
    Ok(Serving {
        task,
        _file: Some(file),
    })
}

/// Serves `router` on a TCP address, for Prometheus.
pub async fn serve_tcp(address: std::net::SocketAddr, router: Router) -> io::Result<Serving> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok(Serving { task, _file: None })
}

/// Serves a daemon's routes and its metrics on the Unix socket, and the metrics alone on `scrape`, if given.
pub async fn serve(
    socket: &Path,
    scrape: Option<std::net::SocketAddr>,
    router: Router,
    metrics: &Metrics,
) -> io::Result<Vec<Serving>> {
    let mut serving = vec![serve_unix(socket, router.merge(metrics.router()))?];
    if let Some(address) = scrape {
        serving.push(serve_tcp(address, metrics.router()).await?);
    }
    Ok(serving)
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Serving {
    task: tokio::task::JoinHandle<()>,
    _file: Option<SocketFile>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}
