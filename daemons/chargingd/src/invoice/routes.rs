//! The operator's routes.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /invoices?account=&period=&limit=&skip=` | [`Summary`] of each, the newest first |
//! | `GET /invoices/{number}.json`, `.html`, `.pdf` | the invoice; its JSON octet by octet as it is stored |
//! | `GET /invoices/preview?account=&period=&form=` | what the next invoice would be now; nothing is stored |
//! | `GET /invoices/periods` | closed periods, the newest first |
//! | `POST /invoices/close` with `{"period": "2026-10"}` | [`State`]; 202 while it goes on: ask again |
//! | `GET /settlements/{period}.json`, `.csv`, `.html`, `.pdf`; `?provider=&language=` | [`Settlement`]s of all or one |

use std::time::Duration;

use axum::extract::{Path, Query, State as Extract};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use iso_currency::Currency;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tollwire_runtime::admin::Problem;

use super::close::CloseError;
use super::period::Month;
use super::render::Form;
use super::service::{Closer, State};
use super::{Invoice, Settlement};
use crate::caller::{Caller, OfAccount};
use crate::store::{self, Cause, Queries};

/// How long a request to close waits for the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Invoices in one answer.
const LARGEST_LIST: u32 = 10_000;
/// Closed periods in one answer.
const PERIODS: u32 = 1200;
/// Pages show themselves and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// An invoice in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its number.
    pub number: Box<str>,
    /// The month.
    pub period: Month,
    /// Who pays.
    pub account: Box<str>,
    /// Of all sums.
    pub currency: Currency,
    /// Day of the invoice.
    pub issued: Date,
    /// Day by which to pay.
    pub due: Date,
    /// What was bought, minor units.
    pub charges_minor: i64,
    /// What is to be paid, minor units.
    pub due_minor: i64,
    /// What is carried forward, micro-units.
    pub carried_micro: i64,
}

impl From<Invoice> for Summary {
    fn from(invoice: Invoice) -> Self {
        Self {
            number: invoice.number.unwrap_or_default(),
            period: invoice.period,
            account: invoice.account,
            currency: invoice.currency,
            issued: invoice.issued,
            due: invoice.due,
            charges_minor: invoice.statement.charges.minor,
            due_minor: invoice.statement.due_minor,
            carried_micro: invoice.statement.carried_micro,
        }
    }
}

/// The routes.
pub(crate) fn router(closer: Closer) -> Router {
    Router::new()
        .route("/invoices", get(list))
        .route("/invoices/{file}", get(invoice))
        .route("/invoices/preview", get(preview))
        .route("/invoices/periods", get(periods))
        .route("/invoices/close", post(close))
        .route("/settlements/{file}", get(settlements))
        .with_state(closer)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    account: Option<String>,
    period: Option<Month>,
    limit: Option<u32>,
    skip: Option<u32>,
}

async fn list(Extract(closer): Extract<Closer>, Query(query): Query<ListQuery>) -> Response {
    let limit = query.limit.unwrap_or(100).min(LARGEST_LIST);
    let page = (query.skip.unwrap_or(0), limit);
    let found = ask(closer, move |store| {
        let found = store::invoices(store, query.account.as_deref(), query.period, page)?;
        let read = |json: String| Ok(Summary::from(serde_json::from_str::<Invoice>(&json)?));
        found
            .into_iter()
            .map(read)
            .collect::<Result<Vec<_>, Cause>>()
    });
    found.await.map(Json).into_response()
}

async fn invoice(Extract(closer): Extract<Closer>, Path(file): Path<String>) -> Response {
    answer(one_invoice(closer, &file).await)
}

async fn one_invoice(closer: Closer, file: &str) -> Result<Response, Problem> {
    let (number, form) = split(file)?;
    let wanted = number.to_owned();
    let found = ask(closer, move |store| store::invoice(store, &wanted)).await?;
    let json = found.ok_or_else(|| Problem::not_found(format!("no invoice {number}")))?;
    let invoice: Invoice = serde_json::from_str(&json).map_err(broken)?;
    let of = OfAccount(invoice.account.clone());
    let mut response = match form {
        Form::Json => page(form, json.into_bytes()),
        _ => rendered(invoice, form).await?,
    };
    response.extensions_mut().insert(of);
    Ok(response)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewQuery {
    account: String,
    period: Option<Month>,
    form: Option<String>,
}

async fn preview(Extract(closer): Extract<Closer>, Query(query): Query<PreviewQuery>) -> Response {
    answer(one_preview(closer, query).await)
}

async fn one_preview(closer: Closer, query: PreviewQuery) -> Result<Response, Problem> {
    let form = query.form.as_deref().unwrap_or("json").parse();
    let form = form.map_err(Problem::bad_request)?;
    let made = tokio::task::spawn_blocking(move || closer.preview(&query.account, query.period));
    match made.await.map_err(broken)? {
        Ok(invoice) => rendered(invoice, form).await,
        Err(CloseError::Refused(error)) => Err(Problem::conflict(error)),
        Err(CloseError::Store(error)) => Err(broken(error)),
    }
}

async fn periods(Extract(closer): Extract<Closer>) -> Response {
    let found = ask(closer, |store| store::periods(store, PERIODS)).await;
    let states = found.map(|rows| Json(rows.iter().filter_map(State::of).collect::<Vec<_>>()));
    states.into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseRequest {
    period: Month,
}

async fn close(
    Extract(closer): Extract<Closer>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<CloseRequest>,
) -> Response {
    if let Some(refusal) = closer.elsewhere() {
        return Problem::from(refusal).into_response();
    }
    let mut watch = match closer.close(request.period, caller.who()) {
        Ok(watch) => watch,
        Err(other) => {
            let error = format!("{other} is being closed: try again when it is");
            return Problem::conflict(error).into_response();
        }
    };
    let done = |state: &State| !matches!(state, State::Closing { .. });
    // Nobody waits longer than the client does; who asks again joins in.
    let _ = tokio::time::timeout(PATIENCE, watch.wait_for(done))
        .await
        .map(drop);
    let state = watch.borrow().clone();
    match state {
        State::Closing { .. } => (StatusCode::ACCEPTED, Json(state)).into_response(),
        State::Closed { .. } => Json(state).into_response(),
        State::Failed {
            error,
            refused: true,
            ..
        } => Problem::conflict(error).into_response(),
        State::Failed { error, .. } => Problem::unavailable(error).into_response(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettlementQuery {
    provider: Option<String>,
    language: Option<String>,
}

async fn settlements(
    Extract(closer): Extract<Closer>,
    Path(file): Path<String>,
    Query(query): Query<SettlementQuery>,
) -> Response {
    answer(month_of_settlements(closer, &file, query).await)
}

async fn month_of_settlements(
    closer: Closer,
    file: &str,
    query: SettlementQuery,
) -> Result<Response, Problem> {
    let (month, form) = split(file)?;
    let month: Month = month
        .parse()
        .map_err(|error: super::NoMonth| Problem::bad_request(error.to_string()))?;
    let language = query.language.unwrap_or_else(|| closer.language());
    let found = ask(closer, move |store| match store::closed(store, month)? {
        Some(_) => store::settlements(store, month).map(Some),
        None => Ok(None),
    });
    let found = found.await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("{month} is not closed")))?;
    let mut all = Vec::with_capacity(found.len());
    for json in found {
        let one: Settlement = serde_json::from_str(&json).map_err(broken)?;
        if query
            .provider
            .as_deref()
            .is_none_or(|provider| provider == &*one.provider)
        {
            all.push(one);
        }
    }
    let made = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, String> {
        match form {
            Form::Json => serde_json::to_vec(&all).map_err(|error| error.to_string()),
            Form::Csv => Settlement::to_csv(&all).map_err(|error| error.to_string()),
            Form::Html => Ok(Settlement::to_html(&all, &language).into_bytes()),
            Form::Pdf => Settlement::to_pdf(&all, &language).map_err(|error| error.to_string()),
        }
    });
    Ok(page(form, made.await.map_err(broken)?.map_err(broken)?))
}

/// `2026-000001.pdf`
fn split(file: &str) -> Result<(&str, Form), Problem> {
    let (name, form) = file.rsplit_once('.').ok_or_else(|| {
        Problem::bad_request("the form is missing: write .json, .html or .pdf after it")
    })?;
    Ok((name, form.parse().map_err(Problem::bad_request)?))
}

async fn rendered(invoice: Invoice, form: Form) -> Result<Response, Problem> {
    let made = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, String> {
        match form {
            Form::Json => invoice
                .to_json()
                .map(String::into_bytes)
                .map_err(|error| error.to_string()),
            Form::Html => Ok(invoice.to_html().into_bytes()),
            Form::Pdf => invoice.to_pdf().map_err(|error| error.to_string()),
            Form::Csv => Err("invoices are json, html or pdf".into()),
        }
    });
    let made = made.await.map_err(broken)?;
    Ok(page(form, made.map_err(Problem::bad_request)?))
}

fn page(form: Form, octets: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, form.media_type()),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, octets).into_response()
}

fn answer(outcome: Result<Response, Problem>) -> Response {
    outcome.unwrap_or_else(IntoResponse::into_response)
}

fn broken(error: impl ToString) -> Problem {
    Problem::unavailable(error.to_string())
}

/// Asks the store beside the daemon's own thread.
async fn ask<T: Send + 'static>(
    closer: Closer,
    question: impl FnOnce(&mut dyn Queries) -> Result<T, Cause> + Send + 'static,
) -> Result<T, Problem> {
    let asked = tokio::task::spawn_blocking(move || closer.place().ask(question));
    asked.await.map_err(broken)?.map_err(broken)
}
