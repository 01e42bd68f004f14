//! Streams that are paid for, from upstream.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Response, Uri};
use tollwire_web::Client;

/// Begins a stream. Nothing of the customer's goes there.
pub(super) async fn stream(client: &Client, upstream: &str) -> Option<Response<Body>> {
    let uri: Uri = upstream.parse().ok()?;
    let request = axum::http::Request::get(uri).header(ACCEPT, "*/*");
    let answer = match client.open(request.body(Body::empty()).ok()?).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(upstream, %error, "a stream that is paid cannot be reached");
            return None;
        }
    };
    if answer.status() != axum::http::StatusCode::OK {
        tracing::warn!(upstream, status = %answer.status(), "a stream that is paid cannot be had");
        return None;
    }
    let (head, body) = answer.into_parts();
    let mut response = Response::new(body);
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_LANGUAGE] {
        if let Some(value) = head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Some(response)
}
