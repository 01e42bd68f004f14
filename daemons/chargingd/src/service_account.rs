//! Service accounts: what a customer has set aside for one kind of service.

use serde::{Deserialize, Serialize};

use crate::account::is_name;
use crate::calendar::Calendar;
use crate::class::WhenShort;
use crate::ledger::{About, Commodity};

/// A service account: money or units for the services of some classes, bought from the main account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// Its name in the ledger: the main account's, a slash, and its own: `alice/gprs`.
    pub name: Box<str>,
    /// The main account.
    pub account: Box<str>,
    /// What it is for, and by which rules.
    #[serde(flatten)]
    pub terms: Terms,
    /// Micro-units of money, or units.
    pub balance: i64,
    /// Thresholds that the balance has fallen to or below, and not risen above since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crossed: Vec<i64>,
    /// A recharge was due, and the main account could not pay it.
    #[serde(default)]
    pub wanting: bool,
    /// When the calendar recharges it next, milliseconds since 1970.
    #[serde(default)]
    pub recharge_unix_ms: Option<i64>,
    /// Dates of the last calendar recharges, so that each happens once whatever the clock does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recharged: Vec<Box<str>>,
    /// When what is left expires, milliseconds since 1970.
    #[serde(default)]
    pub expires_unix_ms: Option<i64>,
    /// The subscription has ended: it pays for nothing and is not recharged.
    #[serde(default)]
    pub closed: bool,
    /// Counts its recharges; names them in the ledger.
    #[serde(default)]
    pub recharges: u64,
    /// What sessions hold of it; not stored, the sessions are.
    #[serde(default, skip_deserializing)]
    pub held: i64,
}

/// The rules of a service account, as its customer or the operator sets them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Rating-Groups that it pays for.
    #[serde(default)]
    pub rating_groups: Vec<u32>,
    /// Service-Identifiers that it pays for.
    #[serde(default)]
    pub service_identifiers: Vec<u32>,
    /// Of several accounts for one class, the one with the lowest number pays first, and is recharged first.
    #[serde(default)]
    pub priority: u16,
    /// Money, in the main account's currency, or units.
    pub unit: Commodity,
    /// What units cost the main account; money costs what it is.
    #[serde(default)]
    pub price: Option<UnitPrice>,
    /// What its units are called on the invoice (without a name, as the account is), and who provides them.
    #[serde(default)]
    pub about: About,
    /// When it is recharged besides on request.
    #[serde(default)]
    pub recharge: Option<Recharge>,
    /// Balances at which the customer is told, once each time that one is reached from above.
    #[serde(default)]
    pub thresholds: Vec<i64>,
    /// When it is short; without it, what the class says, or else `terminate`.
    #[serde(default)]
    pub when_short: Option<WhenShort>,
    /// When it falls back on the main account and that is short too; likewise.
    #[serde(default)]
    pub when_main_short: Option<WhenShort>,
}

/// What units cost: `amount_micro` of the main account's currency for `per` units, parts rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitPrice {
    /// Micro-units.
    pub amount_micro: i64,
    /// For so many units.
    pub per: u32,
}

impl UnitPrice {
    /// What `units` cost; `None` beyond an i64.
    pub fn of(self, units: i64) -> Option<i64> {
        let per = i128::from(self.per.max(1));
        let cost = i128::from(self.amount_micro) * i128::from(units);
        i64::try_from((cost + per - 1) / per).ok()
    }

    /// The most units for `amount_micro`.
    pub fn units_for(self, amount_micro: i64) -> i64 {
        if self.amount_micro <= 0 {
            return i64::MAX;
        }
        let units = i128::from(amount_micro.max(0)) * i128::from(self.per.max(1))
            / i128::from(self.amount_micro);
        i64::try_from(units).unwrap_or(i64::MAX)
    }
}

/// When and how a service account is recharged from the main account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recharge {
    /// When the balance falls to this or below, or less is available than a service asks for.
    #[serde(default)]
    pub at_minimum: Option<i64>,
    /// At these times, in the customer's time zone.
    #[serde(default)]
    pub calendar: Option<Calendar>,
    /// How much.
    pub amount: RechargeAmount,
    /// Whether less is taken when the main account cannot pay for the whole.
    #[serde(default)]
    pub part: bool,
    /// Whether the calendar's recharge begins with what is left being forfeited.
    #[serde(default)]
    pub forfeit: bool,
}

/// How much a recharge brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RechargeAmount {
    /// So much.
    Fixed(i64),
    /// What is missing to so much.
    UpTo(i64),
}

/// The largest balance and amount: about nine billion of money. Keeps every sum inside an i64.
pub const LARGEST: i64 = 1 << 53;
/// Thresholds, and classes, of one account.
const MOST: usize = 32;

impl ServiceAccount {
    /// What is available to a new hold.
    pub fn available(&self) -> i64 {
        match self.closed {
            true => 0,
            false => self.balance.saturating_sub(self.held).max(0),
        }
    }

    /// Whether it pays for a service of this class.
    pub fn pays_for(&self, rating_group: Option<u32>, service_identifiers: &[u32]) -> bool {
        rating_group.is_some_and(|group| self.terms.rating_groups.contains(&group))
            || service_identifiers
                .iter()
                .any(|identifier| self.terms.service_identifiers.contains(identifier))
    }

    /// Its own name within the customer's.
    pub fn own_name(&self) -> &str {
        self.name.split_once('/').map_or("", |(_, own)| own)
    }
}

/// The ledger's name of a customer's service account.
pub fn ledger_name(account: &str, name: &str) -> Box<str> {
    format!("{account}/{name}").into()
}

impl Terms {
    /// What is wrong with them, for a service account called `name` in a customer's account of `currency`.
    pub fn fault(&self, name: &str, currency: iso_currency::Currency) -> Option<String> {
        let amount = |amount: i64| (0..=LARGEST).contains(&amount);
        let fault = if !is_name(name) {
            "its name is 1 to 64 letters, digits, \"-\", \"_\" and \".\""
        } else if self.rating_groups.is_empty() && self.service_identifiers.is_empty() {
            "it is for no class: name rating_groups or service_identifiers"
        } else if self.rating_groups.len() + self.service_identifiers.len() > MOST
            || self.thresholds.len() > MOST
        {
            "it has more than 32 classes or thresholds"
        } else if (self.unit.currency()).is_some_and(|own| own != currency) {
            "its currency is not the main account's, and nothing is converted"
        } else if self.unit.currency().is_some() == self.price.is_some() {
            "units have a price, and money has none"
        } else if self
            .price
            .is_some_and(|price| !amount(price.amount_micro) || price.per == 0)
        {
            "a price is 0 or more for at least 1 unit"
        } else if !self.thresholds.iter().all(|threshold| amount(*threshold)) {
            "a threshold is 0 or more"
        } else if let Some(recharge) = &self.recharge {
            return self.recharge_fault(recharge, name);
        } else {
            return self.rules_fault(name);
        };
        Some(format!("service account {name}: {fault}"))
    }

    fn recharge_fault(&self, recharge: &Recharge, name: &str) -> Option<String> {
        let amount = match recharge.amount {
            RechargeAmount::Fixed(amount) | RechargeAmount::UpTo(amount) => amount,
        };
        let fault = if !(1..=LARGEST).contains(&amount) {
            "a recharge brings at least 1"
        } else if recharge.at_minimum.is_none() && recharge.calendar.is_none() {
            "a recharge happens at_minimum or by calendar (on request it always can)"
        } else if (recharge.at_minimum).is_some_and(|minimum| !(0..=LARGEST).contains(&minimum)) {
            "a minimum is 0 or more"
        } else if let RechargeAmount::UpTo(top) = recharge.amount
            && recharge.at_minimum.is_some_and(|minimum| minimum >= top)
        {
            "it is recharged up to no more than its minimum"
        } else if let Some(fault) = recharge.calendar.as_ref().and_then(Calendar::fault) {
            fault
        } else {
            return self.rules_fault(name);
        };
        Some(format!("service account {name}: {fault}"))
    }

    fn rules_fault(&self, name: &str) -> Option<String> {
        let short = self.when_short.as_ref();
        let main = self.when_main_short.as_ref();
        short
            .and_then(|rule| rule.fault(false))
            .or_else(|| main.and_then(|rule| rule.fault(true)))
            .map(|fault| format!("service account {name}: {fault}"))
    }
}
