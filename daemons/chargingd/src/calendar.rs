//! When recharges are due: by the calendar on the customer's wall.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A time that comes again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// On which days.
    pub every: Every,
    /// At which time of the day; one that daylight saving leaves out is taken an hour later, one that it gives twice
    /// the first time.
    #[serde(default)]
    pub at: Time,
}

/// Days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Every {
    /// Each day.
    Day,
    /// One day of each week: 1 is Monday, 7 Sunday (ISO 8601).
    Week(i8),
    /// One day of each month, 1 to 31; in a month that does not have it, the last.
    Month(i8),
}

/// One due time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Milliseconds since 1970.
    pub unix_ms: i64,
    /// Its date by the calendar, which names it.
    pub date: Box<str>,
}

impl Calendar {
    /// What is wrong with it.
    pub fn fault(&self) -> Option<&'static str> {
        match self.every {
            Every::Week(day) if !(1..=7).contains(&day) => Some("a weekday is 1 (Monday) to 7"),
            Every::Month(day) if !(1..=31).contains(&day) => Some("a day of the month is 1 to 31"),
            _ => None,
        }
    }

    /// The first time after `unix_ms`; `None` at the end of time.
    pub fn next(&self, zone: &TimeZone, unix_ms: i64) -> Option<Due> {
        let after = Timestamp::from_millisecond(unix_ms).ok()?;
        let mut date = self.on_or_before(after.to_zoned(zone.clone()).date())?;
        // Today's may have passed, and yesterday's may be missing for the zone's sake.
        for _ in 0..4 {
            let due = self.due(zone, date)?;
            if due.unix_ms > unix_ms {
                return Some(due);
            }
            date = self.following(date)?;
        }
        None
    }

    /// The last time at or before `unix_ms`.
    pub fn last(&self, zone: &TimeZone, unix_ms: i64) -> Option<Due> {
        let at = Timestamp::from_millisecond(unix_ms).ok()?;
        let mut date = self.on_or_before(at.to_zoned(zone.clone()).date())?;
        for _ in 0..4 {
            let due = self.due(zone, date)?;
            if due.unix_ms <= unix_ms {
                return Some(due);
            }
            date = self.on_or_before(date.yesterday().ok()?)?;
        }
        None
    }

    fn due(&self, zone: &TimeZone, date: Date) -> Option<Due> {
        let zoned = date.to_datetime(self.at).to_zoned(zone.clone()).ok()?;
        Some(Due {
            unix_ms: zoned.timestamp().as_millisecond(),
            date: date.to_string().into(),
        })
    }

    /// The last day of the calendar that is not after `date`.
    fn on_or_before(&self, date: Date) -> Option<Date> {
        match self.every {
            Every::Day => Some(date),
            Every::Week(day) => {
                let wanted = Weekday::from_monday_one_offset(day).ok()?;
                match date.weekday() == wanted {
                    true => Some(date),
                    false => date.nth_weekday(-1, wanted).ok(),
                }
            }
            Every::Month(day) => {
                let this = in_month(date, day)?;
                match this <= date {
                    true => Some(this),
                    false => in_month(date.first_of_month().yesterday().ok()?, day),
                }
            }
        }
    }

    fn following(&self, date: Date) -> Option<Date> {
        match self.every {
            Every::Day => date.tomorrow().ok(),
            Every::Week(_) => date.checked_add(1.week()).ok(),
            Every::Month(day) => in_month(date.last_of_month().tomorrow().ok()?, day),
        }
    }
}

/// The `day` of the month of `date`, or that month's last.
fn in_month(date: Date, day: i8) -> Option<Date> {
    date.with().day(day.min(date.days_in_month())).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(every: Every, at: &str) -> Calendar {
        Calendar {
            every,
            at: at.parse().unwrap(),
        }
    }

    /// The next times after `from`, as dates and UTC.
    fn following(calendar: Calendar, zone: &str, from: &str, count: usize) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let mut at = from.parse::<Timestamp>().unwrap().as_millisecond();
        (0..count)
            .map(|_| {
                let due = calendar.next(&zone, at).unwrap();
                at = due.unix_ms;
                assert_eq!(calendar.last(&zone, at), Some(due.clone()));
                let stamp = Timestamp::from_millisecond(at).unwrap();
                format!("{} {stamp}", due.date)
            })
            .collect()
    }

    #[test]
    fn the_first_of_the_month_begins_at_midnight_on_the_customers_wall() {
        assert_eq!(
            following(
                calendar(Every::Month(1), "00:00"),
                "Europe/Berlin",
                "2026-02-27T12:00:00Z",
                3
            ),
            [
                "2026-03-01 2026-02-28T23:00:00Z",
                "2026-04-01 2026-03-31T22:00:00Z",
                "2026-05-01 2026-04-30T22:00:00Z"
            ]
        );
    }

    #[test]
    fn a_day_that_a_month_does_not_have_is_its_last() {
        assert_eq!(
            following(
                calendar(Every::Month(31), "06:00"),
                "UTC",
                "2028-01-31T06:00:00Z",
                3
            ),
            [
                "2028-02-29 2028-02-29T06:00:00Z",
                "2028-03-31 2028-03-31T06:00:00Z",
                "2028-04-30 2028-04-30T06:00:00Z"
            ]
        );
    }

    #[test]
    fn an_hour_that_is_left_out_or_comes_twice_happens_once() {
        // 2026-03-29 02:30 does not exist in Berlin, 2026-10-25 02:30 exists twice.
        assert_eq!(
            following(
                calendar(Every::Day, "02:30"),
                "Europe/Berlin",
                "2026-03-28T02:00:00Z",
                2
            ),
            [
                "2026-03-29 2026-03-29T01:30:00Z",
                "2026-03-30 2026-03-30T00:30:00Z"
            ]
        );
        assert_eq!(
            following(
                calendar(Every::Day, "02:30"),
                "Europe/Berlin",
                "2026-10-24T12:00:00Z",
                2
            ),
            [
                "2026-10-25 2026-10-25T00:30:00Z",
                "2026-10-26 2026-10-26T01:30:00Z"
            ]
        );
    }

    #[test]
    fn weeks_begin_on_their_day() {
        assert_eq!(
            following(
                calendar(Every::Week(1), "00:00"),
                "America/New_York",
                "2026-11-21T00:00:00Z",
                2
            ),
            [
                "2026-11-23 2026-11-23T05:00:00Z",
                "2026-11-30 2026-11-30T05:00:00Z"
            ]
        );
    }
}
