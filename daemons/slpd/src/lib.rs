//! The directory and service agent: what is registered on the network, and who asks for it.
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
pub mod config;
pub mod core;
mod driver;
pub mod effect;
pub mod event;
pub mod keys;
pub mod limits;
pub mod net;
pub mod registry;
pub mod settings;
pub mod store;

pub use driver::main;
