//! The tariff TLV: the advice of charge that a message carries (docs/tariff-tlv.md).
//!
//! ```text
//!  0        1        2                                                    octets
//! +--------+--------+--------------------------------------------+--------+------------------+
//! |version | kind   | kind 0: amount_micro (8), currency (3)     | payer  | account          |
//! |   1    | 0 or 1 | kind 1: tariff class (2)                   | 0 to 2 | payer 2: 1 to 64 |
//! +--------+--------+--------------------------------------------+--------+------------------+
//! ```
//! Numbers are big-endian. Beside this one, the plain values of other operators are read ([`Format`]). Whatever is not
//! exactly of the form is an error: a price is never guessed.

use thiserror::Error;

/// Tag of our own TLV, where no other is configured: in the vendor-specific range 0x1400 to 0x3FFF (SMPP 3.4 section
/// 5.3.1), where nothing that we know of is in use.
pub const DEFAULT_TAG: u16 = 0x1500;
/// The version of the value.
pub const VERSION: u8 = 1;
/// The highest price, micro-units: a thousand million units, so that sums stay far inside an i64.
pub const HIGHEST_AMOUNT_MICRO: i64 = 1_000_000_000_000_000;
/// Octets of an account at most.
pub const LONGEST_ACCOUNT: usize = 64;

const KIND_PRICE: u8 = 0;
const KIND_CLASS: u8 = 1;
const PAYER_RECEIVER: u8 = 0;
const PAYER_SENDER: u8 = 1;
const PAYER_THIRD_PARTY: u8 = 2;

/// What a message is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Price {
    /// This much.
    Direct {
        /// Micro-units, 0 to [`HIGHEST_AMOUNT_MICRO`].
        amount_micro: i64,
        /// ISO 4217 code: three capital letters.
        currency: [u8; 3],
    },
    /// What the tariff table says for this class.
    Class(u16),
}

/// Who pays: the object of billing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Payer {
    /// Who gets the message.
    Receiver,
    /// Who sent it.
    Sender,
    /// This account, an advertiser's for example: 1 to [`LONGEST_ACCOUNT`] octets of UTF-8.
    ThirdParty(Box<str>),
}

/// An advice of charge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Advice {
    /// What it is worth.
    pub price: Price,
    /// Who pays.
    pub payer: Payer,
}

/// How a value is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Format {
    /// As above.
    #[default]
    Native,
    /// Digits of a price, in ASCII; a final NUL may follow.
    AsciiPrice {
        /// Its currency.
        currency: [u8; 3],
        /// Decimal places: 2 if it is in cents. 0 to 6.
        exponent: u8,
        /// Who pays.
        payer: Payer,
    },
    /// Digits of a tariff class, in ASCII; a final NUL may follow.
    AsciiClass {
        /// Who pays.
        payer: Payer,
    },
    /// A tariff class as a big-endian number.
    IntegerClass {
        /// Octets: 1, 2 or 4.
        width: u8,
        /// Who pays.
        payer: Payer,
    },
    /// `billing_identification` (SMPP 5.0 section 4.8.4.3): one octet that names the format, 0x80 to 0xFF being
    /// vendor-specific, and then our own value.
    BillingIdentification {
        /// That octet.
        billing_format: u8,
    },
}

/// Why a value is no advice of charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TariffError {
    /// It ends too early.
    #[error("the value ends too early")]
    Short,
    /// Something follows its end.
    #[error("octets follow the end of the value")]
    Trailing,
    /// A version that is not [`VERSION`].
    #[error("unknown version {0}")]
    Version(u8),
    /// Neither price nor class.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// Below 0 or above [`HIGHEST_AMOUNT_MICRO`].
    #[error("the amount is out of range")]
    Amount,
    /// Not three capital letters.
    #[error("the currency is no ISO 4217 code")]
    Currency,
    /// Neither receiver, sender nor third party.
    #[error("unknown payer {0}")]
    Payer(u8),
    /// No account, a too long one, or one that is no text.
    #[error("the account is not 1 to 64 octets of text")]
    Account,
    /// Not the digits that were expected.
    #[error("the value is no number")]
    Number,
    /// Another billing format than the one configured.
    #[error("unknown billing format 0x{0:02x}")]
    BillingFormat(u8),
}

/// Reads the value of a tariff TLV.
///
/// # Errors
/// What is wrong with it.
pub fn read(format: &Format, value: &[u8]) -> Result<Advice, TariffError> {
    match format {
        Format::Native => native(value),
        Format::AsciiPrice {
            currency,
            exponent,
            payer,
        } => {
            let scale = 10_i64
                .checked_pow(6_u32.saturating_sub(u32::from(*exponent)))
                .ok_or(TariffError::Amount)?;
            let amount_micro = digits(value)?
                .checked_mul(scale)
                .ok_or(TariffError::Amount)?;
            Ok(Advice {
                price: direct(amount_micro, *currency)?,
                payer: payer.clone(),
            })
        }
        Format::AsciiClass { payer } => {
            let class = u16::try_from(digits(value)?).map_err(|_| TariffError::Number)?;
            Ok(Advice {
                price: Price::Class(class),
                payer: payer.clone(),
            })
        }
        Format::IntegerClass { width, payer } => {
            if value.len() < usize::from(*width) {
                return Err(TariffError::Short);
            }
            if value.len() > usize::from(*width) {
                return Err(TariffError::Trailing);
            }
            let number = value
                .iter()
                .try_fold(0_u64, |number, octet| {
                    number
                        .checked_mul(256)
                        .map(|number| number + u64::from(*octet))
                })
                .ok_or(TariffError::Number)?;
            Ok(Advice {
                price: Price::Class(u16::try_from(number).map_err(|_| TariffError::Number)?),
                payer: payer.clone(),
            })
        }
        Format::BillingIdentification { billing_format } => {
            let (found, rest) = value.split_first().ok_or(TariffError::Short)?;
            if found != billing_format {
                return Err(TariffError::BillingFormat(*found));
            }
            native(rest)
        }
    }
}

/// Writes the value in our own form. An account that does not fit is cut at its last whole character.
pub fn write(advice: &Advice) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    out.push(VERSION);
    match advice.price {
        Price::Direct {
            amount_micro,
            currency,
        } => {
            out.push(KIND_PRICE);
            out.extend_from_slice(&amount_micro.to_be_bytes());
            out.extend_from_slice(&currency);
        }
        Price::Class(class) => {
            out.push(KIND_CLASS);
            out.extend_from_slice(&class.to_be_bytes());
        }
    }
    match &advice.payer {
        Payer::Receiver => out.push(PAYER_RECEIVER),
        Payer::Sender => out.push(PAYER_SENDER),
        Payer::ThirdParty(account) => {
            out.push(PAYER_THIRD_PARTY);
            let end = (0..=LONGEST_ACCOUNT)
                .rev()
                .find(|end| account.is_char_boundary(*end))
                .unwrap_or(0);
            out.extend_from_slice(account.as_bytes().get(..end).unwrap_or_default());
        }
    }
    out
}

fn native(value: &[u8]) -> Result<Advice, TariffError> {
    let [version, rest @ ..] = value else {
        return Err(TariffError::Short);
    };
    if *version != VERSION {
        return Err(TariffError::Version(*version));
    }
    let [kind, rest @ ..] = rest else {
        return Err(TariffError::Short);
    };
    let (price, rest) = match *kind {
        KIND_PRICE => {
            let (amount, rest) = rest.split_first_chunk().ok_or(TariffError::Short)?;
            let (currency, rest) = rest.split_first_chunk().ok_or(TariffError::Short)?;
            (direct(i64::from_be_bytes(*amount), *currency)?, rest)
        }
        KIND_CLASS => {
            let (class, rest) = rest.split_first_chunk().ok_or(TariffError::Short)?;
            (Price::Class(u16::from_be_bytes(*class)), rest)
        }
        kind => return Err(TariffError::Kind(kind)),
    };
    let [payer, account @ ..] = rest else {
        return Err(TariffError::Short);
    };
    let payer = match *payer {
        PAYER_THIRD_PARTY => return account_of(account).map(|payer| Advice { price, payer }),
        PAYER_RECEIVER => Payer::Receiver,
        PAYER_SENDER => Payer::Sender,
        payer => return Err(TariffError::Payer(payer)),
    };
    if !account.is_empty() {
        return Err(TariffError::Trailing);
    }
    Ok(Advice { price, payer })
}

fn account_of(octets: &[u8]) -> Result<Payer, TariffError> {
    if octets.is_empty() || octets.len() > LONGEST_ACCOUNT {
        return Err(TariffError::Account);
    }
    let account = std::str::from_utf8(octets).map_err(|_| TariffError::Account)?;
    if account.chars().any(char::is_control) {
        return Err(TariffError::Account);
    }
    Ok(Payer::ThirdParty(account.into()))
}

fn direct(amount_micro: i64, currency: [u8; 3]) -> Result<Price, TariffError> {
    if !(0..=HIGHEST_AMOUNT_MICRO).contains(&amount_micro) {
        return Err(TariffError::Amount);
    }
    if !currency.iter().all(u8::is_ascii_uppercase) {
        return Err(TariffError::Currency);
    }
    Ok(Price::Direct {
        amount_micro,
        currency,
    })
}

/// 1 to 15 ASCII digits, and a NUL or not.
fn digits(value: &[u8]) -> Result<i64, TariffError> {
    let digits = value.strip_suffix(&[0]).unwrap_or(value);
    if digits.is_empty() {
        return Err(TariffError::Short);
    }
    if digits.len() > 15 {
        return Err(TariffError::Amount);
    }
    digits.iter().try_fold(0_i64, |number, octet| {
        if octet.is_ascii_digit() {
            Ok(number * 10 + i64::from(octet - b'0'))
        } else {
            Err(TariffError::Number)
        }
    })
}
