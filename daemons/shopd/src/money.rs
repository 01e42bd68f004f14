//! Prices as a catalogue has them; inside they are integers of micro-units.

/// Decimals of a micro-unit.
const DECIMALS: usize = 6;
const UNIT: u64 = 1_000_000;

/// Reads a price: digits, and after a point up to six decimals. Above zero.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<i64, &'static str> {
    let (units, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(units) || !is_number(decimals) || decimals.len() > DECIMALS {
        return Err("a price is written like \"12\" or \"12.50\", with at most six decimals");
    }
    let micro = || -> Option<i64> {
        let units: i64 = units.parse().ok()?;
        let fraction: i64 = format!("{decimals:0<DECIMALS$}").parse().ok()?;
        units.checked_mul(UNIT.cast_signed())?.checked_add(fraction)
    };
    match micro() {
        Some(micro) if micro > 0 => Ok(micro),
        Some(_) => Err("a price is above zero: what costs nothing needs no shop"),
        None => Err("the price is larger than 9223372036854.775807"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_as_they_are_written() {
        for (text, micro) in [
            ("12.50", 12_500_000),
            ("12", 12_000_000),
            ("0.000001", 1),
            ("9223372036854.775807", i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(micro), "{text}");
        }
        for text in [
            "",
            "0",
            "0.0",
            "1,5",
            "-1",
            "+1",
            ".5",
            "1.",
            "1.0000001",
            "9223372036854.775808",
            "1e3",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
