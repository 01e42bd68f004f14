//! HTTP over TCP: the operator's routes for programs on other hosts, and customers' own. `/v1/openapi.json` describes
//! them.
//!
//! ```text
//! TLS, a certificate perhaps -> rate of the source -> token or certificate -> role -> admin's route
//! ```

mod access;
mod config;
mod limit;
mod serve;
mod table;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::Instant;
use tollwire_runtime::admin::Problem;

pub use config::Config;
pub(crate) use serve::Server;

use crate::caller::Caller;
use access::Access;
use limit::Limit;
use table::Need;

/// The description of the routes, OpenAPI 3.1.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");
/// Octets of a request's body.
const LARGEST_BODY: usize = 1 << 18;
/// Octets of a token.
const LONGEST_TOKEN: usize = 512;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
struct Connection {
    source: IpAddr,
    /// The names in his certificate, which an authority of ours has signed.
    names: Arc<[String]>,
}

/// What every request needs.
struct Gate {
    access: Mutex<Arc<Access>>,
    limit: Mutex<Limit>,
    timeout: Mutex<Duration>,
    began: Instant,
}

/// The guarded routes.
fn router(routes: Router, gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/v1/openapi.json", get(openapi))
        .nest("/v1", routes)
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(gate, guard))
}

async fn openapi() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], OPENAPI).into_response()
}

async fn nothing_here() -> Problem {
    Problem::not_found("no such route: GET /v1/openapi.json describes all")
}

async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let mut response = match gate.admit(request) {
        Ok((request, need, caller)) => {
            let patience = gate.timeout.lock().map_or(Duration::ZERO, |it| *it);
            match tokio::time::timeout(patience, next.run(request)).await {
                Ok(response) => match caller {
                    Some(caller) => {
                        if response.status() == StatusCode::FORBIDDEN {
                            tracing::warn!(
                                who = caller.who(),
                                "the API was asked for what a role may not do"
                            );
                        }
                        table::allow_answer(need, &caller, &response)
                            .map_or_else(IntoResponse::into_response, |()| response)
                    }
                    None => response,
                },
                Err(_) => {
                    let what = "it took too long; what was asked for may have been done";
                    Problem::unavailable(what).into_response()
                }
            }
        }
        Err(response) => *response,
    };
    let headers = response.headers_mut();
    // Balances are nothing for caches.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Gate {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The request, its route and its caller, or what is said instead.
    fn admit(
        &self,
        mut request: Request,
    ) -> Result<(Request, Need, Option<Caller>), Box<Response>> {
        let refuse = |problem: Problem| Box::new(problem.into_response());
        let connection = request.extensions().get::<Connection>().cloned();
        let Some(connection) = connection else {
            return Err(refuse(Problem::unavailable("who asks is not known")));
        };
        let waits = self.limit.lock().map_or(Ok(()), |mut limit| {
            limit.request(connection.source, self.now_ms())
        });
        if let Err(seconds) = waits {
            let what = format!("too many requests: try again in {seconds} s");
            let mut response = refuse(Problem::new(StatusCode::TOO_MANY_REQUESTS, what));
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return Err(response);
        }
        let path = request.extensions().get::<MatchedPath>();
        let need = path.and_then(|path| table::need(request.method().as_str(), path.as_str()));
        if need == Some(Need::Nothing) {
            return Ok((request, Need::Nothing, None));
        }
        let Some(caller) = self.caller(request.headers(), &connection) else {
            if let Ok(mut limit) = self.limit.lock() {
                limit.penalty(connection.source, self.now_ms());
            }
            tracing::warn!(source = %connection.source, "the API was asked without a token or certificate that it knows");
            let what = "who asks? \"Authorization: Bearer TOKEN\", or a certificate with a role";
            let mut response = refuse(Problem::new(StatusCode::UNAUTHORIZED, what));
            let how = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, how);
            return Err(response);
        };
        // Whether there is such a route is told to those who are known.
        let Some(need) = need else {
            return Err(refuse(Problem::not_found(
                "no such route: GET /v1/openapi.json describes all",
            )));
        };
        if let Err(problem) = table::allow(need, &caller, request.uri()) {
            tracing::warn!(
                who = caller.who(),
                "the API was asked for what a role may not do"
            );
            return Err(refuse(problem));
        }
        request.extensions_mut().insert(caller.clone());
        Ok((request, need, Some(caller)))
    }

    /// A token, if there is one, says who asks; otherwise the certificate does.
    fn caller(&self, headers: &HeaderMap, connection: &Connection) -> Option<Caller> {
        let access = Arc::clone(&*self.access.lock().ok()?);
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let Some(first) = given.next() else {
            return access.of_certificate(&connection.names);
        };
        let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
        let is_token = scheme.eq_ignore_ascii_case("bearer")
            && given.next().is_none()
            && token.len() <= LONGEST_TOKEN;
        is_token.then(|| access.of_token(token.trim())).flatten()
    }
}
