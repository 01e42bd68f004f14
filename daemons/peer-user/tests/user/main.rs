//! A user against a manager and a provider that stand in for others: what he believes, what he repeats, what he signs.

mod credentials;
mod parties;
mod proxy;
mod relay;
