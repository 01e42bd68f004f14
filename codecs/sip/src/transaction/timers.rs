use std::time::Duration;

/// The timer values of RFC 3261 table 4; those not here follow from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip time estimate.
    pub t1: Duration,
    /// Longest interval between repetitions of non-INVITE requests and INVITE responses.
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

impl Timers {
    /// 64*T1: Timers B, F, H, J, L and M.
    pub fn transaction(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer D: as long as the server may repeat its final response; more than 32 s over UDP, nothing over a stream.
    pub(super) fn absorb_final_response(&self, reliable: bool) -> Duration {
        if reliable {
            Duration::ZERO
        } else {
            self.transaction().max(Duration::from_secs(32))
        }
    }

    /// Timers I and K: T4 over UDP, nothing over a stream.
    pub(super) fn absorb(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.t4 }
    }
}
