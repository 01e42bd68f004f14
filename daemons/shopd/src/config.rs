//! The configuration of `shopd`: `conf/shopd.toml` says what each option is for.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::Uri;
use serde::Deserialize;
use tollwire_invoice::BillingServer;
use tollwire_runtime::config::{Configuration, Invalid};
use tollwire_web::{client, server};

use crate::catalogue::Catalogue;
use crate::order::Rules;
use crate::servers::Trust;
use crate::store::Bounds;
use crate::words;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Who the shop is.
    pub shop: Shop,
    /// Where customers and billing servers reach it.
    pub web: server::Config,
    /// How it reaches billing servers.
    pub client: client::Config,
    /// What is sold.
    pub goods: Goods,
    /// Methods of payment.
    pub methods: Methods,
    /// Billing servers that we deal with.
    pub trust: TrustList,
    /// Discovery.
    pub slp: tollwire_slp_agent::Settings,
    /// Orders.
    pub orders: Orders,
    /// Delivery.
    pub delivery: Delivery,
    /// Where state is kept.
    pub store: Store,
    /// Services for users of accounting managers.
    pub peers: tollwire_peer_provider::Config,
    /// The operator's interface.
    pub admin: Admin,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shop: Shop::default(),
            web: server::Config {
                listen: Some(SocketAddr::from(([127, 0, 0, 1], 8480))),
                ..server::Config::default()
            },
            client: client::Config::default(),
            goods: Goods::default(),
            methods: Methods::default(),
            trust: TrustList::default(),
            slp: tollwire_slp_agent::Settings::default(),
            orders: Orders::default(),
            delivery: Delivery::default(),
            store: Store::default(),
            peers: tollwire_peer_provider::Config::default(),
            admin: Admin::default(),
        }
    }
}

/// `[shop]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shop {
    /// Its name, for customers.
    pub name: String,
    /// The name under which it wants to be paid; its name, if empty.
    pub provider: String,
    /// The https URL under which customers and billing servers reach it, without a path.
    pub url: String,
    /// For those whose browser asks for no language that there is.
    pub language: String,
    /// A folder with messages, one file for a language.
    pub messages: Option<PathBuf>,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            name: "Shop".into(),
            provider: String::new(),
            url: "https://localhost:8480".into(),
            language: "en".into(),
            messages: None,
        }
    }
}

/// `[goods]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Goods {
    /// The catalogue; without, nothing is for sale.
    pub catalogue: Option<PathBuf>,
    /// The folder that files are below.
    pub root: PathBuf,
}

impl Default for Goods {
    fn default() -> Self {
        Self {
            catalogue: None,
            root: "/var/lib/tollwire/shopd/goods".into(),
        }
    }
}

/// Which methods of payment a customer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Show {
    /// All that fit, and he chooses.
    All,
    /// The shop chooses: the customer's own operator if there is one, or else the cheapest.
    Cheapest,
}

/// Where invoice forms come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forms {
    /// From the billing server; if it gives none, from its attributes.
    Fetch,
    /// From its attributes.
    Attributes,
}

/// `[methods]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Methods {
    /// Which methods of payment a customer sees.
    pub offer: Show,
    /// Where invoice forms come from.
    pub forms: Forms,
    /// Whether billing servers are looked for (`[slp]`).
    pub discover: bool,
    /// Whether one that a customer names, and that is not known, is looked for.
    pub find_by_name: bool,
    /// How long that may take, seconds.
    pub find_seconds: u64,
    /// Billing servers that are remembered.
    pub max_known: usize,
    /// Billing servers that are known without discovery.
    pub server: Vec<Server>,
}

impl Default for Methods {
    fn default() -> Self {
        Self {
            offer: Show::All,
            forms: Forms::Fetch,
            discover: true,
            find_by_name: true,
            find_seconds: 5,
            max_known: 256,
            server: Vec::new(),
        }
    }
}

/// `[[methods.server]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its service URL.
    pub url: String,
    /// Its attribute list.
    pub attributes: String,
}

/// `[trust]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustList {
    /// Thumbprints of acknowledgement keys.
    pub thumbprints: Vec<String>,
    /// Names.
    pub names: Vec<String>,
    /// Thumbprints or names of those that we have an agreement with.
    pub agreements: Vec<String>,
    /// The largest fee, hundredths of a percent.
    pub max_fee_basis_points: u16,
}

impl Default for TrustList {
    fn default() -> Self {
        Self {
            thumbprints: Vec::new(),
            names: Vec::new(),
            agreements: Vec::new(),
            max_fee_basis_points: 10_000,
        }
    }
}

/// `[orders]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orders {
    /// How long an order waits for a method of payment to be chosen.
    pub open_minutes: u32,
    /// How long an invoice can be paid.
    pub invoice_minutes: u32,
    /// Unpaid orders of one source.
    pub max_unpaid_per_source: u32,
    /// Unpaid orders in all.
    pub max_unpaid: u32,
    /// How long orders that are over are kept.
    pub keep_days: u32,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            open_minutes: 60,
            invoice_minutes: 30,
            max_unpaid_per_source: 50,
            max_unpaid: 10_000,
            keep_days: 90,
        }
    }
}

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Octets that go out for one order at most: this often the file's.
    pub max_octets_factor: u32,
    /// Transfers of one order at once.
    pub max_transfers: usize,
    /// How long after the last octet the end of a file may be fetched again.
    pub grace_seconds: u32,
    /// How much of the end that is.
    pub grace_octets: u64,
    /// How many octets go out before that is stored.
    pub checkpoint_octets: u64,
    /// How often a stream may be begun.
    pub stream_attempts: u32,
    /// How long what is upstream may take to answer, and be silent.
    pub upstream_seconds: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            max_octets_factor: 3,
            max_transfers: 2,
            grace_seconds: 120,
            grace_octets: 4 << 20,
            checkpoint_octets: 8 << 20,
            stream_attempts: 3,
            upstream_seconds: 30,
        }
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The database.
    pub path: PathBuf,
    /// The key that invoices are signed with.
    pub key: PathBuf,
    /// The key of the forms' tokens.
    pub form_key: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: "/var/lib/tollwire/shopd/shop.db".into(),
            key: "/var/lib/tollwire/shopd/key.pem".into(),
            form_key: "/var/lib/tollwire/shopd/forms.key".into(),
        }
    }
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Unix socket of the operator's interface.
    pub socket: PathBuf,
    /// Where Prometheus scrapes; nowhere by default.
    pub metrics: Option<SocketAddr>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            socket: "/run/tollwire/shopd.admin".into(),
            metrics: None,
        }
    }
}

impl Configuration for Config {
    fn validate(&self) -> Result<(), Invalid> {
        self.check_shop()?;
        self.web.validate("web")?;
        self.client.validate("client")?;
        self.check_numbers()?;
        self.check_peers()?;
        for server in &self.methods.server {
            BillingServer::read(&server.url, &server.attributes)
                .map_err(|error| Invalid::new("methods.server", error.to_string()))?;
        }
        words::load(self).map_err(|what| Invalid::new("shop.messages", what))?;
        self.catalogue()
            .map_err(|what| Invalid::new("goods.catalogue", what))?;
        Ok(())
    }
}

impl Config {
    fn check_shop(&self) -> Result<(), Invalid> {
        let plain = |text: &str| text.len() <= 200 && !text.chars().any(char::is_control);
        if self.shop.name.trim().is_empty() || !plain(&self.shop.name) {
            return Err(Invalid::new("shop.name", "what customers know the shop by"));
        }
        if !plain(&self.shop.provider) {
            return Err(Invalid::new("shop.provider", "at most 200 octets"));
        }
        let uri: Option<Uri> = self.shop.url.parse().ok();
        let fits = uri.is_some_and(|uri| {
            let authority = uri.authority().map_or("", |it| it.as_str());
            uri.scheme_str() == Some("https")
                && !authority.is_empty()
                && !authority.contains('@')
                && uri.path() == "/"
                && uri.query().is_none()
        });
        match fits {
            true => Ok(()),
            false => Err(Invalid::new(
                "shop.url",
                "https, a host, a port perhaps, and no path: \"https://shop.example:8443\"",
            )),
        }
    }

    fn check_peers(&self) -> Result<(), Invalid> {
        self.peers.validate("peers")?;
        let of_shop = |path: &str| {
            let first = path.split('/').nth(1).unwrap_or_default();
            matches!(first, "goods" | "orders" | "acknowledgements") || first.ends_with(".css")
        };
        let services = self.peers.service.iter().map(|it| it.path.as_str());
        match services.chain([self.peers.path.as_str()]).any(of_shop) {
            true => Err(Invalid::new(
                "peers.path",
                "neither it nor the path of a service may be below a path of the shop's own",
            )),
            false => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result<(), Invalid> {
        let (methods, orders, delivery) = (&self.methods, &self.orders, &self.delivery);
        let within: [(&str, u64, u64, u64); 14] = [
            ("methods.find_seconds", methods.find_seconds, 1, 20),
            ("methods.max_known", methods.max_known as u64, 1, 100_000),
            (
                "trust.max_fee_basis_points",
                self.trust.max_fee_basis_points.into(),
                0,
                10_000,
            ),
            ("orders.open_minutes", orders.open_minutes.into(), 1, 10_080),
            (
                "orders.invoice_minutes",
                orders.invoice_minutes.into(),
                2,
                10_080,
            ),
            (
                "orders.max_unpaid_per_source",
                orders.max_unpaid_per_source.into(),
                1,
                1_000_000,
            ),
            ("orders.max_unpaid", orders.max_unpaid.into(), 1, 1_000_000),
            ("orders.keep_days", orders.keep_days.into(), 1, 36_500),
            (
                "delivery.max_octets_factor",
                delivery.max_octets_factor.into(),
                1,
                1_000,
            ),
            (
                "delivery.max_transfers",
                delivery.max_transfers as u64,
                1,
                64,
            ),
            (
                "delivery.grace_seconds",
                delivery.grace_seconds.into(),
                0,
                86_400,
            ),
            (
                "delivery.checkpoint_octets",
                delivery.checkpoint_octets,
                65_536,
                1 << 40,
            ),
            (
                "delivery.stream_attempts",
                delivery.stream_attempts.into(),
                1,
                1_000,
            ),
            (
                "delivery.upstream_seconds",
                delivery.upstream_seconds,
                1,
                3_600,
            ),
        ];
        for (key, value, least, most) in within {
            if !(least..=most).contains(&value) {
                return Err(Invalid::new(key, format!("from {least} to {most}")));
            }
        }
        Ok(())
    }

    /// What is sold.
    ///
    /// # Errors
    /// [`Catalogue::load`]'s.
    pub fn catalogue(&self) -> Result<Catalogue, String> {
        match &self.goods.catalogue {
            Some(path) => Catalogue::load(path, &self.goods.root),
            None => Ok(Catalogue::default()),
        }
    }

    /// The shop's URL, without a slash at the end.
    pub fn url(&self) -> &str {
        self.shop.url.trim_end_matches('/')
    }

    /// The name under which the shop wants to be paid.
    pub fn provider(&self) -> &str {
        match self.shop.provider.trim() {
            "" => &self.shop.name,
            provider => provider,
        }
    }

    /// Whom we deal with.
    pub fn trust(&self) -> Trust {
        Trust {
            thumbprints: self.trust.thumbprints.clone(),
            names: self.trust.names.clone(),
            agreements: self.trust.agreements.clone(),
            most_basis_points: self.trust.max_fee_basis_points,
            most: self.methods.max_known,
        }
    }

    /// As orders have them.
    pub fn rules(&self) -> Rules {
        let minutes = |minutes: u32| i64::from(minutes) * 60_000;
        let invoice_ms = minutes(self.orders.invoice_minutes);
        Rules {
            invoice_ms,
            invoice_least_ms: invoice_ms / 2,
            octets_factor: self.delivery.max_octets_factor,
            transfers: self.delivery.max_transfers,
            grace_ms: i64::from(self.delivery.grace_seconds) * 1_000,
            grace_octets: self.delivery.grace_octets,
            stream_attempts: self.delivery.stream_attempts,
        }
    }

    /// How many unpaid orders there may be.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            of_source: self.orders.max_unpaid_per_source,
            in_all: self.orders.max_unpaid,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SHIPPED: &str = include_str!("../../../conf/shopd.toml");

    fn uncommented() -> String {
        SHIPPED
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(option) if option.contains(" = ") || option.starts_with('[') => option,
                _ => line,
            })
            .flat_map(|line| [line, "\n"])
            .collect()
    }

    #[test]
    fn the_shipped_file_is_the_default() {
        let config: Config = toml::from_str(SHIPPED).expect("it is right");
        assert_eq!(config, Config::default());
    }

    #[test]
    fn options_that_ship_as_comments_exist() {
        let config: Config = toml::from_str(&uncommented()).expect("they are right");
        assert_eq!(config.methods.server.len(), 1);
        config.check_peers().expect("examples that work");
        let peers = &config.peers;
        assert_eq!(
            (peers.manager.len(), peers.service.len(), peers.udp.len()),
            (1, 1, 1)
        );
        let server = &config.methods.server[0];
        BillingServer::read(&server.url, &server.attributes).expect("an example that works");
        assert!(config.admin.metrics.is_some() && config.goods.catalogue.is_some());
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        let parse =
            |text: &str| tollwire_runtime::config::parse::<Config>(Path::new("shopd.toml"), text);
        parse("").expect("an empty shop");
        for (text, key) in [
            ("[shop]\nurl = \"http://a\"", "shop.url"),
            ("[shop]\nurl = \"https://a/b\"", "shop.url"),
            ("[shop]\nurl = \"https://u@a\"", "shop.url"),
            ("[shop]\nname = \" \"", "shop.name"),
            ("[shop]\nlanguage = \"xx\"", "shop.messages"),
            (
                "[web]\nlisten = \"192.0.2.1:443\"",
                "web.tls_certificate_file",
            ),
            (
                "[orders]\ninvoice_minutes = 20000",
                "orders.invoice_minutes",
            ),
            ("[delivery]\nmax_transfers = 0", "delivery.max_transfers"),
            (
                "[[methods.server]]\nurl = \"https://a\"\nattributes = \"\"",
                "methods.server",
            ),
            ("[methods]\noffer = \"none\"", "methods.offer"),
            ("[trusts]", "trusts"),
            ("[goods]\ncatalogue = \"/nowhere\"", "goods.catalogue"),
            ("[peers]\npath = \"/goods/x\"", "peers.path"),
            ("[peers]\nskew_seconds = 0", "peers.skew_seconds"),
            ("[peers]\nenabled = true", "peers.manager"),
            (
                "[[peers.service]]\nname = \"a\"\npath = \"/orders/\"\nupstream = \"http://a/\"",
                "peers.path",
            ),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
