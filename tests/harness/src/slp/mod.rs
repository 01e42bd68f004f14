//! The stage for SLP: hosts on one link, `slpd` on any of them, and an independent hand that writes and reads the octets.

pub mod agent;
pub mod lan;
pub mod stage;
pub mod wire;
