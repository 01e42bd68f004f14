//! Peer-to-peer accounting: the accounting manager.
//!
//! Users get credentials for services of providers whom they never met, providers say what was used, and the charging core of this
//! daemon is asked for the money: docs/peer.md is the protocol.

mod admin;
pub mod config;
pub mod core;
mod driver;
pub mod effect;
pub mod event;
pub(crate) mod figures;
pub mod gate;
mod live;
pub(crate) mod manager;
pub mod measure;
mod provider;
pub mod ro;
pub mod seal;
pub mod session;
pub mod settings;
pub mod store;
mod web;
