//! The price of a unit by its place in a session.

/// A price for some number of units (a minute, a megabyte, one event), and other prices from some unit on.
///
/// Amounts are products of that price and of units: what they are to be divided by is the business of who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rate {
    /// From the first unit on.
    pub(super) price: i64,
    /// In the order of their units.
    pub(super) steps: Box<[Step]>,
}

/// Another price from some unit on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// The first unit that it is for, counted from 0.
    pub(super) from: u64,
    /// Its price.
    pub(super) price: i64,
}

impl Rate {
    /// Whether every unit costs the same at both, however they are written.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        fn changes(rate: &Rate) -> impl Iterator<Item = (u64, i64)> {
            let mut last = None;
            let all = std::iter::once((0, rate.price))
                .chain(rate.steps.iter().map(|step| (step.from, step.price)));
            all.filter(move |(_, price)| last.replace(*price) != Some(*price))
        }
        changes(self).eq(changes(other))
    }

    /// Stretches of one price in the units from `from` to before `to`: first unit, the unit behind the last, price.
    pub(super) fn pieces(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64, i64)> {
        let begins = std::iter::once((0, self.price))
            .chain(self.steps.iter().map(|step| (step.from, step.price)));
        let ends = self.steps.iter().map(|step| step.from).chain([u64::MAX]);
        begins.zip(ends).filter_map(move |((begin, price), end)| {
            let (begin, end) = (begin.max(from), end.min(to));
            (begin < end).then_some((begin, end, price))
        })
    }

    /// What the units from `from` to before `to` cost.
    pub(super) fn sum(&self, from: u64, to: u64) -> i128 {
        // Prices are at most 2^60 and units 2^64: no sum of these leaves an i128.
        if self.steps.is_empty() {
            return i128::from(self.price) * i128::from(to.saturating_sub(from));
        }
        self.pieces(from, to)
            .map(|(begin, end, price)| i128::from(price) * i128::from(end - begin))
            .sum()
    }

    /// How far from unit `from` on, at most to `to`, `budget` lasts: the unit behind the last one that it pays for. What is
    /// paid is taken from it; it is left negative if a unit before `to` could not be paid.
    pub(super) fn reach(&self, from: u64, to: u64, budget: &mut i128) -> u64 {
        let mut reached = from;
        for (begin, end, price) in self.pieces(from, to) {
            let units = match price {
                0 => end - begin,
                price => u64::try_from(*budget / i128::from(price)).unwrap_or(u64::MAX),
            };
            if units < end - begin {
                *budget = -1;
                return begin + units;
            }
            *budget -= i128::from(price) * i128::from(end - begin);
            reached = end;
        }
        reached
    }
}
