//! The operator's routes.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /accounting/records?element=&session_id=&sequence_number=&from_unix_ms=&until_unix_ms=&faulty=&limit=` | [`super::RecordView`]s, the newest first |
//! | `GET /accounting/records/{id}` | [`super::RecordDetail`] |
//! | `GET /accounting/sessions?` as above | [`super::SessionView`]s, the last heard of first |
//! | `GET /accounting/elements` | [`super::ElementView`]s with their gaps |

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query as UrlQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tollwire_runtime::admin::Problem;

use super::{Backend, BackendError, Config, Query};

/// The routes over the storage that `config` names.
pub(crate) fn router(config: &Config) -> Router {
    Router::new()
        .route("/accounting/records", get(records))
        .route("/accounting/records/{id}", get(record))
        .route("/accounting/sessions", get(sessions))
        .route("/accounting/elements", get(elements))
        .with_state(Arc::new(config.clone()))
}

type Reader = State<Arc<Config>>;

async fn records(State(config): Reader, UrlQuery(query): UrlQuery<Query>) -> Response {
    found(config, move |backend| backend.records(&query).map(Some)).await
}

async fn record(State(config): Reader, Path(id): Path<i64>) -> Response {
    found(config, move |backend| backend.record(id)).await
}

async fn sessions(State(config): Reader, UrlQuery(query): UrlQuery<Query>) -> Response {
    found(config, move |backend| backend.sessions(&query).map(Some)).await
}

async fn elements(State(config): Reader) -> Response {
    found(config, |backend| backend.views().map(Some)).await
}

/// Asks the database beside the daemon's own threads.
async fn found<T: Serialize + Send + 'static>(
    config: Arc<Config>,
    question: impl FnOnce(&mut dyn Backend) -> Result<Option<T>, BackendError> + Send + 'static,
) -> Response {
    if !config.enabled {
        return Problem::new(
            StatusCode::NOT_FOUND,
            "no accounting records are kept here: accounting_storage.enabled is false",
        )
        .into_response();
    }
    let asked = tokio::task::spawn_blocking(move || {
        let mut backend = config.open_to_read()?;
        question(&mut *backend)
    });
    match asked.await {
        Ok(Ok(Some(found))) => Json(found).into_response(),
        Ok(Ok(None)) => Problem::new(StatusCode::NOT_FOUND, "no such record").into_response(),
        Ok(Err(error)) => Problem::unavailable(error.to_string()).into_response(),
        Err(error) => Problem::unavailable(error.to_string()).into_response(),
    }
}
