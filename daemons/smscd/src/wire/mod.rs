//! PDUs as the core needs them: what submits in one form, and writing without a copy into a link's buffer.

pub mod read;
pub mod write;

pub use tollwire_smpp::{command, status, time, tlv as tag};
