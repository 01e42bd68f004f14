//! Calls beside the proxy: who they are, what is kept back for them, and how
//! their effects become messages.

mod effects;
mod entry;
mod held;
mod passage;
mod table;

pub use entry::{CallEntry, Parties};
pub use held::{HeldItem, HeldMessages};
pub use table::CallTable;
