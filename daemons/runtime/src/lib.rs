//! What every daemon shares: configuration, logging, signals, readiness, metrics, the Diameter node.
pub mod clock;
