//! The user's side of peer-to-peer accounting: credentials of a manager, and requests to providers that are signed with them.
//!
//! [`User`] asks and verifies, [`Leases`] keeps one credential and gets the next before it ends, [`Proxy`] lets any program use
//! an HTTP service, [`relay`] a service of datagrams. The protocol is in docs/peer.md.
//!
//! ```no_run
//! # use tollwire_peer::Identity;
//! # use tollwire_peer_user::{Manager, User};
//! # use tollwire_jose::Trust;
//! # use tollwire_web::client::{Client, Config};
//! # async fn example(pem: [String; 3]) -> Result<(), Box<dyn std::error::Error>> {
//! let [certificate, key, root] = pem;
//! let manager = Manager::new("https://manager.example", None)?;
//! let client = Client::new(&Config { allow_private: true, ..Config::default() })?;
//! let identity = Identity::from_pem(&certificate, &key)?;
//! let user = User::new(identity, Trust::new(&root, [])?, manager, client);
//! let service = user.service("weather").await?;
//! let credential = user.request(&service, None).await?;
//! let header = credential.sign("GET", "/weather/today")?;
//! println!("Tollwire-Service-Request: {header}");
//! user.close(&credential).await?;
//! # Ok(()) }
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

mod caller;
mod credential;
mod error;
mod lease;
mod manager;
mod proxy;
pub mod relay;
mod route;
mod user;

pub use caller::{Caller, Ended};
pub use credential::Credential;
pub use error::{Party, UserError};
pub use lease::{Lease, Leases};
pub use manager::Manager;
pub use proxy::{Bounds, Proxy, Used};
pub use user::User;

/// Seconds since 1970, by the system's clock.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
