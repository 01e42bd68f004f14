//! A credit-control session (RFC 8506 5.1): one customer, one or several services, what each holds and has cost.

use std::sync::Arc;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use tollwire_cdr::EndCause;
use tollwire_diameter::credit_control::CreditControlRequest;

use crate::class::WhenShort;
use crate::ledger::About;
use crate::rating::{Measure, Stint, Tariff, Used};

/// What is known of a session; stored whole at each change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Session-Id.
    pub id: Box<str>,
    /// The account that pays.
    pub account: Box<str>,
    /// Who asks: Origin-Host and Origin-Realm, for requests of ours.
    pub origin_host: Box<str>,
    /// See `origin_host`.
    pub origin_realm: Box<str>,
    /// Whether the client uses Multiple-Services-Credit-Control.
    pub multiple_services: bool,
    /// What it pays for; never many.
    pub services: Vec<Service>,
    /// The credit pools that its services draw on (RFC 8506 5.1.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
    /// The last G-S-U-Pool-Identifier that it was given: a pool that is over leaves its number to none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_pool: u32,
    /// When the session began, milliseconds since 1970.
    pub began_unix_ms: i64,
    /// When the client must have reported (Tcc), milliseconds since 1970.
    pub due_unix_ms: i64,
    /// The last answer, given again to a repeated request.
    pub last: Answered,
    /// What the record will say.
    pub facts: Facts,
    /// Set when the session is over, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_unix_ms: Option<i64>,
    /// That a billing server paid, or gave back, an invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<Invoiced>,
}

/// An invoice that was paid or given back: known for as long as its billing server may ask again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoiced {
    /// Whose the money is, less the fee.
    pub provider: Box<str>,
    /// What the billing server keeps, micro-units.
    pub fee_micro: i64,
    /// Whether it is given back, or is itself a refund.
    pub refunded: bool,
}

/// Milliseconds that an invoice is known for beyond any other closed session: a billing server may have been down for days with a
/// payment whose answer it never heard, and a shop has a week to take or refuse one.
const INVOICE_KNOWN_MS: i64 = 30 * 86_400_000;

/// Services that draw on one purse together: what each of them holds, any of them may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// G-S-U-Pool-Identifier.
    pub id: u32,
    /// The account in the ledger.
    pub purse: Box<str>,
    /// What its services were granted and have not reported (S of RFC 8506 5.1.2), 10^-12 micro-units: its multipliers are
    /// as fine, and what is held for it is in whole micro-units.
    pub left: u128,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One service of a session: a Rating-Group, a Service-Identifier, or the session itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Rating-Group, to be echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating_group: Option<u32>,
    /// Service-Identifiers, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_identifiers: Vec<u32>,
    /// What its units cost.
    pub price: Price,
    /// All that was reported and believed.
    #[serde(default)]
    pub used: Used,
    /// Of that, what no service account's units covered: what the price is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stints: Vec<Stint>,
    /// Units granted beyond `used`; of a pool, what the last grant added to it.
    #[serde(default)]
    pub granted: u64,
    /// Of `granted`, the last ones that cost nothing: access was bought, or the rule says that the service goes on.
    #[serde(default)]
    pub free: u64,
    /// The price of the stints, micro-units.
    #[serde(default)]
    pub priced_micro: i64,
    /// What was debited of that: less, if an account had less.
    #[serde(default)]
    pub charged_micro: i64,
    /// What is held for the grant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
    /// G-S-U-Pool-Identifier of the pool that it draws on: what it holds stays in it until it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<u32>,
    /// What the client was told about the end of its units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<WhenShort>,
    /// The customer was told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
    /// When the last grant was given, milliseconds since 1970.
    #[serde(default)]
    pub granted_unix_ms: i64,
    /// The tariff change that the client was told of with it: what it uses from then on it reports apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_unix_ms: Option<i64>,
    /// When the client has to ask again; 0 if nothing is granted. Milliseconds since 1970.
    #[serde(default)]
    pub valid_until_unix_ms: i64,
    /// A Re-Auth-Request was sent, and the client has not come back since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked_back: bool,
    /// What was granted and not reported when supervision closed it; a late report may claim it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Late>,
}

/// What a service's units cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Price {
    /// By tariff, as it was when the service began.
    Tariff(Arc<Tariff>),
    /// The client's: one sum for all units.
    Sum {
        /// Micro-units.
        amount_micro: i64,
        /// Of this currency.
        currency: Currency,
        /// CC-Service-Specific-Units that it is for.
        units: u64,
    },
}

/// A part of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The account in the ledger: `alice` or `alice/gprs`.
    pub purse: Box<str>,
    /// Micro-units of money, or units.
    pub amount: i64,
    /// Whether it is units, which cover as many units of use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub units: bool,
}

/// What a service had in hand when its client fell silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Units granted and not reported.
    pub granted: u64,
    /// What was held for them.
    pub shares: Vec<Share>,
}

pub(crate) fn plus(one: Used, other: Used) -> Used {
    Used {
        seconds: one.seconds.saturating_add(other.seconds),
        octets: one.octets.saturating_add(other.octets),
        events: one.events.saturating_add(other.events),
    }
}

/// A report in two parts: before and behind the tariff change.
pub(crate) fn split(used: Used, after: Used) -> (Used, Used) {
    let after = Used {
        seconds: after.seconds.min(used.seconds),
        octets: after.octets.min(used.octets),
        events: after.events.min(used.events),
    };
    let before = Used {
        seconds: used.seconds - after.seconds,
        octets: used.octets - after.octets,
        events: used.events - after.events,
    };
    (before, after)
}

/// Units of `used` in its measure.
pub(crate) fn units_of(measure: Measure, used: Used) -> u64 {
    match measure {
        Measure::Time | Measure::Combined => used.seconds,
        Measure::Volume => used.octets,
        Measure::Events => used.events,
    }
}

/// Name of the tariff of sums, whose price is the client's.
const BY_CLIENT: &str = "by-client";

impl Price {
    /// What its units are; `None` for a sum.
    pub fn measure(&self) -> Option<Measure> {
        match self {
            Self::Tariff(tariff) => Some(tariff.measure()),
            Self::Sum { .. } => None,
        }
    }

    /// Its currency.
    pub fn currency(&self) -> Currency {
        match self {
            Self::Tariff(tariff) => tariff.currency,
            Self::Sum { currency, .. } => *currency,
        }
    }

    /// As in records.
    pub fn name(&self) -> &str {
        match self {
            Self::Tariff(tariff) => &tariff.name,
            Self::Sum { .. } => BY_CLIENT,
        }
    }

    /// What its entries are for.
    pub fn about(&self) -> About {
        match self {
            Self::Tariff(tariff) => About {
                service: tariff.service().into(),
                provider: tariff.provider.clone(),
                tax_basis_points: tariff.tax_basis_points(),
                commission_basis_points: tariff.commission_basis_points,
            },
            Self::Sum { .. } => About::default(),
        }
    }
}

impl Service {
    /// A service before its first grant.
    pub fn new(rating_group: Option<u32>, service_identifiers: Vec<u32>, price: Price) -> Self {
        Self {
            rating_group,
            service_identifiers,
            price,
            used: Used::default(),
            stints: Vec::new(),
            granted: 0,
            free: 0,
            priced_micro: 0,
            charged_micro: 0,
            shares: Vec::new(),
            pool: None,
            short: None,
            told: false,
            granted_unix_ms: 0,
            change_unix_ms: None,
            valid_until_unix_ms: 0,
            asked_back: false,
            late: None,
        }
    }

    /// Whether it is the one of this Rating-Group and these Service-Identifiers.
    pub fn is(&self, rating_group: Option<u32>, service_identifiers: &[u32]) -> bool {
        self.rating_group == rating_group && self.service_identifiers == service_identifiers
    }

    /// Its stints; one that begins at `from_unix_ms` if there is none.
    pub fn stints_from(&self, from_unix_ms: i64) -> Vec<Stint> {
        match self.stints.is_empty() {
            true => vec![Stint {
                from_unix_ms,
                used: Used::default(),
            }],
            false => self.stints.clone(),
        }
    }

    /// Whether any unit of its measure was used.
    pub fn is_used(&self) -> bool {
        self.price
            .measure()
            .is_some_and(|measure| units_of(measure, self.used) > 0)
    }

    /// What is held of money, micro-units.
    pub fn held_micro(&self) -> i64 {
        let money = self.shares.iter().filter(|share| !share.units);
        money.map(|share| share.amount).sum()
    }
}

impl Session {
    /// A session that begins with `request`, and has been answered nothing yet.
    pub fn begin(
        request: &CreditControlRequest,
        account: Box<str>,
        services: Vec<Service>,
        unix_ms: i64,
    ) -> Self {
        Self {
            id: request.session_id.as_str().into(),
            account,
            origin_host: request.origin_host.as_str().into(),
            origin_realm: request.origin_realm.as_str().into(),
            multiple_services: !request.multiple_services_credit_controls.is_empty(),
            services,
            pools: Vec::new(),
            last_pool: 0,
            began_unix_ms: unix_ms,
            due_unix_ms: unix_ms,
            last: Answered::to(request, Outcome::refused(0)),
            facts: Facts::default(),
            closed_unix_ms: None,
            invoice: None,
        }
    }

    /// From when on a closed session counts as one that may be forgotten.
    pub fn done_unix_ms(&self) -> Option<i64> {
        let known = self.invoice.as_ref().map_or(0, |_| INVOICE_KNOWN_MS);
        self.closed_unix_ms
            .map(|closed| closed.saturating_add(known))
    }

    /// The ledger's key of what a request debits. Sessions are forgotten after a while and entries never: a client that
    /// uses a Session-Id again, against RFC 6733 8.8, begins another session and spoils nobody's.
    pub fn entry_key(&self, request_number: u32) -> String {
        format!("{}#{request_number} {}", self.id, self.began_unix_ms)
    }

    /// Whether the client names the price.
    pub fn is_of_money(&self) -> bool {
        let first = self.services.first();
        first.is_some_and(|service| matches!(service.price, Price::Sum { .. }))
    }

    /// What all services have cost, micro-units.
    pub fn charged_micro(&self) -> i64 {
        let services = self.services.iter();
        services.map(|service| service.charged_micro).sum()
    }

    /// What is held of money for all services, micro-units.
    pub fn held_micro(&self) -> i64 {
        self.services.iter().map(Service::held_micro).sum()
    }
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// CC-Request-Number.
    pub number: u32,
    /// CC-Request-Type.
    pub request_type: i32,
    /// What was answered.
    pub outcome: Outcome,
}

impl Answered {
    /// `outcome` as the answer to `request`.
    pub fn to(request: &CreditControlRequest, outcome: Outcome) -> Self {
        Self {
            number: request.cc_request_number,
            request_type: request.cc_request_type.number(),
            outcome,
        }
    }
}

/// The content of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Result-Code of the command.
    pub result_code: u32,
    /// What each service gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceOutcome>,
    /// Micro-units charged in the session so far, with the currency's ISO 4217 number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<(i64, u32)>,
    /// Check-Balance-Result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enough_credit: Option<bool>,
    /// Credit-Control-Failure-Handling is CONTINUE.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continue_without_us: bool,
    /// Whether the services stand in Multiple-Services-Credit-Control.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multiple_services: bool,
}

/// What an answer says of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceOutcome {
    /// Result-Code for it.
    pub result_code: u32,
    /// Rating-Group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating_group: Option<u32>,
    /// Service-Identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_identifiers: Vec<u32>,
    /// What may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    /// The pool that it is added to: G-S-U-Pool-Reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolReference>,
    /// These are the last units, and then this: Final-Unit-Indication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_unit: Option<WhenShort>,
    /// Validity-Time, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_seconds: Option<u32>,
    /// Quota-Holding-Time, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_holding_seconds: Option<u32>,
    /// Time- or Volume-Quota-Threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
    /// Tariff-Time-Change, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff_change_unix_ms: Option<i64>,
}

/// A grant's place in a pool (RFC 8506 8.30).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolReference {
    /// G-S-U-Pool-Identifier.
    pub id: u32,
    /// Value-Digits of the multiplier: what a unit of the service is worth, micro-units.
    pub value_digits: i64,
    /// Its Exponent, not above 0.
    pub exponent: i32,
}

/// What may be used before the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granted {
    /// CC-Time.
    Seconds(u32),
    /// CC-Total-Octets.
    Octets(u64),
    /// CC-Service-Specific-Units.
    Units(u64),
    /// CC-Money, with the units that it is for.
    Sum(Sum),
}

/// A sum of money that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Micro-units.
    pub amount_micro: i64,
    /// ISO 4217 number.
    pub currency: u32,
    /// CC-Service-Specific-Units that it is for.
    pub units: u64,
}

impl Outcome {
    /// A refusal of the whole command.
    pub fn refused(result_code: u32) -> Self {
        Self {
            result_code,
            services: Vec::new(),
            cost: None,
            enough_credit: None,
            continue_without_us: false,
            multiple_services: false,
        }
    }
}

impl ServiceOutcome {
    /// Nothing but a result.
    pub fn of(rating_group: Option<u32>, service_identifiers: &[u32], result_code: u32) -> Self {
        Self {
            result_code,
            rating_group,
            service_identifiers: service_identifiers.to_vec(),
            granted: None,
            pool: None,
            final_unit: None,
            validity_seconds: None,
            quota_holding_seconds: None,
            threshold: None,
            tariff_change_unix_ms: None,
        }
    }
}

/// What the client said about the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What the service is called; empty: as its tariff says.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub service: Box<str>,
    /// SIP Call-ID.
    pub call_id: String,
    /// Calling party.
    pub from: String,
    /// Called party.
    pub to: String,
    /// Calling party's media address.
    pub caller_address: String,
    /// Called party's media address.
    pub callee_address: String,
    /// When it was asked for.
    pub invite_unix_ms: Option<i64>,
    /// When it was answered.
    pub answer_unix_ms: Option<i64>,
    /// When it ended.
    pub end_unix_ms: Option<i64>,
    /// Media octets from the calling party.
    pub octets_from_caller: u64,
    /// Media octets to the calling party.
    pub octets_to_caller: u64,
    /// Why it ended.
    pub end_cause: Option<EndCause>,
}
