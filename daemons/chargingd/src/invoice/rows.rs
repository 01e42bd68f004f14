//! What is stored of a closed period.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::period::Month;

/// One row to be stored. Each has a number of its own in its table: the month's, and a count within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// An invoice; it counts when the period has its row.
    Invoice(InvoiceRow),
    /// A settlement; likewise.
    Settlement(SettlementRow),
    /// The period is closed.
    Period(PeriodRow),
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceRow {
    /// See [`month_number`].
    pub month: i64,
    /// From 1 on in each month.
    pub ordinal: i64,
    /// Its number in full.
    pub number: Box<str>,
    /// The customer.
    pub account: Box<str>,
    /// It covers what is dated before, milliseconds since 1970,
    pub until_unix_ms: i64,
    /// and has no larger id.
    pub through: i64,
    /// What is owed then, micro-units.
    pub closing_micro: i64,
    /// The invoice as JSON.
    pub value: String,
}

/// A settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementRow {
    /// See [`month_number`].
    pub month: i64,
    /// From 1 on in each month.
    pub ordinal: i64,
    /// The provider.
    pub provider: Box<str>,
    /// ISO 4217 code.
    pub currency: Box<str>,
    /// For the next settlement, micro-units.
    pub carried_micro: i64,
    /// The settlement as JSON.
    pub value: String,
}

/// A closed period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodRow {
    /// See [`month_number`].
    pub month: i64,
    /// Entries up to this id were looked at.
    pub through: i64,
    /// All with smaller ids are in this period or an earlier one.
    pub open_from: i64,
    /// Where the settlements end, milliseconds since 1970.
    pub settled_until_unix_ms: i64,
    /// The number of the first invoice.
    pub first_number: i64,
    /// How many there are.
    pub invoices: i64,
    /// How many settlements there are.
    pub settlements: i64,
    /// When it was closed, milliseconds since 1970.
    pub closed_unix_ms: i64,
}

/// Months since the year 0: what tables are sorted by.
pub fn month_number(month: Month) -> i64 {
    let first = month.first_day();
    i64::from(first.year()) * 12 + i64::from(first.month()) - 1
}

/// The month of this number.
pub fn month_of(number: i64) -> Option<Month> {
    let year = i16::try_from(number.div_euclid(12)).ok()?;
    let month = i8::try_from(number.rem_euclid(12) + 1).ok()?;
    Date::new(year, month, 1)
        .ok()?
        .strftime("%Y-%m")
        .to_string()
        .parse()
        .ok()
}

/// The key of the row: sorted by month and count.
pub fn id(month: i64, ordinal: i64) -> i64 {
    (month << 32) | ordinal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_numbered_in_their_order() {
        let month: Month = "2026-12".parse().unwrap();
        let next = month.next().unwrap();
        assert_eq!(month_number(next), month_number(month) + 1);
        assert_eq!(month_of(month_number(month)), Some(month));
        assert_eq!(month_of(month_number(next)), Some(next));
        assert!(id(month_number(month), u32::MAX.into()) < id(month_number(next), 0));
    }
}
