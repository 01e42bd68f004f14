//! The client: URLs that somebody else names are called with care.
//!
//! Names are resolved once, and what is no address of the Internet is refused unless the configuration allows it;
//! redirects are not followed; an answer has its time and its bound.
//!
//! ```no_run
//! # use tollwire_web::client::{Client, ClientError, Config};
//! # async fn example(config: Config) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(&config)?;
//! let answer = client
//!     .post("https://shop.example/acknowledgements", "application/jose", "eyJ...")
//!     .await;
//! match answer {
//!     Ok(answer) if answer.status.is_success() => {}
//!     Ok(answer) => println!("{}: {}", answer.status, answer.text()),
//!     Err(ClientError::Refused(why)) => println!("never: {why}"),
//!     Err(error) => println!("later: {error}"),
//! }
//! # Ok(()) }
//! ```

mod address;
mod pool;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tollwire_runtime::config::Invalid;

pub use address::is_public;
use pool::{Pool, Sender};

/// Octets of an answer's head, and of a URL.
const LARGEST_HEAD: usize = 16 * 1024;
const LONGEST_URL: usize = 8 * 1024;
/// Addresses of a host that are tried.
const MOST_ADDRESSES: usize = 4;

/// `[client]`: whom a daemon calls, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Authorities that sign servers' certificates, PEM; those of the system if absent.
    pub trust_file: Option<PathBuf>,
    /// How long a request may take, its answer with it, seconds.
    pub timeout_seconds: u64,
    /// Octets of an answer's body.
    pub max_body_octets: usize,
    /// Whether every address may be called, this host's and its networks' too: for trials, and for networks of one's own.
    pub allow_private: bool,
    /// Networks that may be called besides the Internet.
    pub allow_networks: Vec<IpNet>,
    /// Whether `http:` may be called. Not of the file: set by daemons for servers that the operator names.
    #[serde(skip)]
    pub allow_http: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            trust_file: None,
            timeout_seconds: 10,
            max_body_octets: 1 << 16,
            allow_private: false,
            allow_networks: Vec::new(),
            allow_http: false,
        }
    }
}

impl Config {
    /// What cannot work; `table` is the name of this table.
    ///
    /// # Errors
    /// The key, and what to do.
    pub fn validate(&self, table: &str) -> Result<(), Invalid> {
        if !(1..=600).contains(&self.timeout_seconds) {
            return Err(Invalid::new(format!("{table}.timeout_seconds"), "1 to 600"));
        }
        if !(1024..=1 << 26).contains(&self.max_body_octets) {
            let key = format!("{table}.max_body_octets");
            return Err(Invalid::new(key, "1024 to 67108864"));
        }
        Ok(())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It was not tried, and will never be: no URL, not HTTPS, an address that is not allowed.
    #[error("{0}")]
    Refused(String),
    /// No connection, or one that broke off: whether the server has the request is not known.
    #[error("{0}")]
    Unreachable(String),
    /// No answer in time: whether the server has the request is not known.
    #[error("no answer in time")]
    TooSlow,
    /// An answer with a larger body than is allowed.
    #[error("the answer is too large")]
    TooLarge,
}

/// An answer, whatever its status is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; a redirect is an answer like others.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Calls servers; a clone is the same.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    tls: TlsConnector,
    timeout: Duration,
    largest_body: usize,
    allow_private: bool,
    networks: Vec<IpNet>,
    allow_http: bool,
    pool: Mutex<Pool>,
}

/// Where a URL leads.
struct Target {
    secure: bool,
    /// Lower case, an IPv6 address without its brackets.
    host: String,
    port: u16,
    /// The connections that can be used for it.
    origin: String,
}

impl Client {
    /// A client with these bounds.
    ///
    /// # Errors
    /// The trust file, and what is wrong with it.
    pub fn new(config: &Config) -> Result<Self, String> {
        Ok(Self {
            shared: Arc::new(Shared {
                tls: crate::tls::connector(config.trust_file.as_deref())?,
                timeout: Duration::from_secs(config.timeout_seconds),
                largest_body: config.max_body_octets,
                allow_private: config.allow_private,
                networks: config.allow_networks.clone(),
                allow_http: config.allow_http,
                pool: Mutex::default(),
            }),
        })
    }

    /// GET.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn get(&self, url: &str) -> Result<Answer, ClientError> {
        let request = Request::get(parse(url)?).header(ACCEPT, "*/*");
        self.send(request.body(Body::empty()).map_err(no_request)?)
            .await
    }

    /// POST of a body of this media type.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn post(
        &self,
        url: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, ClientError> {
        let request = Request::post(parse(url)?).header(CONTENT_TYPE, content_type);
        self.send(request.body(Body::from(body.into())).map_err(no_request)?)
            .await
    }

    /// Any request, with its whole URL, and its whole answer.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn send(&self, request: Request<Body>) -> Result<Answer, ClientError> {
        let end = Instant::now() + self.shared.timeout;
        let response = self.open_until(request, end).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.shared.largest_body).collect();
        let body = timeout_at(end, body)
            .await
            .map_err(|_| ClientError::TooSlow)?;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => ClientError::TooLarge,
            false => ClientError::Unreachable(error.to_string()),
        })?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }

    /// Any request, and its answer as soon as its head is there; how long its body may be and take is for the caller
    /// to say. Headers are sent as they are, but Host.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn open(&self, request: Request<Body>) -> Result<Response<Body>, ClientError> {
        self.open_until(request, Instant::now() + self.shared.timeout)
            .await
    }

    async fn open_until(
        &self,
        request: Request<Body>,
        end: Instant,
    ) -> Result<Response<Body>, ClientError> {
        match timeout_at(end, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::TooSlow),
        }
    }

    async fn exchange(&self, mut request: Request<Body>) -> Result<Response<Body>, ClientError> {
        let target = self.shared.target(request.uri())?;
        prepare(&mut request)?;
        let kept = (self.shared.pool.lock()).map_or(None, |mut pool| pool.take(&target.origin));
        if let Some(mut sender) = kept {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.keep(target, sender, response)),
                // It was closed while it waited, and nothing went out.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(ClientError::Unreachable(error.into_error().to_string())),
                },
            }
        }
        let mut sender = self.shared.connect(&target).await?;
        let answer = sender.send_request(request).await;
        let response = answer.map_err(|error| target.unreachable(error))?;
        Ok(self.keep(target, sender, response))
    }

    /// The connection is for the next request when this answer has been read.
    fn keep(
        &self,
        target: Target,
        sender: Sender,
        response: Response<hyper::body::Incoming>,
    ) -> Response<Body> {
        if let Ok(mut pool) = self.shared.pool.lock() {
            pool.put(target.origin, sender);
        }
        response.map(Body::new)
    }
}

impl Shared {
    fn target(&self, uri: &Uri) -> Result<Target, ClientError> {
        // Of a URL only the host is told: its path may be a secret.
        let host = uri.host().unwrap_or("a URL without a host");
        let refused = |what: &str| ClientError::Refused(format!("{host}: {what}"));
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.allow_http => false,
            _ => return Err(refused("only https is allowed")),
        };
        let authority = uri.authority().ok_or_else(|| refused("no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("a user in a URL is not allowed"));
        }
        let host = bare(authority.host()).to_ascii_lowercase();
        let port = (authority.port_u16()).unwrap_or(if secure { 443 } else { 80 });
        let scheme = if secure { "https" } else { "http" };
        Ok(Target {
            secure,
            origin: format!("{scheme}://{host} {port}"),
            host,
            port,
        })
    }

    /// Connects to an address that was checked: a second look at the name might find another.
    async fn connect(&self, target: &Target) -> Result<Sender, ClientError> {
        let found = tokio::net::lookup_host((&*target.host, target.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|error| target.unreachable(error))?.collect();
        let allowed: Vec<SocketAddr> = (found.iter().copied())
            .filter(|address| self.may_reach(address.ip()))
            .take(MOST_ADDRESSES)
            .collect();
        if allowed.is_empty() && !found.is_empty() {
            return Err(ClientError::Refused(format!(
                "{} is not on the Internet: see allow_networks",
                target.host
            )));
        }
        let mut last = target.unreachable("no address");
        for address in allowed {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.handshake(target, stream).await,
                Err(error) => last = target.unreachable(error),
            }
        }
        Err(last)
    }

    async fn handshake(&self, target: &Target, stream: TcpStream) -> Result<Sender, ClientError> {
        let _ = stream.set_nodelay(true);
        if !target.secure {
            return speak(target, stream).await;
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| ClientError::Refused(format!("{}: no host name", target.host)))?;
        let stream = self.tls.connect(name, stream).await;
        speak(target, stream.map_err(|error| target.unreachable(error))?).await
    }

    fn may_reach(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow_private
            || is_public(address)
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }
}

impl Target {
    fn unreachable(&self, error: impl std::fmt::Display) -> ClientError {
        ClientError::Unreachable(format!("{}: {error}", self.host))
    }
}

async fn speak<S>(target: &Target, stream: S) -> Result<Sender, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| target.unreachable(error))?;
    // Ends when its sender is gone and its answer read, or nobody reads it any more.
    tokio::spawn(connection);
    Ok(sender)
}

fn parse(url: &str) -> Result<Uri, ClientError> {
    let uri = url.parse().ok().filter(|_| url.len() <= LONGEST_URL);
    uri.ok_or_else(|| ClientError::Refused("no URL".to_owned()))
}

fn no_request(error: axum::http::Error) -> ClientError {
    ClientError::Refused(error.to_string())
}

/// The request as it goes to the server itself.
fn prepare(request: &mut Request<Body>) -> Result<(), ClientError> {
    let authority = request.uri().authority().map_or("", |it| it.as_str());
    let host = HeaderValue::try_from(authority)
        .map_err(|_| ClientError::Refused("no host name".to_owned()))?;
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    let agent = HeaderValue::from_static("Tollwire");
    headers.entry(USER_AGENT).or_insert(agent);
    Ok(())
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}
