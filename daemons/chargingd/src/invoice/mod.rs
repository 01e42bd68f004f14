//! Invoices of post-paid customers, settlements with service providers, and the closing of periods.
//!
//! ```text
//! entries of the ledger -> Bill  -> Invoice ----> Sheet -> HTML, PDF
//!                       -> Shares -> Settlement -> Sheet -> HTML, PDF; CSV
//! ```
//! What belongs to a period is told by entry ids: see [`close`]. The stored form of an invoice is its JSON; pages are
//! made from it and from nothing else, so that one invoice always gives the same octets.

mod bill;
pub mod close;
mod config;
mod html;
mod money;
mod number;
mod page;
mod pdf;
mod period;
mod render;
mod routes;
pub mod rows;
mod service;
mod settlement;
mod sheet;
mod words;

use iso_currency::Currency;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use bill::{Bill, Frame, Item, Side};
pub use config::Config;
pub use money::{Overflow, Sum};
pub use number::Pattern;
pub use pdf::PdfError;
pub use period::{Month, NoMonth, date, zone};
pub use render::Form;
pub use routes::Summary;
pub(crate) use routes::router;
pub(crate) use service::{Closer, Keep};
pub use settlement::{Heading, Payable, Settlement, SettlementLine, Shares};

/// What a post-paid customer is told to pay for a month, over all services and providers.
///
/// Sums are what the customer owes: below zero they are in his favour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invoice {
    /// Its number; none on a preview.
    pub number: Option<Box<str>>,
    /// The month.
    pub period: Month,
    /// Who pays.
    pub account: Box<str>,
    /// His name and address; lines.
    pub customer: Box<str>,
    /// His language.
    pub language: Box<str>,
    /// Who sends it.
    pub issuer: Issuer,
    /// Of all sums.
    pub currency: Currency,
    /// IANA name of the zone that the period's days are of.
    pub time_zone: Box<str>,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// When the period ended, milliseconds since 1970.
    pub until_unix_ms: i64,
    /// Day of the invoice.
    pub issued: Date,
    /// Day by which to pay.
    pub due: Date,
    /// What was bought, by service and provider.
    pub lines: Vec<Line>,
    /// The lines' sums per rate.
    pub taxes: Vec<Tax>,
    /// All lines.
    pub total: Amounts,
    /// Of the lines: entries of earlier days that came after those were closed.
    pub late: Late,
    /// What the customer has paid.
    pub payments: Vec<Payment>,
    /// What has changed the balance besides.
    pub others: Vec<Other>,
    /// From what was owed before to what is due.
    pub statement: Statement,
    /// Entries of the ledger that it is made of.
    pub entries: u64,
    /// It covers entries up to this id.
    pub through: i64,
}

/// Who sends invoices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Issuer {
    /// Name and address; lines.
    pub address: Box<str>,
    /// Tax number, as the law of the place wants it.
    pub tax_id: Box<str>,
    /// Where to pay; lines.
    pub bank: Box<str>,
    /// What else has to be said; lines.
    pub terms: Box<str>,
}

/// Net, tax and gross.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Without tax.
    pub net: Sum,
    /// The tax that `gross` contains.
    pub tax: Sum,
    /// With tax: what the ledger says.
    pub gross: Sum,
}

/// What was bought of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// As customers know it; empty if the ledger does not say.
    pub service: Box<str>,
    /// Who provides it; empty is the operator.
    pub provider: Box<str>,
    /// It is what was paid back.
    pub refund: bool,
    /// Hundredths of a percent.
    pub tax_basis_points: u16,
    /// Entries.
    pub count: u64,
    /// What they cost.
    pub amounts: Amounts,
}

/// The tax of one rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// Hundredths of a percent.
    pub basis_points: u16,
    /// What it is on.
    pub amounts: Amounts,
}

/// Entries of days that were closed already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// How many.
    pub count: u64,
    /// Their gross amount, micro-units.
    pub gross_micro: i64,
}

/// Money that came in; below zero it was paid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The day, in the customer's zone.
    pub date: Date,
    /// Its name, or empty for those beyond the ones that are listed.
    pub reference: Box<str>,
    /// How many; more than one where they are not listed singly.
    pub count: u64,
    /// How much.
    pub amount: Sum,
}

/// Something that is neither bought nor paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// The account on the other side.
    pub account: Box<str>,
    /// Entries.
    pub count: u64,
    /// What it adds to what is owed.
    pub amount: Sum,
}

/// From the last invoice to this one. The exact figures add up to the ledger's; the printed ones to what is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What was owed before the period.
    pub opening: Sum,
    /// All lines.
    pub charges: Sum,
    /// All payments, taken off.
    pub payments: Sum,
    /// All others.
    pub others: Sum,
    /// What the printed figures lack to `due_minor`, minor units.
    pub rounding_minor: i64,
    /// What is to be paid, minor units; below zero it is the customer's.
    pub due_minor: i64,
    /// Owed, but less than half a minor unit: it is in the next `opening`. `due_minor` and this are `closing_micro`.
    pub carried_micro: i64,
    /// What the ledger says that is owed at the end, micro-units.
    pub closing_micro: i64,
}
