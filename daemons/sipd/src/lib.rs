//! SIP registrar, record-routing proxy and call supervision.

mod admin;
pub mod auth;
pub mod calls;
pub mod config;
pub mod core;
pub mod dialog;
mod driver;
pub mod effect;
pub mod event;
pub mod journal;
pub mod links;
pub mod listeners;
pub mod local;
mod net;
pub mod policy;
pub mod proxy;
pub mod registrar;
pub mod sdp;
pub mod services;
pub mod store;
pub mod supervision;
pub mod token;

pub use driver::main;
