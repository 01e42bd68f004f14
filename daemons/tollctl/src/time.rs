//! Times as operators write and read them: in the system's time zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads `2026-11-20T09:30:00Z`, or without an offset `2026-11-20T09:30` or `2026-11-20` in the system's time
/// zone; milliseconds since 1970.
///
/// # Errors
/// What would do.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    text.parse::<DateTime>()
        .ok()
        .and_then(|local| local.to_zoned(TimeZone::system()).ok())
        .map(|zoned| zoned.timestamp().as_millisecond())
        .ok_or_else(|| "a time is written like 2026-11-20T09:30:00Z, or in local time 2026-11-20T09:30 or 2026-11-20".into())
}

/// `unix_ms` to the second, in the system's time zone; `-` if it cannot be written.
pub(crate) fn print(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map_or_else(
        |_| "-".into(),
        |timestamp| {
            timestamp
                .to_zoned(TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S%:z")
                .to_string()
        },
    )
}

/// `seconds` as `1:02:03`.
pub(crate) fn print_duration(seconds: u64) -> String {
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_an_offset() {
        assert_eq!(parse("1970-01-01T00:00:01Z"), Ok(1000));
        assert_eq!(parse("1970-01-01T01:00:00.5+01:00"), Ok(500));
        let midnight = parse("2026-11-20").unwrap();
        assert_eq!(parse("2026-11-20T09:30").unwrap() - midnight, 34_200_000);
        assert!(print(midnight).starts_with("2026-11-20 00:00:00"));
        for text in ["", "yesterday", "2026-13-01", "10:00"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(print(i64::MAX), "-");
    }

    #[test]
    fn durations() {
        assert_eq!(print_duration(0), "0:00:00");
        assert_eq!(print_duration(90_061), "25:01:01");
    }
}
