//! Predicates of version 1 (RFC 2165 5.4): type, scope and where clause in one string.

use super::UNSCOPED;
use super::attributes::{scopes_to_v2, tag_to_v2, value_to_v2};
use crate::service_type::DIRECTORY_AGENT;
use crate::value_error::{ValueError, ValueErrorKind};

const FIELD: &str = "predicate";
/// Brackets within brackets, at most.
const MAX_DEPTH: usize = 32;

/// A predicate in the words of version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The type, with `service:` and its naming authority.
    pub service_type: String,
    /// Comma list of scopes; empty for directory agents of any.
    pub scopes: String,
    /// LDAPv3 filter, or empty.
    pub filter: String,
}

/// Reads `<srvtype>[.<na>]/[<scope>]/[<where>]/`.
///
/// # Errors
/// Fewer slashes, brackets that do not match, an operator that there is not.
pub fn parse_predicate(predicate: &str) -> Result<Query, ValueError> {
    let short = fault(ValueErrorKind::Operator, 0);
    let (kind, rest) = predicate.split_once('/').ok_or(short)?;
    let (scope, rest) = rest.split_once('/').ok_or(short)?;
    // Slashes are escaped within; some leave the last one out.
    let clause = rest.strip_suffix('/').unwrap_or(rest);
    let offset = predicate.len() - rest.len();
    let service_type = type_to_v2(kind);
    let scopes = match scopes_to_v2(scope) {
        // RFC 2165 5.2: without a scope all directory agents are meant; all else is in the default scope (RFC 2608 3).
        none if none.is_empty() && !service_type.eq_ignore_ascii_case(DIRECTORY_AGENT) => {
            UNSCOPED.into()
        }
        scopes => scopes,
    };
    let filter = match clause.trim() {
        "" => String::new(),
        list if list.starts_with('(') => {
            let mut parser = Parser {
                text: clause,
                at: clause.len() - clause.trim_start().len(),
                offset,
            };
            let filter = parser.list(0)?;
            match parser.rest().trim().is_empty() {
                true => filter,
                false => return Err(parser.fault(ValueErrorKind::Trailing)),
            }
        }
        join => {
            let terms = join
                .split(',')
                .map(|term| item(term, offset))
                .collect::<Result<Vec<_>, _>>()?;
            match terms.as_slice() {
                [one] => one.clone(),
                terms => format!("(&{})", terms.concat()),
            }
        }
    };
    Ok(Query {
        service_type,
        scopes,
        filter,
    })
}

/// A type with the scheme that version 1 leaves out of requests.
pub(super) fn type_to_v2(kind: &str) -> String {
    let kind = kind.trim().trim_end_matches(':');
    let has_scheme = kind
        .get(..8)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("service:"));
    match has_scheme {
        true => kind.into(),
        false => format!("service:{kind}"),
    }
}

fn fault(kind: ValueErrorKind, offset: usize) -> ValueError {
    ValueError::new(kind, FIELD, offset)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    offset: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, kind: ValueErrorKind) -> ValueError {
        fault(kind, self.offset + self.at)
    }

    fn white(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, character: char) -> bool {
        let eaten = self.rest().starts_with(character);
        if eaten {
            self.at += character.len_utf8();
        }
        eaten
    }

    fn expect(&mut self, character: char) -> Result<(), ValueError> {
        match self.eat(character) {
            true => Ok(()),
            false => Err(self.fault(ValueErrorKind::Unbalanced)),
        }
    }

    /// `<where-list>`.
    fn list(&mut self, depth: usize) -> Result<String, ValueError> {
        if depth == MAX_DEPTH {
            return Err(self.fault(ValueErrorKind::TooDeep));
        }
        self.expect('(')?;
        self.white();
        let operator = ['&', '|'].into_iter().find(|operator| self.eat(*operator));
        let filter = match operator {
            Some(operator) => {
                let mut all = format!("({operator}");
                self.white();
                while self.rest().starts_with('(') {
                    all.push_str(&self.list(depth + 1)?);
                    self.white();
                }
                // "degenerate expressions ... should be tolerated" (RFC 2165 5.3), but not of nothing.
                if all.len() == 2 {
                    return Err(self.fault(ValueErrorKind::Empty));
                }
                all.push(')');
                all
            }
            None => {
                let text = self.rest();
                let length = term_length(text).ok_or(self.fault(ValueErrorKind::Unbalanced))?;
                let filter = item(
                    text.get(..length).unwrap_or_default(),
                    self.offset + self.at,
                )?;
                self.at += length;
                filter
            }
        };
        self.expect(')')?;
        Ok(filter)
    }
}

/// Octets of a term up to the bracket that closes it; an opaque value has brackets of its own.
fn term_length(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A keyword, or a tag, an operator and a value.
fn item(text: &str, offset: usize) -> Result<String, ValueError> {
    let Some(at) = text.find(['=', '!', '<', '>']) else {
        let keyword = tag_to_v2(text);
        return match keyword.is_empty() {
            true => Err(fault(ValueErrorKind::Empty, offset)),
            false => Ok(format!("({keyword}=*)")),
        };
    };
    let (tag, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let tag = tag_to_v2(tag);
    // Some examples of RFC 2165 write the equals sign once.
    let (operator, value) = ["==", "!=", "<=", ">=", "=", "<", ">"]
        .into_iter()
        .find_map(|operator| Some((operator, rest.strip_prefix(operator)?)))
        .ok_or(fault(ValueErrorKind::Operator, offset))?;
    if tag.is_empty() {
        return Err(fault(ValueErrorKind::Empty, offset));
    }
    let value = match operator {
        "==" | "=" | "!=" => pattern(value, offset)?,
        _ => value_to_v2(value, offset)?,
    };
    Ok(match operator {
        "==" | "=" => format!("({tag}={value})"),
        "!=" => format!("(!({tag}={value}))"),
        "<=" | ">=" => format!("({tag}{operator}{value})"),
        // Version 2 has no strict order.
        "<" => format!("(!({tag}>={value}))"),
        _ => format!("(!({tag}<={value}))"),
    })
}

/// A value with stars before and behind it, which stay what they are.
fn pattern(value: &str, offset: usize) -> Result<String, ValueError> {
    let value = value.trim();
    let (before, value) = match value.strip_prefix('*') {
        Some(rest) => ("*", rest),
        None => ("", value),
    };
    let (value, behind) = match value.strip_suffix('*') {
        Some(rest) => (rest, "*"),
        None => (value, ""),
    };
    Ok(format!("{before}{}{behind}", value_to_v2(value, offset)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttributeList, Filter};

    fn filter(clause: &str) -> String {
        parse_predicate(&format!("lpr//{clause}/")).unwrap().filter
    }

    #[test]
    fn type_scope_and_clause_are_told_apart() {
        let query = parse_predicate("lpr.acme/ WEST ,east/(a==1)/").unwrap();
        assert_eq!(query.service_type, "service:lpr.acme");
        assert_eq!(query.scopes, "WEST,east");
        assert_eq!(query.filter, "(a=1)");
        let query = parse_predicate("directory-agent///").unwrap();
        assert_eq!(query.service_type, "service:directory-agent");
        assert_eq!((query.scopes.as_str(), query.filter.as_str()), ("", ""));
        assert_eq!(parse_predicate("lpr///").unwrap().scopes, "DEFAULT");
        assert!(parse_predicate("lpr/").is_err());
    }

    #[test]
    fn the_examples_of_rfc_2165_5() {
        assert_eq!(
            filter("(& (PAGES PER MINUTE==12)\n (UNRESTRICTED_ACCESS)\n (LOCATION==12th FLOOR))"),
            "(&(PAGES PER MINUTE=12)(UNRESTRICTED-ACCESS=*)(LOCATION=12th FLOOR))"
        );
        assert_eq!(
            filter("PAGES PER MINUTE==12, UNRESTRICTED_ACCESS, LOCATION==12th FLOOR"),
            "(&(PAGES PER MINUTE=12)(UNRESTRICTED-ACCESS=*)(LOCATION=12th FLOOR))"
        );
        assert_eq!(filter("(QUEUE LENGTH <= 234)"), "(QUEUE LENGTH<=234)");
    }

    #[test]
    fn what_comes_out_is_a_filter_that_means_the_same() {
        let attributes = AttributeList::parse("(n=5),(s=bobcat),(o=\\ff\\66),k").unwrap();
        for (clause, holds) in [
            ("(n==5)", true),
            ("(n!=5)", false),
            ("(n!=6)", true),
            ("(n<5)", false),
            ("(n<6)", true),
            ("(n>4)", true),
            ("(n>5)", false),
            ("(n>=5)", true),
            ("(s==bob*)", true),
            ("(s==*cat)", true),
            ("(s==*bc*)", true),
            ("(s==*dog*)", false),
            ("(o==(1:Zg==))", true),
            ("(k)", true),
            ("(& (| (n==1) (k)) (s==b&#111;bcat))", true),
            ("(& (n==5))", true),
            ("n=5,k", true),
            ("n=5,l", false),
        ] {
            let text = filter(clause);
            let parsed = Filter::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.matches(&attributes), holds, "{clause}: {text}");
        }
    }

    #[test]
    fn broken_clauses_are_refused() {
        for clause in [
            "(a==1", "(a==1)x", "(&)", "()", "(==1)", "(a==(x))", "a==1,",
        ] {
            assert!(
                parse_predicate(&format!("lpr//{clause}/")).is_err(),
                "{clause}"
            );
        }
        let deep = format!("{}(a){}", "(&".repeat(40), ")".repeat(40));
        assert!(parse_predicate(&format!("lpr//{deep}/")).is_err());
    }
}
