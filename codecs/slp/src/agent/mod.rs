//! What user and service agents do to be answered, without I/O: time and datagrams come in, what to send goes out.
//!
//! - [`Exchange`]: a request to one agent, sent again with waits that double (RFC 2608 12.3).
//! - [`Convergence`]: a request to everybody, with the list of those that have answered (RFC 2608 6.3).
//! - [`DirectoryAgents`]: which of them are known, and whom to ask for which scopes (RFC 2608 11.1, 12.1).
//! - [`Discovery`]: when to look for more (RFC 2608 12.2.1).
//! - [`user_agent`]: all of it together.

mod convergence;
mod directory_agents;
mod discovery;
mod exchange;
mod links;
mod random;
mod reply;
mod request;
mod retransmission;
mod timers;
pub mod user_agent;

pub use convergence::{
    Convergence, ConvergenceEffect, ConvergenceEnd, ConvergenceEvent, ConvergenceLimits, Unsendable,
};
pub use directory_agents::{
    Advert, Cover, DirectoryAgent, DirectoryAgentLimits, DirectoryAgents, Disbelief, Heard, Origin,
};
pub use discovery::Discovery;
pub use exchange::{Exchange, ExchangeEffect, ExchangeEvent};
pub use links::Links;
pub use random::{Random, Xids};
pub use reply::{error_of, peek};
pub use request::{Authority, DIRECTORY_AGENT, Delivery, Group, Question, Request, SERVICE_AGENT};
pub use retransmission::{Due, Retransmission};
pub use timers::Timers;
