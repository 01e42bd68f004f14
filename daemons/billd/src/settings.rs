//! What the core and the checks of invoices go by.

use std::collections::HashMap;
use std::sync::Arc;

use iso_currency::Currency;
use tollwire_invoice::Fee;
use tollwire_jose::SigningKey;

/// What a shop has agreed on with us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The name it is paid under.
    pub name: Box<str>,
    /// Thumbprint of its key.
    pub key: Box<str>,
    /// What we keep of its payments, if that is not what everybody's is.
    pub fee: Option<Fee>,
}

/// Agreements by both ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreements {
    by_key: HashMap<Box<str>, Agreement>,
    by_name: HashMap<Box<str>, Box<str>>,
}

impl Agreements {
    /// Of a list.
    ///
    /// # Errors
    /// A name or a key that stands there twice.
    pub fn new(all: impl IntoIterator<Item = Agreement>) -> Result<Self, String> {
        let mut agreements = Self::default();
        for agreement in all {
            let name = folded(&agreement.name);
            if agreements
                .by_name
                .insert(name, agreement.key.clone())
                .is_some()
            {
                return Err(format!("{:?} stands there twice", agreement.name));
            }
            let key = agreement.key.clone();
            if agreements.by_key.insert(key, agreement).is_some() {
                return Err("a key stands there twice".into());
            }
        }
        Ok(agreements)
    }

    /// That of a key.
    pub fn of_key(&self, key: &str) -> Option<&Agreement> {
        self.by_key.get(key)
    }

    /// The key that a name belongs to, whatever its case.
    pub fn key_of(&self, name: &str) -> Option<&str> {
        self.by_name.get(&folded(name)).map(|key| &**key)
    }
}

fn folded(name: &str) -> Box<str> {
    name.trim().to_lowercase().into()
}

/// Everything.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our URL, without a slash at its end.
    pub url: Box<str>,
    /// What acknowledgements are signed with.
    pub key: Arc<SigningKey>,
    /// Its thumbprint.
    pub thumbprint: Box<str>,
    /// What we keep of each payment.
    pub fee: Fee,
    /// What we take.
    pub currencies: Vec<Currency>,
    /// The least invoice, micro-units.
    pub minimum_micro: i64,
    /// The largest invoice; 0 is no limit.
    pub maximum_micro: i64,
    /// Whether a shop without an agreement is refused.
    pub agreement_required: bool,
    /// Agreements.
    pub agreements: Agreements,
    /// For how long an acknowledgement is good, seconds.
    pub acknowledgement_seconds: i64,
    /// Payments that are open at once.
    pub max_open: usize,
    /// Acknowledgements that are on their way at once.
    pub max_posts: usize,
    /// Of those, to one host.
    pub max_posts_per_host: usize,
    /// The first wait for another attempt at an acknowledgement, milliseconds; each later one is twice as long.
    pub post_first_ms: i64,
    /// The longest wait for it.
    pub post_most_ms: i64,
    /// The same for the charging system.
    pub credit_first_ms: i64,
    /// The longest wait for it.
    pub credit_most_ms: i64,
}
