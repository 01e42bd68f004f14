//! What the core is told by the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use super::effect::Credentials;
use super::session::{Session, Terms};

/// Signs what the manager says.
pub trait Seal: std::fmt::Debug + Send + Sync {
    /// Both credentials of a session whose credit is held.
    ///
    /// # Errors
    /// What cannot be signed, for the log.
    fn credentials(&self, session: &Session) -> Result<Credentials, String>;

    /// The acknowledgement of the message of this identifier and sequence number.
    ///
    /// # Errors
    /// What cannot be signed, for the log.
    fn acknowledgement(
        &self,
        session: &Session,
        message: (&str, i64),
        now_ms: i64,
    ) -> Result<Arc<str>, String>;
}

/// A service that credentials are given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What is sold.
    pub terms: Terms,
    /// How long a credential is good for, seconds.
    pub lifetime_seconds: u32,
}

/// What the operator decides.
#[derive(Debug)]
pub struct Settings {
    /// Services by name.
    pub offers: HashMap<Box<str>, Offer>,
    /// Who signs.
    pub seal: Arc<dyn Seal>,
    /// Sessions at once.
    pub max_sessions: usize,
    /// Of them one user's.
    pub max_sessions_per_user: usize,
    /// How much longer than its policy a provider may be silent, milliseconds.
    pub grace_ms: i64,
    /// The pause before something is tried again; it doubles up to the second one. Milliseconds.
    pub retry_first_ms: i64,
    /// See `retry_first_ms`.
    pub retry_most_ms: i64,
}
