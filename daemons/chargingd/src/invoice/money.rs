//! Rounding, and the minor unit of a currency.
//!
//! Everything is rounded half away from zero ("commercially"), in integers. What is divided among lines is rounded as
//! running sums, so that the lines add up to the rounded total whatever their number.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

/// Decimals of a micro-unit.
const DECIMALS: u32 = 6;
/// A whole: basis points in 100 percent.
pub const WHOLE: i128 = 10_000;

/// A sum does not fit into 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sum of money is beyond nine billion units")]
pub struct Overflow;

/// The same sum twice: exact, and as it is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Micro-units.
    pub micro: i64,
    /// Minor units of the currency (cents).
    pub minor: i64,
}

impl Sum {
    /// `micro` with its own rounding.
    ///
    /// # Errors
    /// It does not fit.
    pub fn rounded(micro: i128, currency: Currency) -> Result<Self, Overflow> {
        Ok(Self {
            micro: narrow(micro)?,
            minor: narrow(minor(micro, currency))?,
        })
    }

    /// Both figures added.
    ///
    /// # Errors
    /// It does not fit.
    pub fn plus(self, other: Self) -> Result<Self, Overflow> {
        Ok(Self {
            micro: self.micro.checked_add(other.micro).ok_or(Overflow)?,
            minor: self.minor.checked_add(other.minor).ok_or(Overflow)?,
        })
    }

    /// Both figures taken away.
    ///
    /// # Errors
    /// It does not fit.
    pub fn minus(self, other: Self) -> Result<Self, Overflow> {
        Ok(Self {
            micro: self.micro.checked_sub(other.micro).ok_or(Overflow)?,
            minor: self.minor.checked_sub(other.minor).ok_or(Overflow)?,
        })
    }
}

/// Digits after the point that the currency has; six where ISO 4217 names none.
pub fn exponent(currency: Currency) -> u32 {
    let exponent = currency.exponent().map_or(DECIMALS, u32::from);
    exponent.min(DECIMALS)
}

/// Micro-units in a minor unit.
pub fn minor_unit(currency: Currency) -> i128 {
    10i128.pow(DECIMALS - exponent(currency))
}

/// `micro` in minor units, rounded.
pub fn minor(micro: i128, currency: Currency) -> i128 {
    round_div(micro, minor_unit(currency))
}

/// `numerator / denominator`, half away from zero; the denominator is above zero, and both are far from the ends of
/// 128 bits.
pub fn round_div(numerator: i128, denominator: i128) -> i128 {
    let half = denominator / 2;
    // Of an odd denominator no quotient lies just between two integers, so that `half` may be rounded down.
    match numerator < 0 {
        true => (numerator - half) / denominator,
        false => (numerator + half) / denominator,
    }
}

/// The tax that `gross` contains at `basis_points` on the net amount: micro-units, rounded once.
pub fn contained_tax(gross: i128, basis_points: u16) -> i128 {
    let rate = i128::from(basis_points);
    round_div(gross * rate, WHOLE + rate)
}

/// Into 64 bits.
///
/// # Errors
/// It does not fit.
pub fn narrow(amount: i128) -> Result<i64, Overflow> {
    i64::try_from(amount).map_err(|_| Overflow)
}

/// Rounds a running sum, and hands out what each step adds to it.
#[derive(Debug, Default)]
pub struct Running {
    exact: i128,
    given: i128,
}

impl Running {
    /// The next share: what `round` makes of the sum with `amount`, less what was given before.
    pub fn share(&mut self, amount: i128, round: impl Fn(i128) -> i128) -> i128 {
        self.exact += amount;
        let share = round(self.exact) - self.given;
        self.given += share;
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn halves_go_away_from_zero() {
        for (numerator, denominator, quotient) in [
            (5, 10, 1),
            (4, 10, 0),
            (-5, 10, -1),
            (-4, 10, 0),
            (15, 10, 2),
            (3, 3, 1),
            (1, 3, 0),
            (2, 3, 1),
            (-2, 3, -1),
        ] {
            assert_eq!(round_div(numerator, denominator), quotient, "{numerator}");
        }
    }

    #[test]
    fn each_currency_has_its_own_minor_unit() {
        assert_eq!(minor(12_345_678, Currency::EUR), 1235);
        assert_eq!(minor(12_345_678, Currency::JPY), 12);
        assert_eq!(minor(12_345_678, Currency::KWD), 12_346);
        assert_eq!(minor(12_345_678, Currency::XAU), 12_345_678);
    }

    #[test]
    fn the_tax_is_in_the_amount() {
        assert_eq!(contained_tax(1_190_000, 1900), 190_000);
        assert_eq!(contained_tax(-1_190_000, 1900), -190_000);
        assert_eq!(contained_tax(1_000_000, 0), 0);
        assert_eq!(contained_tax(1_000_000, 700), 65_421);
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_rounded_sum(amounts in prop::collection::vec(-5_000_000i64..5_000_000, 0..40)) {
            let mut running = Running::default();
            let round = |exact| minor(exact, Currency::EUR);
            let shares: i128 = amounts.iter().map(|amount| running.share((*amount).into(), round)).sum();
            let exact: i128 = amounts.iter().map(|amount| i128::from(*amount)).sum();
            prop_assert_eq!(shares, round(exact));
        }
    }
}
