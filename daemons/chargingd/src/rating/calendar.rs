//! Prices by the wall clock: days of the week, holidays, hours of the day, daylight saving.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::rate::Rate;

/// Seconds of a day without a change of the clock.
const DAY: i64 = 86_400;
/// The kind of day that is a holiday, behind Monday (0) to Sunday (6).
const HOLIDAY: u8 = 7;
/// Kinds of day.
const KINDS: usize = 8;
/// No period: the tariff's own prices.
const NONE: u8 = u8::MAX;
/// A pattern of a week, whatever the clock does in it, is seen whole within these seconds.
const PATTERN: i64 = 16 * DAY;

/// Hours of some days that have prices of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Period {
    /// A bit for each kind of day: Monday is bit 0, Sunday bit 6, a holiday bit 7.
    pub(super) days: u8,
    /// Its first minute of the day.
    pub(super) from: u16,
    /// The minute behind its last, 1440 at the most. Not behind `from`: it ends on the next day.
    pub(super) to: u16,
    /// For seconds, if it has a price for them.
    pub(super) time: Option<Rate>,
    /// For octets.
    pub(super) volume: Option<Rate>,
    /// For events.
    pub(super) events: Option<Rate>,
}

impl Period {
    /// Whether it has the minute of a day of the kind `today` that follows one of the kind `yesterday`.
    fn has(&self, minute: u16, today: u8, yesterday: u8) -> bool {
        let on = |kind: u8| self.days & (1 << kind) != 0;
        if self.from < self.to {
            on(today) && (self.from..self.to).contains(&minute)
        } else {
            (on(today) && minute >= self.from) || (on(yesterday) && minute < self.to)
        }
    }
}

/// The periods of a tariff in one time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    /// IANA name.
    pub(super) zone_name: Box<str>,
    zone: TimeZone,
    /// Days since 1970-01-01, sorted.
    pub(super) holidays: Arc<[i32]>,
    /// The first that has a moment counts.
    pub(super) periods: Box<[Period]>,
    /// Whether a holiday is a day of its own kind here.
    uses_holidays: bool,
    /// Seconds of the day at which a period may begin or end; 0 is the first.
    borders: Box<[i64]>,
    /// The period behind each border, for each kind of today and of yesterday.
    table: Box<[u8]>,
}

/// A moment at which the clock's day is the same kind of slot until another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Unix seconds of its end.
    pub(super) until: i64,
    /// Which of the calendar's periods it is in.
    pub(super) period: Option<u8>,
}

/// The time zone `name` of the database that is built in.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    thread_local! {
        // One for each thread: its cache is behind a lock.
        static BUNDLED: TimeZoneDatabase = TimeZoneDatabase::bundled();
    }
    BUNDLED
        .with(|database| database.get(name))
        .map_err(|_| format!("time_zone {name:?} is not in the IANA database, like Europe/Berlin"))
}

/// Days since 1970-01-01.
pub(super) fn day_number(date: Date) -> i32 {
    let epoch = Date::constant(1970, 1, 1);
    // Dates have four digits of a year: far inside an i32.
    (date.duration_since(epoch).as_hours() / 24) as i32
}

/// The date of a number of days since 1970-01-01.
pub(super) fn date_of(day: i32) -> Date {
    Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(day))
}

impl Calendar {
    pub(super) fn new(
        zone_name: &str,
        holidays: Arc<[i32]>,
        periods: Box<[Period]>,
    ) -> Result<Self, String> {
        let zone = zone(zone_name)?;
        let uses_holidays = periods.iter().any(|period| {
            // A period for all days is no reason to tell them apart.
            period.days != u8::MAX && period.days & (1 << HOLIDAY) != 0
        });
        let mut minutes: Vec<u16> = periods
            .iter()
            .flat_map(|period| [period.from, period.to % 1440])
            .chain([0])
            .collect();
        minutes.sort_unstable();
        minutes.dedup();
        let mut table = Vec::with_capacity(KINDS * KINDS * minutes.len());
        for today in 0..=HOLIDAY {
            for yesterday in 0..=HOLIDAY {
                for minute in &minutes {
                    let found = periods
                        .iter()
                        .position(|period| period.has(*minute, today, yesterday));
                    table.push(found.and_then(|at| u8::try_from(at).ok()).unwrap_or(NONE));
                }
            }
        }
        Ok(Self {
            zone_name: zone_name.into(),
            zone,
            holidays,
            periods,
            uses_holidays,
            borders: minutes
                .iter()
                .map(|minute| i64::from(*minute) * 60)
                .collect(),
            table: table.into(),
        })
    }

    fn kind(&self, day: i64) -> u8 {
        let is_holiday = self.uses_holidays
            && i32::try_from(day).is_ok_and(|day| self.holidays.binary_search(&day).is_ok());
        match is_holiday {
            true => HOLIDAY,
            // 1970-01-01 was a Thursday.
            false => (day + 3).rem_euclid(7) as u8,
        }
    }

    /// The period at some Unix second, and the ones that follow, without end.
    pub(super) fn slots(&self, from: i64) -> Slots<'_> {
        Slots {
            calendar: self,
            at: from,
            offset: 0,
            offset_until: i64::MIN,
        }
    }

    /// The period at a Unix second.
    pub(super) fn period_at(&self, second: i64) -> Option<&Period> {
        let slot = self.slots(second).next()?;
        self.period(slot)
    }

    /// The period of a slot.
    pub(super) fn period(&self, slot: Slot) -> Option<&Period> {
        slot.period
            .and_then(|index| self.periods.get(usize::from(index)))
    }

    /// The first Unix second behind `second` in whose slot `differs` from the one of `second`.
    pub(super) fn next_change(
        &self,
        second: i64,
        differs: impl Fn(Option<&Period>, Option<&Period>) -> bool,
    ) -> Option<i64> {
        let before = self.period_at(second);
        let search = |from: i64, until: i64| {
            let mut at = from;
            for slot in self.slots(from) {
                if at > until {
                    return None;
                }
                if at > second && differs(before, self.period(slot)) {
                    return Some(at);
                }
                at = slot.until;
            }
            None
        };
        let seen = second.saturating_add(PATTERN);
        search(second, seen).or_else(|| {
            let holidays = self.holidays.iter().filter(|_| self.uses_holidays);
            holidays
                .map(|day| i64::from(*day) * DAY)
                .filter(|begin| begin.saturating_add(2 * DAY) > seen)
                // A day on some clock begins and ends within a day of the same on the clock of UTC, and what begins in
                // it may last into the next.
                .find_map(|begin| search((begin - 2 * DAY).max(second), begin + 4 * DAY))
        })
    }
}

/// Walks along the slots of a calendar.
#[derive(Debug, Clone)]
pub(super) struct Slots<'c> {
    calendar: &'c Calendar,
    at: i64,
    /// What the wall clock is ahead of UTC, seconds.
    offset: i64,
    /// The Unix second at which it is set.
    offset_until: i64,
}

impl Iterator for Slots<'_> {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        let calendar = self.calendar;
        if self.at >= self.offset_until {
            let at = Timestamp::from_second(self.at).ok();
            self.offset = at.map_or(0, |at| calendar.zone.to_offset(at).seconds().into());
            self.offset_until = at
                .and_then(|at| calendar.zone.following(at).next())
                .map_or(i64::MAX, |transition| transition.timestamp().as_second());
        }
        let local = self.at.saturating_add(self.offset);
        let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let behind = calendar
            .borders
            .partition_point(|border| *border <= second)
            .max(1);
        let border = calendar.borders.get(behind).copied().unwrap_or(DAY);
        let kinds = usize::from(calendar.kind(day)) * KINDS + usize::from(calendar.kind(day - 1));
        let period = calendar
            .table
            .get(kinds * calendar.borders.len() + behind - 1)
            .copied()
            .filter(|period| *period != NONE);
        self.at = self
            .at
            .saturating_add(border - second)
            .min(self.offset_until);
        Some(Slot {
            until: self.at,
            period,
        })
    }
}
