//! What a unit of a service is worth in a credit pool (RFC 8506 5.1.2).

use super::Tariff;
use super::tariff::Parts;

/// Decimal places of a micro-unit that a multiplier has at the most.
const PLACES: i32 = 12;
/// A micro-unit, in the parts that pools are counted in.
const ONE: u128 = 10u128.pow(PLACES.unsigned_abs());

/// Parts of micro-units as micro-units, rounded up; `i64::MAX` if it is more than that.
pub fn micro_of_parts(parts: u128) -> i64 {
    i64::try_from(parts.div_ceil(ONE)).unwrap_or(i64::MAX)
}

/// Micro-units in parts; none for what is owed.
pub fn parts_of_micro(amount_micro: i64) -> u128 {
    u128::try_from(amount_micro).unwrap_or(0) * ONE
}

/// The price of each unit of a service, whichever it is: abstract units of a pool per unit of the service. An abstract unit
/// is a micro-unit of money.
///
/// A price that is no such decimal fraction is rounded up, so that no use is worth less in the pool than it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multiplier {
    /// Value-Digits of its Unit-Value (RFC 8506 8.8), above 0.
    digits: i64,
    /// Exponent, from -12 to 0.
    exponent: i32,
}

impl Multiplier {
    fn of(mut amount: u128) -> Option<Self> {
        let mut exponent = -PLACES;
        loop {
            let digits = i64::try_from(amount).ok();
            if exponent == 0 || digits.is_some() && !amount.is_multiple_of(10) {
                return digits.map(|digits| Self { digits, exponent });
            }
            amount = amount.div_ceil(10);
            exponent += 1;
        }
    }

    /// Parts of a micro-unit that a unit is worth.
    fn unit(self) -> u128 {
        let places = PLACES.saturating_add(self.exponent).unsigned_abs();
        u128::from(self.digits.unsigned_abs()) * 10u128.pow(places)
    }

    /// What `units` are worth, in parts of micro-units.
    pub fn worth(self, units: u64) -> u128 {
        self.unit().saturating_mul(units.into())
    }

    /// How many units so many parts of micro-units are worth.
    pub fn units(self, parts: u128) -> u64 {
        u64::try_from(parts / self.unit().max(1)).unwrap_or(u64::MAX)
    }

    /// Whether a unit costs whole micro-units, so that no price of some of them is rounded.
    pub fn is_whole(self) -> bool {
        self.exponent == 0
    }

    /// Value-Digits and Exponent of its Unit-Value (RFC 8506 8.8); the exponent is not above 0.
    pub fn unit_value(self) -> (i64, i32) {
        (self.digits, self.exponent)
    }
}

impl Tariff {
    /// What each unit is worth in a pool. None for a tariff whose units have not all the same price above zero: one with a
    /// set-up fee, a minimum, free units, increments, steps or a calendar, or of time and volume together.
    pub fn multiplier(&self) -> Option<Multiplier> {
        let part = match &self.parts {
            Parts::Time(part) | Parts::Volume(part, _) | Parts::Events(part) => part,
            Parts::Combined(_) => return None,
        };
        let flat = part.free == 0
            && (part.first_increment, part.next_increment) == (1, 1)
            && part.rate.steps.is_empty()
            && self.calendar.is_none()
            && self.setup_fee_micro == 0
            && self.minimum_micro == 0;
        let price = u128::try_from(part.rate.price).ok()?;
        let divisor = u128::try_from(self.divisor()).ok()?;
        // Prices are at most 2^60.
        (flat && price > 0)
            .then(|| Multiplier::of((price * ONE).div_ceil(divisor)))
            .flatten()
    }
}
