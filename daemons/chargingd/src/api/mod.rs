//! HTTP over TCP: the operator's routes for programs on other hosts, and customers' own. `/v1/openapi.json` describes
//! them.
//!
//! ```text
//! TLS, a certificate perhaps -> rate of the source (tollwire-web) -> token or certificate -> role -> admin's route
//! ```

mod access;
mod config;
mod serve;
mod table;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tollwire_runtime::admin::Problem;
use tollwire_web::Peer;

pub use config::Config;
pub(crate) use serve::Server;

use crate::caller::Caller;
use access::Access;
use table::Need;

/// The description of the routes, OpenAPI 3.1.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");
/// Octets of a request's body.
const LARGEST_BODY: usize = 1 << 18;
/// Octets of a token.
const LONGEST_TOKEN: usize = 512;

/// Requests that an unknown token takes from what its source may ask.
const WRONG: u32 = 5;

/// What every request needs.
struct Gate {
    access: Mutex<Arc<Access>>,
}

/// The guarded routes.
fn router(routes: Router, gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/v1/openapi.json", get(openapi))
        .nest("/v1", routes)
        .fallback(nothing_here)
        .layer(from_fn_with_state(gate, guard))
}

async fn openapi() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], OPENAPI).into_response()
}

async fn nothing_here() -> Problem {
    Problem::not_found("no such route: GET /v1/openapi.json describes all")
}

async fn guard(
    State(gate): State<Arc<Gate>>,
    peer: Peer,
    request: Request,
    next: Next,
) -> Response {
    let (request, need, caller) = match gate.admit(request, &peer) {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let response = next.run(request).await;
    let Some(caller) = caller else {
        return response;
    };
    if response.status() == StatusCode::FORBIDDEN {
        tracing::warn!(
            who = caller.who(),
            "the API was asked for what a role may not do"
        );
    }
    table::allow_answer(need, &caller, &response)
        .map_or_else(IntoResponse::into_response, |()| response)
}

impl Gate {
    /// The request, its route and its caller, or what is said instead.
    fn admit(
        &self,
        mut request: Request,
        peer: &Peer,
    ) -> Result<(Request, Need, Option<Caller>), Box<Response>> {
        let refuse = |problem: Problem| Box::new(problem.into_response());
        let path = request.extensions().get::<MatchedPath>();
        let need = path.and_then(|path| table::need(request.method().as_str(), path.as_str()));
        if need == Some(Need::Nothing) {
            return Ok((request, Need::Nothing, None));
        }
        let Some(caller) = self.caller(request.headers(), peer) else {
            peer.penalty(WRONG);
            tracing::warn!(source = %peer.source, "the API was asked without a token or certificate that it knows");
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
    fn caller(&self, headers: &HeaderMap, peer: &Peer) -> Option<Caller> {
        let access = Arc::clone(&*self.access.lock().ok()?);
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let Some(first) = given.next() else {
            let certificate = peer.certificate.as_ref();
            let names = certificate.map(|certificate| access::names(certificate));
            return access.of_certificate(&names.unwrap_or_default());
        };
        let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
        let is_token = scheme.eq_ignore_ascii_case("bearer")
            && given.next().is_none()
            && token.len() <= LONGEST_TOKEN;
        is_token.then(|| access.of_token(token.trim())).flatten()
    }
}
