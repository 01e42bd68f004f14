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

use super::{Config, Query, read};
use crate::store::{Cause, Place, Queries};

/// The routes over the storage at `place`, if `config` has one.
pub(crate) fn router(config: &Config, place: &Place) -> Router {
    Router::new()
        .route("/accounting/records", get(records))
        .route("/accounting/records/{id}", get(record))
        .route("/accounting/sessions", get(sessions))
        .route("/accounting/elements", get(elements))
        .with_state(config.enabled.then(|| Arc::new(place.clone())))
}

type Reader = State<Option<Arc<Place>>>;

async fn records(State(place): Reader, UrlQuery(query): UrlQuery<Query>) -> Response {
    found(place, move |store| read::records(store, &query).map(Some)).await
}

async fn record(State(place): Reader, Path(id): Path<i64>) -> Response {
    found(place, move |store| read::record(store, id)).await
}

async fn sessions(State(place): Reader, UrlQuery(query): UrlQuery<Query>) -> Response {
    found(place, move |store| read::sessions(store, &query).map(Some)).await
}

async fn elements(State(place): Reader) -> Response {
    found(place, |store| read::views(store).map(Some)).await
}

/// Asks the database beside the daemon's own threads.
async fn found<T: Serialize + Send + 'static>(
    place: Option<Arc<Place>>,
    question: impl FnOnce(&mut dyn Queries) -> Result<Option<T>, Cause> + Send + 'static,
) -> Response {
    let Some(place) = place else {
        return Problem::new(
            StatusCode::NOT_FOUND,
            "no accounting records are kept here: accounting_storage.enabled is false",
        )
        .into_response();
    };
    let asked = tokio::task::spawn_blocking(move || place.ask(question));
    match asked.await {
        Ok(Ok(Some(found))) => Json(found).into_response(),
        Ok(Ok(None)) => Problem::new(StatusCode::NOT_FOUND, "no such record").into_response(),
        Ok(Err(error)) => Problem::unavailable(error.to_string()).into_response(),
        Err(error) => Problem::unavailable(error.to_string()).into_response(),
    }
}
