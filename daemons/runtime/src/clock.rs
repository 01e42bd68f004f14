//! The two times a core is given.

use std::time::Instant;

/// A moment, read once by the driver and passed to the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For intervals and timers.
    pub instant: Instant,
    /// For records and expiry times: milliseconds since 1970 UTC.
    pub unix_ms: i64,
}

impl Now {
    /// Both times, now. For drivers; cores are given theirs.
    pub fn read() -> Self {
        let unix_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            });
        Self {
            instant: Instant::now(),
            unix_ms,
        }
    }
}
