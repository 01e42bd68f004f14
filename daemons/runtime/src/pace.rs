//! Moderation: under load, work is done in fewer and larger turns.
//!
//! A thread that is woken for each packet spends more on waking than on the packet. Above a rate of turns the next one
//! waits for its slot, and takes everything that came in the meantime: one wake-up, one write, one commit for all.
//! Below that rate nothing waits. (Network cards moderate their interrupts by the same rule.)

use std::time::{Duration, Instant};

/// Slots that are looked at together.
const WINDOW: u32 = 16;
/// Moderation begins when a window had more turns than slots, and ends when fewer slots than this were used.
const STILL_BUSY: u32 = 10;

/// When the next turn of a loop may begin.
#[derive(Debug)]
pub struct Pace {
    slot: Duration,
    window: Option<Instant>,
    turns: u32,
    moderated: bool,
    last: Option<Instant>,
}

impl Pace {
    /// Turns begin at least `slot` after each other while there is more than one of them per slot.
    pub fn new(slot: Duration) -> Self {
        Self {
            slot,
            window: None,
            turns: 0,
            moderated: false,
            last: None,
        }
    }

    /// A turn is over at `now`: how long to wait before the next. Call [`Pace::begin`] when it begins.
    pub fn rest(&mut self, now: Instant) -> Duration {
        self.turns += 1;
        let window = *self.window.get_or_insert(now);
        if now.saturating_duration_since(window) >= self.slot * WINDOW {
            let bound = if self.moderated { STILL_BUSY } else { WINDOW };
            self.moderated = self.turns >= bound;
            self.turns = 0;
            self.window = Some(now);
        }
        match self.last {
            Some(last) if self.moderated => (self.slot).saturating_sub(now.duration_since(last)),
            _ => Duration::ZERO,
        }
    }

    /// A turn begins.
    pub fn begin(&mut self, now: Instant) {
        self.last = Some(now);
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

    /// Turns of `work` each, one asked for every `gap`, for `span`; how many there were, and the longest rest.
    fn turns(pace: &mut Pace, start: Instant, gap: Duration, span: Duration) -> (u32, Duration) {
        let (mut now, mut count, mut longest) = (start, 0, Duration::ZERO);
        while now < start + span {
            let rest = pace.rest(now);
            longest = longest.max(rest);
            now += rest;
            pace.begin(now);
            count += 1;
            now += gap.saturating_sub(rest).max(Duration::from_micros(20));
        }
        (count, longest)
    }

    #[test]
    fn few_turns_never_wait() {
        let mut pace = Pace::new(SLOT);
        let gap = Duration::from_micros(1500);
        let (_, longest) = turns(&mut pace, Instant::now(), gap, Duration::from_secs(1));
        assert_eq!(longest, Duration::ZERO);
    }

    #[test]
    fn many_turns_become_one_per_slot_and_calm_ends_it() {
        let mut pace = Pace::new(SLOT);
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let (count, longest) = turns(&mut pace, start, Duration::from_micros(50), second);
        assert!((1000..1400).contains(&count), "{count}");
        assert!(longest <= SLOT);
        turns(&mut pace, start + second, SLOT * 3, second);
        let (_, longest) = turns(&mut pace, start + second * 2, SLOT * 3, second);
        assert_eq!(longest, Duration::ZERO);
    }
}
