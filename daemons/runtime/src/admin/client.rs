//! Asking a daemon over its Unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use super::Problem;

/// The longest answer read, octets.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;
/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a daemon gave no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens, or we may not connect.
    #[error("{}: {source}; does the daemon run, and are you root or in its group?", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke off, or took too long.
    #[error("{}: {what}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// How.
        what: String,
    },
    /// The daemon refuses.
    #[error("{error}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        error: String,
    },
}

/// `GET path`.
pub async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ClientError> {
    read(
        socket,
        &exchange(socket, Method::GET, path, Bytes::new()).await?,
    )
}

/// `GET path`, as text.
pub async fn get_text(socket: &Path, path: &str) -> Result<String, ClientError> {
    let body = exchange(socket, Method::GET, path, Bytes::new()).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// `GET path`, as it comes.
pub async fn get_octets(socket: &Path, path: &str) -> Result<Vec<u8>, ClientError> {
    let body = exchange(socket, Method::GET, path, Bytes::new()).await?;
    Ok(body.into())
}

/// `POST path` with `body`.
pub async fn post<B: Serialize, T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &B,
) -> Result<T, ClientError> {
    send(socket, Method::POST, path, body).await
}

/// `PUT path` with `body`.
pub async fn put<B: Serialize, T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &B,
) -> Result<T, ClientError> {
    send(socket, Method::PUT, path, body).await
}

/// `DELETE path`.
pub async fn delete<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ClientError> {
    read(
        socket,
        &exchange(socket, Method::DELETE, path, Bytes::new()).await?,
    )
}

async fn send<B: Serialize, T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: &B,
) -> Result<T, ClientError> {
    let body = serde_json::to_vec(body).map_err(|error| broken(socket, error))?;
    read(socket, &exchange(socket, method, path, body.into()).await?)
}

fn read<T: DeserializeOwned>(socket: &Path, body: &[u8]) -> Result<T, ClientError> {
    // An answer without a body says no more than its status.
    let body = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(body).map_err(|error| broken(socket, error))
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Bytes, ClientError> {
    match tokio::time::timeout(PATIENCE, exchange_once(socket, method, path, body)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(broken(socket, "no answer in time")),
    }
}

async fn exchange_once(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Bytes, ClientError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| ClientError::Unreachable {
            socket: socket.to_owned(),
            source,
        })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(socket, error))?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| broken(socket, error))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| broken(socket, error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER)
        .collect()
        .await
        .map_err(|error| broken(socket, error))?
        .to_bytes();
    connection.abort();
    if status.is_success() {
        return Ok(body);
    }
    let error = serde_json::from_slice::<Problem>(&body).map_or_else(
        |_| format!("{status}: {}", String::from_utf8_lossy(&body)),
        |problem| problem.error,
    );
    Err(ClientError::Refused {
        status: status.as_u16(),
        error,
    })
}

fn broken(socket: &Path, what: impl ToString) -> ClientError {
    ClientError::Broken {
        socket: socket.to_owned(),
        what: what.to_string(),
    }
}
