//! Months, and where they begin and end on the customer's wall.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// A calendar month, written `2026-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Month {
    first: Date,
}

/// It is no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no month: write it like 2026-10")]
pub struct NoMonth(String);

impl Month {
    /// The month that `unix_ms` is in, in this zone.
    pub fn of(unix_ms: i64, zone: &TimeZone) -> Option<Self> {
        let at = Timestamp::from_millisecond(unix_ms).ok()?;
        let first = at.to_zoned(zone.clone()).date().first_of_month();
        Some(Self { first })
    }

    /// Its first day.
    pub fn first_day(self) -> Date {
        self.first
    }

    /// Its last day.
    pub fn last_day(self) -> Date {
        self.first.last_of_month()
    }

    /// The month after it; `None` at the end of time.
    pub fn next(self) -> Option<Self> {
        let first = self.last_day().tomorrow().ok()?;
        Some(Self { first })
    }

    /// The month before it.
    pub fn previous(self) -> Option<Self> {
        let first = self.first.yesterday().ok()?.first_of_month();
        Some(Self { first })
    }

    /// When it begins in this zone, milliseconds since 1970. A midnight that daylight saving leaves out is taken an
    /// hour later, one that it gives twice the first time.
    pub fn begins_unix_ms(self, zone: &TimeZone) -> Option<i64> {
        midnight(self.first, zone)
    }

    /// When it is over in this zone, milliseconds since 1970.
    pub fn ends_unix_ms(self, zone: &TimeZone) -> Option<i64> {
        midnight(self.next()?.first, zone)
    }

    /// When it is over in the zone that has it earliest (UTC+14, some have had +15) and latest (UTC-12).
    pub fn ends_everywhere(self) -> Option<(i64, i64)> {
        let earliest = self.ends_unix_ms(&TimeZone::fixed(Offset::constant(15)))?;
        let latest = self.ends_unix_ms(&TimeZone::fixed(Offset::constant(-12)))?;
        Some((earliest, latest))
    }
}

fn midnight(date: Date, zone: &TimeZone) -> Option<i64> {
    let zoned = date.to_zoned(zone.clone()).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// The zone of this name; UTC if there is none, for an invoice has to be made all the same.
pub fn zone(name: &str) -> (TimeZone, &str) {
    TimeZone::get(name).map_or((TimeZone::UTC, "UTC"), |zone| (zone, name))
}

/// The date of `unix_ms` in this zone.
pub fn date(unix_ms: i64, zone: &TimeZone) -> Option<Date> {
    let at = Timestamp::from_millisecond(unix_ms).ok()?;
    Some(at.to_zoned(zone.clone()).date())
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:04}-{:02}",
            self.first.year(),
            self.first.month()
        )
    }
}

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let is_written_so = text.len() == 7
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        // Years that every zone can have.
        let first: Option<Date> = match is_written_so {
            true => format!("{text}-01").parse().ok(),
            false => None,
        };
        first
            .filter(|first| (1970..=9000).contains(&first.year()))
            .map(|first| Self { first })
            .ok_or_else(|| NoMonth(text.chars().take(32).collect()))
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl TryFrom<String> for Month {
    type Error = NoMonth;

    fn try_from(text: String) -> Result<Self, NoMonth> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(unix_ms: Option<i64>) -> String {
        Timestamp::from_millisecond(unix_ms.unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn months_are_written_one_way() {
        for text in ["2026-10", "1970-01", "2028-02"] {
            assert_eq!(text.parse::<Month>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "2026-13",
            "2026-1",
            "26-10",
            "2026-10-01",
            "+026-10",
            "9999-12",
            "2026/10",
        ] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_ends_at_midnight_on_the_customers_wall() {
        let october: Month = "2026-10".parse().unwrap();
        for (name, begins, ends) in [
            // Summer time ends on the 25th: the month is an hour longer.
            (
                "Europe/Berlin",
                "2026-09-30T22:00:00Z",
                "2026-10-31T23:00:00Z",
            ),
            (
                "America/New_York",
                "2026-10-01T04:00:00Z",
                "2026-11-01T04:00:00Z",
            ),
            (
                "Pacific/Kiritimati",
                "2026-09-30T10:00:00Z",
                "2026-10-31T10:00:00Z",
            ),
            ("UTC", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ] {
            let (zone, _) = zone(name);
            assert_eq!(instant(october.begins_unix_ms(&zone)), begins, "{name}");
            assert_eq!(instant(october.ends_unix_ms(&zone)), ends, "{name}");
            let (earliest, latest) = october.ends_everywhere().unwrap();
            let end = october.ends_unix_ms(&zone).unwrap();
            assert!((earliest..=latest).contains(&end), "{name}");
            assert_eq!(Month::of(end - 1, &zone), Some(october));
            assert_eq!(Month::of(end, &zone), october.next());
        }
    }

    #[test]
    fn a_midnight_that_is_left_out_begins_its_month_all_the_same() {
        // Paraguay put its clocks forward at midnight of 2023-10-01.
        let (zone, _) = zone("America/Asuncion");
        let october: Month = "2023-10".parse().unwrap();
        assert_eq!(
            instant(october.begins_unix_ms(&zone)),
            "2023-10-01T04:00:00Z"
        );
        let september = october.previous().unwrap();
        assert_eq!(september.ends_unix_ms(&zone), october.begins_unix_ms(&zone));
    }

    #[test]
    fn years_and_leap_days() {
        let february: Month = "2028-02".parse().unwrap();
        assert_eq!(february.last_day().to_string(), "2028-02-29");
        let december: Month = "2026-12".parse().unwrap();
        assert_eq!(december.next().unwrap().to_string(), "2027-01");
        assert_eq!(zone("Nowhere/Land").1, "UTC");
    }
}
