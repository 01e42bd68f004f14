//! What `/metrics` shows beside gauges.

use tollwire_runtime::metrics::{Counter, Family, Metrics};

/// Counts since the start.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Orders.
    pub orders: Counter,
    /// Orders that were not taken, for the bounds of `[orders]`.
    pub orders_refused: Counter,
    /// Acknowledgements that gave a right.
    pub acknowledged: Counter,
    /// Acknowledgements that had come before.
    pub acknowledged_again: Counter,
    /// Acknowledgements that were refused, by what was wrong.
    pub acknowledgements_refused: Family<Vec<(&'static str, &'static str)>, Counter>,
    /// Orders that were delivered whole.
    pub delivered: Counter,
    /// Octets of goods that went out.
    pub octets: Counter,
    /// Names that customers typed and that were looked for.
    pub searches: Counter,
}

impl Counters {
    /// Shows them.
    pub fn register(&self, metrics: &Metrics) {
        let rows = [
            ("orders", "Orders", &self.orders),
            (
                "orders_refused",
                "Orders that were not taken, for the bounds of orders",
                &self.orders_refused,
            ),
            (
                "acknowledged",
                "Acknowledgements that gave a right to the goods",
                &self.acknowledged,
            ),
            (
                "acknowledged_again",
                "Acknowledgements that had come before",
                &self.acknowledged_again,
            ),
            ("delivered", "Orders delivered whole", &self.delivered),
            ("octets", "Octets of goods that went out", &self.octets),
            (
                "searches",
                "Billing servers looked for by name",
                &self.searches,
            ),
        ];
        metrics.register(|registry| {
            for (name, help, counter) in rows {
                registry.register(name, help, counter.clone());
            }
            registry.register(
                "acknowledgements_refused",
                "Acknowledgements refused, by what was wrong",
                self.acknowledgements_refused.clone(),
            );
        });
    }

    /// An acknowledgement was refused.
    pub fn refused(&self, why: &'static str) {
        self.acknowledgements_refused
            .get_or_create(&vec![("reason", why)])
            .inc();
    }
}
