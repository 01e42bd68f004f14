//! The configuration, read and understood: what the core works by.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use tollwire_slp::agent::Timers;
use tollwire_slp::{AttributeList, ScopeList, Template};

use crate::config::{Config, Role};
use crate::keys::Keys;
use crate::limits::Rate;
use crate::registry::Quota;

/// What the core works by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory agent or service agent.
    pub role: Role,
    /// Scopes it serves.
    pub scopes: ScopeList,
    /// Its own attribute list, as adverts say it.
    pub attributes: String,
    /// Language of what it says unasked.
    pub language: String,
    /// Octets of SLP in a datagram.
    pub mtu: usize,
    /// Octets of an answer on a stream.
    pub reply_octets: usize,
    /// The port of all agents.
    pub port: u16,
    /// Whether SLPv1 is answered.
    pub slpv1: bool,
    /// RFC 2608 13.
    pub timers: Timers,
    /// Keys.
    pub keys: Arc<Keys>,
    /// How much may be registered.
    pub quota: Quota,
    /// At least so long between two updates of an entry.
    pub min_refresh: Duration,
    /// Whether hosts on attached networks may register.
    pub on_link: bool,
    /// Other networks that may.
    pub allowed_networks: Vec<IpNet>,
    /// Whether a registration needs a signature.
    pub require_authentication: bool,
    /// Messages of one source.
    pub requests: Rate,
    /// Messages of all.
    pub total_requests: Rate,
    /// Octets of datagrams to one address off our links.
    pub off_link_octets: Rate,
    /// Errors told to one source.
    pub errors: Rate,
    /// Source addresses that are counted.
    pub sources: usize,
    /// Entries and values looked at for one request.
    pub examined: usize,
    /// Templates that registrations are checked against.
    pub templates: Vec<Template>,
    /// Services that stand in a file.
    pub services: Vec<Service>,
    /// Directory agents by configuration.
    pub directory_agents: Vec<SocketAddr>,
    /// Whether others are looked for.
    pub discover: bool,
    /// How many others are known at once.
    pub max_known: usize,
    /// Lifetime of what is registered with directory agents, in seconds.
    pub lifetime: u16,
    /// Registrations under way with one directory agent.
    pub window: usize,
}

/// A service that stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its URL.
    pub url: String,
    /// Its type; by default that of the URL.
    #[serde(rename = "type")]
    pub service_type: Option<String>,
    /// Its scopes; by default all of the agent's.
    pub scopes: Option<Vec<String>>,
    /// Language tag; by default the agent's.
    pub language: Option<String>,
    /// Attribute list.
    #[serde(default)]
    pub attributes: String,
}

/// The file of services.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServiceFile {
    service: Vec<Service>,
}

impl Settings {
    /// Understands `config`, and reads the files that it names.
    ///
    /// # Errors
    /// The key, or the file and what is wrong in it.
    pub fn read(config: &Config) -> Result<Self, String> {
        let scopes = config.agent.scopes.join(",");
        let scopes = ScopeList::parse(&scopes).map_err(|error| format!("agent.scopes: {error}"))?;
        let keys = Keys::read(&config.authentication)?;
        let attributes = own_attributes(config, &keys)?;
        let limits = &config.limits;
        let rate = |per_second: u32, burst: u32| Rate {
            per_second,
            burst: burst.max(1),
        };
        let timers = &config.timers;
        let templates = templates(&config.agent.templates)?;
        let services = match &config.agent.services {
            Some(path) => services(path, &scopes, &config.agent.language, &templates)?,
            None => Vec::new(),
        };
        Ok(Self {
            role: config.agent.role,
            scopes,
            attributes,
            language: config.agent.language.clone(),
            mtu: config.network.mtu,
            reply_octets: limits.reply_octets,
            port: config.network.port,
            slpv1: config.agent.slpv1,
            timers: Timers {
                mc_max: Duration::from_millis(timers.mc_max_ms),
                start_wait: Duration::from_millis(timers.start_wait_ms),
                retry: Duration::from_millis(timers.retry_ms),
                retry_max: Duration::from_millis(timers.retry_max_ms),
                da_beat: Duration::from_secs(timers.da_beat_seconds),
                da_find: Duration::from_secs(timers.da_find_seconds),
                reg_passive: Duration::from_millis(timers.reg_passive_ms),
                reg_active: Duration::from_millis(timers.reg_active_ms),
                close_conn: Duration::from_secs(timers.close_conn_seconds),
            },
            keys: Arc::new(keys),
            quota: Quota {
                entries: config.registrations.max_entries,
                octets: config.registrations.max_octets,
                entries_per_source: config.registrations.max_entries_per_source,
                octets_per_source: config.registrations.max_octets_per_source,
            },
            min_refresh: Duration::from_secs(config.agent.min_refresh_interval_seconds.into()),
            on_link: config.registrations.on_link,
            allowed_networks: config.registrations.allowed_networks.clone(),
            require_authentication: config.registrations.require_authentication,
            requests: rate(limits.requests_per_second, limits.request_burst),
            total_requests: rate(
                limits.total_requests_per_second,
                limits.total_requests_per_second,
            ),
            off_link_octets: rate(
                limits.off_link_octets_per_second,
                limits.off_link_octets_per_second,
            ),
            errors: rate(limits.errors_per_second, limits.errors_per_second),
            sources: limits.sources,
            examined: limits.examined,
            templates,
            services,
            directory_agents: config
                .directory_agents
                .configured
                .iter()
                .map(|address| SocketAddr::new(*address, config.network.port))
                .collect(),
            discover: config.directory_agents.discover,
            max_known: config.directory_agents.max_known,
            lifetime: config.directory_agents.lifetime_seconds,
            window: config.directory_agents.window,
        })
    }
}

/// The agent's own attributes, with `min-refresh-interval` if there is one (RFC 2608 8.5).
fn own_attributes(config: &Config, keys: &Keys) -> Result<String, String> {
    let own = &config.agent.attributes;
    let interval = config.agent.min_refresh_interval_seconds;
    let whole = match (own.is_empty(), interval) {
        (_, 0) => own.clone(),
        (true, seconds) => format!("(min-refresh-interval={seconds})"),
        (false, seconds) => format!("{own},(min-refresh-interval={seconds})"),
    };
    AttributeList::parse(&whole).map_err(|error| format!("agent.attributes: {error}"))?;
    // An advert has to fit a datagram (RFC 2608 8.5), with its URL, its scopes, its SPIs and a signature.
    let signature = keys.signer(None).map_or(0, |signer| 74 + signer.spi.len());
    let others = config.agent.scopes.join(",").len() + keys.spis().len() + signature + 128;
    match whole.len() + others > config.network.mtu {
        true => Err(
            "agent.attributes: with agent.scopes and the SPIs they do not fit a datagram of network.mtu".into(),
        ),
        false => Ok(whole),
    }
}

fn templates(paths: &[PathBuf]) -> Result<Vec<Template>, String> {
    let mut templates: Vec<Template> = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let template = Template::parse(&text)
            .map_err(|error| format!("{}:{}: {}", path.display(), error.line, error.what))?;
        if templates
            .iter()
            .any(|known| known.service_type == template.service_type)
        {
            return Err(format!(
                "{}: a second template of {}",
                path.display(),
                template.name
            ));
        }
        templates.push(template);
    }
    Ok(templates)
}

fn services(
    path: &Path,
    scopes: &ScopeList,
    language: &str,
    templates: &[Template],
) -> Result<Vec<Service>, String> {
    let named = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let file: ServiceFile = toml::from_str(&text).map_err(|error| named(error.to_string()))?;
    for service in &file.service {
        check(service, scopes, language, templates)
            .map_err(|error| named(format!("{}: {error}", service.url)))?;
    }
    Ok(file.service)
}

fn check(
    service: &Service,
    scopes: &ScopeList,
    language: &str,
    templates: &[Template],
) -> Result<(), String> {
    let told = |error: tollwire_slp::ValueError| error.to_string();
    tollwire_slp::service_type::check_url(&service.url).map_err(told)?;
    let service_type = service.parsed_type().map_err(told)?;
    let attributes = AttributeList::parse(&service.attributes).map_err(told)?;
    for template in templates
        .iter()
        .filter(|template| template.is_of(&service_type))
    {
        if let Some(violation) = template.violations(&attributes).first() {
            return Err(format!("template {}: {violation}", template.id()));
        }
    }
    let own = ScopeList::parse(&service.scope_text(scopes)).map_err(told)?;
    if own.is_empty() || !own.is_subset(scopes) {
        return Err(format!("its scopes have to be among the agent's, {scopes}"));
    }
    let language = service.language.as_deref().unwrap_or(language);
    match tollwire_slp::header::is_language_tag(language) {
        true => Ok(()),
        false => Err(format!("{language:?} is no language tag")),
    }
}

impl Service {
    /// Its type, or that of its URL.
    ///
    /// # Errors
    /// A type that is none.
    pub fn parsed_type(&self) -> Result<tollwire_slp::ServiceType, tollwire_slp::ValueError> {
        match &self.service_type {
            Some(text) => tollwire_slp::ServiceType::parse(text),
            None => tollwire_slp::ServiceType::of_url(&self.url),
        }
    }

    /// Comma list of its scopes.
    pub fn scope_text(&self, scopes: &ScopeList) -> String {
        match &self.scopes {
            Some(own) => own.join(","),
            None => scopes.to_string(),
        }
    }
}
