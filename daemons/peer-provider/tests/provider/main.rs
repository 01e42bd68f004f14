//! The provider over its sockets, with a manager and users that the test plays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod credentials;
mod datagrams;
mod requests;
mod stage;
mod telling;
mod world;
