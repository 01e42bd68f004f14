//! The PDUs of the hot path, read in place and written in place.
//!
//! A message crosses the core in five PDUs. Here they are read without a copy of anything and written into the link's
//! buffer; optional parameters stay octets.

pub mod command;
pub mod read;
pub mod status;
pub mod tag;
pub mod time;
pub mod write;
