//! `tollctl slp`: what is on the network, asked as any user agent would, and what the `slpd` of this host holds.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tollwire_slp::attributes::Meaning;
use tollwire_slp::{AttributeList, ScopeList};
use tollwire_slp_agent::{
    Authority, Change, Found, Peer, Registration, Service, Settings, UserAgent,
};

use crate::context::{self, Context, Daemon};
use crate::failure::Failure;
use crate::table::Table;

/// Questions go to directory agents, or to everybody, unless --unicast names whom to ask.
#[derive(Debug, Args)]
pub(crate) struct Slp {
    #[command(flatten)]
    manner: Manner,
    #[command(subcommand)]
    command: Command,
}

/// How is asked.
#[derive(Debug, Args)]
struct Manner {
    /// Comma list of scopes [default: DEFAULT].
    #[arg(long, short = 's', global = true, value_name = "SCOPES")]
    scopes: Option<String>,
    /// Language tag of the request.
    #[arg(
        long,
        short = 'l',
        global = true,
        value_name = "TAG",
        default_value = "en"
    )]
    language: String,
    /// Services alone that were registered with the signature of this SPI.
    #[arg(long, global = true, value_name = "SPI", default_value = "")]
    spi: String,
    /// Ask this agent alone; a link-local address with its interface: fe80::1%eth0.
    #[arg(long, short = 'u', global = true, value_name = "ADDRESS", value_parser = address)]
    unicast: Option<SocketAddr>,
    /// Multicast on this interface alone; may be repeated.
    #[arg(long = "interface", short = 'i', global = true, value_name = "NAME")]
    interfaces: Vec<String>,
    /// Ask no longer than so many seconds; what was found by then is printed.
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// UDP and TCP port of all agents.
    #[arg(long, global = true, default_value_t = tollwire_slp::PORT)]
    port: u16,
    /// Where the slpd of this host takes registrations.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        default_value = "/run/tollwire/slpd-register.sock"
    )]
    registration_socket: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Services of a type: URL and seconds of life, a line each.
    #[command(name = "findsrvs")]
    FindServices {
        /// Their type: service:billing, service:printer:lpr.
        service_type: String,
        /// LDAPv3 filter: (&(currency=EUR)(fee<=3)).
        #[arg(default_value = "")]
        filter: String,
        /// Their attributes too, behind a space.
        #[arg(long)]
        attributes: bool,
    },
    /// Attributes of a service, or of all services of a type.
    #[command(name = "findattrs")]
    FindAttributes {
        /// URL or service type.
        url: String,
        /// Comma list of tags, * for any letters; all if missing.
        #[arg(default_value = "")]
        tags: String,
    },
    /// Service types, a line each.
    #[command(name = "findsrvtypes")]
    FindServiceTypes {
        /// Naming authority; IANA for those without one; everybody's if missing.
        authority: Option<String>,
    },
    /// Scopes that there are.
    #[command(name = "findscopes")]
    FindScopes,
    /// Registers a service, with the slpd of this host if there is one, else with directory agents.
    Register(Register),
    /// Takes a service out.
    Deregister {
        /// Its URL.
        url: String,
        /// Takes out these attributes alone: a comma list of tags.
        #[arg(long, default_value = "")]
        tags: String,
    },
    /// Tells which services of a type come (+), change (~) and go (-), until it is interrupted.
    Watch {
        /// Their type.
        service_type: String,
        /// LDAPv3 filter.
        #[arg(default_value = "")]
        filter: String,
    },
    /// What the slpd of this host holds.
    Registrations {
        /// Those whose URL comes after this one.
        #[arg(long, value_name = "URL")]
        after: Option<String>,
        /// How many, at most.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Directory agents that the slpd of this host registers with.
    DirectoryAgents,
    /// Lets the slpd of this host look for directory agents now.
    Discover,
    /// Lets the slpd of this host read its configuration again.
    Reload,
}

#[derive(Debug, Args)]
struct Register {
    /// Its URL.
    url: String,
    /// Its attribute list: (currency=EUR,USD),(fee=2),invoice.
    #[arg(default_value = "")]
    attributes: String,
    /// Seconds until it has to be registered again.
    #[arg(long, default_value_t = 10_800, value_parser = clap::value_parser!(u16).range(1..))]
    lifetime: u16,
    /// Its type, if that is not the URL's.
    #[arg(long, value_name = "TYPE")]
    service_type: Option<String>,
    /// Adds the attributes to what is registered, instead of taking its place.
    #[arg(long)]
    update: bool,
}

pub(crate) async fn run(slp: Slp, context: &mut Context<'_>) -> Result<(), Failure> {
    let manner = &slp.manner;
    match slp.command {
        Command::FindServices {
            service_type,
            filter,
            attributes,
        } => {
            let agent = manner.agent()?;
            if attributes {
                let found = agent
                    .find_services_with_attributes(&service_type, &filter)
                    .await?;
                qualify(&found);
                return services(context, &found.found, true);
            }
            let mut stream = agent.services(&service_type, &filter).await?;
            while let Some(service) = stream.next().await {
                if !context.json {
                    // Multicast takes its time; each line is there as soon as it is known.
                    context.print_line(&service_line(&service, false))?;
                    context.out.flush().map_err(Failure::Output)?;
                }
            }
            let found = stream.finish()?;
            qualify(&found);
            match context.json {
                true => services(context, &found.found, false),
                false => Ok(()),
            }
        }
        Command::FindAttributes { url, tags } => {
            let found = manner.agent()?.find_attributes(&url, &tags).await?;
            qualify(&found);
            if context.json {
                return context.print_json(&attributes_json(&found.found));
            }
            context.print_line(&found.found)
        }
        Command::FindServiceTypes { authority } => {
            let authority = match authority.as_deref() {
                None => Authority::All,
                Some("") => Authority::Iana,
                Some(iana) if iana.eq_ignore_ascii_case("iana") => Authority::Iana,
                Some(name) => Authority::Named(name.into()),
            };
            let found = manner.agent()?.find_service_types(authority).await?;
            qualify(&found);
            lines(context, &found.found)
        }
        Command::FindScopes => {
            let scopes = manner.agent_of(manner.scopes())?.find_scopes().await?;
            scope_list(context, &scopes)
        }
        Command::Register(register) => {
            let registration = Registration {
                url: register.url,
                service_type: register.service_type,
                attributes: register.attributes,
                lifetime: register.lifetime,
                fresh: !register.update,
            };
            let takers = manner.agent()?.register(&registration).await?;
            said(context, &registration.url, "registered", &takers)
        }
        Command::Deregister { url, tags } => {
            let takers = manner.agent()?.deregister(&url, &tags).await?;
            said(context, &url, "deregistered", &takers)
        }
        Command::Watch {
            service_type,
            filter,
        } => watch(context, manner, &service_type, &filter).await,
        Command::Registrations { after, limit } => registrations(context, after, limit).await,
        Command::DirectoryAgents => directory_agents(context).await,
        Command::Discover => operate(context, "/discover", "looking for directory agents").await,
        Command::Reload => operate(context, "/reload", "read again").await,
    }
}

impl Manner {
    /// The scopes that were given.
    fn scopes(&self) -> Vec<String> {
        let list = self.scopes.as_deref().unwrap_or_default();
        list.split(',')
            .filter(|scope| !scope.trim().is_empty())
            .map(Into::into)
            .collect()
    }

    /// An agent that asks as it was said; in `DEFAULT` if no scopes were.
    fn agent(&self) -> Result<UserAgent, Failure> {
        let given = self.scopes();
        self.agent_of(match given.is_empty() {
            true => Settings::default().scopes,
            false => given,
        })
    }

    fn agent_of(&self, scopes: Vec<String>) -> Result<UserAgent, Failure> {
        let agent = UserAgent::new(Settings {
            scopes,
            language: self.language.clone(),
            interfaces: self.interfaces.clone(),
            port: self.port,
            registration_socket: self.registration_socket.clone(),
            // It asks once and ends.
            discover_by_itself: false,
            ..Settings::default()
        })?
        .signed_by(&self.spi);
        let agent = match self.unicast {
            Some(mut unicast) => {
                unicast.set_port(self.port);
                agent.only(unicast)
            }
            None => agent,
        };
        Ok(match self.timeout {
            Some(timeout) => agent.within(timeout),
            None => agent,
        })
    }
}

/// Says beside the answer what it lacks.
fn qualify<T>(found: &Found<T>) {
    for silent in &found.unanswered {
        context::warn(&format!("no answer from {}", silent.ip()));
    }
    if found.truncated {
        context::warn("there is more than this");
    }
    if !found.unserved.is_empty() {
        context::warn(&format!("no agent for scope {}", found.unserved));
    }
}

fn services(
    context: &mut Context<'_>,
    services: &[Service],
    attributes: bool,
) -> Result<(), Failure> {
    if context.json {
        let all = services.iter().map(|one| service_json(one, attributes));
        return context.print_json(&all.collect());
    }
    services
        .iter()
        .try_for_each(|service| context.print_line(&service_line(service, attributes)))
}

fn service_line(service: &Service, attributes: bool) -> String {
    let line = format!("{},{}", service.url, service.lifetime);
    match service.attributes.as_deref().unwrap_or_default() {
        list if attributes && !list.is_empty() => format!("{line} {list}"),
        _ => line,
    }
}

fn service_json(service: &Service, attributes: bool) -> Value {
    let mut fields = Map::new();
    fields.insert("url".into(), json!(service.url));
    fields.insert("lifetime".into(), json!(service.lifetime));
    if let Some(list) = service.attributes.as_ref().filter(|_| attributes) {
        fields.insert("attributes".into(), attributes_json(list));
    }
    Value::Object(fields)
}

/// Tags with lists of values, typed; keywords have none. The text itself, where it is no list that can be read.
fn attributes_json(text: &str) -> Value {
    let Ok(list) = AttributeList::parse(text) else {
        return json!(text);
    };
    let attributes = list.iter().map(|attribute| {
        let values = attribute.values.iter().map(|value| match &value.meaning {
            Meaning::Integer(integer) => json!(integer),
            Meaning::Boolean(boolean) => json!(boolean),
            Meaning::Opaque(_) | Meaning::String(_) => json!(value.plain()),
        });
        (attribute.spelled.to_string(), values.collect())
    });
    Value::Object(attributes.collect())
}

fn lines(context: &mut Context<'_>, all: &[String]) -> Result<(), Failure> {
    if context.json {
        return context.print_json(&json!(all));
    }
    all.iter().try_for_each(|one| context.print_line(one))
}

fn scope_list(context: &mut Context<'_>, scopes: &ScopeList) -> Result<(), Failure> {
    if context.json {
        let all: Vec<&str> = scopes.as_str().split(',').map(str::trim).collect();
        return context.print_json(&json!(all));
    }
    context.print_line(scopes.as_str())
}

fn said(context: &mut Context<'_>, url: &str, done: &str, takers: &[Peer]) -> Result<(), Failure> {
    let names: Vec<String> = takers.iter().map(Peer::to_string).collect();
    if context.json {
        return context.print_json(&json!({ "url": url, "agents": names }));
    }
    context.print_line(&format!("{url}: {done} with {}", names.join(", ")))
}

async fn watch(
    context: &mut Context<'_>,
    manner: &Manner,
    service_type: &str,
    filter: &str,
) -> Result<(), Failure> {
    let mut watch = manner.agent()?.watch(service_type, filter)?;
    while let Some(change) = watch.next().await {
        let (mark, name, url) = match &change {
            Change::Added(service) => ("+", "added", &service.url),
            Change::Changed(service) => ("~", "changed", &service.url),
            Change::Removed(url) => ("-", "removed", url),
        };
        let service = match &change {
            Change::Added(service) | Change::Changed(service) => Some(service),
            Change::Removed(_) => None,
        };
        if context.json {
            // One line each, for programs that read them as they come.
            let mut fields = json!({ "change": name, "url": url });
            if let (Some(service), Value::Object(fields)) = (service, &mut fields)
                && let Value::Object(more) = service_json(service, true)
            {
                fields.extend(more);
            }
            context.print_line(&fields.to_string())?;
        } else {
            let life = service.map_or_else(String::new, |one| format!(",{}", one.lifetime));
            context.print_line(&format!("{mark} {url}{life}"))?;
        }
        context.out.flush().map_err(Failure::Output)?;
    }
    Ok(())
}

async fn registrations(
    context: &mut Context<'_>,
    after: Option<String>,
    limit: usize,
) -> Result<(), Failure> {
    let query = context::query(&[("after", after), ("limit", Some(limit.to_string()))]);
    let answer = context
        .get(Daemon::Slpd, &format!("/registrations{query}"))
        .await?;
    if context.json {
        return context.print_json(&answer);
    }
    let rows: Vec<Value> = context.read(Daemon::Slpd, answer)?;
    let mut table = Table::new(&[
        "URL",
        "TYPE",
        "LANGUAGE",
        "SCOPES",
        ">LIFETIME",
        "SOURCE",
        "ATTRIBUTES",
    ]);
    for row in &rows {
        let fields = [
            "url",
            "service_type",
            "language",
            "scopes",
            "lifetime_seconds",
            "source",
            "attributes",
        ];
        table.row(fields.map(|field| text(row, field)));
    }
    Ok(table.print(context.out)?)
}

async fn directory_agents(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Slpd, "/directory-agents").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let rows: Vec<Value> = context.read(Daemon::Slpd, answer)?;
    let mut table = Table::new(&[
        "URL",
        "ADDRESS",
        "SCOPES",
        "FOUND",
        ">REGISTERED",
        ">WAITING",
    ]);
    for row in &rows {
        let fields = ["url", "address", "scopes", "found", "registered", "waiting"];
        table.row(fields.map(|field| text(row, field)));
    }
    Ok(table.print(context.out)?)
}

fn text(row: &Value, field: &str) -> String {
    match row.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

async fn operate(context: &mut Context<'_>, path: &str, done: &str) -> Result<(), Failure> {
    let answer = context.post(Daemon::Slpd, path, &json!({})).await?;
    if context.json {
        return context.print_json(&answer);
    }
    context.print_line(done)
}

/// An address, with the interface that a link-local one needs.
fn address(text: &str) -> Result<SocketAddr, String> {
    let (address, interface) = match text.split_once('%') {
        Some((address, interface)) => (address, Some(interface)),
        None => (text, None),
    };
    let ip: IpAddr = address
        .parse()
        .map_err(|_| "an address is like 192.0.2.1, 2001:db8::1 or fe80::1%eth0".to_owned())?;
    match (ip, interface) {
        (IpAddr::V6(ip), Some(interface)) => {
            let index = std::fs::read_to_string(format!("/sys/class/net/{interface}/ifindex"))
                .ok()
                .and_then(|index| index.trim().parse().ok())
                .ok_or_else(|| format!("no interface {interface}"))?;
            Ok(SocketAddrV6::new(ip, 0, 0, index).into())
        }
        (IpAddr::V6(ip), None) if ip.is_unicast_link_local() => Err(format!(
            "a link-local address needs its interface: {ip}%eth0"
        )),
        (ip, _) => Ok(SocketAddr::new(ip, 0)),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a time is a number of seconds: 5, 0.5".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_typed_and_readable() {
        assert_eq!(
            attributes_json("(Name= Big \\2c Bank ),(fee=2,-3),(open=TRUE),invoice"),
            json!({ "Name": ["Big , Bank"], "fee": [2, -3], "open": [true], "invoice": [] })
        );
        assert_eq!(attributes_json("(a=1,x)"), json!("(a=1,x)"));
        assert_eq!(attributes_json(""), json!({}));
    }

    #[test]
    fn addresses_and_times() {
        assert_eq!(address("192.0.2.1").unwrap().to_string(), "192.0.2.1:0");
        assert_eq!(address("::1%lo").unwrap().to_string(), "[::1%1]:0");
        for wrong in ["host", "fe80::1", "fe80::1%nowhere", "192.0.2.1:427"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        for wrong in ["0", "-1", "x", "NaN", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
