//! `[peers]`; `conf/chargingd.toml` explains each key.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde::Deserialize;
use tokio::sync::mpsc::Sender;
use tollwire_peer::TimeOfDay;
use tollwire_runtime::config::Invalid;
use tollwire_runtime::diameter::TlsFiles;
use tollwire_web::{client, server};

use super::gate::{GateConfig, LinkConfig, Tolerance};
use super::manager::{Charge, Setup};
use super::measure::RatingGroups;
use super::ro::Parties;
use super::session::{GateTerms, Terms};
use super::settings::Offer;

/// Services that a list may have.
const MOST_SERVICES: usize = 64;
/// Octets of a text.
const LONGEST: usize = 512;

/// `[peers]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether this is an accounting manager.
    pub enabled: bool,
    /// The manager's certificate, with those that lead to a root, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// Who vouches for users and providers, PEM.
    pub roots: Option<PathBuf>,
    /// Lists of revoked certificates, PEM.
    pub crls: Vec<PathBuf>,
    /// The file of the sessions.
    pub database: PathBuf,
    /// How far the clocks of two parties may be apart, seconds.
    pub skew_seconds: u32,
    /// How much longer than its policy a provider may be silent, seconds.
    pub grace_seconds: u32,
    /// Sessions at once.
    pub max_sessions: usize,
    /// Of them one user's.
    pub max_sessions_per_user: usize,
    /// Requests of one user in a second.
    pub user_requests_per_second: u32,
    /// And at once.
    pub user_burst: u32,
    /// Accounting messages of one provider in a second.
    pub provider_messages_per_second: u32,
    /// And at once.
    pub provider_burst: u32,
    /// What a provider may report beyond what passed his gate, octets.
    pub gate_tolerance_octets: u64,
    /// And of what passed, percent.
    pub gate_tolerance_percent: u32,
    /// The pause before something is tried again.
    pub retry_first_ms: u32,
    /// It doubles up to this.
    pub retry_most_ms: u32,
    /// Days that sessions are kept after their end.
    pub keep_days: u32,
    /// Where users and providers come.
    pub web: server::Config,
    /// How providers are called.
    pub client: client::Config,
    /// What is sold.
    pub service: Vec<Service>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            certificate: None,
            key: None,
            roots: None,
            crls: Vec::new(),
            database: "/var/lib/tollwire/chargingd/peers.db".into(),
            skew_seconds: 60,
            grace_seconds: 30,
            max_sessions: 100_000,
            max_sessions_per_user: 100,
            user_requests_per_second: 10,
            user_burst: 50,
            provider_messages_per_second: 200,
            provider_burst: 2000,
            gate_tolerance_octets: 15_000,
            gate_tolerance_percent: 1,
            retry_first_ms: 500,
            retry_most_ms: 30_000,
            keep_days: 90,
            web: server::Config::default(),
            client: client::Config::default(),
            service: Vec::new(),
        }
    }
}

/// `[[peers.service]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What it is asked for by.
    pub name: String,
    /// For people.
    pub title: String,
    /// The name in its provider's certificate.
    pub provider: String,
    /// That certificate, PEM: session keys are encrypted to it.
    pub certificate: PathBuf,
    /// Where users find it.
    pub address: String,
    /// Where the provider takes credentials.
    pub credentials_url: String,
    /// The Rating-Groups of what is charged.
    pub measures: RatingGroups,
    /// For people.
    #[serde(default)]
    pub price: String,
    /// How long a credential is good for.
    #[serde(default = "hour")]
    pub lifetime_seconds: u32,
    /// When it may be used; empty is always.
    #[serde(default)]
    pub times_of_day: Vec<TimeOfDay>,
    /// Requests that one credential is good for.
    #[serde(default)]
    pub max_requests: Option<u32>,
    /// Whether requests may come from other addresses than that of the request.
    #[serde(default)]
    pub address_change: bool,
    /// The pace of accounting messages.
    #[serde(default = "minute")]
    pub max_seconds_between_messages: u32,
    /// The pinhole that it is used through.
    #[serde(default)]
    pub gate: Option<GateConfig>,
}

fn hour() -> u32 {
    3600
}

fn minute() -> u32 {
    60
}

fn invalid<T>(key: impl Into<String>, what: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid::new(key, what))
}

impl Config {
    /// What cannot work. `store_is_shared`: accounts are in a database of a server.
    ///
    /// # Errors
    /// The key, and what to do.
    pub fn validate(&self, store_is_shared: bool, allow_remote: bool) -> Result<(), Invalid> {
        if !self.enabled {
            return Ok(());
        }
        if store_is_shared {
            return invalid(
                "peers.enabled",
                "needs store.path: sessions of peers are in a file of this host, and accounts in a database at store.url may be \
                 another instance's",
            );
        }
        for (key, value, what) in [
            (
                "certificate",
                &self.certificate,
                "the manager's certificate",
            ),
            ("key", &self.key, "the key of peers.certificate"),
            (
                "roots",
                &self.roots,
                "the authorities of users and providers",
            ),
        ] {
            if value.is_none() {
                return invalid(format!("peers.{key}"), format!("is missing: {what}, PEM"));
            }
        }
        for (key, value, most) in [
            ("skew_seconds", self.skew_seconds, 3600),
            ("grace_seconds", self.grace_seconds, 86_400),
            (
                "user_requests_per_second",
                self.user_requests_per_second,
                1_000_000,
            ),
            ("user_burst", self.user_burst, 1_000_000),
            (
                "provider_messages_per_second",
                self.provider_messages_per_second,
                1_000_000,
            ),
            ("provider_burst", self.provider_burst, 1_000_000),
            ("retry_first_ms", self.retry_first_ms, 600_000),
            ("retry_most_ms", self.retry_most_ms, 3_600_000),
        ] {
            if value == 0 || value > most {
                return invalid(format!("peers.{key}"), format!("1 to {most}"));
            }
        }
        if self.gate_tolerance_percent > 100 {
            return invalid("peers.gate_tolerance_percent", "0 to 100");
        }
        if self.retry_most_ms < self.retry_first_ms {
            return invalid("peers.retry_most_ms", "is less than retry_first_ms");
        }
        for (key, value) in [
            ("max_sessions", self.max_sessions),
            ("max_sessions_per_user", self.max_sessions_per_user),
        ] {
            if value == 0 || value > 1_000_000 {
                return invalid(format!("peers.{key}"), "1 to 1000000");
            }
        }
        self.web.validate("peers.web")?;
        self.client.validate("peers.client")?;
        if self.service.is_empty() {
            return invalid(
                "peers.service",
                "is missing: a manager without services is of no use",
            );
        }
        if self.service.len() > MOST_SERVICES {
            return invalid("peers.service", format!("at most {MOST_SERVICES}"));
        }
        let mut names = HashSet::new();
        for service in &self.service {
            service.validate(allow_remote)?;
            if !names.insert(&service.name) {
                return invalid(
                    "peers.service.name",
                    format!("{:?} stands twice", service.name),
                );
            }
        }
        Ok(())
    }

    /// What credentials are given for.
    pub fn offers(&self) -> HashMap<Box<str>, Offer> {
        let offers = self.service.iter().map(|service| {
            let terms = service.terms(Tolerance {
                octets: self.gate_tolerance_octets,
                percent: self.gate_tolerance_percent,
            });
            let lifetime_seconds = service.lifetime_seconds;
            (
                service.name.as_str().into(),
                Offer {
                    terms,
                    lifetime_seconds,
                },
            )
        });
        offers.collect()
    }
}

impl Service {
    fn validate(&self, allow_remote: bool) -> Result<(), Invalid> {
        let wrong = |key: &str, what: &str| {
            invalid(
                format!("peers.service.{key}"),
                format!("{:?}: {what}", self.name),
            )
        };
        for (key, text) in [
            ("name", &self.name),
            ("title", &self.title),
            ("provider", &self.provider),
        ] {
            if text.is_empty() || text.len() > LONGEST || text.contains(char::is_control) {
                return wrong(key, "1 to 512 octets without control characters");
            }
        }
        if self.price.len() > LONGEST {
            return wrong("price", "at most 512 octets");
        }
        let is_url = |url: &str, schemes: &[&str]| {
            let rest = schemes
                .iter()
                .find_map(|scheme| url.strip_prefix(scheme)?.strip_prefix("://"));
            url.len() <= LONGEST
                && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        };
        if !is_url(&self.address, &["https", "http", "udp"]) {
            return wrong("address", "https://..., http://... or udp://IP:PORT");
        }
        if !is_url(&self.credentials_url, &["https", "http"])
            || self.credentials_url.contains(['?', '#'])
        {
            return wrong(
                "credentials_url",
                "https://... or http://..., without a query",
            );
        }
        let groups: Vec<u32> = self.measures.all().map(|(_, group)| group).collect();
        let different: HashSet<&u32> = groups.iter().collect();
        if groups.is_empty() {
            return wrong(
                "measures",
                "one of time, octets and requests, with its Rating-Group",
            );
        }
        if different.len() < groups.len() {
            return wrong("measures", "each needs a Rating-Group of its own");
        }
        // A month and a day.
        for (key, value, most) in [
            ("lifetime_seconds", self.lifetime_seconds, 2_678_400),
            (
                "max_seconds_between_messages",
                self.max_seconds_between_messages,
                86_400,
            ),
        ] {
            if value == 0 || value > most {
                return wrong(key, &format!("1 to {most}"));
            }
        }
        if self.max_requests == Some(0) {
            return wrong("max_requests", "at least 1; left out, as many as like to");
        }
        if self.times_of_day.len() > 32 {
            return wrong("times_of_day", "at most 32");
        }
        if let Some(fault) = self.times_of_day.iter().find_map(|it| it.validate().err()) {
            return wrong("times_of_day", &fault.detail);
        }
        let Some(gate) = &self.gate else {
            return Ok(());
        };
        if self.address_change {
            return wrong(
                "address_change",
                "not with a gate, which is for one address alone",
            );
        }
        gate.validate("peers.service.gate", allow_remote)
    }

    fn terms(&self, tolerance: Tolerance) -> Terms {
        Terms {
            service: self.name.as_str().into(),
            provider: self.provider.as_str().into(),
            address: self.address.as_str().into(),
            credentials_url: self.credentials_url.trim_end_matches('/').into(),
            rating_groups: self.measures,
            max_seconds_between_messages: self.max_seconds_between_messages,
            max_requests: self.max_requests,
            address_change: self.address_change,
            times_of_day: self.times_of_day.clone(),
            gate: self.gate.as_ref().map(|gate| GateTerms {
                pinholed: gate.pinholed.clone(),
                address: gate.address,
                tolerance,
            }),
        }
    }
}

impl crate::config::Config {
    /// Who the accounting manager is to the charging core.
    pub fn peers_parties(&self) -> Parties {
        Parties {
            origin_host: format!("peers.{}", self.diameter.origin_host),
            origin_realm: self.diameter.origin_realm.clone(),
        }
    }

    /// For the accounting manager, if there is to be one; it asks the charging core by `charge`.
    pub(crate) fn peers_setup(&self, charge: Sender<Charge>) -> Option<Setup> {
        let parties = self.peers_parties();
        self.peers.enabled.then(|| Setup {
            config: self.peers.clone(),
            link: LinkConfig {
                origin_host: parties.origin_host.clone(),
                origin_realm: parties.origin_realm.clone(),
                tls: TlsFiles::of(self.diameter.tls_keys()),
                allow_remote: self.diameter.allow_remote,
            },
            parties,
            charge,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "name = \"weather\"\ntitle = \"Weather\"\nprovider = \"provider.example\"\ncertificate = \"p.pem\"\n\
         address = \"https://provider.example/weather\"\ncredentials_url = \"https://provider.example/\"\n";
    const MANAGER: &str =
        "enabled = true\ncertificate = \"m.pem\"\nkey = \"m.key\"\nroots = \"r.pem\"\n";

    fn fault(manager: &str, service: &str) -> String {
        let text = format!("{manager}[web]\nlisten = \"127.0.0.1:1\"\n[[service]]\n{service}");
        let config: Config = toml::from_str(&text).unwrap();
        let fault = config.validate(false, false).err();
        fault
            .map(|it| format!("{}: {}", it.key, it.what))
            .unwrap_or_default()
    }

    #[test]
    fn what_cannot_work_is_named() {
        let measures = "measures = { requests = 1 }\n";
        let good = format!("{SERVICE}{measures}");
        assert_eq!(fault(MANAGER, &good), "");
        for (line, key) in [
            ("certificate = \"m.pem\"\n", "peers.certificate"),
            ("key = \"m.key\"\n", "peers.key"),
            ("roots = \"r.pem\"\n", "peers.roots"),
        ] {
            let without = MANAGER.replace(line, "");
            assert!(fault(&without, &good).starts_with(key), "{key}");
        }
        for (line, key) in [
            ("skew_seconds = 0", "peers.skew_seconds"),
            ("max_sessions = 0", "peers.max_sessions"),
            (
                "retry_first_ms = 20\nretry_most_ms = 10",
                "peers.retry_most_ms",
            ),
        ] {
            let manager = format!("{MANAGER}{line}\n");
            assert!(fault(&manager, &good).starts_with(key), "{key}");
        }
        let gate = "gate = { pinholed = \"unix:/p\", address = \"192.0.2.1:5000\" }";
        for (line, key) in [
            ("measures = {}".to_owned(), "peers.service.measures"),
            (
                "measures = { time = 1, octets = 1 }".into(),
                "peers.service.measures",
            ),
            (
                format!("{measures}lifetime_seconds = 0"),
                "peers.service.lifetime_seconds",
            ),
            (
                format!("{measures}max_requests = 0"),
                "peers.service.max_requests",
            ),
            (
                format!(
                    "{measures}times_of_day = [{{ from = \"8\", to = \"9\", time_zone = \"UTC\" }}]"
                ),
                "peers.service.times_of_day",
            ),
            (
                format!("{measures}address_change = true\n{gate}"),
                "peers.service.address_change",
            ),
            (
                format!("{measures}{}", gate.replace("192.0.2.1", "127.0.0.1")),
                "peers.service.gate.address",
            ),
        ] {
            let fault = fault(MANAGER, &format!("{SERVICE}{line}\n"));
            assert!(fault.starts_with(key), "{line}: {fault}");
        }
        let twice = format!("{good}[[service]]\n{good}");
        assert!(fault(MANAGER, &twice).starts_with("peers.service.name"));
        let shared: Config =
            toml::from_str(&format!("{MANAGER}[web]\nlisten = \"127.0.0.1:1\"")).unwrap();
        assert_eq!(
            shared.validate(true, false).unwrap_err().key,
            "peers.enabled"
        );
        assert!(Config::default().validate(true, false).is_ok());
    }
}
