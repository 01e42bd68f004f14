//! What `/metrics` shows beside gauges.

use tollwire_peer::Word;
use tollwire_runtime::metrics::{Counter, Family, Metrics};

/// Counts since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    pub(crate) credentials: Counter,
    pub(crate) revocations: Counter,
    pub(crate) requests: Counter,
    pub(crate) octets: Counter,
    pub(crate) datagrams_dropped: Counter,
    pub(crate) messages: Counter,
    pub(crate) acknowledged: Counter,
    pub(crate) repeated: Counter,
    pub(crate) given_up: Counter,
    refused: Family<Vec<(&'static str, String)>, Counter>,
}

impl Counters {
    pub(crate) fn register(&self, metrics: &Metrics) {
        let rows = [
            (
                "peers_credentials",
                "Users' credentials taken",
                &self.credentials,
            ),
            (
                "peers_revocations",
                "Sessions revoked by managers",
                &self.revocations,
            ),
            (
                "peers_requests",
                "Service requests let through",
                &self.requests,
            ),
            (
                "peers_octets",
                "Octets that were metered, both ways",
                &self.octets,
            ),
            (
                "peers_datagrams_dropped",
                "Datagrams that were of no open session, or for which nothing was granted",
                &self.datagrams_dropped,
            ),
            ("peers_messages", "Accounting messages made", &self.messages),
            (
                "peers_messages_acknowledged",
                "Accounting messages acknowledged",
                &self.acknowledged,
            ),
            (
                "peers_messages_repeated",
                "Accounting messages that have to be sent again",
                &self.repeated,
            ),
            (
                "peers_messages_given_up",
                "Accounting messages that the manager will never take",
                &self.given_up,
            ),
        ];
        metrics.register(|registry| {
            for (name, help, counter) in rows {
                registry.register(name, help, counter.clone());
            }
            registry.register(
                "peers_refused",
                "Messages and requests refused, by kind and word",
                self.refused.clone(),
            );
        });
    }

    pub(crate) fn refused(&self, kind: &'static str, word: Word) {
        let word = serde_json::to_value(word).ok();
        let word = word.as_ref().and_then(|it| it.as_str()).unwrap_or_default();
        self.refused
            .get_or_create(&vec![("kind", kind.to_owned()), ("error", word.to_owned())])
            .inc();
    }
}
