//! Configuration of `sipd`; `conf/sipd.toml` explains each key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use tollwire_diameter::peer::Backoff;
use tollwire_runtime::accounting::{Kind, Retention, Shipping, Source};
use tollwire_runtime::config::{Configuration, Invalid};
use tollwire_runtime::diameter::{Address, NodeConfig, PeerConfig, Servers, TlsFiles};
use tollwire_runtime::records;
use tollwire_sip::Uri;
use tollwire_sip::digest::Algorithm;
use tollwire_sip::transaction::{Limits, Timers};

use crate::calls::{EarlyMedia, Settings};
use crate::policy::{Policy, PrefixRoute};
use crate::{auth, registrar};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Addresses, domains and routes.
    pub sip: Sip,
    /// Who may call.
    pub auth: Auth,
    /// Registrations.
    pub registrar: Registrar,
    /// Calls.
    pub calls: Calls,
    /// The links to charging and limiter.
    pub diameter: Diameter,
    /// Where accounting records are sent.
    pub accounting: Shipping,
    /// The files in which they wait.
    pub records: Records,
    /// What outlives a restart.
    pub store: Store,
    /// The operator's interface.
    pub admin: Admin,
}

/// `[records]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Records {
    /// Their folder.
    pub directory: PathBuf,
    /// Octets after which a file is closed.
    pub max_bytes: u64,
    /// Seconds after which a file is closed.
    pub max_age_seconds: u32,
    /// Whether each file has a CSV twin.
    pub csv: bool,
    /// Days that a file stays after its records are acknowledged by all that they go to; 0 keeps all.
    pub keep_days: u32,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            directory: "/var/lib/tollwire/sipd/records".into(),
            max_bytes: 16_777_216,
            max_age_seconds: 3600,
            csv: false,
            keep_days: 0,
        }
    }
}

/// `[sip]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// Where to listen for datagrams.
    pub udp: Vec<SocketAddr>,
    /// Where to listen for connections.
    pub tcp: Vec<SocketAddr>,
    /// The address that Via and Record-Route give in place of a wildcard one.
    pub advertised: Option<std::net::IpAddr>,
    /// Domains served; the first is what our own addresses stand for.
    pub domains: Vec<Box<str>>,
    /// Static routes to gateways.
    pub routes: Vec<Route>,
    /// Callers without credentials.
    pub trusted: Vec<Trusted>,
    /// Milliseconds of Timer T1.
    pub t1_ms: u64,
    /// Seconds of Timer C.
    pub timer_c_seconds: u64,
    /// Server header field of our own responses.
    pub server: Box<str>,
    /// Requests under way at once.
    pub max_requests: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Octets of a message.
    pub max_message: usize,
}

/// A static route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Digits that the number begins with.
    pub prefix: Box<str>,
    /// SIP URIs, tried in order.
    pub gateways: Vec<Box<str>>,
}

/// A network whose callers need no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    /// Where they call from.
    pub network: IpNet,
    /// Who pays for them: a SIP URI or number.
    pub identity: Box<str>,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            udp: vec![SocketAddr::from(([0, 0, 0, 0], 5060))],
            tcp: vec![SocketAddr::from(([0, 0, 0, 0], 5060))],
            advertised: None,
            domains: vec!["localdomain".into()],
            routes: Vec::new(),
            trusted: Vec::new(),
            t1_ms: 500,
            timer_c_seconds: 185,
            server: "".into(),
            max_requests: 50_000,
            max_connections: 4096,
            max_message: 65_535,
        }
    }
}

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The realm; the first domain if absent.
    pub realm: Option<String>,
    /// In the order of the challenges.
    pub algorithms: Vec<String>,
    /// Seconds a nonce lives.
    pub nonce_seconds: u64,
    /// Wrong answers that a source may give in a minute.
    pub failures_per_minute: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            realm: None,
            algorithms: vec!["SHA-256".into(), "MD5".into()],
            nonce_seconds: 300,
            failures_per_minute: 30,
        }
    }
}

/// `[registrar]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registrar {
    /// Seconds given to a contact that asks for none.
    pub default_expires: u32,
    /// Fewer seconds are refused.
    pub min_expires: u32,
    /// More seconds are cut.
    pub max_expires: u32,
    /// Contacts of one address of record.
    pub max_contacts: usize,
}

impl Default for Registrar {
    fn default() -> Self {
        let settings = registrar::Settings::default();
        Self {
            default_expires: settings.default_expires,
            min_expires: settings.min_expires,
            max_expires: settings.max_expires,
            max_contacts: settings.max_contacts,
        }
    }
}

/// `[calls]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Calls at once.
    pub max_calls: usize,
    /// Which media passes before the answer.
    pub early_media: EarlyMedia,
    /// Seconds that early media may pass.
    pub early_seconds: u64,
    /// Percent of a grant that is used before more is asked for.
    pub update_at_percent: u32,
    /// Milliseconds that a BYE waits for the limiter.
    pub close_deadline_ms: u64,
    /// Seconds of session interval asked for; 0 asks for none.
    pub session_expires: u32,
    /// Seconds that a call may ring.
    pub setup_seconds: u64,
    /// Seconds of Retry-After in a 503.
    pub retry_after: u32,
    /// Whether media leaves from the port it is received at.
    pub symmetric_rtp: bool,
}

impl Default for Calls {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            max_calls: 50_000,
            early_media: settings.early_media,
            early_seconds: settings.early_timeout.as_secs(),
            update_at_percent: settings.update_at_percent,
            close_deadline_ms: 500,
            session_expires: settings.session_expires.unwrap_or(0),
            setup_seconds: settings.setup_timeout.as_secs(),
            retry_after: settings.retry_after,
            symmetric_rtp: true,
        }
    }
}

/// `[diameter]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Diameter {
    /// Origin-Host.
    pub origin_host: Box<str>,
    /// Origin-Realm.
    pub origin_realm: Box<str>,
    /// Where the charging system listens: one server, or several of which one works.
    pub charging: Servers,
    /// Its realm.
    pub charging_realm: Box<str>,
    /// Where the limiter listens.
    pub limiter: Address,
    /// Its realm.
    pub limiter_realm: Box<str>,
    /// Whether those addresses may be on other hosts without TLS.
    pub allow_remote: bool,
    /// Our certificate for TLS, with `tls_key` and `tls_ca`.
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// The authorities that sign peers' certificates.
    pub tls_ca: Option<PathBuf>,
    /// Service-Context-Id.
    pub service_context_id: Box<str>,
    /// Rating-Group.
    pub rating_group: u32,
    /// Seconds asked for at once.
    pub requested_seconds: u32,
    /// Milliseconds for an answer.
    pub request_timeout_ms: u64,
    /// Seconds of silence before a watchdog.
    pub watchdog_seconds: u64,
}

impl Default for Diameter {
    fn default() -> Self {
        Self {
            origin_host: "sipd.localdomain".into(),
            origin_realm: "localdomain".into(),
            charging: Address::Unix("/run/tollwire/chargingd.sock".into()).into(),
            charging_realm: "localdomain".into(),
            limiter: Address::Unix("/run/tollwire/pinholed.sock".into()),
            limiter_realm: "localdomain".into(),
            allow_remote: false,
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            service_context_id: "32260@3gpp.org".into(),
            rating_group: 100,
            requested_seconds: 3600,
            request_timeout_ms: 4000,
            watchdog_seconds: 30,
        }
    }
}

impl Diameter {
    fn tls_keys(&self) -> [Option<&PathBuf>; 3] {
        [&self.tls_certificate, &self.tls_key, &self.tls_ca].map(Option::as_ref)
    }

    fn validate_tls(&self) -> Result<(), Invalid> {
        let addresses = (self.charging.addresses()).chain(std::iter::once(&self.limiter));
        TlsFiles::validate("diameter", self.tls_keys(), &self.origin_host, addresses)
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Subscribers and bindings.
    pub path: PathBuf,
    /// Live calls.
    pub journal: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: "/var/lib/tollwire/sipd/sipd.db".into(),
            journal: "/var/lib/tollwire/sipd/calls.journal".into(),
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
            socket: "/run/tollwire/sipd.admin".into(),
            metrics: None,
        }
    }
}

/// Names of the two peers in the node.
pub const CHARGING: &str = "charging";
/// See [`CHARGING`].
pub const LIMITER: &str = "limiter";

impl Configuration for Config {
    fn validate(&self) -> Result<(), Invalid> {
        let wrong = |key: &str, what: &str| Err(Invalid::new(key, what));
        self.diameter.validate_tls()?;
        self.accounting.validate(&self.diameter.origin_host)?;
        if self.sip.domains.is_empty() {
            return wrong("sip.domains", "at least one domain");
        }
        if self.sip.udp.is_empty() && self.sip.tcp.is_empty() {
            return wrong("sip.udp", "at least one address in udp or tcp");
        }
        for route in &self.sip.routes {
            let sound = |gateway: &str| Uri::parse(gateway).is_ok_and(|uri| uri.sip().is_some());
            if !route.gateways.iter().all(|gateway| sound(gateway)) || route.gateways.is_empty() {
                return wrong(
                    "sip.routes",
                    "each route has gateways, and each is a SIP URI",
                );
            }
        }
        if self.auth.algorithms.is_empty() || self.algorithms().contains(&Algorithm::Other) {
            return wrong("auth.algorithms", "\"SHA-256\", \"MD5\" or both");
        }
        // RFC 3261 16.6 step 11.
        if self.sip.timer_c_seconds <= 180 {
            return wrong("sip.timer_c_seconds", "more than 180 (RFC 3261 16.6)");
        }
        if !(100..=4000).contains(&self.sip.t1_ms) {
            return wrong("sip.t1_ms", "100 to 4000");
        }
        if !(1..=99).contains(&self.calls.update_at_percent) {
            return wrong("calls.update_at_percent", "1 to 99");
        }
        // RFC 4028 4: no session interval below 90 s.
        if (1..90).contains(&self.calls.session_expires) {
            return wrong("calls.session_expires", "0, or at least 90 (RFC 4028 4)");
        }
        if self.diameter.watchdog_seconds < 6 {
            return wrong("diameter.watchdog_seconds", "at least 6 (RFC 3539 3.4.1)");
        }
        if self.diameter.requested_seconds == 0 {
            return wrong("diameter.requested_seconds", "at least 1");
        }
        Ok(())
    }
}

impl Config {
    /// The challenges' algorithms.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.auth
            .algorithms
            .iter()
            .map(|name| Algorithm::parse(name))
            .collect()
    }

    /// The challenges' realm.
    pub fn realm(&self) -> String {
        self.auth
            .realm
            .clone()
            .or_else(|| self.sip.domains.first().map(ToString::to_string))
            .unwrap_or_default()
    }

    /// Authentication's part.
    pub fn auth_settings(&self) -> auth::Settings {
        auth::Settings {
            realm: self.realm(),
            algorithms: self.algorithms(),
            nonce_lifetime: self.auth.nonce_seconds,
            failures_per_minute: self.auth.failures_per_minute,
            ..auth::Settings::default()
        }
    }

    /// The registrar's part.
    pub fn registrar_settings(&self) -> registrar::Settings {
        registrar::Settings {
            default_expires: self.registrar.default_expires,
            min_expires: self.registrar.min_expires,
            max_expires: self.registrar.max_expires,
            max_contacts: self.registrar.max_contacts,
        }
    }

    /// The transactions' part.
    pub fn transactions(&self) -> (Timers, Limits) {
        let timers = Timers {
            t1: Duration::from_millis(self.sip.t1_ms),
            ..Timers::default()
        };
        let limits = Limits {
            server_transactions: self.sip.max_requests.saturating_mul(4),
            retry_after: self.calls.retry_after,
        };
        (timers, limits)
    }

    /// The core's part.
    pub fn policy(&self) -> Policy {
        let calls = &self.calls;
        Policy {
            domains: self.sip.domains.clone(),
            trusted: self
                .sip
                .trusted
                .iter()
                .map(|trusted| (trusted.network, trusted.identity.clone()))
                .collect(),
            routes: self
                .sip
                .routes
                .iter()
                .map(|route| PrefixRoute {
                    prefix: route.prefix.clone(),
                    gateways: route.gateways.clone(),
                })
                .collect(),
            settings: Settings {
                early_media: calls.early_media,
                early_timeout: Duration::from_secs(calls.early_seconds),
                update_at_percent: calls.update_at_percent,
                close_deadline: Duration::from_millis(calls.close_deadline_ms),
                ack_timeout: Duration::from_millis(self.sip.t1_ms * 64),
                session_expires: (calls.session_expires > 0).then_some(calls.session_expires),
                setup_timeout: Duration::from_secs(calls.setup_seconds),
                retry_after: calls.retry_after,
                accounting: self.accounting.server.is_some(),
                ..Settings::default()
            },
            timer_c: Duration::from_secs(self.sip.timer_c_seconds),
            server: self.sip.server.clone(),
            max_calls: calls.max_calls,
            max_contexts: self.sip.max_requests,
            max_breadth: 60,
            origin_host: self.diameter.origin_host.clone(),
            origin_realm: self.diameter.origin_realm.clone(),
            charging_realm: self.diameter.charging_realm.clone(),
            limiter_realm: self.diameter.limiter_realm.clone(),
            service_context_id: self.diameter.service_context_id.clone(),
            rating_group: Some(self.diameter.rating_group),
            requested_seconds: self.diameter.requested_seconds,
            symmetric_rtp: calls.symmetric_rtp,
        }
    }

    /// For what sends accounting records, if they are to be made.
    pub fn shipping(&self) -> Option<Source> {
        self.accounting.source(
            Kind::Call,
            "sipd",
            self.records.directory.clone(),
            &self.diameter.origin_host,
            &self.diameter.origin_realm,
        )
    }

    /// Which record files may be removed.
    pub fn retention(&self) -> Retention {
        Retention {
            directory: self.records.directory.clone(),
            name: "sipd".into(),
            keep_days: self.records.keep_days,
            shipped: self.accounting.server.is_some(),
            streamed: false,
        }
    }

    /// The record files' part.
    pub fn record_settings(&self) -> records::Settings {
        records::Settings {
            directory: self.records.directory.clone(),
            name: "sipd".into(),
            max_bytes: self.records.max_bytes,
            max_age_ms: i64::from(self.records.max_age_seconds) * 1000,
            csv: self.records.csv,
        }
    }

    /// The node's part.
    pub fn node(&self) -> NodeConfig {
        NodeConfig {
            origin_host: self.diameter.origin_host.to_string(),
            origin_realm: self.diameter.origin_realm.to_string(),
            product_name: "Tollwire sipd".into(),
            auth_application_ids: vec![
                tollwire_diameter::dictionary::APPLICATION_CREDIT_CONTROL,
                tollwire_diameter::dictionary::APPLICATION_RX,
            ],
            connect: vec![
                PeerConfig::behind(CHARGING, &self.diameter.charging),
                PeerConfig::behind(LIMITER, &self.diameter.limiter.clone().into()),
            ],
            allow_remote: self.diameter.allow_remote,
            tls: TlsFiles::of(self.diameter.tls_keys()),
            // Both are commonly on this host, and calls wait for nothing else after their restart.
            reconnect: Backoff {
                max: Duration::from_secs(1),
                ..Backoff::default()
            },
            request_timeout: Duration::from_millis(self.diameter.request_timeout_ms),
            watchdog: Duration::from_secs(self.diameter.watchdog_seconds),
            ..NodeConfig::default()
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
        let shipped = include_str!("../../../conf/sipd.toml");
        let shipped: Config = config::parse(Path::new("sipd.toml"), shipped).unwrap();
        assert_eq!(shipped, Config::default());
    }
}
