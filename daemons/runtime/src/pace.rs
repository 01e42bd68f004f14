//! Moderation: under load, work is done in fewer and larger turns.
//!
//! A thread that is woken for each packet spends more on waking than on the packet. Above a rate of turns the next one
//! waits for its slot, and takes everything that came in the meantime: one wake-up, one write, one commit for all.
//! Below that rate nothing waits. (Network cards moderate their interrupts by the same rule.)

use std::time::{Duration, Instant};

/// Longest slots in the time that is looked at together.
const WINDOW: u32 = 16;

/// When the next turn of a loop may begin.
#[derive(Debug)]
pub struct Pace {
    shortest: Duration,
    longest: Duration,
    /// How long a turn should work.
    work: Duration,
    /// Moderation begins when turns follow each other faster than this.
    calm: Duration,
    slot: Duration,
    window: Option<Instant>,
    turns: u32,
    moderated: bool,
    began: Option<Instant>,
}

impl Pace {
    /// Turns begin at least `slot` after each other while there is more than one of them per slot.
    pub fn new(slot: Duration) -> Self {
        Self::adaptive(slot, slot, Duration::ZERO, slot)
    }

    /// Slots between `shortest` and `longest`, so that there is about `work` to do in each: the higher the load, the
    /// shorter. Begins when turns follow each other in less than `calm`.
    pub fn adaptive(shortest: Duration, longest: Duration, work: Duration, calm: Duration) -> Self {
        Self {
            shortest,
            longest,
            work,
            calm,
            slot: shortest,
            window: None,
            turns: 0,
            moderated: false,
            began: None,
        }
    }

    /// A turn is over at `now`: how long to wait before the next. Call [`Pace::begin`] when it begins.
    pub fn rest(&mut self, now: Instant) -> Duration {
        self.turns += 1;
        let worked = (self.began).map_or(Duration::ZERO, |began| now.duration_since(began));
        let window = *self.window.get_or_insert(now);
        let passed = now.saturating_duration_since(window);
        if passed >= self.longest * WINDOW {
            self.moderated = if self.moderated {
                // Most slots were used.
                self.slot * self.turns * 8 >= passed * 5
            } else {
                self.calm * self.turns >= passed
            };
            self.turns = 0;
            self.window = Some(now);
        }
        if !self.moderated {
            self.slot = self.shortest;
            return Duration::ZERO;
        }
        let slot = if worked > self.work {
            self.slot * 7 / 8
        } else {
            self.slot * 9 / 8
        };
        self.slot = slot.clamp(self.shortest, self.longest);
        self.slot.saturating_sub(worked)
    }

    /// A turn begins.
    pub fn begin(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// [`Pace::rest`] on this thread, and [`Pace::begin`].
    pub fn sleep(&mut self) {
        let now = Instant::now();
        let rest = self.rest(now);
        if rest.is_zero() {
            self.begin(now);
        } else {
            std::thread::sleep(rest);
            self.begin(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    /// Events every `gap` that take `cost` each, for a second: turns and the longest rest in its second half.
    fn turns(pace: &mut Pace, start: Instant, gap: Duration, cost: Duration) -> (u32, Duration) {
        let (mut now, mut count, mut longest) = (start, 0, Duration::ZERO);
        let mut handled = start;
        while now < start + SECOND {
            pace.begin(now);
            while handled <= now {
                handled += gap;
                now += cost;
            }
            let rest = pace.rest(now);
            if now > start + SECOND / 2 {
                count += 1;
                longest = longest.max(rest);
            }
            now = (now + rest).max(handled);
        }
        (count, longest)
    }

    #[test]
    fn few_turns_never_wait() {
        let mut pace = Pace::new(SLOT);
        let (_, longest) = turns(&mut pace, Instant::now(), micros(1500), micros(50));
        assert_eq!(longest, Duration::ZERO);
    }

    #[test]
    fn many_turns_become_one_per_slot_and_calm_ends_it() {
        let mut pace = Pace::new(SLOT);
        let start = Instant::now();
        let (count, longest) = turns(&mut pace, start, micros(60), micros(10));
        assert!((490..=510).contains(&count), "{count}");
        assert!(longest <= SLOT);
        let (_, longest) = turns(&mut pace, start + SECOND, SLOT * 3, micros(10));
        assert_eq!(longest, Duration::ZERO);
    }

    #[test]
    fn the_more_there_is_to_do_the_shorter_the_slots() {
        let paces = [500, 100, 20].map(|gap| {
            let mut pace = Pace::adaptive(SLOT, SLOT * 8, micros(500), SLOT * 2);
            let (count, longest) = turns(&mut pace, Instant::now(), micros(gap), micros(10));
            assert!(longest <= SLOT * 8);
            count
        });
        assert!(paces[0] < paces[1] && paces[1] < paces[2], "{paces:?}");
        assert!(paces[2] <= 510, "{paces:?}");
    }
}
