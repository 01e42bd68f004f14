//! What a user may do in a session (c4).

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Data, LONGEST_TEXT, Measure, Refusal};

/// Those that are built in: files are not read here.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// Times of the day that policies may have.
const MOST_TIMES: usize = 32;

/// What a user may do in a session (c4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// The service's name.
    pub service: String,
    /// From when on, seconds since 1970.
    pub not_before: i64,
    /// Until when, seconds since 1970.
    pub not_after: i64,
    /// When on a day; empty is always.
    pub times_of_day: Vec<TimeOfDay>,
    /// How often; nothing is without end.
    pub max_requests: Option<u64>,
    /// Whether requests may come from other addresses than the one that the manager saw.
    pub address_change: bool,
    /// What is metered.
    pub collect: Vec<Measure>,
    /// Seconds after an accounting message within which the next one is sent.
    pub max_seconds_between_messages: u32,
    /// What may be used until the manager says more.
    pub granted: Data,
}

/// Hours of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeOfDay {
    /// On which; nothing is on each. A time over midnight belongs to the day on which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<Day>>,
    /// Its first minute, `HH:MM`.
    pub from: String,
    /// The minute behind its last, `HH:MM` or `24:00`. Not behind `from`: it ends on the next day.
    pub to: String,
    /// IANA name.
    pub time_zone: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// Why it is not the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Untimely {
    /// Before `not_before`.
    #[error("the session's lifetime has not begun")]
    Early,
    /// At `not_after` or later.
    #[error("the session's lifetime is over")]
    Late,
    /// In none of the times of the day.
    #[error("the service is not for this time of the day")]
    TimeOfDay,
}

/// Minutes since midnight.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| match text.len() == 2 && text.bytes().all(|c| c.is_ascii_digit()) {
        true => text.parse::<u16>().ok(),
        false => None,
    };
    match (number(hours)?, number(minutes)?) {
        (hours @ 0..=23, minutes @ 0..=59) => Some(hours * 60 + minutes),
        (24, 0) => Some(24 * 60),
        _ => None,
    }
}

impl TimeOfDay {
    /// Whether it can be understood.
    ///
    /// # Errors
    /// What cannot.
    pub fn validate(&self) -> Result<(), Refusal> {
        let wrong = |problem| Refusal::malformed("times_of_day", problem);
        let from = minutes(&self.from).ok_or_else(|| wrong("from is HH:MM"))?;
        minutes(&self.to).ok_or_else(|| wrong("to is HH:MM, 24:00 at the most"))?;
        if from == 24 * 60 {
            return Err(wrong("from is 23:59 at the most"));
        }
        if self.days.as_ref().is_some_and(Vec::is_empty) {
            return Err(wrong("days has none: leave it out for every day"));
        }
        match zone(&self.time_zone) {
            Some(_) => Ok(()),
            None => Err(wrong("time_zone is no name of the IANA database")),
        }
    }

    fn has(&self, now: Timestamp) -> bool {
        let (Some(from), Some(to), Some(zone)) = (
            minutes(&self.from),
            minutes(&self.to),
            zone(&self.time_zone),
        ) else {
            return false;
        };
        let local = zone.to_datetime(now);
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let (from, to) = (i32::from(from), i32::from(to));
        let on = |weekday: Weekday| {
            let day = Day::of(weekday);
            self.days.as_ref().is_none_or(|days| days.contains(&day))
        };
        let today = local.weekday();
        if from < to {
            on(today) && (from..to).contains(&minute)
        } else {
            (on(today) && minute >= from) || (on(today.previous()) && minute < to)
        }
    }
}

impl Policies {
    /// Whether it can be understood.
    ///
    /// # Errors
    /// What cannot.
    pub fn validate(&self) -> Result<(), Refusal> {
        let wrong = |member, problem| Err(Refusal::malformed(member, problem));
        if self.service.is_empty() || self.service.len() > LONGEST_TEXT {
            return wrong("service", "1 to 512 octets");
        }
        if self.not_after <= self.not_before {
            return wrong("not_after", "is not behind not_before");
        }
        if self.times_of_day.len() > MOST_TIMES {
            return wrong("times_of_day", "more than 32");
        }
        if self.collect.is_empty() || self.collect.len() > Measure::ALL.len() {
            return wrong("collect", "1 to 3 of time, octets, requests");
        }
        if self.max_seconds_between_messages == 0 {
            return wrong("max_seconds_between_messages", "is 0");
        }
        if !self.granted.measures().all(|it| self.collect.contains(&it)) {
            return wrong("granted", "limits what is not collected");
        }
        self.times_of_day.iter().try_for_each(TimeOfDay::validate)
    }

    /// Whether `now_unix` is within the lifetime and the times of the day.
    ///
    /// # Errors
    /// It is not.
    pub fn timely(&self, now_unix: i64) -> Result<(), Untimely> {
        if now_unix < self.not_before {
            return Err(Untimely::Early);
        }
        if now_unix >= self.not_after {
            return Err(Untimely::Late);
        }
        let now = Timestamp::from_second(now_unix).map_err(|_| Untimely::TimeOfDay)?;
        match self.times_of_day.is_empty() || self.times_of_day.iter().any(|time| time.has(now)) {
            true => Ok(()),
            false => Err(Untimely::TimeOfDay),
        }
    }
}
