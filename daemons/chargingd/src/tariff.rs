//! What a call costs: price by time and called prefix, in exact integers.

use std::collections::BTreeMap;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

/// One tariff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Its name, as in records.
    pub name: Box<str>,
    /// The numbers it is for: digits that the called number begins with, without `+`. Empty is every number, and every name.
    pub prefixes: Vec<Box<str>>,
    /// The currency of its prices.
    pub currency: Currency,
    /// Charged once when a call is answered, micro-units.
    #[serde(default)]
    pub setup_fee_micro: i64,
    /// Micro-units for 60 seconds.
    pub price_per_minute_micro: i64,
    /// Other prices from some second of a call on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The first seconds of a call, which cost nothing.
    #[serde(default)]
    pub free_seconds: u32,
    /// The least that an answered call costs, its set-up fee included, micro-units.
    #[serde(default)]
    pub minimum_micro: i64,
    /// The least that is charged, seconds: 60 in "60/1".
    #[serde(default = "one")]
    pub first_increment_seconds: u32,
    /// What is charged from then on is a multiple of this, seconds: 1 in "60/1".
    #[serde(default = "one")]
    pub next_increment_seconds: u32,
}

/// Another price from some second of a call on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The second of the call that it begins with.
    pub from_seconds: u32,
    /// Micro-units for 60 seconds.
    pub price_per_minute_micro: i64,
}

/// A stretch of a call at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its first second.
    pub from: u64,
    /// The second behind its last.
    pub to: u64,
    /// Micro-units for 60 seconds.
    pub price_per_minute_micro: i64,
}

impl Stretch {
    /// Sixtieths of micro-units, so that nothing is rounded yet.
    fn sixtieths(&self) -> i128 {
        i128::from(self.price_per_minute_micro) * i128::from(self.to - self.from)
    }

    /// Whole micro-units of it.
    pub fn amount_micro(&self) -> i64 {
        i64::try_from(self.sixtieths() / 60).unwrap_or(i64::MAX)
    }
}

fn one() -> u32 {
    1
}

/// The longest call that is rated, seconds: ten years. Keeps every sum far inside an i64.
const LONGEST: u64 = 315_360_000;
/// The highest price per minute and set-up fee, micro-units: a million units.
const HIGHEST: i64 = 1_000_000_000_000;
/// Steps of one tariff, at most.
const MOST_STEPS: usize = 16;

impl Tariff {
    /// What is wrong with it.
    pub fn fault(&self) -> Option<String> {
        let fault = if self.name.is_empty() {
            "it has no name"
        } else if self.prefixes.is_empty() {
            "it has no prefixes; [\"\"] is every number"
        } else if !self
            .prefixes
            .iter()
            .all(|prefix| prefix.bytes().all(|byte| byte.is_ascii_digit()))
        {
            "a prefix is digits, without \"+\""
        } else if !(0..=HIGHEST).contains(&self.setup_fee_micro)
            || !(0..=HIGHEST).contains(&self.price_per_minute_micro)
        {
            "a price is 0 to 1000000000000 micro-units"
        } else if self.first_increment_seconds == 0 || self.next_increment_seconds == 0 {
            "an increment is at least one second"
        } else if !(0..=HIGHEST).contains(&self.minimum_micro) {
            "a minimum is 0 to 1000000000000 micro-units"
        } else if self.steps.len() > MOST_STEPS {
            "there are more than 16 steps"
        } else if !self
            .steps
            .iter()
            .all(|step| (0..=HIGHEST).contains(&step.price_per_minute_micro))
        {
            "the price of a step is 0 to 1000000000000 micro-units"
        } else if !std::iter::once(0)
            .chain(self.steps.iter().map(|step| step.from_seconds))
            .is_sorted_by(|one, next| one < next)
        {
            "each step begins later than the one before it, and none with the call"
        } else {
            return None;
        };
        Some(format!("tariff {:?}: {fault}", self.name))
    }

    /// `seconds` brought up to the increments; 0 stays 0.
    pub fn charged_seconds(&self, seconds: u64) -> u64 {
        let seconds = seconds.min(LONGEST);
        let first = u64::from(self.first_increment_seconds);
        if seconds == 0 {
            return 0;
        }
        let beyond = seconds.saturating_sub(first);
        first + beyond.next_multiple_of(u64::from(self.next_increment_seconds))
    }

    /// An answered call of `seconds` in stretches of one price, increments included.
    pub fn stretches(&self, seconds: u64) -> Vec<Stretch> {
        let end = self.charged_seconds(seconds);
        let free = u64::from(self.free_seconds);
        let steps = self.steps.iter().map(|step| u64::from(step.from_seconds));
        let mut bounds: Vec<u64> = steps
            .chain([0, free, end])
            .filter(|at| *at <= end)
            .collect();
        bounds.sort_unstable();
        bounds.dedup();
        let next = bounds.iter().skip(1);
        bounds
            .iter()
            .zip(next)
            .map(|(from, to)| Stretch {
                from: *from,
                to: *to,
                price_per_minute_micro: self.price_at(*from),
            })
            .collect()
    }

    /// Micro-units for 60 seconds in this second of a call.
    fn price_at(&self, second: u64) -> i64 {
        if second < u64::from(self.free_seconds) {
            return 0;
        }
        let begun = |step: &&Step| u64::from(step.from_seconds) <= second;
        self.steps
            .iter()
            .rev()
            .find(begun)
            .map_or(self.price_per_minute_micro, |step| {
                step.price_per_minute_micro
            })
    }

    /// The price of an answered call of `seconds`, micro-units, rounded up to a whole one.
    pub fn price_micro(&self, seconds: u64) -> i64 {
        // Most tariffs have no steps, and a grant asks for many prices.
        let time: i128 = match self.steps.is_empty() {
            true => {
                let free = u64::from(self.free_seconds);
                let paid = self.charged_seconds(seconds).saturating_sub(free);
                i128::from(self.price_per_minute_micro) * i128::from(paid)
            }
            false => self.stretches(seconds).iter().map(Stretch::sixtieths).sum(),
        };
        i64::try_from((time + 59) / 60)
            .unwrap_or(i64::MAX)
            .saturating_add(self.setup_fee_micro)
            .max(self.minimum_micro)
    }

    /// The most seconds whose price does not exceed `amount_micro`; whole increments.
    pub fn affordable_seconds(&self, amount_micro: i64) -> u64 {
        let first = u64::from(self.first_increment_seconds);
        let next = u64::from(self.next_increment_seconds);
        if self.price_micro(first) > amount_micro {
            return 0;
        }
        // A longer call never costs less: the most is between a number of increments that is affordable and one that
        // is not, or not rated any more.
        let (mut enough, mut beyond) = (0, LONGEST.saturating_sub(first) / next + 1);
        while enough + 1 < beyond {
            let middle = enough.midpoint(beyond);
            match self.price_micro(first + middle * next) <= amount_micro {
                true => enough = middle,
                false => beyond = middle,
            }
        }
        first + enough * next
    }
}

/// All tariffs by prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TariffTable {
    tariffs: Vec<Tariff>,
    by_prefix: BTreeMap<(Box<str>, Currency), usize>,
    longest_prefix: usize,
}

impl TariffTable {
    /// Checks and indexes `tariffs`.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub fn new(tariffs: Vec<Tariff>) -> Result<Self, String> {
        let mut by_prefix = BTreeMap::new();
        let mut longest_prefix = 0;
        for (index, tariff) in tariffs.iter().enumerate() {
            if let Some(fault) = tariff.fault() {
                return Err(fault);
            }
            for prefix in &tariff.prefixes {
                longest_prefix = longest_prefix.max(prefix.len());
                if let Some(other) = by_prefix.insert((prefix.clone(), tariff.currency), index)
                    && let Some(other) = tariffs.get(other)
                {
                    return Err(format!(
                        "prefix {prefix:?} in {} is in both {:?} and {:?}",
                        tariff.currency.code(),
                        other.name,
                        tariff.name
                    ));
                }
            }
        }
        Ok(Self {
            tariffs,
            by_prefix,
            longest_prefix,
        })
    }

    /// Every tariff.
    pub fn all(&self) -> &[Tariff] {
        &self.tariffs
    }

    /// The tariff in `currency` with the longest prefix that `called` (a URI or number) begins with.
    pub fn find(&self, called: &str, currency: Currency) -> Option<&Tariff> {
        let digits = called_digits(called);
        (0..=digits.len().min(self.longest_prefix))
            .rev()
            .filter_map(|length| digits.get(..length))
            .find_map(|prefix| self.by_prefix.get(&(prefix.into(), currency)))
            .and_then(|index| self.tariffs.get(*index))
    }
}

/// The digits of a called number: of `sip:+15551234@host`, `tel:+1-555-1234` or `15551234`. Empty for a name.
fn called_digits(called: &str) -> String {
    let (scheme, rest) = called.split_once(':').unwrap_or(("", called));
    let user = match scheme {
        "sip" | "sips" => rest.split_once('@').map_or("", |(user, _)| user),
        _ => rest,
    };
    let user = user.split(';').next().unwrap_or_default();
    let digits: String = user
        .chars()
        .filter(|character| !matches!(character, '+' | '-' | '.' | '(' | ')'))
        .collect();
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tariff(setup: i64, minute: i64, first: u32, next: u32) -> Tariff {
        Tariff {
            name: "t".into(),
            prefixes: vec!["".into()],
            currency: Currency::EUR,
            setup_fee_micro: setup,
            price_per_minute_micro: minute,
            steps: Vec::new(),
            free_seconds: 0,
            minimum_micro: 0,
            first_increment_seconds: first,
            next_increment_seconds: next,
        }
    }

    #[test]
    fn increments_and_set_up_fees() {
        let sixty_one = tariff(50_000, 600_000, 60, 1);
        for (seconds, charged, price) in [
            (0, 0, 50_000),
            (1, 60, 650_000),
            (60, 60, 650_000),
            (61, 61, 660_000),
            (125, 125, 1_300_000),
        ] {
            assert_eq!(sixty_one.charged_seconds(seconds), charged);
            assert_eq!(sixty_one.price_micro(seconds), price);
        }
        let thirty_six = tariff(0, 600_000, 30, 6);
        for (seconds, charged) in [(1, 30), (30, 30), (31, 36), (36, 36), (37, 42)] {
            assert_eq!(thirty_six.charged_seconds(seconds), charged);
        }
    }

    #[test]
    fn free_seconds_steps_and_a_minimum() {
        let stepped = Tariff {
            free_seconds: 30,
            minimum_micro: 100_000,
            steps: vec![
                Step {
                    from_seconds: 60,
                    price_per_minute_micro: 300_000,
                },
                Step {
                    from_seconds: 120,
                    price_per_minute_micro: 60_000,
                },
            ],
            ..tariff(50_000, 600_000, 1, 1)
        };
        for (seconds, price) in [
            (0, 100_000),
            (30, 100_000),
            (35, 100_000),
            (36, 110_000),
            (60, 350_000),
            (61, 355_000),
            (120, 650_000),
            (180, 710_000),
            (181, 711_000),
        ] {
            assert_eq!(stepped.price_micro(seconds), price, "{seconds}");
        }
        let told: Vec<(u64, u64, i64)> = stepped
            .stretches(180)
            .iter()
            .map(|stretch| (stretch.from, stretch.to, stretch.amount_micro()))
            .collect();
        assert_eq!(
            told,
            [
                (0, 30, 0),
                (30, 60, 300_000),
                (60, 120, 300_000),
                (120, 180, 60_000)
            ]
        );
        assert_eq!(stepped.affordable_seconds(99_999), 0);
        assert_eq!(stepped.affordable_seconds(100_000), 35);
        assert_eq!(stepped.affordable_seconds(654_999), 124);
        // Whole minutes, begun in the free ones, are free.
        let minutes = Tariff {
            free_seconds: 60,
            ..tariff(0, 600_000, 60, 60)
        };
        assert_eq!(
            (minutes.price_micro(59), minutes.price_micro(61)),
            (0, 600_000)
        );
    }

    #[test]
    fn a_fraction_of_a_micro_unit_is_rounded_up_once() {
        let third = tariff(0, 100, 1, 1);
        assert_eq!(third.price_micro(1), 2); // 1.67
        assert_eq!(third.price_micro(3), 5); // 5.00
        assert_eq!(third.price_micro(60), 100);
    }

    #[test]
    fn what_is_free_is_affordable_without_money() {
        assert_eq!(tariff(0, 0, 1, 1).affordable_seconds(0), LONGEST);
        assert_eq!(tariff(1, 0, 1, 1).affordable_seconds(0), 0);
    }

    #[test]
    fn the_longest_prefix_in_the_currency_wins() {
        let mut national = tariff(0, 1, 1, 1);
        national.prefixes = vec!["1".into()];
        national.name = "national".into();
        let mut mobile = tariff(0, 2, 1, 1);
        mobile.prefixes = vec!["155".into()];
        mobile.name = "mobile".into();
        let table = TariffTable::new(vec![tariff(0, 3, 1, 1), national, mobile]).unwrap();
        for (called, name) in [
            ("sip:+15551234@example.org", "mobile"),
            ("tel:+1-444-1234", "national"),
            ("15", "national"),
            ("sip:bob@example.org", "t"),
            ("sip:15551234.example.org", "t"),
            ("", "t"),
        ] {
            assert_eq!(
                &*table.find(called, Currency::EUR).unwrap().name,
                name,
                "{called}"
            );
        }
        assert_eq!(table.find("15551234", Currency::USD), None);
    }

    #[test]
    fn faults_are_named() {
        let mut twice = vec![tariff(0, 1, 1, 1), tariff(0, 1, 1, 1)];
        assert!(
            TariffTable::new(twice.clone())
                .unwrap_err()
                .contains("in both")
        );
        twice[1].prefixes = vec!["+1".into()];
        assert!(
            TariffTable::new(twice)
                .unwrap_err()
                .contains("without \"+\"")
        );
        assert!(TariffTable::new(vec![tariff(0, -1, 1, 1)]).is_err());
        assert!(TariffTable::new(vec![tariff(0, 1, 0, 1)]).is_err());
        let steps = |from: &[u32]| Tariff {
            steps: from
                .iter()
                .map(|from| Step {
                    from_seconds: *from,
                    price_per_minute_micro: 1,
                })
                .collect(),
            ..tariff(0, 1, 1, 1)
        };
        for wrong in [&[0][..], &[5, 5], &[6, 5], &[1; 17]] {
            assert!(TariffTable::new(vec![steps(wrong)]).is_err(), "{wrong:?}");
        }
        assert!(TariffTable::new(vec![steps(&[5, 6])]).is_ok());
        let dear = Tariff {
            minimum_micro: -1,
            ..tariff(0, 1, 1, 1)
        };
        assert!(TariffTable::new(vec![dear]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_affordable_is_the_most_that_is(
            setup in 0i64..1_000_000, minute in 1i64..10_000_000, first in 1u32..120, next in 1u32..120,
            amount in 0i64..100_000_000, free in 0u32..200, minimum in 0i64..2_000_000,
            steps in proptest::collection::btree_map(1u32..2_000, 1i64..10_000_000, 0..4),
        ) {
            let tariff = Tariff {
                free_seconds: free,
                minimum_micro: minimum,
                steps: steps
                    .into_iter()
                    .map(|(from_seconds, price_per_minute_micro)| Step { from_seconds, price_per_minute_micro })
                    .collect(),
                ..tariff(setup, minute, first, next)
            };
            let mut last = 0;
            for seconds in 0..400 {
                // Second by second, beside the stretches.
                let time: i128 = (0..tariff.charged_seconds(seconds))
                    .map(|second| i128::from(tariff.price_at(second)))
                    .sum();
                let price = i64::try_from((time + 59) / 60).unwrap() + setup;
                prop_assert_eq!(tariff.price_micro(seconds), price.max(minimum));
                prop_assert!(price >= last);
                last = price;
            }
            let seconds = tariff.affordable_seconds(amount);
            prop_assert_eq!(tariff.charged_seconds(seconds), seconds);
            if seconds > 0 {
                prop_assert!(tariff.price_micro(seconds) <= amount);
            }
            prop_assert!(tariff.price_micro(seconds + 1) > amount || seconds >= LONGEST);
        }
    }
}
