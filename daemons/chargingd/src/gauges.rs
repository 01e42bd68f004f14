//! What the metrics page shows of the core and of its role.

use tollwire_runtime::metrics::Reading;

use crate::core::Core;
use crate::role::Role;

/// What `/metrics` shows.
pub(crate) const GAUGE_ROWS: &[(&str, &str, Reading<Core>)] = &[
    ("requests", "Credit-Control-Requests received", |core| {
        core.counters().requests
    }),
    (
        "requests_repeated",
        "Requests answered from memory",
        |core| core.counters().repeated,
    ),
    ("requests_refused", "Requests refused", |core| {
        core.counters().refused
    }),
    (
        "excessive_reports",
        "Reports of more than was granted",
        |core| core.counters().excessive_reports,
    ),
    (
        "supervision_expired",
        "Sessions closed because their client fell silent",
        |core| core.counters().supervision_expired,
    ),
    (
        "late_reports",
        "Last reports of sessions that were closed already, debited after all",
        |core| core.counters().late_reports,
    ),
    (
        "uncollected_micro",
        "What reports cost beyond what the accounts had, micro-units of any currency",
        |core| core.counters().uncollected_micro,
    ),
    ("records", "Charge records made", |core| {
        core.counters().records
    }),
    ("sessions", "Sessions that run", |core| {
        core.open_sessions().count() as u64
    }),
    ("accounts", "Accounts", |core| {
        core.accounts().count() as u64
    }),
];

/// What `/metrics` shows of its part among the instances.
pub(crate) const ROLE_ROWS: &[(&str, &str, Reading<Role>)] = &[
    ("active", "Whether this instance works", |role| {
        u64::from(*role == Role::Active)
    }),
    ("store_away", "Whether nothing can be stored now", |role| {
        u64::from(*role == Role::Away)
    }),
];
