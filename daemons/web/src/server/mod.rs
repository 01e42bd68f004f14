//! The server: TLS, connections and their bounds, and what goes before every handler.
//!
//! ```text
//! accept -> place of the source -> TLS -> head -> rate of the source -> body's bound -> handler, its time -> headers
//! ```
//!
//! ```no_run
//! # use tollwire_web::server::{Config, Refusal, Server};
//! # async fn start(config: Config, router: axum::Router) -> Result<(), String> {
//! let server = Server::start(&config, router).await?;
//! println!("{:?}", server.address());
//! server.reload(&config)?; // SIGHUP
//! server.stop().await; // SIGTERM
//! # Ok(()) }
//! ```

mod config;
mod gate;
mod peer;
mod serve;
mod stall;

pub use config::Config;
pub use gate::{Refusal, Refuse};
pub use peer::Peer;
pub use serve::Server;
