//! Entry point of `pinholed`.

fn main() {}
