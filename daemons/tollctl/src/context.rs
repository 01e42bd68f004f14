//! What every command is given: the sockets, the output, and how to ask.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tollwire_runtime::admin::client::{self, ClientError};

use crate::failure::Failure;

/// Where the daemons listen.
#[derive(Debug, Args)]
pub(crate) struct Sockets {
    /// Socket of chargingd.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        default_value = "/run/tollwire/chargingd.admin"
    )]
    chargingd: PathBuf,
    /// Socket of sipd.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        default_value = "/run/tollwire/sipd.admin"
    )]
    sipd: PathBuf,
    /// Socket of pinholed.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        default_value = "/run/tollwire/pinholed.admin"
    )]
    pinholed: PathBuf,
    /// Socket of smscd.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        default_value = "/run/tollwire/smscd.admin"
    )]
    smscd: PathBuf,
    /// Socket of slpd.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        default_value = "/run/tollwire/slpd.admin"
    )]
    slpd: PathBuf,
    /// Socket of billd.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        default_value = "/run/tollwire/billd.admin"
    )]
    billd: PathBuf,
    /// Socket of shopd.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        default_value = "/run/tollwire/shopd.admin"
    )]
    shopd: PathBuf,
}

/// Whom to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Daemon {
    Chargingd,
    Sipd,
    Pinholed,
    Smscd,
    Slpd,
    Billd,
    Shopd,
}

/// What every command is given.
pub(crate) struct Context<'a> {
    pub(crate) sockets: &'a Sockets,
    pub(crate) json: bool,
    pub(crate) out: &'a mut dyn Write,
}

impl Context<'_> {
    fn address(&self, daemon: Daemon) -> (&'static str, &Path) {
        match daemon {
            Daemon::Chargingd => ("chargingd", &self.sockets.chargingd),
            Daemon::Sipd => ("sipd", &self.sockets.sipd),
            Daemon::Pinholed => ("pinholed", &self.sockets.pinholed),
            Daemon::Smscd => ("smscd", &self.sockets.smscd),
            Daemon::Slpd => ("slpd", &self.sockets.slpd),
            Daemon::Billd => ("billd", &self.sockets.billd),
            Daemon::Shopd => ("shopd", &self.sockets.shopd),
        }
    }

    /// `GET path`.
    pub(crate) async fn get(&self, daemon: Daemon, path: &str) -> Result<Value, Failure> {
        let answer = client::get(self.address(daemon).1, path).await;
        self.answered(daemon, answer)
    }

    /// `GET path`, as it comes.
    pub(crate) async fn get_octets(&self, daemon: Daemon, path: &str) -> Result<Vec<u8>, Failure> {
        client::get_octets(self.address(daemon).1, path)
            .await
            .map_err(|error| self.failed(daemon, error))
    }

    /// `POST path` with `body`.
    pub(crate) async fn post(
        &self,
        daemon: Daemon,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Value, Failure> {
        let answer = client::post(self.address(daemon).1, path, body).await;
        self.answered(daemon, answer)
    }

    /// `PUT path` with `body`.
    pub(crate) async fn put(
        &self,
        daemon: Daemon,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Value, Failure> {
        let answer = client::put(self.address(daemon).1, path, body).await;
        self.answered(daemon, answer)
    }

    /// `DELETE path`.
    pub(crate) async fn delete(&self, daemon: Daemon, path: &str) -> Result<Value, Failure> {
        let answer = client::delete(self.address(daemon).1, path).await;
        self.answered(daemon, answer)
    }

    fn answered(
        &self,
        daemon: Daemon,
        answer: Result<Value, ClientError>,
    ) -> Result<Value, Failure> {
        answer.map_err(|error| self.failed(daemon, error))
    }

    fn failed(&self, daemon: Daemon, error: ClientError) -> Failure {
        let (name, socket) = self.address(daemon);
        Failure::Daemon {
            daemon: name,
            socket: socket.to_owned(),
            error,
        }
    }

    /// The fields of an answer of `daemon`.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        daemon: Daemon,
        answer: Value,
    ) -> Result<T, Failure> {
        serde_json::from_value(answer).map_err(|error| {
            let (name, socket) = self.address(daemon);
            Failure::Answer {
                daemon: name,
                socket: socket.to_owned(),
                error,
            }
        })
    }

    /// Prints `value` as indented JSON.
    pub(crate) fn print_json(&mut self, value: &Value) -> Result<(), Failure> {
        writeln!(self.out, "{value:#}")?;
        Ok(())
    }

    /// Prints one line.
    pub(crate) fn print_line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{}", crate::table::printable(line))?;
        Ok(())
    }
}

/// Says `line` on standard error, beside the output.
pub(crate) fn warn(line: &str) {
    // A closed standard error must not fail the command.
    let _ = writeln!(
        std::io::stderr(),
        "tollctl: {}",
        crate::table::printable(line)
    );
}

/// `text` as a part of a path or query: percent-encoded (RFC 3986 2.1) but for the unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A query of the pairs that have a value, with its `?`; empty without any.
pub(crate) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if let Some(value) = value {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(name);
            query.push('=');
            query.push_str(&encode(value));
        }
    }
    query
}
