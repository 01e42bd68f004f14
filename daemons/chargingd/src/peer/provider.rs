//! What providers are told: credentials, and to stop.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tollwire_peer::{MEDIA_TYPE, Reason, Signed, UserCredentialAcknowledgement};
use tollwire_runtime::clock::Now;
use tollwire_web::client::{Client, ClientError};

use super::event::Delivered;
use super::live::Live;

/// Attempts at giving a provider a credential, while its user waits.
const ATTEMPTS: u32 = 2;
/// The pause between them.
const PAUSE: Duration = Duration::from_millis(500);

/// Gives `provider` a credential; what it says.
pub(super) async fn deliver(
    client: &Client,
    live: &Live,
    (id, provider): (&str, &str),
    url: &str,
    credential: Arc<str>,
) -> Delivered {
    let url = format!("{url}/credentials");
    let mut last = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let body = credential.to_string();
        match client.post(&url, MEDIA_TYPE, body).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                return match acknowledged(live, (id, provider), &answer.text()) {
                    Ok(()) => Delivered::Acknowledged,
                    Err(why) => Delivered::Refused(why.into()),
                };
            }
            Ok(answer) if is_later(answer.status) => last = format!("status {}", answer.status),
            Ok(answer) => {
                let said: String = answer.text().chars().take(200).collect();
                return Delivered::Refused(format!("status {}: {said}", answer.status).into());
            }
            Err(ClientError::Refused(why)) => return Delivered::Refused(why.into()),
            Err(error) => last = error.to_string(),
        }
    }
    Delivered::Unreachable(last.into())
}

fn is_later(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// Whether it is just this provider's acknowledgement of just this session. When it was made does not matter: it may be given again.
fn acknowledged(live: &Live, (id, provider): (&str, &str), token: &str) -> Result<(), String> {
    let now = Now::read().unix_ms / 1000;
    let (said, by) = UserCredentialAcknowledgement::verify(token, &live.trust, now)
        .map_err(|refusal| format!("its acknowledgement: {refusal}"))?;
    if by.name != provider {
        return Err(format!("acknowledged by {:?}", by.name));
    }
    match said.accounting_session_id.as_str() == id {
        true => Ok(()),
        false => Err("it acknowledged another session".to_owned()),
    }
}

/// Tells a provider to stop; whether it knows, or needs not to.
pub(super) async fn revoke(
    client: &Client,
    live: &Live,
    (id, reason): (&str, Reason),
    url: &str,
) -> bool {
    let token = match live.seal.revocation(id, reason, Now::read().unix_ms) {
        Ok(token) => token,
        Err(error) => {
            tracing::error!(session = id, error, "a revocation cannot be signed");
            return false;
        }
    };
    let url = format!("{url}/revocations");
    match client.post(&url, MEDIA_TYPE, token).await {
        // It knows no such session, or that it is over: there is nothing to stop.
        Ok(answer) => {
            let known = answer.status.is_success()
                || answer.status == StatusCode::NOT_FOUND
                || answer.status == StatusCode::GONE;
            if !known {
                tracing::warn!(session = id, status = %answer.status, "a provider does not take a revocation; it is sent again");
            }
            known
        }
        Err(error) => {
            tracing::warn!(session = id, %error, "a provider cannot be told to stop; it is tried again");
            false
        }
    }
}
