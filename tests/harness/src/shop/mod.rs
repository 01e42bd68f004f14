//! The scene of billing by discovery: shops, billing servers, a directory agent and customers on one link, and `chargingd`.

pub mod customer;
pub mod daemon;
pub mod market;
