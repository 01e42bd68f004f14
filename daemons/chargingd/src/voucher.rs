//! Vouchers: codes that are worth money once.
//!
//! A code is told to whoever issues it and to nobody again: what is kept and stored is its SHA-256. It has a hundred bits
//! of chance, so that no hash leads back to it.

use std::fmt;
use std::str::FromStr;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::account::is_name;
use crate::service_account::LARGEST;

/// Digits and letters without those that are mistaken for others (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code, five bits each.
const LENGTH: usize = 20;
/// Characters that are written together.
const GROUP: usize = 4;
/// Vouchers of one batch, at the most.
pub const LARGEST_BATCH: usize = 10_000;

/// A voucher's secret, as it is printed: `7K3M-9QXA-00BC-D4EF-GH5J`. It is not shown by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code(String);

/// SHA-256 of a code; names its voucher everywhere but in the customer's hand. As text, 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; 32]);

/// What no voucher can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadVoucher {
    /// A code that was never printed.
    #[error("a code has 20 letters and digits")]
    Code,
    /// A hash.
    #[error("a hash has 64 hexadecimal digits")]
    Hash,
}

impl Code {
    /// Of this much chance; the first five bits of each octet are used.
    pub fn of(chance: [u8; LENGTH]) -> Self {
        let letter = |octet: u8| ALPHABET.get(usize::from(octet >> 3)).copied();
        Self(
            chance
                .into_iter()
                .filter_map(letter)
                .map(char::from)
                .collect(),
        )
    }

    /// A new one.
    ///
    /// # Errors
    /// The system gives no chance.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut chance = [0; LENGTH];
        getrandom::fill(&mut chance)?;
        Ok(Self::of(chance))
    }

    /// What is kept of it.
    pub fn hash(&self) -> Hash {
        Hash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// As it is printed.
    pub fn reveal(&self) -> String {
        let mut text = String::with_capacity(LENGTH + LENGTH / GROUP);
        for (at, letter) in self.0.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        text
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code(...)")
    }
}

impl FromStr for Code {
    type Err = BadVoucher;

    /// As people type it: in any case, with or without hyphens and blanks, O for 0, and I or L for 1.
    fn from_str(text: &str) -> Result<Self, BadVoucher> {
        let mut code = String::with_capacity(LENGTH);
        for letter in text.chars().filter(|letter| !matches!(letter, '-' | ' ')) {
            let letter = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let known = u8::try_from(letter).is_ok_and(|letter| ALPHABET.contains(&letter));
            if !known || code.len() == LENGTH {
                return Err(BadVoucher::Code);
            }
            code.push(letter);
        }
        match code.len() == LENGTH {
            true => Ok(Self(code)),
            false => Err(BadVoucher::Code),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Hash {
    type Err = BadVoucher;

    fn from_str(text: &str) -> Result<Self, BadVoucher> {
        let mut octets = [0; 32];
        hex::decode_to_slice(text, &mut octets).map_err(|_| BadVoucher::Hash)?;
        Ok(Self(octets))
    }
}

impl TryFrom<String> for Code {
    type Error = BadVoucher;

    fn try_from(text: String) -> Result<Self, BadVoucher> {
        text.parse()
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.reveal()
    }
}

impl TryFrom<String> for Hash {
    type Error = BadVoucher;

    fn try_from(text: String) -> Result<Self, BadVoucher> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

/// Vouchers that were issued together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name; there is one batch of a name.
    pub name: Box<str>,
    /// What each is worth, micro-units.
    pub amount_micro: i64,
    /// Of this; an account of another currency cannot take it.
    pub currency: Currency,
    /// From when on they are worth nothing, milliseconds since 1970.
    pub expires_unix_ms: i64,
    /// When they were issued, milliseconds since 1970.
    pub issued_unix_ms: i64,
    /// When those that were left were made void, milliseconds since 1970.
    pub voided_unix_ms: Option<i64>,
}

/// One voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// Names it.
    pub hash: Hash,
    /// Names its batch.
    pub batch: Box<str>,
    /// Who has its money.
    pub redeemed: Option<Redeemed>,
}

/// Who redeemed a voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The account.
    pub account: Box<str>,
    /// The request's name: repeated, it is answered again.
    pub reference: Box<str>,
    /// When, milliseconds since 1970.
    pub unix_ms: i64,
}

/// A batch as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchView {
    /// The batch.
    #[serde(flatten)]
    pub batch: Batch,
    /// Its vouchers.
    pub count: u64,
    /// Those that were redeemed.
    pub redeemed: u64,
}

impl Batch {
    /// What is wrong with `count` of such vouchers at `unix_ms`.
    pub fn fault(&self, count: usize, unix_ms: i64) -> Option<String> {
        if !is_name(&self.name) {
            Some("a batch's name is 1 to 64 letters, digits, \"-\", \"_\" and \".\"".into())
        } else if !(1..=LARGEST_BATCH).contains(&count) {
            Some(format!("a batch has 1 to {LARGEST_BATCH} vouchers"))
        } else if !(1..=LARGEST).contains(&self.amount_micro) {
            Some(format!("a voucher is worth 1 to {LARGEST} micro-units"))
        } else if self.expires_unix_ms <= unix_ms {
            Some("vouchers expire in the future".into())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = Code::of([0x08; LENGTH]);
        assert_eq!(code.reveal(), "1111-1111-1111-1111-1111");
        let typed: Code = "ilIL 1111-11111111 1111".parse().unwrap();
        assert_eq!(typed.hash(), code.hash());
        for wrong in [
            "",
            "1111",
            "1111-1111-1111-1111-1111-1",
            "U111-1111-1111-1111-1111",
            "ü111-1111-1111-1111-1111",
        ] {
            assert_eq!(wrong.parse::<Code>(), Err(BadVoucher::Code), "{wrong}");
        }
        assert!(!format!("{code:?}").contains('1'));
    }

    #[test]
    fn the_hash_is_that_of_the_letters() {
        // printf 11111111111111111111 | sha256sum
        assert_eq!(
            Code::of([0x08; LENGTH]).hash().to_string(),
            "d1b3707fbdc6a22d16e95bf6b910646f5d9c2b3ed81bd637d454ffb9bb0948e4"
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(chance in any::<[u8; LENGTH]>()) {
            let code = Code::of(chance);
            prop_assert_eq!(code.reveal().parse(), Ok(code.clone()));
            prop_assert_eq!(code.hash().to_string().parse(), Ok(code.hash()));
        }
    }
}
