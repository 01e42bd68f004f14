//! The service provider's side of peer-to-peer accounting (docs/peer.md), for a daemon with a web server.
//!
//! ```text
//! manager --UserCredential--> routes --> database, Core --> acknowledgement
//! user --ServiceRequest--> Provider::authorize --> database --> Permit --> service (HTTP), relay (UDP)
//! Core --AccountingMessage--> database --> manager --acknowledgement--> database --> Core
//! ```
//! ```no_run
//! use tollwire_peer_provider::{Config, Provider};
//! use tollwire_web::{Server, server};
//!
//! # async fn start(config: Config, web: server::Config) -> Result<(), String> {
//! let provider = Provider::open(config, "peers").await?;
//! let relays = provider.listen().await?;
//! let server = Server::start(&web, provider.router()).await?;
//! let running = provider.clone();
//! let running = tokio::spawn(async move { running.run().await });
//! // SIGTERM:
//! drop(relays);
//! server.stop().await;
//! running.abort();
//! provider.close().await;
//! # Ok(()) }
//! ```
//! A service of another kind asks [`Provider::authorize`] itself, holds the [`Permit`] while it serves, and passes bodies
//! through [`Metered`].
//!
//! What a crash may forget: of what was used and not told yet, octets and time since the last checkpoint
//! ([`Config::checkpoint_octets`], [`Config::checkpoint_seconds`]). Requests are on disk before they are served. What was told
//! is on disk before it is told, so nothing is told twice as two things.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod admin;
mod answer;
pub mod check;
pub mod config;
pub mod core;
mod counters;
mod drive;
mod meter;
mod permit;
mod provider;
mod refusal;
mod routes;
mod service;
pub mod store;
pub mod udp;

pub use config::Config;
pub use meter::Metered;
pub use permit::Permit;
pub use provider::{Provider, Readings};
pub use refusal::refused;
