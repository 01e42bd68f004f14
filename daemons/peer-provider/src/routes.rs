//! What managers and users say to a provider.
//!
//! | route | who | what |
//! | --- | --- | --- |
//! | `POST P/credentials` | manager | a UserCredential: 200 and its acknowledgement |
//! | `POST P/revocations` | manager | a Revocation: 204 when nothing is served any more |
//! | `POST P/sessions` | user | opens a session: `{"state":"open"}` |
//! | `DELETE P/sessions` | user | ends it: `{"state":"closed"}` |

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde_json::json;
use tollwire_jose::{LARGEST, digest};
use tollwire_peer::{
    Cause, MEDIA_TYPE, Nonce, Refusal, Revocation, Signed, UserCredential,
    UserCredentialAcknowledgement, Word, open_key,
};
use tollwire_runtime::clock::Now;
use tollwire_web::Peer;

use crate::check::{Asked, Purpose};
use crate::core::SessionId;
use crate::permit::authorize;
use crate::provider::{Live, Shared};
use crate::refusal::{refused, unstored};
use crate::service::token;
use crate::store::{self, Accepted, New};

/// Sessions are remembered as long as they live, and that is not for ever.
const LONGEST_LIFETIME_MS: i64 = 366 * 86_400_000;

pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let path = &shared.live().config.path;
    let sessions = post(sessions).delete(sessions);
    Router::new()
        .route(&format!("{path}/credentials"), post(credentials))
        .route(&format!("{path}/revocations"), post(revocations))
        .route(&format!("{path}/sessions"), sessions)
        .with_state(Arc::clone(shared))
}

/// The token that is a request's body.
fn body<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<&'a str, Refusal> {
    let malformed = |detail: &str| Refusal::new(Word::Malformed, detail);
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case(MEDIA_TYPE)) {
        return Err(malformed("not application/jose"));
    }
    if body.len() > LARGEST {
        return Err(malformed("more than 16384 octets"));
    }
    let text = std::str::from_utf8(body).map_err(|_| malformed("not text"))?;
    Ok(text.trim())
}

/// Does what was begun also if the client goes away meanwhile: what is on disk and what is in memory stay one.
async fn wholly<T: Send + 'static>(
    taken: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    let lost = |_| Refusal::new(Word::Unavailable, "the provider is stopping");
    tokio::spawn(taken).await.map_err(lost)?
}

fn answered(shared: &Shared, kind: &'static str, peer: &Peer, refusal: &Refusal) -> Response {
    shared.counters.refused(kind, refusal.error);
    tracing::warn!(
        source = %peer.address, kind, error = ?refusal.error, detail = refusal.detail,
        "a manager's message is refused"
    );
    refused(refusal)
}

/// A manager's message, taken; or its refusal.
async fn manager<T: Send + 'static, F>(
    shared: &Arc<Shared>,
    kind: &'static str,
    (peer, headers, octets): (Peer, HeaderMap, Bytes),
    take: impl FnOnce(Arc<Shared>, String) -> F,
) -> Result<T, Response>
where
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let taken = match body(&headers, &octets) {
        Ok(token) => wholly(take(Arc::clone(shared), token.to_owned())).await,
        Err(refusal) => Err(refusal),
    };
    taken.map_err(|refusal| answered(shared, kind, &peer, &refusal))
}

async fn credentials(
    State(shared): State<Arc<Shared>>,
    peer: Peer,
    headers: HeaderMap,
    octets: Bytes,
) -> Response {
    let take = |shared, token: String| async move { credential(&shared, &token).await };
    match manager(&shared, "user-credential", (peer, headers, octets), take).await {
        Ok(acknowledgement) => ([(CONTENT_TYPE, MEDIA_TYPE)], acknowledgement).into_response(),
        Err(refused) => refused,
    }
}

async fn credential(shared: &Arc<Shared>, token: &str) -> Result<String, Refusal> {
    let live = shared.live();
    let now_ms = Now::read().unix_ms;
    let now = now_ms / 1_000;
    let (credential, certified) = UserCredential::verify(token, &live.trust, now)?;
    if !(live.config.manager.iter()).any(|manager| manager.name == certified.name) {
        let detail = format!("{} is no manager of ours", certified.name);
        return Err(Refusal::new(Word::Certificate, detail));
    }
    let digest = digest(token);
    let id = credential.accounting_session_id.to_string();
    let asked = id.clone();
    let known = shared.database.read(move |it| store::known(it, &asked));
    if let Some((before, acknowledgement, is_done)) = known.await.map_err(unstored)? {
        if before != digest {
            return Err(taken());
        }
        // Just stored, and not yet to be used: the same again is a moment behind.
        return match is_done || shared.sessions().core.terms(&id).is_some() {
            true => Ok(acknowledgement),
            false => Err(Refusal::new(Word::Unavailable, "it is being stored")),
        };
    }
    let (new, key) = new(&live, credential, certified.name, digest, now_ms)?;
    // Two that come at once may both find a place: a few more than allowed are no harm.
    if shared.sessions().core.is_full() {
        let detail = "as many sessions as there may be";
        return Err(Refusal::new(Word::TooMany, detail));
    }
    let begun = store::begun(&new);
    let (acknowledgement, service) = (
        new.acknowledgement.clone(),
        new.credential.policies.service.clone(),
    );
    let stored = shared.database.call(move |it| store::accept(it, &new));
    match stored.await.map_err(unstored)? {
        Accepted::Stored => {}
        // By another that came at once; whether it can be used yet is not known.
        Accepted::Before(_) => {
            return Err(Refusal::new(Word::Unavailable, "it is being stored"));
        }
        Accepted::Other => return Err(taken()),
    }
    tracing::info!(session = %begun.id, manager = begun.terms.manager, service, "a user may come");
    shared.with(|sessions| {
        let id = begun.id.clone();
        sessions.core.add(Now::read(), begun);
        sessions.add(id, key);
    });
    shared.counters.credentials.inc();
    Ok(acknowledgement)
}

fn taken() -> Refusal {
    Refusal::new(Word::Replayed, "another credential has this session")
}

/// A credential that nobody has sent yet, with its answer.
fn new(
    live: &Live,
    credential: UserCredential,
    manager: String,
    digest: String,
    now_ms: i64,
) -> Result<(New, tollwire_jose::SessionKey), Refusal> {
    let unavailable = |why: String| Refusal::new(Word::Unavailable, why);
    let key = open_key(&live.identity, &credential.session_key)?;
    let config = &live.config;
    let named = &credential.policies.service;
    let is_udp = config.udp.iter().any(|it| it.name == *named);
    if !is_udp && !config.service.iter().any(|it| it.name == *named) {
        let detail = format!("{named} is not served here");
        return Err(Refusal::new(Word::UnknownService, detail));
    }
    let not_after_ms = credential.policies.not_after.saturating_mul(1_000);
    if not_after_ms <= now_ms {
        return Err(Refusal::new(Word::Policy, "its lifetime is over"));
    }
    if not_after_ms.saturating_sub(now_ms) > LONGEST_LIFETIME_MS {
        return Err(Refusal::new(Word::Policy, "a lifetime of more than a year"));
    }
    let acknowledgement = UserCredentialAcknowledgement {
        accounting_session_id: credential.accounting_session_id.clone(),
        nonce: Nonce::new(now_ms / 1_000).map_err(unavailable)?,
    };
    let acknowledgement = acknowledgement.sign(&live.identity)?;
    let new = New {
        digest,
        manager,
        is_udp,
        acknowledgement,
        created_ms: now_ms,
        forget_ms: not_after_ms.saturating_add(config.keep_ms()),
        credential,
    };
    Ok((new, key))
}

async fn revocations(
    State(shared): State<Arc<Shared>>,
    peer: Peer,
    headers: HeaderMap,
    octets: Bytes,
) -> Response {
    let take = |shared, token: String| async move { revocation(&shared, &token).await };
    match manager(&shared, "revocation", (peer, headers, octets), take).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refused,
    }
}

/// Ends a session. Its nonce is not remembered: what revokes a session twice changes nothing.
async fn revocation(shared: &Arc<Shared>, token: &str) -> Result<(), Refusal> {
    let live = shared.live();
    let now = Now::read().unix_ms / 1_000;
    let (revocation, certified) = Revocation::verify(token, &live.trust, now)?;
    revocation
        .nonce
        .check(now, i64::from(live.config.skew_seconds))?;
    let id: SessionId = revocation.accounting_session_id.as_str().into();
    let asked = Arc::clone(&id);
    let manager = shared.database.read(move |it| store::manager(it, &asked));
    match manager.await.map_err(unstored)? {
        None => return Err(Refusal::new(Word::UnknownSession, "no such session")),
        Some(manager) if manager != certified.name => {
            let detail = "the session is of another manager";
            return Err(Refusal::new(Word::Certificate, detail));
        }
        Some(_) => {}
    }
    if !shared.sessions().core.is_over(&id) {
        shared.counters.revocations.inc();
        tracing::info!(session = %id, reason = ?revocation.reason, "the manager revokes a session");
    }
    shared.end(&id, Cause::Revoked).await
}

async fn sessions(State(shared): State<Arc<Shared>>, peer: Peer, request: Request) -> Response {
    let taken = wholly(async move { session(&shared, &peer, request).await });
    match taken.await {
        Ok(state) => Json(json!({ "state": state })).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

async fn session(
    shared: &Arc<Shared>,
    peer: &Peer,
    mut request: Request,
) -> Result<&'static str, Refusal> {
    let token = token(&mut request);
    let purpose = Purpose::of_sessions(request.method());
    let target = request.uri().path_and_query();
    let asked = Asked {
        method: request.method().as_str(),
        target: target.map_or("/", |it| it.as_str()),
        source: peer.address,
        service: None,
        purpose,
    };
    let permit = authorize(shared, token.as_deref(), &asked).await?;
    if purpose == Purpose::End {
        shared.end(permit.session(), Cause::User).await?;
        return Ok("closed");
    }
    Ok("open")
}
