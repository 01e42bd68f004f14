//! Token buckets, one for each source address: what a source may ask, and how often it is told of its errors.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second; zero is no limit.
    pub per_second: u32,
    /// Tokens that a source which was silent has.
    pub burst: u32,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Thousandths of tokens, so that short gaps between requests count.
    level: u64,
    filled: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant, rate: Rate, tokens: u32) -> bool {
        let full = u64::from(rate.burst) * 1_000;
        let since = now.saturating_duration_since(self.filled).as_micros();
        let gained = since.saturating_mul(u128::from(rate.per_second)) / 1_000;
        if gained > 0 {
            let gained = u64::try_from(gained).unwrap_or(u64::MAX);
            self.level = self.level.saturating_add(gained).min(full);
            self.filled = now;
        }
        let price = u64::from(tokens) * 1_000;
        match self.level.checked_sub(price) {
            Some(rest) => {
                self.level = rest;
                true
            }
            None => false,
        }
    }
}

/// One bucket for everybody.
#[derive(Debug)]
pub struct TotalBucket {
    rate: Rate,
    bucket: Option<Bucket>,
}

impl TotalBucket {
    /// A full bucket.
    pub fn new(rate: Rate) -> Self {
        Self { rate, bucket: None }
    }

    /// Takes `tokens`, if so many are there.
    pub fn take(&mut self, now: Instant, tokens: u32) -> bool {
        let rate = self.rate;
        if rate.per_second == 0 {
            return true;
        }
        self.bucket
            .get_or_insert(full(rate, now))
            .take(now, rate, tokens)
    }
}

/// A bucket for each source, for so many sources.
///
/// Two generations: when the younger is full the older is forgotten. So memory is bounded, a table full of made-up
/// sources costs nobody a scan, and a source that keeps asking keeps its bucket.
#[derive(Debug)]
pub struct SourceBuckets {
    rate: Rate,
    sources: usize,
    young: HashMap<IpAddr, Bucket>,
    old: HashMap<IpAddr, Bucket>,
}

/// Who is counted for an address beyond our links: itself on IPv4, and on IPv6 the /64 that it is in, for who has one
/// address of it has all of them. Neighbours are counted by their whole address.
pub fn counted_off_link(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

fn full(rate: Rate, now: Instant) -> Bucket {
    Bucket {
        level: u64::from(rate.burst) * 1_000,
        filled: now,
    }
}

impl SourceBuckets {
    /// Full buckets for `sources` addresses at once.
    pub fn new(rate: Rate, sources: usize) -> Self {
        Self {
            rate,
            sources: sources.max(2),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// Takes `tokens` from the bucket of `source`, if so many are there.
    pub fn take(&mut self, now: Instant, source: IpAddr, tokens: u32) -> bool {
        if self.rate.per_second == 0 {
            return true;
        }
        let source = source.to_canonical();
        if let Some(bucket) = self.young.get_mut(&source) {
            return bucket.take(now, self.rate, tokens);
        }
        let mut bucket = self
            .old
            .remove(&source)
            .unwrap_or_else(|| full(self.rate, now));
        let taken = bucket.take(now, self.rate, tokens);
        if self.young.len() >= self.sources / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(source, bucket);
        taken
    }

    /// Takes `tokens` for what was done already, as far as they are there.
    pub fn charge(&mut self, now: Instant, source: IpAddr, tokens: u32) {
        if self.rate.per_second == 0 || tokens == 0 {
            return;
        }
        // Who was served has a bucket.
        let source = source.to_canonical();
        let bucket = match self.young.get_mut(&source) {
            Some(bucket) => bucket,
            None => return,
        };
        bucket.take(now, self.rate, 0);
        bucket.level = bucket.level.saturating_sub(u64::from(tokens) * 1_000);
    }

    /// Sources with a bucket.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether no source has one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut buckets = SourceBuckets::new(RATE, 16);
        let start = Instant::now();
        let taken = |buckets: &mut SourceBuckets, at: u64| {
            let now = start + Duration::from_millis(at);
            (0..10).filter(|_| buckets.take(now, address(1), 1)).count()
        };
        assert_eq!(taken(&mut buckets, 0), 3);
        assert_eq!(taken(&mut buckets, 99), 0);
        assert_eq!(taken(&mut buckets, 100), 1);
        assert_eq!(taken(&mut buckets, 350), 2);
        assert_eq!(taken(&mut buckets, 10_000), 3, "never above the burst");
        assert!(buckets.take(start, address(2), 3), "another has its own");
        assert!(
            !buckets.take(start, address(2), 1),
            "time does not run back"
        );
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let mut buckets = SourceBuckets::new(RATE, 16);
        let now = Instant::now();
        assert!(!buckets.take(now, address(1), 4));
        assert!(buckets.take(now, address(1), 3));
    }

    #[test]
    fn what_was_costly_is_paid_for_afterwards() {
        let mut buckets = SourceBuckets::new(RATE, 16);
        let start = Instant::now();
        assert!(buckets.take(start, address(1), 1));
        buckets.charge(start, address(1), 1_000);
        assert!(!buckets.take(start, address(1), 1));
        let later = start + Duration::from_millis(100);
        assert!(
            buckets.take(later, address(1), 1),
            "no debt beyond what it had"
        );
        assert!(buckets.take(start, address(2), 3), "another pays nothing");
    }

    #[test]
    fn many_sources_are_bounded_and_a_busy_one_is_not_forgotten() {
        let mut buckets = SourceBuckets::new(RATE, 64);
        let now = Instant::now();
        for _ in 0..3 {
            assert!(buckets.take(now, address(1), 1));
        }
        for number in 2..10_000 {
            buckets.take(now, address(number), 1);
            assert!(!buckets.take(now, address(1), 1), "after {number}");
            assert!(buckets.len() <= 64);
        }
    }

    #[test]
    fn beyond_our_links_a_prefix_of_ipv6_is_one_source() {
        let counted = |text: &str| {
            let address: IpAddr = text.parse().expect("an address");
            counted_off_link(address).to_string()
        };
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(counted("192.0.2.7"), "192.0.2.7");
        assert_eq!(counted("::ffff:192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn no_limit_keeps_no_buckets() {
        let mut buckets = SourceBuckets::new(
            Rate {
                per_second: 0,
                burst: 0,
            },
            16,
        );
        let mut total = TotalBucket::new(RATE);
        let now = Instant::now();
        assert!((0..100).all(|_| buckets.take(now, address(1), 1)));
        assert!(buckets.is_empty());
        assert_eq!((0..100).filter(|_| total.take(now, 1)).count(), 3);
    }
}
