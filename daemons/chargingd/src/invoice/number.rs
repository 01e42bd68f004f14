//! How invoices are numbered: without gaps, by a pattern.

use std::fmt::Write;

use super::period::Month;

/// Digits that a number may be filled up to.
const WIDEST: usize = 18;
/// The longest pattern.
const LONGEST: usize = 64;

/// Letters, digits, `-`, `_` and `.`, and in braces `{year}` and `{month}` of the period, and once the number itself:
/// `{number}`, or `{number:06}` with zeros before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Year,
    Month,
    Number(usize),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("at most {LONGEST} characters"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (plain, braced) = rest.split_once('{').unwrap_or((rest, ""));
            // Numbers are part of file names and paths.
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if !plain.bytes().all(fits) {
                return Err("besides {year}, {month} and {number:06} only letters, digits, \"-\", \"_\" and \".\"".into());
            }
            if !plain.is_empty() {
                parts.push(Part::Text(plain.into()));
            }
            if plain.len() == rest.len() {
                break;
            }
            let (name, after) = braced
                .split_once('}')
                .ok_or("a brace is open: write {year}, {month} or {number:06}")?;
            parts.push(match name {
                "year" => Part::Year,
                "month" => Part::Month,
                "number" => Part::Number(1),
                _ => name
                    .strip_prefix("number:0")
                    .and_then(|width| width.parse().ok())
                    .filter(|width| (1..=WIDEST).contains(width))
                    .map(Part::Number)
                    .ok_or_else(|| {
                        format!("no {{{name}}}: write {{year}}, {{month}} or {{number:06}}")
                    })?,
            });
            rest = after;
        }
        let is_number = |part: &&Part| matches!(part, Part::Number(_));
        match parts.iter().filter(is_number).count() {
            1 => Ok(Self(parts)),
            _ => Err("{number} or {number:06} has to stand in it once".into()),
        }
    }

    /// The invoice's number in full.
    pub fn write(&self, month: Month, number: i64) -> String {
        let first = month.first_day();
        let mut written = String::new();
        for part in &self.0 {
            // Writing to a string does not fail.
            let _ = match part {
                Part::Text(text) => write!(written, "{text}"),
                Part::Year => write!(written, "{:04}", first.year()),
                Part::Month => write!(written, "{:02}", first.month()),
                Part::Number(width) => write!(written, "{number:0width$}"),
            };
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_in() {
        let month = "2026-10".parse().unwrap();
        for (pattern, written) in [
            ("{number}", "42"),
            ("2026-{number:06}", "2026-000042"),
            ("R.{year}_{month}-{number:03}x", "R.2026_10-042x"),
            ("{number:01}", "42"),
        ] {
            assert_eq!(Pattern::read(pattern).unwrap().write(month, 42), written);
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for pattern in [
            "",
            "2026",
            "{number}{number}",
            "{number",
            "{year}",
            "{number:6}",
            "{number:0}",
            "{number:099}",
            "a/{number}",
            "{number} ",
            "{day}{number}",
            "}{number}",
            "ü{number}",
            "{number:0x}",
        ] {
            assert!(Pattern::read(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::read(&format!("{{number}}{}", "x".repeat(64))).is_err());
    }
}
