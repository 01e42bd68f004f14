//! What there is.

use serde::{Deserialize, Serialize};

use super::{Signed, text};
use crate::{Measure, Nonce, Refusal};

/// Services that a list may have.
const MOST: usize = 64;

/// The services of a manager's providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceList {
    /// Each.
    pub services: Vec<Listed>,
    /// When it was made.
    pub nonce: Nonce,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// What it is asked for by.
    pub name: String,
    /// For people.
    pub title: String,
    /// The name in its provider's certificate.
    pub provider: String,
    /// What it costs, for people.
    pub price: String,
    /// What is metered.
    pub collect: Vec<Measure>,
}

impl Signed for ServiceList {
    const TYPE: &'static str = "service-list+jwt";

    fn validate(&self) -> Result<(), Refusal> {
        if self.services.len() > MOST {
            return Err(Refusal::malformed("services", "more than 64"));
        }
        self.services.iter().try_for_each(|service| {
            text("name", &service.name)?;
            text("provider", &service.provider)?;
            match service.title.len().max(service.price.len()) > crate::LONGEST_TEXT {
                true => Err(Refusal::malformed(
                    "services",
                    "a text of more than 512 octets",
                )),
                false => Ok(()),
            }
        })
    }
}
