//! The operator's HTTP interface on the Unix socket; bodies are JSON.
//!
//! | route | |
//! | --- | --- |
//! | `GET /calls`, `POST /calls/{id}/end` | live calls |
//! | `GET /subscribers`, `PUT /subscribers/{username}`, `DELETE /subscribers/{username}` | who may call |
//! | `GET /bindings` | who is registered where |
//! | `GET /health` | whether charging and limiter are there |
//! | `GET /metrics` | |

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tollwire_runtime::admin::Problem;

/// The reply to a question.
pub(crate) type Reply = oneshot::Sender<Result<Value, Problem>>;

/// What the operator wants.
pub(crate) enum Ask {
    Health,
    Calls,
    EndCall(String),
    Subscribers,
    PutSubscriber(String, NewSubscriber),
    RemoveSubscriber(String),
    Bindings,
}

/// The body of `PUT /subscribers/{username}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSubscriber {
    /// Absent: the old one stays.
    pub(crate) password: Option<String>,
    /// SIP URI that the subscriber owns, and that is charged.
    pub(crate) identity: String,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
}

fn yes() -> bool {
    true
}

/// A subscriber as the operator sees it.
#[derive(Serialize)]
pub(crate) struct SubscriberView<'a> {
    pub(crate) username: &'a str,
    pub(crate) identity: &'a str,
    pub(crate) enabled: bool,
}

type Asks = mpsc::Sender<(Ask, Reply)>;

/// All routes but `/metrics`.
pub(crate) fn router(asks: Asks) -> Router {
    Router::new()
        .route(
            "/health",
            get(|State(asks): State<Asks>| ask(asks, Ask::Health)),
        )
        .route(
            "/calls",
            get(|State(asks): State<Asks>| ask(asks, Ask::Calls)),
        )
        .route(
            "/calls/{id}/end",
            post(|State(asks): State<Asks>, Path(id): Path<String>| ask(asks, Ask::EndCall(id))),
        )
        .route(
            "/subscribers",
            get(|State(asks): State<Asks>| ask(asks, Ask::Subscribers)),
        )
        .route(
            "/subscribers/{username}",
            put(
                |State(asks): State<Asks>,
                 Path(name): Path<String>,
                 Json(body): Json<NewSubscriber>| {
                    ask(asks, Ask::PutSubscriber(name, body))
                },
            )
            .delete(|State(asks): State<Asks>, Path(name): Path<String>| {
                ask(asks, Ask::RemoveSubscriber(name))
            }),
        )
        .route(
            "/bindings",
            get(|State(asks): State<Asks>| ask(asks, Ask::Bindings)),
        )
        .with_state(asks)
}

async fn ask(asks: Asks, ask: Ask) -> Response {
    let (sender, receiver) = oneshot::channel();
    let asked = asks.send((ask, sender)).await;
    match (asked, receiver.await) {
        (Ok(()), Ok(Ok(value))) => Json(value).into_response(),
        (Ok(()), Ok(Err(problem))) => problem.into_response(),
        _ => Problem::unavailable("the daemon is stopping").into_response(),
    }
}
