//! Configuration of `slpd`; `conf/slpd.toml` explains each key.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use tollwire_runtime::config::{Configuration, Invalid};

use crate::net::Wanted;
use crate::net::interfaces::Served;
use crate::net::stream::Bounds;
use crate::settings::Settings;

/// Octets of a datagram that is heard, whatever our own MTU is.
const LARGEST: usize = 4_096;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What this agent is.
    pub agent: Agent,
    /// Sockets and interfaces.
    pub network: Network,
    /// RFC 2608 13.
    pub timers: Timers,
    /// What others may register.
    pub registrations: Registrations,
    /// Directory agents that a service agent registers with.
    pub directory_agents: DirectoryAgents,
    /// How much anybody may ask.
    pub limits: Limits,
    /// Keys.
    pub authentication: Authentication,
    /// What is kept over a restart.
    pub store: Store,
    /// The operator's interface.
    pub admin: Admin,
}

/// What `slpd` is on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes registrations from others, and answers for them.
    DirectoryAgent,
    /// Answers for the services of this host, and registers them with directory agents.
    ServiceAgent,
}

/// `[agent]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// Directory agent or service agent.
    pub role: Role,
    /// Scopes it serves.
    pub scopes: Vec<String>,
    /// Its own attribute list, in adverts.
    pub attributes: String,
    /// Language of what it says itself.
    pub language: String,
    /// `min-refresh-interval` (RFC 2608 8.5); 0 is none.
    pub min_refresh_interval_seconds: u32,
    /// Whether a directory agent answers SLPv1 (RFC 2165) too.
    pub slpv1: bool,
    /// Services of this host that need no registration.
    pub services: Option<PathBuf>,
    /// Service templates (RFC 2609) that registrations are checked against.
    pub templates: Vec<PathBuf>,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            role: Role::DirectoryAgent,
            scopes: vec!["DEFAULT".into()],
            attributes: String::new(),
            language: "en".into(),
            min_refresh_interval_seconds: 0,
            slpv1: false,
            services: None,
            templates: Vec::new(),
        }
    }
}

/// `[network]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// UDP and TCP.
    pub port: u16,
    /// Names of interfaces; empty is every one that can multicast, and loopback.
    pub interfaces: Vec<String>,
    /// Speak IPv4.
    pub ipv4: bool,
    /// Speak IPv6 (RFC 3111).
    pub ipv6: bool,
    /// Hear and send broadcasts instead of multicast.
    pub broadcast: bool,
    /// TTL and hop limit of what is multicast.
    pub multicast_ttl: u8,
    /// Octets of SLP in a datagram.
    pub mtu: usize,
    /// Unix socket for programs of this host that register themselves; empty is none.
    pub registration_socket: PathBuf,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            port: tollwire_slp::PORT,
            interfaces: Vec::new(),
            ipv4: true,
            ipv6: true,
            broadcast: false,
            multicast_ttl: 255,
            mtu: tollwire_slp::DEFAULT_MTU,
            registration_socket: "/run/tollwire/slpd-register.sock".into(),
        }
    }
}

/// `[timers]`, under the names of RFC 2608 13 without `CONFIG_`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// CONFIG_START_WAIT.
    pub start_wait_ms: u64,
    /// CONFIG_RETRY.
    pub retry_ms: u64,
    /// CONFIG_RETRY_MAX.
    pub retry_max_ms: u64,
    /// CONFIG_MC_MAX.
    pub mc_max_ms: u64,
    /// CONFIG_DA_BEAT.
    pub da_beat_seconds: u64,
    /// CONFIG_DA_FIND.
    pub da_find_seconds: u64,
    /// CONFIG_REG_PASSIVE, its upper end.
    pub reg_passive_ms: u64,
    /// CONFIG_REG_ACTIVE, its upper end.
    pub reg_active_ms: u64,
    /// CONFIG_CLOSE_CONN.
    pub close_conn_seconds: u64,
    /// A message on a stream has to be whole so long after its first octet.
    pub message_seconds: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            start_wait_ms: 3_000,
            retry_ms: 2_000,
            retry_max_ms: 15_000,
            mc_max_ms: 15_000,
            da_beat_seconds: 10_800,
            da_find_seconds: 900,
            reg_passive_ms: 3_000,
            reg_active_ms: 3_000,
            close_conn_seconds: 300,
            message_seconds: 10,
        }
    }
}

/// `[registrations]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registrations {
    /// Whether hosts on a network that this host is attached to may register with a directory agent.
    pub on_link: bool,
    /// Other networks that may.
    pub allowed_networks: Vec<IpNet>,
    /// Whether a registration needs a signature that can be verified.
    pub require_authentication: bool,
    /// Services in all.
    pub max_entries: usize,
    /// Octets of all of them.
    pub max_octets: usize,
    /// Services of one source address.
    pub max_entries_per_source: usize,
    /// Octets of one source address.
    pub max_octets_per_source: usize,
}

impl Default for Registrations {
    fn default() -> Self {
        Self {
            on_link: true,
            allowed_networks: Vec::new(),
            require_authentication: false,
            max_entries: 200_000,
            max_octets: 256 << 20,
            max_entries_per_source: 20_000,
            max_octets_per_source: 32 << 20,
        }
    }
}

/// `[directory_agents]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DirectoryAgents {
    /// Those that are there by configuration.
    pub configured: Vec<IpAddr>,
    /// Whether to look for others by multicast, and to listen for their adverts.
    pub discover: bool,
    /// How many are known at once.
    pub max_known: usize,
    /// Lifetime of what is registered with them, at most.
    pub lifetime_seconds: u16,
    /// Registrations under way with one of them at once.
    pub window: usize,
}

impl Default for DirectoryAgents {
    fn default() -> Self {
        Self {
            configured: Vec::new(),
            discover: true,
            max_known: 16,
            lifetime_seconds: 10_800,
            window: 16,
        }
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages a second from one source address; 0 is no limit.
    pub requests_per_second: u32,
    /// Messages from one source address at once.
    pub request_burst: u32,
    /// Messages a second from everybody; 0 is no limit.
    pub total_requests_per_second: u32,
    /// Octets of answers in datagrams a second to one address that is not on a network of ours; 0 is no limit.
    pub off_link_octets_per_second: u32,
    /// Answers a second to one source address that say an error; 0 is no limit.
    pub errors_per_second: u32,
    /// Source addresses that are counted at once.
    pub sources: usize,
    /// TCP connections in all.
    pub connections: usize,
    /// TCP connections of one source address.
    pub connections_per_source: usize,
    /// Octets of a message on a stream.
    pub message_octets: usize,
    /// Octets of an answer on a stream.
    pub reply_octets: usize,
    /// Octets of answers that wait to be written, on all streams.
    pub queued_octets: usize,
    /// Registrations and values that are looked at for one request.
    pub examined: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 2_000,
            request_burst: 4_000,
            total_requests_per_second: 0,
            off_link_octets_per_second: 16_384,
            errors_per_second: 20,
            sources: 16_384,
            connections: 1_024,
            connections_per_source: 32,
            message_octets: 65_536,
            reply_octets: 4 << 20,
            queued_octets: 64 << 20,
            examined: 50_000,
        }
    }
}

/// `[authentication]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authentication {
    /// Keys whose signatures are verified.
    pub verify: Vec<VerifyingKey>,
    /// The key that adverts, and registrations with directory agents, are signed with.
    pub sign: Option<SigningKey>,
}

/// `[[authentication.verify]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyingKey {
    /// SLP SPI.
    pub spi: String,
    /// Ed25519 public key, 32 octets in hex.
    pub public_key: String,
}

/// `[authentication.sign]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// SLP SPI.
    pub spi: String,
    /// File with the Ed25519 seed, 32 octets in hex.
    pub seed_file: PathBuf,
    /// How long a signature holds.
    #[serde(default = "SigningKey::default_validity")]
    pub validity_seconds: u32,
}

impl SigningKey {
    fn default_validity() -> u32 {
        86_400
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The file.
    pub path: PathBuf,
    /// Whether registrations are kept in it, and not only the boot timestamp.
    pub registrations: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: "/var/lib/tollwire/slpd/slpd.db".into(),
            registrations: false,
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
            socket: "/run/tollwire/slpd.admin".into(),
            metrics: None,
        }
    }
}

impl Configuration for Config {
    fn validate(&self) -> Result<(), Invalid> {
        if self.agent.scopes.is_empty() {
            return Err(Invalid::new(
                "agent.scopes",
                "an agent serves one scope at least (RFC 2608 11)",
            ));
        }
        if !tollwire_slp::header::is_language_tag(&self.agent.language) {
            return Err(Invalid::new(
                "agent.language",
                format!("{:?} is no language tag", self.agent.language),
            ));
        }
        if !self.network.ipv4 && !self.network.ipv6 {
            return Err(Invalid::new(
                "network.ipv4",
                "without it network.ipv6 has to be true",
            ));
        }
        // RFC 2608 6.1 lets nobody send less than this; above, the headers would not fit a UDP datagram.
        if !(256..=65_000).contains(&self.network.mtu) {
            return Err(Invalid::new("network.mtu", "from 256 to 65000 octets"));
        }
        let positive = [
            ("timers.retry_ms", self.timers.retry_ms),
            ("timers.retry_max_ms", self.timers.retry_max_ms),
            ("timers.mc_max_ms", self.timers.mc_max_ms),
            ("timers.da_beat_seconds", self.timers.da_beat_seconds),
            ("timers.da_find_seconds", self.timers.da_find_seconds),
            ("timers.close_conn_seconds", self.timers.close_conn_seconds),
            ("timers.message_seconds", self.timers.message_seconds),
            (
                "directory_agents.window",
                self.directory_agents.window as u64,
            ),
            ("limits.sources", self.limits.sources as u64),
            ("limits.examined", self.limits.examined as u64),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(Invalid::new(key, "at least 1"));
            }
        }
        if self.directory_agents.lifetime_seconds < 10 {
            return Err(Invalid::new(
                "directory_agents.lifetime_seconds",
                "at least 10",
            ));
        }
        if self.limits.message_octets < self.network.mtu {
            return Err(Invalid::new(
                "limits.message_octets",
                "at least network.mtu",
            ));
        }
        if self.limits.message_octets > 1 << 20 {
            return Err(Invalid::new("limits.message_octets", "at most 1048576"));
        }
        if self.limits.queued_octets < self.limits.reply_octets {
            return Err(Invalid::new(
                "limits.queued_octets",
                "at least limits.reply_octets",
            ));
        }
        if self.limits.reply_octets < self.network.mtu {
            return Err(Invalid::new("limits.reply_octets", "at least network.mtu"));
        }
        // What the files say that it names, too.
        if let Err(why) = Settings::read(self) {
            let (key, what) = why.split_once(": ").unwrap_or(("agent", &why));
            return Err(Invalid::new(key, what));
        }
        Ok(())
    }
}

impl Config {
    /// The sockets that it asks for.
    pub(crate) fn wanted(&self) -> Wanted {
        let socket = &self.network.registration_socket;
        Wanted {
            served: Served {
                names: self.network.interfaces.clone(),
                ipv4: self.network.ipv4,
                ipv6: self.network.ipv6,
            },
            port: self.network.port,
            // Whoever has a larger MTU than ours is heard too.
            largest: self.network.mtu.max(LARGEST),
            multicast_ttl: self.network.multicast_ttl,
            broadcast: self.network.broadcast,
            slpv1: self.agent.slpv1,
            registration_socket: (!socket.as_os_str().is_empty()).then(|| socket.clone()),
            bounds: Bounds {
                message: self.limits.message_octets,
                patience: Duration::from_secs(self.timers.message_seconds),
                idle: Duration::from_secs(self.timers.close_conn_seconds),
                connections: self.limits.connections,
                per_source: self.limits.connections_per_source,
                queued: self.limits.queued_octets,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SHIPPED: &str = include_str!("../../../conf/slpd.toml");

    fn parse(text: &str) -> Result<Config, tollwire_runtime::config::ConfigError> {
        tollwire_runtime::config::parse(Path::new("slpd.toml"), text)
    }

    #[test]
    fn the_shipped_file_is_the_default() {
        assert_eq!(parse(SHIPPED).expect("it is right"), Config::default());
    }

    #[test]
    fn options_that_ship_as_comments_exist() {
        let text: String = SHIPPED
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(option) if option.contains(" = ") || option.starts_with('[') => option,
                _ => line,
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        // The files that they name are not here.
        let config: Config = toml::from_str(&text).expect("they are right");
        assert_eq!(config.authentication.verify.len(), 1);
        assert!(config.authentication.sign.is_some() && config.admin.metrics.is_some());
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        for (text, key) in [
            ("[agent]\nscopes = []", "agent.scopes"),
            ("[agent]\nlanguage = \"e1\"", "agent.language"),
            ("[network]\nmtu = 100", "network.mtu"),
            ("[network]\nipv4 = false\nipv6 = false", "network.ipv4"),
            ("[timers]\nretry_ms = 0", "timers.retry_ms"),
            ("[limits]\nmessage_octets = 1000", "limits.message_octets"),
            (
                "[limits]\nmessage_octets = 16000000",
                "limits.message_octets",
            ),
            ("[limits]\nqueued_octets = 1", "limits.queued_octets"),
            (
                "[directory_agents]\nlifetime_seconds = 1",
                "directory_agents.lifetime_seconds",
            ),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
