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
