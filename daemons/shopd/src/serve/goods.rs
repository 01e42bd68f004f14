//! What is sold, and ordering it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tollwire_web::database::Failure;
use tollwire_web::{Peer, csrf};

use super::fields::Fields;
use super::{Asked, TOKEN_SECONDS, methods};
use crate::config::Show;
use crate::pages;
use crate::shop::Shop;
use crate::store::{self, New, StoreError};

/// Octets of an order's token: nobody guesses it.
const TOKEN_OCTETS: usize = 20;

pub(super) async fn list(asked: Asked) -> Response {
    pages::goods(&asked.view, &asked.settings.catalogue).into_response()
}

pub(super) async fn one(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    Path(id): Path<String>,
) -> Response {
    let Some(good) = asked.settings.catalogue.good(&id) else {
        return asked.problem(StatusCode::NOT_FOUND, "problem.not_found");
    };
    let token = shop.tokens.make(&subject(&id), shop.now() + TOKEN_SECONDS);
    pages::good(&asked.view, good, &token).into_response()
}

fn subject(id: &str) -> String {
    format!("order {id}")
}

pub(super) async fn order(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    peer: Peer,
    Path(id): Path<String>,
    fields: Fields,
) -> Response {
    let asked = asked.in_language(fields.get("lang"));
    if !asked.is_ours(&shop, &subject(&id), &fields) {
        return asked.problem(StatusCode::FORBIDDEN, "problem.form");
    }
    let Some(good) = asked.settings.catalogue.good(&id) else {
        return asked.problem(StatusCode::NOT_FOUND, "problem.not_found");
    };
    let Ok(token) = csrf::random(TOKEN_OCTETS) else {
        return asked.problem(StatusCode::SERVICE_UNAVAILABLE, "problem.unavailable");
    };
    let created_ms = shop.now_ms();
    let new = New {
        token: token.clone(),
        bought: good.bought(asked.view.words.tag()),
        source: peer.source.to_string(),
        created_ms,
        expires_ms: created_ms + i64::from(asked.settings.config.orders.open_minutes) * 60_000,
    };
    let bounds = asked.settings.config.bounds();
    let stored = shop
        .database
        .call(move |connection| store::insert(connection, &new, bounds));
    match stored.await {
        Ok(number) => {
            shop.counters.orders.inc();
            tracing::debug!(number, good = id, "ordered");
        }
        Err(fault) => {
            if matches!(fault, Failure::Refused(StoreError::TooMany)) {
                shop.counters.orders_refused.inc();
            }
            return asked.fault(&fault);
        }
    }
    if asked.settings.config.methods.offer == Show::Cheapest
        && let Ok(order) = shop.order(&token).await
        && let Some(offer) = methods::offers(&shop, &asked.settings, &order, peer.address).first()
        && let Ok(path) = methods::invoice(&shop, &asked, &order, &offer.known).await
    {
        return asked.see(&path);
    }
    asked.see(&format!("/orders/{token}"))
}
