//! Configuration of `billd`; `conf/billd.toml` explains each key.

mod agreement;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tollwire_invoice::BillingServer;
use tollwire_jose::SigningKey;
use tollwire_runtime::config::{Configuration, Invalid};
use tollwire_runtime::diameter::{Address, NodeConfig, PeerConfig, Servers, TlsFiles};

use crate::guard;
use crate::ro::Parties;
use crate::settings::Settings;

pub use agreement::Agreement;
pub use server::{
    AccountType, Billing, Operator, PhoneBill, PhoneNetwork, PhonePrefix, Proxy, Settling,
};

/// The Diameter peer's name.
pub const CHARGING: &str = "charging";

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What customers and shops see.
    pub billing: Billing,
    /// Where to listen.
    pub web: Web,
    /// Who is paid under which name.
    pub agreements: Vec<Agreement>,
    /// Invoices that are handed on.
    pub proxy: Proxy,
    /// Customers that are known by their network or number.
    pub phone_bill: PhoneBill,
    /// Passwords and PINs.
    pub secrets: Secrets,
    /// What shops are sent.
    pub acknowledgement: Acknowledgement,
    /// How shops and other billing servers are called.
    pub client: tollwire_web::client::Config,
    /// Payments on disk.
    pub store: Store,
    /// Bounds.
    pub limits: Limits,
    /// The link to charging.
    pub diameter: Diameter,
    /// Where we advertise ourselves, and find others.
    pub slp: Slp,
    /// The operator's interface.
    pub admin: Admin,
}

/// `[web]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Web(pub tollwire_web::server::Config);

impl Default for Web {
    fn default() -> Self {
        Self(tollwire_web::server::Config {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 8443))),
            tls_certificate_file: Some("/var/lib/tollwire/billd/tls.pem".into()),
            tls_key_file: Some("/var/lib/tollwire/billd/tls.key".into()),
            self_signed_names: vec!["localhost".into()],
            ..tollwire_web::server::Config::default()
        })
    }
}

/// `[secrets]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// Memory of one hash, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Hashes that are computed at once.
    pub at_once: usize,
    /// That may wait for it.
    pub waiting: usize,
    /// Wrong ones in a row of a customer before he waits.
    pub wrong_per_customer: u32,
    /// Wrong ones from one source before it waits.
    pub wrong_per_source: u32,
    /// The first wait.
    pub first_wait_ms: u32,
    /// The longest wait.
    pub longest_wait_seconds: u32,
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
            at_once: 2,
            waiting: 2048,
            wrong_per_customer: 5,
            wrong_per_source: 20,
            first_wait_ms: 1000,
            longest_wait_seconds: 900,
        }
    }
}

/// `[acknowledgement]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acknowledgement {
    /// The key that signs; made if it is not there.
    pub key_file: PathBuf,
    /// How long a shop may take one.
    pub lifetime_hours: u32,
    /// The first wait before one is sent again.
    pub first_wait_ms: u32,
    /// The longest wait.
    pub longest_wait_seconds: u32,
    /// Sent at once.
    pub at_once: usize,
    /// Of those, to one host.
    pub at_once_per_host: usize,
}

impl Default for Acknowledgement {
    fn default() -> Self {
        Self {
            key_file: "/var/lib/tollwire/billd/acknowledgement.key".into(),
            lifetime_hours: 168,
            first_wait_ms: 1000,
            longest_wait_seconds: 600,
            at_once: 64,
            at_once_per_host: 8,
        }
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The database.
    pub file: PathBuf,
    /// The key of forms and cookies; made if it is not there.
    pub form_key_file: PathBuf,
    /// How long payments that are over are remembered.
    pub keep_days: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            file: "/var/lib/tollwire/billd/billd.db".into(),
            form_key_file: "/var/lib/tollwire/billd/forms.key".into(),
            keep_days: 400,
        }
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Payments that are not over.
    pub open_payments: usize,
    /// How long a browser waits for the charging system.
    pub answer_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_payments: 20_000,
            answer_seconds: 20,
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
    /// Where the charging system listens: one server, or several of which one works.
    pub charging: Servers,
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
    /// The first wait before an unanswered charge is asked for again.
    pub first_wait_ms: u32,
    /// The longest wait.
    pub longest_wait_seconds: u32,
}

impl Default for Diameter {
    fn default() -> Self {
        Self {
            origin_host: "billd.localdomain".into(),
            origin_realm: "localdomain".into(),
            charging: Address::Unix("/run/tollwire/chargingd.sock".into()).into(),
            charging_realm: "localdomain".into(),
            allow_remote: false,
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            request_timeout_ms: 5000,
            watchdog_seconds: 30,
            first_wait_ms: 1000,
            longest_wait_seconds: 60,
        }
    }
}

impl Diameter {
    fn tls_keys(&self) -> [Option<&PathBuf>; 3] {
        [&self.tls_certificate, &self.tls_key, &self.tls_ca].map(Option::as_ref)
    }
}

/// `[slp]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slp {
    /// Whether we are advertised.
    pub advertise: bool,
    /// For how long at once.
    pub lifetime_seconds: u16,
    /// How we register, and find others.
    pub agent: tollwire_slp_agent::Settings,
}

impl Default for Slp {
    fn default() -> Self {
        Self {
            advertise: true,
            lifetime_seconds: 600,
            agent: tollwire_slp_agent::Settings::default(),
        }
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
            socket: "/run/tollwire/billd.admin".into(),
            metrics: None,
        }
    }
}

impl Configuration for Config {
    fn validate(&self) -> Result<(), Invalid> {
        let refuse = |key: &str, what: &str| Err(Invalid::new(key, what));
        self.billing.validate()?;
        self.web.0.validate("web")?;
        if !(8..=1 << 20).contains(&self.secrets.memory_kib)
            || !(1..=64).contains(&self.secrets.passes)
        {
            return refuse("secrets.memory_kib", "8 to 1048576, and `passes` 1 to 64");
        }
        if !(1..=64).contains(&self.secrets.at_once)
            || !(1..=100_000).contains(&self.secrets.waiting)
        {
            return refuse("secrets.at_once", "1 to 64, and `waiting` 1 to 100000");
        }
        if self.secrets.wrong_per_customer == 0 || self.secrets.wrong_per_source == 0 {
            return refuse(
                "secrets.wrong_per_customer",
                "1 or more, and so is `wrong_per_source`",
            );
        }
        if self.secrets.first_wait_ms == 0 || self.secrets.longest_wait_seconds == 0 {
            return refuse(
                "secrets.first_wait_ms",
                "1 or more, and so is `longest_wait_seconds`",
            );
        }
        if !(1..=8760).contains(&self.acknowledgement.lifetime_hours) {
            return refuse("acknowledgement.lifetime_hours", "1 to 8760");
        }
        if self.acknowledgement.at_once == 0 || self.acknowledgement.at_once_per_host == 0 {
            return refuse(
                "acknowledgement.at_once",
                "1 or more, and so is `at_once_per_host`",
            );
        }
        if self.acknowledgement.first_wait_ms == 0 {
            return refuse("acknowledgement.first_wait_ms", "1 or more");
        }
        self.client.validate("client")?;
        // An invoice lives a week at the most: one that is forgotten has expired.
        if self.store.keep_days < 30 {
            return refuse("store.keep_days", "30 or more");
        }
        if self.limits.open_payments == 0 || self.limits.answer_seconds == 0 {
            return refuse(
                "limits.open_payments",
                "1 or more, and so is `answer_seconds`",
            );
        }
        if self.slp.lifetime_seconds < 30 {
            return refuse("slp.lifetime_seconds", "30 or more");
        }
        TlsFiles::validate(
            "diameter",
            self.diameter.tls_keys(),
            &self.diameter.origin_host,
            self.diameter.charging.addresses(),
        )?;
        self.proxy.validate(&self.billing)?;
        self.phone_bill.validate(&self.billing)?;
        for agreement in &self.agreements {
            agreement.validate()?;
        }
        agreement::all(&self.agreements)
            .map(drop)
            .map_err(|what| Invalid::new("agreements", what))
    }
}

impl Config {
    /// What the core goes by.
    pub fn settings(&self, key: Arc<SigningKey>) -> Result<Settings, String> {
        let milliseconds = |seconds: u32| i64::from(seconds) * 1000;
        Ok(Settings {
            url: self.billing.url.trim_end_matches('/').into(),
            thumbprint: key.public().thumbprint().into(),
            key,
            fee: self.billing.fee(),
            currencies: self.billing.currencies.clone(),
            minimum_micro: self.billing.minimum_micro,
            maximum_micro: self.billing.maximum_micro,
            agreement_required: self.billing.agreement_required,
            agreements: agreement::all(&self.agreements)?,
            acknowledgement_seconds: i64::from(self.acknowledgement.lifetime_hours) * 3600,
            max_open: self.limits.open_payments,
            max_posts: self.acknowledgement.at_once,
            max_posts_per_host: self.acknowledgement.at_once_per_host,
            post_first_ms: self.acknowledgement.first_wait_ms.into(),
            post_most_ms: milliseconds(self.acknowledgement.longest_wait_seconds),
            credit_first_ms: self.diameter.first_wait_ms.into(),
            credit_most_ms: milliseconds(self.diameter.longest_wait_seconds),
        })
    }

    /// When wrong passwords cost time.
    pub fn guard(&self) -> guard::Limits {
        guard::Limits {
            per_customer: self.secrets.wrong_per_customer,
            per_source: self.secrets.wrong_per_source,
            first_ms: self.secrets.first_wait_ms.into(),
            most_ms: i64::from(self.secrets.longest_wait_seconds) * 1000,
            remembered: 65_536,
        }
    }

    /// Whether invoices may be handed on to other billing servers.
    pub fn hands_on(&self) -> bool {
        let networks = self.phone_bill.networks.iter();
        let prefixes = self.phone_bill.prefixes.iter();
        self.billing.settling == Settling::Proxy
            || networks.clone().any(|entry| entry.operator.is_some())
            || prefixes.clone().any(|entry| entry.operator.is_some())
    }

    /// How we advertise ourselves.
    pub fn server(&self, thumbprint: &str) -> BillingServer {
        let billing = &self.billing;
        BillingServer {
            url: billing.url.trim_end_matches('/').into(),
            name: billing.name.clone(),
            agreement_required: billing.agreement_required,
            fee: billing.fee(),
            currencies: billing.currencies.clone(),
            minimum_micro: billing.minimum_micro,
            maximum_micro: billing.maximum_micro,
            form_type: billing.form_type,
            invoice_fields: billing.fields.clone(),
            account_types: billing
                .account_types
                .iter()
                .map(|it| (*it).into())
                .collect(),
            phone_prefixes: self.phone_bill.advertised_prefixes(),
            client_networks: self.phone_bill.advertised_networks(),
            acknowledgement_key: thumbprint.into(),
            acknowledgement_key_url: format!("{}/keys.json", billing.url.trim_end_matches('/')),
            settles: vec![match billing.settling {
                Settling::Itself => tollwire_invoice::Settles::Itself,
                Settling::Proxy => tollwire_invoice::Settles::Proxy,
            }],
            languages: billing.languages.clone(),
            operator_name: billing.operator_name.clone(),
            terms_url: billing.terms_url.clone(),
        }
    }

    /// The Diameter node.
    pub fn node(&self) -> NodeConfig {
        NodeConfig {
            origin_host: self.diameter.origin_host.clone(),
            origin_realm: self.diameter.origin_realm.clone(),
            product_name: "Tollwire billd".into(),
            auth_application_ids: vec![tollwire_diameter::dictionary::APPLICATION_CREDIT_CONTROL],
            connect: vec![PeerConfig::behind(CHARGING, &self.diameter.charging)],
            allow_remote: self.diameter.allow_remote,
            tls: TlsFiles::of(self.diameter.tls_keys()),
            watchdog: Duration::from_secs(self.diameter.watchdog_seconds),
            request_timeout: Duration::from_millis(self.diameter.request_timeout_ms),
            ..NodeConfig::default()
        }
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
mod tests;
