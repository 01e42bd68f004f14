//! Choosing a method of payment.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tollwire_web::{Peer, csrf};
use url::form_urlencoded;

use super::fields::Fields;
use super::{Asked, TOKEN_SECONDS, see};
use crate::config::Show;
use crate::discovery::NotFound;
use crate::order::event::Choice;
use crate::order::{Order, Refusal};
use crate::pages::{self, Finding};
use crate::servers::{Known, Offer, is_named, typed_name};
use crate::shop::{Settings, Shop};

/// Octets of an invoice's reference.
const REFERENCE_OCTETS: usize = 20;
/// What a search by name takes of what a source may ask.
const SEARCH_COSTS: u32 = 10;

/// What an order can be paid with, by whom it came from.
pub(super) fn offers(
    shop: &Shop,
    settings: &Settings,
    order: &Order,
    client: IpAddr,
) -> Vec<Offer> {
    let bought = &order.bought;
    let mut servers = shop.servers_mut();
    servers.expire(shop.now_ms());
    let mut offers = servers.offers(bought.amount_micro, bought.currency, client);
    if settings.config.methods.offer == Show::Cheapest {
        offers.truncate(1);
    }
    offers
}

/// Whether customers may have others looked for: not where the shop chooses.
fn can_find(shop: &Shop, settings: &Settings) -> bool {
    let methods = &settings.config.methods;
    shop.finder.is_some() && methods.find_by_name && methods.offer == Show::All
}

/// Has an invoice for a billing server: the path of its form.
///
/// # Errors
/// A key of the messages, or what is answered instead.
pub(super) async fn invoice(
    shop: &Shop,
    asked: &Asked,
    order: &Order,
    known: &Known,
) -> Result<String, Instead> {
    let server = &known.server;
    let key = shop.keys.of(server, &asked.settings.client).await;
    let key = key.map_err(|error| {
        tracing::warn!(url = server.url, %error, "the key of a billing server could not be had");
        Instead::Problem("methods.no_key")
    })?;
    let unavailable = |_| Instead::Problem("problem.unavailable");
    let choice = Choice {
        server: server.acknowledgement_key.clone(),
        key: serde_json::to_string(&key).map_err(|_| Instead::Problem("methods.no_key"))?,
        registration: known.registration.clone(),
        reference: csrf::random(REFERENCE_OCTETS).map_err(unavailable)?,
    };
    match shop.choose(&order.token, choice).await {
        Ok(Ok(reference)) => Ok(format!("/orders/{}/pay/{reference}", order.token)),
        Ok(Err(Refusal::TooManyInvoices)) => Err(Instead::Problem("methods.too_many")),
        // The order's page says how it stands.
        Ok(Err(_)) => Err(Instead::Answer(
            asked.see(&format!("/orders/{}", order.token)),
        )),
        Err(fault) => Err(Instead::Answer(asked.fault(&fault))),
    }
}

/// What is said where there is no invoice.
pub(super) enum Instead {
    /// On the page of the methods: a key of the messages.
    Problem(&'static str),
    /// This.
    Answer(Response),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    name: String,
}

pub(super) async fn list(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    peer: Peer,
    Path(token): Path<String>,
    Query(named): Query<Named>,
) -> Response {
    match shop.order(&token).await {
        Ok(order) => page(&shop, &asked, &order, peer.address, &named.name, None, true),
        Err(fault) => asked.fault(&fault),
    }
}

/// The methods of an order that can still be paid; of another one, its page.
pub(super) fn page(
    shop: &Shop,
    asked: &Asked,
    order: &Order,
    client: IpAddr,
    name: &str,
    problem: Option<&'static str>,
    looks_again: bool,
) -> Response {
    if !order.state.is_unpaid() {
        return asked.see(&format!("/orders/{}", order.token));
    }
    let finding = Finding {
        name: typed_name(name).unwrap_or_default().to_owned(),
        problem,
        looks_again,
        can_find: can_find(shop, &asked.settings),
    };
    let offers = offers(shop, &asked.settings, order, client);
    let form = shop
        .tokens
        .make(&subject(&order.token), shop.now() + TOKEN_SECONDS);
    let page = pages::methods(&asked.view, order, &offers, &finding, &form);
    match problem {
        Some(_) => page.status(StatusCode::UNPROCESSABLE_ENTITY),
        None => page,
    }
    .into_response()
}

fn subject(token: &str) -> String {
    format!("method {token}")
}

pub(super) async fn choose(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    peer: Peer,
    Path(token): Path<String>,
    fields: Fields,
) -> Response {
    let asked = asked.in_language(fields.get("lang"));
    if !asked.is_ours(&shop, &subject(&token), &fields) {
        return asked.problem(StatusCode::FORBIDDEN, "problem.form");
    }
    let order = match shop.order(&token).await {
        Ok(order) => order,
        Err(fault) => return asked.fault(&fault),
    };
    let again = |name: &str, problem| {
        page(
            &shop,
            &asked,
            &order,
            peer.address,
            name,
            Some(problem),
            false,
        )
    };
    match (fields.get("server"), fields.get("name")) {
        (Some(server), _) => {
            let offers = offers(&shop, &asked.settings, &order, peer.address);
            let chosen = offers
                .iter()
                .find(|offer| offer.known.server.acknowledgement_key == server);
            let Some(offer) = chosen else {
                return again("", "methods.gone");
            };
            match invoice(&shop, &asked, &order, &offer.known).await {
                Ok(path) => asked.see(&path),
                Err(Instead::Problem(key)) => again("", key),
                Err(Instead::Answer(response)) => response,
            }
        }
        (None, Some(typed)) => {
            let Some(name) = typed_name(typed) else {
                return again("", "methods.bad_name");
            };
            match find(&shop, &asked, &peer, &order, name).await {
                Ok(()) => see(&named(&asked, &order, name)),
                Err(key) => again(name, key),
            }
        }
        (None, None) => asked.problem(StatusCode::BAD_REQUEST, "problem.form"),
    }
}

/// The page of the methods, with those first that are called so.
fn named(asked: &Asked, order: &Order, name: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("name", name);
    if let Some(lang) = &asked.view.asked {
        query.append_pair("lang", lang);
    }
    format!("/orders/{}/methods?{}", order.token, query.finish())
}

/// Looks for a billing server of this name, unless one is offered.
async fn find(
    shop: &Shop,
    asked: &Asked,
    peer: &Peer,
    order: &Order,
    name: &str,
) -> Result<(), &'static str> {
    let offers = offers(shop, &asked.settings, order, peer.address);
    if offers
        .iter()
        .any(|offer| is_named(&offer.known.server, name))
    {
        return Ok(());
    }
    let Some(finder) = &shop.finder else {
        return Ok(());
    };
    if !can_find(shop, &asked.settings) {
        return Ok(());
    }
    peer.penalty(SEARCH_COSTS);
    shop.counters.searches.inc();
    match finder.find(shop, name).await {
        Ok(_) => Ok(()),
        Err(NotFound::Busy) => Err("methods.busy"),
        Err(NotFound::Agent(error)) => {
            tracing::info!(%error, name, "a billing server could not be looked for");
            Ok(())
        }
    }
}
