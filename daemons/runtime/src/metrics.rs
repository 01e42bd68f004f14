//! Metrics in the OpenMetrics text form, for Prometheus.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
pub use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
pub use prometheus_client::registry::Registry;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a daemon.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// No metrics yet; every name will begin with `prefix` and an underscore.
    pub fn new(prefix: &str) -> Self {
        Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix(prefix))),
        }
    }

    /// Registers metrics.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The text that `/metrics` answers.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }

    /// `GET /metrics`.
    pub fn router(&self) -> Router {
        let metrics = self.clone();
        Router::new().route(
            "/metrics",
            get(|| async move { ([(CONTENT_TYPE, OPEN_METRICS)], metrics.render()).into_response() }),
        )
    }
}

/// How a gauge is read off a daemon's core.
pub type Reading<T> = fn(&T) -> u64;

/// Gauges that are read off a daemon's core now and then.
pub struct Gauges<T> {
    all: Vec<(Gauge, Reading<T>)>,
}

impl<T> Gauges<T> {
    /// Registers `rows`: name, help, and how it is read.
    pub fn register(metrics: &Metrics, rows: &[(&str, &str, Reading<T>)]) -> Self {
        let mut all = Vec::new();
        for (name, help, read) in rows {
            let gauge = Gauge::default();
            metrics.register(|registry| registry.register(*name, *help, gauge.clone()));
            all.push((gauge, *read));
        }
        Self { all }
    }

    /// Reads all of them off `core`.
    pub fn set(&self, core: &T) {
        for (gauge, read) in &self.all {
            gauge.set(i64::try_from(read(core)).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_what_was_registered() {
        let metrics = Metrics::new("sipd");
        let calls = Counter::<u64>::default();
        metrics.register(|registry| registry.register("calls", "Calls begun", calls.clone()));
        calls.inc_by(3);
        let text = metrics.render();
        assert!(text.contains("# HELP sipd_calls Calls begun."), "{text}");
        assert!(text.contains("sipd_calls_total 3"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
