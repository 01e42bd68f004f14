//! The text of a delivery receipt (SMPP 3.4 appendix B):
//!
//! ```text
//! id:IIIIIIIIII sub:SSS dlvrd:DDD submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DDDDDDD err:E text:...
//! ```
//!
//! The appendix calls it an example; the form is what every vendor writes, with small differences that [`parse`]
//! takes: letters of either case, fields in another order or missing, dates with seconds, longer ids.

use crate::message_state::MessageState;
use crate::time;

/// Octets of the original message that `text:` carries at most (SMPP 3.4 appendix B).
pub const TEXT_LENGTH: usize = 20;

/// A receipt to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// `id`, the same characters as in `submit_sm_resp`.
    pub id: &'a [u8],
    /// `sub`: messages submitted, up to 999.
    pub submitted: u16,
    /// `dlvrd`: messages delivered, up to 999.
    pub delivered: u16,
    /// `submit date`, unix ms; written to the minute, UTC.
    pub submit_unix_ms: i64,
    /// `done date`, unix ms; written to the minute, UTC.
    pub done_unix_ms: i64,
    /// `stat`
    pub state: MessageState,
    /// `err`: the network's error code, its last three digits.
    pub error: u32,
    /// `text`: its first octets, [`TEXT_LENGTH`] at most.
    pub text: &'a [u8],
}

impl Receipt<'_> {
    /// Appends the text to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"id:");
        out.extend_from_slice(self.id);
        out.extend_from_slice(b" sub:");
        out.extend_from_slice(&three(self.submitted.into()));
        out.extend_from_slice(b" dlvrd:");
        out.extend_from_slice(&three(self.delivered.into()));
        out.extend_from_slice(b" submit date:");
        out.extend_from_slice(&time::minute(self.submit_unix_ms));
        out.extend_from_slice(b" done date:");
        out.extend_from_slice(&time::minute(self.done_unix_ms));
        out.extend_from_slice(b" stat:");
        out.extend_from_slice(self.state.receipt_text().as_bytes());
        out.extend_from_slice(b" err:");
        out.extend_from_slice(&three(self.error));
        out.extend_from_slice(b" text:");
        out.extend_from_slice(self.text.get(..TEXT_LENGTH).unwrap_or(self.text));
    }
}

fn three(number: u32) -> [u8; 3] {
    let digit = |number: u32| b'0' + u8::try_from(number % 10).unwrap_or_default();
    [digit(number / 100), digit(number / 10), digit(number)]
}

/// A receipt as it was received: what of it is there and makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceivedReceipt<'a> {
    /// `id`, never empty.
    pub id: Option<&'a [u8]>,
    /// `sub`
    pub submitted: Option<u16>,
    /// `dlvrd`
    pub delivered: Option<u16>,
    /// `submit date` as it stands: whose time zone it is in, only its sender knows ([`time::parse_minute`] for UTC).
    pub submit_date: Option<&'a [u8]>,
    /// `done date` as it stands.
    pub done_date: Option<&'a [u8]>,
    /// `stat`, if it is known.
    pub state: Option<MessageState>,
    /// `err` as it stands: often a number, sometimes in hexadecimal.
    pub error: Option<&'a [u8]>,
    /// `text`: all that follows it.
    pub text: Option<&'a [u8]>,
}

/// The fields, in the words that name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Submitted,
    Delivered,
    SubmitDate,
    DoneDate,
    State,
    Error,
    Text,
}

const FIELDS: &[(&[u8], Field)] = &[
    (b"id:", Field::Id),
    (b"sub:", Field::Submitted),
    (b"dlvrd:", Field::Delivered),
    (b"submit date:", Field::SubmitDate),
    (b"submit_date:", Field::SubmitDate),
    (b"submitdate:", Field::SubmitDate),
    (b"done date:", Field::DoneDate),
    (b"done_date:", Field::DoneDate),
    (b"donedate:", Field::DoneDate),
    (b"stat:", Field::State),
    (b"state:", Field::State),
    (b"err:", Field::Error),
    (b"error:", Field::Error),
    (b"text:", Field::Text),
];

/// Reads the text of a receipt. Anything is read; of a field that stands twice the first counts, and words that name
/// no field are passed over.
pub fn parse(octets: &[u8]) -> ReceivedReceipt<'_> {
    let mut receipt = ReceivedReceipt::default();
    let mut rest = octets.trim_ascii_start();
    while !rest.is_empty() {
        let Some((field, after)) = field(rest) else {
            rest = word(rest).1;
            continue;
        };
        if field == Field::Text {
            receipt.text = Some(after);
            break;
        }
        // "err: text:" is an empty err.
        let spaced = after.trim_ascii_start();
        let (value, after) = if self::field(spaced).is_some() {
            (Default::default(), spaced)
        } else {
            word(spaced)
        };
        receipt.set(field, value);
        rest = after;
    }
    receipt
}

impl<'a> ReceivedReceipt<'a> {
    fn set(&mut self, field: Field, value: &'a [u8]) {
        let octets = (!value.is_empty()).then_some(value);
        match field {
            Field::Id => self.id = self.id.or(octets),
            Field::Submitted => self.submitted = self.submitted.or_else(|| number(value)),
            Field::Delivered => self.delivered = self.delivered.or_else(|| number(value)),
            Field::SubmitDate => self.submit_date = self.submit_date.or(octets),
            Field::DoneDate => self.done_date = self.done_date.or(octets),
            Field::State => {
                let state = MessageState::from_receipt_text(value);
                self.state = self.state.or(state);
            }
            Field::Error => self.error = self.error.or(octets),
            Field::Text => self.text = self.text.or(octets),
        }
    }
}

fn field(octets: &[u8]) -> Option<(Field, &[u8])> {
    FIELDS.iter().find_map(|(name, field)| {
        let (head, rest) = octets.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name).then_some((*field, rest))
    })
}

/// The octets up to the next space, and what follows the spaces.
fn word(octets: &[u8]) -> (&[u8], &[u8]) {
    let end = octets
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(octets.len());
    let (word, rest) = octets.split_at(end);
    (word, rest.trim_ascii_start())
}

fn number(octets: &[u8]) -> Option<u16> {
    std::str::from_utf8(octets).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_772_366_400_000; // 2026-03-01 12:00:00 UTC

    fn receipt<'a>() -> Receipt<'a> {
        Receipt {
            id: b"18446744073709551615",
            submitted: 1,
            delivered: 1,
            submit_unix_ms: NOON,
            done_unix_ms: NOON + 61_000,
            state: MessageState::Delivered,
            error: 0,
            text: b"Your code is 1234. Tell nobody.",
        }
    }

    #[test]
    fn written_and_read() {
        let mut out = Vec::new();
        receipt().write(&mut out);
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            "id:18446744073709551615 sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 \
             stat:DELIVRD err:000 text:Your code is 1234. T"
        );
        let read = parse(&out);
        assert_eq!(
            read,
            ReceivedReceipt {
                id: Some(b"18446744073709551615"),
                submitted: Some(1),
                delivered: Some(1),
                submit_date: Some(b"2603011200"),
                done_date: Some(b"2603011201"),
                state: Some(MessageState::Delivered),
                error: Some(b"000"),
                text: Some(b"Your code is 1234. T"),
            }
        );
        let done = time::parse_minute(read.done_date.unwrap(), NOON);
        assert_eq!(done, Some(NOON + 60_000));
    }

    #[test]
    fn every_state_is_read_back() {
        for number in 0..=9 {
            let state = MessageState::from_number(number).unwrap();
            let mut out = Vec::new();
            Receipt { state, ..receipt() }.write(&mut out);
            assert_eq!(parse(&out).state, Some(state));
        }
    }

    #[test]
    fn as_others_write_it() {
        let kannel = parse(
            b"id:5f6 sub:001 dlvrd:001 submit date:260301120000 done date:260301120105 stat:DELIVRD err:0 Text:hi id:no",
        );
        assert_eq!(kannel.id, Some(&b"5f6"[..]));
        let done = time::parse_minute(kannel.done_date.unwrap(), NOON);
        assert_eq!(done, Some(NOON + 65_000));
        assert_eq!(kannel.text, Some(&b"hi id:no"[..]));

        let loose =
            parse(b"  ID: 77   STAT:Undeliverable ERR: foo:bar submit_date:2603011200 err: text:");
        assert_eq!(loose.id, Some(&b"77"[..]));
        assert_eq!(loose.state, Some(MessageState::Undeliverable));
        assert_eq!(loose.error, Some(&b"foo:bar"[..]));
        assert_eq!(loose.submit_date, Some(&b"2603011200"[..]));
        assert_eq!(loose.text, Some(&b""[..]));
        assert_eq!(loose.submitted, None);

        assert_eq!(parse(b"id:1 id:2").id, Some(&b"1"[..]));
        assert_eq!(parse(b"err: text:x").error, None);
        assert_eq!(parse(b"stat:WHATEVER").state, None);
        assert_eq!(parse(b"Hello, how are you?"), ReceivedReceipt::default());
        assert_eq!(parse(b""), ReceivedReceipt::default());
    }
}
