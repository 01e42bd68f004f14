//! Entry point of `tollctl`.

fn main() {}
