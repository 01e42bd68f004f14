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

pub mod config;
pub mod core;
pub mod effect;
pub mod event;
pub mod limits;
pub mod registry;
pub mod settings;
