//! Invoices and settlements: what they say, that their sums hold, that independent programs read the PDFs, and that
//! closing a period loses nothing, takes nothing twice, and happens wholly or not at all.

#[path = "../support/mod.rs"]
mod support;

mod books;
mod closing;
mod killed;
mod made;
mod pages;
mod sums;
