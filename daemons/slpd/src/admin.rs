//! The operator's HTTP interface on the Unix socket; bodies are JSON.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /registrations?after=URL&limit=N` | list of [`crate::effect::RegistrationView`], in the order of their URLs |
//! | `GET /directory-agents` | list of [`crate::effect::DirectoryAgentView`]; of a service agent |
//! | `POST /discover` | `{"status":"ok"}`: directory agents are looked for now |
//! | `POST /reload` | `{"status":"ok"}`, or why the configuration cannot be used |
//! | `GET /health`, `GET /metrics` | |

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tollwire_runtime::admin::Problem;
use tollwire_runtime::metrics::Reading;

use crate::core::Core;
use crate::effect::Reply;
use crate::event::Operation;

/// What an operator's request wants of the driver.
pub(crate) enum Ask {
    /// Of the core.
    Operate(Operation),
    /// The configuration read again.
    Reload,
}

/// Where the answer goes.
pub(crate) type Answer = oneshot::Sender<Result<Value, Problem>>;

type Asks = mpsc::Sender<(Ask, Answer)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

/// The core's reply as JSON.
pub(crate) fn reply(reply: Reply) -> Result<Value, Problem> {
    match reply {
        Reply::Done => Ok(json!({ "status": "ok" })),
        reply => serde_json::to_value(reply)
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// All routes but `/metrics`.
pub(crate) fn router(asks: Asks) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "ok" })) }))
        .route(
            "/registrations",
            get(|State(asks), Query(page): Query<Page>| {
                let operation = Operation::ListRegistrations {
                    after: page.after,
                    limit: page.limit.unwrap_or(1_000),
                };
                ask(asks, Ask::Operate(operation))
            }),
        )
        .route(
            "/directory-agents",
            get(|State(asks)| ask(asks, Ask::Operate(Operation::ListDirectoryAgents))),
        )
        .route(
            "/discover",
            post(|State(asks)| ask(asks, Ask::Operate(Operation::Discover))),
        )
        .route("/reload", post(|State(asks)| ask(asks, Ask::Reload)))
        .with_state(asks)
}

async fn ask(asks: Asks, ask: Ask) -> Result<Json<Value>, Problem> {
    let stopping = || Problem::unavailable("slpd is stopping");
    let (sender, answer) = oneshot::channel();
    asks.send((ask, sender)).await.map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())?.map(Json)
}

/// What `/metrics` shows of the core.
pub(crate) const GAUGE_ROWS: &[(&str, &str, Reading<Core>)] = &[
    ("entries", "Services registered", |core| {
        core.registry().len() as u64
    }),
    ("octets", "Octets of what is registered", |core| {
        core.registry().octets() as u64
    }),
    ("directory_agents", "Directory agents known", |core| {
        core.directory_agents() as u64
    }),
    ("service_requests", "SrvRqst answered", |core| {
        core.counters().service_requests
    }),
    ("attribute_requests", "AttrRqst answered", |core| {
        core.counters().attribute_requests
    }),
    ("type_requests", "SrvTypeRqst answered", |core| {
        core.counters().type_requests
    }),
    ("agent_requests", "Requests for agents answered", |core| {
        core.counters().agent_requests
    }),
    ("registrations", "SrvReg accepted", |core| {
        core.counters().registrations
    }),
    ("deregistrations", "SrvDeReg accepted", |core| {
        core.counters().deregistrations
    }),
    ("expired", "Registrations whose lifetime was over", |core| {
        core.counters().expired
    }),
    (
        "overflows",
        "Answers that did not hold all there was",
        |core| core.counters().overflows,
    ),
    (
        "exhausted",
        "Requests that were not looked at to the end, for limits.examined",
        |core| core.counters().exhausted,
    ),
    ("errors", "Answers that said an error", |core| {
        core.counters().errors
    }),
    (
        "dropped_rate",
        "Dropped: above the rates of limits",
        |core| core.counters().dropped_rate,
    ),
    (
        "dropped_malformed",
        "Dropped: no message, or an answer to nothing",
        |core| core.counters().dropped_malformed,
    ),
    (
        "dropped_multicast",
        "Dropped: in error, but sent to more than one",
        |core| core.counters().dropped_multicast,
    ),
    (
        "dropped_previous_responder",
        "Dropped: the sender has the answer already",
        |core| core.counters().dropped_previous_responder,
    ),
    (
        "dropped_off_link",
        "Dropped: answers to other networks above limits.off_link_octets_per_second",
        |core| core.counters().dropped_off_link,
    ),
    (
        "dropped_adverts",
        "Adverts of directory agents that were not believed",
        |core| core.counters().dropped_adverts,
    ),
    (
        "refused_source",
        "Registrations from where none is allowed",
        |core| core.counters().refused_source,
    ),
    (
        "unflagged_multicast",
        "Requests to a group without the flag that says so",
        |core| core.counters().unflagged_multicast,
    ),
];
