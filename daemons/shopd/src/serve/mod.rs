//! What is served over HTTPS.
//!
//! | route | who | what |
//! | --- | --- | --- |
//! | `GET /`, `GET /goods/{id}` | customer | what is sold |
//! | `POST /goods/{id}/order` | customer | orders: 303 to the order |
//! | `GET /orders/{token}` | customer | how it stands: methods of payment, waiting, delivery |
//! | `GET /orders/{token}/methods` | customer | methods of payment, also after one was chosen |
//! | `POST /orders/{token}/method` | customer | chooses one (`server`), or has one looked for (`name`) |
//! | `GET /orders/{token}/pay/{reference}` | customer | the form of an invoice, which goes to the billing server |
//! | `GET /orders/{token}/goods` | customer | the file, by ranges too, or the stream |
//! | `POST /orders/{token}/lost` | customer | says that a file did not arrive: once it may be fetched again |
//! | `/orders/{token}/goods/...` | customer | the service |
//! | `POST /acknowledgements` | billing server | that an invoice was paid |

mod acknowledge;
mod body;
mod deliver;
mod fields;
mod goods;
mod methods;
mod order;
mod proxy;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Query};
use axum::http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde::Deserialize;
use tollwire_web::database::Failure;
use tollwire_web::headers::{Sender, sender};
use tollwire_web::server::{Refusal as Bound, Refuse};

use crate::order::Refusal;
use crate::pages::View;
use crate::shop::{Fault, Settings, Shop};
use crate::store::StoreError;
use fields::Fields;

/// How long the token of a form is good for, seconds.
const TOKEN_SECONDS: i64 = 86_400;

/// All routes.
pub fn router(shop: &Arc<Shop>) -> Router {
    let frame = shop.settings().frame.routes();
    Router::new()
        .route("/", get(goods::list))
        .route("/goods/{id}", get(goods::one))
        .route("/goods/{id}/order", post(goods::order))
        .route("/orders/{token}", get(order::show))
        .route("/orders/{token}/stopped", get(order::stopped))
        .route("/orders/{token}/methods", get(methods::list))
        .route("/orders/{token}/method", post(methods::choose))
        .route("/orders/{token}/pay/{reference}", get(order::pay))
        .route("/orders/{token}/goods", get(deliver::deliver))
        .route("/orders/{token}/lost", post(deliver::lost))
        .route("/orders/{token}/goods/", any(deliver::service_root))
        .route("/orders/{token}/goods/{*path}", any(deliver::service))
        .route("/acknowledgements", post(acknowledge::take))
        .merge(frame)
        .fallback(nowhere)
        .with_state(Arc::clone(shop))
}

/// What is answered where a bound of the server is passed.
pub fn refuse(shop: &Arc<Shop>) -> Refuse {
    let shop = Arc::clone(shop);
    Arc::new(move |bound, headers| {
        let settings = shop.settings();
        let key = match bound {
            Bound::TooLarge => "problem.too_large",
            Bound::TooMany(_) | Bound::TooSlow => "problem.unavailable",
        };
        view(&settings, None, headers)
            .problem(bound.status(), key)
            .into_response()
    })
}

async fn nowhere(asked: Asked) -> Response {
    asked.problem(StatusCode::NOT_FOUND, "problem.not_found")
}

fn view(settings: &Settings, lang: Option<&str>, headers: &HeaderMap) -> View {
    let words = settings.messages.choose(lang, headers);
    View {
        frame: settings.frame.clone(),
        asked: lang.map(|_| words.tag().to_owned()),
        words,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Words {
    lang: Option<String>,
}

/// What a handler knows of a request beside its path and body.
pub(crate) struct Asked {
    settings: Arc<Settings>,
    view: View,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<Shop>> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        shop: &Arc<Shop>,
    ) -> Result<Self, Self::Rejection> {
        let words = Query::<Words>::try_from_uri(&parts.uri).map(|query| query.0);
        let lang = words.unwrap_or_default().lang;
        let settings = shop.settings();
        Ok(Self {
            view: view(&settings, lang.as_deref(), &parts.headers),
            settings,
            headers: parts.headers.clone(),
        })
    }
}

impl Asked {
    /// In the language that a form says.
    fn in_language(mut self, lang: Option<&str>) -> Self {
        if lang.is_some() {
            self.view = view(&self.settings, lang, &self.headers);
        }
        self
    }

    /// Whether a form was sent from our page, with the token that stands in it.
    fn is_ours(&self, shop: &Shop, subject: &str, fields: &Fields) -> bool {
        let token = fields.get("token").unwrap_or_default();
        sender(&self.headers, self.settings.config.url()) != Sender::Other
            && shop.tokens.check(subject, token, shop.now()).is_ok()
    }

    fn header(&self, name: axum::http::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn problem(&self, status: StatusCode, key: &str) -> Response {
        self.view.problem(status, key).into_response()
    }

    /// 303: to a page of ours.
    fn see(&self, path: &str) -> Response {
        see(&self.view.link(path))
    }

    /// Why the store has no answer.
    fn fault(&self, fault: &Fault) -> Response {
        match fault {
            Failure::Refused(StoreError::Unknown) => {
                self.problem(StatusCode::NOT_FOUND, "problem.no_order")
            }
            Failure::Refused(StoreError::TooMany) => {
                self.problem(StatusCode::TOO_MANY_REQUESTS, "problem.too_many_orders")
            }
            fault => {
                tracing::error!(error = %fault, "an order could not be handled");
                let mut response =
                    self.problem(StatusCode::SERVICE_UNAVAILABLE, "problem.unavailable");
                let seconds = HeaderValue::from_static("5");
                response.headers_mut().insert(RETRY_AFTER, seconds);
                response
            }
        }
    }

    /// Why there are no goods.
    fn refusal(&self, refusal: Refusal) -> Response {
        let (status, key) = match refusal {
            Refusal::NotPaid => (StatusCode::PAYMENT_REQUIRED, "problem.not_paid"),
            Refusal::Exhausted => (StatusCode::GONE, "problem.exhausted"),
            Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "problem.busy"),
            Refusal::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, "problem.range"),
            Refusal::TooManyInvoices => (StatusCode::CONFLICT, "methods.too_many"),
            Refusal::Expired
            | Refusal::Spent
            | Refusal::AlreadyPaid
            | Refusal::UnknownReference => (StatusCode::GONE, "problem.no_order"),
        };
        self.problem(status, key)
    }
}

/// 303: to a path of ours.
fn see(path: &str) -> Response {
    match HeaderValue::try_from(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
