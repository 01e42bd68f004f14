//! Amounts as operators write them, exact: `12.50` is 12500000 micro-units.

/// Micro-units in a unit.
const UNIT: u64 = 1_000_000;
/// Decimals of a micro-unit.
const DECIMALS: usize = 6;

/// Reads an amount: digits, and after a point up to six decimals.
///
/// # Errors
/// What is wrong with it, for the operator.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let (units, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(units) || !is_number(decimals) {
        return Err("an amount is written like 12 or 12.50".into());
    }
    if decimals.len() > DECIMALS {
        return Err("an amount has at most six decimals".into());
    }
    let micro = || -> Option<i64> {
        let units: i64 = units.parse().ok()?;
        let fraction: i64 = format!("{decimals:0<DECIMALS$}").parse().ok()?;
        units.checked_mul(UNIT.cast_signed())?.checked_add(fraction)
    };
    micro().ok_or_else(|| format!("the largest amount is {}", print(i64::MAX)))
}

/// Reads an amount above zero.
///
/// # Errors
/// As [`parse`], and for zero.
pub(crate) fn parse_positive(text: &str) -> Result<i64, String> {
    match parse(text)? {
        0 => Err("the amount must be above zero".into()),
        micro => Ok(micro),
    }
}

/// `micro` in units, exact, with at least two decimals.
pub(crate) fn print(micro: i64) -> String {
    let magnitude = micro.unsigned_abs();
    let sign = if micro < 0 { "-" } else { "" };
    let fraction = format!("{:0DECIMALS$}", magnitude % UNIT);
    let significant = fraction.trim_end_matches('0');
    format!("{sign}{}.{significant:0<2}", magnitude / UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_as_they_are_written() {
        for (text, micro, printed) in [
            ("12.50", 12_500_000, "12.50"),
            ("12", 12_000_000, "12.00"),
            ("0.000001", 1, "0.000001"),
            ("0.1", 100_000, "0.10"),
            ("007.250", 7_250_000, "7.25"),
            ("9223372036854.775807", i64::MAX, "9223372036854.775807"),
        ] {
            assert_eq!(parse(text), Ok(micro));
            assert_eq!(print(micro), printed);
        }
        assert_eq!(print(-10_000), "-0.01");
        assert_eq!(print(i64::MIN), "-9223372036854.775808");
    }

    #[test]
    fn what_is_no_amount() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1,5",
            "1e3",
            "0x1",
            " 1",
            "1 ",
            "1.5.0",
            "one",
            "١",
            "1.0000000",
            "9223372036854.775808",
            "99999999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse_positive("0.000000").is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(micro in 0..=i64::MAX) {
            prop_assert_eq!(parse(&print(micro)), Ok(micro));
        }

        #[test]
        fn printing_keeps_sign_and_magnitude(micro in any::<i64>()) {
            let printed = print(micro);
            let digits: String = printed.chars().filter(char::is_ascii_digit).collect();
            let (_, decimals) = printed.split_once('.').unwrap();
            prop_assert!((2..=6).contains(&decimals.len()));
            let scale = 10i128.pow(6 - u32::try_from(decimals.len()).unwrap());
            let magnitude = digits.parse::<i128>().unwrap() * scale;
            let sign = if printed.starts_with('-') { -1 } else { 1 };
            prop_assert_eq!(sign * magnitude, i128::from(micro));
        }

        #[test]
        fn any_text_is_refused_or_exact(text in "\\PC{0,24}|[0-9.]{0,24}") {
            if let Ok(micro) = parse(&text) {
                // Written out in full, both are the same digits.
                let (units, decimals) = text.split_once('.').unwrap_or((&text, ""));
                let (full, micro) = (format!("{units}{decimals:0<6}"), micro.to_string());
                prop_assert_eq!(full.trim_start_matches('0'), micro.trim_start_matches('0'));
            }
        }
    }
}
