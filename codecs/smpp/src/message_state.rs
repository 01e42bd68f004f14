use std::fmt;

/// `message_state` (SMPP 3.4 table 5-6, SMPP 5.0 section 4.7.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageState {
    /// SMPP 5.0: it waits for its `schedule_delivery_time`.
    Scheduled = 0,
    /// It waits or is tried.
    Enroute = 1,
    /// Its destination has it.
    Delivered = 2,
    /// Its validity ended first.
    Expired = 3,
    /// It was cancelled or deleted.
    Deleted = 4,
    /// It cannot be delivered.
    Undeliverable = 5,
    /// It was read and answered on the subscriber's behalf by customer service.
    Accepted = 6,
    /// Its state is not known.
    Unknown = 7,
    /// It was refused.
    Rejected = 8,
    /// SMPP 5.0: it was accepted and not transmitted.
    Skipped = 9,
}

/// Each state: name, the seven letters of a receipt, spellings seen in the field besides.
const NAMES: &[(MessageState, &str, &str, &[&str])] = &[
    (
        MessageState::Scheduled,
        "SCHEDULED",
        "SCHEDLD",
        &["SCHEDUL"],
    ),
    (MessageState::Enroute, "ENROUTE", "ENROUTE", &["EN_ROUTE"]),
    (MessageState::Delivered, "DELIVERED", "DELIVRD", &[]),
    (MessageState::Expired, "EXPIRED", "EXPIRED", &[]),
    (MessageState::Deleted, "DELETED", "DELETED", &[]),
    (
        MessageState::Undeliverable,
        "UNDELIVERABLE",
        "UNDELIV",
        &["UNDELIVERED"],
    ),
    (MessageState::Accepted, "ACCEPTED", "ACCEPTD", &["ACCEPTE"]),
    (MessageState::Unknown, "UNKNOWN", "UNKNOWN", &[]),
    (MessageState::Rejected, "REJECTED", "REJECTD", &["REJECTE"]),
    (MessageState::Skipped, "SKIPPED", "SKIPPED", &[]),
];

impl MessageState {
    /// The state with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        NAMES
            .get(usize::from(number))
            .map(|(state, _, _, _)| *state)
    }

    /// Its number, the value of the field and the TLV.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its name in table 5-6.
    pub fn name(self) -> &'static str {
        NAMES
            .get(usize::from(self.number()))
            .map_or("", |(_, name, _, _)| name)
    }

    /// Its seven letters in a receipt's `stat:` (SMPP 3.4 appendix B, table B-2).
    pub fn receipt_text(self) -> &'static str {
        NAMES
            .get(usize::from(self.number()))
            .map_or("", |(_, _, text, _)| text)
    }

    /// The state that a receipt's `stat:` names, in letters of either case, short or in full.
    pub fn from_receipt_text(text: &[u8]) -> Option<Self> {
        let is = |known: &str| text.eq_ignore_ascii_case(known.as_bytes());
        NAMES
            .iter()
            .find(|(_, name, short, others)| {
                is(name) || is(short) || others.iter().any(|other| is(other))
            })
            .map(|(state, _, _, _)| *state)
    }

    /// Whether nothing more happens to the message.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Enroute)
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_both_ways() {
        for number in 0..=9 {
            let state = MessageState::from_number(number).unwrap();
            assert_eq!(state.number(), number);
            assert_eq!(state.receipt_text().len(), 7);
            for text in [state.name(), state.receipt_text()] {
                let lower = text.to_ascii_lowercase();
                assert_eq!(
                    MessageState::from_receipt_text(lower.as_bytes()),
                    Some(state)
                );
            }
        }
        assert_eq!(MessageState::from_number(10), None);
        assert_eq!(MessageState::from_receipt_text(b"FAILED"), None);
        assert_eq!(MessageState::from_receipt_text(b""), None);
    }
}
