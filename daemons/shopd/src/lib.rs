//! A service provider's server: a shop that finds its methods of payment on the network.
//!
//! An [`order`] is pure: events in, effects out, time as an argument. What an event changes is on disk before any of its
//! effects is carried out; goods go out after the acknowledgement of a billing server is stored, once.
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
pub mod catalogue;
pub mod config;
pub mod counters;
pub mod discovery;
mod driver;
pub mod goods;
pub mod keys;
pub mod money;
pub mod order;
pub mod pages;
pub mod serve;
pub mod servers;
pub mod shop;
pub mod store;
pub mod transfers;
pub mod words;

pub use driver::main;
