//! A proxy for the programs of this host: it signs each request, so that any of them can use the service.
//!
//! A program asks it as a proxy (`curl -x http://127.0.0.1:8899 http://provider.example/weather/today`: plain HTTP, for what is inside
//! TLS cannot be signed; on to the provider it is TLS if his address says so), or as if it were the service itself
//! (`curl http://127.0.0.1:8899/today`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tollwire_peer::{Refusal, Word};
use tollwire_web::proxy::{Passing, Watch, length, strip};

use crate::route::{Base, is_of_a_page};
use crate::{Lease, Leases, UserError};

/// Octets of a request's head.
const LARGEST_HEAD: usize = 32 * 1024;
/// How long a head may take.
const HEAD: Duration = Duration::from_secs(30);
/// The pause after a fault of the listener: too many open files go by.
const PAUSE: Duration = Duration::from_millis(100);
/// Octets of an answer that is looked at for a refusal.
const LARGEST_REFUSAL: usize = 4096;

/// Credentials that one request may be asked under: when many come at once, others may have used up the next.
const ATTEMPTS: u32 = 4;

/// What a proxy bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections of programs at once; more wait.
    pub connections: usize,
    /// How long nothing may come of a body.
    pub silence: Duration,
    /// How long answers under way may take when it ends.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 64,
            silence: Duration::from_secs(120),
            drain: Duration::from_secs(10),
        }
    }
}

/// A running proxy; dropping it ends it at once.
pub struct Proxy {
    address: SocketAddr,
    leases: Arc<Leases>,
    ending: watch::Sender<bool>,
    listening: JoinSet<()>,
    bounds: Bounds,
    count: Arc<Count>,
}

struct Shared {
    leases: Arc<Leases>,
    bounds: Bounds,
    count: Arc<Count>,
}

impl Proxy {
    /// Serves programs that connect to `listener`, with credentials of `leases`.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn start(
        listener: TcpListener,
        leases: Arc<Leases>,
        bounds: Bounds,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let count = Arc::<Count>::default();
        let shared = Arc::new(Shared {
            leases: Arc::clone(&leases),
            bounds,
            count: Arc::clone(&count),
        });
        let (ending, ended) = watch::channel(false);
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, shared, ended));
        Ok(Self {
            address,
            leases,
            ending,
            listening,
            bounds,
            count,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: what is under way may finish for a while, then the session ends. What was used.
    pub async fn stop(mut self) -> Used {
        self.ending.send_replace(true);
        let drained = timeout(self.bounds.drain, self.listening.join_next()).await;
        if drained.is_err() {
            self.listening.shutdown().await;
        }
        self.leases.end().await;
        Used {
            requests: self.count.requests.load(Ordering::Relaxed),
            octets: self.count.octets.load(Ordering::Relaxed),
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, mut ended: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(shared.bounds.connections));
    let mut connections = JoinSet::new();
    let accept = async || {
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            match (place, listener.accept().await) {
                (Ok(place), Ok((stream, _))) => return (place, stream),
                _ => sleep(PAUSE).await,
            }
        }
    };
    loop {
        tokio::select! {
            (place, stream) = accept() => {
                connections.spawn(serve(stream, place, Arc::clone(&shared), ended.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = told(&mut ended) => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn told(ended: &mut watch::Receiver<bool>) {
    // Whoever could tell is gone: that is the end as well.
    let _ = ended.wait_for(|ended| *ended).await;
}

async fn serve(
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    shared: Arc<Shared>,
    mut ended: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        over = connection.as_mut() => if let Err(error) = over {
            tracing::debug!(%error, "a connection of a program broke off");
        },
        () = told(&mut ended) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// What was used, by the user's own count: that of the provider can be held against it.
#[derive(Debug, Default)]
struct Count {
    requests: AtomicU64,
    octets: AtomicU64,
}

/// What programs used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Requests that were answered, and not refused.
    pub requests: u64,
    /// Octets of contents, both ways.
    pub octets: u64,
}

/// Counts a body, and holds a credential until it has passed.
struct Counted {
    count: Arc<Count>,
    _lease: Option<Arc<Lease>>,
}

impl Watch for Counted {
    fn passed(&mut self, octets: u64) {
        self.count.octets.fetch_add(octets, Ordering::Relaxed);
    }
}

/// An answer of our own.
fn plain(status: u16, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("tollctl peer: {text}\n")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let utf8 = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, utf8);
    response
}

fn failed(error: &UserError) -> Response<Body> {
    tracing::warn!(%error, "a request was not served");
    plain(error.status(), &error.to_string())
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return plain(
                501,
                "what is inside TLS cannot be signed: ask for http://, the way to the provider is encrypted if his address is https",
            );
        }
        if is_of_a_page(request.uri(), request.headers()) {
            return plain(
                403,
                "a web page of another host may not ask this one; programs ask it by its address, or as a proxy",
            );
        }
        let (mut head, body) = request.into_parts();
        strip(&mut head.headers);
        head.headers.remove(HOST);
        head.extensions.clear();
        let again = body.is_end_stream().then(|| head.clone());
        let body = Body::new(body);
        let body = match again.is_some() {
            true => body,
            false => Body::new(self.counted(body, length(&head.headers), None)),
        };
        let mut request = Request::from_parts(head, body);
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match (self.pass(request).await, &again) {
                // Only what has no body can be asked again, under the next credential.
                (Passed::Over(_), Some(head)) if left > 0 && self.leases.renews() => {
                    request = Request::from_parts(head.clone(), Body::empty());
                }
                (Passed::Answered(response) | Passed::Over(response), _) => return response,
            }
        }
    }

    async fn pass(&self, mut request: Request<Body>) -> Passed {
        let lease = match self.leases.lease().await {
            Ok(lease) => lease,
            Err(error) => return Passed::Answered(failed(&error)),
        };
        let credential = lease.credential();
        let Some(base) = Base::of(&credential.address) else {
            let text = format!("{}: the service is not of HTTP", credential.address);
            return Passed::Answered(plain(502, &text));
        };
        let form = match base.target(request.uri()) {
            Ok((uri, form)) => {
                *request.uri_mut() = uri;
                form
            }
            Err(why) => return Passed::Answered(plain(403, &why)),
        };
        let is_head = request.method() == Method::HEAD;
        let response = match self.leases.caller().send(credential, request).await {
            Ok(response) => response,
            Err(error) => return Passed::Answered(failed(&error)),
        };
        let (mut head, body) = response.into_parts();
        strip(&mut head.headers);
        head.extensions.clear();
        let location = head.headers.get(LOCATION).and_then(|it| it.to_str().ok());
        let location = location.and_then(|location| base.relocated(location, &form));
        if let Some(Ok(location)) = location.map(HeaderValue::try_from) {
            head.headers.insert(LOCATION, location);
        }
        let length = length(&head.headers);
        let is_short = length.is_some_and(|it| it <= LARGEST_REFUSAL as u64);
        if matches!(head.status.as_u16(), 403 | 404 | 410) && is_short && !is_head {
            let octets = match Limited::new(body, LARGEST_REFUSAL).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => return Passed::Answered(plain(502, &error.to_string())),
            };
            let refusal = serde_json::from_slice::<Refusal>(&octets);
            let response = Response::from_parts(head, Body::from(octets));
            match refusal.map(|refusal| refusal.error) {
                Ok(Word::Closed | Word::UnknownSession) => lease.spent(),
                Ok(Word::Policy) => lease.denied(),
                _ => return Passed::Answered(response),
            }
            return match lease.is_spent() {
                true => Passed::Over(response),
                false => Passed::Answered(response),
            };
        }
        lease.served();
        self.count.requests.fetch_add(1, Ordering::Relaxed);
        // HEAD tells a length, and has no body.
        let length = if is_head { Some(0) } else { length };
        let body = self.counted(body, length, Some(lease));
        Passed::Answered(Response::from_parts(head, Body::new(body)))
    }

    fn counted(
        &self,
        body: Body,
        length: Option<u64>,
        lease: Option<Arc<Lease>>,
    ) -> Passing<Counted> {
        let counted = Counted {
            count: Arc::clone(&self.count),
            _lease: lease,
        };
        Passing::new(body, length, self.bounds.silence, counted)
    }
}

enum Passed {
    Answered(Response<Body>),
    /// The provider says that the session is over, or allows no more.
    Over(Response<Body>),
}
