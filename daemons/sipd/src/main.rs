//! Entry point of `sipd`.

fn main() {}
