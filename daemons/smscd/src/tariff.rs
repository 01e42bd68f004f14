//! Tariffs: how each peer writes them, and what the classes cost.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tollwire_runtime::config::Configuration;
use tollwire_smpp::tariff::{self, Advice, Format, HIGHEST_AMOUNT_MICRO, Price};

use crate::message::{Charge, Message, Payer, Tlv};

/// One entry of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffClass {
    /// The class, as in the TLV.
    pub number: u16,
    /// Its price, micro-units.
    pub amount_micro: i64,
    /// The currency of the price.
    pub currency: Currency,
    /// For people.
    #[serde(default)]
    pub description: Box<str>,
    /// From when on this price holds; always, if absent.
    pub valid_from: Option<jiff::Timestamp>,
}

/// What the classes cost, and from when on. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TariffTable(Arc<BTreeMap<(u16, i64), TariffClass>>);

/// Why a message has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoCharge {
    /// The value cannot be read.
    #[error(transparent)]
    Unreadable(#[from] tariff::TariffError),
    /// The table does not know the class, or not yet.
    #[error("tariff class {0} is not in force")]
    UnknownClass(u16),
    /// The currency is none that ISO 4217 knows.
    #[error("unknown currency")]
    UnknownCurrency,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    class: Vec<TariffClass>,
}

impl Configuration for File {}

impl TariffTable {
    /// Checks and orders the classes.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub fn new(classes: Vec<TariffClass>) -> Result<Self, String> {
        let mut table = BTreeMap::new();
        for class in classes {
            if !(0..=HIGHEST_AMOUNT_MICRO).contains(&class.amount_micro) {
                return Err(format!(
                    "class {}: a price is 0 to {HIGHEST_AMOUNT_MICRO} micro-units",
                    class.number
                ));
            }
            let from = class
                .valid_from
                .map_or(i64::MIN, jiff::Timestamp::as_millisecond);
            if let Some(other) = table.insert((class.number, from), class) {
                return Err(format!(
                    "class {}: two prices from the same time on",
                    other.number
                ));
            }
        }
        Ok(Self(Arc::new(table)))
    }

    /// Reads the classes in `file`: `[[class]]` entries.
    ///
    /// # Errors
    /// File, line and what is wrong.
    pub fn load(file: &Path) -> Result<Self, String> {
        let content: File =
            tollwire_runtime::config::load(file).map_err(|error| error.to_string())?;
        Self::new(content.class).map_err(|fault| format!("{}: {fault}", file.display()))
    }

    /// Every entry, by number and time.
    pub fn all(&self) -> impl Iterator<Item = &TariffClass> {
        self.0.values()
    }

    /// The entry of `class` that is in force at `unix_ms`.
    pub fn find(&self, class: u16, unix_ms: i64) -> Option<&TariffClass> {
        self.0
            .range((class, i64::MIN)..=(class, unix_ms))
            .next_back()
            .map(|(_, class)| class)
    }

    /// What the value of a tariff TLV says that a message accepted at `unix_ms` costs.
    ///
    /// # Errors
    /// Why it says nothing.
    pub fn charge(&self, format: &Format, value: &[u8], unix_ms: i64) -> Result<Charge, NoCharge> {
        let Advice { price, payer } = tariff::read(format, value)?;
        match price {
            Price::Direct {
                amount_micro,
                currency,
            } => {
                let known = std::str::from_utf8(&currency)
                    .ok()
                    .and_then(Currency::from_code);
                if known.is_none() {
                    return Err(NoCharge::UnknownCurrency);
                }
                Ok(Charge {
                    amount_micro,
                    currency,
                    class: None,
                    payer,
                })
            }
            Price::Class(number) => {
                let class = self
                    .find(number, unix_ms)
                    .ok_or(NoCharge::UnknownClass(number))?;
                let currency = class.currency.code().as_bytes();
                Ok(Charge {
                    amount_micro: class.amount_micro,
                    currency: *currency.first_chunk().ok_or(NoCharge::UnknownCurrency)?,
                    class: Some(number),
                    payer,
                })
            }
        }
    }
}

/// The charge of a message as a TLV of our own; `None` if nothing is charged.
pub fn resolved(message: &Message) -> Option<Tlv> {
    let charge = message.charge.as_ref()?;
    let advice = Advice {
        price: Price::Direct {
            amount_micro: charge.amount_micro,
            currency: charge.currency,
        },
        payer: charge.payer.clone(),
    };
    Some(Tlv {
        tag: tariff::DEFAULT_TAG,
        value: tariff::write(&advice).into(),
    })
}

/// `tariff_format` of a peer in the configuration (docs/tariff-tlv.md).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(tag = "format", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TariffFormat {
    /// Our own.
    #[default]
    Native,
    /// Digits of a price.
    AsciiPrice {
        /// Of the price.
        currency: Currency,
        /// Decimal places.
        exponent: u8,
        /// `receiver`, `sender` or an account.
        payer: Box<str>,
    },
    /// Digits of a class.
    AsciiClass {
        /// `receiver`, `sender` or an account.
        payer: Box<str>,
    },
    /// A class as a number.
    IntegerClass {
        /// Octets.
        width: u8,
        /// `receiver`, `sender` or an account.
        payer: Box<str>,
    },
    /// SMPP 5.0's `billing_identification`.
    BillingIdentification {
        /// Its first octet.
        billing_format: u8,
    },
}

impl TariffFormat {
    /// As the codec needs it.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub fn format(&self) -> Result<Format, &'static str> {
        Ok(match self {
            Self::Native => Format::Native,
            Self::AsciiPrice {
                currency,
                exponent,
                payer,
            } => {
                if *exponent > 6 {
                    return Err("exponent is 0 to 6");
                }
                let code = currency.code().as_bytes();
                Format::AsciiPrice {
                    currency: *code.first_chunk().ok_or("currency is an ISO 4217 code")?,
                    exponent: *exponent,
                    payer: payer_of(payer)?,
                }
            }
            Self::AsciiClass { payer } => Format::AsciiClass {
                payer: payer_of(payer)?,
            },
            Self::IntegerClass { width, payer } => {
                if !matches!(width, 1 | 2 | 4) {
                    return Err("width is 1, 2 or 4");
                }
                Format::IntegerClass {
                    width: *width,
                    payer: payer_of(payer)?,
                }
            }
            Self::BillingIdentification { billing_format } => {
                if *billing_format < 0x80 {
                    return Err("billing_format is 128 to 255 (SMPP 5.0 section 4.8.4.3)");
                }
                Format::BillingIdentification {
                    billing_format: *billing_format,
                }
            }
        })
    }
}

/// `receiver`, `sender`, or the name of an account.
/// `receiver`, `sender` or an account, as the configuration writes it. What a tariff TLV cannot carry is no account:
/// the next hop would bill another one, or refuse the message.
///
/// # Errors
/// What is wrong, for the operator.
pub fn payer_of(text: &str) -> Result<Payer, &'static str> {
    match text {
        "receiver" => Ok(Payer::Receiver),
        "sender" => Ok(Payer::Sender),
        account
            if account.is_empty()
                || account.len() > tariff::LONGEST_ACCOUNT
                || account.chars().any(char::is_control) =>
        {
            Err("payer is \"receiver\", \"sender\" or an account: 1 to 64 octets of text")
        }
        account => Ok(Payer::ThirdParty(account.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(number: u16, amount_micro: i64, from: Option<i64>) -> TariffClass {
        TariffClass {
            number,
            amount_micro,
            currency: Currency::EUR,
            description: "".into(),
            valid_from: from.map(|ms| jiff::Timestamp::from_millisecond(ms).unwrap()),
        }
    }

    #[test]
    fn the_price_that_is_in_force_counts() {
        let table = TariffTable::new(vec![
            class(7, 300, Some(2000)),
            class(7, 100, None),
            class(7, 200, Some(1000)),
            class(8, 1, Some(5000)),
        ])
        .unwrap();
        let amount = |class, at| table.find(class, at).map(|class| class.amount_micro);
        assert_eq!(amount(7, -1), Some(100));
        assert_eq!(amount(7, 999), Some(100));
        assert_eq!(amount(7, 1000), Some(200));
        assert_eq!(amount(7, i64::MAX), Some(300));
        assert_eq!(amount(8, 4999), None);
        assert_eq!(amount(9, 9999), None);
        let value = |class: u16| {
            tariff::write(&Advice {
                price: Price::Class(class),
                payer: Payer::Sender,
            })
        };
        let charge = table.charge(&Format::Native, &value(7), 1500).unwrap();
        assert_eq!(
            (charge.amount_micro, charge.currency, charge.class),
            (200, *b"EUR", Some(7))
        );
        assert_eq!(
            table.charge(&Format::Native, &value(9), 1500),
            Err(NoCharge::UnknownClass(9))
        );
        let no_money = tariff::write(&Advice {
            price: Price::Direct {
                amount_micro: 1,
                currency: *b"QQQ",
            },
            payer: Payer::Sender,
        });
        assert_eq!(
            table.charge(&Format::Native, &no_money, 0),
            Err(NoCharge::UnknownCurrency)
        );
        assert!(TariffTable::new(vec![class(1, 1, None), class(1, 2, None)]).is_err());
        assert!(TariffTable::new(vec![class(1, -1, None)]).is_err());
    }

    #[test]
    fn the_table_and_the_formats_in_their_files() {
        let text = "[[class]]\nnumber = 7\namount_micro = 250000\ncurrency = \"EUR\"\ndescription = \"news\"\nvalid_from = \"2026-03-01T00:00:00Z\"\n";
        let file: File = tollwire_runtime::config::parse(Path::new("classes.toml"), text).unwrap();
        let table = TariffTable::new(file.class).unwrap();
        assert_eq!(table.find(7, 1_772_323_199_999), None);
        assert_eq!(
            table.find(7, 1_772_323_200_000).unwrap().amount_micro,
            250_000
        );
        #[derive(Deserialize)]
        struct Peer {
            tariff_format: TariffFormat,
        }
        let format = |text: &str| {
            let peer: Peer = toml::from_str(&format!("tariff_format = {text}")).map_err(|_| "")?;
            peer.tariff_format.format()
        };
        assert_eq!(
            format("{ format = \"integer-class\", width = 2, payer = \"shop\" }"),
            Ok(Format::IntegerClass {
                width: 2,
                payer: Payer::ThirdParty("shop".into())
            })
        );
        assert_eq!(format("{ format = \"native\" }"), Ok(Format::Native));
        assert!(format("{ format = \"integer-class\", width = 3, payer = \"sender\" }").is_err());
        assert!(format("{ format = \"ascii-price\", payer = \"sender\" }").is_err());
        assert!(format("{ format = \"billing-identification\", billing_format = 1 }").is_err());
    }
}
