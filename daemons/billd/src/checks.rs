//! Whether an invoice is taken.

use std::sync::Arc;

use iso_currency::Currency;
use tollwire_invoice::{Fee, Invoice, Refusal as NotTaken};

use crate::payment::PaymentId;
use crate::settings::Settings;

/// An invoice that may be paid here.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What names its payment.
    pub id: PaymentId,
    /// What it says.
    pub invoice: Arc<Invoice>,
    /// Thumbprint of the shop's key.
    pub shop_key: Box<str>,
    /// Who is paid, as we know him.
    pub provider: Box<str>,
    /// Whether that name is agreed on, and not just the shop's own claim.
    pub agreed: bool,
    /// Name of his settlement account.
    pub settlement: Box<str>,
    /// What we keep, micro-units.
    pub fee_micro: i64,
}

/// Why it is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// By itself.
    #[error(transparent)]
    Invoice(#[from] NotTaken),
    /// Below our least sum, micro-units.
    #[error("below {0} micro-units")]
    TooSmall(i64, Currency),
    /// Above our largest.
    #[error("above {0} micro-units")]
    TooLarge(i64, Currency),
    /// We do not take this currency.
    #[error("{0:?} is not taken here")]
    Currency(Currency),
    /// Its shop has no agreement with us.
    #[error("an agreement is required, and the key {0} has none")]
    NoAgreement(Box<str>),
    /// The shop calls itself by somebody else's name.
    #[error("the name {0:?} belongs to another key")]
    Name(String),
}

impl Settings {
    /// Looks at an invoice as it came.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn check(&self, token: &str, now_seconds: i64) -> Result<Checked, Refusal> {
        let received = Invoice::read(token, &self.thumbprint, now_seconds)?;
        let invoice = received.invoice;
        let amount = invoice.amount_micro;
        if !self.currencies.contains(&invoice.currency) {
            return Err(Refusal::Currency(invoice.currency));
        }
        if amount < self.minimum_micro {
            return Err(Refusal::TooSmall(self.minimum_micro, invoice.currency));
        }
        if self.maximum_micro > 0 && amount > self.maximum_micro {
            return Err(Refusal::TooLarge(self.maximum_micro, invoice.currency));
        }
        let shop_key = received.key.thumbprint().into_boxed_str();
        let agreement = self.agreements.of_key(&shop_key);
        let fee: Fee = agreement
            .and_then(|agreement| agreement.fee)
            .unwrap_or(self.fee);
        let (provider, settlement) = match agreement {
            Some(agreement) => (agreement.name.clone(), agreement.name.clone()),
            None => {
                // Whoever reads the page, or the settlement, would take him for the other.
                if self.agreements.key_of(&invoice.provider).is_some() {
                    return Err(Refusal::Name(invoice.provider));
                }
                if self.agreement_required {
                    return Err(Refusal::NoAgreement(shop_key));
                }
                (
                    invoice.provider.as_str().into(),
                    format!("key:{shop_key}").into(),
                )
            }
        };
        Ok(Checked {
            id: PaymentId::stored(&received.digest),
            fee_micro: fee.of(amount),
            agreed: agreement.is_some(),
            shop_key,
            provider,
            settlement,
            invoice: Arc::new(invoice),
        })
    }
}
