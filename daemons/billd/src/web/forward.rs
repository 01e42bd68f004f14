//! Handing an invoice on to another billing server, found by SLP.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;
use tollwire_invoice::{BillingServer, Invoice, MOST_VIA, SERVICE_TYPE};
use tollwire_jose::{Jwk, JwkSet};
use tollwire_slp_agent::UserAgent;

use super::app::{App, seconds};
use super::pay::Step;
use crate::checks::Checked;
use crate::config::Operator;
use crate::effect::Reply;
use crate::event::Event;
use crate::pages::Problem;
use crate::payment::{Onward, Payer, State, Subscription};
use crate::store;

/// Bytes of a title at the most.
const LONGEST_TITLE: usize = 1024;

/// The page that leads on, or why there is none.
pub(super) async fn forward(step: &Step<'_>, operator: Operator) -> Response {
    // Handed on before: the same way again, without asking the network.
    let id = step.checked.id.clone();
    let known = step
        .app
        .database()
        .read(move |connection| store::of_id(connection, id.as_str()));
    match known.await {
        Ok(Some(payment)) if payment.state == State::Forwarded => {
            if let Some(onward) = payment.order.onward {
                return on(step, &onward);
            }
        }
        Ok(_) => {}
        Err(error) => {
            tracing::error!(%error, "a payment cannot be read");
            return step.said(Problem::Busy);
        }
    }
    let Some((server, key)) = find(step, &operator).await else {
        return step.said(Problem::NoOperator);
    };
    let payer = Payer {
        login: format!("server:{}", server.acknowledgement_key).into(),
        subscription: Subscription::Account(operator.account.into()),
        rating_group: None,
    };
    let Some(mut order) = step.order(payer) else {
        return step.said(Problem::Busy);
    };
    match onward(step, &server, key, &order.token) {
        Ok(onward) => order.onward = Some(Box::new(onward)),
        Err(error) => {
            tracing::error!(%error, "an invoice cannot be handed on");
            return step.said(Problem::NoOperator);
        }
    }
    let order = Box::new(order);
    match step.app.ask(|client| Event::Pay { client, order }).await {
        Some(Reply::Forward(onward)) => on(step, &onward),
        Some(Reply::AlreadyPaid) => step.said(Problem::AlreadyPaid),
        Some(Reply::BeingPaid) => step.said(Problem::BeingPaid),
        _ => step.said(Problem::Busy),
    }
}

fn on(step: &Step<'_>, onward: &Onward) -> Response {
    let pages = step.app.pages(step.live, step.words);
    pages.forward(&step.checked, onward).into_response()
}

/// Our own invoice to the other one: acknowledged to us, and back to our receipt.
fn onward(
    step: &Step<'_>,
    server: &BillingServer,
    key: Jwk,
    token: &str,
) -> Result<Onward, String> {
    let settings = &step.live.settings;
    let told = &step.checked.invoice;
    let reference = tollwire_web::csrf::random(16)?;
    let title = format!("{}: {}", step.checked.provider, told.title);
    let mut via = told.via.clone();
    via.push(settings.thumbprint.to_string());
    let proxy = &step.live.config.proxy;
    let provider = proxy.provider.as_ref();
    let invoice = Invoice {
        iss: settings.url.to_string(),
        aud: server.acknowledgement_key.clone(),
        provider: provider.unwrap_or(&step.live.config.billing.name).clone(),
        provider_reference: told.reference.chars().take(64).collect(),
        title: crate::ro::cut(&title, LONGEST_TITLE).into(),
        acknowledgement_url: format!("{}/acknowledgements/{reference}", settings.url),
        service_url: format!("{}/receipts/{token}", settings.url),
        reference: reference.clone(),
        amount_micro: told.amount_micro,
        currency: told.currency,
        tax_basis_points: told.tax_basis_points,
        iat: seconds(),
        exp: told.exp,
        via,
    };
    let signed = invoice
        .sign(&settings.key)
        .map_err(|error| error.to_string())?;
    Ok(Onward {
        name: server.name.clone(),
        url: server.url.clone(),
        key,
        reference,
        invoice: signed,
        acknowledged_until: 0,
    })
}

/// The cheapest of those that fit, and its key.
async fn find(step: &Step<'_>, operator: &Operator) -> Option<(BillingServer, Jwk)> {
    let checked = &step.checked;
    let finder = step.app.finder();
    let patience = Duration::from_secs(step.live.config.proxy.search_seconds.into());
    let predicate = operator.predicate.as_deref().unwrap_or("");
    let mut candidates = finder.search(predicate, patience).await;
    candidates.retain(|server| fits(step, operator, server));
    candidates.sort_by_key(|server| server.fee.of(checked.invoice.amount_micro));
    for server in candidates {
        match finder.key_of(step.app, &server).await {
            Ok(key) => return Some((server, key)),
            Err(error) => {
                tracing::warn!(server = server.url, error, "its key is not to be had");
            }
        }
    }
    tracing::warn!(
        ?operator,
        "no billing server was found to hand an invoice on to"
    );
    None
}

fn fits(step: &Step<'_>, operator: &Operator, server: &BillingServer) -> bool {
    let checked: &Checked = &step.checked;
    let invoice = &checked.invoice;
    let key = server.acknowledgement_key.as_str();
    let named = |name: &String| name.trim().to_lowercase() == server.name.trim().to_lowercase();
    // It would refuse, and its customers would learn that only there.
    let in_a_circle = key == &*step.live.settings.thumbprint
        || invoice.via.iter().any(|via| via == key)
        || invoice.via.len() >= MOST_VIA;
    !in_a_circle
        && server.takes(invoice.amount_micro, invoice.currency)
        && operator.name.as_ref().is_none_or(named)
        && operator.key.as_ref().is_none_or(|pinned| pinned == key)
        && (!server.agreement_required || operator.key.is_some() || operator.name.is_some())
}

/// How long what was found is used without asking again: a page that anybody may ask for asks the network no oftener.
const FRESH: Duration = Duration::from_secs(5);
/// How long a server whose key was not to be had is passed over: nobody waits for it each time.
const UNFRESH: Duration = Duration::from_secs(60);
/// Answers and keys that are kept.
const MOST_KEPT: usize = 256;

/// Finds billing servers and their keys.
pub(crate) struct Finder {
    agent: Option<UserAgent>,
    /// By predicate. Held while one searches: others who want the same wait for what he finds.
    found: Mutex<HashMap<String, (Instant, Vec<BillingServer>)>>,
    /// By thumbprint: a key is what it is. Or when it was not to be had.
    keys: Mutex<HashMap<String, Result<Jwk, Instant>>>,
}

impl Finder {
    pub(super) fn new(agent: Option<UserAgent>) -> Self {
        Self {
            agent,
            found: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    async fn search(&self, predicate: &str, patience: Duration) -> Vec<BillingServer> {
        let Some(agent) = &self.agent else {
            return Vec::new();
        };
        let mut found = self.found.lock().await;
        if let Some((when, servers)) = found.get(predicate)
            && when.elapsed() < FRESH
        {
            return servers.clone();
        }
        let servers = search(agent, predicate, patience).await;
        if found.len() >= MOST_KEPT {
            found.clear();
        }
        found.insert(predicate.to_owned(), (Instant::now(), servers.clone()));
        servers
    }

    async fn key_of(&self, app: &App, server: &BillingServer) -> Result<Jwk, String> {
        let thumbprint = server.acknowledgement_key.as_str();
        match self.keys.lock().await.get(thumbprint) {
            Some(Ok(key)) => return Ok(key.clone()),
            Some(Err(when)) if when.elapsed() < UNFRESH => {
                return Err("it was not to be had a moment ago".into());
            }
            _ => {}
        }
        let key = key_of(app, server).await;
        let mut keys = self.keys.lock().await;
        if keys.len() >= MOST_KEPT {
            keys.clear();
        }
        let kept = key.as_ref().map_err(|_| Instant::now()).cloned();
        keys.insert(thumbprint.to_owned(), kept);
        key
    }
}

async fn search(agent: &UserAgent, predicate: &str, patience: Duration) -> Vec<BillingServer> {
    let found = agent
        .within(patience)
        .find_services_with_attributes(SERVICE_TYPE, predicate)
        .await;
    let services = match found {
        Ok(found) => found.found,
        Err(error) => {
            tracing::warn!(%error, "billing servers cannot be looked for");
            return Vec::new();
        }
    };
    let mut servers = Vec::new();
    for service in services.into_iter().take(256) {
        let attributes = match service.attributes {
            Some(attributes) => attributes,
            None => match agent
                .within(patience)
                .find_attributes(&service.url, "")
                .await
            {
                Ok(found) => found.found.to_string(),
                Err(_) => continue,
            },
        };
        match BillingServer::read(&service.url, &attributes) {
            Ok(server) => servers.push(server),
            Err(error) => tracing::debug!(url = service.url, %error, "no billing server of use"),
        }
    }
    servers
}

async fn key_of(app: &App, server: &BillingServer) -> Result<Jwk, String> {
    let answer = app.client().get(&server.acknowledgement_key_url).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(answer.status.to_string());
    }
    let keys: JwkSet = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let key = keys.of_thumbprint(&server.acknowledgement_key);
    key.cloned()
        .ok_or_else(|| "none of its keys has the thumbprint that it advertises".into())
}
