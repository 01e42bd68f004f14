//! Sums as people write them.

use iso_currency::Currency;

/// Digits after the point of a sum in micro-units.
const DECIMALS: u32 = 6;

/// How a language writes sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Before the decimals.
    pub decimal: String,
    /// Between groups of three digits.
    pub group: String,
    /// `{amount}` and `{symbol}` in their order, for currencies with a sign of their own.
    pub symbol: String,
    /// `{amount}` and `{code}` in their order, for the others.
    pub code: String,
}

/// `micro` micro-units, exactly: with the digits that the currency has, and more where the sum needs them.
///
/// ```
/// use tollwire_web::{Currency, money::{Style, write}};
/// let german = Style {
///     decimal: ",".into(), group: ".".into(),
///     symbol: "{amount} {symbol}".into(), code: "{amount} {code}".into(),
/// };
/// assert_eq!(write(12_500_000, Currency::EUR, &german), "12,50 €");
/// assert_eq!(write(1_234_000_500, Currency::CHF, &german), "1.234,0005 CHF");
/// ```
pub fn write(micro: i64, currency: Currency, style: &Style) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let least = currency.exponent().map_or(2, usize::from);
    let amount = amount(micro, least, style);
    let written = match symbol(currency) {
        Some(symbol) => (style.symbol)
            .replace("{amount}", &amount)
            .replace("{symbol}", symbol),
        None => (style.code)
            .replace("{amount}", &amount)
            .replace("{code}", currency.code()),
    };
    format!("{sign}{written}")
}

/// `micro` micro-units without a currency, with the digits that it needs.
pub fn plain(micro: i64, style: &Style) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    format!("{sign}{}", amount(micro, 0, style))
}

/// Of signs that several currencies share (kr, the dollars beside the one of the United States) none is unmistakable.
fn symbol(currency: Currency) -> Option<&'static str> {
    match currency {
        Currency::EUR => Some("€"),
        Currency::GBP => Some("£"),
        Currency::USD => Some("$"),
        _ => None,
    }
}

fn amount(micro: i64, least: usize, style: &Style) -> String {
    let unit = 10u64.pow(DECIMALS);
    let (whole, rest) = (micro.unsigned_abs() / unit, micro.unsigned_abs() % unit);
    let mut written = grouped(&whole.to_string(), &style.group);
    let digits = format!("{rest:0width$}", width = DECIMALS as usize);
    let needed = digits
        .trim_end_matches('0')
        .len()
        .max(least)
        .min(digits.len());
    if needed > 0 {
        written.push_str(&style.decimal);
        written.extend(digits.chars().take(needed));
    }
    written
}

fn grouped(digits: &str, group: &str) -> String {
    let mut written = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            written.push_str(group);
        }
        written.push(digit);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn english() -> Style {
        Style {
            decimal: ".".into(),
            group: ",".into(),
            symbol: "{symbol}{amount}".into(),
            code: "{code}\u{a0}{amount}".into(),
        }
    }

    #[test]
    fn a_sum_has_the_digits_of_its_currency_and_those_that_it_needs() {
        let written = |micro, currency| write(micro, currency, &english());
        assert_eq!(written(12_500_000, Currency::EUR), "€12.50");
        assert_eq!(written(0, Currency::EUR), "€0.00");
        assert_eq!(written(1, Currency::EUR), "€0.000001");
        assert_eq!(written(4_320, Currency::EUR), "€0.00432");
        assert_eq!(written(-500_000, Currency::USD), "-$0.50");
        assert_eq!(written(1_200_000_000, Currency::JPY), "JPY\u{a0}1,200");
        assert_eq!(written(1_500_000, Currency::JPY), "JPY\u{a0}1.5");
        assert_eq!(written(1_234_000, Currency::KWD), "KWD\u{a0}1.234");
        assert_eq!(written(1_000_000, Currency::XAU), "XAU\u{a0}1.00");
        assert_eq!(
            written(i64::MIN, Currency::EUR),
            "-€9,223,372,036,854.775808"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_the_sum(micro in any::<i64>()) {
            let written = write(micro, Currency::EUR, &english());
            let bare: String = written.chars().filter(|it| !matches!(it, ',' | '€')).collect();
            let (whole, rest) = bare.split_once('.').unwrap();
            let digits = format!("{whole}{rest:0<6}");
            prop_assert_eq!(digits.parse::<i128>().unwrap(), i128::from(micro));
        }
    }
}
