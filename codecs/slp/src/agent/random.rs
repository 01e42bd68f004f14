//! Chance, from a seed that the driver gives: the same seed, the same run.

use std::time::Duration;

/// SplitMix64: spreads waits and begins XIDs. Guards no secret.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence for this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A wait between nothing and `longest`, evenly.
    pub fn wait(&mut self, longest: Duration) -> Duration {
        let nanoseconds = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        match nanoseconds.checked_add(1) {
            Some(span) => Duration::from_nanos(self.bits() % span),
            None => Duration::from_nanos(self.bits()),
        }
    }
}

/// XIDs: they begin anywhere (RFC 2608 6.3), and zero is not one of them (RFC 2608 8).
#[derive(Debug, Clone)]
pub struct Xids(u16);

impl Xids {
    /// Begins where chance says.
    pub fn new(random: &mut Random) -> Self {
        Self((random.bits() & 0xFFFF) as u16)
    }

    /// The next one for which `taken` is false; nothing if there is none.
    pub fn draw(&mut self, taken: impl Fn(u16) -> bool) -> Option<u16> {
        for _ in 0..=u16::MAX {
            self.0 = self.0.wrapping_add(1);
            if self.0 != 0 && !taken(self.0) {
                return Some(self.0);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_within() {
        let mut random = Random::new(7);
        let longest = Duration::from_secs(3);
        let waits: Vec<Duration> = (0..1_000).map(|_| random.wait(longest)).collect();
        assert!(waits.iter().all(|wait| *wait <= longest));
        assert!(waits.iter().any(|wait| *wait < longest / 4));
        assert!(waits.iter().any(|wait| *wait > longest / 4 * 3));
        assert_eq!(random.wait(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn xids_skip_zero_and_what_is_taken() {
        let mut xids = Xids(u16::MAX - 1);
        assert_eq!(xids.draw(|_| false), Some(u16::MAX));
        assert_eq!(xids.draw(|xid| xid == 1), Some(2));
        assert_eq!(xids.draw(|_| true), None);
    }
}
