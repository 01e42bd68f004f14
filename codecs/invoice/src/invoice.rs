//! The invoice: a shop's signed demand for one payment, to one billing server.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use tollwire_jose::{JoseError, Jwk, SigningKey, digest, sign, verify_embedded};
use url::Url;

use crate::{LONGEST_TEXT, Refusal, SKEW_SECONDS};

const TYP: &str = "invoice+jwt";
/// Seconds that an invoice may be good for.
pub const LONGEST_VALIDITY: i64 = 7 * 86_400;
/// Billing servers that may have handed an invoice on.
pub const MOST_VIA: usize = 4;
/// Characters of a reference: 128 bits in base64url.
const SHORTEST_REFERENCE: usize = 22;
/// Micro-units: a thousand millions of a currency. What is above is a mistake.
const LARGEST_AMOUNT: i64 = 1_000_000_000_000_000;

/// What a shop wants to be paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// The shop's public URL.
    pub iss: String,
    /// Thumbprint of the acknowledgement key of the one billing server that may take it.
    pub aud: String,
    /// The name under which the shop is paid.
    pub provider: String,
    /// The invoice's own reference: 22 characters or more that cannot be guessed, and never used again.
    pub reference: String,
    /// The shop's own: an order number, for example.
    pub provider_reference: String,
    /// What is bought, for people.
    pub title: String,
    /// Micro-units, above zero, tax included.
    pub amount_micro: i64,
    /// ISO 4217.
    pub currency: Currency,
    /// Tax that the amount contains, hundredths of a percent.
    pub tax_basis_points: u16,
    /// Where the acknowledgement is POSTed to.
    pub acknowledgement_url: String,
    /// Where the customer goes on when he has paid.
    pub service_url: String,
    /// When it was made, seconds since 1970.
    pub iat: i64,
    /// Until when it may be paid, seconds since 1970.
    pub exp: i64,
    /// Thumbprints of the billing servers that handed it on, the first one first.
    pub via: Vec<String>,
}

/// An invoice whose signature is good, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What it says.
    pub invoice: Invoice,
    /// The key that signed it: the provider's.
    pub key: Jwk,
    /// Its name: SHA-256 of the token, base64url.
    pub digest: String,
}

/// An https URL without a user, without a fragment.
pub(crate) fn https(text: &str) -> Option<Url> {
    let url = (text.len() <= LONGEST_TEXT).then(|| Url::parse(text).ok())??;
    let plain = url.scheme() == "https"
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control)
}

pub(crate) fn is_thumbprint(text: &str) -> bool {
    let base64url = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    text.len() == 43 && text.bytes().all(base64url)
}

impl Invoice {
    /// Signed with the provider's key, which goes with it.
    ///
    /// # Errors
    /// A field is not what it has to be, or it cannot be signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, Refusal> {
        self.check()?;
        Ok(sign(key, TYP, self, true)?)
    }

    /// An invoice that came to the billing server whose key has the thumbprint `own`.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn read(token: &str, own: &str, now: i64) -> Result<Received, Refusal> {
        let (invoice, key): (Self, Jwk) = verify_embedded(token, TYP)?;
        invoice.check()?;
        if invoice.aud != own {
            return Err(Refusal::Audience);
        }
        if invoice.via.iter().any(|via| via == own) {
            return Err(Refusal::Loop);
        }
        if invoice.iat > now.saturating_add(SKEW_SECONDS) {
            return Err(Refusal::NotYet);
        }
        if invoice.exp <= now {
            return Err(Refusal::Expired);
        }
        Ok(Received {
            invoice,
            key,
            digest: digest(token),
        })
    }

    /// An invoice that was read before, from one's own store: neither its time nor its audience count.
    ///
    /// # Errors
    /// It is no signed invoice.
    pub fn read_again(token: &str) -> Result<Received, JoseError> {
        let (invoice, key) = verify_embedded(token, TYP)?;
        Ok(Received {
            invoice,
            key,
            digest: digest(token),
        })
    }

    fn check(&self) -> Result<(), Refusal> {
        let field = |field, problem| Err(Refusal::Field { field, problem });
        let Some(shop) = https(&self.iss) else {
            return field("iss", "is no https URL");
        };
        for (name, text) in [
            ("provider", &self.provider),
            ("provider_reference", &self.provider_reference),
            ("title", &self.title),
        ] {
            if !is_text(text) {
                return field(name, "is empty, too long or has control characters");
            }
        }
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        if !(SHORTEST_REFERENCE..=128).contains(&self.reference.len())
            || !self.reference.bytes().all(plain)
        {
            return field("reference", "is not 22 to 128 characters of base64url");
        }
        if !(1..=LARGEST_AMOUNT).contains(&self.amount_micro) {
            return field("amount_micro", "is not above zero, or too large");
        }
        if self.tax_basis_points > 10_000 {
            return field("tax_basis_points", "is above a hundred percent");
        }
        // A shop speaks of itself alone: nobody is sent, or made to POST, elsewhere in its name.
        for (name, text) in [
            ("acknowledgement_url", &self.acknowledgement_url),
            ("service_url", &self.service_url),
        ] {
            if !https(text).is_some_and(|url| url.origin() == shop.origin()) {
                return field(name, "is no https URL of the shop's own (iss)");
            }
        }
        if !is_thumbprint(&self.aud) || !self.via.iter().all(|via| is_thumbprint(via)) {
            return field("aud", "or via is no thumbprint of a key");
        }
        if self.via.len() > MOST_VIA {
            return Err(Refusal::Loop);
        }
        match self.exp.checked_sub(self.iat) {
            Some(1..=LONGEST_VALIDITY) => Ok(()),
            _ => field("exp", "is not after iat, or more than a week after it"),
        }
    }
}
