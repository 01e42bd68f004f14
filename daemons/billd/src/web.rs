//! What browsers, shops and other billing servers ask.
//!
//! | route, below the server's URL | |
//! | --- | --- |
//! | `GET /` | what this is |
//! | `GET /keys.json` | the keys of acknowledgements (RFC 7517) |
//! | `GET /form.json` | the blank form |
//! | `GET`, `POST /invoice` | the form, pre-filled; consent; on to another server |
//! | `POST /pay` | a filled form |
//! | `POST /consent` | a customer of the phone bill agrees |
//! | `GET`, `POST /passkeys` | the form to make one; who fills it in is asked for it |
//! | `POST /passkeys/new` | one that was made |
//! | `POST /passkeys/challenge` | what a passkey signs to pay an invoice |
//! | `POST /passkeys/pay` | pays with one |
//! | `GET /receipts/{token}` | what became of a payment |
//! | `POST /acknowledgements/{reference}` | of a server that was handed an invoice |

mod acknowledge;
mod app;
mod attempt;
mod consent;
mod form;
mod forward;
mod passkeys;
mod pay;
mod plain;
mod secrets;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tollwire_web::server::{Refusal, Refuse};

pub(crate) use app::{App, Live};
pub(crate) use form::canonical_number;

use crate::pages::{self, Problem};

/// All routes below `base`.
pub(crate) fn router(app: &App, base: &str) -> Router {
    let at = |path: &str| format!("{base}/{path}");
    let router = match base {
        "" => Router::new(),
        base => Router::new().route(base, get(plain::home)),
    };
    router
        .route(&at(""), get(plain::home))
        .route(&at("keys.json"), get(plain::keys))
        .route(&at("form.json"), get(plain::form))
        .route(&at("invoice"), get(pay::link).post(pay::invoice))
        .route(&at("pay"), post(pay::pay))
        .route(&at("consent"), post(consent::consent))
        .route(&at("passkeys"), get(passkeys::show).post(passkeys::begin))
        .route(&at("passkeys/new"), post(passkeys::made))
        .route(&at("passkeys/challenge"), post(passkeys::challenge))
        .route(&at("passkeys/pay"), post(passkeys::pay))
        .route(&at("receipts/{token}"), get(plain::receipt))
        .route(
            &at("acknowledgements/{reference}"),
            post(acknowledge::acknowledge),
        )
        .merge(app.frame().routes())
        .merge(pages::passkey_script(base).route())
        .fallback(plain::nowhere)
        .with_state(app.clone())
}

/// What is answered where a bound of the server is passed.
pub(crate) fn refuse(app: &App) -> Refuse {
    let app = app.clone();
    Arc::new(move |refusal: Refusal, headers: &HeaderMap| -> Response {
        let live = app.live();
        let words = live.messages.choose(None, headers);
        let problem = match refusal {
            Refusal::TooSlow => Problem::Unknown,
            Refusal::TooMany(_) => Problem::Busy,
            Refusal::TooLarge => Problem::TooLarge,
        };
        app.pages(&live, &words)
            .problem(problem, None)
            .into_response()
    })
}
