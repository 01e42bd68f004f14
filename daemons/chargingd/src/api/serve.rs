//! The listener: TLS, connections and their bounds.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::Path;
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
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::access::{self, Access};
use super::config::Config;
use super::limit::{Limit, source};
use super::{Connection, Gate, router};

/// How long a TLS handshake, and a request's head, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may last, whoever reads or does not read what is answered.
const LIFETIME: Duration = Duration::from_secs(600);
/// The pause after a fault of the listener: too many open files go by.
const PAUSE: Duration = Duration::from_millis(100);
/// Octets of a request's head.
const LARGEST_HEAD: usize = 32 * 1024;

/// The running server; dropping it ends it.
pub(crate) struct Server {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    gate: Arc<Gate>,
    /// Changed by a reload: connections from then on use it.
    tls: Mutex<Option<TlsAcceptor>>,
    /// Connections of each source.
    sources: Mutex<HashMap<IpAddr, usize>>,
    most_of_source: usize,
    router: Router,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Listens, if that is wanted, and serves `routes` under `/v1`.
    ///
    /// # Errors
    /// What cannot be read or bound.
    pub(crate) async fn start(config: &Config, routes: Router) -> Result<Option<Self>, String> {
        let Some(address) = config.listen else {
            return Ok(None);
        };
        let gate = Arc::new(Gate {
            access: Mutex::new(Arc::new(Access::read(config)?)),
            limit: Mutex::new(Limit::new(config.requests_per_second, config.burst)),
            timeout: Mutex::new(Duration::from_secs(config.timeout_seconds)),
            began: Instant::now(),
        });
        let shared = Arc::new(Shared {
            router: router(routes, Arc::clone(&gate)),
            gate,
            tls: Mutex::new(acceptor(config)?),
            sources: Mutex::default(),
            most_of_source: config.max_connections.div_ceil(4),
        });
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("api.listen: {address}: {error}"))?;
        let connections = Arc::new(Semaphore::new(config.max_connections));
        let task = tokio::spawn(listen(listener, Arc::clone(&shared), connections));
        Ok(Some(Self { shared, task }))
    }

    /// Takes other files, rates and times; what runs goes on as it began.
    ///
    /// # Errors
    /// What cannot be read; then everything stays as it is.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), String> {
        let (access, tls) = (Access::read(config)?, acceptor(config)?);
        let gate = &self.shared.gate;
        if let (Ok(mut to_access), Ok(mut to_tls), Ok(mut limit), Ok(mut patience)) = (
            gate.access.lock(),
            self.shared.tls.lock(),
            gate.limit.lock(),
            gate.timeout.lock(),
        ) {
            *to_access = Arc::new(access);
            *to_tls = tls;
            *limit = Limit::new(config.requests_per_second, config.burst);
            *patience = Duration::from_secs(config.timeout_seconds);
        }
        Ok(())
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, connections: Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the API could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = Place::take(&shared, source(address.ip())) else {
            continue;
        };
        tokio::spawn(async move {
            let _permit = permit;
            let _ = timeout(LIFETIME, connection(stream, &place)).await;
        });
    }
}

/// A connection's place among those of its source, which is given back with it.
struct Place {
    shared: Arc<Shared>,
    source: IpAddr,
}

impl Place {
    fn take(shared: &Arc<Shared>, source: IpAddr) -> Option<Self> {
        let mut sources = shared.sources.lock().ok()?;
        let count = sources.entry(source).or_default();
        if *count >= shared.most_of_source {
            return None;
        }
        *count += 1;
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

async fn connection(stream: TcpStream, place: &Place) {
    let _ = stream.set_nodelay(true);
    let tls = place.shared.tls.lock().map_or(None, |tls| tls.clone());
    let Some(tls) = tls else {
        return http(stream, place, Vec::new()).await;
    };
    match timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            let certificate = session.peer_certificates().and_then(<[_]>::first);
            let names = certificate.map(|certificate| access::names(certificate));
            http(stream, place, names.unwrap_or_default()).await;
        }
        Ok(Err(error)) => {
            tracing::debug!(source = %place.source, %error, "a TLS handshake failed");
        }
        Err(_) => {}
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: &Place,
    names: Vec<String>,
) {
    let connection = Connection {
        source: place.source,
        names: names.into(),
    };
    let routes = TowerToHyperService::new(place.shared.router.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        let answer = routes.call(request);
        async move { answer.await as Result<Response<Body>, Infallible> }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(source = %place.source, %error, "a connection to the API broke off");
    }
}

fn named(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| named(path, error))?
        .collect::<Result<_, _>>()
        .map_err(|error| named(path, error))?;
    match all.is_empty() {
        true => Err(named(path, "no certificate in it")),
        false => Ok(all),
    }
}

/// What shows our certificate, and asks for the client's if there are authorities for that.
fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, String> {
    let (Some(certificate), Some(key)) = (&config.tls_certificate_file, &config.tls_key_file)
    else {
        return Ok(None);
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &config.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(authorities)? {
                let added = roots.add(authority);
                added.map_err(|error| named(authorities, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|error| named(authorities, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, error))?;
    let mut tls = builder
        .with_single_cert(certificates(certificate)?, secret)
        .map_err(|error| named(certificate, error))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(tls))))
}
