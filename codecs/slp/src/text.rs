//! Strings: how they compare, and how reserved characters are escaped (RFC 2608 6.4).

use std::borrow::Cow;

use crate::value_error::{ValueError, ValueErrorKind};

/// White space in the sense of RFC 2608 6.4.
pub(crate) fn is_white(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// The form of `text` in which two strings that compare as equal are the same: lower case over all of Unicode, runs
/// of white space inside as one space, none outside.
///
/// The order of folded strings is the order of their octets.
pub fn fold(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim_matches(is_white);
    match is_folded(trimmed) {
        true => Cow::Borrowed(trimmed),
        false => Cow::Owned(fold_inside(trimmed)),
    }
}

/// Whether folding would change nothing, white space at the ends left aside.
fn is_folded(text: &str) -> bool {
    let mut white = false;
    text.bytes().all(|octet| {
        let run = octet == b' ' && white;
        white = octet == b' ';
        !run && octet.is_ascii()
            && !octet.is_ascii_uppercase()
            && !matches!(octet, b'\t' | b'\r' | b'\n')
    })
}

/// [`fold`] without trimming: for a part of a string.
pub(crate) fn fold_inside(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut white = false;
    for character in text.chars() {
        if is_white(character) {
            if !white {
                folded.push(' ');
            }
            white = true;
            continue;
        }
        white = false;
        folded.extend(character.to_lowercase());
    }
    folded
}

/// Whether two strings are equal for SLP.
pub fn equal(left: &str, right: &str) -> bool {
    fold(left) == fold(right)
}

/// Characters that stand for themselves only when they are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Attribute tags and values (RFC 2608 5).
    Attribute,
    /// Scopes and SPIs (RFC 2608 6.4.1).
    Scope,
}

impl Context {
    /// Whether `character` is reserved.
    ///
    /// Control characters are, but for the white space that RFC 2608 6.4 folds.
    pub fn is_reserved(self, character: char) -> bool {
        match character {
            '(' | ')' | ',' | '\\' | '!' | '<' | '=' | '>' | '~' => true,
            ';' | '*' | '+' => self == Self::Scope,
            character => character.is_ascii_control() && !is_white(character),
        }
    }

    /// Whether `octet` may be escaped. A star may be everywhere, or no filter could ask for one.
    fn may_be_escaped(self, octet: u8) -> bool {
        octet.is_ascii_control() || octet == b'*' || self.is_reserved(char::from(octet))
    }
}

/// The octet that an escape at the start of `text` stands for: a backslash and two hex digits.
fn escape_at(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [b'\\', high, low, ..] => {
            let digit = |octet: u8| char::from(octet).to_digit(16);
            u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
        }
        _ => None,
    }
}

/// `text` with its escapes restored.
///
/// # Errors
/// A broken escape, an escape of what is not reserved, and, with `strict`, a reserved character that is not escaped.
/// Offsets count from `base`.
pub(crate) fn unescape<'a>(
    text: &'a str,
    context: Context,
    strict: bool,
    field: &'static str,
    base: usize,
) -> Result<Cow<'a, str>, ValueError> {
    let plain = |part: &str, at: usize| match part
        .char_indices()
        .find(|(_, character)| strict && context.is_reserved(*character))
    {
        Some((offset, character)) => Err(ValueError::new(
            ValueErrorKind::Reserved(character),
            field,
            base + at + offset,
        )),
        None => Ok(()),
    };
    let Some(first) = text.find('\\') else {
        plain(text, 0)?;
        return Ok(Cow::Borrowed(text));
    };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut next = Some(first);
    while let Some(length) = next {
        let rest = text.get(at..).unwrap_or_default();
        let (before, escape) = rest.split_at_checked(length).unwrap_or((rest, ""));
        plain(before, at)?;
        out.push_str(before);
        at += length;
        let fault = |kind| ValueError::new(kind, field, base + at);
        let octet = escape_at(escape).ok_or(fault(ValueErrorKind::Escape))?;
        if !context.may_be_escaped(octet) {
            return Err(fault(ValueErrorKind::NeedlessEscape(octet)));
        }
        out.push(char::from(octet));
        at += 3;
        next = text.get(at..).unwrap_or_default().find('\\');
    }
    let rest = text.get(at..).unwrap_or_default();
    plain(rest, at)?;
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The octets of an opaque value: `\FF` and then nothing but escapes (RFC 2608 5). Nothing if `text` does not begin so.
pub(crate) fn opaque(
    text: &str,
    field: &'static str,
    base: usize,
) -> Option<Result<Box<[u8]>, ValueError>> {
    if escape_at(text) != Some(0xFF) {
        return None;
    }
    let mut octets = Vec::with_capacity(text.len() / 3);
    let mut at = 3;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        match escape_at(rest) {
            Some(octet) => octets.push(octet),
            None => {
                return Some(Err(ValueError::new(
                    ValueErrorKind::Escape,
                    field,
                    base + at,
                )));
            }
        }
        at += 3;
    }
    Some(Ok(octets.into()))
}

/// `text` with what is reserved escaped.
pub fn escape(text: &str, context: Context) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(octet)
                if octet.is_ascii() && (context.is_reserved(character) || character == '*') =>
            {
                push_escape(&mut out, octet);
            }
            _ => out.push(character),
        }
    }
    out
}

/// The text of an opaque value.
pub fn escape_opaque(octets: &[u8]) -> String {
    let mut out = String::with_capacity(3 + octets.len() * 3);
    push_escape(&mut out, 0xFF);
    for octet in octets {
        push_escape(&mut out, *octet);
    }
    out
}

fn push_escape(out: &mut String, octet: u8) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    out.push('\\');
    for digit in [octet >> 4, octet & 0x0F] {
        out.extend(DIGITS.get(usize::from(digit)));
    }
}

/// The items of a comma list, with where each begins. An empty list has none.
pub(crate) fn items(list: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    list.split(',')
        .filter(move |_| !list.trim_matches(is_white).is_empty())
        .map(move |item| {
            let offset = at;
            at += item.len() + 1;
            (offset, item)
        })
}
