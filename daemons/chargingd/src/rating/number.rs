//! The numbers in what callers and called are named by.

/// The digits of `sip:+15551234@host`, `tel:+1-555-1234` or `15551234`, at most the first `most`. None for a name.
pub(super) fn digits(text: &str, most: usize) -> impl Iterator<Item = u8> {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let user = match scheme {
        "sip" | "sips" => rest.split_once('@').map_or("", |(user, _)| user),
        _ => rest,
    };
    let user = user.split(';').next().unwrap_or_default().as_bytes();
    let separator = |byte: u8| matches!(byte, b'+' | b'-' | b'.' | b'(' | b')');
    let is_number = user
        .iter()
        .all(|byte| byte.is_ascii_digit() || separator(*byte));
    let user = if is_number { user } else { &[] };
    user.iter().copied().filter(u8::is_ascii_digit).take(most)
}
