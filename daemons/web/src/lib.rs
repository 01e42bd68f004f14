//! What the web daemons share: an HTTPS server and client with bounds, a database, pages and their words.
//!
//! ```no_run
//! use axum::{Router, extract::State, http::HeaderMap, routing::get};
//! use tollwire_web::{Frame, Messages, Page, Peer, Server, maud::html, server};
//!
//! #[derive(Clone)]
//! struct Shop { frame: Frame, messages: Messages }
//!
//! async fn goods(State(shop): State<Shop>, peer: Peer, headers: HeaderMap) -> Page {
//!     let words = shop.messages.choose(None, &headers);
//!     shop.frame.page(&words, "Goods", html! { p { "for " (peer.address) } })
//! }
//!
//! # async fn start(config: server::Config) -> Result<(), String> {
//! let english = "[goods]\ntitle = \"Goods\"\n";
//! let messages = Messages::load(&[("en", english)], None, "en")?;
//! let frame = Frame::new("The shop", "/", &messages);
//! let router = Router::new().route("/", get(goods)).merge(frame.routes());
//! let router = router.with_state(Shop { frame, messages });
//! let server = Server::start(&config, router).await?;
//! // SIGHUP: server.reload(&config)?; SIGTERM:
//! server.stop().await;
//! # Ok(()) }
//! ```

pub mod client;
pub mod csrf;
pub mod database;
pub mod headers;
pub mod limit;
pub mod messages;
pub mod money;
pub mod page;
pub mod proxy;
pub mod range;
pub mod server;
pub mod tls;

pub use client::Client;
pub use csrf::Tokens;
pub use database::Database;
pub use iso_currency::Currency;
pub use maud;
pub use messages::{Language, Messages};
pub use page::{Frame, Page};
pub use server::{Peer, Server};

/// A folder for one test, empty.
#[cfg(test)]
fn scratch(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("tollwire-web-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for this test");
    folder
}
