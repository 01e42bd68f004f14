//! Peer-to-peer accounting: the accounting manager.

pub mod core;
pub mod effect;
pub mod event;
pub mod gate;
pub mod measure;
pub mod ro;
pub mod session;
pub mod settings;
pub mod store;
