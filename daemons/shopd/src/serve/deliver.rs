//! Delivery of what is paid.

use std::os::unix::ffi::OsStrExt;
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_RANGE, RANGE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tollwire_web::headers::Content;
use tollwire_web::proxy as passed;
use tollwire_web::range::{content_range, unsatisfied};

use super::body::{self, FileBody, Stream, Upstream};
use super::fields::Fields;
use super::{Asked, TOKEN_SECONDS, proxy};
use crate::catalogue::Kind;
use crate::order::range::{Asked as Ranges, Span};
use crate::order::{Effect, Event, Order, Refusal, Version};
use crate::pages;
use crate::shop::Shop;

/// What browsers say of a request that nobody has asked for yet (Fetch, "Sec-Purpose"; older ones say `Purpose`).
const PREFETCH: [HeaderName; 2] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
];

/// Whether a browser fetches it only because somebody may want it: nothing is delivered to a guess.
fn is_guess(asked: &Asked) -> bool {
    let says = |name: HeaderName| {
        asked
            .header(name)
            .is_some_and(|it| it.starts_with("prefetch"))
    };
    PREFETCH.into_iter().any(says)
}

/// The file or the stream of an order; of a service, its first page.
pub(super) async fn deliver(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let order = match shop.order(&token).await {
        Ok(order) => order,
        Err(fault) => return asked.fault(&fault),
    };
    if is_guess(&asked) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let is_head = request.method() == Method::HEAD;
    match &order.bought.kind {
        Kind::File { path, content_type } => {
            let good = File {
                path,
                content_type,
                is_head,
            };
            good.deliver(&shop, &asked, &order).await
        }
        Kind::Stream { upstream } => stream(&shop, &asked, &order, upstream, is_head).await,
        Kind::Service { .. } => asked.see(&format!("/orders/{token}/goods/")),
    }
}

/// The token of the form by which the customer of this order may say that a file did not arrive, if he may.
pub(super) fn lost_token(shop: &Shop, asked: &Asked, order: &Order) -> Option<String> {
    let may = order.may_be_lost(&asked.settings.rules, shop.now_ms());
    may.then(|| {
        shop.tokens
            .make(&subject(&order.token), shop.now() + TOKEN_SECONDS)
    })
}

fn subject(token: &str) -> String {
    format!("lost {token}")
}

/// The customer says that a file did not arrive.
pub(super) async fn lost(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    Path(token): Path<String>,
    fields: Fields,
) -> Response {
    let asked = asked.in_language(fields.get("lang"));
    if !asked.is_ours(&shop, &subject(&token), &fields) {
        return asked.problem(StatusCode::FORBIDDEN, "problem.form");
    }
    match shop.handle(&token, Event::Lost).await {
        Ok((order, effects)) => {
            if effects.contains(&Effect::Pass) {
                tracing::info!(
                    number = order.number,
                    "the customer says that it did not arrive"
                );
            }
            asked.see(&format!("/orders/{token}"))
        }
        Err(fault) => asked.fault(&fault),
    }
}

/// Why there is nothing, for a customer.
fn refused(shop: &Shop, asked: &Asked, order: &Order, refusal: Refusal) -> Response {
    match refusal {
        Refusal::Spent => {
            let lost = lost_token(shop, asked, order);
            pages::spent(&asked.view, order, lost.as_deref())
                .status(StatusCode::GONE)
                .into_response()
        }
        Refusal::Expired => pages::order(&asked.view, order, "", false, None)
            .status(StatusCode::GONE)
            .into_response(),
        Refusal::Busy => {
            let mut response = asked.refusal(refusal);
            let seconds = HeaderValue::from_static("2");
            response.headers_mut().insert(RETRY_AFTER, seconds);
            response
        }
        refusal => asked.refusal(refusal),
    }
}

/// What an event would do to an order, and does not.
fn trial(shop: &Shop, asked: &Asked, order: &Order, event: Event) -> (Order, Vec<Effect>) {
    let (mut order, mut effects) = (order.clone(), Vec::new());
    let rules = &asked.settings.rules;
    order.handle(rules, shop.now_ms(), event, &mut effects);
    (order, effects)
}

/// Has an order let something through, or says why not.
async fn pass(shop: &Shop, asked: &Asked, token: &str, event: Event) -> Result<(), Response> {
    let handled = shop.handle(token, event).await;
    let (order, mut effects) = handled.map_err(|fault| asked.fault(&fault))?;
    match effects.pop() {
        Some(Effect::Pass) => Ok(()),
        Some(Effect::Refuse(refusal)) => Err(refused(shop, asked, &order, refusal)),
        _ => Err(asked.refusal(Refusal::NotPaid)),
    }
}

struct File<'a> {
    path: &'a FilePath,
    content_type: &'a str,
    is_head: bool,
}

impl File<'_> {
    async fn deliver(&self, shop: &Arc<Shop>, asked: &Asked, order: &Order) -> Response {
        let root = asked.settings.root.as_ref();
        let opened = match root.map(|root| root.file(self.path)) {
            Some(Ok(opened)) => Ok(opened),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("goods.root could not be opened when the configuration was read".into()),
        };
        let (file, version) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(
                    number = order.number,
                    error,
                    "goods that are paid cannot be read"
                );
                return asked.problem(StatusCode::SERVICE_UNAVAILABLE, "problem.upstream");
            }
        };
        let etag = format!("\"{}\"", version.tag);
        // RFC 9110 14.2: a range is of GET alone.
        let range = asked.header(RANGE).filter(|_| !self.is_head);
        let ranges = Ranges::read(range, asked.header(IF_RANGE), &etag, version.size);
        let length = ranges.of(version.size).map_or(0, Span::len);
        let (place, transfers, under_way) = shop.transfers.begin(order.number, length);
        let event = Event::Fetch {
            version: version.clone(),
            asked: ranges,
            under_way,
            transfers,
        };
        let handled = match self.is_head {
            // What would be sent, and nothing is.
            true => Ok(trial(shop, asked, order, event)),
            false => shop.handle(&order.token, event).await,
        };
        let (order, effect) = match handled {
            Ok((order, mut effects)) => (order, effects.pop()),
            Err(fault) => return asked.fault(&fault),
        };
        let (span, partial) = match effect {
            Some(Effect::Send { span, partial }) => (span, partial),
            Some(Effect::Refuse(refusal)) => {
                let mut response = refused(shop, asked, &order, refusal);
                if refusal == Refusal::Unsatisfiable
                    && let Ok(value) = HeaderValue::try_from(unsatisfied(version.size))
                {
                    response.headers_mut().insert(CONTENT_RANGE, value);
                }
                return response;
            }
            _ => return asked.refusal(Refusal::NotPaid),
        };
        let headers = self.headers(&version, &etag, span, partial);
        let status = match partial {
            true => StatusCode::PARTIAL_CONTENT,
            false => StatusCode::OK,
        };
        if self.is_head {
            return (status, headers, Body::empty()).into_response();
        }
        if span.is_empty() {
            body::empty(shop, &order, version);
            return (status, headers, Body::empty()).into_response();
        }
        let body = FileBody::new(shop, &order, file, version, span, place);
        (status, headers, Body::new(body)).into_response()
    }

    fn headers(&self, version: &Version, etag: &str, span: Span, partial: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut insert = |name, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        insert(CONTENT_TYPE, self.content_type.to_owned());
        insert(CONTENT_LENGTH, span.len().to_string());
        insert(ETAG, etag.to_owned());
        insert(ACCEPT_RANGES, "bytes".to_owned());
        insert(CONTENT_DISPOSITION, attachment(self.path));
        if partial && let Some(last) = span.end.checked_sub(1) {
            insert(
                CONTENT_RANGE,
                content_range(&(span.start..=last), version.size),
            );
        }
        headers
    }
}

/// `Content-Disposition` (RFC 6266): what the file is called when it is saved. Never shown: it may be HTML.
fn attachment(path: &FilePath) -> String {
    let name = path.file_name().map(|name| name.as_bytes());
    let mut encoded = String::new();
    // RFC 8187 3.2.1, attr-char.
    for octet in name.unwrap_or(b"download") {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                encoded.push(char::from(*octet));
            }
            octet => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

async fn stream(
    shop: &Arc<Shop>,
    asked: &Asked,
    order: &Order,
    upstream: &str,
    is_head: bool,
) -> Response {
    if is_head {
        // A stream is begun to be heard.
        let allow = [(ALLOW, HeaderValue::from_static("GET"))];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    let (place, transfers, _) = shop.transfers.begin(order.number, 0);
    let event = Event::Stream { transfers };
    // Nothing is used up before it is known that there is something.
    let (as_told, mut effects) = trial(shop, asked, order, event.clone());
    if let Some(Effect::Refuse(refusal)) = effects.pop() {
        return refused(shop, asked, &as_told, refusal);
    }
    let Some(answer) = proxy::stream(&asked.settings.upstream, upstream).await else {
        return asked.problem(StatusCode::BAD_GATEWAY, "problem.upstream");
    };
    if let Err(response) = pass(shop, asked, &order.token, event).await {
        return response;
    }
    let (head, body) = answer.into_parts();
    let length = passed::length(&head.headers);
    let body = Upstream::pass(shop, body, length, Some(Stream::new(shop, order, place)));
    Response::from_parts(head, body)
}

pub(super) async fn service_root(
    shop: State<Arc<Shop>>,
    asked: Asked,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    service(shop, asked, Path((token, String::new())), request).await
}

/// What is below a service.
pub(super) async fn service(
    State(shop): State<Arc<Shop>>,
    asked: Asked,
    Path((token, _)): Path<(String, String)>,
    request: Request,
) -> Response {
    let order = match shop.order(&token).await {
        Ok(order) => order,
        Err(fault) => return asked.fault(&fault),
    };
    let Kind::Service { upstream, .. } = &order.bought.kind else {
        return asked.problem(StatusCode::NOT_FOUND, "problem.not_found");
    };
    if is_guess(&asked) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let base = format!("/orders/{token}/goods/");
    if let Some(Effect::Refuse(_)) = trial(&shop, &asked, &order, Event::Enter).1.pop()
        // That its time is over is stored.
        && let Err(response) = pass(&shop, &asked, &token, Event::Enter).await
    {
        return response;
    }
    let Some(request) = passed::request(request, &base, upstream) else {
        return asked.problem(StatusCode::BAD_REQUEST, "problem.not_found");
    };
    let answer = match asked.settings.upstream.open(request).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(number = order.number, %error, "a service that is paid cannot be reached");
            return asked.problem(StatusCode::BAD_GATEWAY, "problem.upstream");
        }
    };
    // Its time begins when it has answered.
    if let Err(response) = pass(&shop, &asked, &token, Event::Enter).await {
        return response;
    }
    let (head, body) = passed::answer(answer, &base, upstream).into_parts();
    let length = passed::length(&head.headers);
    let body = Upstream::pass(&shop, body, length, None);
    let mut response = Response::from_parts(head, body);
    response
        .extensions_mut()
        .insert(Content::default().foreign());
    response
}
