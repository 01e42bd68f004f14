//! The ledger: double entries, in money and in units.

use std::fmt;
use std::str::FromStr;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

/// What an account holds, and what an entry moves. Written as `EUR` or `octets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Commodity {
    /// Money, counted in micro-units (millionths).
    Money(Currency),
    /// Octets.
    Octets,
    /// Seconds.
    Seconds,
    /// Short messages.
    Messages,
    /// Events of any other kind.
    Events,
    /// Access without limit while the balance is above zero; use takes nothing away, time does.
    Access,
}

impl Commodity {
    /// The currency, if it is money.
    pub fn currency(self) -> Option<Currency> {
        match self {
            Self::Money(currency) => Some(currency),
            _ => None,
        }
    }

    /// As in the ledger: an ISO 4217 code or the unit's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Money(currency) => currency.code(),
            Self::Octets => "octets",
            Self::Seconds => "seconds",
            Self::Messages => "messages",
            Self::Events => "events",
            Self::Access => "access",
        }
    }
}

impl fmt::Display for Commodity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl From<Commodity> for String {
    fn from(commodity: Commodity) -> Self {
        commodity.name().to_owned()
    }
}

/// It is neither a currency nor a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ISO 4217 currency, nor octets, seconds, messages, events or access")]
pub struct UnknownCommodity(String);

impl FromStr for Commodity {
    type Err = UnknownCommodity;

    fn from_str(text: &str) -> Result<Self, UnknownCommodity> {
        Ok(match text {
            "octets" => Self::Octets,
            "seconds" => Self::Seconds,
            "messages" => Self::Messages,
            "events" => Self::Events,
            "access" => Self::Access,
            code => Currency::from_code(code)
                .map(Self::Money)
                .ok_or_else(|| UnknownCommodity(text.chars().take(64).collect()))?,
        })
    }
}

impl TryFrom<String> for Commodity {
    type Error = UnknownCommodity;

    fn try_from(text: String) -> Result<Self, UnknownCommodity> {
        text.parse()
    }
}

/// One line of the ledger: `amount` goes from `debit` to `credit`. Written once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Names the transfer; a second one under the same key does not happen.
    pub key: String,
    /// The account that gives: a customer's (`alice`), a service account (`alice/gprs`) or one of the system's (`@cash:EUR`).
    pub debit: Box<str>,
    /// The account that gets.
    pub credit: Box<str>,
    /// Above zero; micro-units of money, or units.
    pub amount: i64,
    /// What is moved.
    pub commodity: Commodity,
    /// When, milliseconds since 1970.
    pub unix_ms: i64,
    /// What it is for; empty where nothing is bought.
    #[serde(default)]
    pub about: About,
}

/// What an entry pays for: what invoices and settlements go by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The service, as customers know it.
    pub service: Box<str>,
    /// Who provides it; empty is the operator.
    pub provider: Box<str>,
    /// Tax that the amount contains, hundredths of a percent.
    pub tax_basis_points: u16,
    /// What the operator keeps of a provider's amount, hundredths of a percent.
    pub commission_basis_points: u16,
}

/// The account that takes what customers spend.
pub fn revenue(commodity: Commodity) -> Box<str> {
    format!("@revenue:{commodity}").into()
}

/// The account that customers' payments come from.
pub fn cash(commodity: Commodity) -> Box<str> {
    format!("@cash:{commodity}").into()
}

/// The account that units come from when they are bought.
pub fn issued(commodity: Commodity) -> Box<str> {
    format!("@issued:{commodity}").into()
}

/// The account that takes units that were used.
pub fn used(commodity: Commodity) -> Box<str> {
    format!("@used:{commodity}").into()
}

/// The account that takes what was not used in time.
pub fn expired(commodity: Commodity) -> Box<str> {
    format!("@expired:{commodity}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commodities_are_read_as_they_are_written() {
        for commodity in [
            Commodity::Money(Currency::EUR),
            Commodity::Octets,
            Commodity::Seconds,
            Commodity::Messages,
            Commodity::Events,
            Commodity::Access,
        ] {
            assert_eq!(commodity.to_string().parse(), Ok(commodity));
        }
        assert!("euro".parse::<Commodity>().is_err());
    }
}
