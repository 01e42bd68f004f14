//! Configuration of `chargingd`; `conf/chargingd.toml` explains each key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tollwire_runtime::accounting::stream::{Feed, Stream};
use tollwire_runtime::accounting::{Kind, Retention, Shipping, Source};
use tollwire_runtime::config::{Configuration, Invalid};
use tollwire_runtime::diameter::{Address, AllowedPeer, NodeConfig, TlsFiles};
use tollwire_runtime::records;

use crate::accounting;
use crate::api;
use crate::class::{Class, Classes};
use crate::core;
use crate::database::{Keys, Uses};
use crate::notify::Notifications;
use crate::part::Division;
use crate::rating::{Book, RatingTable};
use crate::store::{Place, Url};

/// Octets of the longest Accounting-Request: a record's JSON may take six octets for one of the request, of at most 64
/// kilooctets, that it was made of.
const LONGEST_RECORD: usize = 1 << 20;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The Diameter server.
    pub diameter: Diameter,
    /// The database.
    pub store: Store,
    /// The record files.
    pub records: Records,
    /// How much is granted at a time.
    pub grants: Grants,
    /// The tariffs.
    pub tariffs: Tariffs,
    /// Where charge records are sent.
    pub accounting: Shipping,
    /// Where charge records are published.
    pub stream: Stream,
    /// Records that other elements send.
    pub accounting_storage: accounting::Config,
    /// How customers are told.
    pub notifications: Notifications,
    /// The service classes.
    pub classes: ClassesFile,
    /// Invoices and settlements.
    pub invoices: crate::invoice::Config,
    /// The accounting manager of peers.
    pub peers: crate::peer::config::Config,
    /// The operator's interface.
    pub admin: Admin,
    /// The same and customers' routes over TCP.
    pub api: api::Config,
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
    /// Whether `listen` may hold addresses without TLS that other hosts reach.
    pub allow_remote: bool,
    /// Our certificate for TLS, with `tls_key` and `tls_ca`.
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// The authorities that sign peers' certificates.
    pub tls_ca: Option<PathBuf>,
    /// Who may connect; empty is everybody who reaches the sockets.
    pub allowed_peers: Vec<AllowedPeer>,
    /// Connections at once.
    pub max_peers: usize,
    /// Seconds of silence before a watchdog.
    pub watchdog_seconds: u64,
}

impl Default for Diameter {
    fn default() -> Self {
        Self {
            origin_host: "chargingd.localdomain".into(),
            origin_realm: "localdomain".into(),
            listen: vec![Address::Unix("/run/tollwire/chargingd.sock".into())],
            allow_remote: false,
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            allowed_peers: Vec::new(),
            max_peers: 256,
            watchdog_seconds: 30,
        }
    }
}

impl Diameter {
    pub(crate) fn tls_keys(&self) -> [Option<&PathBuf>; 3] {
        [&self.tls_certificate, &self.tls_key, &self.tls_ca].map(Option::as_ref)
    }

    fn validate_tls(&self) -> Result<(), Invalid> {
        let addresses = self.listen.iter();
        TlsFiles::validate("diameter", self.tls_keys(), &self.origin_host, addresses)
    }
}

/// `[store]`: a file of our own, or a database of a server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The database file; with neither this nor `url`, [`STORE_PATH`].
    pub path: Option<PathBuf>,
    /// The database of a PostgreSQL server.
    pub url: Option<Url>,
    /// The file with its password.
    pub password_file: Option<PathBuf>,
    /// The authorities that sign the server's certificate.
    pub tls_ca_file: Option<PathBuf>,
    /// How long the server, or the instance that works, may be silent before it counts as lost, seconds.
    pub takeover_seconds: u64,
    /// The part of the subscribers that this instance is for, from 1.
    pub part: u32,
    /// How many parts share the database.
    pub parts: u32,
}

/// The database file, where none is named.
pub const STORE_PATH: &str = "/var/lib/tollwire/chargingd/chargingd.db";

impl Default for Store {
    fn default() -> Self {
        Self {
            path: None,
            url: None,
            password_file: None,
            tls_ca_file: None,
            takeover_seconds: 5,
            part: 1,
            parts: 1,
        }
    }
}

impl Store {
    fn division(&self) -> Result<Division, Invalid> {
        Division::new(self.part, self.parts)
            .map_err(|(key, what)| Invalid::new(format!("store.{key}"), what))
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.takeover_seconds < 2 || self.takeover_seconds > 300 {
            return Err(Invalid::new("store.takeover_seconds", "2 to 300"));
        }
        if self.division()?.is_divided() && self.url.is_none() {
            return Err(Invalid::new(
                "store.parts",
                "is for store.url, which is missing: a file has one part",
            ));
        }
        self.keys().validate()
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            section: "store",
            path: self.path.as_ref(),
            url: self.url.as_ref(),
            password_file: self.password_file.as_ref(),
            tls_ca_file: self.tls_ca_file.as_ref(),
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
            directory: "/var/lib/tollwire/chargingd/records".into(),
            max_bytes: 16_777_216,
            max_age_seconds: 3600,
            csv: true,
            keep_days: 0,
        }
    }
}

/// `[grants]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// The most that one grant gives, seconds.
    pub quantum_seconds: u32,
    /// The most that one grant gives, octets.
    pub quantum_octets: u64,
    /// The most that one grant gives, events.
    pub quantum_events: u64,
    /// When a client of octets or events has to ask again at the latest, seconds.
    pub validity_seconds: u32,
    /// When one that was redirected or restricted has to, seconds.
    pub restricted_seconds: u32,
    /// How long a session of several services may rest without holding anything, seconds.
    pub idle_seconds: u32,
    /// How long a call may ring before its grant begins to count, seconds.
    pub setup_seconds: u32,
    /// How long after the end of a grant its report may come, seconds.
    pub grace_seconds: u32,
    /// How long a closed session is remembered, seconds.
    pub remember_seconds: u32,
    /// How long money stays held for a message whose client falls silent, seconds.
    pub message_hold_seconds: u32,
    /// The most that one event may pay back, micro-units of the account's currency.
    pub max_refund_micro: i64,
    /// Sessions at once.
    pub max_sessions: usize,
    /// Whether post-paid calls go on while we cannot be asked.
    pub postpaid_continues: bool,
}

impl Default for Grants {
    fn default() -> Self {
        let core::Settings {
            quantum_seconds,
            quantum_octets,
            quantum_events,
            validity_seconds,
            restricted_seconds,
            idle_seconds,
            setup_seconds,
            grace_seconds,
            remember_seconds,
            message_hold_seconds,
            max_refund_micro,
            max_sessions,
            postpaid_continues,
        } = core::Settings::default();
        Self {
            quantum_seconds,
            quantum_octets,
            quantum_events,
            validity_seconds,
            restricted_seconds,
            idle_seconds,
            setup_seconds,
            grace_seconds,
            remember_seconds,
            message_hold_seconds,
            max_refund_micro,
            max_sessions,
            postpaid_continues,
        }
    }
}

/// `[tariffs]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tariffs {
    /// The file with the tariffs.
    pub file: PathBuf,
}

impl Default for Tariffs {
    fn default() -> Self {
        Self {
            file: "/etc/tollwire/tariffs.toml".into(),
        }
    }
}

/// `[classes]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassesFile {
    /// The file with the service classes; without it there are none.
    pub file: Option<PathBuf>,
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
            socket: "/run/tollwire/chargingd.admin".into(),
            metrics: None,
        }
    }
}

impl Configuration for Config {
    fn validate(&self) -> Result<(), Invalid> {
        let at_least = |key: &str, value: u64, least: u64| {
            if value < least {
                Err(Invalid::new(
                    key,
                    format!("{value} is too little: at least {least}"),
                ))
            } else {
                Ok(())
            }
        };
        // RFC 3539 3.4.1: Tw is no less than 6 s.
        at_least(
            "diameter.watchdog_seconds",
            self.diameter.watchdog_seconds,
            6,
        )?;
        at_least("records.max_bytes", self.records.max_bytes, 1)?;
        at_least(
            "records.max_age_seconds",
            self.records.max_age_seconds.into(),
            1,
        )?;
        at_least(
            "grants.quantum_seconds",
            self.grants.quantum_seconds.into(),
            1,
        )?;
        for (key, value) in [
            ("grants.quantum_octets", self.grants.quantum_octets),
            ("grants.quantum_events", self.grants.quantum_events),
            (
                "grants.validity_seconds",
                self.grants.validity_seconds.into(),
            ),
            (
                "grants.restricted_seconds",
                self.grants.restricted_seconds.into(),
            ),
            ("grants.idle_seconds", self.grants.idle_seconds.into()),
        ] {
            at_least(key, value, 1)?;
        }
        at_least(
            "grants.message_hold_seconds",
            self.grants.message_hold_seconds.into(),
            1,
        )?;
        if self.grants.max_refund_micro < 0 {
            return Err(Invalid::new("grants.max_refund_micro", "0 or more"));
        }
        at_least("grants.max_sessions", self.grants.max_sessions as u64, 1)?;
        self.diameter.validate_tls()?;
        self.accounting.validate(&self.diameter.origin_host)?;
        self.stream.validate()?;
        self.accounting_storage.validate()?;
        self.store.validate()?;
        self.api.validate()?;
        if let Err((key, what)) = self.invoices.settings() {
            return Err(Invalid::new(format!("invoices.{key}"), what));
        }
        if self.diameter.listen.is_empty() {
            return Err(Invalid::new("diameter.listen", "at least one address"));
        }
        self.peers
            .validate(self.store.url.is_some(), self.diameter.allow_remote)?;
        self.notifications.validate()
    }
}

impl Config {
    /// Where the store is.
    pub fn place(&self) -> Place {
        let uses = Uses {
            // What cannot be was refused when it was read.
            division: self.store.division().unwrap_or_default(),
            ..self.uses(STORE_PATH, None)
        };
        self.store.keys().place(&uses)
    }

    /// Where the accounting storage is.
    pub fn accounting_place(&self) -> Place {
        let uses = self.uses(accounting::PATH, Some(accounting::SCHEMA));
        self.accounting_storage.keys().place(&uses)
    }

    fn uses(&self, default_path: &'static str, schema: Option<&'static str>) -> Uses<'_> {
        Uses {
            default_path,
            schema,
            division: Division::default(),
            takeover: Duration::from_secs(self.store.takeover_seconds),
            origin_host: &self.diameter.origin_host,
        }
    }

    /// The node's part.
    pub fn node(&self) -> NodeConfig {
        NodeConfig {
            origin_host: self.diameter.origin_host.clone(),
            origin_realm: self.diameter.origin_realm.clone(),
            product_name: "Tollwire chargingd".into(),
            auth_application_ids: vec![tollwire_diameter::dictionary::APPLICATION_CREDIT_CONTROL],
            acct_application_ids: (self.accounting_storage.enabled)
                .then_some(tollwire_diameter::dictionary::APPLICATION_BASE_ACCOUNTING)
                .into_iter()
                .collect(),
            listen: self.diameter.listen.clone(),
            allow_remote: self.diameter.allow_remote,
            tls: TlsFiles::of(self.diameter.tls_keys()),
            allowed_peers: self.diameter.allowed_peers.clone(),
            max_peers: self.diameter.max_peers,
            watchdog: Duration::from_secs(self.diameter.watchdog_seconds),
            max_message_size: if self.accounting_storage.enabled {
                LONGEST_RECORD
            } else {
                NodeConfig::default().max_message_size
            },
            ..NodeConfig::default()
        }
    }

    /// The core's part.
    pub fn settings(&self) -> core::Settings {
        let Grants {
            quantum_seconds,
            quantum_octets,
            quantum_events,
            validity_seconds,
            restricted_seconds,
            idle_seconds,
            setup_seconds,
            grace_seconds,
            remember_seconds,
            message_hold_seconds,
            max_refund_micro,
            max_sessions,
            postpaid_continues,
        } = self.grants;
        core::Settings {
            quantum_seconds,
            quantum_octets,
            quantum_events,
            validity_seconds,
            restricted_seconds,
            idle_seconds,
            setup_seconds,
            grace_seconds,
            remember_seconds,
            message_hold_seconds,
            max_refund_micro,
            max_sessions,
            postpaid_continues,
        }
    }

    /// Which record files may be removed.
    pub fn retention(&self) -> Retention {
        Retention {
            directory: self.records.directory.clone(),
            name: "chargingd".into(),
            keep_days: self.records.keep_days,
            shipped: self.accounting.server.is_some(),
            streamed: !self.stream.servers.is_empty(),
        }
    }

    /// The record files' part.
    pub fn record_settings(&self) -> records::Settings {
        records::Settings {
            directory: self.records.directory.clone(),
            name: "chargingd".into(),
            max_bytes: self.records.max_bytes,
            max_age_ms: i64::from(self.records.max_age_seconds) * 1000,
            csv: self.records.csv,
        }
    }

    /// For what sends the records, if they are to be sent.
    pub fn shipping(&self) -> Option<Source> {
        self.accounting.source(
            Kind::Charge,
            "chargingd",
            self.records.directory.clone(),
            &self.diameter.origin_host,
            &self.diameter.origin_realm,
        )
    }

    /// For what publishes the records, if they are to be published.
    pub fn feed(&self) -> Option<Feed> {
        let directory = self.records.directory.clone();
        self.stream
            .feed("chargingd", directory, &self.diameter.origin_host)
    }

    /// Reads tariffs and classes.
    ///
    /// # Errors
    /// File, line and what is wrong.
    pub fn rules(&self) -> Result<core::Rules, String> {
        let classes = match &self.classes.file {
            None => Classes::default(),
            Some(file) => classes(file)?,
        };
        Ok(core::Rules {
            tariffs: rating_table(&self.tariffs.file)?,
            classes,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ClassFile {
    class: Vec<Class>,
}

impl Configuration for ClassFile {}

/// Reads the service classes in `file`: `[[class]]` entries.
///
/// # Errors
/// File, line and what is wrong.
pub fn classes(file: &std::path::Path) -> Result<Classes, String> {
    let content: ClassFile =
        tollwire_runtime::config::load(file).map_err(|error| error.to_string())?;
    Classes::new(content.class).map_err(|fault| format!("{}: {fault}", file.display()))
}

/// Reads the tariffs in `file`, with the rate sheets that it names beside it.
///
/// # Errors
/// File, line and what is wrong.
pub fn rating_table(file: &std::path::Path) -> Result<RatingTable, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let book: Book =
        tollwire_runtime::config::parse(file, &text).map_err(|error| error.to_string())?;
    book.table(&file.display().to_string(), &text, |sheet| {
        let path = file.with_file_name(&sheet.file);
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        Ok((name, text))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use tollwire_runtime::config;

    const SHIPPED: &str = include_str!("../../../conf/chargingd.toml");

    #[test]
    fn the_shipped_file_is_the_default() {
        let shipped: Config = config::parse(Path::new("chargingd.toml"), SHIPPED).unwrap();
        assert_eq!(shipped, Config::default());
    }

    #[test]
    fn the_shipped_tariffs_are_good() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/tariffs.toml");
        assert_eq!(rating_table(&path).unwrap().all().len(), 1);
    }

    #[test]
    fn the_store_is_in_one_place() {
        let parsed = |store: &str| {
            let text = format!("[store]\n{store}\n");
            config::parse::<Config>(Path::new("c.toml"), &text).map_err(|error| error.to_string())
        };
        assert_eq!(parsed("").unwrap().place(), Place::File(STORE_PATH.into()));
        let url = "url = \"postgres://u@db.example/d?sslmode=disable\"";
        assert!(parsed(url).unwrap().place().is_shared());
        let remote = "url = \"postgres://u:secret@db.example/d\"";
        for (store, key) in [
            (format!("{url}\npath = \"/x\""), "store.path"),
            (
                format!("{remote}\ntls_ca_file = \"/x\"\npassword_file = \"/y\""),
                "store.password_file",
            ),
            (remote.to_owned(), "store.tls_ca_file"),
            ("tls_ca_file = \"/x\"".to_owned(), "store.tls_ca_file"),
            ("url = \"postgres://u@h\"".to_owned(), "database"),
            (
                format!("{url}\ntakeover_seconds = 1"),
                "store.takeover_seconds",
            ),
            ("parts = 2".to_owned(), "store.parts"),
            (format!("{url}\npart = 3\nparts = 2"), "store.part:"),
            (format!("{url}\npart = 0"), "store.part:"),
            (format!("{url}\nparts = 0"), "store.parts"),
            (format!("{url}\nparts = 65"), "store.parts"),
        ] {
            let error = parsed(&store).unwrap_err();
            assert!(error.contains(key), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_api_that_would_be_open_to_everybody_is_refused() {
        let fault = |lines: &str| {
            let text = format!("[api]\n{lines}");
            let parsed = config::parse::<Config>(Path::new("c.toml"), &text);
            parsed
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        let tls = "tls_certificate_file = \"c\"\ntls_key_file = \"k\"\n";
        let tokens = "tokens_file = \"t\"\n";
        for (lines, key) in [
            (
                format!("listen = \"192.0.2.1:8443\"\n{tokens}"),
                "api.tls_certificate_file",
            ),
            (
                format!("listen = \"[::]:8443\"\n{tokens}"),
                "api.tls_certificate_file",
            ),
            (
                format!("listen = \"127.0.0.1:8443\"\n{tls}"),
                "api.tokens_file",
            ),
            (
                format!("listen = \"127.0.0.1:1\"\ntls_key_file = \"k\"\n{tokens}"),
                "api.tls_key_file",
            ),
            (
                format!("listen = \"127.0.0.1:1\"\nclient_ca_file = \"a\"\n{tokens}"),
                "api.client_ca_file",
            ),
            (
                format!("listen = \"127.0.0.1:1\"\n{tls}certificates_file = \"a\""),
                "api.certificates_file",
            ),
            ("burst = 0".to_owned(), "api.burst"),
        ] {
            assert!(fault(&lines).contains(key), "{lines}: {}", fault(&lines));
        }
        for lines in [
            format!("listen = \"127.0.0.1:8080\"\n{tokens}"),
            format!("listen = \"[::]:8443\"\n{tls}{tokens}"),
            format!(
                "listen = \"[::]:8443\"\n{tls}client_ca_file = \"a\"\ncertificates_file = \"b\""
            ),
        ] {
            assert_eq!(fault(&lines), "", "{lines}");
        }
    }

    #[test]
    fn what_cannot_work_is_named_with_its_line() {
        let changed = SHIPPED.replace("watchdog_seconds = 30", "watchdog_seconds = 5");
        let error = config::parse::<Config>(Path::new("c.toml"), &changed).unwrap_err();
        let line = changed
            .lines()
            .position(|line| line.starts_with("watchdog"))
            .unwrap()
            + 1;
        assert_eq!(
            error.to_string(),
            format!("c.toml:{line}: diameter.watchdog_seconds: 5 is too little: at least 6")
        );
    }
}
