//! Bounds-checked cursor over octets, shared by the binary codecs.
//!
//! All integers are in network byte order. A read past the end is a value
//! ([`ShortBuffer`]), never a panic; no codec indexes a slice itself.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod reader;
mod writer;

pub use reader::{Reader, ShortBuffer};
pub use writer::Writer;
