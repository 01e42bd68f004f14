//! Wrong passwords: whoever gives some waits, longer each time. By customer, and by where they come from.

use std::collections::HashMap;
use std::net::IpAddr;

/// When waiting begins, and how it grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wrong ones in a row of one customer that cost no wait.
    pub per_customer: u32,
    /// Wrong ones from one source that cost no wait.
    pub per_source: u32,
    /// The first wait, milliseconds; each later one is twice as long.
    pub first_ms: i64,
    /// The longest wait, and after how long without a wrong one the count begins anew.
    pub most_ms: i64,
    /// Customers and sources that are remembered.
    pub remembered: usize,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    wrong: u32,
    /// Nothing is tried before.
    until_ms: i64,
    last_ms: i64,
}

/// Whom the wrong ones are counted of. A customer that does not exist counts as well: the answers are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Customer(Box<str>),
    Source(IpAddr),
}

/// The counts. They are bounded, and lost with the process.
#[derive(Debug)]
pub struct Guard {
    limits: Limits,
    counts: HashMap<Who, Count>,
}

impl Guard {
    /// Without any.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            counts: HashMap::new(),
        }
    }

    /// Other limits from now on.
    pub fn set(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes an attempt in, as a wrong one until [`Self::right`] is told: so many at once count as many.
    ///
    /// # Errors
    /// Seconds until the next attempt is looked at.
    pub fn attempt(&mut self, now_ms: i64, customer: &str, source: IpAddr) -> Result<(), u32> {
        let both = whose(customer, source);
        let wait = both
            .iter()
            .filter_map(|(who, _)| self.counts.get(who))
            .map(|count| count.until_ms.saturating_sub(now_ms))
            .max()
            .unwrap_or(0);
        if wait > 0 {
            let seconds = wait.saturating_add(999) / 1000;
            return Err(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
        for (who, is_source) in both {
            self.make_room(now_ms, &who);
            let limits = self.limits;
            let free = match is_source {
                true => limits.per_source,
                false => limits.per_customer,
            };
            let count = self.counts.entry(who).or_insert(Count {
                wrong: 0,
                until_ms: 0,
                last_ms: now_ms,
            });
            if now_ms.saturating_sub(count.last_ms) > limits.most_ms {
                count.wrong = 0;
            }
            count.wrong = count.wrong.saturating_add(1);
            count.last_ms = now_ms;
            if count.wrong >= free {
                let doublings = (count.wrong - free).min(32);
                let wait = limits
                    .first_ms
                    .saturating_mul(1 << doublings)
                    .min(limits.most_ms);
                count.until_ms = now_ms.saturating_add(wait);
            }
        }
        Ok(())
    }

    /// The attempt was right: the customer's count begins anew, and the source's is as before it.
    pub fn right(&mut self, customer: &str, source: IpAddr) {
        self.counts.remove(&Who::Customer(customer.into()));
        if let Some(count) = self.counts.get_mut(&Who::Source(network(source))) {
            count.wrong = count.wrong.saturating_sub(1);
            count.until_ms = 0;
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    fn make_room(&mut self, now_ms: i64, who: &Who) {
        if self.counts.len() < self.limits.remembered || self.counts.contains_key(who) {
            return;
        }
        let most_ms = self.limits.most_ms;
        self.counts
            .retain(|_, count| now_ms.saturating_sub(count.last_ms) <= most_ms);
        // All are young: the half with the fewest wrong ones goes, so that a flood of names frees none that is waited for.
        if self.counts.len() >= self.limits.remembered {
            let mut wrong: Vec<u32> = self.counts.values().map(|count| count.wrong).collect();
            wrong.sort_unstable();
            let median = wrong.get(wrong.len() / 2).copied().unwrap_or(0);
            let mut left = self.limits.remembered / 2;
            self.counts.retain(|_, count| {
                let keep = count.wrong > median || (count.wrong == median && left > 0);
                left = left.saturating_sub(usize::from(keep && count.wrong == median));
                keep && count.wrong >= median
            });
            if self.counts.len() >= self.limits.remembered {
                self.counts.clear();
            }
        }
    }
}

fn whose(customer: &str, source: IpAddr) -> [(Who, bool); 2] {
    [
        (Who::Customer(customer.into()), false),
        (Who::Source(network(source)), true),
    ]
}

/// One host has a /64 of IPv6.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        per_customer: 3,
        per_source: 5,
        first_ms: 1_000,
        most_ms: 60_000,
        remembered: 64,
    };

    fn from(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn waits_grow_and_end_with_a_right_one() {
        let mut guard = Guard::new(LIMITS);
        for source in 1..=3 {
            assert_eq!(guard.attempt(0, "ada", from(source)), Ok(()));
        }
        assert_eq!(guard.attempt(0, "ada", from(9)), Err(1));
        assert_eq!(guard.attempt(1_000, "ada", from(9)), Ok(()));
        assert_eq!(guard.attempt(1_000, "ada", from(8)), Err(2));
        assert_eq!(guard.attempt(3_000, "ada", from(8)), Ok(()));
        guard.right("ada", from(8));
        assert_eq!(guard.attempt(3_000, "ada", from(8)), Ok(()));
        assert_eq!(guard.attempt(3_000, "ada", from(8)), Ok(()));
    }

    #[test]
    fn a_source_that_tries_many_names_waits() {
        let mut guard = Guard::new(LIMITS);
        for name in ["a", "b", "c", "d", "e"] {
            assert_eq!(guard.attempt(0, name, from(1)), Ok(()));
        }
        assert_eq!(guard.attempt(0, "f", from(1)), Err(1));
        assert_eq!(guard.attempt(0, "f", from(2)), Ok(()));
    }

    #[test]
    fn right_ones_never_wait() {
        let mut guard = Guard::new(LIMITS);
        for _ in 0..100 {
            assert_eq!(guard.attempt(0, "ada", from(1)), Ok(()));
            guard.right("ada", from(1));
        }
    }

    #[test]
    fn the_longest_wait_is_bounded_and_the_count_forgotten() {
        let mut guard = Guard::new(LIMITS);
        let mut now = 0;
        for _ in 0..40 {
            match guard.attempt(now, "ada", from(1)) {
                Ok(()) => {}
                Err(seconds) => {
                    assert!(seconds <= 60);
                    now += i64::from(seconds) * 1000;
                }
            }
        }
        now += 200_000;
        for _ in 0..3 {
            assert_eq!(guard.attempt(now, "ada", from(1)), Ok(()));
        }
    }

    #[test]
    fn hosts_of_one_ipv6_network_count_as_one() {
        let mut guard = Guard::new(LIMITS);
        for host in 1..=5 {
            let source = format!("2001:db8::{host}").parse().unwrap();
            assert_eq!(guard.attempt(0, &host.to_string(), source), Ok(()));
        }
        assert!(
            guard
                .attempt(0, "x", "2001:db8::ffff".parse().unwrap())
                .is_err()
        );
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_frees_nobody_who_waits() {
        let mut guard = Guard::new(LIMITS);
        for source in 1..=3 {
            guard.attempt(0, "ada", from(source)).unwrap();
        }
        for index in 0..10_000u32 {
            let source = IpAddr::from((0x0a00_0000 + index).to_be_bytes());
            let _ = guard.attempt(0, &format!("n{index}"), source);
            assert!(guard.len() <= LIMITS.remembered + 1);
        }
        assert!(guard.attempt(0, "ada", from(9)).is_err());
    }
}
