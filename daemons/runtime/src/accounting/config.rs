//! `[accounting]`: where a daemon's records go.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tollwire_diameter::peer::Backoff;

use super::{Kind, Source};
use crate::config::Invalid;
use crate::diameter::{Address, NodeConfig, PeerConfig, TlsFiles};

/// The table as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shipping {
    /// Where the accounting server listens; nothing is sent if absent.
    pub server: Option<Address>,
    /// Tried in turn after `server`.
    pub alternatives: Vec<Address>,
    /// Its realm.
    pub realm: String,
    /// Who connects; absent: `records.` before the daemon's own Origin-Host.
    pub origin_host: Option<String>,
    /// Whose records they are; absent: who connects.
    pub element: Option<String>,
    /// Whether the server may be on another host without TLS.
    pub allow_remote: bool,
    /// Our certificate for TLS, with `tls_key` and `tls_ca`.
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// The authorities that sign servers' certificates.
    pub tls_ca: Option<PathBuf>,
    /// Records that may wait for their acknowledgement.
    pub window: usize,
    /// Milliseconds for an answer, over all retransmissions.
    pub request_timeout_ms: u64,
    /// Milliseconds before a record that was not kept is sent again; doubles up to the second one.
    pub retry_first_ms: u64,
    /// The longest such pause.
    pub retry_most_ms: u64,
    /// Seconds of silence before a watchdog.
    pub watchdog_seconds: u64,
}

impl Default for Shipping {
    fn default() -> Self {
        Self {
            server: None,
            alternatives: Vec::new(),
            realm: "localdomain".into(),
            origin_host: None,
            element: None,
            allow_remote: false,
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            window: 100,
            request_timeout_ms: 10_000,
            retry_first_ms: 1_000,
            retry_most_ms: 60_000,
            watchdog_seconds: 30,
        }
    }
}

impl Shipping {
    /// Checks what the types cannot, for a daemon whose Diameter node is `origin_host`.
    ///
    /// # Errors
    /// The key that does not do.
    pub fn validate(&self, origin_host: &str) -> Result<(), Invalid> {
        let refuse = |key: &str, what: &str| Err(Invalid::new(format!("accounting.{key}"), what));
        if self.window == 0 || self.window > 10_000 {
            return refuse("window", "1 to 10000");
        }
        if self.retry_first_ms == 0 || self.retry_most_ms < self.retry_first_ms {
            return refuse("retry_first_ms", "1 or more, and at most `retry_most_ms`");
        }
        // RFC 3539 3.4.1: Tw is no less than 6 s.
        if self.watchdog_seconds < 6 {
            return refuse("watchdog_seconds", "at least 6");
        }
        if self.request_timeout_ms == 0 {
            return refuse("request_timeout_ms", "at least 1");
        }
        let addresses = self.server.iter().chain(&self.alternatives);
        let origin_host = self.origin_host(origin_host);
        TlsFiles::validate("accounting", self.tls_keys(), &origin_host, addresses)
    }

    fn tls_keys(&self) -> [Option<&PathBuf>; 3] {
        [&self.tls_certificate, &self.tls_key, &self.tls_ca].map(Option::as_ref)
    }

    /// Origin-Host of the records of a daemon whose own is `daemon`.
    fn origin_host(&self, daemon: &str) -> String {
        let own = self.origin_host.clone();
        own.unwrap_or_else(|| format!("records.{daemon}"))
    }

    /// Where the records of `daemon`, whose Diameter node is `origin_host` of `origin_realm`, come from; `None` if
    /// they are not to be sent.
    pub fn source(
        &self,
        kind: Kind,
        name: &str,
        directory: PathBuf,
        origin_host: &str,
        origin_realm: &str,
    ) -> Option<Source> {
        let server = self.server.clone()?;
        let origin_host = self.origin_host(origin_host);
        Some(Source {
            kind,
            element: self.element.clone().unwrap_or_else(|| origin_host.clone()),
            directory,
            name: name.into(),
            server_realm: self.realm.clone(),
            window: self.window,
            retry: Backoff {
                first: Duration::from_millis(self.retry_first_ms),
                max: Duration::from_millis(self.retry_most_ms),
            },
            node: NodeConfig {
                origin_host,
                origin_realm: origin_realm.into(),
                product_name: format!("Tollwire {name}"),
                acct_application_ids: vec![
                    tollwire_diameter::dictionary::APPLICATION_BASE_ACCOUNTING,
                ],
                connect: vec![PeerConfig {
                    name: super::shipper::SERVER.into(),
                    address: server,
                    alternatives: self.alternatives.clone(),
                    origin_host: None,
                }],
                allow_remote: self.allow_remote,
                tls: TlsFiles::of(self.tls_keys()),
                watchdog: Duration::from_secs(self.watchdog_seconds),
                request_timeout: Duration::from_millis(self.request_timeout_ms),
                max_pending: self.window,
                ..NodeConfig::default()
            },
        })
    }
}
