//! The pages of an order.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use tollwire_invoice::BillingServer;
use tollwire_web::Peer;

use super::{Asked, deliver, methods};
use crate::order::State as OrderState;
use crate::order::{Issued, Order};
use crate::pages;
use crate::shop::Shop;

pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    peer: Peer,
    Path(token): Path<String>,
) -> Response {
    page(&shop, &asked, &peer, &token, true).await
}

/// The same page, which does not look again by itself.
pub(super) async fn stopped(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    peer: Peer,
    Path(token): Path<String>,
) -> Response {
    page(&shop, &asked, &peer, &token, false).await
}

async fn page(shop: &Shop, asked: &Asked, peer: &Peer, token: &str, looks_again: bool) -> Response {
    let order = match shop.order(token).await {
        Ok(order) => order,
        Err(fault) => return asked.fault(&fault),
    };
    if order.state == OrderState::Open {
        return methods::page(shop, asked, &order, peer.address, "", None, looks_again);
    }
    let server = order.invoices.last().and_then(server);
    let name = server.map_or_else(String::new, |server| server.name);
    let lost = deliver::lost_token(shop, asked, &order);
    pages::order(&asked.view, &order, &name, looks_again, lost.as_deref()).into_response()
}

fn server(invoice: &Issued) -> Option<BillingServer> {
    let (url, attributes) = &invoice.registration;
    BillingServer::read(url, attributes).ok()
}

/// The form of an invoice.
pub(super) async fn pay(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    Path((token, reference)): Path<(String, String)>,
) -> Response {
    let order = match shop.order(&token).await {
        Ok(order) => order,
        Err(fault) => return asked.fault(&fault),
    };
    let now_ms = shop.now_ms();
    let payable = |invoice: &&Issued| !invoice.jws.is_empty() && invoice.expires_ms > now_ms;
    let invoice = order.invoice(&reference).filter(payable);
    match (order.state.is_unpaid(), invoice) {
        (true, Some(invoice)) => form(&shop, &asked, &order, invoice).await,
        (true, None) => asked.see(&format!("/orders/{token}/methods")),
        (false, _) => asked.see(&format!("/orders/{token}")),
    }
}

async fn form(shop: &Shop, asked: &Asked, order: &Order, invoice: &Issued) -> Response {
    let Some(server) = server(invoice) else {
        return asked.see(&format!("/orders/{}/methods", order.token));
    };
    let form = shop.form(&server, asked.view.words.tag()).await;
    let provider = asked.settings.config.provider();
    pages::pay(&asked.view, order, invoice, &server, &form, provider).into_response()
}
