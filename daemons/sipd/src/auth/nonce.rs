//! Nonces that prove their own age, and the counts already used with them.
//!
//! A nonce is `seconds || random || HMAC-SHA-256(key, seconds || random)`, in
//! hexadecimal (RFC 7616 5.4 asks for a time-stamp and a private key). Nothing is
//! stored when one is issued, so a flood of challenges costs no memory; an entry
//! is made when a nonce is first used with the right password.

use std::collections::{HashMap, VecDeque};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

type Key = Hmac<Sha256>;

const SECONDS: usize = 8;
const RANDOM: usize = 8;
const TAG: usize = 16;

/// Issues nonces and remembers which counts were used.
pub struct Nonces {
    key: Key,
    lifetime_seconds: u64,
    capacity: usize,
    used: HashMap<[u8; RANDOM], Window>,
    /// Keys of `used` in the order they were first used, with the second they were issued.
    order: VecDeque<([u8; RANDOM], u64)>,
    /// Nonces issued at or before this second are stale: what was known of them is forgotten.
    floor: u64,
}

/// What became of a nonce that came with the right password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Ours, young enough, and the count is new.
    Fresh,
    /// Not ours, or too old, or the count was used before: challenge with `stale=true`.
    Stale,
}

/// The highest count seen and, in bit n, whether that count minus n was seen.
#[derive(Debug, Clone, Copy)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Window {
    /// Whether `count` is new; counts more than 63 below the highest are taken as used.
    /// Requests of one phone over UDP may arrive out of order.
    fn admit(&mut self, count: u32) -> bool {
        if count > self.highest {
            let shift = count - self.highest;
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        match 1u64.checked_shl(self.highest - count) {
            Some(bit) if self.seen & bit == 0 => {
                self.seen |= bit;
                true
            }
            _ => false,
        }
    }
}

impl Nonces {
    /// `key` is secret and random; at most `capacity` nonces in use are remembered.
    pub fn new(key: [u8; 32], lifetime_seconds: u64, capacity: usize) -> Self {
        #[allow(clippy::expect_used)] // HMAC takes a key of any length (RFC 2104 2).
        let key = Key::new_from_slice(&key).expect("a key of any length");
        Self {
            key,
            lifetime_seconds,
            capacity: capacity.max(1),
            used: HashMap::new(),
            order: VecDeque::new(),
            floor: 0,
        }
    }

    /// A nonce for a challenge. `random` comes from the system's generator.
    pub fn issue(&self, now_seconds: u64, random: [u8; RANDOM]) -> String {
        let mut octets = Vec::with_capacity(SECONDS + RANDOM + TAG);
        octets.extend_from_slice(&now_seconds.to_be_bytes());
        octets.extend_from_slice(&random);
        let tag = self
            .key
            .clone()
            .chain_update(&octets)
            .finalize()
            .into_bytes();
        octets.extend(tag.iter().take(TAG));
        hex::encode(octets)
    }

    /// Marks `count` as used with `nonce`. Only for requests whose password was right:
    /// nobody else may use up another's counts, or the table.
    pub fn use_up(&mut self, now_seconds: u64, nonce: &str, count: u32) -> Use {
        let Some((issued, random)) = self.read(nonce) else {
            return Use::Stale;
        };
        let age = now_seconds.checked_sub(issued);
        if issued <= self.floor || age.is_none_or(|age| age >= self.lifetime_seconds) {
            return Use::Stale;
        }
        self.forget_expired(now_seconds);
        let window = match self.used.get_mut(&random) {
            Some(window) => window,
            None => {
                self.make_room();
                self.order.push_back((random, issued));
                self.used.entry(random).or_insert(Window {
                    highest: 0,
                    seen: 0,
                })
            }
        };
        // RFC 7616 3.4.5: the count begins at 1.
        if count > 0 && window.admit(count) {
            Use::Fresh
        } else {
            Use::Stale
        }
    }

    fn read(&self, nonce: &str) -> Option<(u64, [u8; RANDOM])> {
        let mut octets = [0; SECONDS + RANDOM + TAG];
        hex::decode_to_slice(nonce, &mut octets).ok()?;
        let (signed, tag) = octets.split_last_chunk::<TAG>()?;
        self.key
            .clone()
            .chain_update(signed)
            .verify_truncated_left(tag)
            .ok()?;
        let (seconds, random) = signed.split_first_chunk::<SECONDS>()?;
        Some((u64::from_be_bytes(*seconds), random.try_into().ok()?))
    }

    fn forget_expired(&mut self, now_seconds: u64) {
        while let Some((random, issued)) = self.order.front() {
            if issued.saturating_add(self.lifetime_seconds) > now_seconds {
                break;
            }
            self.used.remove(random);
            self.order.pop_front();
        }
    }

    /// Forgetting a live nonce would let its counts be used again, so those as old go stale with it.
    fn make_room(&mut self) {
        if self.used.len() < self.capacity {
            return;
        }
        if let Some((random, issued)) = self.order.pop_front() {
            self.used.remove(&random);
            self.floor = self.floor.max(issued);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(capacity: usize) -> Nonces {
        Nonces::new([7; 32], 300, capacity)
    }

    #[test]
    fn a_count_is_good_once_and_may_come_out_of_order() {
        let mut nonces = nonces(8);
        let nonce = nonces.issue(1000, [1; 8]);
        for (count, expected) in [
            (1, Use::Fresh),
            (1, Use::Stale),
            (3, Use::Fresh),
            (2, Use::Fresh),
            (2, Use::Stale),
            (0, Use::Stale),
            (200, Use::Fresh),
            (4, Use::Stale),
            (u32::MAX, Use::Fresh),
        ] {
            assert_eq!(nonces.use_up(1001, &nonce, count), expected, "{count}");
        }
    }

    #[test]
    fn a_nonce_ages_and_one_from_the_future_is_not_ours() {
        let mut nonces = nonces(8);
        let nonce = nonces.issue(1000, [1; 8]);
        assert_eq!(nonces.use_up(1299, &nonce, 1), Use::Fresh);
        assert_eq!(nonces.use_up(1300, &nonce, 2), Use::Stale);
        let future = nonces.issue(5000, [2; 8]);
        assert_eq!(nonces.use_up(1300, &future, 1), Use::Stale);
    }

    #[test]
    fn every_changed_digit_makes_it_foreign() {
        let mut nonces = nonces(8);
        let nonce = nonces.issue(1000, [1; 8]);
        for at in 0..nonce.len() {
            let mut changed = nonce.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(nonces.use_up(1000, &changed, 1), Use::Stale, "{at}");
        }
        for text in ["", "00", "not hexadecimal", &"0".repeat(64), &nonce[2..]] {
            assert_eq!(nonces.use_up(1000, text, 1), Use::Stale, "{text}");
        }
    }

    #[test]
    fn a_full_table_never_lets_a_count_be_used_twice() {
        let mut nonces = nonces(2);
        let issued: Vec<String> = (0..5u8)
            .map(|n| nonces.issue(1000 + u64::from(n), [n; 8]))
            .collect();
        for nonce in &issued {
            assert_eq!(nonces.use_up(1010, nonce, 1), Use::Fresh);
        }
        for nonce in &issued {
            assert_eq!(nonces.use_up(1010, nonce, 1), Use::Stale);
        }
        assert_eq!(nonces.used.len(), 2);
        assert_eq!(nonces.order.len(), 2);
    }

    #[test]
    fn expired_nonces_leave_the_table() {
        let mut nonces = nonces(100);
        for n in 0..50u8 {
            let nonce = nonces.issue(1000, [n; 8]);
            assert_eq!(nonces.use_up(1001, &nonce, 1), Use::Fresh);
        }
        let later = nonces.issue(2000, [99; 8]);
        assert_eq!(nonces.use_up(2001, &later, 1), Use::Fresh);
        assert_eq!(nonces.used.len(), 1);
    }
}
