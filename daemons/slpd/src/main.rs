//! Entry point of `slpd`.

fn main() {}
