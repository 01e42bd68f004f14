//! Peer-to-peer accounting: an authority, messages made by hand, services to be sold, and the hosts of a manager, a provider and a user.

pub mod authority;
pub mod hand;
pub mod service;
pub mod stage;
