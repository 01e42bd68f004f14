//! What goes before and after every handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CONTENT_LENGTH, EXPECT, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};

use super::Config;
use super::peer::{Peer, Rate};
use crate::headers;

/// Octets of a body that is too large that are read all the same, and how long: a client that is still sending when the
/// connection is closed may never see the answer (RFC 9112 9.6).
const DISCARDED: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a request does not come to its handler, or not back from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many requests of this source: so many seconds to wait.
    TooMany(u64),
    /// A body above the bound.
    TooLarge,
    /// The handler took too long; what was asked for may have been done.
    TooSlow,
}

impl Refusal {
    /// Its status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooMany(seconds) => {
                write!(formatter, "too many requests: try again in {seconds} s")
            }
            Self::TooLarge => formatter.write_str("the request is too large"),
            Self::TooSlow => {
                formatter.write_str("it took too long; what was asked for may have been done")
            }
        }
    }
}

/// What is answered instead, for the request with these headers: a page, or JSON. The status and Retry-After are set
/// by the server.
pub type Refuse = Arc<dyn Fn(Refusal, &HeaderMap) -> Response + Send + Sync>;

/// What every request needs.
pub(super) struct Gate {
    pub(super) rate: Arc<Rate>,
    pub(super) timeout_ms: AtomicU64,
    pub(super) hsts_seconds: AtomicU64,
    refuse: Option<Refuse>,
    largest_body: usize,
}

impl Gate {
    pub(super) fn new(config: &Config, refuse: Option<Refuse>) -> Self {
        Self {
            rate: Arc::new(Rate::new(config.requests_per_second, config.burst)),
            timeout_ms: AtomicU64::new(config.timeout_seconds.saturating_mul(1000)),
            hsts_seconds: AtomicU64::new(config.hsts_seconds),
            refuse,
            largest_body: config.max_body_octets,
        }
    }

    pub(super) fn reload(&self, config: &Config) {
        (self.rate).change(config.requests_per_second, config.burst);
        let ms = config.timeout_seconds.saturating_mul(1000);
        self.timeout_ms.store(ms, Ordering::Relaxed);
        (self.hsts_seconds).store(config.hsts_seconds, Ordering::Relaxed);
    }

    fn refusal(&self, refusal: Refusal, headers: &HeaderMap) -> Response {
        let mut response = match &self.refuse {
            Some(refuse) => refuse(refusal, headers),
            None => format!("{refusal}\n").into_response(),
        };
        *response.status_mut() = refusal.status();
        if let Refusal::TooMany(seconds) = refusal {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        let headers = request.headers().clone();
        let source = request.extensions().get::<Peer>().map(|peer| peer.source);
        if let Some(source) = source
            && let Err(seconds) = self.rate.request(source)
        {
            return self.refusal(Refusal::TooMany(seconds), &headers);
        }
        let length = (headers.get(CONTENT_LENGTH))
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.largest_body as u64) {
            if !headers.contains_key(EXPECT) {
                let _ = tokio::time::timeout(PATIENCE, discard(request.into_body())).await;
            }
            return self.refusal(Refusal::TooLarge, &headers);
        }
        let request = request.map(|body| Body::new(Limited::new(body, self.largest_body)));
        let patience = Duration::from_millis(self.timeout_ms.load(Ordering::Relaxed));
        match tokio::time::timeout(patience, next.run(request)).await {
            Ok(response) => response,
            Err(_) => self.refusal(Refusal::TooSlow, &headers),
        }
    }
}

async fn discard(body: Body) {
    let mut body = Limited::new(body, DISCARDED);
    while let Some(Ok(_)) = body.frame().await {}
}

/// The guarded routes.
pub(super) fn router(routes: Router, gate: Arc<Gate>) -> Router {
    routes
        // Bounded for every body already, those that are streamed too.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(gate, guard))
}

async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let secure = (request.extensions().get::<Peer>()).is_some_and(|peer| peer.secure);
    let mut response = gate.answer(request, next).await;
    let hsts = match secure {
        true => gate.hsts_seconds.load(Ordering::Relaxed),
        false => 0,
    };
    headers::complete(&mut response, hsts);
    response
}
