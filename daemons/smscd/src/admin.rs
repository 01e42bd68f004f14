//! The operator's HTTP interface on the Unix socket; bodies are JSON.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /esmes`, `GET /binds`, `GET /routes` | lists of [`crate::effect::EsmeView`], `BindView`, `RouteView` |
//! | `GET /queue` | [`crate::effect::DepthView`] |
//! | `GET /messages/{id}` | [`crate::effect::MessageView`] |
//! | `GET /classes` | list of [`crate::tariff::TariffClass`] |
//! | `POST /operations` with an [`Operation`] | what it asks for, or `{"status":"ok"}` |
//! | `POST /reload` | `{"status":"ok"}`, or why the configuration cannot be used |
//! | `GET /health`, `GET /metrics` | |

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tollwire_runtime::admin::Problem;
use tollwire_runtime::metrics::Reading;

use crate::core::Core;
use crate::effect::{Refusal, Reply};
use crate::event::Operation;
use crate::tariff::{TariffClass, TariffTable};

/// What an operator's request wants of the driver.
pub(crate) enum Ask {
    /// Of the core.
    Operate(Operation),
    /// The tariff classes.
    Classes,
    /// The configuration read again.
    Reload,
}

/// Where the answer goes.
pub(crate) type Answer = oneshot::Sender<Result<Value, Problem>>;

type Asks = mpsc::Sender<(Ask, Answer)>;

/// The core's reply as JSON.
pub(crate) fn reply(result: Result<Reply, Refusal>) -> Result<Value, Problem> {
    match result {
        Ok(Reply::Done) => Ok(json!({ "status": "ok" })),
        Ok(reply) => serde_json::to_value(reply)
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        Err(Refusal::NotFound(what)) => Err(Problem::not_found(what)),
        Err(Refusal::Invalid(what)) => Err(Problem::bad_request(what)),
    }
}

/// The tariff classes as JSON.
pub(crate) fn classes(table: &TariffTable) -> Result<Value, Problem> {
    let all: Vec<&TariffClass> = table.all().collect();
    serde_json::to_value(all)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The outcome of a reload as JSON.
pub(crate) fn reloaded(result: Result<(), String>) -> Result<Value, Problem> {
    result
        .map(|()| json!({ "status": "ok" }))
        .map_err(Problem::bad_request)
}

/// All routes but `/metrics`.
pub(crate) fn router(asks: Asks) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "ok" })) }))
        .route(
            "/esmes",
            get(|State(asks)| operate(asks, Operation::ListEsmes)),
        )
        .route(
            "/binds",
            get(|State(asks)| operate(asks, Operation::ListBinds)),
        )
        .route(
            "/routes",
            get(|State(asks)| operate(asks, Operation::ListRoutes)),
        )
        .route(
            "/queue",
            get(|State(asks)| operate(asks, Operation::QueueDepth)),
        )
        .route(
            "/tariff-classes",
            get(|State(asks)| operate(asks, Operation::ListTariffClasses)),
        )
        .route(
            "/messages/{id}",
            get(|State(asks), Path(id)| operate(asks, Operation::Trace { id })),
        )
        .route(
            "/operations",
            post(|State(asks), Json(operation)| operate(asks, operation)),
        )
        .route("/classes", get(|State(asks)| ask(asks, Ask::Classes)))
        .route("/reload", post(|State(asks)| ask(asks, Ask::Reload)))
        .with_state(asks)
}

async fn operate(asks: Asks, operation: Operation) -> Result<Json<Value>, Problem> {
    ask(asks, Ask::Operate(operation)).await
}

async fn ask(asks: Asks, ask: Ask) -> Result<Json<Value>, Problem> {
    let stopping = || Problem::unavailable("smscd is stopping");
    let (sender, answer) = oneshot::channel();
    asks.send((ask, sender)).await.map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())?.map(Json)
}

/// What `/metrics` shows.
pub(crate) const GAUGE_ROWS: &[(&str, &str, Reading<Core>)] = &[
    ("accepted", "Messages accepted and stored", |core| {
        core.counters().accepted
    }),
    ("refused", "Submissions refused", |core| {
        core.counters().refused
    }),
    (
        "throttled",
        "Submissions refused with ESME_RTHROTTLED",
        |core| core.counters().throttled,
    ),
    (
        "sent",
        "Messages sent to a next hop, repetitions included",
        |core| core.counters().sent,
    ),
    ("repeated", "Messages sent again", |core| {
        core.counters().repeated
    }),
    ("delivered", "Messages delivered", |core| {
        core.counters().delivered
    }),
    ("failed", "Messages that ended otherwise", |core| {
        core.counters().failed
    }),
    ("expired", "Messages whose validity ended first", |core| {
        core.counters().expired
    }),
    ("receipts", "Receipts made", |core| core.counters().receipts),
    (
        "receipts_delivered",
        "Receipts that their ESME took",
        |core| core.counters().receipts_delivered,
    ),
    (
        "receipts_unmatched",
        "Receipts of upstreams for messages that nobody knows",
        |core| core.counters().receipts_unmatched,
    ),
    (
        "bad_tariffs",
        "Tariffs that could not be read and were carried without a price",
        |core| core.counters().bad_tariffs,
    ),
    ("binds_made", "Binds accepted", |core| core.counters().binds),
    ("binds_refused", "Binds refused", |core| {
        core.counters().binds_refused
    }),
    ("malformed", "PDUs that could not be read", |core| {
        core.counters().malformed
    }),
    (
        "unanswered",
        "Requests of ours that were not answered in time",
        |core| core.counters().unanswered,
    ),
    (
        "credit_refused",
        "Reservations that charging refused",
        |core| core.counters().credit_refused,
    ),
    (
        "debits_refused",
        "Debits that charging refused: money that is owed",
        |core| core.counters().debits_refused,
    ),
    ("store_failures", "Times that the spool failed", |core| {
        core.counters().store_failures
    }),
    ("records", "Charge records made", |core| {
        core.counters().records
    }),
    ("queued", "Messages that are not final", |core| {
        core.depth().messages as u64
    }),
    ("in_flight", "Messages on their way to a receiver", |core| {
        core.depth().in_flight as u64
    }),
    ("unstored", "Entries on their way to the disk", |core| {
        core.depth().unstored as u64
    }),
    (
        "unsettled",
        "Debits and releases that charging has not answered",
        |core| core.depth().unsettled as u64,
    ),
];
