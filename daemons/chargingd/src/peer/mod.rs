//! Peer-to-peer accounting: the accounting manager.

pub mod gate;
