//! The accounting manager, over HTTP with real signatures: a user, a provider, and whoever would like to be one of them.

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod flow;
mod killed;
mod world;
