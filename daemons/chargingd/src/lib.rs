//! Accounts, rating, reservations, ledger and the Diameter Ro server.
//!
//! The [`core`] holds all accounts and sessions in memory and answers at once; what it changed
//! goes to the [`store`] as one group, and no answer leaves before its group is on disk.

pub mod account;
pub mod accounting;
mod admin;
mod answer;
pub mod api;
mod ask;
pub mod audit;
pub mod calendar;
mod caller;
pub mod class;
pub mod config;
pub mod core;
mod database;
mod driver;
pub mod effect;
mod elsewhere;
pub mod event;
mod gauges;
pub mod invoice;
pub mod ledger;
pub mod notify;
mod outbox;
pub mod part;
pub mod peer;
pub mod rating;
mod role;
pub mod service_account;
pub mod session;
pub mod store;
pub mod voucher;

pub use driver::main;
