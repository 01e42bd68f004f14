//! `[stream]`: where charge records are published.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;
use serde::Deserialize;

use crate::config::Invalid;

/// The table as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// `nats://HOST:PORT` or `tls://HOST:PORT` of each server of the cluster; nothing is published if there is none.
    pub servers: Vec<String>,
    /// The subject; the daemon's name is added behind a dot.
    pub subject: String,
    /// Whose records they are: part of each message's name. Absent: the daemon's Origin-Host.
    pub element: Option<String>,
    /// A file of credentials (JWT and seed), as `nsc` makes them.
    pub credentials_file: Option<PathBuf>,
    /// The authorities that sign the servers' certificates, PEM; absent: the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// Whether a server may be on another host without TLS.
    pub allow_remote: bool,
    /// Records that may wait for their acknowledgement.
    pub window: usize,
    /// Milliseconds for an acknowledgement.
    pub timeout_ms: u64,
    /// Milliseconds before a record that was not kept is published again; doubles up to the second one.
    pub retry_first_ms: u64,
    /// The longest such pause.
    pub retry_most_ms: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            subject: "tollwire.records".into(),
            element: None,
            credentials_file: None,
            tls_ca_file: None,
            allow_remote: false,
            window: 256,
            timeout_ms: 5_000,
            retry_first_ms: 1_000,
            retry_most_ms: 60_000,
        }
    }
}

/// A subject without wildcards.
fn is_subject(text: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    text.split('.')
        .all(|token| !token.is_empty() && token.bytes().all(plain))
}

impl Stream {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The key that does not do.
    pub fn validate(&self) -> Result<(), Invalid> {
        let refuse = |key: &str, what: String| Err(Invalid::new(format!("stream.{key}"), what));
        for server in &self.servers {
            let Ok(address) = server.parse::<ServerAddr>() else {
                return refuse("servers", format!("{server:?} is no nats://HOST:PORT"));
            };
            let scheme = address.scheme();
            if !matches!(scheme, "nats" | "tls") {
                return refuse("servers", format!("{server:?}: nats:// or tls://"));
            }
            if address.has_user_pass() {
                return refuse("servers", "secrets belong into credentials_file".into());
            }
            let loopback = address
                .host()
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback());
            if scheme == "nats" && !loopback && !self.allow_remote {
                return refuse(
                    "servers",
                    format!(
                        "{server:?} is on another host: tls://, or allow_remote = true if the path is protected"
                    ),
                );
            }
        }
        if !is_subject(&self.subject) {
            return refuse(
                "subject",
                "words of letters, digits, - and _ between dots".into(),
            );
        }
        if self.window == 0 || self.window > 10_000 {
            return refuse("window", "1 to 10000".into());
        }
        if self.timeout_ms == 0 {
            return refuse("timeout_ms", "at least 1".into());
        }
        if self.retry_first_ms == 0 || self.retry_most_ms < self.retry_first_ms {
            return refuse(
                "retry_first_ms",
                "1 or more, and at most `retry_most_ms`".into(),
            );
        }
        Ok(())
    }

    /// What follows the files called `name` in `directory`; `None` if nothing is to be published.
    pub fn feed(&self, name: &str, directory: PathBuf, origin_host: &str) -> Option<Feed> {
        (!self.servers.is_empty()).then(|| Feed {
            element: self.element.clone().unwrap_or_else(|| origin_host.into()),
            subject: format!("{}.{name}", self.subject),
            name: name.into(),
            directory,
            timeout: Duration::from_millis(self.timeout_ms),
            settings: self.clone(),
        })
    }
}

/// Which records go where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    pub(super) element: String,
    pub(super) subject: String,
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) timeout: Duration,
    pub(super) settings: Stream,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(change: impl FnOnce(&mut Stream)) -> Option<String> {
        let mut stream = Stream::default();
        change(&mut stream);
        stream.validate().err().map(|error| error.key)
    }

    #[test]
    fn servers_elsewhere_need_tls_and_secrets_a_file() {
        let servers = |server: &str| key(|stream| stream.servers = vec![server.into()]);
        assert_eq!(servers("nats://127.0.0.1:4222"), None);
        assert_eq!(servers("tls://records.example:4222"), None);
        assert_eq!(
            key(|it| {
                it.servers = vec!["nats://192.0.2.1:4222".into()];
                it.allow_remote = true;
            }),
            None
        );
        for wrong in [
            "nats://192.0.2.1:4222",
            "ws://127.0.0.1",
            "nats://u:p@127.0.0.1",
            "nats://",
        ] {
            assert!(
                servers(wrong).is_some_and(|error| error.contains("stream.servers")),
                "{wrong}"
            );
        }
        for wrong in ["", "a..b", "a.*", "a.>", "a b"] {
            assert!(key(|it| it.subject = wrong.into()).is_some(), "{wrong}");
        }
    }
}
