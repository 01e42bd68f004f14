//! Telling customers what happened to their accounts.
//!
//! The core decides when, once per crossing, and stores each [`Notification`] in the transaction of the charge
//! that caused it. From there on a thread of its own tells each contact: no charge waits for it.
//!
//! ```text
//! core --Mutation::Notification--> store --commit--> Handle::made --> Queue --Send--> sms | sip | webhook | mail
//!                                    ^                                 |  ^                    |
//!                                    +------ ended, or later ----------+  +----- Outcome ------+
//! ```
//!
//! At least once: what was told and not yet stored as told is told again after a crash, under the same name.

mod channel;
mod contact;
mod deliver;
mod queue;
mod service;
mod settings;
mod text;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use channel::Channel;
pub use contact::{BadContact, Contact};
pub use queue::{Effect, End, Event, Limits, Outcome, Queue, State as QueueState};
pub(crate) use service::{Handle, Service, Write};
pub use settings::Notifications;
pub use text::{Rendered, Texts};

/// Contacts of one notification that are told; more are passed over.
pub const MAX_CONTACTS: usize = 16;

/// Something that a customer is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Names it for ever: what is sent twice can be known by it. Given by the core, strictly rising.
    pub id: u64,
    /// When it happened, milliseconds since 1970.
    pub unix_ms: i64,
    /// The customer's account.
    pub account: Box<str>,
    /// The account it is about: the service account (`alice/gprs`) or the main one (`alice`).
    pub subject: Box<str>,
    /// What happened.
    pub kind: Kind,
    /// What the account it is about has now: micro-units for a currency, else whole units.
    pub balance: i64,
    /// Of `balance` and `amount`: an ISO 4217 code, `octets`, `seconds`, `messages` or `events`.
    pub unit: Box<str>,
    /// What was recharged, or the threshold that was crossed; in the unit of `balance`.
    pub amount: i64,
    /// Language of the texts, as the account has it (`en`); empty: the configured one.
    #[serde(default)]
    pub language: Box<str>,
    /// Whom to tell; each is told by itself.
    pub contacts: Vec<Contact>,
}

impl Notification {
    /// The contacts that are told: each once, [`MAX_CONTACTS`] at the most.
    pub fn told_contacts(&self) -> impl Iterator<Item = &Contact> {
        let all = &self.contacts;
        let first = all
            .iter()
            .enumerate()
            .filter(|(at, contact)| !all.iter().take(*at).any(|earlier| earlier == *contact));
        first.map(|(_, contact)| contact).take(MAX_CONTACTS)
    }
}

/// One contact of one notification.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The notification.
    pub id: u64,
    /// The contact.
    pub contact: Contact,
}

/// One contact that is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What.
    pub notification: Arc<Notification>,
    /// Whom.
    pub contact: Contact,
    /// How often that was tried.
    pub attempts: u32,
}

impl Task {
    /// What names it.
    pub fn key(&self) -> Key {
        Key {
            id: self.notification.id,
            contact: self.contact.clone(),
        }
    }
}

/// A contact that is to be told, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What and whom.
    pub task: Task,
    /// When it is due, milliseconds since 1970.
    pub next_unix_ms: i64,
    /// Why the last attempt failed; empty before the first.
    pub error: String,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The balance fell to a threshold or below it.
    ThresholdCrossed,
    /// The account was recharged.
    Recharged,
    /// A recharge was due, and the main account could not pay it.
    RechargeFailed,
    /// Nothing is left.
    Exhausted,
    /// The service is restricted.
    Restricted,
    /// The restriction is lifted.
    Restored,
    /// The balance expires soon.
    Expiring,
    /// The balance has expired.
    Expired,
    /// Nothing: the operator tries the way.
    Test,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::ThresholdCrossed,
        Self::Recharged,
        Self::RechargeFailed,
        Self::Exhausted,
        Self::Restricted,
        Self::Restored,
        Self::Expiring,
        Self::Expired,
        Self::Test,
    ];

    /// As in JSON and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ThresholdCrossed => "threshold-crossed",
            Self::Recharged => "recharged",
            Self::RechargeFailed => "recharge-failed",
            Self::Exhausted => "exhausted",
            Self::Restricted => "restricted",
            Self::Restored => "restored",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Test => "test",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_as_they_say() {
        for kind in Kind::ALL {
            let json = serde_json::to_value(kind).unwrap();
            assert_eq!(json, kind.as_str());
        }
    }
}
