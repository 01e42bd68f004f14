//! The phone bill: nothing is charged before the customer agrees on a page of ours.
//!
//! The form of that page carries a token that is bound to the invoice, to who pays and to the browser (a cookie that no other
//! site can send), so that neither a shop's POST nor a page that another customer was shown agrees for him.

use axum::extract::{RawForm, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use tollwire_web::Peer;
use tollwire_web::headers::{Sender, sender};

use super::app::{App, seconds};
use super::form::Form;
use super::pay::{Step, begin};
use crate::config::PhoneNetwork;
use crate::pages::Problem;
use crate::payment::{Payer, PaymentId, Subscription};
use crate::store::{Customer, Kind};

const SESSION: &str = "__Secure-tollwire-billing";
/// How long a page may be open, seconds.
const LIFETIME: i64 = 900;

fn subject(id: &PaymentId, by: &str, who: &str, session: &str) -> String {
    format!("consent {id} {by} {session} {who}")
}

/// The consent of a customer whose number and PIN were right.
pub(super) fn of_customer(step: &Step<'_>, payer: &Payer) -> Response {
    let number = match &payer.subscription {
        Subscription::Number(number) => Some(&**number),
        Subscription::Account(_) => Some(&*payer.login),
    };
    page(step, ("login", &payer.login), number)
}

/// The consent of whoever comes from a network whose payer is known.
pub(super) fn of_network(step: &Step<'_>) -> Option<Response> {
    let entry = step.live.config.phone_bill.network(step.peer.address)?;
    let network = entry.network.to_string();
    Some(page(step, ("network", &network), entry.number.as_deref()))
}

fn page(step: &Step<'_>, (by, who): (&str, &str), number: Option<&str>) -> Response {
    let known = session(step.headers);
    let Some(session) = known
        .clone()
        .or_else(|| tollwire_web::csrf::random(16).ok())
    else {
        return step.said(Problem::Busy);
    };
    let until = seconds().saturating_add(LIFETIME);
    let subject = subject(&step.checked.id, by, who, &session);
    let proof = step.app.tokens().make(&subject, until);
    let pages = step.app.pages(step.live, step.words);
    let hidden = [("by", by), ("who", who), ("proof", proof.as_str())];
    let page = pages.consent(step.form.get("invoice"), &step.checked, number, &hidden);
    let mut response = page.into_response();
    if known.is_none() {
        let path = step.live.config.billing.path();
        let path = if path.is_empty() { "/" } else { path };
        let cookie = format!("{SESSION}={session}; Path={path}; Secure; HttpOnly; SameSite=Strict");
        if let Ok(value) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }
    response
}

/// The browser's cookie.
fn session(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter();
    let pairs = cookies
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().strip_prefix(SESSION)?.strip_prefix('='));
    let value = values.next()?;
    let good = value.len() == 32 && value.bytes().all(|it| it.is_ascii_hexdigit());
    good.then(|| value.to_owned())
}

/// `POST /consent`
pub(super) async fn consent(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Response {
    let form = Form::read(&body);
    let live = app.live();
    let words = live.messages.choose(form.lang(), &headers);
    let step = match begin(&app, &live, (&words, &peer, &headers, &form)).await {
        Ok(step) => step,
        Err(response) => return *response,
    };
    let (by, who) = (form.get("by"), form.get("who"));
    let agreed = session(&headers).is_some_and(|session| {
        let subject = subject(&step.checked.id, by, who, &session);
        let proof = app.tokens().check(&subject, form.get("proof"), seconds());
        proof.is_ok() && sender(&headers, &live.settings.url) != Sender::Other
    });
    if !agreed {
        tracing::warn!(source = %peer.address, "a consent that does not come of our page is refused");
        return step.said(Problem::Form);
    }
    let payer = match by {
        "network" => live
            .config
            .phone_bill
            .network(peer.address)
            // Still there, and still the same line.
            .filter(|entry| entry.network.to_string() == who)
            .and_then(payer_of),
        _ => match customer(&app, who).await {
            Ok(customer) => customer
                .filter(|customer| customer.kind == Kind::PhoneBill && !customer.blocked)
                .map(|customer| customer.payer),
            Err(()) => return step.said(Problem::Busy),
        },
    };
    match payer {
        Some(payer) => step.charge(payer).await,
        None => step.said(Problem::Denied),
    }
}

async fn customer(app: &App, login: &str) -> Result<Option<Customer>, ()> {
    let login = login.to_owned();
    let found = app
        .database()
        .read(move |connection| Customer::find(connection, &login));
    found
        .await
        .map_err(|error| tracing::error!(%error, "a customer cannot be read"))
}

fn payer_of(entry: &PhoneNetwork) -> Option<Payer> {
    let subscription = match (&entry.account, &entry.number) {
        (Some(account), None) => Subscription::Account(account.as_str().into()),
        (None, Some(number)) => Subscription::Number(number.as_str().into()),
        _ => return None,
    };
    Some(Payer {
        login: format!("network:{}", entry.network).into(),
        subscription,
        rating_group: None,
    })
}
