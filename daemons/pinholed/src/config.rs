//! Configuration of `pinholed`; `conf/pinholed.toml` explains each key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tollwire_runtime::config::{Configuration, Invalid};
use tollwire_runtime::diameter::{Address, AllowedPeer, NodeConfig, TlsFiles};

use crate::core;
use crate::nftables::TableSettings;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The Rx server.
    pub diameter: Diameter,
    /// The table in the kernel.
    pub table: Table,
    /// Sessions.
    pub sessions: Sessions,
    /// The operator's interface.
    pub admin: Admin,
}

/// `[diameter]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Diameter {
    /// Origin-Host.
    pub origin_host: String,
    /// Origin-Realm.
    pub origin_realm: String,
    /// Where to listen.
    pub listen: Vec<Address>,
    /// Our certificate for TLS, with `tls_key` and `tls_ca`.
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// The authorities that sign peers' certificates.
    pub tls_ca: Option<PathBuf>,
    /// Who may connect; empty is everybody who reaches the sockets.
    pub allowed_peers: Vec<AllowedPeer>,
    /// Seconds of silence before a watchdog.
    pub watchdog_seconds: u64,
}

impl Default for Diameter {
    fn default() -> Self {
        Self {
            origin_host: "pinholed.localdomain".into(),
            origin_realm: "localdomain".into(),
            listen: vec![Address::Unix("/run/tollwire/pinholed.sock".into())],
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            allowed_peers: Vec::new(),
            watchdog_seconds: 30,
        }
    }
}

impl Diameter {
    fn tls_keys(&self) -> [Option<&PathBuf>; 3] {
        [&self.tls_certificate, &self.tls_key, &self.tls_ca].map(Option::as_ref)
    }

    fn validate_tls(&self) -> Result<(), Invalid> {
        let addresses = self.listen.iter();
        TlsFiles::validate("diameter", self.tls_keys(), &self.origin_host, addresses)
    }
}

/// `[table]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The chain's priority on the forward hook.
    pub priority: i32,
    /// The first guarded port.
    pub first_port: u16,
    /// The last guarded port.
    pub last_port: u16,
    /// Flows that may be open at once, by family.
    pub max_flows: u32,
    /// What to do with a table that stands at start.
    pub on_start: OnStart,
}

/// What to do with a table that stands at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnStart {
    /// Take it over with its gates and counters.
    Adopt,
    /// Make it anew: every gate shuts.
    Flush,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            name: "tollwire".into(),
            priority: -10,
            first_port: 10_000,
            last_port: 65_535,
            max_flows: 524_288,
            on_start: OnStart::Adopt,
        }
    }
}

/// `[sessions]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// Seconds of silent media that are a lost bearer; 0 is never.
    pub silence_seconds: u64,
    /// Seconds between looks at the counters.
    pub poll_seconds: u64,
    /// Seconds that counters outlive their gates, for a client that asks late.
    pub retention_seconds: u64,
    /// Seconds given to a request that names none.
    pub default_timeout_seconds: u64,
    /// Sessions at once.
    pub max_sessions: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        let settings = core::Settings::default();
        Self {
            silence_seconds: settings.silence.as_secs(),
            poll_seconds: settings.poll.as_secs(),
            retention_seconds: settings.retention.as_secs(),
            default_timeout_seconds: settings.default_timeout.as_secs(),
            max_sessions: settings.max_sessions,
        }
    }
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The Unix socket that `tollctl` speaks to.
    pub socket: PathBuf,
    /// Where Prometheus may read `/metrics`; nowhere if absent.
    pub metrics: Option<SocketAddr>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            socket: "/run/tollwire/pinholed.admin".into(),
            metrics: None,
        }
    }
}

impl Configuration for Config {
    fn validate(&self) -> Result<(), Invalid> {
        if self.diameter.listen.is_empty() {
            return Err(Invalid::new("diameter.listen", "at least one address"));
        }
        // RFC 3539 3.4.1: Tw is no less than 6 s.
        if self.diameter.watchdog_seconds < 6 {
            return Err(Invalid::new("diameter.watchdog_seconds", "at least 6"));
        }
        self.diameter.validate_tls()?;
        let name = &self.table.name;
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > 31 || !name.bytes().all(letters) {
            return Err(Invalid::new(
                "table.name",
                "1 to 31 letters, digits and \"_\"",
            ));
        }
        if self.table.first_port > self.table.last_port {
            return Err(Invalid::new("table.first_port", "not above last_port"));
        }
        if self.table.max_flows == 0 {
            return Err(Invalid::new("table.max_flows", "at least 1"));
        }
        if self.sessions.poll_seconds == 0 {
            return Err(Invalid::new("sessions.poll_seconds", "at least 1"));
        }
        Ok(())
    }
}

impl Config {
    /// The node's part. Remote clients need TLS: the gates are not to be opened in clear from elsewhere.
    pub fn node(&self) -> NodeConfig {
        NodeConfig {
            origin_host: self.diameter.origin_host.clone(),
            origin_realm: self.diameter.origin_realm.clone(),
            product_name: "Tollwire pinholed".into(),
            auth_application_ids: vec![tollwire_diameter::dictionary::APPLICATION_RX],
            listen: self.diameter.listen.clone(),
            tls: TlsFiles::of(self.diameter.tls_keys()),
            allowed_peers: self.diameter.allowed_peers.clone(),
            watchdog: Duration::from_secs(self.diameter.watchdog_seconds),
            ..NodeConfig::default()
        }
    }

    /// The core's part.
    pub fn settings(&self) -> core::Settings {
        core::Settings {
            silence: Duration::from_secs(self.sessions.silence_seconds),
            poll: Duration::from_secs(self.sessions.poll_seconds),
            retention: Duration::from_secs(self.sessions.retention_seconds),
            default_timeout: Duration::from_secs(self.sessions.default_timeout_seconds),
            max_sessions: self.sessions.max_sessions,
            guarded: (self.table.first_port, self.table.last_port),
        }
    }

    /// The table's part.
    pub fn table_settings(&self) -> TableSettings {
        TableSettings {
            name: self.table.name.clone(),
            priority: self.table.priority,
            ports: (self.table.first_port, self.table.last_port),
            size: self.table.max_flows,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use tollwire_runtime::config;

    #[test]
    fn the_shipped_file_is_the_default() {
        let shipped = include_str!("../../../conf/pinholed.toml");
        let shipped: Config = config::parse(Path::new("pinholed.toml"), shipped).unwrap();
        assert_eq!(shipped, Config::default());
    }
}
