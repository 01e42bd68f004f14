//! What a service costs: by time, volume, events, or time and volume, in exact integers.
//!
//! A [`RatingTable`] finds the [`Tariff`] of a request; the tariff says what is counted, what it costs, how much of it an
//! amount of money pays for, and why. Nothing here reads a file or a clock: [`crate::config::rating_table`] loads.
//!
//! Money is micro-units of the tariff's currency. Prices are for a minute, a kilobyte, a megabyte or an event; a sum is kept
//! as an integer numerator until its end, and rounded up once.

mod calendar;
mod checks;
mod definition;
mod explain;
mod groups;
mod multiplier;
mod number;
mod rate;
mod sheet;
mod table;
mod tariff;
#[cfg(test)]
mod tests;
mod trie;

pub use definition::{Definition, PeriodDefinition, StepDefinition};
pub use explain::{Line, Part};
pub use groups::CallingGroups;
pub use multiplier::{Multiplier, micro_of_parts, parts_of_micro};
pub use sheet::{Book, Sheet, parse_sheet};
pub use table::{Place, RatingTable, Wrong};
pub use tariff::Tariff;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

/// What a grant counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Seconds.
    Time,
    /// Octets.
    Volume,
    /// Service-specific units.
    Events,
    /// Seconds; octets above a bit rate are priced besides.
    Combined,
}

/// What was used of a service since its begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Seconds.
    #[serde(default)]
    pub seconds: u64,
    /// Octets; for [`Measure::Combined`] the chargeable ones alone ([`Tariff::chargeable_octets`]).
    #[serde(default)]
    pub octets: u64,
    /// Service-specific units.
    #[serde(default)]
    pub events: u64,
}

/// A part of a service that was used from some moment on, up to the next stint: when the price of octets or events changes
/// by the calendar in mid-session, or when the service paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stint {
    /// When its first unit is used.
    pub from_unix_ms: i64,
    /// What was used in it alone.
    pub used: Used,
}

/// Which tariff is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The called number, or a SIP or tel URI; empty if nobody is called.
    pub called: &'a str,
    /// The same of who calls.
    pub calling: &'a str,
    /// Rating-Group (RFC 8506 8.29).
    pub rating_group: Option<u32>,
    /// Service-Identifier (RFC 8506 8.28).
    pub service_identifier: Option<u32>,
    /// Of the account that pays.
    pub currency: Currency,
    /// The begin of the service.
    pub at_unix_ms: i64,
}
