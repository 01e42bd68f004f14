//! For the operator.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /peers/sessions?limit=N` | list of [`Line`], the newest first |
//! | `POST /peers/sessions/{id}/close` | ends it: `{"status":"ok"}` |

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Json;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tollwire_peer::Cause;
use tollwire_runtime::admin::Problem;
use tollwire_runtime::clock::Now;

use crate::core::SessionId;
use crate::provider::Shared;
use crate::store::{self, LONGEST_LIST, Line};

pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/peers/sessions", get(sessions))
        .route("/peers/sessions/{id}/close", post(close))
        .with_state(Arc::clone(shared))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
}

async fn sessions(
    State(shared): State<Arc<Shared>>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Line>>, Problem> {
    let limit = page.limit.unwrap_or(100).min(LONGEST_LIST);
    let lines = shared.database.read(move |it| store::list(it, limit));
    let lines = lines.await;
    let mut lines = lines.map_err(|fault| Problem::unavailable(fault.to_string()))?;
    let mut sessions = shared.sessions();
    let now = Now::read();
    for line in &mut lines {
        if let Some(view) = sessions.core.view(now, &line.accounting_session_id) {
            line.used = view.used.data(&line.collect);
        }
    }
    Ok(Json(lines))
}

async fn close(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id: SessionId = id.as_str().into();
    if shared.sessions().core.view(Now::read(), &id).is_none() {
        return Err(Problem::not_found("no such session, or it is over"));
    }
    let ended = shared.end(&id, Cause::Provider).await;
    ended.map_err(|refusal| Problem::unavailable(refusal.detail))?;
    Ok(Json(json!({ "status": "ok" })))
}
