//! Listeners, connections and their bounds.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tollwire_runtime::admin::{self, SocketFile};

use super::Config;
use super::gate::{Gate, Refuse, router};
use super::peer::{Peer, forwarded, forwarded_secure, is_of};
use super::stall::Stall;
use crate::limit::source;
use crate::tls;

/// How long a TLS handshake, and a request's head, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a fault of the listener: too many open files go by.
const PAUSE: Duration = Duration::from_millis(100);
/// Octets of a request's head.
const LARGEST_HEAD: usize = 32 * 1024;

/// The running server; dropping it ends it at once.
pub struct Server {
    shared: Arc<Shared>,
    listening: JoinSet<()>,
    address: Option<SocketAddr>,
    connections: Arc<Semaphore>,
    most: u32,
    _file: Option<SocketFile>,
}

struct Shared {
    gate: Arc<Gate>,
    router: Router,
    settings: Mutex<Settings>,
    /// Connections of each source.
    sources: Mutex<HashMap<IpAddr, usize>>,
    ending: watch::Sender<Ending>,
}

/// How far the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It is not.
    Open,
    /// Connections end with the answers under way.
    Draining,
    /// They end now.
    Over,
}

/// What a reload changes, for connections from then on.
#[derive(Clone)]
struct Settings {
    tls: Option<TlsAcceptor>,
    proxies: Arc<[IpNet]>,
    most_of_source: usize,
    stall: Duration,
    lifetime: Duration,
    drain: Duration,
}

impl Settings {
    fn of(config: &Config) -> Result<Self, String> {
        let tls = match (&config.tls_certificate_file, &config.tls_key_file) {
            (Some(certificate), Some(key)) => {
                if !config.self_signed_names.is_empty() {
                    tls::make_self_signed(certificate, key, &config.self_signed_names)?;
                }
                let authorities = config.client_ca_file.as_deref();
                Some(tls::acceptor(certificate, key, authorities)?)
            }
            _ => None,
        };
        Ok(Self {
            tls,
            proxies: config.proxies.clone().into(),
            most_of_source: config.max_connections_per_source,
            stall: Duration::from_secs(config.stall_seconds),
            lifetime: Duration::from_secs(config.lifetime_seconds),
            drain: Duration::from_secs(config.drain_seconds),
        })
    }
}

impl Server {
    /// Listens where `config` says (nowhere is possible) and serves `router`. The configuration has been validated.
    ///
    /// # Errors
    /// What cannot be read or bound.
    pub async fn start(config: &Config, router: Router) -> Result<Self, String> {
        Self::start_with(config, router, None).await
    }

    /// [`Server::start`], with `refuse` for what is answered where a bound is passed, instead of plain text.
    ///
    /// # Errors
    /// What cannot be read or bound.
    pub async fn start_with(
        config: &Config,
        routes: Router,
        refuse: Option<Refuse>,
    ) -> Result<Self, String> {
        let settings = Settings::of(config)?;
        if let Some(listen) = config.listen
            && settings.tls.is_none()
            && !listen.ip().is_loopback()
        {
            return Err(format!("{listen}: without TLS only loopback addresses"));
        }
        let gate = Arc::new(Gate::new(config, refuse));
        let shared = Arc::new(Shared {
            router: router(routes, Arc::clone(&gate)),
            gate,
            settings: Mutex::new(settings),
            sources: Mutex::default(),
            ending: watch::Sender::new(Ending::Open),
        });
        let most = u32::try_from(config.max_connections).unwrap_or(u32::MAX);
        let connections = Arc::new(Semaphore::new(config.max_connections));
        let mut listening = JoinSet::new();
        let mut bound = None;
        if let Some(address) = config.listen {
            let named = |error| format!("{address}: {error}");
            let listener = TcpListener::bind(address).await.map_err(named)?;
            bound = Some(listener.local_addr().map_err(named)?);
            let (shared, connections) = (Arc::clone(&shared), Arc::clone(&connections));
            listening.spawn(listen_tcp(listener, shared, connections));
        }
        let mut file = None;
        if let Some(path) = &config.socket {
            let (listener, socket) = admin::bind(path).map_err(|error| error.to_string())?;
            file = Some(socket);
            let (shared, connections) = (Arc::clone(&shared), Arc::clone(&connections));
            listening.spawn(listen_unix(listener, shared, connections));
        }
        Ok(Self {
            shared,
            listening,
            address: bound,
            connections,
            most,
            _file: file,
        })
    }

    /// The TCP address that it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Connections there are now.
    pub fn connections(&self) -> usize {
        (self.most as usize).saturating_sub(self.connections.available_permits())
    }

    /// Takes other files, rates and times; what runs goes on as it began. Where it listens, the number of connections
    /// and the largest body stay.
    ///
    /// # Errors
    /// What cannot be read; then everything stays as it is.
    pub fn reload(&self, config: &Config) -> Result<(), String> {
        let settings = Settings::of(config)?;
        if settings.tls.is_none() && self.address.is_some_and(|it| !it.ip().is_loopback()) {
            return Err("without TLS only loopback addresses".to_owned());
        }
        if let Ok(mut current) = self.shared.settings.lock() {
            *current = settings;
        }
        self.shared.gate.reload(config);
        Ok(())
    }

    /// Accepts nothing more, lets answers that are under way go out for `drain_seconds` at most, and ends.
    pub async fn stop(mut self) {
        self.listening.shutdown().await;
        self.shared.ending.send_replace(Ending::Draining);
        let drain = (self.shared.settings.lock()).map_or(Duration::ZERO, |it| it.drain);
        let all = self.connections.acquire_many(self.most);
        if timeout(drain, all).await.is_err() {
            let left = self.connections();
            tracing::warn!(left, "answers were under way when the time to end was over");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ending.send_replace(Ending::Over);
    }
}

async fn listen_tcp(listener: TcpListener, shared: Arc<Shared>, connections: Arc<Semaphore>) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        let address = address.ip().to_canonical();
        let Ok(settings) = shared.settings.lock().map(|settings| settings.clone()) else {
            return;
        };
        let is_proxy = is_of(address, &settings.proxies);
        let place = match is_proxy {
            true => None,
            false => match Place::take(&shared, source(address), settings.most_of_source) {
                Some(place) => Some(place),
                None => continue,
            },
        };
        // One more waits here, and those after it in the kernel's queue.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let connection = Connection {
            shared: Arc::clone(&shared),
            settings,
            address,
            is_proxy,
            certificate: None,
            _place: place,
            _permit: permit,
        };
        tokio::spawn(connection.tcp(stream));
    }
}

async fn listen_unix(listener: UnixListener, shared: Arc<Shared>, connections: Arc<Semaphore>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        let Ok(settings) = shared.settings.lock().map(|settings| settings.clone()) else {
            return;
        };
        // One more waits here, and those after it in the kernel's queue.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let connection = Connection {
            shared: Arc::clone(&shared),
            settings,
            address: Ipv4Addr::LOCALHOST.into(),
            is_proxy: true,
            certificate: None,
            _place: None,
            _permit: permit,
        };
        tokio::spawn(connection.bounded(stream, false));
    }
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(PAUSE).await;
}

async fn until(ending: &mut watch::Receiver<Ending>, reached: impl Fn(Ending) -> bool) {
    // The sender is shared with every connection.
    let _ = ending.wait_for(|ending| reached(*ending)).await;
}

/// A connection's place among those of its source, which is given back with it.
struct Place {
    shared: Arc<Shared>,
    source: IpAddr,
}

impl Place {
    fn take(shared: &Arc<Shared>, source: IpAddr, most: usize) -> Option<Self> {
        let mut sources = shared.sources.lock().ok()?;
        let count = sources.get(&source).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        sources.insert(source, count + 1);
        Some(Self {
            shared: Arc::clone(shared),
            source,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(mut sources) = self.shared.sources.lock()
            && let Some(count) = sources.get_mut(&self.source)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

struct Connection {
    shared: Arc<Shared>,
    settings: Settings,
    address: IpAddr,
    is_proxy: bool,
    certificate: Option<Arc<CertificateDer<'static>>>,
    _place: Option<Place>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn tcp(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.settings.tls.clone() else {
            return self.bounded(stream, false).await;
        };
        match timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates();
                let shown = shown.and_then(<[_]>::first).cloned();
                self.certificate = shown.map(|certificate| Arc::new(certificate.into_owned()));
                self.bounded(stream, true).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(source = %self.address, %error, "a TLS handshake failed");
            }
            Err(_) => {}
        }
    }

    /// Serves the stream until its time is over.
    async fn bounded(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        secure: bool,
    ) {
        let mut ending = self.shared.ending.subscribe();
        let lifetime = self.settings.lifetime;
        tokio::select! {
            _ = timeout(lifetime, self.http(stream, secure)) => {}
            () = until(&mut ending, |it| it == Ending::Over) => {}
        }
    }

    async fn http(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        secure: bool,
    ) {
        let mut ending = self.shared.ending.subscribe();
        let routes = TowerToHyperService::new(self.shared.router.clone());
        let service = service_fn(|mut request: Request<Incoming>| {
            let peer = self.peer(&request, secure);
            request.extensions_mut().insert(peer);
            let answer = routes.call(request);
            async move { answer.await as Result<Response<Body>, Infallible> }
        });
        let stream = Stall::new(stream, self.settings.stall);
        let mut served = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(LARGEST_HEAD)
                .serve_connection(TokioIo::new(stream), service)
        );
        let result = tokio::select! {
            result = served.as_mut() => result,
            () = until(&mut ending, |it| it != Ending::Open) => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(source = %self.address, %error, "a connection broke off");
        }
    }

    fn peer(&self, request: &Request<Incoming>, secure: bool) -> Peer {
        let mut peer = Peer {
            secure,
            certificate: self.certificate.clone(),
            rate: Some(Arc::clone(&self.shared.gate.rate)),
            ..Peer::at(self.address)
        };
        if self.is_proxy {
            if let Some(address) = forwarded(request.headers(), &self.settings.proxies) {
                peer.address = address;
                peer.source = source(address);
            }
            peer.secure |= forwarded_secure(request.headers());
        }
        peer
    }
}
