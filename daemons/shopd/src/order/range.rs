//! Octets of a file, and what a request wants of them (RFC 9110 14).

use tollwire_web::range;

/// Octets of a file: from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first octet.
    pub start: u64,
    /// The one behind the last.
    pub end: u64,
}

impl Span {
    /// How many octets; none where the end is not behind the start.
    pub fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it has no octets.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// All of it.
    Whole,
    /// One range, which the file has.
    Part(Span),
    /// What the file has not.
    Nothing,
}

impl Asked {
    /// Reads `Range` and `If-Range`. Several ranges are answered by the whole (RFC 9110 14.2): whoever resumes asks for
    /// one.
    pub fn read(range: Option<&str>, if_range: Option<&str>, etag: &str, size: u64) -> Self {
        let Some(range) = range.filter(|_| range::is_current(if_range, etag)) else {
            return Self::Whole;
        };
        match range::parse(range, size) {
            range::Asked::Whole => Self::Whole,
            range::Asked::Nothing => Self::Nothing,
            range::Asked::Parts(parts) => match parts.as_slice() {
                [part] => Self::Part(Span {
                    start: *part.start(),
                    end: part.end().saturating_add(1),
                }),
                _ => Self::Whole,
            },
        }
    }

    /// The octets of a file of `size`.
    pub fn of(self, size: u64) -> Option<Span> {
        match self {
            Self::Whole => Some(Span {
                start: 0,
                end: size,
            }),
            Self::Part(span) => Some(span),
            Self::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_a_part_and_several_are_the_whole() {
        let read = |range, if_range| Asked::read(range, if_range, "\"a\"", 1000);
        let part = Asked::Part(Span {
            start: 500,
            end: 1000,
        });
        assert_eq!(read(Some("bytes=500-"), None), part);
        assert_eq!(read(Some("bytes=500-"), Some("\"a\"")), part);
        assert_eq!(read(Some("bytes=500-"), Some("\"b\"")), Asked::Whole);
        assert_eq!(read(Some("bytes=0-1,5-6"), None), Asked::Whole);
        assert_eq!(read(Some("bytes=1000-"), None), Asked::Nothing);
        assert_eq!(read(None, Some("\"a\"")), Asked::Whole);
    }
}
