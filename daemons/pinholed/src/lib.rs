//! Media authorisations (Rx) turned into nf_tables state.
//!
//! [`core`] knows the sessions, [`nftables`] the kernel's table; `driver` is the world around both.

mod admin;
mod answer;
pub mod config;
pub mod core;
mod driver;
pub mod effect;
pub mod event;
pub mod flow;
mod kernel;
pub mod nftables;

pub use driver::main;
