//! The acknowledgement: a billing server's signed word that an invoice was paid.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use tollwire_jose::{Jwk, SigningKey, sign, verify};

use crate::{Invoice, Refusal, SKEW_SECONDS};

const TYP: &str = "acknowledgement+jwt";

/// That an invoice was paid. It names no customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The billing server's URL.
    pub iss: String,
    /// The shop's: the invoice's `iss`.
    pub aud: String,
    /// The acknowledgement's own name: one payment has one.
    pub jti: String,
    /// SHA-256 of the invoice as it was on the wire, base64url.
    pub invoice: String,
    /// As in the invoice.
    pub reference: String,
    /// As in the invoice.
    pub provider_reference: String,
    /// As in the invoice.
    pub provider: String,
    /// As in the invoice.
    pub amount_micro: i64,
    /// As in the invoice.
    pub currency: Currency,
    /// When it was paid, seconds since 1970.
    pub paid_at: i64,
    /// When this was made, seconds since 1970.
    pub iat: i64,
    /// Until when the shop may take it, seconds since 1970. Only after it may a payment that the shop never answered for be given back.
    pub exp: i64,
}

impl Acknowledgement {
    /// That the invoice of this digest was paid at `paid_at`; the shop may take it until `exp`.
    pub fn of(
        (invoice, digest): (&Invoice, &str),
        iss: &str,
        jti: &str,
        paid_at: i64,
        exp: i64,
    ) -> Self {
        Self {
            iss: iss.into(),
            aud: invoice.iss.clone(),
            jti: jti.into(),
            invoice: digest.into(),
            reference: invoice.reference.clone(),
            provider_reference: invoice.provider_reference.clone(),
            provider: invoice.provider.clone(),
            amount_micro: invoice.amount_micro,
            currency: invoice.currency,
            paid_at,
            iat: paid_at,
            exp,
        }
    }

    /// Signed with the key whose thumbprint is advertised.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, Refusal> {
        Ok(sign(key, TYP, self, false)?)
    }

    /// What an acknowledgement says that nothing is proven of: for finding the invoice that it is for.
    ///
    /// # Errors
    /// It is not signed by `key`, or no acknowledgement.
    pub fn read(token: &str, key: &Jwk) -> Result<Self, Refusal> {
        Ok(verify(token, key, TYP)?)
    }
}

/// What an acknowledgement has to be of.
#[derive(Debug, Clone)]
pub struct Awaited<'a> {
    /// The invoice.
    pub invoice: &'a Invoice,
    /// Its digest.
    pub digest: &'a str,
    /// The billing server's key; its thumbprint is the invoice's `aud`.
    pub key: &'a Jwk,
}

impl Awaited<'_> {
    /// The acknowledgement of just this invoice, by just this server, in time.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn check(&self, token: &str, now: i64) -> Result<Acknowledgement, Refusal> {
        if self.key.thumbprint() != self.invoice.aud {
            return Err(Refusal::Mismatch("the key"));
        }
        let told = Acknowledgement::read(token, self.key)?;
        let invoice = self.invoice;
        if told.aud != invoice.iss {
            return Err(Refusal::Audience);
        }
        for (field, same) in [
            ("invoice", told.invoice == self.digest),
            ("reference", told.reference == invoice.reference),
            (
                "provider_reference",
                told.provider_reference == invoice.provider_reference,
            ),
            ("provider", told.provider == invoice.provider),
            ("amount_micro", told.amount_micro == invoice.amount_micro),
            ("currency", told.currency == invoice.currency),
        ] {
            if !same {
                return Err(Refusal::Mismatch(field));
            }
        }
        if told.jti.is_empty() || told.jti.len() > 128 {
            return Err(Refusal::Field {
                field: "jti",
                problem: "is empty or too long",
            });
        }
        if told.iat > now.saturating_add(SKEW_SECONDS) {
            return Err(Refusal::NotYet);
        }
        if told.exp <= now {
            return Err(Refusal::Expired);
        }
        // It was payable then; the message itself may come later, after a crash or an outage.
        if told.paid_at < invoice.iat.saturating_sub(SKEW_SECONDS)
            || told.paid_at > invoice.exp.saturating_add(SKEW_SECONDS)
        {
            return Err(Refusal::Field {
                field: "paid_at",
                problem: "is not while the invoice was good",
            });
        }
        Ok(told)
    }
}
