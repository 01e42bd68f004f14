//! Attribute lists of the one version in the words of the other (RFC 2165 20.3, 20.5; RFC 2608 5).

use super::base64;
use crate::attributes::{AttributeList, Meaning};
use crate::text::{Context, equal, escape, escape_opaque};
use crate::value_error::{ValueError, ValueErrorKind};

const FIELD: &str = "attr-list";

/// An attribute list of version 1 in the words of version 2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Translated {
    /// The list, without SCOPE.
    pub attributes: String,
    /// The values of SCOPE, a comma list; nothing if it has none.
    pub scopes: Option<String>,
}

/// An attribute list of version 1 in the words of version 2.
///
/// # Errors
/// Brackets that do not match, a broken opaque value.
pub fn attributes_to_v2(list: &str) -> Result<Translated, ValueError> {
    let mut translated = Translated::default();
    let mut items: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(rest) = list.get(at..).filter(|rest| !rest.trim().is_empty()) {
        let skipped = rest.len() - rest.trim_start().len();
        let item = rest.get(skipped..).unwrap_or_default();
        let length = match item.strip_prefix('(') {
            None => item.find(',').unwrap_or(item.len()),
            Some(inside) => {
                let end = closing(inside).ok_or(fault(ValueErrorKind::Unbalanced, at + skipped))?;
                end + 2
            }
        };
        let text = item.get(..length).unwrap_or_default();
        match text
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'))
        {
            None => items.push(tag_to_v2(text)),
            Some(inside) => {
                let (tag, values) = inside
                    .split_once('=')
                    .ok_or(fault(ValueErrorKind::Operator, at + skipped))?;
                if equal(tag, "scope") {
                    translated.scopes = Some(scopes_to_v2(values));
                } else {
                    let values = values_of(values)
                        .map(|value| value_to_v2(value, at + skipped))
                        .collect::<Result<Vec<_>, _>>()?;
                    items.push(format!("({}={})", tag_to_v2(tag), values.join(",")));
                }
            }
        }
        at += skipped + length;
        // Then a comma, or the end.
        let rest = list.get(at..).unwrap_or_default();
        let white = rest.len() - rest.trim_start().len();
        match rest.get(white..).unwrap_or_default() {
            "" => break,
            next if next.starts_with(',') => at += white + 1,
            _ => return Err(fault(ValueErrorKind::Trailing, at + white)),
        }
    }
    translated.attributes = items.join(",");
    Ok(translated)
}

/// An attribute list of version 2 in the words of version 1: whole attributes, of at most `limit` octets. And whether
/// that is all of it.
pub fn attributes_to_v1(list: &str, limit: usize) -> (String, bool) {
    let Ok(list) = AttributeList::parse(list) else {
        return (String::new(), false);
    };
    let mut out = String::new();
    for attribute in list.iter() {
        let tag = escape_v1(&unescaped_tag(&attribute.spelled));
        let values: Vec<String> = attribute
            .values
            .iter()
            .map(|value| match &value.meaning {
                Meaning::Opaque(octets) => {
                    format!("({}:{})", octets.len(), base64::encode(octets))
                }
                _ => escape_v1(&value.plain()),
            })
            .collect();
        let item = match values.is_empty() {
            true => tag,
            false => format!("({tag}={})", values.join(",")),
        };
        let comma = usize::from(!out.is_empty());
        if out.len() + comma + item.len() > limit {
            return (out, false);
        }
        if comma == 1 {
            out.push(',');
        }
        out.push_str(&item);
    }
    (out, true)
}

/// A tag, a keyword, or a list of them with wildcards, in the words of version 2.
pub(super) fn tag_to_v2(tag: &str) -> String {
    // RFC 2608 5 has no underscore in tags.
    escape(&unescape_v1(tag.trim()), Context::Attribute).replace('_', "-")
}

/// A select list (RFC 2165 12) in the words of version 2.
pub(super) fn tags_to_v2(list: &str) -> String {
    let tags = list.split(',').filter(|tag| !tag.trim().is_empty());
    let tags: Vec<String> = tags.map(pattern_to_v2).collect();
    tags.join(",")
}

fn pattern_to_v2(tag: &str) -> String {
    let parts: Vec<String> = tag.split('*').map(tag_to_v2).collect();
    parts.join("*")
}

pub(super) fn scopes_to_v2(list: &str) -> String {
    let scopes = list.split(',').filter(|scope| !scope.trim().is_empty());
    let scopes: Vec<String> = scopes
        .map(|scope| escape(&unescape_v1(scope.trim()), Context::Scope))
        .collect();
    scopes.join(",")
}

pub(super) fn value_to_v2(value: &str, offset: usize) -> Result<String, ValueError> {
    let value = value.trim();
    let Some(inside) = value
        .strip_prefix('(')
        .and_then(|inside| inside.strip_suffix(')'))
    else {
        return Ok(escape(&unescape_v1(value), Context::Attribute));
    };
    let octets = inside
        .split_once(':')
        .and_then(|(_, data)| base64::decode(data.trim()))
        .ok_or(fault(ValueErrorKind::Escape, offset))?;
    Ok(escape_opaque(&octets))
}

fn fault(kind: ValueErrorKind, offset: usize) -> ValueError {
    ValueError::new(kind, FIELD, offset)
}

/// Where the bracket closes that was open at the start; opaque values have brackets of their own.
fn closing(inside: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (at, character) in inside.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn values_of(values: &str) -> impl Iterator<Item = &str> {
    // Radix-64 has no comma.
    values.split(',')
}

/// RFC 2165 17.1.1: `&#` digits `;` stands for a character. What is none stays as it is.
pub(super) fn unescape_v1(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("&#") {
        out.push_str(rest.get(..at).unwrap_or_default());
        let behind = rest.get(at + 2..).unwrap_or_default();
        let character = behind.split_once(';').and_then(|(digits, after)| {
            let digits_only = digits.bytes().all(|octet| octet.is_ascii_digit());
            let number: u32 = digits.parse().ok().filter(|_| digits_only)?;
            Some((char::from_u32(number)?, after))
        });
        match character {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push_str("&#");
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

/// `text` with what is reserved in version 1 escaped.
fn escape_v1(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '(' | ')' | ',' | '=' | '!' | '>' | '<' | '/' | '*' => {
                out.push_str(&format!("&#{};", u32::from(character)));
            }
            character => out.push(character),
        }
    }
    out
}

/// A tag without the escapes of version 2.
fn unescaped_tag(spelled: &str) -> String {
    crate::text::unescape(spelled, Context::Attribute, false, FIELD, 0)
        .map_or_else(|_| spelled.into(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_2165_9() {
        let translated = attributes_to_v2(
            "(SCOPE=DEVELOPMENT), (PAPER COLOR=WHITE), UNRESTRICTED_ACCESS, \
             (LANGUAGE=POSTSCRIPT, HPGCL), (LOCATION=12 FLOOR)",
        )
        .unwrap();
        assert_eq!(translated.scopes.as_deref(), Some("DEVELOPMENT"));
        assert_eq!(
            translated.attributes,
            "(PAPER COLOR=WHITE),UNRESTRICTED-ACCESS,(LANGUAGE=POSTSCRIPT,HPGCL),(LOCATION=12 FLOOR)"
        );
        assert!(AttributeList::parse(&translated.attributes).is_ok());
    }

    #[test]
    fn escapes_and_opaque_values_come_back() {
        let v1 = "(a=x&#44;y&#40;,z),(b=(3:Zm9v)),(n=-7)";
        let v2 = attributes_to_v2(v1).unwrap();
        assert_eq!(v2.scopes, None);
        assert_eq!(
            v2.attributes,
            "(a=x\\2cy\\28,z),(b=\\ff\\66\\6f\\6f),(n=-7)"
        );
        assert_eq!(attributes_to_v1(&v2.attributes, 1_000), (v1.into(), true));
        // Reserved in the one, not in the other.
        let v2 = attributes_to_v2("(a=x!y~z\\)").unwrap();
        assert_eq!(v2.attributes, "(a=x\\21y\\7ez\\5c)");
        assert_eq!(
            unescape_v1("&#; &#x; &#1114112; a&#65"),
            "&#; &#x; &#1114112; a&#65"
        );
    }

    #[test]
    fn a_limit_cuts_whole_attributes() {
        let v2 = "(a=1),(b=x\\2cy),c";
        assert_eq!(attributes_to_v1(v2, 5), ("(a=1)".into(), false));
        assert_eq!(attributes_to_v1(v2, 16), ("(a=1)".into(), false));
        assert_eq!(
            attributes_to_v1(v2, 17),
            ("(a=1),(b=x&#44;y)".into(), false)
        );
        assert_eq!(
            attributes_to_v1(v2, 19),
            ("(a=1),(b=x&#44;y),c".into(), true)
        );
    }

    #[test]
    fn broken_lists_are_refused() {
        for list in ["(a=1", "(a=1)b", "(a)", "(a=(x))", "(a=(1:!))", "(a=1))"] {
            assert!(attributes_to_v2(list).is_err(), "{list}");
        }
        assert_eq!(attributes_to_v2(" ").unwrap(), Translated::default());
    }
}
