//! For operators; bodies are JSON.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /peers/sessions?state=&limit=` | [`store::SessionView`] of each, the newest first |
//! | `GET /peers/sessions/{id}` | one, with its messages |
//! | `POST /peers/sessions/{id}/close` | `{"status":"ok"}` when its end is stored; the provider is told to stop |

use std::time::Duration;

use axum::extract::{Path, Query, State as Of};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::json;
use tollwire_runtime::admin::Problem;
use tollwire_web::Database;
use tollwire_web::database::Failure;

use super::effect::Reply;
use super::event::Event;
use super::session::State;
use super::store;
use super::web::App;
use crate::caller::Caller;

/// Rows of a list, if no limit is asked for.
const ROWS: u32 = 100;
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Routes {
    app: App,
    database: Database,
}

pub(super) fn router(app: App, database: Database) -> Router {
    Router::new()
        .route("/peers/sessions", get(sessions))
        .route("/peers/sessions/{id}", get(session))
        .route("/peers/sessions/{id}/close", post(close))
        .with_state(Routes { app, database })
}

/// The same routes where there is no accounting manager.
pub(super) fn nobody() -> Router {
    let refused =
        || async { Problem::not_found("this is no accounting manager: see peers.enabled") };
    Router::new()
        .route("/peers/sessions", get(refused))
        .route("/peers/sessions/{id}", get(refused))
        .route("/peers/sessions/{id}/close", post(refused))
}

fn failed(error: Failure<store::Error>) -> Problem {
    Problem::unavailable(error.to_string())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Which {
    state: Option<State>,
    limit: Option<u32>,
}

async fn sessions(Of(routes): Of<Routes>, Query(which): Query<Which>) -> Response {
    let limit = which.limit.unwrap_or(ROWS);
    let rows = routes
        .database
        .read(move |connection| store::list(connection, which.state, limit));
    match rows.await {
        Ok(rows) => Json(rows).into_response(),
        Err(error) => failed(error).into_response(),
    }
}

async fn session(Of(routes): Of<Routes>, Path(id): Path<String>) -> Response {
    let name = id.clone();
    let row = routes
        .database
        .read(move |connection| store::find(connection, &name));
    match row.await {
        Ok(Some(row)) => Json(row).into_response(),
        Ok(None) => Problem::not_found(format!("{id}: no such session")).into_response(),
        Err(error) => failed(error).into_response(),
    }
}

async fn close(
    Of(routes): Of<Routes>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    tracing::info!(
        session = id,
        who = caller.who(),
        "a session of peers is to be closed"
    );
    let name = id.as_str().into();
    let asked = routes
        .app
        .ask(move |client| Event::Close { client, id: name });
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Some(Reply::Closed)) => Json(json!({ "status": "ok" })).into_response(),
        Ok(Some(Reply::Refused(refusal))) => {
            Problem::not_found(format!("{id}: {refusal}")).into_response()
        }
        _ => {
            Problem::unavailable("it may be done all the same: look at the session").into_response()
        }
    }
}
