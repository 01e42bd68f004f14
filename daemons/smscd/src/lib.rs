//! The SMSC: short messages that carry their tariff through to the charge record.
//!
//! The [`core`] is pure: events in, effects out, time as an argument. Nothing is acknowledged to an ESME before its
//! [`entry::Entry`] is on disk, and nothing is charged that is not.
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
pub mod credit;
mod driver;
pub mod effect;
pub mod entry;
pub mod esme;
pub mod event;
pub mod links;
pub mod message;
pub mod net;
pub mod password;
pub mod queue;
pub mod receipt;
pub mod retry;
pub mod router;
pub mod settings;
pub mod spool;
pub mod tariff;
pub mod wire;

pub use driver::main;
