//! Where users and providers come: `GET /services`, `POST /credentials`, `POST /accounting`.
//!
//! Signatures are looked at here, beside the core, which hears of nothing that is not signed by somebody known.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tollwire_jose::{Chain, SessionKey};
use tollwire_peer::{
    AccountingMessage, Identifier, MEDIA_TYPE, Nonce, Refusal, ServiceCredentialRequest,
    ServiceList, Signed, Word, seal_key,
};
use tollwire_runtime::clock::Now;
use tollwire_web::Peer;
use tollwire_web::server::{self, Refuse};

use super::effect::Reply;
use super::event::{ClientId, CredentialRequest, Event};
use super::live::Shared;
use super::measure::of_data;
use super::session::{Keys, Message};

/// Octets of a message: as much as a token may have.
const LONGEST: usize = tollwire_jose::LARGEST;

/// What a request wants of the core; the answer goes back.
pub(super) struct Ask {
    /// Made with the number that the client gets.
    pub(super) event: Box<dyn FnOnce(ClientId) -> Event + Send>,
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<Reply>,
}

/// What every handler has.
#[derive(Clone)]
pub(super) struct App {
    pub(super) shared: Arc<Shared>,
    pub(super) asks: mpsc::Sender<Ask>,
}

pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/services", get(services))
        .route("/credentials", post(credentials))
        .route("/accounting", post(accounting))
        .with_state(app)
}

/// Where a bound of the server is passed.
pub(super) fn refuse() -> Refuse {
    Arc::new(|refusal: server::Refusal, _: &HeaderMap| {
        let word = match refusal {
            server::Refusal::TooMany(_) => Word::TooMany,
            server::Refusal::TooLarge => Word::Malformed,
            server::Refusal::TooSlow => Word::Unavailable,
        };
        Json(Refusal::new(word, refusal.to_string())).into_response()
    })
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.error.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(refusal)).into_response()
}

fn unavailable(detail: &str) -> Refusal {
    Refusal::new(Word::Unavailable, detail)
}

fn token(token: String) -> Response {
    ([(CONTENT_TYPE, MEDIA_TYPE)], token).into_response()
}

async fn services(State(app): State<App>) -> Response {
    let live = app.shared.live();
    let nonce = match Nonce::new(seconds()) {
        Ok(nonce) => nonce,
        Err(error) => return refused(&unavailable(&error)),
    };
    let list = ServiceList {
        services: live.listed.clone(),
        nonce,
    };
    match live.seal.sign(&list) {
        Ok(list) => token(list),
        Err(error) => refused(&unavailable(&error)),
    }
}

async fn credentials(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match credential_request(&app, &peer, &headers, &body) {
        Ok(request) => {
            let request = Box::new(request);
            app.answer(move |client| Event::Request { client, request })
                .await
        }
        Err(refusal) => {
            tracing::info!(source = %peer.address, error = ?refusal.error, detail = refusal.detail, "a request for a credential is refused");
            refused(&refusal)
        }
    }
}

async fn accounting(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match accounting_message(&app, &headers, &body) {
        Ok(message) => {
            let message = Box::new(message);
            app.answer(move |client| Event::Message { client, message })
                .await
        }
        Err(refusal) => {
            tracing::info!(source = %peer.address, error = ?refusal.error, detail = refusal.detail, "an accounting message is refused");
            refused(&refusal)
        }
    }
}

impl App {
    /// What the core answers.
    async fn answer(&self, event: impl FnOnce(ClientId) -> Event + Send + 'static) -> Response {
        match self.ask(event).await {
            Some(Reply::Token(answer)) => token(answer.to_string()),
            Some(Reply::Refused(refusal)) => refused(&refusal),
            Some(Reply::Closed) => StatusCode::NO_CONTENT.into_response(),
            None => refused(&unavailable("the manager is stopping")),
        }
    }

    /// What the core says; nothing, if it does not any more.
    pub(super) async fn ask(
        &self,
        event: impl FnOnce(ClientId) -> Event + Send + 'static,
    ) -> Option<Reply> {
        let (answer, awaited) = oneshot::channel();
        let event = Box::new(event);
        match self.asks.try_send(Ask { event, answer }) {
            Ok(()) => awaited.await.ok(),
            Err(mpsc::error::TrySendError::Full(_)) => {
                let what = "many wait already: try again";
                Some(Reply::Refused(Refusal::new(Word::TooMany, what)))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    }
}

fn seconds() -> i64 {
    Now::read().unix_ms / 1000
}

fn text<'a>(headers: &HeaderMap, body: &'a Bytes) -> Result<&'a str, Refusal> {
    let malformed = |what: &str| Refusal::new(Word::Malformed, what);
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    if kind != Some(MEDIA_TYPE.as_bytes()) {
        return Err(malformed("Content-Type has to be application/jose"));
    }
    if body.len() > LONGEST {
        return Err(malformed("a message has at most 16384 octets"));
    }
    std::str::from_utf8(body).map_err(|_| malformed("no text"))
}

fn digest(octets: &[u8]) -> Box<str> {
    hex::encode(Sha256::digest(octets)).into()
}

/// Until when a nonce is remembered: as long as it is taken, from both sides of the clock.
fn until_ms(nonce: &Nonce, skew_seconds: u32) -> i64 {
    let twice = i64::from(skew_seconds).saturating_mul(2);
    nonce.unix().saturating_add(twice).saturating_mul(1000)
}

fn credential_request(
    app: &App,
    peer: &Peer,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<CredentialRequest, Refusal> {
    let (live, now) = (app.shared.live(), seconds());
    let token = text(headers, body)?;
    let (request, user) = ServiceCredentialRequest::verify(token, &live.trust, now)?;
    request.nonce.check(now, live.skew_seconds.into())?;
    app.shared.user(&user.name)?;
    let provider = live.provider_key(&request.service.name, now)?;
    let key = SessionKey::generate()?;
    let session = Identifier::random().map_err(|error| unavailable(&error))?;
    Ok(CredentialRequest {
        udp_port: request.service.udp_port,
        nonce_until_ms: until_ms(&request.nonce, live.skew_seconds),
        nonce: request.nonce.as_str().into(),
        request_id: request.request_id.as_str().into(),
        service: request.service.name.into(),
        ip: peer.address.to_canonical(),
        digest: digest(token.trim().as_bytes()),
        session: session.as_str().into(),
        keys: Keys {
            user: seal_key(&user.key, &key)?.into(),
            provider: seal_key(provider, &key)?.into(),
        },
        chain: Chain::of_token(token.trim())?.to_pem().into(),
        user: user.name.into(),
    })
}

fn accounting_message(app: &App, headers: &HeaderMap, body: &Bytes) -> Result<Message, Refusal> {
    let (live, now) = (app.shared.live(), seconds());
    let (message, provider) = AccountingMessage::verify(text(headers, body)?, &live.trust, now)?;
    message.nonce.check(now, live.skew_seconds.into())?;
    app.shared.provider(&provider.name)?;
    let malformed = |what: &str| Refusal::new(Word::Malformed, what);
    Ok(Message {
        digest: of_claims(&message).ok_or_else(|| malformed("it cannot be read"))?,
        data: of_data(&message.data).ok_or_else(|| malformed("data: totals are too large"))?,
        sequence: i64::try_from(message.sequence).map_err(|_| malformed("sequence"))?,
        id: message.message_id.as_str().into(),
        session: message.accounting_session_id.as_str().into(),
        cause: message.cause,
        nonce_until_ms: until_ms(&message.nonce, live.skew_seconds),
        nonce: message.nonce.as_str().into(),
        from: provider.name.into(),
    })
}

/// Of all that a message says but its nonce: one that waited is signed again.
fn of_claims(message: &AccountingMessage) -> Option<Box<str>> {
    #[derive(Serialize)]
    struct Claims<'a>(
        &'a Identifier,
        &'a Identifier,
        u64,
        Option<tollwire_peer::Cause>,
        &'a tollwire_peer::Data,
    );
    let claims = Claims(
        &message.message_id,
        &message.accounting_session_id,
        message.sequence,
        message.cause,
        &message.data,
    );
    serde_json::to_vec(&claims).ok().map(|it| digest(&it))
}
