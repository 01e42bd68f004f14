//! Which numbers were seen: as ranges, so that what is kept grows with the gaps and not with the numbers.

use std::collections::BTreeMap;

/// Numbers from 1 on that were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    /// First number of a range to its last. Ranges neither overlap nor touch.
    seen: BTreeMap<u64, u64>,
}

/// How the ranges changed with one more number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grown {
    /// The range that holds the number now.
    pub first: u64,
    /// Its last number.
    pub last: u64,
    /// The first number of a range that it swallowed, where that is not its own.
    pub gone: Option<u64>,
}

impl Ranges {
    /// Ranges that were kept, as (first, last).
    pub fn of(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self {
            seen: ranges.into_iter().collect(),
        }
    }

    /// Whether `number` was seen.
    pub fn contains(&self, number: u64) -> bool {
        self.before(number).is_some_and(|(_, last)| last >= number)
    }

    /// Ranges there are.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// The highest number seen; 0 if none was.
    pub fn highest(&self) -> u64 {
        self.seen.last_key_value().map_or(0, |(_, last)| *last)
    }

    /// What lacks below the highest number, as (first, last).
    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut expected = 1;
        self.seen.iter().filter_map(move |(first, last)| {
            let gap = (*first > expected).then(|| (expected, *first - 1));
            expected = last.saturating_add(1);
            gap
        })
    }

    /// How many numbers lack below the highest.
    pub fn missing(&self) -> u64 {
        self.gaps().fold(0, |sum: u64, (first, last)| {
            sum.saturating_add(last - first + 1)
        })
    }

    /// Adds `number`; `None` if it was seen before.
    pub fn insert(&mut self, number: u64) -> Option<Grown> {
        let below = self.before(number);
        if below.is_some_and(|(_, last)| last >= number) {
            return None;
        }
        let first = match below {
            Some((first, last)) if last.checked_add(1) == Some(number) => first,
            _ => number,
        };
        let above = number
            .checked_add(1)
            .and_then(|next| self.seen.remove(&next).map(|last| (next, last)));
        let last = above.map_or(number, |(_, last)| last);
        self.seen.insert(first, last);
        Some(Grown {
            first,
            last,
            gone: above.map(|(next, _)| next),
        })
    }

    fn before(&self, number: u64) -> Option<(u64, u64)> {
        self.seen
            .range(..=number)
            .next_back()
            .map(|(first, last)| (*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A set of numbers is the model.
        #[test]
        fn ranges_are_the_numbers_seen(numbers in proptest::collection::vec(1..60_u64, 0..80)) {
            let mut ranges = Ranges::default();
            let mut kept: BTreeMap<u64, u64> = BTreeMap::new();
            let mut model = BTreeSet::new();
            for number in numbers {
                let grown = ranges.insert(number);
                prop_assert_eq!(grown.is_some(), model.insert(number));
                if let Some(grown) = grown {
                    if let Some(gone) = grown.gone {
                        kept.remove(&gone);
                    }
                    kept.insert(grown.first, grown.last);
                }
                // What is told of a change is enough to keep up with it.
                prop_assert_eq!(&kept, &ranges.seen);
            }
            let highest = model.last().copied().unwrap_or(0);
            prop_assert_eq!(ranges.highest(), highest);
            let lacking: Vec<u64> = (1..=highest).filter(|number| !model.contains(number)).collect();
            let gaps: Vec<u64> = ranges.gaps().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(ranges.missing(), lacking.len() as u64);
            prop_assert_eq!(gaps, lacking);
            for number in 0..61 {
                prop_assert_eq!(ranges.contains(number), model.contains(&number));
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers_do_not_overflow() {
        let mut ranges = Ranges::default();
        assert!(ranges.insert(u64::MAX).is_some());
        assert!(ranges.insert(u64::MAX).is_none());
        assert!(ranges.insert(u64::MAX - 1).is_some());
        assert_eq!(ranges.missing(), u64::MAX - 2);
        assert_eq!(Ranges::of([(1, u64::MAX)]).missing(), 0);
    }
}
