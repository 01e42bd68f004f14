use std::time::Duration;

/// The pause before a connection is tried again: `first`, then twice as long each time, up to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first loss: short, since a restarted daemon is back at once.
    pub first: Duration,
    /// The longest pause; a connection that stood this long starts anew with `first`.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            max: Duration::from_secs(5),
        }
    }
}

impl Backoff {
    /// The pause after the one of `previous`.
    pub(super) fn after(self, previous: Option<Duration>) -> Duration {
        match previous {
            None => self.first.min(self.max),
            Some(previous) => previous.saturating_mul(2).min(self.max),
        }
    }
}
