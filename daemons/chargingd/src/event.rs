//! What the core hears.

use iso_currency::Currency;
use serde::{Deserialize, Deserializer, Serialize};
use tollwire_cdr::Payment;
use tollwire_diameter::credit_control::CreditControlRequest;

use crate::core::Rules;
use crate::notify::Contact;
use crate::service_account::{Recharge, Terms};
use crate::voucher;

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// A CCR; its answer carries `token`.
    CreditControl {
        /// The driver's name for the request.
        token: u64,
        /// The request.
        request: Box<CreditControlRequest>,
    },
    /// The operator asks; the reply carries `token`.
    Operator {
        /// The driver's name for the request.
        token: u64,
        /// What for.
        operation: Operation,
    },
    /// New rules, for services that begin from now on.
    Rules(Box<Rules>),
    /// A deadline may have passed.
    Tick,
}

/// What an operator can have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// A new account without money.
    CreateAccount {
        /// Its name.
        name: Box<str>,
        /// How it pays.
        payment: Payment,
        /// Its currency.
        currency: Currency,
        /// How far below zero it may go, micro-units.
        credit_limit_micro: i64,
        /// SIP URIs and numbers that are charged to it.
        identities: Vec<String>,
    },
    /// Money paid in. Under one reference it happens once.
    TopUp {
        /// The account.
        account: Box<str>,
        /// Micro-units, above zero.
        amount_micro: i64,
        /// The payment's name.
        reference: String,
    },
    /// Who the customer is, and what he wants to be told.
    SetProfile {
        /// The account.
        account: Box<str>,
        /// IANA time zone.
        #[serde(default)]
        time_zone: Option<Box<str>>,
        /// Where notifications go.
        #[serde(default)]
        contacts: Option<Vec<Contact>>,
        /// Language of notifications and invoices.
        #[serde(default)]
        language: Option<Box<str>>,
        /// Name and address.
        #[serde(default)]
        address: Option<Box<str>>,
        /// What is left, at which he is told, micro-units.
        #[serde(default)]
        thresholds: Option<Vec<i64>>,
    },
    /// When what is left of the main account, or of a service account, expires.
    SetExpiry {
        /// The account.
        account: Box<str>,
        /// A service account of it.
        #[serde(default)]
        service_account: Option<Box<str>>,
        /// Milliseconds since 1970; absent: never.
        #[serde(default)]
        expires_unix_ms: Option<i64>,
    },
    /// A new service account, an old one's other rules, or a closed one opened again.
    SetServiceAccount {
        /// The account.
        account: Box<str>,
        /// The service account's own name.
        service_account: Box<str>,
        /// What it is for, and by which rules.
        terms: Box<Terms>,
    },
    /// What a customer may set of a service account himself; the operator's class bounds the rule.
    SetServiceRules {
        /// The account.
        account: Box<str>,
        /// The service account's own name.
        service_account: Box<str>,
        /// Balances at which he is told; as they are if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thresholds: Option<Vec<i64>>,
        /// When it is recharged: by this rule, or on request alone (`null`); as it is if absent.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "given"
        )]
        recharge: Option<Option<Recharge>>,
    },
    /// It pays for nothing any more; its money goes back to the main account, its units are forfeited.
    CloseServiceAccount {
        /// The account.
        account: Box<str>,
        /// The service account's own name.
        service_account: Box<str>,
    },
    /// A recharge on request. Under one reference it happens once.
    Recharge {
        /// The account.
        account: Box<str>,
        /// The service account's own name.
        service_account: Box<str>,
        /// Micro-units or units; without it, what the rule says.
        #[serde(default)]
        amount: Option<i64>,
        /// Whether less may be taken if the main account has not enough.
        #[serde(default)]
        part: bool,
        /// The request's name.
        reference: String,
    },
    /// Another limit.
    SetCreditLimit {
        /// The account.
        account: Box<str>,
        /// Micro-units.
        credit_limit_micro: i64,
    },
    /// Nothing new begins on the account, and what runs is ended now.
    Block {
        /// The account.
        account: Box<str>,
    },
    /// The account may be used again.
    Unblock {
        /// The account.
        account: Box<str>,
    },
    /// An identity is charged to the account.
    AddIdentity {
        /// The account.
        account: Box<str>,
        /// SIP URI or number.
        identity: String,
    },
    /// An identity is charged to nobody.
    RemoveIdentity {
        /// SIP URI or number.
        identity: String,
    },
    /// Vouchers that can be redeemed from now on.
    IssueVouchers {
        /// Names them together; there is one batch of a name.
        batch: Box<str>,
        /// What each is worth, micro-units.
        amount_micro: i64,
        /// Of this.
        currency: Currency,
        /// From when on they are worth nothing, milliseconds since 1970.
        expires_unix_ms: i64,
        /// SHA-256 of each code, hexadecimal.
        hashes: Vec<voucher::Hash>,
    },
    /// A voucher's money goes to an account, once for ever. Under the same reference it is answered again.
    RedeemVoucher {
        /// The account.
        account: Box<str>,
        /// What is printed on it.
        code: voucher::Code,
        /// The request's name.
        reference: String,
    },
    /// What is left of a batch cannot be redeemed any more.
    VoidVouchers {
        /// The batch.
        batch: Box<str>,
    },
    /// A notification without an occasion, to try the way.
    TestNotification {
        /// The account.
        account: Box<str>,
        /// Whom to tell; the account's own contacts if absent.
        contact: Option<Contact>,
    },
}

/// What stands there, `null` too, is given.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
