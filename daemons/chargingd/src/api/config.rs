//! `[api]`

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use tollwire_runtime::config::Invalid;

/// `[api]`: HTTP over TCP, beside the Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen; nowhere if absent.
    pub listen: Option<SocketAddr>,
    /// Our certificate and what it is signed by, PEM.
    pub tls_certificate_file: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// The authorities that sign clients' certificates, PEM; with it every client needs one.
    pub client_ca_file: Option<PathBuf>,
    /// Lines of `name role sha256-of-token`.
    pub tokens_file: Option<PathBuf>,
    /// Lines of `kind:name role`, for the names in clients' certificates.
    pub certificates_file: Option<PathBuf>,
    /// Requests of one source in a second.
    pub requests_per_second: u32,
    /// Requests of one source at once.
    pub burst: u32,
    /// Connections at once.
    pub max_connections: usize,
    /// How long one request may take, seconds.
    pub timeout_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            tls_certificate_file: None,
            tls_key_file: None,
            client_ca_file: None,
            tokens_file: None,
            certificates_file: None,
            requests_per_second: 20,
            burst: 60,
            max_connections: 256,
            timeout_seconds: 30,
        }
    }
}

impl Config {
    /// What cannot work.
    ///
    /// # Errors
    /// The key, and what to do.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (key, value) in [
            (
                "api.requests_per_second",
                u64::from(self.requests_per_second),
            ),
            ("api.burst", self.burst.into()),
            ("api.max_connections", self.max_connections as u64),
            ("api.timeout_seconds", self.timeout_seconds),
        ] {
            if value == 0 || value > 1_000_000 {
                return Err(Invalid::new(key, "1 to 1000000"));
            }
        }
        let Some(listen) = self.listen else {
            return Ok(());
        };
        let secure = self.tls_certificate_file.is_some();
        let fault = if self.tls_key_file.is_some() != secure {
            Some((
                "api.tls_key_file",
                "goes with api.tls_certificate_file: name both or none",
            ))
        } else if !secure && !listen.ip().is_loopback() {
            Some((
                "api.tls_certificate_file",
                "is missing: beyond the loopback interface api.listen needs TLS",
            ))
        } else if self.client_ca_file.is_some() && !secure {
            Some((
                "api.client_ca_file",
                "needs TLS: name api.tls_certificate_file and api.tls_key_file",
            ))
        } else if self.certificates_file.is_some() && self.client_ca_file.is_none() {
            Some((
                "api.certificates_file",
                "needs api.client_ca_file: who has signed the certificates?",
            ))
        } else if self.tokens_file.is_none() && self.certificates_file.is_none() {
            Some((
                "api.tokens_file",
                "is missing: without it and api.certificates_file nobody may do anything",
            ))
        } else {
            None
        };
        fault.map_or(Ok(()), |(key, what)| Err(Invalid::new(key, what)))
    }
}
