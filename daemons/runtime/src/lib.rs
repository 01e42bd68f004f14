//! What every daemon shares: configuration, logging, signals, readiness, metrics, the Diameter node.

pub mod accounting;
pub mod admin;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod diameter;
pub mod exit;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod pace;
pub mod password;
pub mod records;
pub mod signals;
