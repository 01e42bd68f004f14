//! Entry point of `chargingd`.

fn main() {}
