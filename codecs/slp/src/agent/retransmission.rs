//! When a request is sent again, and when it is given up (RFC 2608 6.3, 12.3).

use std::time::{Duration, Instant};

/// Waits that double, within a span of time.
#[derive(Debug, Clone)]
pub struct Retransmission {
    wait: Duration,
    again: Instant,
    end: Instant,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// The request is sent again.
    Again,
    /// The span is over.
    End,
}

impl Retransmission {
    /// For a request that is first sent at `now`: again after `retry`, and for the last time within `span`.
    pub fn new(now: Instant, retry: Duration, span: Duration) -> Self {
        // A wait of nothing would never grow.
        let wait = retry.max(Duration::from_millis(1));
        Self {
            wait,
            again: later(now, wait),
            end: later(now, span),
        }
    }

    /// When [`Self::due`] has something to say.
    pub fn deadline(&self) -> Instant {
        self.again.min(self.end)
    }

    /// What is due at `now`. [`Due::Again`] is said once for each wait, and the next wait begins.
    pub fn due(&mut self, now: Instant) -> Due {
        if now >= self.end {
            Due::End
        } else if now >= self.again {
            // RFC 2608 6.3: the waits double.
            self.wait = self.wait.saturating_mul(2);
            self.again = later(now, self.wait);
            Due::Again
        } else {
            Due::Nothing
        }
    }
}

/// `now` and `wait` after it; far away where the clock has no such moment.
pub(super) fn later(now: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    now.checked_add(wait.min(FAR)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_until_the_end() {
        let start = Instant::now();
        let mut retransmission =
            Retransmission::new(start, Duration::from_secs(2), Duration::from_secs(15));
        let mut sent = Vec::new();
        loop {
            let now = retransmission.deadline();
            match retransmission.due(now) {
                Due::Again => sent.push((now - start).as_secs()),
                Due::End => {
                    assert_eq!(now - start, Duration::from_secs(15));
                    break;
                }
                Due::Nothing => panic!("nothing at its own deadline"),
            }
        }
        assert_eq!(sent, [2, 6, 14]);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let start = Instant::now();
        let mut retransmission =
            Retransmission::new(start, Duration::from_secs(2), Duration::from_secs(15));
        assert_eq!(
            retransmission.due(start + Duration::from_millis(1_999)),
            Due::Nothing
        );
    }

    #[test]
    fn no_wait_is_nothing_and_none_overflows() {
        let start = Instant::now();
        let mut retransmission = Retransmission::new(start, Duration::ZERO, Duration::MAX);
        let mut now = start;
        for _ in 0..200 {
            let next = retransmission.deadline();
            assert!(next > now);
            now = next;
            if retransmission.due(now) == Due::End {
                return;
            }
        }
        panic!("no end");
    }
}
