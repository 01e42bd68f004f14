//! Simulations: the core with virtual time, a disk, a credit control and peers that are all simulated.

mod binds;
mod charging;
mod crash;
mod delivery;
mod hostile;
mod manage;
mod sim;
mod store;
mod tariff;
mod upstream;
