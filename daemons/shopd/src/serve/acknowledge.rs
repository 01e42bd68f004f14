//! Acknowledgements of billing servers.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;
use tollwire_invoice::{Awaited, Invoice, Refusal};
use tollwire_jose::{JoseError, Jwk};
use tollwire_web::Peer;
use tollwire_web::database::Failure;

use crate::order::Refusal as Refused;
use crate::order::{Effect, Issued};
use crate::shop::Shop;
use crate::store::{self, StoreError};

/// Why an acknowledgement is not taken: the status, a word for the billing server, and for our log what was wrong.
struct Wrong {
    status: StatusCode,
    error: &'static str,
    what: String,
}

fn wrong(status: StatusCode, error: &'static str, what: impl ToString) -> Wrong {
    Wrong {
        status,
        error,
        what: what.to_string(),
    }
}

pub(super) async fn take(
    State(shop): State<Arc<Shop>>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match acknowledged(&shop, &headers, &body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Wrong {
            status,
            error,
            what,
        }) => {
            shop.counters.refused(error);
            tracing::warn!(
                source = %peer.address,
                error,
                what,
                "an acknowledgement was refused"
            );
            (status, Json(json!({ "error": error }))).into_response()
        }
    }
}

async fn acknowledged(shop: &Shop, headers: &HeaderMap, body: &[u8]) -> Result<(), Wrong> {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/jose")) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(wrong(status, "content-type", "not application/jose"));
    }
    let bad = |error, what: &str| wrong(StatusCode::BAD_REQUEST, error, what);
    let token = std::str::from_utf8(body).map_err(|_| bad("token", "not text"))?;
    let token = token.trim();
    let reference = reference(token).ok_or_else(|| bad("token", "no token with a reference"))?;
    let issued = issued(shop, &reference).await?;
    check(&issued, token, shop.now())?;
    let (order, effects) = shop.acknowledge(&reference).await.map_err(stored)?;
    match effects.last() {
        Some(Effect::Granted) => {
            shop.counters.acknowledged.inc();
            tracing::info!(
                number = order.number,
                reference,
                server = issued.server,
                "paid"
            );
            Ok(())
        }
        Some(Effect::GrantedBefore) => {
            shop.counters.acknowledged_again.inc();
            Ok(())
        }
        Some(Effect::Refuse(Refused::AlreadyPaid)) => {
            let what = format!("order {} was paid by another invoice", order.number);
            Err(wrong(StatusCode::CONFLICT, "already-paid", what))
        }
        _ => Err(bad("reference", "of no invoice")),
    }
}

/// The reference that a token claims to be of; nothing is proven of it.
fn reference(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        reference: String,
    }
    if token.len() > tollwire_jose::LARGEST {
        return None;
    }
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(claims.reference).filter(|reference| reference.len() <= 128)
}

/// The invoice of a reference.
async fn issued(shop: &Shop, reference: &str) -> Result<Issued, Wrong> {
    let asked = reference.to_owned();
    let order = shop
        .database
        .read(move |connection| store::by_reference(connection, &asked))
        .await
        .map_err(stored)?;
    let invoice = order.invoice(reference).cloned();
    invoice.ok_or_else(|| wrong(StatusCode::BAD_REQUEST, "reference", "of no invoice"))
}

fn stored(fault: Failure<StoreError>) -> Wrong {
    match fault {
        Failure::Refused(StoreError::Unknown) => {
            wrong(StatusCode::BAD_REQUEST, "reference", "of no invoice")
        }
        // The billing server tries again.
        fault => wrong(StatusCode::SERVICE_UNAVAILABLE, "unavailable", fault),
    }
}

/// Whether it is the acknowledgement of just this invoice, by just the billing server that it was made for.
fn check(issued: &Issued, token: &str, now: i64) -> Result<(), Wrong> {
    let broken = |what: String| wrong(StatusCode::SERVICE_UNAVAILABLE, "unavailable", what);
    let received = Invoice::read_again(&issued.jws).map_err(|error| broken(error.to_string()))?;
    let key: Jwk = serde_json::from_str(&issued.key).map_err(|error| broken(error.to_string()))?;
    let awaited = Awaited {
        invoice: &received.invoice,
        digest: &received.digest,
        key: &key,
    };
    let Err(refusal) = awaited.check(token, now) else {
        return Ok(());
    };
    let what = format!("for {}: {refusal}", issued.reference);
    Err(match refusal {
        Refusal::Token(JoseError::Signature | JoseError::Algorithm(_)) => {
            wrong(StatusCode::FORBIDDEN, "signature", what)
        }
        Refusal::Token(_) => wrong(StatusCode::BAD_REQUEST, "token", what),
        Refusal::Expired => wrong(StatusCode::GONE, "expired", what),
        Refusal::Audience => wrong(StatusCode::FORBIDDEN, "audience", what),
        Refusal::Mismatch(field) => wrong(StatusCode::FORBIDDEN, field, what),
        Refusal::NotYet => wrong(StatusCode::BAD_REQUEST, "not-yet", what),
        Refusal::Field {
            field: "paid_at", ..
        } => wrong(StatusCode::GONE, "paid_at", what),
        Refusal::Field { field, .. } => wrong(StatusCode::BAD_REQUEST, field, what),
        Refusal::Loop => wrong(StatusCode::BAD_REQUEST, "loop", what),
    })
}
