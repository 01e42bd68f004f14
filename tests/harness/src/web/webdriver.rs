//! WebDriver (W3C): JSON over HTTP to a `chromedriver` on a host.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use crate::net::Host;

/// Longer than anything that a browser is asked for here.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a remote end refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// WebDriver's error code: `no such element`.
    pub error: String,
    /// For people.
    pub message: String,
}

/// A remote end.
#[derive(Clone, Debug)]
pub struct Remote {
    host: Host,
    port: u16,
}

impl Remote {
    /// On the loopback interface of `host`.
    #[must_use]
    pub fn new(host: &Host, port: u16) -> Self {
        Self {
            host: host.clone(),
            port,
        }
    }

    /// Whether it takes sessions.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let exchange = self.exchange("GET", "/status", None);
        exchange.is_ok_and(|value| value["value"]["ready"] == true)
    }

    /// A command.
    ///
    /// # Errors
    /// What it refused.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn command(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refused> {
        let mut answer = self
            .exchange(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let value = answer["value"].take();
        match value["error"].as_str() {
            None => Ok(value),
            Some(error) => Err(Refused {
                error: error.into(),
                message: value["message"].as_str().unwrap_or_default().into(),
            }),
        }
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<Value> {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = self.host.tcp(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        // It does not hang up by itself.
        let mut content = vec![0; length];
        reader.read_exact(&mut content)?;
        serde_json::from_slice(&content).map_err(std::io::Error::other)
    }
}
