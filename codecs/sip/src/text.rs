//! Character classes and the small scanners every value shares (RFC 3261 25.1).

use std::borrow::Cow;

const TOKEN: u8 = 1;
const USER: u8 = 2;
const PASSWORD: u8 = 4;
const PARAM: u8 = 8;
const HEADER: u8 = 16;
const HOST: u8 = 32;

static CLASS: [u8; 256] = classes();

#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const fn classes() -> [u8; 256] {
    const fn add(mut table: [u8; 256], characters: &[u8], class: u8) -> [u8; 256] {
        let mut index = 0;
        while index < characters.len() {
            table[characters[index] as usize] |= class;
            index += 1;
        }
        table
    }
    let mut table = [0; 256];
    table = add(
        table,
        b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        TOKEN | USER | PASSWORD | PARAM | HEADER | HOST,
    );
    table = add(table, b"-.!%*_+`'~", TOKEN);
    // mark
    table = add(table, b"-_.!~*'()", USER | PASSWORD | PARAM | HEADER);
    // "#" must be escaped by the grammar; phones send it bare in dialled service codes.
    table = add(table, b"&=+$,;?/#", USER);
    table = add(table, b"&=+$,", PASSWORD);
    table = add(table, b"[]/:&+$", PARAM);
    table = add(table, b"[]/?:+$", HEADER);
    // The underscore is no part of RFC 3261's hostname, but stands in names people use.
    table = add(table, b"-._", HOST);
    table
}

fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    class(byte) & TOKEN != 0
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(crate) fn is_user(text: &str) -> bool {
    !text.is_empty() && is_escaped_text(text, USER)
}

pub(crate) fn is_password(text: &str) -> bool {
    is_escaped_text(text, PASSWORD)
}

pub(crate) fn is_uri_param(text: &str) -> bool {
    !text.is_empty() && is_escaped_text(text, PARAM)
}

pub(crate) fn is_uri_header(text: &str) -> bool {
    is_escaped_text(text, HEADER)
}

pub(crate) fn is_hostname(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| class(byte) & HOST != 0)
}

/// Whether `text` holds only characters of `class` and whole `%HH` escapes.
fn is_escaped_text(text: &str, wanted: u8) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if class(byte) & wanted != 0 {
            continue;
        }
        let escaped = byte == b'%'
            && bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())
            && bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        if !escaped {
            return false;
        }
    }
    true
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `text` without linear white space at its ends.
pub(crate) fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    let blank = |byte: Option<&u8>| byte.is_some_and(|byte| is_blank(*byte));
    if blank(bytes.first()) || blank(bytes.last()) {
        text.trim_matches([' ', '\t'])
    } else {
        text
    }
}

/// `text` without linear white space at its start.
pub(crate) fn trim_start(text: &str) -> &str {
    if text.bytes().next().is_some_and(is_blank) {
        text.trim_start_matches([' ', '\t'])
    } else {
        text
    }
}

/// Splits `text` at its first blank, which is dropped.
pub(crate) fn split_blank(text: &str) -> Option<(&str, &str)> {
    let at = text.bytes().position(is_blank)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Splits `text` before the first octet that is one of `ends`.
pub(crate) fn split_before<'a>(text: &'a str, ends: &[u8]) -> (&'a str, &'a str) {
    let at = text
        .bytes()
        .position(|byte| ends.contains(&byte))
        .unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// Splits `text` after the quoted string it starts with (RFC 3261 25.1); `None` if it is never closed.
pub(crate) fn split_quoted(text: &str) -> Option<(&str, &str)> {
    let mut bytes = text.bytes().enumerate();
    if bytes.next()?.1 != b'"' {
        return None;
    }
    while let Some((index, byte)) = bytes.next() {
        match byte {
            // Skipping the first octet of a longer character is enough: the rest are never '"' or '\'.
            b'\\' => drop(bytes.next()?),
            b'"' => return text.split_at_checked(index + 1),
            _ => {}
        }
    }
    None
}

/// The text a quoted string stands for; text without quotes is returned as it is.
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Writes `text` as a quoted string.
pub(crate) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        // A line end would start a new header field.
        out.push(if matches!(character, '\r' | '\n') {
            ' '
        } else {
            character
        });
    }
    out.push('"');
}

/// The `%HH` escapes of `text` resolved; octets that do not make UTF-8 stay escaped.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some((&[high, low], tail)) = rest.split_first_chunk()
            && let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low))
        {
            out.push(high << 4 | low);
            rest = tail;
        } else {
            out.push(byte);
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(text),
    }
}

pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The elements of a comma-separated list; commas in quoted strings and in angle brackets do not count.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    rest: Option<&'a str>,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: Some(text) }
    }

    /// The text after the elements taken so far, or `None` at the end of the list.
    pub(crate) fn rest(&self) -> Option<&'a str> {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        // Most values hold no comma at all.
        let comma = memchr::memchr(b',', text.as_bytes()).and_then(|_| find_outside(text, b','));
        match comma {
            Some(comma) => {
                self.rest = text.get(comma + 1..);
                text.get(..comma).map(trim)
            }
            None => {
                self.rest = None;
                Some(trim(text))
            }
        }
    }
}

/// Where `wanted` first stands outside quoted strings and angle brackets.
pub(crate) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut position = 0;
    let mut in_brackets = false;
    while let Some(&byte) = bytes.get(position) {
        match byte {
            // An unclosed quoted string swallows the rest; its own parser reports it.
            b'"' if !in_brackets => {
                let (quoted, _) = split_quoted(text.get(position..)?)?;
                position += quoted.len();
                continue;
            }
            b'<' => in_brackets = true,
            b'>' => in_brackets = false,
            other if other == wanted && !in_brackets => return Some(position),
            _ => {}
        }
        position += 1;
    }
    None
}

/// A decimal number of at most ten digits, as RFC 3261's `1*DIGIT` fields hold.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
