//! A POST of JSON, signed; see `docs/webhooks.md`.
//!
//! A customer names the URL, so it is not trusted: what is not an address of the Internet is refused unless the
//! configuration allows it (`tollwire_web::client`), and of an answer only the status counts.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Error, Request, StatusCode, Uri};
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use tollwire_runtime::clock::Now;
use tollwire_web::client::{self, Client, ClientError};

use super::Letter;
use crate::notify::{Outcome, settings};

pub(super) struct Webhook {
    secrets: Vec<String>,
    hosts: Vec<Box<str>>,
    client: Client,
}

/// The body.
#[derive(Serialize)]
struct Notice<'a> {
    id: u64,
    kind: crate::notify::Kind,
    unix_ms: i64,
    account: &'a str,
    subject: &'a str,
    balance: i64,
    amount: i64,
    unit: &'a str,
    text: &'a str,
}

impl Webhook {
    pub(super) fn new(settings: &settings::Webhook) -> Result<Self, String> {
        let file = settings
            .secret_file
            .as_ref()
            .ok_or("notifications.webhook.secret_file is missing")?;
        let secrets = settings::secrets(file)?;
        if secrets.iter().any(|secret| secret.len() < 16) {
            return Err(format!(
                "{}: a secret has 16 characters or more",
                file.display()
            ));
        }
        Ok(Self {
            secrets,
            hosts: (settings.allow_hosts.iter())
                .map(|host| host.to_ascii_lowercase().into())
                .collect(),
            client: Client::new(&client::Config {
                trust_file: Some(settings.tls_authorities.clone()),
                timeout_seconds: settings.timeout_seconds.into(),
                allow_networks: settings.allow_networks.clone(),
                allow_http: settings.allow_http,
                ..client::Config::default()
            })?,
        })
    }

    pub(super) async fn deliver(&self, url: &str, letter: &Letter) -> Outcome {
        let refused = |what: &str| Outcome::Refused(what.into());
        let Ok(uri) = url.parse::<Uri>() else {
            return refused("no URL");
        };
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        if !self.hosts.is_empty() && !self.hosts.iter().any(|allowed| **allowed == host) {
            return refused("the host is not among allow_hosts");
        }
        let request = match self.request(uri, letter) {
            Ok(request) => request,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        match self.client.open(request).await {
            Ok(response) => judge(response.status()),
            Err(ClientError::Refused(why)) => Outcome::Refused(why),
            Err(error) => Outcome::Unreachable(error.to_string()),
        }
    }

    fn request(&self, uri: Uri, letter: &Letter) -> Result<Request<Body>, Error> {
        let notification = &letter.task.notification;
        let body = serde_json::to_vec(&Notice {
            id: notification.id,
            kind: notification.kind,
            unix_ms: notification.unix_ms,
            account: &notification.account,
            subject: &notification.subject,
            balance: notification.balance,
            amount: notification.amount,
            unit: &notification.unit,
            text: &letter.rendered.text,
        })
        .unwrap_or_default();
        let seconds = Now::read().unix_ms.div_euclid(1000);
        Request::post(uri)
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", letter.name())
            .header("Tollwire-Signature", self.signature(seconds, &body))
            .body(Body::from(body))
    }

    /// `t=1700000000,v1=…`: HMAC-SHA-256 over the time, a full stop and the body; a `v1` for each secret.
    fn signature(&self, seconds: i64, body: &[u8]) -> String {
        let mut header = format!("t={seconds}");
        for secret in &self.secrets {
            // HMAC takes keys of any length.
            if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
                mac.update(format!("{seconds}.").as_bytes());
                mac.update(body);
                header.push_str(",v1=");
                header.push_str(&hex::encode(mac.finalize().into_bytes()));
            }
        }
        header
    }
}

fn judge(status: StatusCode) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Told,
        // RFC 9110 15.5.11: likely to be permanent.
        StatusCode::GONE => Outcome::Refused("410 Gone".into()),
        status => Outcome::Failed(status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_told() {
        let judged = |status: u16| judge(StatusCode::from_u16(status).unwrap());
        assert_eq!(judged(204), Outcome::Told);
        assert!(matches!(judged(301), Outcome::Failed(_)));
        assert!(matches!(judged(404), Outcome::Failed(_)));
        assert!(matches!(judged(503), Outcome::Failed(_)));
        assert!(matches!(judged(410), Outcome::Refused(_)));
    }
}
