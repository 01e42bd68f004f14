//! Service classes: what happens when a service of a class finds nothing to be paid with.

use serde::{Deserialize, Serialize};
use tollwire_diameter::IpFilterRule;

/// What becomes of a service that nothing is left for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub enum WhenShort {
    /// The next request is refused (DIAMETER_CREDIT_LIMIT_REACHED); nothing is said before.
    Deny,
    /// The last units are granted as such, and the service ends with them (Final-Unit-Action TERMINATE).
    Terminate,
    /// The last units are granted as such; then the user sees one address alone (REDIRECT).
    Redirect {
        /// `http://...`, `https://...`, `sip:...` or an IP address.
        address: Box<str>,
    },
    /// The last units are granted as such; then only this is let through (RESTRICT_ACCESS).
    Restrict {
        /// IPFilterRules (RFC 6733 4.3.1).
        #[serde(default)]
        filters: Vec<Box<str>>,
        /// Names of filters that the client has.
        #[serde(default)]
        filter_ids: Vec<Box<str>>,
    },
    /// The main account pays. Of service accounts alone.
    MainAccount,
    /// The service account is closed: refused from then on (DIAMETER_END_USER_SERVICE_DENIED), and not recharged.
    EndSubscription,
    /// The customer is told, and the service goes on at nobody's expense.
    GoOn,
}

/// Filters of one rule, at most.
const MOST_FILTERS: usize = 16;
/// Octets of an address or a filter.
const LONGEST: usize = 512;

impl WhenShort {
    /// What is wrong with it; `of_main` says that it is the main account that is short.
    pub fn fault(&self, of_main: bool) -> Option<String> {
        match self {
            Self::MainAccount if of_main => {
                Some("the main account cannot fall back on itself".into())
            }
            Self::Redirect { address } if address.is_empty() || address.len() > LONGEST => {
                Some("the address of a redirection has 1 to 512 octets".into())
            }
            Self::Restrict {
                filters,
                filter_ids,
            } => {
                if filters.is_empty() && filter_ids.is_empty() {
                    return Some("a restriction names filters or filter_ids".into());
                }
                if filters.len() + filter_ids.len() > MOST_FILTERS {
                    return Some("a restriction has 16 filters at the most".into());
                }
                filters
                    .iter()
                    .find(|filter| {
                        filter.len() > LONGEST || filter.parse::<IpFilterRule>().is_err()
                    })
                    .map(|filter| format!("{filter:?} is no IPFilterRule (RFC 6733 4.3.1)"))
            }
            _ => None,
        }
    }
}

/// One class: services that share a Rating-Group or Service-Identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// For people.
    pub name: Box<str>,
    /// Rating-Group.
    #[serde(default)]
    pub rating_group: Option<u32>,
    /// Service-Identifier, for a class of its own.
    #[serde(default)]
    pub service_identifier: Option<u32>,
    /// When its service account is short.
    #[serde(default)]
    pub when_short: Option<WhenShort>,
    /// When the main account is.
    #[serde(default)]
    pub when_main_short: Option<WhenShort>,
    /// The most that one grant gives: seconds, octets or events.
    #[serde(default)]
    pub quantum: Option<u64>,
    /// Seconds until the client has to ask again at the latest.
    #[serde(default)]
    pub validity_seconds: Option<u32>,
    /// Seconds without use after which the client gives its grant back (Quota-Holding-Time, TS 32.299 7.2).
    #[serde(default)]
    pub quota_holding_seconds: Option<u32>,
    /// The most that one recharge may cost the main account, micro-units of its currency, by a rule that the customer
    /// sets himself; without it the rule is the operator's.
    #[serde(default)]
    pub customer_recharge_micro: Option<i64>,
    /// What is left of a grant when the client asks for more (Time- and Volume-Quota-Threshold, TS 32.299 7.2).
    #[serde(default)]
    pub threshold: Option<u32>,
    /// Whether its services draw on one credit pool with others that the same purse pays (RFC 8506 5.1.2).
    #[serde(default)]
    pub pool: bool,
}

/// All classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Classes(Vec<Class>);

impl Classes {
    /// Checks `classes`.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub fn new(classes: Vec<Class>) -> Result<Self, String> {
        for (index, class) in classes.iter().enumerate() {
            let fault = if class.name.is_empty() {
                Some("it has no name".to_owned())
            } else if class.rating_group.is_none() && class.service_identifier.is_none() {
                Some("it has neither rating_group nor service_identifier".to_owned())
            } else if class.quantum == Some(0) || class.validity_seconds == Some(0) {
                Some("quantum and validity_seconds are at least 1".to_owned())
            } else if class.customer_recharge_micro.is_some_and(|most| most < 1) {
                Some(
                    "customer_recharge_micro is at least 1; leave it out to allow nothing"
                        .to_owned(),
                )
            } else {
                let short = class.when_short.as_ref();
                let main = class.when_main_short.as_ref();
                short
                    .and_then(|rule| rule.fault(false))
                    .or_else(|| main.and_then(|rule| rule.fault(true)))
            };
            if let Some(fault) = fault {
                return Err(format!("class {:?}: {fault}", class.name));
            }
            let same = |other: &&Class| {
                other.rating_group == class.rating_group
                    && other.service_identifier == class.service_identifier
            };
            if let Some(other) = classes.iter().take(index).find(same) {
                return Err(format!(
                    "classes {:?} and {:?} are the same class",
                    other.name, class.name
                ));
            }
        }
        Ok(Self(classes))
    }

    /// Every class.
    pub fn all(&self) -> &[Class] {
        &self.0
    }

    /// The class of a service: by Service-Identifier and Rating-Group, by Service-Identifier, by Rating-Group.
    pub fn find(&self, rating_group: Option<u32>, service_identifiers: &[u32]) -> Option<&Class> {
        let fit = |class: &&Class| {
            class
                .rating_group
                .is_none_or(|group| Some(group) == rating_group)
                && class
                    .service_identifier
                    .is_none_or(|identifier| service_identifiers.contains(&identifier))
        };
        let narrow = |class: &&Class| {
            (
                class.service_identifier.is_some(),
                class.rating_group.is_some(),
            )
        };
        self.0.iter().filter(fit).max_by_key(narrow)
    }
}
