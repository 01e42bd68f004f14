//! The location service: which bindings an address of record has (RFC 3261 10.3).

use std::collections::{BTreeSet, HashMap};

use super::Binding;

/// All bindings in memory, by canonical address of record.
#[derive(Debug, Default)]
pub struct Location {
    bindings: HashMap<Box<str>, Vec<Binding>>,
    /// Every binding's end, so that expiry looks at nothing else.
    ends: BTreeSet<(i64, Box<str>)>,
}

impl Location {
    /// The location service as the store remembers it.
    pub fn restore(bindings: impl IntoIterator<Item = (Box<str>, Binding)>) -> Self {
        let mut by_address: HashMap<Box<str>, Vec<Binding>> = HashMap::new();
        for (address_of_record, binding) in bindings {
            by_address
                .entry(address_of_record)
                .or_default()
                .push(binding);
        }
        let mut location = Self::default();
        for (address_of_record, bindings) in by_address {
            location.replace(&address_of_record, bindings);
        }
        location
    }

    /// The live bindings of `address_of_record`, the preferred first (RFC 3261 16.6).
    pub fn lookup(&self, address_of_record: &str, now_unix_ms: i64) -> Vec<&Binding> {
        let mut live: Vec<&Binding> = self
            .all(address_of_record)
            .iter()
            .filter(|binding| binding.expires_at_unix_ms > now_unix_ms)
            .collect();
        live.sort_by_key(|binding| std::cmp::Reverse(binding.q));
        live
    }

    /// The bindings of `address_of_record`, expired ones that were not swept yet included.
    pub fn all(&self, address_of_record: &str) -> &[Binding] {
        self.bindings
            .get(address_of_record)
            .map_or(&[], Vec::as_slice)
    }

    /// Every address of record and binding.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Binding)> {
        self.bindings.iter().flat_map(|(address, bindings)| {
            bindings.iter().map(move |binding| (&**address, binding))
        })
    }

    /// Bindings held.
    pub fn len(&self) -> usize {
        self.bindings.values().map(Vec::len).sum()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Puts `bindings` in the place of all that `address_of_record` had; returns those.
    pub fn replace(&mut self, address_of_record: &str, bindings: Vec<Binding>) -> Vec<Binding> {
        let before = self.bindings.remove(address_of_record).unwrap_or_default();
        for binding in &before {
            self.ends
                .remove(&(binding.expires_at_unix_ms, address_of_record.into()));
        }
        for binding in &bindings {
            self.ends
                .insert((binding.expires_at_unix_ms, address_of_record.into()));
        }
        if !bindings.is_empty() {
            self.bindings.insert(address_of_record.into(), bindings);
        }
        before
    }

    /// When the next binding ends, milliseconds since 1970.
    pub fn next_expiry(&self) -> Option<i64> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Removes what has ended; returns how many bindings that were.
    pub fn expire(&mut self, now_unix_ms: i64) -> usize {
        let mut removed = 0;
        while let Some((end, address)) = self.ends.first()
            && *end <= now_unix_ms
        {
            let address = address.clone();
            let mut kept = self.all(&address).to_vec();
            let before = kept.len();
            kept.retain(|binding| binding.expires_at_unix_ms > now_unix_ms);
            removed += before - kept.len();
            self.replace(&address, kept);
        }
        removed
    }
}
