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

/// Holds a provider's total against the gate's, which was read after he reported. With more than `tolerance` octets beyond
/// it the gate's counts. A count that is not exact proves nothing against him.
pub fn compare(reported: u64, counted: Counted, tolerance: u64) -> Comparison {
    let passed = counted.total();
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
        let said = |reported, passed| {
            let comparison = compare(reported, counted(passed), 10);
            (comparison.charged, comparison.beyond)
        };
        assert_eq!(said(90, 100), (90, None));
        assert_eq!(said(110, 100), (110, None));
        assert_eq!(said(111, 100), (100, Some(11)));
        assert_eq!(said(u64::MAX, 0), (0, Some(u64::MAX)));
        let lost = Counted {
            exact: false,
            ..counted(0)
        };
        assert_eq!(compare(500, lost, 10).beyond, None);
        assert_eq!(compare(500, lost, 10).charged, 500);
    }
}
