//! A POST of JSON, signed; see `docs/webhooks.md`.
//!
//! A customer names the URL, so it is not trusted: names are resolved here, and what is not an address of the
//! Internet is refused unless the configuration allows it; redirects are not followed, and of an answer only the
//! status counts.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use serde::Serialize;
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tollwire_runtime::clock::Now;

use super::{Letter, tls};
use crate::notify::{Outcome, settings};

/// Octets of an answer's head.
const MAX_HEAD: usize = 16_384;
/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 4;

pub(super) struct Webhook {
    secrets: Vec<String>,
    hosts: Vec<Box<str>>,
    networks: Vec<IpNet>,
    allow_http: bool,
    timeout: Duration,
    tls: TlsConnector,
}

/// The body.
#[derive(Serialize)]
struct Body<'a> {
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
            networks: settings.allow_networks.clone(),
            allow_http: settings.allow_http,
            timeout: Duration::from_secs(settings.timeout_seconds.into()),
            tls: tls::connector(&settings.tls_authorities)?,
        })
    }

    pub(super) async fn deliver(&self, url: &str, letter: &Letter) -> Outcome {
        match tokio::time::timeout(self.timeout, self.call(url, letter)).await {
            Ok(Ok(status)) => judge(status),
            Ok(Err(outcome)) => outcome,
            Err(_) => Outcome::Unreachable("no answer in time".into()),
        }
    }

    async fn call(&self, url: &str, letter: &Letter) -> Result<StatusCode, Outcome> {
        let refused = |what: &str| Outcome::Refused(what.into());
        let uri: Uri = url.parse().map_err(|_| refused("no URL"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.allow_http => false,
            _ => return Err(refused("only https is allowed")),
        };
        let authority = uri.authority().ok_or_else(|| refused("no host"))?;
        let host = authority.host().to_ascii_lowercase();
        if !self.hosts.is_empty() && !self.hosts.iter().any(|allowed| **allowed == host) {
            return Err(refused("the host is not among allow_hosts"));
        }
        let port = (authority.port_u16()).unwrap_or(if secure { 443 } else { 80 });
        let stream = self.connect(&host, port).await?;
        let request = self
            .request(&uri, authority.as_str(), letter)
            .map_err(|error| Outcome::Failed(error.to_string()))?;
        if secure {
            let name = rustls::pki_types::ServerName::try_from(bare(&host).to_owned())
                .map_err(|_| refused("no host name"))?;
            let stream = self.tls.connect(name, stream).await;
            let stream =
                stream.map_err(|error| Outcome::Unreachable(format!("{host}: {error}")))?;
            post(TokioIo::new(stream), request).await
        } else {
            post(TokioIo::new(stream), request).await
        }
    }

    /// Connects to an address that was checked: a second look at the name might find another.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Outcome> {
        let unreachable =
            |error: &dyn std::fmt::Display| Outcome::Unreachable(format!("{host}: {error}"));
        let found = tokio::net::lookup_host((bare(host), port)).await;
        let found: Vec<SocketAddr> = found.map_err(|error| unreachable(&error))?.collect();
        let allowed: Vec<SocketAddr> = (found.iter().copied())
            .filter(|address| self.may_reach(address.ip()))
            .take(MAX_ADDRESSES)
            .collect();
        if allowed.is_empty() && !found.is_empty() {
            return Err(Outcome::Refused(format!(
                "{host} is not on the Internet: see allow_networks"
            )));
        }
        let mut last = unreachable(&"no address");
        for address in allowed {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = unreachable(&error),
            }
        }
        Err(last)
    }

    fn may_reach(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address)
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }

    fn request(
        &self,
        uri: &Uri,
        authority: &str,
        letter: &Letter,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let notification = &letter.task.notification;
        let body = serde_json::to_vec(&Body {
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
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Request::post(path)
            .header(HOST, authority)
            .header(USER_AGENT, "Tollwire")
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", letter.name())
            .header("Tollwire-Signature", self.signature(seconds, &body))
            .body(Full::new(body.into()))
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

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

async fn post<S>(stream: TokioIo<S>, request: Request<Full<Bytes>>) -> Result<StatusCode, Outcome>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let unreachable = |error: hyper::Error| Outcome::Unreachable(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(stream)
        .await
        .map_err(unreachable)?;
    // Ends with this function, and so with the answer's head: nobody reads its body.
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let answer = sender.send_request(request).await;
    answer.map(|answer| answer.status()).map_err(unreachable)
}

fn judge(status: StatusCode) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Told,
        // RFC 9110 15.5.11: likely to be permanent.
        StatusCode::GONE => Outcome::Refused("410 Gone".into()),
        status => Outcome::Failed(status.to_string()),
    }
}

/// Whether the Internet reaches an address (IANA's special-purpose registries, RFC 6890): none of this host, of its
/// networks, of its provider's, and no group.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_multicast()
                || address.is_documentation()
                || a == 0
                || a >= 240
                // Shared address space, protocol assignments, benchmarks.
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(address) => {
            // Only 2000::/3 is given to hosts; of it not documentation, and not what hides an IPv4 address (6to4,
            // Teredo).
            let [first, second, ..] = address.segments();
            (first & 0xE000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second == 0 || second == 0x0DB8))
                && !(first == 0x3FFF && second < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_called() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "9.9.9.9",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1",
            "2a00::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        assert!(!is_public(mapped.to_canonical()));
    }

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
