use std::time::{Duration, Instant};

/// The watchdog of an open connection (RFC 3539 3.4.1): OKAY and SUSPECT.
///
/// INITIAL and DOWN are the closed states of the peer machine; REOPEN is not needed (see the
/// module's head).
#[derive(Debug, Clone)]
pub(super) struct Watchdog {
    interval: Duration,
    deadline: Instant,
    /// A DWR is unanswered.
    pending: bool,
    suspect: bool,
}

/// What the watchdog wants when its timer expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The timer has not expired.
    Wait,
    /// Send a DWR.
    SendWatchdog,
    /// Nothing came back: use the peer no more (Failover), but listen a little longer.
    Suspect,
    /// Still nothing: close the connection.
    Close,
}

impl Watchdog {
    /// `interval` is Tw with its jitter.
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Self {
            interval,
            deadline: now + interval,
            pending: false,
            suspect: false,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Anything but a DWA arrived: the peer lives.
    pub(super) fn received(&mut self, now: Instant) {
        self.suspect = false;
        self.deadline = now + self.interval;
    }

    /// A DWA arrived.
    pub(super) fn received_dwa(&mut self, now: Instant) {
        self.pending = false;
        self.received(now);
    }

    pub(super) fn tick(&mut self, now: Instant) -> Verdict {
        if now < self.deadline {
            return Verdict::Wait;
        }
        self.deadline = now + self.interval;
        if self.suspect {
            Verdict::Close
        } else if self.pending {
            self.suspect = true;
            Verdict::Suspect
        } else {
            self.pending = true;
            Verdict::SendWatchdog
        }
    }
}
