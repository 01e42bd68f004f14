//! Metrics that are read off the core.

use tollwire_runtime::metrics::Reading;

use crate::core::Core;
use crate::payment::State;

/// Name, help, and how it is read.
pub(super) const ROWS: &[(&str, &str, Reading<Core>)] = &[
    (
        "payments_charging",
        "Payments whose debit is not known yet",
        |core| core.open_in(State::Charging) as u64,
    ),
    (
        "payments_paid",
        "Payments that their shop has not acknowledged yet",
        |core| core.open_in(State::Paid) as u64,
    ),
    (
        "payments_refunding",
        "Payments that have to be paid back",
        |core| core.open_in(State::Refunding) as u64,
    ),
    ("paid", "Payments debited since the start", |core| {
        core.counters().paid
    }),
    (
        "refused",
        "Payments that the charging system refused",
        |core| core.counters().refused,
    ),
    (
        "acknowledged",
        "Payments that their shop has acknowledged",
        |core| core.counters().acknowledged,
    ),
    ("refunded", "Payments paid back", |core| {
        core.counters().refunded
    }),
    ("repeated", "Forms of payments that were known", |core| {
        core.counters().repeated
    }),
    ("posts", "Acknowledgements sent, with repetitions", |core| {
        core.counters().posts
    }),
    (
        "expired",
        "Acknowledgements that no shop answered in time",
        |core| core.counters().expired,
    ),
    (
        "forwarded",
        "Invoices handed on to other billing servers",
        |core| core.counters().forwarded,
    ),
];
