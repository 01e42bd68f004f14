//! Where an address of record can be reached.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tollwire_sip::Uri;

/// One contact of an address of record (RFC 3261 10.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The contact URI as registered.
    pub contact: Box<str>,
    /// `+sip.instance` and `reg-id` (RFC 5626 4.1), if the phone gave them: they then name the binding in place of the URI.
    pub instance: Option<Box<str>>,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// When it ends, milliseconds since 1970.
    pub expires_at_unix_ms: i64,
    /// Call-ID of the REGISTER that made it.
    pub call_id: Box<str>,
    /// CSeq number of that REGISTER.
    pub sequence: u32,
    /// Path of that REGISTER (RFC 3327), topmost first.
    pub path: Vec<Box<str>>,
    /// Where the REGISTER came from: reaches phones behind a translator.
    pub received: SocketAddr,
    /// Token of the transport it came over (`UDP`, `TCP`, `TLS`).
    pub transport: Box<str>,
}

impl Binding {
    /// What names this binding within its address of record, also in the store.
    pub fn key(&self) -> &str {
        self.instance.as_deref().unwrap_or(&self.contact)
    }

    /// Whole seconds left, rounded up.
    pub fn seconds_left(&self, now_unix_ms: i64) -> i64 {
        let milliseconds = self.expires_at_unix_ms.saturating_sub(now_unix_ms).max(0);
        milliseconds / 1000 + i64::from(milliseconds % 1000 > 0)
    }

    /// Whether a REGISTER for `contact` or `instance` speaks of this binding: by instance where both have one,
    /// else by URI comparison (RFC 3261 10.3 step 7, 19.1.4).
    pub fn is_named_by(&self, contact: &Uri<'_>, instance: Option<&str>) -> bool {
        match (self.instance.as_deref(), instance) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => Uri::parse(&self.contact).is_ok_and(|ours| ours.equivalent(contact)),
        }
    }
}
