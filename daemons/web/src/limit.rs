//! How much one source may ask: a bucket that fills with time, for each.
//!
//! ```
//! use tollwire_web::limit::Limit;
//! let mut limit = Limit::new(1, 2);
//! assert_eq!(limit.request("alice", 0), Ok(()));
//! limit.penalty("alice", 1, 0);
//! assert_eq!(limit.request("alice", 0), Err(1), "a second to wait");
//! ```

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// Sources that are known at once; the others share one bucket.
const MOST_SOURCES: usize = 10_000;
/// What one request takes out of a bucket; in thousandths, so that it fills by the millisecond.
const REQUEST: u64 = 1000;

/// Buckets by source: an address from [`source`], or an account's name.
#[derive(Debug)]
pub struct Limit<K = IpAddr> {
    per_second: u64,
    burst: u64,
    most: usize,
    buckets: HashMap<K, Bucket>,
    others: Bucket,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    at_ms: u64,
}

/// What counts as one source: an IPv4 address, or the network of 64 bits that an IPv6 address is of.
pub fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

impl Bucket {
    fn fill(&mut self, now_ms: u64, per_second: u64, burst: u64) {
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(per_second);
        self.level = self.level.saturating_add(gained).min(burst);
        self.at_ms = now_ms;
    }
}

impl<K: Eq + Hash> Limit<K> {
    /// `per_second` requests of one source (1 or more), `burst` at once.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let burst = u64::from(burst) * REQUEST;
        Self {
            per_second: per_second.max(1).into(),
            burst,
            most: MOST_SOURCES,
            buckets: HashMap::new(),
            others: Bucket {
                level: burst,
                at_ms: 0,
            },
        }
    }

    /// Takes a request's part.
    ///
    /// # Errors
    /// There is not enough: seconds until there is.
    pub fn request(&mut self, source: K, now_ms: u64) -> Result<(), u64> {
        let per_second = self.per_second;
        let bucket = self.bucket(source, now_ms);
        match bucket.level.checked_sub(REQUEST) {
            Some(left) => {
                bucket.level = left;
                Ok(())
            }
            None => Err((REQUEST - bucket.level).div_ceil(per_second * 1000).max(1)),
        }
    }

    /// Takes what so many requests take, as far as it is there: whoever guesses is slow.
    pub fn penalty(&mut self, source: K, requests: u32, now_ms: u64) {
        let bucket = self.bucket(source, now_ms);
        bucket.level = bucket.level.saturating_sub(u64::from(requests) * REQUEST);
    }

    fn bucket(&mut self, source: K, now_ms: u64) -> &mut Bucket {
        let (per_second, burst) = (self.per_second, self.burst);
        if self.buckets.len() >= self.most && !self.buckets.contains_key(&source) {
            // A full bucket says as much as none.
            self.buckets.retain(|_, bucket| {
                bucket.fill(now_ms, per_second, burst);
                bucket.level < burst
            });
        }
        let full = Bucket {
            level: burst,
            at_ms: now_ms,
        };
        let is_known = self.buckets.contains_key(&source);
        let bucket = match is_known || self.buckets.len() < self.most {
            true => self.buckets.entry(source).or_insert(full),
            false => &mut self.others,
        };
        bucket.fill(now_ms, per_second, burst);
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_rate() {
        let mut limit = Limit::new(2, 3);
        for _ in 0..3 {
            assert_eq!(limit.request(address(1), 0), Ok(()));
        }
        assert_eq!(limit.request(address(1), 0), Err(1));
        assert_eq!(
            limit.request(address(2), 0),
            Ok(()),
            "others are not affected"
        );
        assert_eq!(limit.request(address(1), 499), Err(1));
        assert_eq!(limit.request(address(1), 500), Ok(()));
        assert_eq!(limit.request(address(1), 500), Err(1));
        for _ in 0..3 {
            assert_eq!(limit.request(address(1), 60_000), Ok(()));
        }
        assert_eq!(
            limit.request(address(1), 60_000),
            Err(1),
            "no more than the burst"
        );
    }

    #[test]
    fn whoever_guesses_is_slow() {
        let mut limit = Limit::new(1, 6);
        assert_eq!(limit.request(address(1), 0), Ok(()));
        limit.penalty(address(1), 5, 0);
        assert_eq!(limit.request(address(1), 0), Err(1));
    }

    #[test]
    fn the_table_is_bounded_and_a_crowd_shares_one_bucket() {
        let mut limit = Limit::new(1, 2);
        limit.most = 2;
        for last in 1..4 {
            assert_eq!(limit.request(address(last), 0), Ok(()));
        }
        assert_eq!(limit.request(address(4), 0), Ok(()));
        assert_eq!(limit.request(address(5), 0), Err(1), "3, 4 and 5 share");
        assert_eq!(limit.request(address(1), 0), Ok(()));
        assert_eq!(limit.buckets.len(), 2);
        assert_eq!(
            limit.request(address(5), 5000),
            Ok(()),
            "1 and 2 are forgotten"
        );
        assert_eq!(limit.buckets.len(), 1);
    }

    #[test]
    fn a_network_of_64_bits_is_one_source() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), address(1));
    }
}
