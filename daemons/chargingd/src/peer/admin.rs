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
use tollwire_runtime::clock::Now;
use tollwire_web::Database;
use tollwire_web::database::Failure;

use super::effect::Reply;
use super::event::Event;
use super::session::State;
use super::store;
use super::web::App;
use crate::audit::{Entry, Log};
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
    let nobody = || Problem::not_found("this is no accounting manager: see peers.enabled");
    let refused = move || async move { nobody() };
    let close = move |Extension(log): Extension<Log>,
                      Extension(caller): Extension<Caller>,
                      Path(id): Path<String>| async move {
        noted(&log, &caller, &id, Err(nobody())).await
    };
    Router::new()
        .route("/peers/sessions", get(refused))
        .route("/peers/sessions/{id}", get(refused))
        .route("/peers/sessions/{id}/close", post(close))
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
    Extension(log): Extension<Log>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let name = id.as_str().into();
    let asked = routes
        .app
        .ask(move |client| Event::Close { client, id: name });
    let result = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Some(Reply::Closed)) => Ok(()),
        Ok(Some(Reply::Refused(refusal))) => Err(Problem::not_found(format!("{id}: {refusal}"))),
        _ => Err(Problem::unavailable(
            "it may be done all the same: look at the session",
        )),
    };
    noted(&log, &caller, &id, result).await
}

/// What came of closing a session, with a line in the audit log: the session itself is in another database.
async fn noted(log: &Log, caller: &Caller, id: &str, result: Result<(), Problem>) -> Response {
    let entry = Entry {
        unix_ms: Now::read().unix_ms,
        who: caller.who().into(),
        operation: "close-peers-session".into(),
        account: "".into(),
        detail: json!({ "session": id }).to_string().into(),
        outcome: match &result {
            Ok(()) => "done".into(),
            Err(problem) => problem.error.as_str().into(),
        },
    };
    let is_noted = log.note(entry).await;
    match result {
        Ok(()) if is_noted => Json(json!({ "status": "ok" })).into_response(),
        Ok(()) => Problem::unavailable("it is done, and the audit log lacks its line; see the log")
            .into_response(),
        Err(problem) => problem.into_response(),
    }
}
