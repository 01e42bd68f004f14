//! What a gate has counted, and what a provider says.

use serde::{Deserialize, Serialize};

/// Octets that have passed a gate. Kept with its session, so that a limiter that lost its table does not begin at nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// By counters that are no more.
    pub before: u64,
    /// By the one that stands.
    pub now: u64,
    /// Whether no counter was lost while octets may still have passed.
    pub exact: bool,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            before: 0,
            now: 0,
            exact: true,
        }
    }
}

impl Counted {
    /// Octets in all.
    pub fn total(&self) -> u64 {
        self.before.saturating_add(self.now)
    }

    /// The counter says so much. One that shrank is another. Returns whether it is.
    pub(super) fn read(&mut self, octets: u64, shut: bool) -> bool {
        let another = octets < self.now;
        if another {
            self.lose(shut);
        }
        self.now = octets;
        another
    }

    /// The counter is no more; what it said is kept. `shut`: nothing had passed since it was last read.
    pub(super) fn lose(&mut self, shut: bool) {
        self.before = self.total();
        self.now = 0;
        self.exact &= shut;
    }
}

/// What a provider's total comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Octets to charge for.
    pub charged: u64,
    /// Octets that he reports beyond those that passed, if they are more than is tolerated.
    pub beyond: Option<u64>,
}

/// What a provider may report beyond what passed: datagrams of his that were lost before they came to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Octets, however few passed.
    pub octets: u64,
    /// And of what passed, percent.
    pub percent: u32,
}

impl Tolerance {
    fn of(self, passed: u64) -> u64 {
        let share = u128::from(passed) * u128::from(self.percent) / 100;
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        self.octets.saturating_add(share)
    }
}

/// Holds a provider's total against the gate's, which was read after he reported. With more octets beyond it than are
/// tolerated the gate's counts. A count that is not exact proves nothing against him.
pub fn compare(reported: u64, counted: Counted, tolerance: Tolerance) -> Comparison {
    let passed = counted.total();
    let tolerance = tolerance.of(passed);
    let beyond =
        (reported.checked_sub(passed)).filter(|beyond| *beyond > tolerance && counted.exact);
    Comparison {
        charged: if beyond.is_some() { passed } else { reported },
        beyond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_shrank_is_another() {
        let mut counted = Counted::default();
        assert!(!counted.read(100, false));
        assert!(!counted.read(100, false));
        assert!(counted.read(30, true));
        assert_eq!((counted.total(), counted.exact), (130, true));
        assert!(counted.read(5, false));
        assert_eq!((counted.total(), counted.exact), (135, false));
        let stored = serde_json::to_string(&counted).unwrap();
        assert_eq!(serde_json::from_str::<Counted>(&stored).unwrap(), counted);
    }

    #[test]
    fn more_than_passed_and_is_tolerated_is_charged_by_the_gate() {
        let counted = |now| Counted {
            now,
            ..Counted::default()
        };
        let tolerance = Tolerance {
            octets: 10,
            percent: 2,
        };
        let said = |reported, passed| {
            let comparison = compare(reported, counted(passed), tolerance);
            (comparison.charged, comparison.beyond)
        };
        assert_eq!(said(90, 100), (90, None));
        assert_eq!(said(112, 100), (112, None));
        assert_eq!(said(113, 100), (100, Some(13)));
        assert_eq!(said(10, 0), (10, None));
        assert_eq!(said(u64::MAX, 0), (0, Some(u64::MAX)));
        assert_eq!(said(u64::MAX, u64::MAX), (u64::MAX, None));
        let lost = Counted {
            exact: false,
            ..counted(0)
        };
        assert_eq!(compare(500, lost, tolerance).beyond, None);
        assert_eq!(compare(500, lost, tolerance).charged, 500);
    }
}
