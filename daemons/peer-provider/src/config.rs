//! `[peers]`: conf/shopd.toml says what each option is for.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use serde::Deserialize;
use tollwire_peer::{Identity, LONGEST_TEXT};
use tollwire_runtime::config::Invalid;
use tollwire_web::client;

use crate::core::Settings;

/// Whom we trust, and who we are: read again at SIGHUP.
pub(crate) struct Files {
    pub(crate) identity: Identity,
    pub(crate) trust: tollwire_jose::Trust,
}

/// A provider of services to users of accounting managers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether there is one.
    pub enabled: bool,
    /// `credentials`, `revocations` and `sessions` are below this path.
    pub path: String,
    /// The provider's certificate with what it is signed by, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM (PKCS #8).
    pub key: PathBuf,
    /// Certificates of authorities that sign managers' certificates, PEM.
    pub roots: PathBuf,
    /// Their lists of revoked certificates, PEM.
    pub crls: Vec<PathBuf>,
    /// Where sessions and messages are kept.
    pub database: PathBuf,
    /// How far other clocks may be from ours.
    pub skew_seconds: u32,
    /// Sessions at once.
    pub max_sessions: usize,
    /// Requests of one session at once.
    pub max_requests_at_once: usize,
    /// Requests in twice `skew_seconds`, of all sessions: so many nonces are remembered.
    pub max_nonces: u64,
    /// How long a request waits for more to be granted.
    pub wait_seconds: u32,
    /// What is used is stored at least so often,
    pub checkpoint_seconds: u32,
    /// and no more octets than this pass before they are stored.
    pub checkpoint_octets: u64,
    /// How long a session may be open without being used; 0: as long as it lives.
    pub idle_seconds: u32,
    /// How long a manager may be silent beyond the pace of messages.
    pub lost_seconds: u32,
    /// The first pause before a message is sent again, and the longest.
    pub retry_seconds: u32,
    /// The longest.
    pub max_retry_seconds: u32,
    /// Messages that are sent at once.
    pub max_posts: usize,
    /// How long a server behind a service may take to answer, and be silent.
    pub upstream_seconds: u64,
    /// How long after their lifetime sessions are kept: those that are over for the list, others to be told.
    pub keep_days: u32,
    /// How managers are called.
    pub client: Calls,
    /// Managers that may send users.
    pub manager: Vec<Manager>,
    /// Services over HTTP.
    pub service: Vec<Service>,
    /// Services by datagrams.
    pub udp: Vec<Udp>,
}

/// How managers are called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Authorities that sign their servers' certificates (TLS), PEM; those of the system if absent.
    pub trust_file: Option<PathBuf>,
    /// How long a request may take.
    pub timeout_seconds: u64,
}

/// A manager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manager {
    /// The name in its certificate.
    pub name: String,
    /// Its base URL: messages go to `accounting` below it.
    pub url: String,
}

/// A service over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name, which managers know it by.
    pub name: String,
    /// Our path: what is below it is the service.
    pub path: String,
    /// Where it is: what is below our path is fetched below this URL.
    pub upstream: String,
}

/// A service by datagrams.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Udp {
    /// Its name, which managers know it by.
    pub name: String,
    /// Where users' datagrams come.
    pub listen: SocketAddr,
    /// Where they go.
    pub upstream: SocketAddr,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            trust_file: None,
            timeout_seconds: 10,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/peers".into(),
            certificate: "/etc/tollwire/peers/provider.pem".into(),
            key: "/etc/tollwire/peers/provider.key".into(),
            roots: "/etc/tollwire/peers/root.pem".into(),
            crls: Vec::new(),
            database: "/var/lib/tollwire/shopd/peers.db".into(),
            skew_seconds: 60,
            max_sessions: 10_000,
            max_requests_at_once: 16,
            max_nonces: 200_000,
            wait_seconds: 5,
            checkpoint_seconds: 5,
            checkpoint_octets: 1 << 20,
            idle_seconds: 300,
            lost_seconds: 30,
            retry_seconds: 1,
            max_retry_seconds: 60,
            max_posts: 16,
            upstream_seconds: 30,
            keep_days: 30,
            client: Calls::default(),
            manager: Vec::new(),
            service: Vec::new(),
            udp: Vec::new(),
        }
    }
}

/// Whether a path begins with a slash and has nothing in it that is spelled in two ways, or taken for a step up.
fn is_plain(path: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'~');
    path.strip_prefix('/').is_some_and(|rest| {
        (rest.split('/'))
            .all(|part| !part.is_empty() && !matches!(part, "." | "..") && part.bytes().all(plain))
    })
}

/// `http` or `https`, a host, and no user, query or fragment.
fn url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let fits = matches!(uri.scheme_str(), Some("http" | "https"))
        && !authority.is_empty()
        && !authority.contains('@')
        && uri.query().is_none()
        && !text.contains('#');
    fits.then_some(uri)
}

impl Config {
    /// What cannot work; `table` is the name of this table. Its files are read.
    ///
    /// # Errors
    /// The key, and what to do.
    pub fn validate(&self, table: &str) -> Result<(), Invalid> {
        let invalid = |key: &str, what: &str| Err(Invalid::new(format!("{table}.{key}"), what));
        for (key, value, least, most) in [
            ("skew_seconds", u64::from(self.skew_seconds), 1, 3_600),
            ("max_sessions", self.max_sessions as u64, 1, 1_000_000),
            (
                "max_requests_at_once",
                self.max_requests_at_once as u64,
                1,
                10_000,
            ),
            ("max_nonces", self.max_nonces, 100, 100_000_000),
            ("wait_seconds", self.wait_seconds.into(), 0, 60),
            (
                "checkpoint_seconds",
                self.checkpoint_seconds.into(),
                1,
                3_600,
            ),
            ("checkpoint_octets", self.checkpoint_octets, 1_024, 1 << 40),
            ("idle_seconds", self.idle_seconds.into(), 0, 1_000_000),
            ("lost_seconds", self.lost_seconds.into(), 1, 1_000_000),
            ("retry_seconds", self.retry_seconds.into(), 1, 3_600),
            (
                "max_retry_seconds",
                self.max_retry_seconds.into(),
                self.retry_seconds.into(),
                86_400,
            ),
            ("max_posts", self.max_posts as u64, 1, 1_000),
            ("upstream_seconds", self.upstream_seconds, 1, 3_600),
            ("keep_days", self.keep_days.into(), 1, 36_500),
            (
                "client.timeout_seconds",
                self.client.timeout_seconds,
                1,
                600,
            ),
        ] {
            if !(least..=most).contains(&value) {
                return invalid(key, &format!("from {least} to {most}"));
            }
        }
        if !is_plain(&self.path) {
            return invalid("path", "a path without a slash at its end: \"/peers\"");
        }
        self.check_managers(table)?;
        self.check_services(table)?;
        if !self.enabled {
            return Ok(());
        }
        if self.manager.is_empty() {
            return invalid("manager", "none: name one that sends users, with its url");
        }
        if self.service.is_empty() && self.udp.is_empty() {
            return invalid("service", "none, and no udp: name what is to be had");
        }
        self.files(table).map(drop)
    }

    fn check_managers(&self, table: &str) -> Result<(), Invalid> {
        let invalid = |what: &str| Err(Invalid::new(format!("{table}.manager"), what));
        let mut names = HashSet::new();
        for manager in &self.manager {
            if manager.name.is_empty() || manager.name.len() > LONGEST_TEXT {
                return invalid("name: the first URI or DNS name in its certificate");
            }
            if !names.insert(&manager.name) {
                return invalid("name: one is there twice");
            }
            if url(&manager.url).is_none() {
                return invalid("url: its base URL, https://manager.example:8443");
            }
        }
        Ok(())
    }

    fn check_services(&self, table: &str) -> Result<(), Invalid> {
        let invalid = |key: &str, what: &str| Err(Invalid::new(format!("{table}.{key}"), what));
        let mut names = HashSet::new();
        for (key, name) in (self.service.iter().map(|it| ("service", &it.name)))
            .chain(self.udp.iter().map(|it| ("udp", &it.name)))
        {
            if name.is_empty() || name.len() > LONGEST_TEXT {
                return invalid(key, "name: what managers know it by");
            }
            if !names.insert(name) {
                return invalid(key, "name: one is there twice");
            }
        }
        for service in &self.service {
            let path = service.path.strip_suffix('/').filter(|path| is_plain(path));
            if path.is_none() {
                return invalid(
                    "service",
                    "path: one with a slash at its end: \"/weather/\"",
                );
            }
            let own = format!("{}/", self.path);
            let others = (self.service.iter())
                .filter(|other| other.name != service.name)
                .map(|other| &other.path)
                .chain([&own]);
            for other in others {
                if other.starts_with(&service.path) || service.path.starts_with(other.as_str()) {
                    return invalid("service", "path: below another, or above");
                }
            }
            let below = url(&service.upstream).filter(|_| service.upstream.ends_with('/'));
            if below.is_none() {
                return invalid(
                    "service",
                    "upstream: a URL with a slash at its end: \"http://127.0.0.1:9000/\"",
                );
            }
        }
        let mut listening = HashSet::new();
        for udp in &self.udp {
            if udp.upstream.port() == 0 || udp.upstream.ip().is_unspecified() {
                return invalid("udp", "upstream: an address and port");
            }
            if udp.listen.port() != 0 && !listening.insert(udp.listen) {
                return invalid("udp", "listen: one is there twice");
            }
        }
        Ok(())
    }

    /// Reads certificate, key, roots and lists.
    pub(crate) fn files(&self, table: &str) -> Result<Files, Invalid> {
        let read = |key: &str, path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| {
                let what = format!("{}: {error}", path.display());
                Invalid::new(format!("{table}.{key}"), what)
            })
        };
        let wrong = |key: &str, path: &PathBuf, error: &dyn std::fmt::Display| {
            let what = format!("{}: {error}", path.display());
            Invalid::new(format!("{table}.{key}"), what)
        };
        let chain = read("certificate", &self.certificate)?;
        let identity = Identity::from_pem(&chain, &read("key", &self.key)?)
            .map_err(|error| wrong("certificate", &self.certificate, &error))?;
        let roots = read("roots", &self.roots)?;
        let lists = (self.crls.iter())
            .map(|path| read("crls", path))
            .collect::<Result<Vec<_>, _>>()?;
        let trust = tollwire_jose::Trust::new(&roots, lists.iter().map(String::as_str))
            .map_err(|error| wrong("roots", &self.roots, &error))?;
        Ok(Files { identity, trust })
    }

    /// How long sessions are kept after their lifetime.
    pub(crate) fn keep_ms(&self) -> i64 {
        i64::from(self.keep_days) * 86_400_000
    }

    /// As sessions have them.
    pub(crate) fn settings(&self) -> Settings {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Settings {
            checkpoint: seconds(self.checkpoint_seconds),
            checkpoint_octets: self.checkpoint_octets,
            lost: seconds(self.lost_seconds),
            idle: (self.idle_seconds > 0).then(|| seconds(self.idle_seconds)),
            retry: seconds(self.retry_seconds),
            longest_retry: seconds(self.max_retry_seconds),
            give_up: Duration::from_secs(u64::from(self.keep_days) * 86_400),
            most: self.max_sessions,
            most_under_way: self.max_requests_at_once,
        }
    }

    /// The operator says where managers and services are: they may be anywhere.
    fn anywhere(&self, timeout_seconds: u64) -> client::Config {
        client::Config {
            trust_file: self.client.trust_file.clone(),
            timeout_seconds,
            allow_private: true,
            allow_http: true,
            ..client::Config::default()
        }
    }

    /// For managers.
    pub(crate) fn managers(&self) -> client::Config {
        self.anywhere(self.client.timeout_seconds)
    }

    /// For what is behind services.
    pub(crate) fn upstream(&self) -> client::Config {
        self.anywhere(self.upstream_seconds)
    }
}
