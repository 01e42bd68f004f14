//! Refusals as HTTP has them.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use tollwire_peer::{Refusal, Word};
use tollwire_web::database::Failure;

/// An answer of `{"error", "detail"}` with the word's status.
pub fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.error.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(refusal)).into_response();
    if matches!(refusal.error, Word::TooMany | Word::Unavailable) {
        let seconds = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// Nothing is taken that cannot be stored.
pub(crate) fn unstored<E: std::fmt::Display>(failure: Failure<E>) -> Refusal {
    tracing::error!(error = %failure, "peers: not stored");
    Refusal::new(Word::Unavailable, "it could not be stored")
}
