//! Via (RFC 3261 20.42) with `rport` (RFC 3581).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::error::Problem;
use crate::params::Params;
use crate::text;
use crate::uri::Host;

/// What a branch made by RFC 3261's rules starts with (8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// A view of one Via value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport's token as written: `UDP`, `TCP`, `TLS`...
    pub transport: &'a str,
    /// The host of sent-by.
    pub host: Host<'a>,
    /// The port of sent-by, if written.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, `maddr`, `ttl` and others.
    pub params: Params<'a>,
    text: &'a str,
}

impl<'a> Via<'a> {
    /// Reads one value (not a list).
    pub fn parse(value: &'a str) -> Result<Self, Problem> {
        let value = text::trim(value);
        let (sent, params) = text::split_before(value, b";");
        let (name, rest) = sent.split_once('/').ok_or(Problem::Malformed)?;
        let (version, rest) = rest.split_once('/').ok_or(Problem::Malformed)?;
        let (transport, sent_by) =
            text::split_blank(text::trim_start(rest)).ok_or(Problem::Malformed)?;
        if !text::trim(name).eq_ignore_ascii_case("SIP")
            || text::trim(version) != "2.0"
            || !text::is_token(transport)
        {
            return Err(Problem::Malformed);
        }
        let (host, port) = Host::parse_with_port(text::trim(sent_by))?;
        let params = Params::parse_each(params, |name, value| {
            if name.eq_ignore_ascii_case("received") {
                parse_received(value).is_some()
            } else if name.eq_ignore_ascii_case("rport") {
                value.parse::<u16>().is_ok()
            } else if name.eq_ignore_ascii_case("ttl") {
                value.parse::<u8>().is_ok()
            } else {
                true
            }
        })?;
        Ok(Self {
            transport,
            host,
            port,
            params,
            text: value,
        })
    }

    /// As written.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.value("branch")
    }

    /// The branch, if it starts with the magic cookie and so names the transaction (RFC 3261 17.2.3).
    pub fn transaction_branch(&self) -> Option<&'a str> {
        self.branch().filter(|branch| {
            branch
                .get(..MAGIC_COOKIE.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }

    /// The `received` parameter; an IPv6 address with or without brackets (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        self.params.value("received").and_then(parse_received)
    }

    /// The `rport` parameter: `None` if absent, `Some(None)` if it has no value yet (RFC 3581 3).
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params
            .get("rport")
            .map(|value| value.and_then(|port| port.parse().ok()))
    }

    /// The `maddr` parameter.
    pub fn maddr(&self) -> Option<Host<'a>> {
        Host::parse(self.params.value("maddr")?).ok()
    }

    /// The port of sent-by, or the default of the transport (RFC 3261 18.2.2).
    pub fn port_or_default(&self) -> u16 {
        self.port
            .unwrap_or(if self.transport.eq_ignore_ascii_case("TLS") {
                5061
            } else {
                5060
            })
    }

    /// The value a server stores in place of this one after receiving the request from `source`:
    /// `received` where RFC 3261 18.2.1 or RFC 3581 4 asks for it, `rport` filled in. `None` if nothing changes.
    pub fn stamped(&self, source: SocketAddr) -> Option<String> {
        let source_ip = source.ip().to_canonical();
        let wants_port = self.rport().is_some();
        // 18.2.1: if the host is a domain name or differs from the source address.
        let wants_received = wants_port || self.host.address() != Some(source_ip);
        let has_received = self.params.contains("received");
        if !wants_port && !wants_received && !has_received {
            return None;
        }
        let mut out = String::with_capacity(self.text.len() + 48);
        let head = self.text.len() - self.params.as_str().len();
        out.push_str(text::trim(self.text.get(..head).unwrap_or_default()));
        for (name, value) in self.params.iter() {
            // A value already there is the sender's word, not ours.
            if name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport") {
                continue;
            }
            out.push(';');
            out.push_str(name);
            if let Some(value) = value {
                out.push('=');
                out.push_str(value);
            }
        }
        if wants_received {
            let _ = write!(out, ";received={source_ip}");
        }
        if wants_port {
            let _ = write!(out, ";rport={}", source.port());
        }
        Some(out)
    }

    /// Where a response goes over an unreliable transport (RFC 3261 18.2.2, RFC 3581 4): the address of
    /// `maddr`, else of `received`, else of sent-by, and the port that goes with it. `None` if that is a domain name.
    pub fn response_address(&self) -> Option<SocketAddr> {
        if let Some(maddr) = self.maddr() {
            return Some(SocketAddr::new(maddr.address()?, self.port_or_default()));
        }
        let port = self.rport().flatten();
        match self.received() {
            Some(received) => Some(SocketAddr::new(
                received,
                port.unwrap_or_else(|| self.port_or_default()),
            )),
            None => Some(SocketAddr::new(
                self.host.address()?,
                self.port_or_default(),
            )),
        }
    }
}

fn parse_received(value: &str) -> Option<IpAddr> {
    let address = value
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(value);
    address.parse().ok()
}
