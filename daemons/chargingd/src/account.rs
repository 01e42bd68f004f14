//! Accounts, and the transfers between them.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
pub use tollwire_cdr::Payment;

/// Who pays.
///
/// Money is in micro-units (millionths) of the account's currency, here and everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The account's name, without spaces; unique.
    pub name: Box<str>,
    /// How it pays.
    pub payment: Payment,
    /// The only currency it holds.
    pub currency: Currency,
    /// What it has; below zero is owed.
    pub balance_micro: i64,
    /// How far below zero the balance may go.
    pub credit_limit_micro: i64,
    /// A blocked account begins nothing new, and what runs is ended.
    pub blocked: bool,
    /// What sessions hold of it; not stored, the sessions are.
    #[serde(default)]
    pub held_micro: i64,
}

impl Account {
    /// What a new session may still hold. Never below the limit: holds count as spent.
    pub fn available_micro(&self) -> i64 {
        self.balance_micro
            .saturating_add(self.credit_limit_micro)
            .saturating_sub(self.held_micro)
            .max(0)
    }
}

/// One line of the ledger: `amount_micro` goes from `debit` to `credit`. Written once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Names the transfer; a second one under the same key does not happen.
    pub key: String,
    /// The account that gives.
    pub debit: Box<str>,
    /// The account that gets.
    pub credit: Box<str>,
    /// Above zero.
    pub amount_micro: i64,
    /// The currency of both.
    pub currency: Currency,
    /// When, milliseconds since 1970.
    pub unix_ms: i64,
}

/// The account that takes what customers spend.
pub fn revenue(currency: Currency) -> Box<str> {
    format!("@revenue:{}", currency.code()).into()
}

/// The account that customers' payments come from.
pub fn cash(currency: Currency) -> Box<str> {
    format!("@cash:{}", currency.code()).into()
}

/// Whether `name` does for a customer's account.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The form in which identities are compared: a SIP URI without parameters and in lower case, a
/// telephone number as `+` and digits (RFC 3966 5: visual separators mean nothing).
pub fn canonical_identity(text: &str) -> Box<str> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("sip:") || lower.starts_with("sips:") {
        return lower.split([';', '?']).next().unwrap_or_default().into();
    }
    let number = lower.strip_prefix("tel:").unwrap_or(&lower);
    let number = number.split(';').next().unwrap_or_default();
    let digits: String = number
        .chars()
        .filter(|character| !matches!(character, '-' | '.' | '(' | ')' | ' ' | '+'))
        .collect();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("+{digits}").into()
    } else {
        lower.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_compared_without_what_means_nothing() {
        for (written, canonical) in [
            (
                "sip:Alice@Example.org;transport=tcp",
                "sip:alice@example.org",
            ),
            ("tel:+1-555.12(34)", "+15551234"),
            ("15551234", "+15551234"),
            ("+15551234", "+15551234"),
            ("tel:+1555;phone-context=x", "+1555"),
            ("some-name", "some-name"),
        ] {
            assert_eq!(&*canonical_identity(written), canonical, "{written}");
        }
    }
}
