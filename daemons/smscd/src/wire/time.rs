//! Times as SMPP writes them (SMPP 3.4 section 7.1.1), to and from milliseconds since 1970.

/// Year, month, day, hour, minute, second in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Full year.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

const DAY: i64 = 86_400;

/// Days since 1970 of a date in the proleptic Gregorian calendar (months counted from March, so that the day that
/// leap years add is the last of the year).
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date and time of `unix_ms` in UTC.
pub fn civil(unix_ms: i64) -> Civil {
    let seconds = unix_ms.div_euclid(1000);
    let days = seconds.div_euclid(DAY) + 719_468;
    let of_day = seconds.rem_euclid(DAY);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let small = |number: i64| u8::try_from(number).unwrap_or_default();
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month: small(month),
        day: small(of_year - (153 * shifted + 2) / 5 + 1),
        hour: small(of_day / 3600),
        minute: small(of_day / 60 % 60),
        second: small(of_day % 60),
    }
}

/// Two digits of `number`.
pub fn two(out: &mut Vec<u8>, number: u8) {
    out.extend_from_slice(&[b'0' + number / 10 % 10, b'0' + number % 10]);
}

/// `YYMMDDhhmm`, as in delivery receipts.
pub fn minute(out: &mut Vec<u8>, unix_ms: i64) {
    let civil = civil(unix_ms);
    two(
        out,
        u8::try_from(civil.year.rem_euclid(100)).unwrap_or_default(),
    );
    for part in [civil.month, civil.day, civil.hour, civil.minute] {
        two(out, part);
    }
}

/// An absolute time in UTC: `YYMMDDhhmmsst00+`.
pub fn absolute(unix_ms: i64) -> String {
    let mut out = Vec::with_capacity(16);
    minute(&mut out, unix_ms);
    two(&mut out, civil(unix_ms).second);
    out.push(b'0' + u8::try_from(unix_ms.rem_euclid(1000) / 100).unwrap_or_default());
    out.extend_from_slice(b"00+");
    String::from_utf8(out).unwrap_or_default()
}

/// The time that `text` (16 characters) names, if it does; a relative one counts from `now_ms`.
pub fn parse(text: &str, now_ms: i64) -> Option<i64> {
    let octets: &[u8; 16] = text.as_bytes().try_into().ok()?;
    let number = |from: usize| -> Option<i64> {
        let tens = octets
            .get(from)?
            .checked_sub(b'0')
            .filter(|digit| *digit < 10)?;
        let ones = octets
            .get(from + 1)?
            .checked_sub(b'0')
            .filter(|digit| *digit < 10)?;
        Some(i64::from(tens) * 10 + i64::from(ones))
    };
    let [year, month, day, hour, minute, second] = [
        number(0)?,
        number(2)?,
        number(4)?,
        number(6)?,
        number(8)?,
        number(10)?,
    ];
    let (tenth, quarters) = (number(12)? / 10, number(13)?);
    let [.., sign] = octets;
    if *sign == b'R' {
        // Years and months of a relative time have no fixed length: 365 and 30 days.
        let days = year * 365 + month * 30 + day;
        let seconds = days * DAY + hour * 3600 + minute * 60 + second;
        return Some(now_ms.saturating_add(seconds * 1000));
    }
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
        || quarters > 48
    {
        return None;
    }
    // "nn": quarter hours of difference from UTC; "+" is ahead of it.
    let offset = match sign {
        b'+' => quarters * 900,
        b'-' => -quarters * 900,
        _ => return None,
    };
    let days = days_of(2000 + year, month, day);
    let date = civil(days * DAY * 1000);
    if i64::from(date.day) != day {
        return None;
    }
    let seconds = days * DAY + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * 1000 + tenth * 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_specification() {
        // SMPP 3.4 section 7.1.1.2: two years, six months, ten days, 23 hours 34 minutes 29 seconds from now.
        assert_eq!(
            parse("020610233429000R", 0),
            Some(((2 * 365 + 6 * 30 + 10) * DAY + 23 * 3600 + 34 * 60 + 29) * 1000)
        );
        assert_eq!(parse("700101000000000+", 0), Some(3_155_760_000_000));
        let noon = parse("260301120000000+", 0).unwrap();
        assert_eq!(absolute(noon), "260301120000000+");
        assert_eq!(parse("260301130000004+", 0), Some(noon));
        assert_eq!(parse("260301110000004-", 0), Some(noon));
        for wrong in [
            "260229120000000+",
            "261301120000000+",
            "260301240000000+",
            "260301120000049+",
            "260301120000000X",
            "26030112000000+",
            "2603011200a0000+",
        ] {
            assert_eq!(parse(wrong, 0), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_of_two_centuries() {
        let mut last = (0, 0, 0);
        for day in 0..73_000 {
            let date = civil(day * DAY * 1000 + 1);
            let key = (date.year, date.month, date.day);
            assert!(key > last);
            assert_eq!(days_of(date.year, date.month.into(), date.day.into()), day);
            last = key;
        }
    }
}
