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

/// Why an attempt is not looked at now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYet {
    /// Seconds until one is looked at.
    Wait(u32),
    /// As many as may be wrong are being looked at: after one of them.
    Turn,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    wrong: u32,
    /// Being looked at.
    under_way: u32,
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

    /// Takes an attempt in, until [`Self::judged`] is told. No more are looked at at once than may be wrong without a wait: whoever
    /// sends many guesses together learns no more than by one after the other, and many right ones only take their turns.
    ///
    /// # Errors
    /// When the attempt may come again.
    pub fn attempt(&mut self, now_ms: i64, customer: &str, source: IpAddr) -> Result<(), NotYet> {
        let both = whose(customer, source);
        let wait = both
            .iter()
            .filter_map(|(who, _)| self.counts.get(who))
            .map(|count| count.until_ms.saturating_sub(now_ms))
            .max()
            .unwrap_or(0);
        if wait > 0 {
            let seconds = wait.saturating_add(999) / 1000;
            return Err(NotYet::Wait(u32::try_from(seconds).unwrap_or(u32::MAX)));
        }
        let limits = self.limits;
        let full = both.iter().any(|(who, is_source)| {
            self.counts.get(who).is_some_and(|count| {
                let wrong = count.wrong_at(now_ms, limits.most_ms);
                count.under_way >= limits.free(*is_source).saturating_sub(wrong).max(1)
            })
        });
        if full {
            return Err(NotYet::Turn);
        }
        for (who, _) in both {
            self.make_room(now_ms, &who);
            let count = self.counts.entry(who).or_insert(Count {
                wrong: 0,
                under_way: 0,
                until_ms: 0,
                last_ms: now_ms,
            });
            count.wrong = count.wrong_at(now_ms, limits.most_ms);
            count.under_way = count.under_way.saturating_add(1);
        }
        Ok(())
    }

    /// An attempt was looked at: whether it was right, or nothing if it was not looked at after all. A right one begins the
    /// customer's count anew. The source's stays: who has an account of his own could else guess others' secrets in between.
    pub fn judged(&mut self, now_ms: i64, customer: &str, source: IpAddr, right: Option<bool>) {
        let limits = self.limits;
        for (who, is_source) in whose(customer, source) {
            let Some(count) = self.counts.get_mut(&who) else {
                continue;
            };
            count.under_way = count.under_way.saturating_sub(1);
            match right {
                Some(true) if !is_source => count.wrong = 0,
                Some(false) => {
                    count.wrong = count.wrong.saturating_add(1);
                    count.last_ms = now_ms;
                    let free = limits.free(is_source);
                    if count.wrong >= free {
                        let doublings = (count.wrong - free).min(32);
                        let wait = limits
                            .first_ms
                            .saturating_mul(1 << doublings)
                            .min(limits.most_ms);
                        count.until_ms = now_ms.saturating_add(wait);
                    }
                }
                _ => {}
            }
            if count.under_way == 0 && count.wrong == 0 {
                self.counts.remove(&who);
            }
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
            .retain(|_, count| count.under_way > 0 || count.wrong_at(now_ms, most_ms) > 0);
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

impl Limits {
    fn free(&self, is_source: bool) -> u32 {
        match is_source {
            true => self.per_source,
            false => self.per_customer,
        }
    }
}

impl Count {
    fn wrong_at(&self, now_ms: i64, most_ms: i64) -> u32 {
        match now_ms.saturating_sub(self.last_ms) > most_ms {
            true => 0,
            false => self.wrong,
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

    impl Guard {
        /// An attempt that is looked at at once.
        fn tried(
            &mut self,
            now_ms: i64,
            customer: &str,
            source: IpAddr,
            right: bool,
        ) -> Result<(), NotYet> {
            self.attempt(now_ms, customer, source)?;
            self.judged(now_ms, customer, source, Some(right));
            Ok(())
        }

        fn wrong(&mut self, now_ms: i64, customer: &str, source: IpAddr) -> Result<(), NotYet> {
            self.tried(now_ms, customer, source, false)
        }
    }

    #[test]
    fn waits_grow_and_end_with_a_right_one() {
        let mut guard = Guard::new(LIMITS);
        for source in 1..=3 {
            assert_eq!(guard.wrong(0, "ada", from(source)), Ok(()));
        }
        assert_eq!(guard.wrong(0, "ada", from(9)), Err(NotYet::Wait(1)));
        assert_eq!(guard.wrong(1_000, "ada", from(9)), Ok(()));
        assert_eq!(guard.wrong(1_000, "ada", from(8)), Err(NotYet::Wait(2)));
        assert_eq!(guard.tried(3_000, "ada", from(8), true), Ok(()));
        for _ in 0..3 {
            assert_eq!(guard.wrong(3_000, "ada", from(8)), Ok(()));
        }
        assert!(guard.wrong(3_000, "ada", from(8)).is_err());
    }

    #[test]
    fn a_source_that_tries_many_names_waits_and_an_account_of_its_own_does_not_help() {
        let mut guard = Guard::new(LIMITS);
        for name in ["a", "b", "c", "d", "e"] {
            assert_eq!(guard.wrong(0, name, from(1)), Ok(()));
            if name != "e" {
                assert_eq!(guard.tried(0, "own", from(1), true), Ok(()));
            }
        }
        assert_eq!(guard.tried(0, "own", from(1), true), Err(NotYet::Wait(1)));
        assert_eq!(guard.wrong(0, "f", from(2)), Ok(()));
    }

    #[test]
    fn right_ones_never_wait_for_a_time() {
        let mut guard = Guard::new(LIMITS);
        for _ in 0..100 {
            assert_eq!(guard.tried(0, "ada", from(1), true), Ok(()));
        }
        assert!(guard.is_empty());
    }

    #[test]
    fn guesses_at_once_are_looked_at_no_more_than_one_after_the_other() {
        let mut guard = Guard::new(LIMITS);
        for _ in 0..3 {
            assert_eq!(guard.attempt(0, "ada", from(1)), Ok(()));
        }
        assert_eq!(guard.attempt(0, "ada", from(2)), Err(NotYet::Turn));
        // One that was not looked at after all makes room, and counts for nothing.
        guard.judged(0, "ada", from(1), None);
        assert_eq!(guard.attempt(0, "ada", from(2)), Ok(()));
        guard.judged(0, "ada", from(2), Some(false));
        assert_eq!(
            guard.attempt(0, "ada", from(2)),
            Err(NotYet::Turn),
            "two are under way, one was wrong"
        );
        guard.judged(0, "ada", from(1), Some(true));
        assert_eq!(guard.attempt(0, "ada", from(2)), Ok(()));
        guard.judged(0, "ada", from(2), Some(true));
        guard.judged(0, "ada", from(1), Some(true));
        // And a hundred right ones of a household get their turns.
        for _ in 0..100 {
            assert_eq!(guard.tried(0, "ada", from(1), true), Ok(()));
        }
    }

    #[test]
    fn the_longest_wait_is_bounded_and_the_count_forgotten() {
        let mut guard = Guard::new(LIMITS);
        let mut now = 0;
        for _ in 0..40 {
            match guard.wrong(now, "ada", from(1)) {
                Ok(()) => {}
                Err(NotYet::Wait(seconds)) => {
                    assert!(seconds <= 60);
                    now += i64::from(seconds) * 1000;
                }
                Err(NotYet::Turn) => panic!("none is under way"),
            }
        }
        now += 200_000;
        for _ in 0..3 {
            assert_eq!(guard.wrong(now, "ada", from(1)), Ok(()));
        }
    }

    #[test]
    fn hosts_of_one_ipv6_network_count_as_one() {
        let mut guard = Guard::new(LIMITS);
        for host in 1..=5 {
            let source = format!("2001:db8::{host}").parse().unwrap();
            assert_eq!(guard.wrong(0, &host.to_string(), source), Ok(()));
        }
        let other = "2001:db8::ffff".parse().unwrap();
        assert!(guard.wrong(0, "x", other).is_err());
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_frees_nobody_who_waits() {
        let mut guard = Guard::new(LIMITS);
        for source in 1..=3 {
            guard.wrong(0, "ada", from(source)).unwrap();
        }
        for index in 0..10_000u32 {
            let source = IpAddr::from((0x0a00_0000 + index).to_be_bytes());
            let _ = guard.wrong(0, &format!("n{index}"), source);
            assert!(guard.len() <= LIMITS.remembered + 1);
        }
        assert!(guard.wrong(0, "ada", from(9)).is_err());
    }
}
