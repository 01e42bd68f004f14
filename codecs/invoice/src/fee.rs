//! What a billing server keeps.

use serde::{Deserialize, Serialize};

/// What a billing server keeps of a payment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// Hundredths of a percent of the amount.
    #[serde(default)]
    pub basis_points: u16,
    /// Micro-units beside.
    #[serde(default)]
    pub fixed_micro: i64,
}

impl Fee {
    /// Micro-units of `amount_micro`: rounded half away from zero, and never less than nothing nor more than the amount.
    pub fn of(self, amount_micro: i64) -> i64 {
        let share = (i128::from(amount_micro) * i128::from(self.basis_points) + 5_000) / 10_000;
        let fee = share + i128::from(self.fixed_micro);
        let most = i128::from(amount_micro.max(0));
        i64::try_from(fee.clamp(0, most)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fee_is_exact_to_the_micro_unit() {
        let fee = Fee {
            basis_points: 250,
            fixed_micro: 100_000,
        };
        for (amount, kept) in [
            (9_990_000, 349_750),
            (1_000_000, 125_000),
            // 2.5 % of 0.00002 is half a micro-unit.
            (20, 20),
            (0, 0),
        ] {
            assert_eq!(fee.of(amount), kept, "{amount}");
        }
        let percent = Fee {
            basis_points: 250,
            fixed_micro: 0,
        };
        assert_eq!(
            [19, 20, 59, 60].map(|amount| percent.of(amount)),
            [0, 1, 1, 2]
        );
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_is_paid(amount in 0i64.., basis_points in 0u16..=10_000, fixed_micro in 0i64..) {
            let kept = Fee { basis_points, fixed_micro }.of(amount);
            prop_assert!((0..=amount).contains(&kept));
        }
    }
}
