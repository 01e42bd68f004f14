//! What the core hears.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use tollwire_cdr::Payment;
use tollwire_diameter::credit_control::CreditControlRequest;

use crate::notify::Contact;
use crate::tariff::TariffTable;

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
    /// New tariffs, for calls that begin from now on.
    Tariffs(TariffTable),
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
    /// A notification without an occasion, to try the way.
    TestNotification {
        /// The account.
        account: Box<str>,
        /// Whom to tell; the account's own contacts if absent.
        contact: Option<Contact>,
    },
}
