//! What is only looked at.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tollwire_invoice::Form as Blank;
use tollwire_jose::JwkSet;

use super::app::App;
use super::form::Form;
use crate::pages::Problem;
use crate::store;

fn query(query: &Option<String>) -> Form {
    Form::read(query.as_deref().unwrap_or_default().as_bytes())
}

pub(super) async fn home(
    State(app): State<App>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Response {
    let live = app.live();
    let words = live.messages.choose(query(&raw).lang(), &headers);
    app.pages(&live, &words).home().into_response()
}

pub(super) async fn nowhere(
    State(app): State<App>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Response {
    let live = app.live();
    let words = live.messages.choose(query(&raw).lang(), &headers);
    app.pages(&live, &words).nowhere().into_response()
}

pub(super) async fn keys(State(app): State<App>) -> Json<JwkSet> {
    let live = app.live();
    Json(JwkSet {
        keys: vec![live.settings.key.public().clone()],
    })
}

pub(super) async fn form(
    State(app): State<App>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Json<Blank> {
    let live = app.live();
    let words = live.messages.choose(query(&raw).lang(), &headers);
    let mut blank = Blank::of(&live.server);
    for field in &mut blank.fields {
        field.label = words.text(&format!("field.{}", field.name)).to_owned();
    }
    Json(blank)
}

pub(super) async fn receipt(
    State(app): State<App>,
    Path(token): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Response {
    let live = app.live();
    let query = query(&raw);
    let words = live.messages.choose(query.lang(), &headers);
    let pages = app.pages(&live, &words);
    let found = app
        .database()
        .read(move |connection| store::of_token(connection, &token));
    match found.await {
        Ok(Some(payment)) => {
            let quiet = query.get("still") == "1";
            pages.receipt(&payment, quiet).into_response()
        }
        Ok(None) => pages.missing().into_response(),
        Err(error) => {
            tracing::error!(%error, "a receipt cannot be read");
            let mut response = pages.problem(Problem::Busy, None).into_response();
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}
