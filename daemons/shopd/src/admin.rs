//! The operator's HTTP interface on the Unix socket; bodies are JSON.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /orders?before=N&state=S&limit=N` | list of [`crate::store::Line`], the newest first |
//! | `GET /methods` | the billing servers that are known |
//! | `GET /key` | `{"thumbprint"}` of the shop's key, for agreements with billing servers |
//! | `POST /reload` | `{"status":"ok"}`, or why the configuration cannot be used |
//! | `GET /health`, `GET /metrics` | |

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Json;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tollwire_runtime::admin::Problem;

use crate::order::State as OrderState;
use crate::servers::{Known, Origin};
use crate::shop::Shop;
use crate::store::{self, Line};

/// Lines of one answer.
const MOST: u32 = 10_000;

/// Who hears that the configuration is to be read again.
pub(crate) type Reloads = mpsc::Sender<oneshot::Sender<Result<(), String>>>;

#[derive(Clone)]
struct Admin {
    shop: Arc<Shop>,
    reloads: Reloads,
}

/// All routes but `/metrics`.
pub(crate) fn router(shop: &Arc<Shop>, reloads: Reloads) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/orders", get(orders))
        .route("/methods", get(methods))
        .route("/key", get(key))
        .route("/reload", post(reload))
        .with_state(Admin {
            shop: Arc::clone(shop),
            reloads,
        })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    before: Option<i64>,
    state: Option<OrderState>,
    limit: Option<u32>,
}

async fn orders(
    State(admin): State<Admin>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Line>>, Problem> {
    let before = page.before.unwrap_or(i64::MAX);
    let limit = page.limit.unwrap_or(100).min(MOST);
    let state = page.state.map(OrderState::name);
    let lines = admin
        .shop
        .database
        .read(move |connection| store::list(connection, before, state, limit));
    let lines = lines.await;
    lines
        .map(Json)
        .map_err(|fault| Problem::unavailable(fault.to_string()))
}

async fn methods(State(admin): State<Admin>) -> Json<Vec<Value>> {
    let servers = admin.shop.servers();
    Json(servers.all().map(|known| method(known)).collect())
}

fn method(known: &Known) -> Value {
    let server = &known.server;
    json!({
        "name": server.name,
        "url": server.url,
        "thumbprint": server.acknowledgement_key,
        "fee_basis_points": server.fee.basis_points,
        "fee_fixed_micro": server.fee.fixed_micro,
        "currencies": server.currencies,
        "agreement_required": server.agreement_required,
        "known_from": match known.origin {
            Origin::Configured => "configuration",
            Origin::Watched => "discovery",
            Origin::Found { .. } => "a customer's question",
        },
    })
}

async fn key(State(admin): State<Admin>) -> Json<Value> {
    let key = admin.shop.key.public();
    Json(json!({ "thumbprint": key.thumbprint(), "key": key }))
}

async fn reload(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let stopping = || Problem::unavailable("shopd is stopping");
    let (sender, answer) = oneshot::channel();
    admin.reloads.send(sender).await.map_err(|_| stopping())?;
    let answer = answer.await.map_err(|_| stopping())?;
    answer.map_err(Problem::bad_request)?;
    Ok(Json(json!({ "status": "ok" })))
}
