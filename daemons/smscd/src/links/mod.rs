//! Credit control over Diameter.

pub mod ro;
