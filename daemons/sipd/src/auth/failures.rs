//! How often a source may be wrong about a password.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A bucket of tries per source: `limit` at once, refilled evenly over `period`.
pub struct Failures {
    limit: u32,
    period: Duration,
    capacity: usize,
    /// When each source's bucket is full again.
    full_at: HashMap<IpAddr, Instant>,
}

impl Failures {
    /// At most `limit` failures at once and per `period` from one source; at most `capacity` sources are remembered.
    pub fn new(limit: u32, period: Duration, capacity: usize) -> Self {
        Self {
            limit: limit.max(1),
            period,
            capacity: capacity.max(1),
            full_at: HashMap::new(),
        }
    }

    /// Whether `source` has no tries left.
    pub fn exhausted(&self, now: Instant, source: IpAddr) -> bool {
        let spent = self
            .full_at
            .get(&key(source))
            .map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        // Full again in the future by more than all tries but one: not one whole try is left.
        spent > self.period.saturating_sub(self.per_try())
    }

    /// Counts a failure of `source`.
    pub fn record(&mut self, now: Instant, source: IpAddr) {
        if self.full_at.len() >= self.capacity {
            self.full_at.retain(|_, full| *full > now);
        }
        if self.full_at.len() >= self.capacity && !self.full_at.contains_key(&key(source)) {
            // More failing sources than we remember: an attack from many; the longest quiet one goes.
            if let Some(oldest) = self
                .full_at
                .iter()
                .min_by_key(|(_, full)| **full)
                .map(|(source, _)| *source)
            {
                self.full_at.remove(&oldest);
            }
        }
        let per_try = self.per_try();
        let full = self.full_at.entry(key(source)).or_insert(now);
        *full = (*full).max(now) + per_try;
    }

    fn per_try(&self) -> Duration {
        self.period / self.limit
    }
}

/// IPv6 hosts own a whole /64.
fn key(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_runs_out_of_tries_and_gets_them_back_over_time() {
        let start = Instant::now();
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        let mut failures = Failures::new(5, Duration::from_secs(50), 10);
        for _ in 0..5 {
            assert!(!failures.exhausted(start, source));
            failures.record(start, source);
        }
        assert!(failures.exhausted(start, source));
        assert!(!failures.exhausted(start, "192.0.2.2".parse().unwrap()));
        assert!(failures.exhausted(start + Duration::from_secs(9), source));
        assert!(!failures.exhausted(start + Duration::from_secs(10), source));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_their_tries() {
        let start = Instant::now();
        let mut failures = Failures::new(1, Duration::from_secs(50), 10);
        failures.record(start, "2001:db8::1".parse().unwrap());
        assert!(failures.exhausted(start, "2001:db8::ffff:1".parse().unwrap()));
        assert!(!failures.exhausted(start, "2001:db8:0:1::1".parse().unwrap()));
    }

    #[test]
    fn the_table_is_bounded() {
        let start = Instant::now();
        let mut failures = Failures::new(5, Duration::from_secs(50), 10);
        for n in 0..1000u32 {
            failures.record(start, IpAddr::V4(n.into()));
        }
        assert_eq!(failures.full_at.len(), 10);
    }
}
