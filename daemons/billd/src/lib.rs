//! The billing server: pages where customers pay invoices of shops, and signed acknowledgements to those shops.
//!
//! The [`core`] is pure: events in, effects out, time as an argument. Nothing is asked of the charging system, and no shop
//! is told anything, before it is on disk.
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
pub mod checks;
pub mod config;
pub mod core;
mod driver;
pub mod effect;
pub mod event;
pub mod guard;
pub mod pages;
pub mod passkeys;
pub mod payment;
pub mod ro;
pub mod settings;
pub mod store;
mod web;

pub use driver::main;
