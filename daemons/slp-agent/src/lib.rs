//! An SLPv2 user agent (RFC 2608, RFC 3111): finds services, and registers them.
//!
//! Questions go to directory agents by unicast, over TCP where a reply does not fit a datagram, and without directory
//! agents to everybody by multicast. What decides so is [`tollwire_slp::agent::user_agent`]; here are its sockets, one
//! for each interface and family, and the names that programs use.
//!
//! ```no_run
//! use tollwire_slp_agent::{Registration, Settings, UserAgent};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let agent = UserAgent::new(Settings::default())?;
//!
//! let mut registration = Registration::new("service:billing://192.0.2.7:8443", "(currency=EUR),(fee=2)");
//! registration.lifetime = 600;
//! agent.register(&registration).await?;
//!
//! let servers = agent.find_services_with_attributes("service:billing", "(currency=EUR)").await?;
//! for server in &servers.found {
//!     println!("{} for {} s: {:?}", server.url, server.lifetime, server.attributes);
//! }
//!
//! let mut watch = agent.in_scopes("DEFAULT")?.watch("service:billing", "(fee<=3)")?;
//! while let Some(change) = watch.next().await {
//!     println!("{change:?}");
//! }
//! # Ok(())
//! # }
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod advertise;
mod agent;
mod answers;
mod driver;
mod error;
mod interfaces;
mod registration;
mod settings;
mod sockets;
mod stream;
mod trust;
mod watch;

pub use advertise::Advertisement;
pub use agent::{Found, ServiceStream, UserAgent};
pub use answers::Service;
pub use error::{Error, Peer};
pub use registration::Registration;
pub use settings::{Settings, Timers};
pub use tollwire_slp::agent::{Advert, Authority, DirectoryAgent, Origin};
pub use trust::VerifyingKey;
pub use watch::{Change, Watch};
