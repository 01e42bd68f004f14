//! Transfers that are under way: how many there are of each order, and how much they may still send.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// All of them; a clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Transfers(Arc<Mutex<HashMap<i64, UnderWay>>>);

#[derive(Debug, Clone, Copy, Default)]
struct UnderWay {
    transfers: usize,
    octets: u64,
}

/// The place of one transfer; dropped, it is free again.
#[derive(Debug)]
pub struct Place {
    transfers: Transfers,
    order: i64,
    octets: u64,
}

impl Transfers {
    /// Takes a place for a transfer of so many octets of an order, and says how many transfers and octets there were.
    pub fn begin(&self, order: i64, octets: u64) -> (Place, usize, u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = all.entry(order).or_default();
        let before = *under_way;
        under_way.transfers += 1;
        under_way.octets = under_way.octets.saturating_add(octets);
        let place = Place {
            transfers: self.clone(),
            order,
            octets,
        };
        (place, before.transfers, before.octets)
    }

    /// How many there are in all.
    pub fn count(&self) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|under_way| under_way.transfers).sum()
    }

    fn change(&self, order: i64, change: impl FnOnce(&mut UnderWay)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = all.get_mut(&order) {
            change(under_way);
            if under_way.transfers == 0 {
                all.remove(&order);
            }
        }
    }
}

impl Place {
    /// So many octets of it went out, and count elsewhere from now on.
    pub fn sent(&mut self, octets: u64) {
        let octets = octets.min(self.octets);
        self.octets -= octets;
        (self.transfers).change(self.order, |under_way| under_way.octets -= octets);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let octets = self.octets;
        (self.transfers).change(self.order, |under_way| {
            under_way.transfers -= 1;
            under_way.octets -= octets;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_for_each_order() {
        let transfers = Transfers::default();
        let (mut first, count, octets) = transfers.begin(1, 100);
        assert_eq!((count, octets), (0, 0));
        first.sent(30);
        let (second, count, octets) = transfers.begin(1, 50);
        assert_eq!((count, octets), (1, 70));
        let (_other, count, octets) = transfers.begin(2, 5);
        assert_eq!((count, octets), (0, 0));
        assert_eq!(transfers.count(), 3);
        drop(first);
        let (_third, count, octets) = transfers.begin(1, 1);
        assert_eq!((count, octets), (1, 50));
        drop(second);
        drop(_third);
        assert_eq!(transfers.count(), 1);
        assert_eq!(transfers.0.lock().unwrap().len(), 1);
    }
}
