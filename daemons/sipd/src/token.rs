//! Unguessable tokens for branches, tags and call numbers, from one seed:
//! the core itself reads no randomness.

use sha2::{Digest, Sha256};

/// A stream of 64-bit tokens.
#[derive(Debug)]
pub struct Tokens {
    seed: [u8; 32],
    counter: u64,
    ready: Vec<u64>,
}

impl Tokens {
    /// The stream that belongs to `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            counter: 0,
            ready: Vec::with_capacity(4),
        }
    }

    /// The next token.
    #[allow(clippy::should_implement_trait)] // it never ends
    pub fn next(&mut self) -> u64 {
        if let Some(token) = self.ready.pop() {
            return token;
        }
        self.counter = self.counter.wrapping_add(1);
        let digest = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.counter.to_be_bytes())
            .finalize();
        for chunk in digest.as_chunks::<8>().0 {
            self.ready.push(u64::from_be_bytes(*chunk));
        }
        self.ready.pop().unwrap_or(self.counter)
    }

    /// A token that only this process can make for `text`: shows that a
    /// Record-Route entry is our own.
    pub fn proof(&self, text: &str) -> u64 {
        let digest = Sha256::new()
            .chain_update(self.seed)
            .chain_update(text.as_bytes())
            .chain_update(self.seed)
            .finalize();
        digest
            .as_chunks::<8>()
            .0
            .first()
            .map_or(0, |chunk| u64::from_be_bytes(*chunk))
    }
}
