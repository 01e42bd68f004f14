//! Accounts, and the transfers between them.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
pub use tollwire_cdr::Payment;

use crate::notify::Contact;

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
    /// What else is known of the customer.
    #[serde(default)]
    pub profile: Profile,
}

/// What is known of a customer besides money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// IANA time zone: when calendar recharges and invoices are due.
    pub time_zone: Box<str>,
    /// Where notifications go: `sms:+4917...`, `sip:...`, `https://...`, `mailto:...`.
    pub contacts: Vec<Contact>,
    /// Language of notifications and invoices.
    pub language: Box<str>,
    /// Name and address, as on invoices; lines.
    pub address: Box<str>,
    /// Available sums at which the customer is told, micro-units.
    pub thresholds: Vec<i64>,
    /// Thresholds that were reached from above, and not left since.
    pub crossed: Vec<i64>,
    /// When what is left of a prepaid balance expires, milliseconds since 1970.
    pub expires_unix_ms: Option<i64>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            time_zone: "UTC".into(),
            contacts: Vec::new(),
            language: "en".into(),
            address: "".into(),
            thresholds: Vec::new(),
            crossed: Vec::new(),
            expires_unix_ms: None,
        }
    }
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
