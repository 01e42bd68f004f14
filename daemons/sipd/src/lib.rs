//! SIP registrar, record-routing proxy and call supervision.
pub mod auth;
pub mod registrar;
pub mod store;
