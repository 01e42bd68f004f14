use serde::Deserialize;
use tollwire_invoice::Fee;
use tollwire_runtime::config::Invalid;

use crate::settings::{self, Agreements};

/// `[[agreements]]`: a shop that is paid under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The name.
    pub name: String,
    /// Thumbprint of its key (RFC 7638), as its server says.
    pub key: String,
    /// Of each payment for us, hundredths of a percent; everybody's if absent.
    pub fee_basis_points: Option<u16>,
    /// And micro-units.
    pub fee_fixed_micro: Option<i64>,
}

impl Agreement {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let refuse = |key: &str, what: &str| {
            Err(Invalid::new(
                format!("agreements.{key}"),
                format!("{:?}: {what}", self.name),
            ))
        };
        let unclear = self.name.trim() != self.name || self.name.starts_with("key:");
        if !(1..=256).contains(&self.name.len())
            || unclear
            || self.name.chars().any(char::is_control)
        {
            return refuse(
                "name",
                "1 to 256 characters, without blanks around, and not beginning with key:",
            );
        }
        let base64url = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        if self.key.len() != 43 || !self.key.bytes().all(base64url) {
            return refuse(
                "key",
                "a thumbprint of 43 characters of base64url (RFC 7638)",
            );
        }
        if self.fee_basis_points.is_some_and(|points| points > 10_000)
            || self.fee_fixed_micro.is_some_and(|micro| micro < 0)
        {
            return refuse(
                "fee_basis_points",
                "0 to 10000, and `fee_fixed_micro` 0 or more",
            );
        }
        Ok(())
    }
}

/// All of them by name and key.
pub(super) fn all(agreements: &[Agreement]) -> Result<Agreements, String> {
    Agreements::new(agreements.iter().map(|agreement| {
        let own = agreement.fee_basis_points.is_some() || agreement.fee_fixed_micro.is_some();
        settings::Agreement {
            name: agreement.name.as_str().into(),
            key: agreement.key.as_str().into(),
            fee: own.then(|| Fee {
                basis_points: agreement.fee_basis_points.unwrap_or(0),
                fixed_micro: agreement.fee_fixed_micro.unwrap_or(0),
            }),
        }
    }))
}
