//! The form, and what comes back filled in.

use std::net::IpAddr;

use axum::extract::{self, RawForm, RawQuery};
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tollwire_web::{Language, Peer};

use super::app::{App, Live, seconds};
use super::attempt::Attempt;
use super::form::Form;
use super::{consent, forward};
use crate::checks::{Checked, Refusal};
use crate::config::Settling;
use crate::effect::Reply;
use crate::event::Event;
use crate::guard::NotYet;
use crate::pages::{Filled, Problem, refused};
use crate::payment::{Order, Payer, PaymentId, State};
use crate::store::{self, Customer, Kind};

/// What every step of a payment has.
pub(super) struct Step<'a> {
    pub(super) app: &'a App,
    pub(super) live: &'a Live,
    pub(super) words: &'a Language,
    pub(super) peer: &'a Peer,
    pub(super) headers: &'a HeaderMap,
    pub(super) form: &'a Form,
    pub(super) checked: Checked,
}

/// `GET /invoice?invoice=...`: a link.
pub(super) async fn link(
    extract::State(app): extract::State<App>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let form = Form::read(query.unwrap_or_default().as_bytes());
    show(&app, &peer, &headers, &form).await
}

/// `POST /invoice`: from the shop's page.
pub(super) async fn invoice(
    extract::State(app): extract::State<App>,
    peer: Peer,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Response {
    show(&app, &peer, &headers, &Form::read(&body)).await
}

async fn show(app: &App, peer: &Peer, headers: &HeaderMap, form: &Form) -> Response {
    let live = app.live();
    let words = live.messages.choose(form.lang(), headers);
    let step = match begin(app, &live, (&words, peer, headers, form)).await {
        Ok(step) => step,
        Err(response) => return *response,
    };
    if let Some(response) = elsewhere(&step, None).await {
        return response;
    }
    if let Some(response) = consent::of_network(&step) {
        return response;
    }
    step.form(Filled::default(), StatusCode::OK)
}

/// Looks at the invoice.
pub(super) async fn begin<'a>(
    app: &'a App,
    live: &'a Live,
    (words, peer, headers, form): (&'a Language, &'a Peer, &'a HeaderMap, &'a Form),
) -> Result<Step<'a>, Box<Response>> {
    match live.settings.check(form.get("invoice"), seconds()) {
        Ok(checked) => Ok(Step {
            app,
            live,
            words,
            peer,
            headers,
            form,
            checked,
        }),
        Err(refusal) => {
            let pages = app.pages(live, words);
            if refusal == Refusal::Invoice(tollwire_invoice::Refusal::Expired) {
                // Of one that was paid in time it would be wrong to say that nothing was charged.
                let id = PaymentId::of(form.get("invoice"));
                let known = app.database().read(move |tx| store::of_id(tx, id.as_str()));
                if let Ok(Some(payment)) = known.await
                    && !matches!(payment.state, State::Forwarded | State::Refused)
                {
                    let page = pages.problem(Problem::AlreadyPaid, Some(&payment.order.invoice));
                    return Err(Box::new(page.into_response()));
                }
            }
            tracing::warn!(source = %peer.address, %refusal, "an invoice is refused");
            Err(Box::new(refused(&pages, &refusal).into_response()))
        }
    }
}

/// If another billing server collects it: on to that. `number`: what the customer typed.
async fn elsewhere(step: &Step<'_>, number: Option<&str>) -> Option<Response> {
    let config = &step.live.config;
    if config.billing.settling == Settling::Proxy {
        return Some(forward::forward(step, config.proxy.operator()).await);
    }
    let operator = match number {
        Some(number) => config.phone_bill.prefix(number)?.operator.clone(),
        None => {
            let network = config.phone_bill.network(step.peer.address)?;
            network.operator.clone()
        }
    };
    Some(forward::forward(step, operator?).await)
}

/// `POST /pay`
pub(super) async fn pay(
    extract::State(app): extract::State<App>,
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
    if live.config.billing.settling == Settling::Proxy {
        return forward::forward(&step, live.config.proxy.operator()).await;
    }
    let fields = &live.config.billing.fields;
    let is_who = |field: &&String| matches!(field.as_str(), "account" | "phone-number");
    let (Some(who), Some(secret)) = (
        fields.iter().find(is_who),
        fields.iter().find(|field| !is_who(field)),
    ) else {
        return show(&app, &peer, &headers, &form).await;
    };
    let login = form.who(who);
    if who == "phone-number"
        && let Some(response) = elsewhere(&step, Some(&login)).await
    {
        return response;
    }
    let missing: Vec<(&str, String)> = [who, secret]
        .into_iter()
        .filter(|field| form.get(field).trim().is_empty())
        .map(|field| {
            let label = words.text(&format!("field.{field}")).to_owned();
            let text = words.fill("problem.missing", &[("field", &label)]);
            (field.as_str(), text)
        })
        .collect();
    if !missing.is_empty() {
        let filled = Filled {
            who: form.get(who),
            problems: missing,
        };
        return step.form(filled, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let customer = match prove(&app, peer.address, &login, form.get(secret)).await {
        Ok(customer) => customer,
        Err(Unproven::Wrong) => {
            let filled = step.filled("problem.wrong");
            return step.form(filled, StatusCode::FORBIDDEN);
        }
        Err(Unproven::Wait(seconds)) => {
            let text = words.fill("problem.wait", &[("seconds", &seconds.to_string())]);
            let filled = step.problem(text);
            let mut response = step.form(filled, StatusCode::TOO_MANY_REQUESTS);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return response;
        }
        Err(Unproven::Busy) => return step.said(Problem::Busy),
    };
    step.of_customer(customer).await
}

/// Why nobody knows who it is.
pub(super) enum Unproven {
    Wrong,
    Wait(u32),
    Busy,
}

/// The customer, if the secret is his. One that does not exist is answered as one whose secret is another.
pub(super) async fn prove(
    app: &App,
    source: IpAddr,
    login: &str,
    secret: &str,
) -> Result<Customer, Unproven> {
    let attempt = Attempt::begin(app, login, source)
        .await
        .map_err(|not_yet| match not_yet {
            NotYet::Wait(seconds) => Unproven::Wait(seconds),
            NotYet::Turn => Unproven::Busy,
        })?;
    let name = login.to_owned();
    let found = app
        .database()
        .read(move |connection| Customer::find(connection, &name));
    let customer = found.await.map_err(|error| {
        tracing::error!(%error, "a customer cannot be read");
        Unproven::Busy
    })?;
    let hash = customer.as_ref().map(|customer| &*customer.secret_hash);
    let right = app.secrets().verify(hash, secret.into()).await;
    match (right, customer) {
        (Ok(true), Some(customer)) => {
            attempt.judge(true);
            Ok(customer)
        }
        (Ok(_), _) => {
            attempt.judge(false);
            tracing::info!(%source, "a wrong secret");
            Err(Unproven::Wrong)
        }
        // It was not looked at: not his fault.
        (Err(_), _) => Err(Unproven::Busy),
    }
}

impl Step<'_> {
    pub(super) fn filled(&self, key: &str) -> Filled<'_> {
        self.problem(self.words.text(key).to_owned())
    }

    fn problem(&self, text: String) -> Filled<'_> {
        let fields = &self.live.config.billing.fields;
        let who = fields
            .iter()
            .find(|field| matches!(field.as_str(), "account" | "phone-number"));
        Filled {
            who: who.map_or("", |who| self.form.get(who)),
            problems: vec![("", text)],
        }
    }

    pub(super) fn form(&self, filled: Filled<'_>, status: StatusCode) -> Response {
        let pages = self.app.pages(self.live, self.words);
        let fields = &self.live.config.billing.fields;
        pages
            .invoice(self.form.get("invoice"), &self.checked, fields, &filled)
            .status(status)
            .into_response()
    }

    /// A page that says what is wrong.
    pub(super) fn said(&self, problem: Problem) -> Response {
        let pages = self.app.pages(self.live, self.words);
        pages
            .problem(problem, Some(&self.checked.invoice))
            .into_response()
    }

    /// An order of who pays.
    pub(super) fn order(&self, payer: Payer) -> Option<Order> {
        let token = tollwire_web::csrf::random(16).ok()?;
        let checked = &self.checked;
        Some(Order {
            id: checked.id.clone(),
            token: token.into(),
            invoice: checked.invoice.clone(),
            shop_key: checked.shop_key.clone(),
            provider: checked.settlement.clone(),
            fee_micro: checked.fee_micro,
            payer,
            onward: None,
        })
    }

    /// Charges it to a customer who has proven who he is, or asks him whether it may be.
    pub(super) async fn of_customer(&self, customer: Customer) -> Response {
        if customer.blocked {
            return self.said(Problem::Blocked);
        }
        match customer.kind {
            Kind::PhoneBill => consent::of_customer(self, &customer.payer),
            Kind::Prepaid | Kind::ServiceAccount => self.charge(customer.payer).await,
        }
    }

    /// Charges it to somebody who has proven who he is and wants it.
    pub(super) async fn charge(&self, payer: Payer) -> Response {
        let Some(order) = self.order(payer) else {
            return self.said(Problem::Busy);
        };
        let order = Box::new(order);
        let reply = self.app.ask(|client| Event::Pay { client, order }).await;
        let fields = !self.live.config.billing.fields.is_empty();
        match reply {
            Some(Reply::Receipt(token) | Reply::Pending(token)) => {
                let base = self.live.config.billing.path();
                let receipt = format!("{base}/receipts/{token}?lang={}", self.words.tag());
                (StatusCode::SEE_OTHER, [(LOCATION, receipt)]).into_response()
            }
            Some(Reply::NotEnough) if fields => {
                let filled = self.filled("problem.not_enough");
                self.form(filled, StatusCode::UNPROCESSABLE_ENTITY)
            }
            Some(Reply::TryAgain) if fields => {
                let filled = self.filled("problem.again");
                self.form(filled, StatusCode::SERVICE_UNAVAILABLE)
            }
            Some(Reply::NotEnough) => self.said(Problem::NotEnough),
            Some(Reply::TryAgain) => self.said(Problem::Again),
            Some(Reply::Denied(_)) => self.said(Problem::Denied),
            Some(Reply::AlreadyPaid) => self.said(Problem::AlreadyPaid),
            Some(Reply::BeingPaid) => self.said(Problem::BeingPaid),
            Some(Reply::Busy) => self.said(Problem::Busy),
            Some(Reply::Forward(_) | Reply::Taken | Reply::NotTaken | Reply::NotYet) | None => {
                self.said(Problem::Unknown)
            }
        }
    }
}
