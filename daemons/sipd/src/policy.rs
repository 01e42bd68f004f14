//! What the operator decides, as the core uses it.

use crate::calls::Settings;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// Where numbers of a prefix go.
#[derive(Debug, Clone)]
pub struct PrefixRoute {
    /// Digits the number starts with, with or without `+`.
    pub prefix: Box<str>,
    /// SIP URIs of gateways, tried in order.
    pub gateways: Vec<Box<str>>,
}

/// Everything the core needs of the configuration.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Domains served, in lower case.
    pub domains: Vec<Box<str>>,
    /// Networks whose callers need no credentials, and who pays for them.
    pub trusted: Vec<(IpNet, Box<str>)>,
    /// Static routes.
    pub routes: Vec<PrefixRoute>,
    /// Supervision.
    pub settings: Settings,
    /// RFC 3261 16.6 step 11; more than 3 minutes.
    pub timer_c: Duration,
    /// Value of Server in our own responses; empty: none.
    pub server: Box<str>,
    /// Calls at once.
    pub max_calls: usize,
    /// Requests under way at once.
    pub max_contexts: usize,
    /// RFC 5393 Max-Breadth where the request says nothing.
    pub max_breadth: u32,
    /// Our name in Diameter, also the first part of every Session-Id.
    pub origin_host: Box<str>,
    /// Our realm in Diameter.
    pub origin_realm: Box<str>,
    /// Realm of the charging system.
    pub charging_realm: Box<str>,
    /// Realm of the limiter.
    pub limiter_realm: Box<str>,
    /// Service-Context-Id.
    pub service_context_id: Box<str>,
    /// Rating-Group; `None` sends none.
    pub rating_group: Option<u32>,
    /// Seconds asked for at once.
    pub requested_seconds: u32,
    /// Media leaves from the port it is received at (RFC 4961).
    pub symmetric_rtp: bool,
}

impl Policy {
    /// Who pays for callers at this address, if they need no credentials.
    pub fn trusted_identity(&self, source: IpAddr) -> Option<&str> {
        let source = source.to_canonical();
        self.trusted
            .iter()
            .filter(|(network, _)| network.contains(&source))
            .max_by_key(|(network, _)| network.prefix_len())
            .map(|(_, identity)| &**identity)
    }

    /// Whether the domain is served here.
    pub fn is_local_domain(&self, name: &str) -> bool {
        self.domains
            .iter()
            .any(|domain| domain.eq_ignore_ascii_case(name))
    }

    /// The gateways for a number, by its longest prefix.
    pub fn route(&self, number: &str) -> Option<&PrefixRoute> {
        let digits = number.strip_prefix('+').unwrap_or(number);
        self.routes
            .iter()
            .filter(|route| {
                let prefix = &*route.prefix;
                if prefix.starts_with('+') {
                    number.starts_with(prefix)
                } else {
                    digits.starts_with(prefix)
                }
            })
            .max_by_key(|route| route.prefix.len())
    }
}
