//! `Accept-Language` (RFC 9110 12.5.4), and which of the languages at hand fits best (RFC 4647 3.4).

/// Octets of the header that are looked at, and ranges in it.
const MOST_OCTETS: usize = 1024;
const MOST_RANGES: usize = 32;

/// A range and its weight in thousandths.
type Wish<'a> = (&'a str, u16);

/// The wishes, the dearest first; what cannot be read is left out.
pub(super) fn wishes(header: &str) -> Vec<Wish<'_>> {
    if header.len() > MOST_OCTETS {
        return Vec::new();
    }
    let mut wishes: Vec<_> = header
        .split(',')
        .take(MOST_RANGES)
        .filter_map(wish)
        .collect();
    // Stable: of the same weight the first is the dearest.
    wishes.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    wishes
}

fn wish(element: &str) -> Option<Wish<'_>> {
    let (range, weight) = match element.split_once(';') {
        None => (element, 1000),
        Some((range, parameter)) => {
            let (name, value) = parameter.trim().split_once('=')?;
            let is_weight = name.eq_ignore_ascii_case("q");
            (range, is_weight.then(|| thousandths(value)).flatten()?)
        }
    };
    let range = range.trim();
    (range == "*" || is_tag(range)).then_some((range, weight))
}

/// `0`, `0.5`, `1.000`: RFC 9110 12.4.2.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest: u16 = format!("{rest:0<3}").parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

/// `de`, `de-AT`, `zh-Hant`: parts of one to eight letters and digits.
pub(super) fn is_tag(text: &str) -> bool {
    let part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    text.len() <= 35 && text.split('-').all(part)
}

/// Which of `tags` a range asks for: the same, else what a shorter range asks for, else a nearer description of it
/// (`pt` takes `pt-BR`).
pub(super) fn fitting(range: &str, tags: &[&str]) -> Option<usize> {
    let mut shorter = range;
    loop {
        let same = tags
            .iter()
            .position(|tag| tag.eq_ignore_ascii_case(shorter));
        if same.is_some() {
            return same;
        }
        match shorter.rsplit_once('-') {
            Some((front, _)) => shorter = front,
            None => break,
        }
    }
    tags.iter().position(|tag| {
        let primary = tag.split('-').next().unwrap_or_default();
        primary.eq_ignore_ascii_case(shorter)
    })
}

/// Which of `tags` a header asks for; `None` if it asks for none of them.
pub(super) fn choose(header: &str, tags: &[&str]) -> Option<usize> {
    let wishes = wishes(header);
    let refused = |at: usize| {
        let is_refused = |(range, weight): &Wish<'_>| {
            *weight == 0
                && tags
                    .get(at)
                    .is_some_and(|tag| tag.eq_ignore_ascii_case(range))
        };
        wishes.iter().any(is_refused)
    };
    let wanted = wishes.iter().filter(|(_, weight)| *weight > 0);
    // `*` is whatever there is: the caller's default.
    let named = wanted.take_while(|(range, _)| *range != "*");
    named
        .filter_map(|(range, _)| fitting(range, tags))
        .find(|at| !refused(*at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAGS: &[&str] = &["en", "de", "pt-BR", "zh-Hant"];

    fn chosen(header: &str) -> Option<&'static str> {
        choose(header, TAGS).map(|at| TAGS[at])
    }

    #[test]
    fn the_dearest_wish_that_can_be_met_is() {
        for (header, tag) in [
            ("de", Some("de")),
            ("DE-at, en;q=0.5", Some("de")),
            ("fr, de;q=0.4, en;q=0.5", Some("en")),
            ("en;q=0.5,de;q=0.501", Some("de")),
            ("pt", Some("pt-BR")),
            ("pt-PT", Some("pt-BR")),
            ("zh-Hant-TW", Some("zh-Hant")),
            ("fr", None),
            ("*", None),
            ("*, de;q=0.5", None),
            ("de;q=0, en;q=0.1", Some("en")),
            ("de-AT, de;q=0, en;q=0.1", Some("en")),
            ("de;q=0", None),
            ("", None),
            (",,; q=,de;q=2,en;q=0.1234,de;x=1", None),
            (" en ; q=1.000 ", Some("en")),
            ("en; Q=0.9", Some("en")),
            ("english-language, de;q=0.1", Some("de")),
        ] {
            assert_eq!(chosen(header), tag, "{header}");
        }
        assert_eq!(chosen(&"x,".repeat(600)), None, "too long");
        assert_eq!(chosen(&format!("{}de", "x,".repeat(31))), Some("de"));
        assert_eq!(chosen(&format!("{}de", "x,".repeat(32))), None, "too many");
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read(header in "(?s).{0,200}") {
            let _ = chosen(&header);
        }

        #[test]
        fn near_misses_are_read(header in "[a-zA-Z*;=q0-9., -]{0,80}") {
            for (range, weight) in wishes(&header) {
                prop_assert!(weight <= 1000);
                prop_assert!(range == "*" || is_tag(range));
            }
        }

        #[test]
        fn a_tag_at_hand_is_found(at in 0..TAGS.len(), q in 1u16..1000) {
            let header = format!("xx, {};q=0.{q:03}", TAGS[at]);
            prop_assert_eq!(choose(&header, TAGS), Some(at));
        }
    }
}
