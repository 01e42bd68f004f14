//! What is measured, and what of it is paid for.

use std::time::Duration;

use tollwire_peer::{Data, Measure};

/// What a session has used since it began. All three are counted; those that the policies collect are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Milliseconds that the session was open, and not held up for want of a grant.
    pub time_ms: u64,
    /// Octets of bodies or datagrams, both ways.
    pub octets: u64,
    /// Service requests.
    pub requests: u64,
}

impl Totals {
    /// As they stand in an accounting message.
    pub fn data(&self, collect: &[Measure]) -> Data {
        let mut data = Data::default();
        for measure in collect {
            let total = self.get(*measure).min(i64::MAX.unsigned_abs());
            data.set(*measure, Some(total));
        }
        data
    }

    /// One of them.
    pub fn get(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Time => self.time_ms,
            Measure::Octets => self.octets,
            Measure::Requests => self.requests,
        }
    }

    /// What is left of each measure that `limits` has; nothing of the others.
    pub(super) fn left(&self, limits: &Data) -> Data {
        let mut left = *limits;
        for measure in Measure::ALL {
            let of = limits.get(measure);
            left.set(measure, of.map(|it| it.saturating_sub(self.get(measure))));
        }
        left
    }
}

/// Whether nothing more can pass of what is `left`, nor time go by.
pub(super) fn is_dry(left: &Data) -> bool {
    left.time_ms == Some(0) || left.octets == Some(0)
}

/// When more is asked for: after four fifths of what was granted since the last report, so that the answer is there before
/// the rest is used.
pub(super) fn asks_at(limit: u64, reported: u64) -> u64 {
    limit - limit.saturating_sub(reported) / 5
}

pub(super) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
