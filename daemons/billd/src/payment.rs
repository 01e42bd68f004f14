//! A payment: one invoice, who pays it, and how far that has come.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollwire_invoice::Invoice;
use tollwire_jose::Jwk;

/// What names a payment: SHA-256 of the invoice's compact JWS, base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentId(Arc<str>);

impl PaymentId {
    /// Of an invoice as it came.
    pub fn of(jws: &str) -> Self {
        Self(tollwire_jose::digest(jws).into())
    }

    /// As it was stored.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How far a payment has come.
///
/// ```text
/// Forwarded --onward server acknowledges--+
///                                         v
/// (form) -----------------------------> Charging --> Paid --> Acknowledged
///                                         |  ^         |
///                                         v  | again   v
///                                       Refused      Refunding --> Refunded
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Handed on: another billing server has to acknowledge it first.
    Forwarded,
    /// The charging system is asked, or may have been.
    Charging,
    /// Nobody paid; the form may be sent again.
    Refused,
    /// Debited; the shop has to be told.
    Paid,
    /// The shop knows.
    Acknowledged,
    /// The shop does not deliver; the charging system has to pay back.
    Refunding,
    /// Paid back.
    Refunded,
}

impl State {
    /// Each with its name.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::Forwarded, "forwarded"),
        (Self::Charging, "charging"),
        (Self::Refused, "refused"),
        (Self::Paid, "paid"),
        (Self::Acknowledged, "acknowledged"),
        (Self::Refunding, "refunding"),
        (Self::Refunded, "refunded"),
    ];

    /// Its name in the store, on pages and in lists.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("", |(_, name)| name)
    }

    /// The state called so.
    pub fn from_name(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(state, _)| *state)
    }

    /// Whether something has still to be done by this server itself.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Charging | Self::Paid | Self::Refunding)
    }
}

/// What the charging system knows a customer by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subscription {
    /// The name of an account.
    Account(Box<str>),
    /// A telephone number, E.164: `+491234`.
    Number(Box<str>),
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    /// What he calls himself here.
    pub login: Box<str>,
    /// What the charging system calls him.
    pub subscription: Subscription,
    /// Rating-Group of the service account that pays, if it is not the main one.
    pub rating_group: Option<u32>,
}

/// Where a payment was handed on to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onward {
    /// The billing server, as its customers know it.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Its key.
    pub key: Jwk,
    /// Reference of our invoice to it.
    pub reference: String,
    /// That invoice.
    pub invoice: String,
    /// When its acknowledgement is void, seconds since 1970; 0 before there is one.
    #[serde(default)]
    pub acknowledged_until: i64,
}

/// An invoice that somebody wants to pay: what is stored at first.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Its name.
    pub id: PaymentId,
    /// What the receipt page is found by; whoever has it sees that page.
    pub token: Box<str>,
    /// What the shop signed.
    pub invoice: Arc<Invoice>,
    /// Thumbprint of the shop's key.
    pub shop_key: Box<str>,
    /// Name of the provider's settlement account.
    pub provider: Box<str>,
    /// What we keep, micro-units.
    pub fee_micro: i64,
    /// Who pays.
    pub payer: Payer,
    /// If another billing server is to collect it.
    pub onward: Option<Box<Onward>>,
}

/// A payment as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// What was asked for.
    pub order: Order,
    /// How far it is.
    pub state: State,
    /// Which attempt to charge it: a customer may have to top up first.
    pub attempt: u32,
    /// Why it is refused or refunded: Result-Code of Diameter, or status of HTTP; 0 for none.
    pub cause: u32,
    /// When it began, milliseconds since 1970.
    pub created_ms: i64,
    /// When it was debited.
    pub paid_ms: Option<i64>,
    /// When it last changed.
    pub changed_ms: i64,
    /// What the shop is sent.
    pub acknowledgement: Option<Arc<str>>,
}

impl Payment {
    /// Seconds since 1970 until which the acknowledgement is good, if there is one.
    pub fn acknowledgement_expires(&self, lifetime_seconds: i64) -> i64 {
        let own = (self.paid_ms.unwrap_or(0) / 1000).saturating_add(lifetime_seconds);
        match &self.order.onward {
            // Whoever collected for us pays back when that is void: ours must not outlive it.
            Some(onward) => own.min(onward.acknowledged_until),
            None => own,
        }
    }
}
