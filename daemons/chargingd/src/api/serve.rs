//! The listener.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use tollwire_runtime::admin::Problem;
use tollwire_web::server::{self, Refusal};

use super::access::Access;
use super::config::Config;
use super::{Gate, LARGEST_BODY, router};

/// How long a connection may last, whoever reads or does not read what is answered, seconds.
const LIFETIME_SECONDS: u64 = 600;

/// The running server; dropping it ends it.
pub(crate) struct Server {
    gate: Arc<Gate>,
    server: server::Server,
}

impl Server {
    /// Listens, if that is wanted, and serves `routes` under `/v1`.
    ///
    /// # Errors
    /// What cannot be read or bound.
    pub(crate) async fn start(config: &Config, routes: Router) -> Result<Option<Self>, String> {
        if config.listen.is_none() {
            return Ok(None);
        }
        let gate = Arc::new(Gate {
            access: Mutex::new(Arc::new(Access::read(config)?)),
        });
        let routes = router(routes, Arc::clone(&gate));
        let refuse = |refusal: Refusal, _: &HeaderMap| {
            Problem::new(refusal.status(), refusal.to_string()).into_response()
        };
        let settings = settings(config);
        let started = server::Server::start_with(&settings, routes, Some(Arc::new(refuse)));
        let server = started.await.map_err(|error| format!("api: {error}"))?;
        Ok(Some(Self { gate, server }))
    }

    /// Takes other files, rates and times; what runs goes on as it began.
    ///
    /// # Errors
    /// What cannot be read; then everything stays as it is.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), String> {
        let access = Access::read(config)?;
        self.server.reload(&settings(config))?;
        if let Ok(mut current) = self.gate.access.lock() {
            *current = Arc::new(access);
        }
        Ok(())
    }
}

fn settings(config: &Config) -> server::Config {
    server::Config {
        listen: config.listen,
        tls_certificate_file: config.tls_certificate_file.clone(),
        tls_key_file: config.tls_key_file.clone(),
        client_ca_file: config.client_ca_file.clone(),
        requests_per_second: config.requests_per_second,
        burst: config.burst,
        max_connections: config.max_connections,
        max_connections_per_source: config.max_connections.div_ceil(4),
        max_body_octets: LARGEST_BODY,
        timeout_seconds: config.timeout_seconds,
        lifetime_seconds: LIFETIME_SECONDS,
        // Programs ask, not browsers.
        hsts_seconds: 0,
        ..server::Config::default()
    }
}
