//! Which server, and how it is reached.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Deserializer};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::explain;
use crate::part::Division;
use crate::store::backend::Cause;

/// `postgres://USER@HOST/DATABASE`, as libpq reads it. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Config);

/// A database of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub url: Url,
    /// A file with the password; the URL's if absent.
    pub password_file: Option<PathBuf>,
    /// The authorities that sign the server's certificate, PEM; without it the connection is not encrypted.
    pub tls_ca_file: Option<PathBuf>,
    /// How long server or connection may be silent before they count as lost.
    pub takeover: Duration,
    /// This instance's Origin-Host, for the others.
    pub origin_host: String,
    /// The part of its subscribers that this instance is for.
    pub division: Division,
    /// The schema that holds the tables; where the user's tables go of themselves if absent.
    pub schema: Option<String>,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Anything else would be read as libpq's list of keywords.
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err("begin with postgres://".to_owned());
        }
        let config: Config = text.parse().map_err(|error| format!("{error}"))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("name a host, or ?host=/run/postgresql for a Unix socket".to_owned());
        }
        if config.get_user().is_none() {
            return Err("name a user: postgres://USER@HOST/DATABASE".to_owned());
        }
        if config.get_dbname().is_none() {
            return Err("name a database: postgres://USER@HOST/DATABASE".to_owned());
        }
        Ok(Self(config))
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.0.get_user().unwrap_or_default();
        let hosts: Vec<String> = self
            .0
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .chain(self.0.get_hostaddrs().iter().map(ToString::to_string))
            .collect();
        let database = self.0.get_dbname().unwrap_or_default();
        write!(
            formatter,
            "postgres://{user}@{}/{database}",
            hosts.join(",")
        )
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(formatter)
    }
}

impl Url {
    /// Whether a password stands in it.
    pub fn has_password(&self) -> bool {
        self.0.get_password().is_some()
    }

    /// Whether what goes to the server leaves this host unprotected, and the URL does not say `sslmode=disable`.
    pub fn wants_tls(&self) -> bool {
        let remote_name = self.0.get_hosts().iter().any(|host| match host {
            Host::Unix(_) => false,
            Host::Tcp(name) => {
                name != "localhost"
                    && !name
                        .parse()
                        .is_ok_and(|it: std::net::IpAddr| it.is_loopback())
            }
        });
        let remote = remote_name || self.0.get_hostaddrs().iter().any(|it| !it.is_loopback());
        remote && self.0.get_ssl_mode() != SslMode::Disable
    }
}

impl Server {
    /// What is wrong with the files it names.
    ///
    /// # Errors
    /// The file, and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.password().map_err(|error| error.to_string())?;
        self.tls().map_err(|error| error.to_string()).map(drop)
    }

    fn password(&self) -> Result<Option<String>, Cause> {
        let Some(path) = &self.password_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).map_err(|error| named(path, error))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn tls(&self) -> Result<Option<MakeRustlsConnect>, Cause> {
        let Some(path) = &self.tls_ca_file else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|it| named(path, it))? {
            let certificate = certificate.map_err(|error| named(path, error))?;
            roots.add(certificate).map_err(|error| named(path, error))?;
        }
        if roots.is_empty() {
            return Err(named(path, "no certificate in it"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(config)))
    }

    /// A new connection, which both sides give up when the other is silent for [`Server::takeover`].
    pub(super) async fn connect(&self) -> Result<Client, Cause> {
        let mut config = self.url.0.clone();
        if let Some(password) = self.password()? {
            config.password(password);
        }
        config
            .application_name(format!("chargingd {}", self.origin_host))
            .connect_timeout(self.takeover)
            .keepalives_idle(self.takeover / 2)
            .keepalives_interval((self.takeover / 4).max(Duration::from_secs(1)))
            .keepalives_retries(2)
            .tcp_user_timeout(self.takeover);
        let client = match self.tls()? {
            Some(tls) => {
                config.ssl_mode(SslMode::Require);
                let (client, connection) = config.connect(tls).await.map_err(explain)?;
                // It ends with the client, and what goes wrong on it the client is told.
                tokio::spawn(async move { drop(connection.await) });
                client
            }
            None => {
                config.ssl_mode(SslMode::Disable);
                let (client, connection) = config.connect(NoTls).await.map_err(explain)?;
                tokio::spawn(async move { drop(connection.await) });
                client
            }
        };
        let schema = match &self.schema {
            // Ours, and so without quotes in it.
            Some(schema) => format!("SET search_path = \"{schema}\";"),
            None => String::new(),
        };
        let seconds = self.takeover.as_secs().max(2);
        let ms = self.takeover.as_millis();
        client
            .batch_execute(&format!(
                "{schema} SET tcp_keepalives_idle = {}; SET tcp_keepalives_interval = {}; SET tcp_keepalives_count = 2;
                 SET tcp_user_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}; SET lock_timeout = {ms};
                 SELECT set_config('synchronous_commit', 'on', false)
                 WHERE current_setting('synchronous_commit') IN ('off', 'local')",
                seconds / 2,
                (seconds / 4).max(1),
            ))
            .await
            .map_err(explain)?;
        Ok(client)
    }
}

fn named(path: &Path, error: impl fmt::Display) -> Cause {
    format!("{}: {error}", path.display()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<Url, String> {
        text.parse()
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = url("postgres://chargingd:secret@db.example:5433/books").unwrap();
        assert!(url.has_password());
        for shown in [format!("{url}"), format!("{url:?}")] {
            assert_eq!(shown, "postgres://chargingd@db.example/books");
        }
    }

    #[test]
    fn an_incomplete_url_says_what_is_missing() {
        for (text, missing) in [
            ("postgres://u@/d", "host"),
            ("postgres://h/d", "user"),
            ("postgres://u@h", "database"),
            ("host=h user=u dbname=d", "postgres://"),
        ] {
            assert!(url(text).unwrap_err().contains(missing), "{text}");
        }
    }

    #[test]
    fn only_a_path_off_this_host_wants_tls() {
        for (text, wants) in [
            ("postgres://u@db.example/d", true),
            ("postgres://u@192.0.2.1/d", true),
            ("postgres://u@db.example/d?sslmode=disable", false),
            ("postgres://u@localhost/d", false),
            ("postgres://u@127.0.0.1/d", false),
            ("postgres://u@/d?host=/run/postgresql", false),
        ] {
            assert_eq!(url(text).unwrap().wants_tls(), wants, "{text}");
        }
    }
}
