//! When directory agents are looked for (RFC 2608 6, 12.2.1).

use std::time::{Duration, Instant};

use super::random::Random;
use super::retransmission::later;
use super::timers::Timers;

/// Says when a discovery may begin, and when one is due by itself.
#[derive(Debug, Clone)]
pub struct Discovery {
    da_find: Duration,
    /// Where the doubling of the wait ends.
    longest: Duration,
    /// The moment of the first discovery, unless somebody asks before it.
    first: Option<Instant>,
    last: Option<Instant>,
    wait: Duration,
}

impl Discovery {
    /// For an agent that starts at `now`. The first discovery is due by itself after a random time of at most
    /// CONFIG_START_WAIT, so that hosts that start together do not ask together.
    pub fn new(now: Instant, timers: &Timers, random: &mut Random) -> Self {
        Self {
            da_find: timers.da_find,
            longest: timers.da_beat.max(timers.da_find),
            first: Some(later(now, random.wait(timers.start_wait))),
            last: None,
            wait: Duration::ZERO,
        }
    }

    /// Whether a discovery may begin for somebody who needs one: none has been yet, or CONFIG_DA_FIND ago (RFC 2608
    /// 12.2.1). After one that found nothing it is longer, twice each time (RFC 2608 6).
    pub fn may_begin(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now >= later(last, self.wait()))
    }

    /// When the next discovery is due by itself.
    pub fn due(&self) -> Option<Instant> {
        match self.last {
            None => self.first,
            Some(last) => Some(later(last, self.wait())),
        }
    }

    /// CONFIG_DA_FIND also while a discovery is still going on.
    fn wait(&self) -> Duration {
        self.wait.max(self.da_find)
    }

    /// A discovery begins.
    pub fn began(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// A discovery is over, with directory agents known or not.
    pub fn ended(&mut self, any_known: bool) {
        self.wait = if any_known {
            self.da_find
        } else {
            self.wait
                .saturating_mul(2)
                .clamp(self.da_find, self.longest)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_while_nothing_is_found() {
        let start = Instant::now();
        let timers = Timers::default();
        let mut discovery = Discovery::new(start, &timers, &mut Random::new(1));
        assert!(discovery.due().unwrap() - start <= timers.start_wait);
        assert!(discovery.may_begin(start));
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..6 {
            discovery.began(now);
            assert!(!discovery.may_begin(now + Duration::from_secs(899)));
            discovery.ended(false);
            let due = discovery.due().unwrap();
            assert!(!discovery.may_begin(due - Duration::from_millis(1)));
            assert!(discovery.may_begin(due));
            waits.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(waits, [900, 1_800, 3_600, 7_200, 10_800, 10_800]);
        discovery.began(now);
        discovery.ended(true);
        assert_eq!(discovery.due(), Some(now + timers.da_find));
    }
}
