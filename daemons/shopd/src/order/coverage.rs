//! Which octets of a file went out.

use std::fmt;
use std::str::FromStr;

use super::range::Span;

/// Pieces that are remembered apart. A transfer makes one piece, and pieces that touch become one, so that only
/// somebody who asks for many small ranges comes near it.
pub const MAX_PIECES: usize = 64;

/// Octets that went out: spans that neither overlap nor touch, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(Vec<Span>);

impl Coverage {
    /// Adds what went out. Of more pieces than are remembered the smallest is forgotten: it may be fetched again.
    pub fn add(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        let mut merged = span;
        // Those that overlap or touch it stand next to each other.
        let first = self.0.partition_point(|piece| piece.end < span.start);
        let last = self.0.partition_point(|piece| piece.start <= span.end);
        for piece in self.0.drain(first..last.max(first)) {
            merged.start = merged.start.min(piece.start);
            merged.end = merged.end.max(piece.end);
        }
        self.0.insert(first, merged);
        if self.0.len() > MAX_PIECES {
            let smallest = (self.0.iter().enumerate()).min_by_key(|(_, piece)| piece.len());
            if let Some((at, _)) = smallest {
                self.0.remove(at);
            }
        }
    }

    /// Whether all of a file of `size` octets went out.
    pub fn is_whole(&self, size: u64) -> bool {
        size == 0
            || matches!(self.0.as_slice(), [first, ..] if first.start == 0 && first.end >= size)
    }

    /// How many octets are covered.
    pub fn octets(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |all, piece| all.saturating_add(piece.len()))
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Span] {
        &self.0
    }
}

/// `0-1024,4096-8192`: starts, and ends that are not covered themselves.
impl fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, piece) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{}-{}", piece.start, piece.end)?;
        }
        Ok(())
    }
}

/// A coverage that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no coverage")]
pub struct NotCoverage;

impl FromStr for Coverage {
    type Err = NotCoverage;

    fn from_str(text: &str) -> Result<Self, NotCoverage> {
        let mut coverage = Self::default();
        for piece in text.split(',').filter(|piece| !piece.is_empty()) {
            let (start, end) = piece.split_once('-').ok_or(NotCoverage)?;
            let start = start.parse().map_err(|_| NotCoverage)?;
            let end = end.parse().map_err(|_| NotCoverage)?;
            coverage.add(Span { start, end });
        }
        Ok(coverage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(start: u64, end: u64) -> Span {
        Span { start, end }
    }

    #[test]
    fn pieces_that_touch_become_one() {
        let mut coverage = Coverage::default();
        for piece in [span(10, 20), span(30, 40), span(5, 6), span(20, 30)] {
            coverage.add(piece);
        }
        assert_eq!(coverage.pieces(), [span(5, 6), span(10, 40)]);
        assert!(!coverage.is_whole(40));
        coverage.add(span(0, 10));
        assert_eq!(coverage.pieces(), [span(0, 40)]);
        assert!(coverage.is_whole(40) && !coverage.is_whole(41));
    }

    #[test]
    fn an_empty_file_is_covered_and_an_empty_span_covers_nothing() {
        let mut coverage = Coverage::default();
        coverage.add(span(7, 7));
        assert!(coverage.is_whole(0) && !coverage.is_whole(1));
        assert_eq!(coverage.to_string(), "");
    }

    #[test]
    fn many_pieces_stay_bounded_and_only_ever_forget() {
        let mut coverage = Coverage::default();
        for at in 0..1_000 {
            coverage.add(span(at * 10, at * 10 + 1 + at % 5));
        }
        assert_eq!(coverage.pieces().len(), MAX_PIECES);
        coverage.add(span(0, 10_000));
        assert!(coverage.is_whole(10_000));
    }

    #[test]
    fn what_is_no_coverage() {
        for text in ["1", "a-b", "1-", "-1", "5--6"] {
            assert_eq!(text.parse::<Coverage>(), Err(NotCoverage), "{text}");
        }
        // An end before its start covers nothing.
        assert_eq!("9-4".parse(), Ok(Coverage::default()));
    }

    proptest! {
        /// Against a plain set of octets: the same octets, and in the store the same as in memory.
        #[test]
        fn it_holds_just_the_octets_that_were_added(
            spans in proptest::collection::vec((0_u64..200, 0_u64..30), 0..40),
        ) {
            let mut coverage = Coverage::default();
            let mut octets = std::collections::BTreeSet::new();
            for (start, length) in spans {
                coverage.add(span(start, start + length));
                octets.extend(start..start + length);
            }
            let held: Vec<u64> = coverage.pieces().iter().flat_map(|piece| piece.start..piece.end).collect();
            let expected: Vec<u64> = octets.iter().copied().collect();
            prop_assert_eq!(held, expected);
            prop_assert_eq!(coverage.octets(), octets.len() as u64);
            for pair in coverage.pieces().windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
            for size in [1, 50, 230] {
                prop_assert_eq!(coverage.is_whole(size), (0..size).all(|octet| octets.contains(&octet)));
            }
            prop_assert_eq!(coverage.to_string().parse(), Ok(coverage));
        }
    }
}
