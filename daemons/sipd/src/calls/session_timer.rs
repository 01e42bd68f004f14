//! The session timer of a call (RFC 4028) as a proxy keeps it.

use std::time::{Duration, Instant};

/// When the session ends unless it is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionTimer {
    interval: Option<u32>,
    expires: Option<Instant>,
}

impl SessionTimer {
    /// A 2xx to INVITE or UPDATE passed. Without Session-Expires in it there
    /// is no timer from now on (RFC 4028 8.2).
    pub fn refresh(&mut self, now: Instant, interval: Option<u32>) {
        self.interval = interval;
        self.expires = interval.map(|seconds| now + Duration::from_secs(u64::from(seconds)));
    }

    /// When the session ends unless it is refreshed.
    pub fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// The agreed interval in seconds.
    pub fn interval(&self) -> Option<u32> {
        self.interval
    }

    /// Continues after a restart.
    pub fn restore(interval: Option<u32>, expires: Option<Instant>) -> Self {
        Self { interval, expires }
    }
}
