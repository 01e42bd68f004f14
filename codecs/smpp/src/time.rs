//! Times in PDUs and receipts (SMPP 3.4 section 7.1.1, SMPP 5.0 section 4.7.23).
//!
//! Absolute: `YYMMDDhhmmsstnnp`, `t` tenths of a second, `nn` quarters of an hour and `p` `+` or `-`, how far the
//! written time is ahead of UTC or behind it. Relative: `YYMMDDhhmmss000R`, counted from the message centre's time.

use crate::status;

const DAY_MS: i64 = 86_400_000;

/// A time that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time of SMPP 3.4 section 7.1.1")]
pub struct InvalidTime;

/// When a message is to be delivered first: unix ms, `None` if at once (empty).
///
/// # Errors
/// ESME_RINVSCHED.
pub fn schedule_delivery_time(octets: &[u8], now_unix_ms: i64) -> Result<Option<i64>, u32> {
    parse(octets, now_unix_ms).map_err(|InvalidTime| status::ESME_RINVSCHED)
}

/// When a message's validity ends: unix ms, `None` for the message centre's default (empty).
///
/// # Errors
/// ESME_RINVEXPIRY.
pub fn validity_period(octets: &[u8], now_unix_ms: i64) -> Result<Option<i64>, u32> {
    parse(octets, now_unix_ms).map_err(|InvalidTime| status::ESME_RINVEXPIRY)
}

/// The unix ms that a time names: `None` if it is empty.
///
/// A year has two digits: of those that end so, the one within fifty years of now is meant. Years and months of a
/// relative time are those of the calendar (a month from 31 January is the end of February). Parts of a relative time
/// may go to 99, as in "48 hours".
///
/// # Errors
/// It is not 16 characters of the form above, or names no day or hour there is.
pub fn parse(octets: &[u8], now_unix_ms: i64) -> Result<Option<i64>, InvalidTime> {
    if octets.is_empty() {
        return Ok(None);
    }
    let octets: &[u8; 16] = octets.try_into().map_err(|_| InvalidTime)?;
    let [digits @ .., tenth, quarter_tens, quarter_ones, sign] = octets;
    let parts = pairs(digits).ok_or(InvalidTime)?;
    let tenth = digit(*tenth).ok_or(InvalidTime)?;
    let quarters = pair(*quarter_tens, *quarter_ones).ok_or(InvalidTime)?;
    let unix_ms = match sign {
        b'R' => relative_to(now_unix_ms, parts),
        b'+' | b'-' if quarters <= 48 => {
            let ahead = if *sign == b'+' { quarters } else { -quarters };
            let civil = Civil::of_two_digit_year(parts, now_unix_ms).ok_or(InvalidTime)?;
            civil.unix_ms() + tenth * 100 - ahead * 900_000
        }
        _ => return Err(InvalidTime),
    };
    Ok(Some(unix_ms))
}

/// An absolute time in UTC, to the tenth of a second: `YYMMDDhhmmsst00+`.
pub fn absolute(unix_ms: i64) -> [u8; 16] {
    let mut time = *b"000000000000000+";
    let civil = Civil::at(unix_ms);
    put(&mut time, civil.pairs());
    let tenth = unix_ms.rem_euclid(1000) / 100;
    if let Some(place) = time.get_mut(12) {
        *place += ones(tenth);
    }
    time
}

/// A relative time, rounded down to the second: `YYMMDDhhmmss000R`, in days at most (a month has no fixed length).
/// `None` if it is negative or of 100 days or more.
pub fn relative(duration_ms: i64) -> Option<[u8; 16]> {
    let seconds = duration_ms / 1000;
    let days = seconds / 86_400;
    if duration_ms < 0 || days > 99 {
        return None;
    }
    let mut time = *b"000000000000000R";
    let parts = [
        0,
        0,
        days,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    ];
    put(&mut time, parts);
    Some(time)
}

/// `YYMMDDhhmm` in UTC, as in receipts.
pub fn minute(unix_ms: i64) -> [u8; 10] {
    let mut time = *b"0000000000";
    put(&mut time, Civil::at(unix_ms).pairs());
    time
}

/// Reads `YYMMDDhhmm` or `YYMMDDhhmmss` in UTC.
pub fn parse_minute(octets: &[u8], now_unix_ms: i64) -> Option<i64> {
    let mut padded = *b"000000000000";
    if !matches!(octets.len(), 10 | 12) {
        return None;
    }
    padded.get_mut(..octets.len())?.copy_from_slice(octets);
    let parts = pairs(&padded)?;
    Civil::of_two_digit_year(parts, now_unix_ms).map(|civil| civil.unix_ms())
}

/// A time of the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
}

impl Civil {
    fn at(unix_ms: i64) -> Self {
        let (year, month, day) = date_of(unix_ms.div_euclid(DAY_MS));
        Self {
            year,
            month,
            day,
            second_of_day: unix_ms.rem_euclid(DAY_MS) / 1000,
        }
    }

    /// Of year (two digits), month, day, hour, minute, second; if there is such a time.
    fn of_two_digit_year(parts: [i64; 6], now_unix_ms: i64) -> Option<Self> {
        let [year, month, day, hour, minute, second] = parts;
        let this_year = Self::at(now_unix_ms).year;
        // -50 to 49 years from now.
        let year = this_year - 50 + (year - (this_year - 50)).rem_euclid(100);
        let exists = (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        exists.then_some(Self {
            year,
            month,
            day,
            second_of_day: hour * 3600 + minute * 60 + second,
        })
    }

    fn unix_ms(self) -> i64 {
        days_of(self.year, self.month, self.day) * DAY_MS + self.second_of_day * 1000
    }

    fn pairs(self) -> [i64; 6] {
        [
            self.year.rem_euclid(100),
            self.month,
            self.day,
            self.second_of_day / 3600,
            self.second_of_day / 60 % 60,
            self.second_of_day % 60,
        ]
    }
}

fn relative_to(now_unix_ms: i64, parts: [i64; 6]) -> i64 {
    let [years, months, days, hours, minutes, seconds] = parts;
    let now = Civil::at(now_unix_ms);
    let month = now.month - 1 + months;
    let (year, month) = (
        now.year + years + month.div_euclid(12),
        month.rem_euclid(12) + 1,
    );
    let day = now.day.min(days_in(year, month));
    let later = Civil {
        year,
        month,
        day,
        ..now
    };
    later.unix_ms()
        + now_unix_ms.rem_euclid(1000)
        + days * DAY_MS
        + (hours * 3600 + minutes * 60 + seconds) * 1000
}

fn days_in(year: i64, month: i64) -> i64 {
    let next = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    days_of(next.0, next.1, 1) - days_of(year, month, 1)
}

/// Days since 1970-01-01 in the Gregorian calendar. Years begin in March here, so that the day that leap years add is
/// the last of the year.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse: year, month, day.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn digit(octet: u8) -> Option<i64> {
    octet.is_ascii_digit().then(|| i64::from(octet - b'0'))
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

fn pairs(digits: &[u8; 12]) -> Option<[i64; 6]> {
    let mut parts = [0; 6];
    for (part, digits) in parts.iter_mut().zip(digits.chunks_exact(2)) {
        let [tens, ones] = digits else { return None };
        *part = pair(*tens, *ones)?;
    }
    Some(parts)
}

/// Writes as many pairs of digits as there is room for.
fn put(digits: &mut [u8], parts: [i64; 6]) {
    for (digits, part) in digits.chunks_exact_mut(2).zip(parts) {
        if let [tens, units] = digits {
            *tens = b'0' + ones(part / 10);
            *units = b'0' + ones(part);
        }
    }
}

/// The last digit of a number that is not negative.
fn ones(number: i64) -> u8 {
    u8::try_from(number % 10).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_772_366_400_000; // 2026-03-01 12:00:00 UTC

    fn at(text: &str) -> i64 {
        parse(text.as_bytes(), NOW).unwrap().unwrap()
    }

    #[test]
    fn absolute_times() {
        assert_eq!(at("260301120000000+"), NOW);
        assert_eq!(at("260301120000500+"), NOW + 500);
        // Four quarters: one o'clock where it is an hour later than in UTC.
        assert_eq!(at("260301130000004+"), NOW);
        assert_eq!(at("260301110000004-"), NOW);
        assert_eq!(at("260302000000048+"), NOW);
        assert_eq!(&absolute(NOW + 570), b"260301120000500+");
        assert_eq!(&absolute(NOW - 1), b"260301115959900+");
        assert_eq!(parse(b"", NOW), Ok(None));
    }

    #[test]
    fn a_year_is_within_fifty_of_now() {
        assert_eq!(at("750101000000000+"), 3_313_526_400_000); // 2075
        assert_eq!(at("760101000000000+"), 189_302_400_000); // 1976
        assert_eq!(at("000229000000000+"), 951_782_400_000); // 2000
    }

    #[test]
    fn relative_times_follow_the_calendar() {
        assert_eq!(at("000000000000000R"), NOW);
        assert_eq!(at("000000480000000R"), NOW + 48 * 3_600_000);
        // The example of SMPP 3.4 section 7.1.1.2: two years, six months, ten days, 23 h 34 min 29 s.
        let later = parse(b"280911113429000+", NOW).unwrap().unwrap();
        assert_eq!(at("020610233429000R"), later + DAY_MS);
        let january = parse(b"260131000000000+", NOW).unwrap().unwrap();
        let february = parse(b"260228000000000+", NOW).unwrap().unwrap();
        assert_eq!(parse(b"000100000000000R", january), Ok(Some(february)));
    }

    #[test]
    fn relative_times_written() {
        assert_eq!(relative(0).as_ref(), Some(b"000000000000000R"));
        let two_days = 2 * DAY_MS + 3_723_999;
        assert_eq!(relative(two_days).as_ref(), Some(b"000002010203000R"));
        assert_eq!(relative(100 * DAY_MS), None);
        assert_eq!(relative(-1), None);
        for duration in [0, 1000, 59_000, 3_600_000, 99 * DAY_MS + 86_399_000] {
            let text = relative(duration).unwrap();
            assert_eq!(parse(&text, NOW), Ok(Some(NOW + duration)));
        }
    }

    #[test]
    fn what_is_no_time() {
        for wrong in [
            "260229120000000+",
            "261301120000000+",
            "260001120000000+",
            "260300120000000+",
            "260301240000000+",
            "260301126000000+",
            "260301120060000+",
            "260301120000049+",
            "260301120000000X",
            "260301120000000r",
            "26030112000000+",
            "2603011200000000+",
            "2603011200a0000+",
            "-60301120000000+",
            " 60301120000000+",
        ] {
            assert_eq!(parse(wrong.as_bytes(), NOW), Err(InvalidTime), "{wrong}");
        }
        assert_eq!(
            schedule_delivery_time(b"x", NOW),
            Err(status::ESME_RINVSCHED)
        );
        assert_eq!(validity_period(b"x", NOW), Err(status::ESME_RINVEXPIRY));
    }

    #[test]
    fn every_day_of_a_century_both_ways() {
        let mut last = [0; 16];
        for day in 0..36_525 {
            let unix_ms = 946_684_800_000 + day * DAY_MS + 45_296_700;
            let text = absolute(unix_ms);
            assert!(text > last);
            last = text;
            assert_eq!(parse(&text, unix_ms), Ok(Some(unix_ms)));
            let minute = minute(unix_ms);
            assert_eq!(parse_minute(&minute, unix_ms), Some(unix_ms - 56_700));
        }
    }
}
