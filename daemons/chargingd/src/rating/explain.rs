//! Why a price is what it is, line by line.

use serde::{Deserialize, Serialize};

use super::tariff::{Parts, Stretch, Tariff};
use super::{Measure, Stint, Used};

/// A part of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What is paid for.
    #[serde(flatten)]
    pub part: Part,
    /// What it adds, micro-units, whole ones alone: the lines but [`Part::Tax`] add up to the price.
    pub amount_micro: i64,
}

/// What a line of a price is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
pub enum Part {
    /// The fee for the begin.
    SetUp,
    /// Seconds at one price, increments included.
    Time {
        /// The first.
        from_seconds: u64,
        /// The one behind the last.
        to_seconds: u64,
        /// When the first is used.
        at_unix_ms: i64,
        /// Micro-units for 60 seconds.
        price_per_minute_micro: i64,
        /// The number of the tariff's period, from 1, in which they are.
        period: Option<u8>,
    },
    /// Octets at one price, increments included.
    Volume {
        /// The first.
        from_octets: u64,
        /// The one behind the last.
        to_octets: u64,
        /// The moment whose price they have.
        at_unix_ms: i64,
        /// Micro-units for a megabyte.
        price_per_megabyte_micro: i64,
        /// Octets of that megabyte.
        octets_per_megabyte: i64,
        /// The number of the tariff's period, from 1.
        period: Option<u8>,
    },
    /// Events at one price.
    Events {
        /// The first.
        from_events: u64,
        /// The one behind the last.
        to_events: u64,
        /// The moment whose price they have.
        at_unix_ms: i64,
        /// Micro-units for one.
        price_per_event_micro: i64,
        /// The number of the tariff's period, from 1.
        period: Option<u8>,
    },
    /// What parts of micro-units add, rounded up once.
    Rounding,
    /// What the least price is more than the others.
    Minimum,
    /// Tax that the lines above contain.
    Tax {
        /// Hundredths of a percent of the price without it.
        basis_points: u16,
    },
}

/// Units at one price, as long as it holds.
struct Run {
    from: u64,
    to: u64,
    at_unix_ms: i64,
    price: i64,
    period: Option<u8>,
}

impl Tariff {
    /// The parts of [`Tariff::price_micro`]: the set-up fee, stretches of one price, the minimum, the tax contained.
    pub fn explain(&self, from_unix_ms: i64, used: Used) -> Vec<Line> {
        let stints = [Stint { from_unix_ms, used }];
        let charged = self.charged(used);
        let mut lines = Vec::new();
        let mut add = |part: Part, amount_micro: i64| lines.push(Line { part, amount_micro });
        if self.setup_fee_micro != 0 {
            add(Part::SetUp, self.setup_fee_micro);
        }
        let mut runs = Vec::new();
        let (end, free) = match &self.parts {
            Parts::Time(part) => (charged.seconds, part.free),
            Parts::Volume(part, _) => (charged.octets, part.free),
            Parts::Events(part) => (charged.events, part.free),
            Parts::Combined(combined) => (charged.seconds, combined.time.free),
        };
        let of_seconds = matches!(self.measure(), Measure::Time | Measure::Combined);
        self.stretches(&stints, end, |stretch| {
            extend(&mut runs, stretch, free, of_seconds);
            true
        });
        for run in &runs {
            let (part, divisor) = match &self.parts {
                Parts::Volume(_, megabyte) => volume(run, megabyte.octets()),
                Parts::Events(_) => (events(run), 1),
                Parts::Time(_) | Parts::Combined(_) => (time(run), 60),
            };
            add(part, run.amount_micro(divisor));
        }
        if let Parts::Combined(combined) = &self.parts {
            runs.clear();
            self.octet_stretches(combined, &stints, charged.octets, |stretch| {
                extend(&mut runs, stretch, combined.volume.free, false);
                true
            });
            for run in &runs {
                let (part, divisor) = volume(run, combined.megabyte.octets());
                add(part, run.amount_micro(divisor));
            }
        }
        let sum = lines
            .iter()
            .fold(0, |sum: i64, line| sum.saturating_add(line.amount_micro));
        let exact = self.without_minimum(&stints);
        let price = self.price_micro(from_unix_ms, used);
        let tax = contained_tax(price, self.tax_basis_points);
        for (part, amount_micro) in [
            (Part::Rounding, exact.saturating_sub(sum)),
            (Part::Minimum, price.saturating_sub(exact)),
            (
                Part::Tax {
                    basis_points: self.tax_basis_points,
                },
                tax,
            ),
        ] {
            if amount_micro > 0 {
                lines.push(Line { part, amount_micro });
            }
        }
        lines
    }
}

/// The tax in `price`, micro-units, half of one rounded up.
fn contained_tax(price: i64, basis_points: u16) -> i64 {
    let divisor = 10_000 + i128::from(basis_points);
    let tax = (i128::from(price) * i128::from(basis_points) + divisor / 2) / divisor;
    i64::try_from(tax).unwrap_or(i64::MAX)
}

/// Adds a stretch, cut where its price changes, and joined with what is before it where it does not.
fn extend(runs: &mut Vec<Run>, stretch: Stretch<'_>, free: u64, of_seconds: bool) {
    let paid_from = stretch.from.max(free.min(stretch.to));
    let without_price = (stretch.from < paid_from).then_some((stretch.from, paid_from, 0));
    let pieces = stretch.rate.pieces(paid_from, stretch.to);
    for (from, to, price) in without_price.into_iter().chain(pieces) {
        if let Some(last) = runs.last_mut()
            && (last.to, last.price, last.period) == (from, price, stretch.period)
        {
            last.to = to;
            continue;
        }
        let seconds = match of_seconds {
            true => i64::try_from(from - stretch.from).unwrap_or(i64::MAX),
            false => 0,
        };
        runs.push(Run {
            from,
            to,
            at_unix_ms: (stretch.at_unix_ms).saturating_add(seconds.saturating_mul(1000)),
            price,
            period: stretch.period,
        });
    }
}

impl Run {
    /// Whole micro-units of it.
    fn amount_micro(&self, divisor: i64) -> i64 {
        let amount = i128::from(self.price) * i128::from(self.to - self.from) / i128::from(divisor);
        i64::try_from(amount).unwrap_or(i64::MAX)
    }

    fn period(&self) -> Option<u8> {
        self.period.map(|index| index.saturating_add(1))
    }
}

fn time(run: &Run) -> Part {
    Part::Time {
        from_seconds: run.from,
        to_seconds: run.to,
        at_unix_ms: run.at_unix_ms,
        price_per_minute_micro: run.price,
        period: run.period(),
    }
}

fn volume(run: &Run, octets_per_megabyte: i64) -> (Part, i64) {
    let part = Part::Volume {
        from_octets: run.from,
        to_octets: run.to,
        at_unix_ms: run.at_unix_ms,
        price_per_megabyte_micro: run.price,
        octets_per_megabyte,
        period: run.period(),
    };
    (part, octets_per_megabyte)
}

fn events(run: &Run) -> Part {
    Part::Events {
        from_events: run.from,
        to_events: run.to,
        at_unix_ms: run.at_unix_ms,
        price_per_event_micro: run.price,
        period: run.period(),
    }
}
