//! A fast hash for numbers that we choose ourselves.

use std::hash::{BuildHasherDefault, Hasher};

/// Multiplies by a large odd number: good for ids that count up, wrong for anything that a peer chooses.
#[derive(Debug, Default, Clone, Copy)]
pub struct NumberHasher(u64);

/// Builds [`NumberHasher`].
pub type NumberHash = BuildHasherDefault<NumberHasher>;

/// 2^64 divided by the golden ratio, as in Fibonacci hashing.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u64(u64::from(*octet));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The table takes its place from the low bits and its tag from the high ones: both must be mixed.
        let mixed = (self.0 ^ number).wrapping_mul(GOLDEN);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }
}
