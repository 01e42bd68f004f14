//! What the metrics page shows of the manager.

use tollwire_runtime::metrics::Reading;

use super::core::Counters;
use super::gate;

/// Read now and then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) counters: Counters,
    pub(crate) live: u64,
    pub(crate) owed_revocations: u64,
    pub(crate) gates: gate::Figures,
}

/// What `/metrics` shows.
pub(crate) const ROWS: &[(&str, &str, Reading<Figures>)] = &[
    (
        "peers_sessions",
        "Sessions of peers that are not over",
        |it| it.live,
    ),
    ("peers_requests", "Requests for credentials, signed", |it| {
        it.counters.requests
    }),
    ("peers_issued", "Credentials given out", |it| {
        it.counters.issued
    }),
    ("peers_refused", "Requests for credentials refused", |it| {
        it.counters.refused
    }),
    ("peers_messages", "Accounting messages, signed", |it| {
        it.counters.messages
    }),
    (
        "peers_messages_repeated",
        "Accounting messages that were there before",
        |it| it.counters.repeated,
    ),
    ("peers_closed", "Sessions of peers that ended", |it| {
        it.counters.closed
    }),
    (
        "peers_silent",
        "Sessions of peers closed because their provider fell silent",
        |it| it.counters.silent,
    ),
    ("peers_revoked", "Revocations", |it| it.counters.revoked),
    (
        "peers_revocations_owed",
        "Revocations that a provider has not taken yet",
        |it| it.owed_revocations,
    ),
    (
        "peers_over_reports",
        "Reports of more than was granted, or than passed a gate",
        |it| it.counters.over_reports,
    ),
    (
        "peers_uncharged",
        "Sessions with use that could not be charged any more",
        |it| it.counters.uncharged,
    ),
];
