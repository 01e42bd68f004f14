//! What is set for a user agent.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tollwire_slp::agent::user_agent::UserAgentSettings;
use tollwire_slp::agent::{ConvergenceLimits, DirectoryAgentLimits};
use tollwire_slp::scope::DEFAULT;
use tollwire_slp::{ScopeList, ValueError};

use crate::trust::{VerifyingKey, spi_of};

/// Settings of a user agent; a table of a configuration file as it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Scopes that are asked for; none lets them be found out (RFC 2608 11.2).
    pub scopes: Vec<String>,
    /// RFC 1766 language tag of requests.
    pub language: String,
    /// Directory agents that are there by configuration, in order of preference.
    pub directory_agents: Vec<IpAddr>,
    /// Whether directory agents are looked for; otherwise only those that are configured are asked.
    pub discover: bool,
    /// Whether they are looked for also while nobody asks: for programs that live long.
    pub discover_by_itself: bool,
    /// Whether adverts of directory agents are overheard. It needs the port; without it they are looked for more often.
    pub passive: bool,
    /// Whether service agents are asked where there is no directory agent.
    pub multicast: bool,
    /// Broadcast instead of multicast, on networks without (RFC 2608 14); IPv4 alone.
    pub broadcast: bool,
    /// Names of interfaces to multicast on; none is every one that can, and loopback.
    pub interfaces: Vec<String>,
    /// Speak IPv4.
    pub ipv4: bool,
    /// Speak IPv6 (RFC 3111).
    pub ipv6: bool,
    /// TTL and hop limit of what is multicast.
    pub multicast_ttl: u8,
    /// The port of all agents.
    pub port: u16,
    /// Octets of SLP in a datagram.
    pub mtu: usize,
    /// Where the `slpd` of this host takes registrations; empty is nowhere.
    pub registration_socket: PathBuf,
    /// Whether directory agents on networks that this host is not attached to are believed.
    pub accept_off_link: bool,
    /// Replies to one multicast that are taken.
    pub max_replies: usize,
    /// Octets of replies to one multicast that are taken, and of one reply over TCP.
    pub max_octets: usize,
    /// Directory agents that are known at once.
    pub max_directory_agents: usize,
    /// Questions that may be under way at once.
    pub max_questions: usize,
    /// Keys that adverts have to be signed with; without any all adverts are believed. Directory agents are asked to
    /// sign with the first of them.
    pub verify: Vec<VerifyingKey>,
    /// RFC 2608 13.
    pub timers: Timers,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scopes: vec![DEFAULT.into()],
            language: "en".into(),
            directory_agents: Vec::new(),
            discover: true,
            discover_by_itself: true,
            passive: true,
            multicast: true,
            broadcast: false,
            interfaces: Vec::new(),
            ipv4: true,
            ipv6: true,
            multicast_ttl: 255,
            port: tollwire_slp::PORT,
            mtu: tollwire_slp::DEFAULT_MTU,
            registration_socket: "/run/tollwire/slpd-register.sock".into(),
            accept_off_link: false,
            max_replies: 1024,
            max_octets: 4 << 20,
            max_directory_agents: 64,
            max_questions: 256,
            verify: Vec::new(),
            timers: Timers::default(),
        }
    }
}

/// Timers of RFC 2608 13 that concern a user agent, under their names there without `CONFIG_`.
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
    /// CONFIG_DA_BEAT: how far apart discoveries may come to be while none finds anything.
    pub da_beat_seconds: u64,
    /// CONFIG_DA_FIND.
    pub da_find_seconds: u64,
    /// CONFIG_REG_PASSIVE, its upper end.
    pub reg_passive_ms: u64,
    /// How long a directory agent that does not answer is left alone at first.
    pub hold_down_seconds: u64,
    /// How long it is left alone at most.
    pub max_hold_down_seconds: u64,
    /// How often what is watched is asked for again, if nothing happens before.
    pub watch_seconds: u64,
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
            hold_down_seconds: 15,
            max_hold_down_seconds: 900,
            watch_seconds: 60,
        }
    }
}

impl Settings {
    pub(crate) fn scope_list(&self) -> Result<ScopeList, ValueError> {
        ScopeList::parse(&self.scopes.join(","))
    }

    /// The SPI that adverts are asked to be signed with.
    pub(crate) fn advert_spi(&self) -> String {
        self.verify.first().map(spi_of).unwrap_or_default()
    }

    /// As the machine has them.
    pub(crate) fn to_machine(&self) -> Result<UserAgentSettings, ValueError> {
        let timers = &self.timers;
        Ok(UserAgentSettings {
            timers: tollwire_slp::agent::Timers {
                start_wait: Duration::from_millis(timers.start_wait_ms),
                retry: Duration::from_millis(timers.retry_ms),
                retry_max: Duration::from_millis(timers.retry_max_ms),
                mc_max: Duration::from_millis(timers.mc_max_ms),
                da_beat: Duration::from_secs(timers.da_beat_seconds),
                da_find: Duration::from_secs(timers.da_find_seconds),
                reg_passive: Duration::from_millis(timers.reg_passive_ms),
                ..tollwire_slp::agent::Timers::default()
            },
            convergence: ConvergenceLimits {
                mtu: self.mtu,
                max_replies: self.max_replies,
                max_octets: self.max_octets,
                first_reply_is_enough: false,
            },
            directory_agents: DirectoryAgentLimits {
                port: self.port,
                max_known: self.max_directory_agents,
                hold_down: Duration::from_secs(timers.hold_down_seconds),
                max_hold_down: Duration::from_secs(timers.max_hold_down_seconds),
                accept_off_link: self.accept_off_link,
            },
            configured: self
                .directory_agents
                .iter()
                .map(|address| SocketAddr::new(*address, self.port))
                .collect(),
            language: self.language.clone(),
            scopes: self.scope_list()?,
            spi: self.advert_spi(),
            discover: self.discover,
            discover_by_itself: self.discover_by_itself,
            multicast: self.multicast,
            max_queries: self.max_questions,
            max_streams: 16,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_strict_and_have_defaults() {
        let settings: Settings = toml::from_str(
            "scopes = [\"A\"]\ndirectory_agents = [\"192.0.2.1\"]\n[timers]\nretry_ms = 5\n",
        )
        .unwrap();
        let machine = settings.to_machine().unwrap();
        assert_eq!(machine.timers.retry, Duration::from_millis(5));
        assert_eq!(machine.timers.mc_max, Duration::from_secs(15));
        assert_eq!(machine.configured, ["192.0.2.1:427".parse().unwrap()]);
        assert!(toml::from_str::<Settings>("scope = []").is_err());
        assert!(toml::from_str::<Settings>("[timers]\nretry = 5").is_err());
        let broken = Settings {
            scopes: vec!["a(b".into()],
            ..Settings::default()
        };
        assert!(broken.to_machine().is_err());
    }
}
