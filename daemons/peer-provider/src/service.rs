//! Services over HTTP: what is behind them, passed on to those who may use it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderName;
use axum::response::Response;
use axum::routing::any;
use tollwire_peer::{Refusal, Word};
use tollwire_web::Peer;
use tollwire_web::headers::Content;
use tollwire_web::proxy::{self, Passing};

use crate::check::{Asked, Purpose};
use crate::config::Service;
use crate::meter::Metered;
use crate::permit::authorize;
use crate::provider::Shared;
use crate::refusal::refused;

/// Where the service request is ([`tollwire_peer::SERVICE_REQUEST_FIELD`]).
pub(crate) const FIELD: HeaderName = HeaderName::from_static("tollwire-service-request");

pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new();
    for service in &shared.live().config.service {
        let (shared, service) = (Arc::clone(shared), Arc::new(service.clone()));
        let path = service.path.clone();
        let handler = any(move |peer: Peer, request: Request| {
            let (shared, service) = (Arc::clone(&shared), Arc::clone(&service));
            async move {
                let served = serve(&shared, &service, &peer, request).await;
                served.unwrap_or_else(|refusal| refused(&refusal))
            }
        });
        router = router
            .route(&path, handler.clone())
            .route(&format!("{path}{{*rest}}"), handler);
    }
    router
}

/// The header field with the service request, taken out of a request.
pub(crate) fn token(request: &mut Request) -> Option<String> {
    let token = request.headers_mut().remove(FIELD)?;
    token.to_str().ok().map(str::to_owned)
}

async fn serve(
    shared: &Arc<Shared>,
    service: &Service,
    peer: &Peer,
    mut request: Request,
) -> Result<Response, Refusal> {
    let token = token(&mut request);
    let method = request.method().clone();
    let target = request.uri().path_and_query().cloned();
    let target = target.as_ref().map_or("/", |it| it.as_str()).to_owned();
    let passed = proxy::request(request, &service.path, &service.upstream)
        .ok_or_else(|| Refusal::new(Word::Malformed, "a method or path that is not passed on"))?;
    let asked = Asked {
        method: method.as_str(),
        target: &target,
        source: peer.address,
        service: Some(&service.name),
        purpose: Purpose::Serve,
    };
    let permit = Arc::new(authorize(shared, token.as_deref(), &asked).await?);
    let metered = Arc::clone(&permit);
    let passed = passed.map(|body| Body::new(Metered::new(body, metered)));
    let live = shared.live();
    let answer = live.upstream.open(passed).await.map_err(|error| {
        tracing::warn!(service = service.name, %error, "a service of peers cannot be reached");
        Refusal::new(
            Word::ProviderUnreachable,
            "what is behind the service does not answer",
        )
    })?;
    if permit.is_over() {
        return Err(Refusal::new(Word::Closed, "the session is over"));
    }
    let answer = proxy::answer(answer, &service.path, &service.upstream);
    let (head, body) = answer.into_parts();
    let patience = Duration::from_secs(live.config.upstream_seconds);
    let body = Passing::new(body, proxy::length(&head.headers), patience, ());
    let body = Metered::new(Body::new(body), permit);
    let mut response = Response::from_parts(head, Body::new(body));
    let content = Content::default().foreign();
    response.extensions_mut().insert(content);
    Ok(response)
}
