//! Acknowledgements of billing servers that an invoice was handed on to.
//!
//! The other one keeps its customer's money in suspense until we have answered for our shop: 204 when that has taken our own
//! acknowledgement, 409 when it will not deliver. Until it is known it is told to ask again.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use tollwire_invoice::{Awaited, Invoice, Refusal};
use tollwire_web::Peer;

use super::app::{App, seconds};
use crate::effect::Reply;
use crate::event::Event;
use crate::payment::State as Payment;
use crate::store;

/// Octets of an acknowledgement.
const LONGEST: usize = tollwire_jose::LARGEST;

pub(super) async fn acknowledge(
    State(app): State<App>,
    Path(reference): Path<String>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get(axum::http::header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind.as_bytes() != b"application/jose") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    if body.len() > LONGEST {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let found = app
        .database()
        .read(move |connection| store::of_onward(connection, &reference));
    let payment = match found.await {
        Ok(payment) => payment,
        Err(error) => {
            tracing::error!(%error, "a payment cannot be read");
            return again();
        }
    };
    let refused = |why: &dyn std::fmt::Display| {
        tracing::warn!(source = %peer.address, %why, "an acknowledgement is refused");
        (StatusCode::BAD_REQUEST, Json(json!({ "error": "refused" }))).into_response()
    };
    let Some(payment) = payment else {
        return refused(&"no invoice was handed on under this reference");
    };
    let Some(onward) = &payment.order.onward else {
        return again();
    };
    let sent = match Invoice::read_again(&onward.invoice) {
        Ok(sent) => sent,
        Err(error) => {
            tracing::error!(payment = %payment.order.id, %error, "an invoice of ours does not read");
            return again();
        }
    };
    let Ok(token) = std::str::from_utf8(&body) else {
        return refused(&"no text");
    };
    let awaited = Awaited {
        invoice: &sent.invoice,
        digest: &sent.digest,
        key: &onward.key,
    };
    let told = match awaited.check(token.trim(), seconds()) {
        Ok(told) => told,
        // Taken before; whatever it said then stands.
        Err(Refusal::Expired) if payment.state == Payment::Acknowledged => {
            return StatusCode::NO_CONTENT.into_response();
        }
        Err(Refusal::Expired) => {
            tracing::warn!(payment = %payment.order.id, "an acknowledgement came too late");
            return StatusCode::GONE.into_response();
        }
        Err(error) => return refused(&error),
    };
    let payment = Box::new(payment);
    let reply = app
        .ask(move |client| Event::Collected {
            client,
            payment,
            until: told.exp,
        })
        .await;
    match reply {
        Some(Reply::Taken) => StatusCode::NO_CONTENT.into_response(),
        Some(Reply::NotTaken) => (
            StatusCode::CONFLICT,
            Json(json!({ "error": "already-paid" })),
        )
            .into_response(),
        _ => again(),
    }
}

fn again() -> Response {
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
