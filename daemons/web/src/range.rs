//! Requests for parts of a file: `Range` and `If-Range` (RFC 9110 14.2, 13.1.5).
//!
//! ```
//! use tollwire_web::range::{Asked, parse};
//! assert_eq!(parse("bytes=0-99", 1000), Asked::Parts(vec![0..=99]));
//! assert_eq!(parse("bytes=-100", 1000), Asked::Parts(vec![900..=999]));
//! assert_eq!(parse("bytes=1000-", 1000), Asked::Nothing);
//! assert_eq!(parse("lines=1-2", 1000), Asked::Whole);
//! ```

use std::ops::RangeInclusive;

/// Octets of the header, and parts in it, that are looked at.
const MOST_OCTETS: usize = 512;
const MOST_PARTS: usize = 16;

/// What a request wants of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All of it, 200: also where the header cannot be read or is not to be trusted, and so is ignored (14.2).
    Whole,
    /// These octets, 206: one part or more, in the order asked for, none empty, none overlapping another.
    Parts(Vec<RangeInclusive<u64>>),
    /// What it does not have: 416, with [`unsatisfied`].
    Nothing,
}

/// What the header `Range` of a GET wants of a file of `length` octets.
pub fn parse(header: &str, length: u64) -> Asked {
    read(header, length).unwrap_or(Asked::Whole)
}

/// `None` if it is to be ignored.
fn read(header: &str, length: u64) -> Option<Asked> {
    if header.len() > MOST_OCTETS {
        return None;
    }
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut parts: Vec<RangeInclusive<u64>> = Vec::new();
    let mut count = 0;
    for element in set.split(',') {
        let element = element.trim_matches([' ', '\t']);
        // Empty elements of a list are nothing (RFC 9110 5.6.1.2).
        if element.is_empty() {
            continue;
        }
        count += 1;
        if count > MOST_PARTS {
            return None;
        }
        let Some(part) = part(element, length)? else {
            continue;
        };
        let overlaps =
            |it: &RangeInclusive<u64>| part.start() <= it.end() && it.start() <= part.end();
        if parts.iter().any(overlaps) {
            // Nobody needs an octet twice: a broken client, or an attack (14.2, 17.15).
            return None;
        }
        parts.push(part);
    }
    match (count, parts.is_empty()) {
        (0, _) => None,
        (_, true) => Some(Asked::Nothing),
        (_, false) => Some(Asked::Parts(parts)),
    }
}

/// One part, if the file has any of it; `None` if it is none.
fn part(element: &str, length: u64) -> Option<Option<RangeInclusive<u64>>> {
    let (first, last) = element.split_once('-')?;
    let last_of_file = length.checked_sub(1);
    if first.is_empty() {
        let suffix = number(last)?;
        let start = length.saturating_sub(suffix);
        return Some(last_of_file.filter(|_| suffix > 0).map(|end| start..=end));
    }
    let first = number(first)?;
    let last = match last {
        "" => u64::MAX,
        last => number(last)?,
    };
    if last < first {
        return None;
    }
    let end = last_of_file.map(|end| end.min(last));
    Some(end.filter(|end| first <= *end).map(|end| first..=end))
}

/// Digits; more than fit are more than any file has.
fn number(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// `Content-Range` of a part.
pub fn content_range(part: &RangeInclusive<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start(), part.end())
}

/// `Content-Range` of a 416.
pub fn unsatisfied(length: u64) -> String {
    format!("bytes */{length}")
}

/// Whether `Range` counts, given `If-Range`: only if it is this strong entity tag (with its quotes).
pub fn is_current(if_range: Option<&str>, etag: &str) -> bool {
    if_range.is_none_or(|given| !etag.starts_with("W/") && given.trim() == etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_9110_14_1_2() {
        let parts = |parts: &[RangeInclusive<u64>]| Asked::Parts(parts.to_vec());
        for (header, asked) in [
            ("bytes=0-499", parts(&[0..=499])),
            ("bytes=500-999", parts(&[500..=999])),
            ("bytes=-500", parts(&[9500..=9999])),
            ("bytes=9500-", parts(&[9500..=9999])),
            ("bytes=0-0,-1", parts(&[0..=0, 9999..=9999])),
            (
                "bytes= 0-999, 4500-5499, -1000",
                parts(&[0..=999, 4500..=5499, 9000..=9999]),
            ),
            ("bytes=500-600,601-999", parts(&[500..=600, 601..=999])),
            ("bytes=-20000", parts(&[0..=9999])),
            ("bytes=9999-99999999999999999999999", parts(&[9999..=9999])),
            ("BYTES=0-", parts(&[0..=9999])),
            ("bytes=,,1-2,", parts(&[1..=2])),
            ("bytes=10000-,1-2", parts(&[1..=2])),
            ("bytes=10000-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=5-4", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=1", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=1-2;", Asked::Whole),
            ("0-1", Asked::Whole),
            ("bytes=0-99,50-149", Asked::Whole),
        ] {
            assert_eq!(parse(header, 10_000), asked, "{header}");
        }
        assert_eq!(parse("bytes=0-", 0), Asked::Nothing);
        assert_eq!(parse("bytes=-1", 0), Asked::Nothing);
        assert_eq!(
            parse(&format!("bytes={}", "1-1,".repeat(200)), 9),
            Asked::Whole
        );
        assert_eq!(content_range(&(0..=4), 9), "bytes 0-4/9");
        assert_eq!(unsatisfied(9), "bytes */9");
    }

    #[test]
    fn a_changed_file_is_sent_whole() {
        assert!(is_current(None, "\"a\""));
        assert!(is_current(Some("\"a\""), "\"a\""));
        assert!(!is_current(Some("\"b\""), "\"a\""));
        assert!(!is_current(Some("W/\"a\""), "W/\"a\""));
        assert!(!is_current(Some("Sat, 29 Oct 1994 19:43:31 GMT"), "\"a\""));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read(header in "(?s).{0,100}", length in any::<u64>()) {
            let _ = parse(&header, length);
        }

        #[test]
        fn parts_are_in_the_file_and_apart(
            header in "bytes=([0-9]{0,3}-[0-9]{0,3},? ?){0,20}",
            length in 0u64..1200,
        ) {
            if let Asked::Parts(parts) = parse(&header, length) {
                prop_assert!(!parts.is_empty() && parts.len() <= MOST_PARTS);
                let mut seen = std::collections::HashSet::new();
                for octet in parts.into_iter().flatten() {
                    prop_assert!(octet < length && seen.insert(octet));
                }
            }
        }
    }
}
