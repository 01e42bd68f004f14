//! A table of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;
use tollwire_runtime::config::Invalid;

/// `[web]`: where and how a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A TCP address; none if absent. Beyond the loopback interface with TLS only.
    pub listen: Option<SocketAddr>,
    /// A Unix socket (0660) for a proxy on this host, which may tell the client in `X-Forwarded-For`; none if absent.
    pub socket: Option<PathBuf>,
    /// Our certificate and what it is signed by, PEM; read again at SIGHUP. Without TLS if absent.
    pub tls_certificate_file: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// For trials: if neither file is there, a certificate that it signs itself is made for these hosts or addresses.
    pub self_signed_names: Vec<String>,
    /// The authorities that sign clients' certificates, PEM; with it every client needs one. Not of the file: set by
    /// daemons that know such clients.
    #[serde(skip)]
    pub client_ca_file: Option<PathBuf>,
    /// Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, for TCP.
    pub proxies: Vec<IpNet>,
    /// Requests of one source (an IPv4 address, a /64 of IPv6) in a second.
    pub requests_per_second: u32,
    /// Requests of one source at once.
    pub burst: u32,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections of one source at once; proxies are not counted.
    pub max_connections_per_source: usize,
    /// Octets of a request's body.
    pub max_body_octets: usize,
    /// How long a request may take until its answer begins, seconds.
    pub timeout_seconds: u64,
    /// How long a connection may pass nothing while the other side should read or write, seconds.
    pub stall_seconds: u64,
    /// How long a connection may last, whatever passes, seconds.
    pub lifetime_seconds: u64,
    /// How long answers that are under way may take when the daemon is asked to end, seconds.
    pub drain_seconds: u64,
    /// How long browsers shall ask for this host by HTTPS alone, seconds; 0: not said.
    pub hsts_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            socket: None,
            tls_certificate_file: None,
            tls_key_file: None,
            self_signed_names: Vec::new(),
            client_ca_file: None,
            proxies: Vec::new(),
            requests_per_second: 20,
            burst: 60,
            max_connections: 256,
            max_connections_per_source: 64,
            max_body_octets: 1 << 16,
            timeout_seconds: 30,
            stall_seconds: 60,
            lifetime_seconds: 3600,
            drain_seconds: 10,
            hsts_seconds: 31_536_000,
        }
    }
}

impl Config {
    /// Whether clients speak TLS with this server itself.
    pub fn is_secure(&self) -> bool {
        self.tls_certificate_file.is_some()
    }

    /// What cannot work; `table` is the name of this table.
    ///
    /// # Errors
    /// The key, and what to do.
    pub fn validate(&self, table: &str) -> Result<(), Invalid> {
        let invalid = |key: &str, what: &str| Err(Invalid::new(format!("{table}.{key}"), what));
        for (key, value) in [
            ("requests_per_second", u64::from(self.requests_per_second)),
            ("burst", self.burst.into()),
            ("max_connections", self.max_connections as u64),
            (
                "max_connections_per_source",
                self.max_connections_per_source as u64,
            ),
            ("timeout_seconds", self.timeout_seconds),
            ("stall_seconds", self.stall_seconds),
            ("lifetime_seconds", self.lifetime_seconds),
        ] {
            if value == 0 || value > 1_000_000 {
                return invalid(key, "1 to 1000000");
            }
        }
        if !(1024..=1 << 26).contains(&self.max_body_octets) {
            return invalid("max_body_octets", "1024 to 67108864");
        }
        if self.drain_seconds > 600 {
            return invalid("drain_seconds", "0 to 600");
        }
        if self.hsts_seconds > 63_072_000 {
            return invalid("hsts_seconds", "0 to 63072000 (two years)");
        }
        if self.listen.is_none() && self.socket.is_none() {
            return invalid(
                "listen",
                "is missing: an address and port, or name socket, for a proxy on this host",
            );
        }
        if self.tls_key_file.is_some() != self.is_secure() {
            return invalid(
                "tls_key_file",
                "goes with tls_certificate_file: name both or none",
            );
        }
        if !self.self_signed_names.is_empty() && !self.is_secure() {
            return invalid(
                "self_signed_names",
                "needs tls_certificate_file and tls_key_file: where to write the certificate and key",
            );
        }
        if self.client_ca_file.is_some() && !self.is_secure() {
            return invalid(
                "client_ca_file",
                "needs TLS: name tls_certificate_file and tls_key_file",
            );
        }
        if let Some(listen) = self.listen
            && !self.is_secure()
            && !listen.ip().is_loopback()
        {
            return invalid(
                "tls_certificate_file",
                "is missing: beyond the loopback interface listen needs TLS",
            );
        }
        Ok(())
    }
}
