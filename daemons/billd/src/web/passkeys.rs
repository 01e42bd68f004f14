//! Passkeys: made by a customer who proves by his secret who he is, and good to pay invoices on our own pages.
//!
//! What is signed to pay is a challenge that was given for that invoice, once; so neither another invoice nor the same
//! signature again is paid by it.

use std::sync::Arc;

use axum::extract::{RawForm, RawQuery, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tollwire_runtime::clock::Now;
use tollwire_web::{Language, Peer};

use super::app::{App, Live};
use super::form::Form;
use super::pay::{self, Step, Unproven, prove};
use super::plain;
use crate::pages::{Filled, Problem};
use crate::passkeys::{Party, Passkey, Refused};

/// The field that says who it is, and that of his secret.
fn fields(live: &Live) -> Option<(&str, &str)> {
    let fields = &live.config.billing.fields;
    let is_who = |field: &&String| matches!(field.as_str(), "account" | "phone-number");
    let who = fields.iter().find(is_who)?;
    let secret = fields.iter().find(|field| !is_who(field))?;
    Some((who, secret))
}

/// `GET /passkeys`
pub(super) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let live = app.live();
    if live.party.is_none() {
        return plain::nowhere(State(app), RawQuery(None), headers).await;
    }
    let form = Form::read(query.unwrap_or_default().as_bytes());
    let words = live.messages.choose(form.lang(), &headers);
    let pages = app.pages(&live, &words);
    pages
        .passkeys(&live.config.billing.fields, &Filled::default())
        .into_response()
}

/// `POST /passkeys`
pub(super) async fn begin(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Response {
    let live = app.live();
    let (Some(party), Some((who, secret))) = (&live.party, fields(&live)) else {
        return plain::nowhere(State(app), RawQuery(None), headers).await;
    };
    let form = Form::read(&body);
    let words = live.messages.choose(form.lang(), &headers);
    let pages = app.pages(&live, &words);
    let login = form.who(who);
    let again = |text: String, status: StatusCode| {
        let filled = Filled {
            who: form.get(who),
            problems: vec![("", text)],
        };
        let page = pages.passkeys(&live.config.billing.fields, &filled);
        page.status(status).into_response()
    };
    let customer = match prove(&app, peer.address, &login, form.get(secret)).await {
        Ok(customer) => customer,
        Err(Unproven::Wrong) => {
            let text = words.text("problem.wrong").to_owned();
            return again(text, StatusCode::FORBIDDEN);
        }
        Err(Unproven::Wait(seconds)) => {
            let text = words.fill("problem.wait", &[("seconds", &seconds.to_string())]);
            let mut response = again(text, StatusCode::TOO_MANY_REQUESTS);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return response;
        }
        Err(Unproven::Busy) => return pages.problem(Problem::Busy, None).into_response(),
    };
    if customer.blocked {
        return pages.problem(Problem::Blocked, None).into_response();
    }
    let login = customer.payer.login;
    let name = login.clone();
    let known = app.database().read(move |tx| Passkey::of(tx, &name)).await;
    let known = match known {
        Ok(known) => known,
        Err(error) => {
            tracing::error!(%error, "passkeys cannot be read");
            return pages.problem(Problem::Busy, None).into_response();
        }
    };
    if known.len() >= crate::passkeys::MOST {
        let page = pages.passkey_problem("passkey.full");
        return page.status(StatusCode::CONFLICT).into_response();
    }
    let Some((asked, challenge, purpose)) = party.enrol(&login, &known) else {
        return pages.problem(Problem::Busy, None).into_response();
    };
    let now = Now::read().unix_ms;
    app.with_open(|open| open.add(now, peer.address, challenge, purpose));
    pages.make_passkey(&asked).into_response()
}

/// `POST /passkeys/new`
pub(super) async fn made(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Response {
    let live = app.live();
    let Some(party) = &live.party else {
        return plain::nowhere(State(app), RawQuery(None), headers).await;
    };
    let form = Form::read(&body);
    let words = live.messages.choose(form.lang(), &headers);
    let pages = app.pages(&live, &words);
    let now = Now::read().unix_ms;
    let take = |challenge| app.with_open(|open| open.take(now, challenge));
    let refused = match party.enrolled(form.get("credential"), take) {
        Ok((login, passkey)) => {
            let name = login.clone();
            let added = app
                .database()
                .call(move |tx| passkey.add(tx, &name, now))
                .await;
            match added {
                Ok(Ok(())) => {
                    tracing::info!(%login, "a passkey was added");
                    return pages.made_passkey().into_response();
                }
                Ok(Err(refused)) => refused,
                Err(error) => {
                    tracing::error!(%error, "a passkey is not stored");
                    return pages.problem(Problem::Busy, None).into_response();
                }
            }
        }
        Err(refused) => refused,
    };
    tracing::warn!(source = %peer.address, %refused, "a new passkey is refused");
    let key = match refused {
        Refused::Full => "passkey.full",
        _ => "passkey.not_made",
    };
    let page = pages.passkey_problem(key).status(StatusCode::FORBIDDEN);
    page.into_response()
}

/// The party and the step of an invoice that is paid here.
async fn here<'a>(
    app: &'a App,
    live: &'a Live,
    with: (&'a Language, &'a Peer, &'a HeaderMap, &'a Form),
) -> Result<(&'a Arc<Party>, Step<'a>), Box<Response>> {
    let Some(party) = &live.party else {
        let nowhere = plain::nowhere(State(app.clone()), RawQuery(None), with.2.clone()).await;
        return Err(Box::new(nowhere));
    };
    Ok((party, pay::begin(app, live, with).await?))
}

/// `POST /passkeys/challenge`: JSON for the page's script.
pub(super) async fn challenge(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Response {
    let form = Form::read(&body);
    let live = app.live();
    let words = live.messages.choose(form.lang(), &headers);
    let (party, step) = match here(&app, &live, (&words, &peer, &headers, &form)).await {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let Some((asked, challenge, purpose)) = party.ask(step.checked.id.clone()) else {
        return step.said(Problem::Busy);
    };
    let now = Now::read().unix_ms;
    app.with_open(|open| open.add(now, peer.address, challenge, purpose));
    ([(CONTENT_TYPE, "application/json")], asked).into_response()
}

/// `POST /passkeys/pay`
pub(super) async fn pay(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Response {
    let form = Form::read(&body);
    let live = app.live();
    let words = live.messages.choose(form.lang(), &headers);
    let (party, step) = match here(&app, &live, (&words, &peer, &headers, &form)).await {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let now = Now::read().unix_ms;
    let take = |challenge| app.with_open(|open| open.take(now, challenge));
    let proven = match party.answered(form.get("credential"), &step.checked.id, take) {
        Ok(answer) => {
            let party = party.clone();
            let used = app.database().call(move |tx| {
                let id = answer.id();
                Passkey::used(tx, &id, now, |stored| answer.check(&party, stored))
            });
            match used.await {
                Ok(proven) => proven,
                Err(error) => {
                    tracing::error!(%error, "a passkey cannot be looked at");
                    return step.said(Problem::Busy);
                }
            }
        }
        Err(refused) => Err(refused),
    };
    match proven {
        Ok(customer) => step.of_customer(customer).await,
        Err(refused) => {
            tracing::warn!(source = %peer.address, %refused, "a passkey is refused");
            let filled = step.filled("passkey.refused");
            step.form(filled, StatusCode::FORBIDDEN)
        }
    }
}
