use crate::fields::grouped;

grouped! {
    /// Unit-Value (RFC 8506 8.8): `value_digits * 10^exponent`.
    pub struct UnitValue {
        /// The significant digits.
        value_digits: i64 = VALUE_DIGITS,
        /// The power of ten; absent is 0.
        exponent: Option<i32> = EXPONENT,
    }

    /// CC-Money (RFC 8506 8.22).
    pub struct CcMoney {
        /// The amount.
        unit_value: UnitValue = UNIT_VALUE,
        /// ISO 4217 numeric code of the currency.
        currency_code: Option<u32> = CURRENCY_CODE,
    }

    /// Cost-Information (RFC 8506 8.7).
    pub struct CostInformation {
        /// The cost.
        unit_value: UnitValue = UNIT_VALUE,
        /// ISO 4217 numeric code of the currency.
        currency_code: u32 = CURRENCY_CODE,
        /// What the cost is for, if it is a cost per unit: `minute`.
        cost_unit: Option<String> = COST_UNIT,
    }
}

impl UnitValue {
    const MICRO: i32 = -6;

    /// The value of `amount` micro-units of a currency.
    pub fn from_micro(amount: i64) -> Self {
        Self {
            value_digits: amount,
            exponent: Some(Self::MICRO),
            extra: Vec::new(),
        }
    }

    /// The value in micro-units of a currency; `None` if it does not fit, or is no whole number
    /// of them: money is not rounded here.
    pub fn micro(&self) -> Option<i64> {
        let shift = self.exponent.unwrap_or(0).checked_sub(Self::MICRO)?;
        if self.value_digits == 0 {
            return Some(0);
        }
        let factor = 10_i64.checked_pow(shift.unsigned_abs())?;
        if shift >= 0 {
            self.value_digits.checked_mul(factor)
        } else {
            (self.value_digits % factor == 0).then_some(self.value_digits / factor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value_digits: i64, exponent: Option<i32>) -> UnitValue {
        UnitValue {
            value_digits,
            exponent,
            ..UnitValue::default()
        }
    }

    #[test]
    fn converts_to_micro_units_exactly() {
        // RFC 8506 8.8: 2,3 is 23 * 10^-1; 8.10: 0.05 is 5 * 10^-2.
        assert_eq!(value(23, Some(-1)).micro(), Some(2_300_000));
        assert_eq!(value(5, Some(-2)).micro(), Some(50_000));
        assert_eq!(value(7, None).micro(), Some(7_000_000));
        assert_eq!(value(-120, Some(-7)).micro(), Some(-12));
        assert_eq!(UnitValue::from_micro(-42).micro(), Some(-42));
    }

    #[test]
    fn refuses_what_would_need_rounding_or_overflows() {
        assert_eq!(value(1, Some(-7)).micro(), None);
        assert_eq!(value(i64::MAX, Some(0)).micro(), None);
        assert_eq!(value(1, Some(i32::MAX)).micro(), None);
        assert_eq!(value(1, Some(i32::MIN)).micro(), None);
        assert_eq!(value(0, Some(30)).micro(), Some(0));
    }
}
