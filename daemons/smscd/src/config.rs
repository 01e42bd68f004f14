//! Configuration of `smscd`; `conf/smscd.toml` explains each key.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio_rustls::TlsAcceptor;
use tollwire_runtime::accounting::stream::{Feed, Stream};
use tollwire_runtime::accounting::{Kind, Retention, Shipping, Source};
use tollwire_runtime::config::{Configuration, Invalid};
use tollwire_runtime::diameter::{Address, NodeConfig, PeerConfig, Servers, TlsFiles};
use tollwire_runtime::records;

use crate::links::ro::Parties;
use crate::net::{Bounds, Destination, tls};
use crate::settings::{Limits, RetrySettings, Settings, Timers};
use crate::spool;
use crate::tariff::TariffTable;

mod esme;
mod route;
mod upstream;

pub use esme::Esme;
pub use route::Route;
pub use upstream::Upstream;

/// The Diameter peer's name.
pub const CHARGING: &str = "charging";

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen, and as whom.
    pub smpp: Smpp,
    /// Who may bind.
    pub esme: Vec<Esme>,
    /// Where messages go.
    pub route: Vec<Route>,
    /// SMSCs that we bind to.
    pub upstream: Vec<Upstream>,
    /// When a delivery is tried again.
    pub retry: RetrySettings,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub timers: Timers,
    /// Tariff classes.
    pub tariffs: Tariffs,
    /// Messages on disk.
    pub spool: SpoolConfig,
    /// Charge records.
    pub records: Records,
    /// Where charge records are sent.
    pub accounting: Shipping,
    /// Where charge records are published.
    pub stream: Stream,
    /// The link to charging.
    pub diameter: Diameter,
    /// The operator's interface.
    pub admin: Admin,
}

/// `[smpp]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Smpp {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// Where to listen with TLS.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// `system_id` in bind answers.
    pub system_id: Box<str>,
}

impl Default for Smpp {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 2775))],
            listen_tls: Vec::new(),
            certificate: None,
            key: None,
            system_id: "tollwire".into(),
        }
    }
}

/// `[tariffs]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tariffs {
    /// The table of classes; without it every class is unknown.
    pub classes: Option<PathBuf>,
}

/// `[spool]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Its folder.
    pub directory: PathBuf,
    /// Octets of a segment.
    pub segment_octets: u32,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            directory: "/var/lib/tollwire/smscd/spool".into(),
            segment_octets: 64 << 20,
        }
    }
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
            directory: "/var/lib/tollwire/smscd/records".into(),
            max_bytes: 64 << 20,
            max_age_seconds: 3600,
            csv: false,
            keep_days: 0,
        }
    }
}

/// `[diameter]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Diameter {
    /// Origin-Host.
    pub origin_host: String,
    /// Origin-Realm.
    pub origin_realm: String,
    /// Where the charging system listens: one server, or several of which one works. Absent: no route may charge online.
    pub charging: Option<Servers>,
    /// Its realm.
    pub charging_realm: String,
    /// Whether it may be on another host without TLS.
    pub allow_remote: bool,
    /// Our certificate for TLS, with `tls_key` and `tls_ca`.
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// The authorities that sign peers' certificates.
    pub tls_ca: Option<PathBuf>,
    /// Milliseconds for an answer.
    pub request_timeout_ms: u64,
    /// Seconds of silence before a watchdog.
    pub watchdog_seconds: u64,
}

impl Default for Diameter {
    fn default() -> Self {
        Self {
            origin_host: "smscd.localdomain".into(),
            origin_realm: "localdomain".into(),
            charging: Some(Address::Unix("/run/tollwire/chargingd.sock".into()).into()),
            charging_realm: "localdomain".into(),
            allow_remote: false,
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            request_timeout_ms: 5000,
            watchdog_seconds: 30,
        }
    }
}

impl Diameter {
    fn tls_keys(&self) -> [Option<&PathBuf>; 3] {
        [&self.tls_certificate, &self.tls_key, &self.tls_ca].map(Option::as_ref)
    }

    fn validate_tls(&self) -> Result<(), Invalid> {
        let addresses = self.charging.iter().flat_map(Servers::addresses);
        TlsFiles::validate("diameter", self.tls_keys(), &self.origin_host, addresses)
    }
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The Unix socket.
    pub socket: PathBuf,
    /// Where Prometheus may scrape besides.
    pub metrics: Option<SocketAddr>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            socket: "/run/tollwire/smscd.admin".into(),
            metrics: None,
        }
    }
}

impl Configuration for Config {
    fn validate(&self) -> Result<(), Invalid> {
        let refuse = |key: &str, what: String| Err(Invalid::new(key, what));
        if self.smpp.system_id.len() > 15 || !self.smpp.system_id.is_ascii() {
            return refuse(
                "smpp.system_id",
                "at most 15 ASCII characters (SMPP 3.4 section 5.2.1)".into(),
            );
        }
        if !self.smpp.listen_tls.is_empty()
            && (self.smpp.certificate.is_none() || self.smpp.key.is_none())
        {
            return refuse("smpp.listen_tls", "needs `certificate` and `key`".into());
        }
        if self.spool.segment_octets < 65_536 || self.spool.segment_octets > 1 << 30 {
            return refuse("spool.segment_octets", "65536 to 1073741824".into());
        }
        if self.limits.max_pdu < 1024 || self.limits.max_destinations == 0 {
            return refuse(
                "limits",
                "`max_pdu` is at least 1024, `max_destinations` at least 1".into(),
            );
        }
        self.diameter.validate_tls()?;
        self.accounting.validate(&self.diameter.origin_host)?;
        self.stream.validate()?;
        unique("esme", self.esme.iter().map(|esme| &*esme.system_id))?;
        unique(
            "upstream",
            self.upstream.iter().map(|upstream| &*upstream.name),
        )?;
        unique("route", self.route.iter().map(|route| &*route.name))?;
        for esme in &self.esme {
            esme.validate()?;
        }
        for upstream in &self.upstream {
            upstream.validate()?;
        }
        for route in &self.route {
            route.validate(self)?;
        }
        Ok(())
    }
}

fn unique<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Invalid> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Invalid::new(table, format!("two are called {name:?}")));
        }
    }
    Ok(())
}

impl Config {
    /// For the core. An error names the file that cannot be used.
    pub fn settings(&self) -> Result<Settings, String> {
        Ok(Settings {
            system_id: (&*self.smpp.system_id).into(),
            esmes: self.esme.iter().map(Esme::settings).collect(),
            routes: self.route.iter().map(Route::settings).collect(),
            upstreams: self.upstream.iter().map(Upstream::settings).collect(),
            tariffs: match &self.tariffs.classes {
                Some(file) => TariffTable::load(file)?,
                None => TariffTable::default(),
            },
            retry: self.retry.clone(),
            limits: self.limits.clone(),
            timers: self.timers.clone(),
        })
    }

    /// Where upstreams are.
    pub fn destinations(&self) -> Result<HashMap<Arc<str>, Destination>, String> {
        self.upstream
            .iter()
            .map(|upstream| Ok((upstream.name.as_ref().into(), upstream.destination()?)))
            .collect()
    }

    /// Our certificate.
    pub fn acceptor(&self) -> Result<Option<TlsAcceptor>, String> {
        match (&self.smpp.certificate, &self.smpp.key) {
            (Some(certificate), Some(key)) => tls::acceptor(certificate, key).map(Some),
            _ => Ok(None),
        }
    }

    /// For the connections.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            max_pdu: self.limits.max_pdu,
            max_backlog: usize::try_from(self.limits.max_backlog_octets).unwrap_or(usize::MAX),
            stalled: Duration::from_millis(u64::from(self.timers.response_ms) * 6),
        }
    }

    /// For the spool.
    pub fn spool(&self) -> spool::Settings {
        spool::Settings {
            folder: self.spool.directory.clone(),
            segment_octets: self.spool.segment_octets,
        }
    }

    /// Which record files may be removed.
    pub fn retention(&self) -> Retention {
        Retention {
            directory: self.records.directory.clone(),
            name: "smscd".into(),
            keep_days: self.records.keep_days,
            shipped: self.accounting.server.is_some(),
            streamed: !self.stream.servers.is_empty(),
        }
    }

    /// For the record files.
    pub fn record_settings(&self) -> records::Settings {
        records::Settings {
            directory: self.records.directory.clone(),
            name: "smscd".into(),
            max_bytes: self.records.max_bytes,
            max_age_ms: i64::from(self.records.max_age_seconds) * 1000,
            csv: self.records.csv,
        }
    }

    /// For what sends the records, if they are to be sent.
    pub fn shipping(&self) -> Option<Source> {
        self.accounting.source(
            Kind::Message,
            "smscd",
            self.records.directory.clone(),
            &self.diameter.origin_host,
            &self.diameter.origin_realm,
        )
    }

    /// For what publishes the records, if they are to be published.
    pub fn feed(&self) -> Option<Feed> {
        let directory = self.records.directory.clone();
        self.stream
            .feed("smscd", directory, &self.diameter.origin_host)
    }

    /// For the Diameter node, if a route charges online.
    pub fn node(&self) -> Option<NodeConfig> {
        let charging = self.diameter.charging.as_ref()?;
        self.route.iter().any(Route::is_online).then(|| NodeConfig {
            origin_host: self.diameter.origin_host.clone(),
            origin_realm: self.diameter.origin_realm.clone(),
            product_name: "Tollwire smscd".into(),
            auth_application_ids: vec![tollwire_diameter::dictionary::APPLICATION_CREDIT_CONTROL],
            connect: vec![PeerConfig::behind(CHARGING, charging)],
            allow_remote: self.diameter.allow_remote,
            tls: TlsFiles::of(self.diameter.tls_keys()),
            watchdog: Duration::from_secs(self.diameter.watchdog_seconds),
            request_timeout: Duration::from_millis(self.diameter.request_timeout_ms),
            ..NodeConfig::default()
        })
    }

    /// Who asks for credit, and whom.
    pub fn parties(&self) -> Parties {
        Parties {
            origin_host: self.diameter.origin_host.clone(),
            origin_realm: self.diameter.origin_realm.clone(),
            charging_realm: self.diameter.charging_realm.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use tollwire_runtime::config::{ConfigError, parse};

    use super::*;

    const SHIPPED: &str = include_str!("../../../conf/smscd.toml");

    fn read(text: &str) -> Result<Config, ConfigError> {
        parse(Path::new("smscd.toml"), text)
    }

    #[test]
    fn the_shipped_file_is_the_default() {
        assert_eq!(read(SHIPPED).unwrap(), Config::default());
    }

    /// The shipped file with an ESME, a route to it, an upstream, and what `change` makes of that.
    fn example(change: impl Fn(&str) -> String) -> Result<Config, ConfigError> {
        static HASH: LazyLock<String> =
            LazyLock::new(|| tollwire_runtime::password::hash("secret").unwrap());
        let hash = &*HASH;
        read(&change(&format!(
            "[[esme]]\nsystem_id = \"shop\"\npassword_hash = \"{hash}\"\n\
             [[upstream]]\nname = \"north\"\naddress = \"192.0.2.1:2775\"\nsystem_id = \"us\"\n\
             [[route]]\nname = \"phones\"\nreceivers = [\"shop\"]\n"
        )))
    }

    #[test]
    fn the_comments_tell_the_defaults_of_the_tables() {
        let plain = example(str::to_owned).unwrap();
        let defaults: Vec<&str> = SHIPPED
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| {
                [
                    "max_binds",
                    "window",
                    "throughput",
                    "max_messages",
                    "tariff_tag",
                    "tariff_format",
                ]
                .iter()
                .chain(&[
                    "on_bad_tariff",
                    "allowed_payers",
                    "binds",
                    "transmitter_only",
                    "reconnect_",
                    "charging",
                ])
                .chain(&[
                    "hexadecimal_ids",
                    "record",
                    "tariff_on_next_hop",
                    "final_on",
                ])
                .chain(&[
                    "destination_window",
                    "data_sm",
                    "destination_prefix",
                    "source_esmes",
                ])
                .any(|key| line.starts_with(key) && line.contains(" = "))
            })
            .collect();
        let (esme, rest) = defaults.split_at(8);
        let (upstream, route) = rest.split_at(11);
        assert_eq!(route.len(), 8, "{route:?}");
        let told = example(|text| {
            text.replace(
                "[[upstream]]",
                &format!("{}\n[[upstream]]", esme.join("\n")),
            )
            .replace("[[route]]", &format!("{}\n[[route]]", upstream.join("\n")))
                + &route.join("\n")
        });
        assert_eq!(told.unwrap(), plain);
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (from, to, key, part) in [
            (
                "\"shop\"\npassword",
                "\"a-name-of-sixteen\"\npassword",
                "esme",
                "15 ASCII",
            ),
            ("$argon2id", "argon2id", "esme", "hash-password"),
            (
                "receivers = [\"shop\"]",
                "receivers = [\"phone\"]",
                "route",
                "no [[esme]]",
            ),
            (
                "receivers = [\"shop\"]",
                "upstreams = [\"south\"]",
                "route",
                "no [[upstream]]",
            ),
            ("receivers = [\"shop\"]", "", "route", "either"),
            ("192.0.2.1:2775", "192.0.2.1", "upstream", "host:port"),
            (
                "[[esme]]",
                "[limits]\nmax_pdu = 16\n[[esme]]",
                "limits",
                "max_pdu",
            ),
            (
                "[[esme]]",
                "[smpp]\nlisten_tls = [\"[::]:3550\"]\n[[esme]]",
                "smpp.listen_tls",
                "certificate",
            ),
        ] {
            let error = example(|text| text.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(key) && error.contains(part),
                "{from} -> {to}: {error}"
            );
        }
    }

    #[test]
    fn a_default_payer_is_one_that_a_tariff_can_carry() {
        let with = |payer: &str| {
            example(|text| {
                format!(
                    "{text}default_charge = {{ amount_micro = 1, currency = \"EUR\", payer = \"{payer}\" }}\n"
                )
            })
        };
        for good in ["receiver", "sender", "advertiser", &"a".repeat(64)] {
            assert!(with(good).is_ok(), "{good}");
        }
        for bad in ["", "a\\u0007b", &"a".repeat(65)] {
            let error = with(bad).unwrap_err().to_string();
            assert!(error.contains("default_charge"), "{bad}: {error}");
        }
    }

    #[test]
    fn passwords_do_not_stand_in_logs() {
        let config = example(|text| {
            text.replace(
                "system_id = \"us\"",
                "system_id = \"us\"\npassword = \"geheim\"",
            )
        });
        assert!(!format!("{:?}", config.unwrap()).contains("geheim"));
    }
}
