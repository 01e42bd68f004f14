//! The operator's HTTP interface on the Unix socket; bodies are JSON.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /payments?state=&limit=` | list of [`store::PaymentView`], the newest first |
//! | `GET /customers` | list of [`store::CustomerView`] |
//! | `POST /customers` with a [`NewCustomer`] | `{"status":"ok"}`; 409 if there is one of that name |
//! | `PUT /customers/{login}/secret` with `{"secret":...}` | `{"status":"ok"}` |
//! | `PUT /customers/{login}/blocked` with `{"blocked":...}` | `{"status":"ok"}` |
//! | `GET /customers/{login}/passkeys` | list of [`store::PasskeyView`] |
//! | `DELETE /customers/{login}/passkeys` | `{"removed":...}`: all of them |
//! | `DELETE /customers/{login}` | `{"status":"ok"}` |
//! | `GET /server` | what is advertised |
//! | `GET /health`, `GET /metrics` | |

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Value, json};
use tollwire_runtime::admin::Problem;
use tollwire_runtime::clock::Now;
use tollwire_web::database::Failure;

use crate::passkeys::Passkey;
use crate::payment::{Payer, State as PaymentState, Subscription};
use crate::store::{self, Customer, Kind};
use crate::web::{App, canonical_number};

/// Rows of a list, if no limit is asked for.
const ROWS: u32 = 100;
/// The shortest secret: a PIN of four digits is guessed no faster than the waits allow.
const SHORTEST_SECRET: usize = 4;
/// Octets of a secret.
const LONGEST_SECRET: usize = 256;

/// All routes but `/metrics`.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/server", get(server))
        .route("/payments", get(payments))
        .route("/customers", get(customers).post(add))
        .route("/customers/{login}", post(nothing).delete(remove))
        .route("/customers/{login}/secret", put(secret))
        .route("/customers/{login}/blocked", put(blocked))
        .route(
            "/customers/{login}/passkeys",
            get(passkeys).delete(remove_passkeys),
        )
        .with_state(app)
}

type Answer = Result<Json<Value>, Problem>;

fn failed(error: Failure<store::Error>) -> Problem {
    Problem::unavailable(error.to_string())
}

fn done(found: bool, login: &str) -> Answer {
    match found {
        true => Ok(Json(json!({ "status": "ok" }))),
        false => Err(Problem::not_found(format!("{login}: no such customer"))),
    }
}

fn json_of(value: &impl serde::Serialize) -> Answer {
    let value = serde_json::to_value(value);
    value
        .map(Json)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn nothing() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "PUT or DELETE")
}

async fn server(State(app): State<App>) -> Answer {
    let live = app.live();
    Ok(Json(json!({
        "url": live.server.service_url(),
        "attributes": live.server.to_attributes(),
        "acknowledgement_key": live.server.acknowledgement_key,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    state: Option<String>,
    limit: Option<u32>,
}

async fn payments(State(app): State<App>, Query(which): Query<Which>) -> Answer {
    let state = match which.state.as_deref() {
        Some(name) => Some(PaymentState::from_name(name).ok_or_else(|| {
            let names: Vec<_> = PaymentState::NAMES.iter().map(|(_, name)| *name).collect();
            Problem::bad_request(format!("state: one of {}", names.join(", ")))
        })?),
        None => None,
    };
    let limit = which.limit.unwrap_or(ROWS);
    let rows = app
        .database()
        .read(move |connection| store::list(connection, state, limit));
    json_of(&rows.await.map_err(failed)?)
}

async fn customers(State(app): State<App>) -> Answer {
    let rows = app.database().read(Customer::list);
    json_of(&rows.await.map_err(failed)?)
}

/// A customer to add.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCustomer {
    login: String,
    kind: Kind,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    number: Option<String>,
    #[serde(default)]
    rating_group: Option<u32>,
    secret: String,
}

impl NewCustomer {
    /// Who pays, if all of it fits together.
    fn payer(&self) -> Result<Payer, Problem> {
        let refuse = |what: &str| Err(Problem::bad_request(what));
        let name = |text: &String| {
            !text.is_empty()
                && text.len() <= 256
                && text.trim() == text
                && !text.chars().any(char::is_control)
        };
        if !name(&self.login) {
            return refuse("login: 1 to 256 characters, without blanks around");
        }
        let number = self.number.as_deref().map(canonical_number);
        let subscription = match (&self.account, number) {
            (Some(account), None) if name(account) => {
                Subscription::Account(account.as_str().into())
            }
            (None, Some(number)) if is_number(&number) => Subscription::Number(number.into()),
            _ => return refuse("account or number: one of them, the account's name or +491234"),
        };
        match (self.kind, self.rating_group) {
            (Kind::ServiceAccount, None) => {
                return refuse("rating_group: which service account pays");
            }
            (Kind::Prepaid | Kind::PhoneBill, Some(_)) => {
                return refuse("rating_group: for a service account alone");
            }
            _ => {}
        }
        // A customer of the phone bill types his number.
        let login = match self.login.starts_with('+') {
            true => canonical_number(&self.login),
            false => self.login.clone(),
        };
        Ok(Payer {
            login: login.into(),
            subscription,
            rating_group: self.rating_group,
        })
    }
}

fn is_number(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or(number);
    (5..=15).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit())
}

async fn hashed(app: &App, secret: String) -> Result<String, Problem> {
    if !(SHORTEST_SECRET..=LONGEST_SECRET).contains(&secret.len()) {
        return Err(Problem::bad_request("secret: 4 to 256 octets"));
    }
    match app.secrets().hash(secret).await {
        Ok(hash) => hash.map_err(Problem::unavailable),
        Err(_) => Err(Problem::unavailable("too many secrets are being checked")),
    }
}

async fn add(State(app): State<App>, Json(new): Json<NewCustomer>) -> Answer {
    let payer = new.payer()?;
    let customer = Customer {
        payer,
        kind: new.kind,
        secret_hash: hashed(&app, new.secret).await?.into(),
        blocked: false,
        created_ms: Now::read().unix_ms,
    };
    let login = customer.payer.login.clone();
    let added = app.database().call(move |tx| customer.add(tx));
    match added.await.map_err(failed)? {
        true => {
            tracing::info!(%login, "a customer was added");
            Ok(Json(json!({ "status": "ok" })))
        }
        false => Err(Problem::conflict(format!("{login}: is there already"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    secret: String,
}

async fn secret(
    State(app): State<App>,
    Path(login): Path<String>,
    Json(new): Json<Secret>,
) -> Answer {
    let hash = hashed(&app, new.secret).await?;
    let name = login.clone();
    let set = app
        .database()
        .call(move |tx| Customer::set_secret(tx, &name, &hash));
    let found = set.await.map_err(failed)?;
    tracing::info!(%login, found, "a customer's secret was changed");
    done(found, &login)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blocked {
    blocked: bool,
}

async fn blocked(
    State(app): State<App>,
    Path(login): Path<String>,
    Json(new): Json<Blocked>,
) -> Answer {
    let name = login.clone();
    let set = app
        .database()
        .call(move |tx| Customer::set_blocked(tx, &name, new.blocked));
    let found = set.await.map_err(failed)?;
    tracing::info!(%login, found, blocked = new.blocked, "a customer was blocked or let in again");
    done(found, &login)
}

async fn passkeys(State(app): State<App>, Path(login): Path<String>) -> Answer {
    let rows = app
        .database()
        .read(move |connection| Passkey::list(connection, &login));
    json_of(&rows.await.map_err(failed)?)
}

async fn remove_passkeys(State(app): State<App>, Path(login): Path<String>) -> Answer {
    let name = login.clone();
    let removed = app
        .database()
        .call(move |tx| Passkey::remove_all(tx, &name));
    let removed = removed.await.map_err(failed)?;
    tracing::info!(%login, removed, "a customer's passkeys were removed");
    Ok(Json(json!({ "removed": removed })))
}

async fn remove(State(app): State<App>, Path(login): Path<String>) -> Answer {
    let name = login.clone();
    let removed = app.database().call(move |tx| Customer::remove(tx, &name));
    let found = removed.await.map_err(failed)?;
    tracing::info!(%login, found, "a customer was removed");
    done(found, &login)
}
