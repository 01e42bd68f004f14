//! The operator's HTTP interface on the Unix socket; bodies are JSON.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /accounts`, `GET /accounts/{name}` | [`crate::effect::AccountView`] |
//! | `POST /operations` with an [`Operation`] | the account as it is now |
//! | `GET /sessions` | [`SessionView`] of each running session |
//! | `GET /tariffs` | the tariffs in force: [`crate::rating::Definition`] |
//! | `GET /calling-groups` | the groups of callers that tariffs name, with their members |
//! | `GET /records?account=&call_id=&from_unix_ms=&until_unix_ms=&limit=` | records, the newest last |
//! | `GET /ledger?account=&limit=` | entries, the newest last |
//! | `GET /trial-balance` | [`crate::store::TrialBalance`] |
//! | `POST /vouchers` with `batch`, `count`, `amount_micro`, `currency`, `expires_unix_ms` | the batch, and its codes: told once |
//! | `GET /vouchers` | [`crate::voucher::BatchView`] of each batch |
//! | `GET /audit?account=&who=&until_unix_ms=&limit=` | [`crate::audit::Entry`], the newest last |
//! | `GET /notifications?limit=` | each channel, and the contacts that are still to be told, the next first |
//! | `GET /health` | whether this instance is `active`, on `standby` (and who is active), or its database `away`; its part |
//! | `GET /metrics` | |

use std::path::{Path, PathBuf};

use axum::extract::{Path as UrlPath, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tollwire_cdr::{ChargeRecord, from_json_line};
use tollwire_runtime::admin::Problem;
use tollwire_runtime::clock::Now;

use crate::caller::Caller;
use crate::core::Core;
use crate::effect::{AccountView, Refusal, Reply};
use crate::elsewhere;
use crate::event::Operation;
use crate::notify;
use crate::part::Overview;
use crate::rating::Measure;
use crate::role::Role;
use crate::session::{Service, Session};
use crate::store;
use crate::voucher::{Code, LARGEST_BATCH};

/// A question to the core, answered in JSON.
pub(crate) type Question = Box<dyn FnOnce(&Core) -> Result<Value, Refusal> + Send>;

/// What an operator's request wants of the driver.
pub(crate) enum Ask {
    /// A change; replied to when it is stored.
    Change {
        /// Who wants it.
        who: Box<str>,
        /// What.
        operation: Operation,
        /// Where to say what came of it.
        reply: oneshot::Sender<Result<Reply, Refusal>>,
    },
    /// A look at the core.
    Look(Question, oneshot::Sender<Result<Value, Refusal>>),
}

/// What the routes need.
#[derive(Clone)]
pub(crate) struct Routes {
    /// The driver.
    pub(crate) asks: mpsc::Sender<Ask>,
    /// The thread that tells customers.
    pub(crate) tell: notify::Handle,
    /// The database.
    pub(crate) store: store::Place,
    /// The record files.
    pub(crate) records: PathBuf,
    /// What this instance may do.
    pub(crate) role: watch::Receiver<Role>,
    /// Of the other parts, if there are others.
    pub(crate) overview: Option<Overview>,
}

/// A running session as the operator sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SessionView {
    session_id: Box<str>,
    account: Box<str>,
    call_id: String,
    from: String,
    to: String,
    began_unix_ms: i64,
    answer_unix_ms: Option<i64>,
    used_seconds: u64,
    granted_seconds: u64,
    charged_micro: i64,
    held_micro: i64,
    currency: &'static str,
    /// Units that the accounts can pay for beyond what is used: seconds of a call.
    remaining_seconds: u64,
    services: Vec<Service>,
}

impl SessionView {
    fn of(core: &Core, session: &Session) -> Self {
        let account = core.account(&session.account);
        let service = session.services.first();
        let of_time = service.is_some_and(|service| {
            matches!(
                service.price.measure(),
                Some(Measure::Time | Measure::Combined)
            )
        });
        Self {
            session_id: session.id.clone(),
            account: session.account.clone(),
            call_id: session.facts.call_id.clone(),
            from: session.facts.from.clone(),
            to: session.facts.to.clone(),
            began_unix_ms: session.began_unix_ms,
            answer_unix_ms: session.facts.answer_unix_ms,
            used_seconds: service.map_or(0, |service| service.used.seconds),
            granted_seconds: match of_time {
                true => service.map_or(0, |service| service.granted),
                false => 0,
            },
            charged_micro: session.charged_micro(),
            held_micro: session.held_micro(),
            currency: account.map_or("", |account| account.currency.code()),
            remaining_seconds: service.map_or(0, |service| {
                core.remaining(Now::read(), &session.account, service)
            }),
            services: session.services.clone(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::NotStored | Refusal::Standby(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.to_string())
    }
}

/// All routes but `/metrics`.
pub(crate) fn router(routes: Routes) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/accounts", get(accounts))
        .route("/accounts/{name}", get(account))
        .route("/operations", post(operation))
        .route("/sessions", get(sessions))
        .route("/tariffs", get(tariffs))
        .route("/calling-groups", get(calling_groups))
        .route("/records", get(records))
        .route("/ledger", get(ledger))
        .route("/trial-balance", get(trial_balance))
        .route("/notifications", get(notifications))
        .route("/vouchers", get(vouchers).post(issue))
        .route("/audit", get(audit))
        .with_state(routes)
}

impl Routes {
    async fn look<T: Serialize>(
        &self,
        look: impl FnOnce(&Core) -> Result<T, Refusal> + Send + 'static,
    ) -> Response {
        let (sender, receiver) = oneshot::channel();
        let look: Question = Box::new(move |core: &Core| {
            look(core).and_then(|found| {
                serde_json::to_value(found).map_err(|error| Refusal::Invalid(error.to_string()))
            })
        });
        self.ask(Ask::Look(look, sender), receiver)
            .await
            .into_response()
    }

    /// What came of a change.
    async fn change(&self, caller: &Caller, operation: Operation) -> Result<Json<Reply>, Problem> {
        let (reply, receiver) = oneshot::channel();
        let ask = Ask::Change {
            who: caller.who().into(),
            operation,
            reply,
        };
        self.ask(ask, receiver).await
    }

    async fn ask<T: Serialize>(
        &self,
        ask: Ask,
        reply: oneshot::Receiver<Result<T, Refusal>>,
    ) -> Result<Json<T>, Problem> {
        let stopping = || Problem::unavailable("the daemon is stopping");
        if self.asks.send(ask).await.is_err() {
            return Err(stopping());
        }
        match reply.await {
            Ok(found) => found.map(Json).map_err(Problem::from),
            Err(_) => Err(stopping()),
        }
    }
}

/// The process is well, whatever its role.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(flatten)]
    role: Role,
    #[serde(flatten)]
    parts: Option<Parts>,
}

/// Of a database that is divided.
#[derive(Serialize)]
struct Parts {
    /// This instance's, from 1.
    part: u32,
    parts: u32,
    /// Origin-Host of the instance that is active for each part in order, if it is known.
    active_of_parts: Vec<Option<String>>,
}

async fn health(State(routes): State<Routes>) -> Json<Health> {
    let parts = routes.overview.map(|overview| Parts {
        part: overview.division().part(),
        parts: overview.division().parts(),
        active_of_parts: overview.all_active(),
    });
    Json(Health {
        status: "ok",
        role: routes.role.borrow().clone(),
        parts,
    })
}

async fn accounts(State(routes): State<Routes>) -> Response {
    routes
        .look(|core| {
            let mut views: Vec<AccountView> = core
                .accounts()
                .filter_map(|account| core.view(&account.name).ok())
                .collect();
            views.sort_by(|one, other| one.account.name.cmp(&other.account.name));
            Ok(views)
        })
        .await
}

async fn account(State(routes): State<Routes>, UrlPath(name): UrlPath<String>) -> Response {
    routes.look(move |core| core.view(&name)).await
}

async fn operation(
    State(routes): State<Routes>,
    Extension(caller): Extension<Caller>,
    Json(operation): Json<Operation>,
) -> Response {
    if let Err(problem) = caller.may(&operation) {
        return problem.into_response();
    }
    if let Some(overview) = &routes.overview
        && let Some(answer) = elsewhere::refuse_operation(overview, &operation).await
    {
        return answer;
    }
    routes.change(&caller, operation).await.into_response()
}

/// Vouchers to make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    batch: Box<str>,
    count: usize,
    amount_micro: i64,
    currency: Currency,
    expires_unix_ms: i64,
}

/// The one time that codes are told.
#[derive(Serialize)]
struct Issued {
    batch: Reply,
    codes: Vec<String>,
}

async fn issue(
    State(routes): State<Routes>,
    Extension(caller): Extension<Caller>,
    Json(issue): Json<Issue>,
) -> Result<Response, Problem> {
    if issue.count > LARGEST_BATCH {
        let what = format!("a batch has 1 to {LARGEST_BATCH} vouchers");
        return Err(Problem::bad_request(what));
    }
    let codes: Vec<Code> = (0..issue.count)
        .map(|_| Code::random())
        .collect::<Result<_, _>>()
        .map_err(|error| Problem::unavailable(format!("no random numbers: {error}")))?;
    let operation = Operation::IssueVouchers {
        batch: issue.batch,
        amount_micro: issue.amount_micro,
        currency: issue.currency,
        expires_unix_ms: issue.expires_unix_ms,
        hashes: codes.iter().map(Code::hash).collect(),
    };
    caller.may(&operation)?;
    let Json(batch) = routes.change(&caller, operation).await?;
    let codes = codes.iter().map(Code::reveal).collect();
    Ok(Json(Issued { batch, codes }).into_response())
}

async fn vouchers(State(routes): State<Routes>) -> Response {
    routes.look(|core| Ok(core.voucher_batches())).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuditQuery {
    account: String,
    who: String,
    until_unix_ms: Option<i64>,
    limit: Option<u32>,
}

async fn audit(State(routes): State<Routes>, Query(query): Query<AuditQuery>) -> Response {
    blocking(move || {
        let query = store::AuditQuery {
            account: query.account,
            who: query.who,
            until_unix_ms: query.until_unix_ms,
            limit: query.limit.unwrap_or(100).min(10_000),
        };
        let found = routes.store.ask(|store| store::audit(store, &query));
        found.map_err(|error| error.to_string())
    })
    .await
}

async fn sessions(State(routes): State<Routes>) -> Response {
    routes
        .look(|core| {
            Ok(core
                .open_sessions()
                .map(|session| SessionView::of(core, session))
                .collect::<Vec<_>>())
        })
        .await
}

async fn tariffs(State(routes): State<Routes>) -> Response {
    routes
        .look(|core| Ok(core.tariffs().definitions().collect::<Vec<_>>()))
        .await
}

async fn calling_groups(State(routes): State<Routes>) -> Response {
    routes
        .look(|core| Ok(core.tariffs().calling_groups().clone()))
        .await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RecordQuery {
    account: Option<String>,
    call_id: Option<String>,
    from_unix_ms: Option<i64>,
    until_unix_ms: Option<i64>,
    limit: Option<usize>,
}

impl RecordQuery {
    fn matches(&self, record: &ChargeRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        is(&self.account, &record.account)
            && is(&self.call_id, &record.call_id)
            && self
                .from_unix_ms
                .is_none_or(|from| record.end_time.0 >= from)
            && self
                .until_unix_ms
                .is_none_or(|until| record.end_time.0 < until)
    }
}

async fn records(State(routes): State<Routes>, Query(query): Query<RecordQuery>) -> Response {
    blocking(move || find_records(&routes.records, &query).map_err(|error| error.to_string())).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    account: String,
    limit: Option<u32>,
}

async fn ledger(State(routes): State<Routes>, Query(query): Query<LedgerQuery>) -> Response {
    blocking(move || {
        let limit = query.limit.unwrap_or(100);
        routes
            .store
            .ask(|store| store::ledger(store, &query.account, limit))
            .map_err(|error| error.to_string())
    })
    .await
}

async fn trial_balance(State(routes): State<Routes>) -> Response {
    blocking(move || {
        let balance = routes.store.ask(store::trial_balance);
        balance.map_err(|error| error.to_string())
    })
    .await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NotificationQuery {
    limit: Option<usize>,
}

/// A contact that is still to be told, as the operator sees it.
#[derive(Debug, Serialize)]
struct WaitingView {
    id: u64,
    account: Box<str>,
    subject: Box<str>,
    kind: notify::Kind,
    contact: notify::Contact,
    unix_ms: i64,
    attempts: u32,
    next_unix_ms: i64,
    error: String,
}

impl From<notify::Waiting> for WaitingView {
    fn from(waiting: notify::Waiting) -> Self {
        let notification = &waiting.task.notification;
        Self {
            id: notification.id,
            account: notification.account.clone(),
            subject: notification.subject.clone(),
            kind: notification.kind,
            contact: waiting.task.contact.clone(),
            unix_ms: notification.unix_ms,
            attempts: waiting.task.attempts,
            next_unix_ms: waiting.next_unix_ms,
            error: waiting.error,
        }
    }
}

async fn notifications(
    State(routes): State<Routes>,
    Query(query): Query<NotificationQuery>,
) -> Response {
    let channels = routes.tell.status().await;
    blocking(move || {
        let limit = query.limit.unwrap_or(100).min(10_000);
        let waiting = routes.store.ask(|store| store::all_waiting(store, limit));
        let waiting = waiting.map_err(|error| error.to_string())?;
        let waiting: Vec<WaitingView> = waiting.into_iter().map(WaitingView::from).collect();
        Ok(serde_json::json!({ "channels": channels, "waiting": waiting }))
    })
    .await
}

/// Runs a question to disk beside the daemon's own thread.
async fn blocking<T: Serialize + Send + 'static>(
    question: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(question).await {
        Ok(Ok(found)) => Json(found).into_response(),
        Ok(Err(error)) => Problem::unavailable(error).into_response(),
        Err(error) => Problem::unavailable(error.to_string()).into_response(),
    }
}

/// The newest matching records, oldest first; files are read from the newest until there are enough.
fn find_records(directory: &Path, query: &RecordQuery) -> std::io::Result<Vec<ChargeRecord>> {
    let limit = query.limit.unwrap_or(100).min(100_000);
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.to_str()
                .is_some_and(|path| path.ends_with(".jsonl") || path.ends_with(".jsonl.open"))
        })
        .collect();
    files.sort();
    let mut found = std::collections::VecDeque::new();
    for file in files.iter().rev() {
        if found.len() >= limit {
            break;
        }
        // A file may be renamed while we look: its records are then found next time.
        let Ok(text) = std::fs::read_to_string(file) else {
            continue;
        };
        let matching = text
            .lines()
            .rev()
            .filter_map(|line| from_json_line(line).ok())
            .filter(|record| query.matches(record));
        for record in matching.take(limit - found.len()) {
            found.push_front(record);
        }
    }
    Ok(found.into())
}
