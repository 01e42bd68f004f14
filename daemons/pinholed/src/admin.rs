//! The operator's HTTP interface: `GET /pinholes`, `GET /health`, `GET /metrics`.

use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tollwire_runtime::admin::Problem;

use crate::core::Core;

/// A question of the operator.
pub(crate) type Ask = oneshot::Sender<Vec<Pinhole>>;

/// One direction of a flow as the operator sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pinhole {
    session_id: String,
    flow: String,
    source: String,
    destination: String,
    open: bool,
    seconds_left: f64,
    packets: u64,
    octets: u64,
}

/// Every pinhole, by session and flow.
pub(crate) fn pinholes(core: &Core, now: Instant) -> Vec<Pinhole> {
    let mut all: Vec<Pinhole> = core
        .sessions()
        .flat_map(|session| {
            let left = session.ends_at.saturating_duration_since(now).as_secs_f64();
            session.flows.iter().map(move |flow| {
                let open = flow.open && !session.spent;
                Pinhole {
                    session_id: session.id.to_string(),
                    flow: flow.place.to_string(),
                    source: flow.key.source().to_string(),
                    destination: flow.key.destination().to_string(),
                    open,
                    seconds_left: if open { left } else { 0.0 },
                    packets: flow.usage.packets,
                    octets: flow.usage.octets,
                }
            })
        })
        .collect();
    all.sort_by(|one, other| (&one.session_id, &one.flow).cmp(&(&other.session_id, &other.flow)));
    all
}

/// All routes but `/metrics`.
pub(crate) fn router(asks: mpsc::Sender<Ask>) -> Router {
    Router::new()
        .route(
            "/health",
            get(|| async { Json(serde_json::json!({ "status": "ok" })) }),
        )
        .route("/pinholes", get(list))
        .with_state(asks)
}

async fn list(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    let (sender, receiver) = oneshot::channel();
    let asked = asks.send(sender).await;
    match (asked, receiver.await) {
        (Ok(()), Ok(pinholes)) => Json(pinholes).into_response(),
        _ => Problem::unavailable("the daemon is stopping").into_response(),
    }
}
