//! The real `billd` and `chargingd`, a shop that takes acknowledgements, and customers' browsers.

mod accounts;
mod attacks;
mod consent;
mod forgotten;
mod killed;
mod passkeys;
mod paying;
mod world;
