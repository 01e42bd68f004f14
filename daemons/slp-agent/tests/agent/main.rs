//! The user agent on real sockets, over loopback, against agents that the test plays.

mod directory_agent;
mod fake;
mod registration;
mod service_agents;
mod watch;
