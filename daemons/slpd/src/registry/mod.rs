//! What is registered: found by type, scope, language and attribute values, and gone when its lifetime is over.
//!
//! No request costs more for what it does not ask about: entries are indexed by every value they have, and a
//! registration touches its own values alone. Requests that no index narrows are bounded by a budget.

mod change;
mod entry;
mod index;
mod postings;
mod query;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashTable;
use tollwire_runtime::clock::Now;
use tollwire_slp::{ScopeList, ServiceType};

pub use self::change::{Deregistration, Registration};
pub use self::entry::{Change, Entry, Expiry, Snapshot, Source, StoredBlock};
pub use self::postings::EntryId;
pub use self::query::{Find, Found, Shown};

use self::index::TypeIndex;

/// How much may be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Entries in all.
    pub entries: usize,
    /// Octets in all, as [`Entry::octets`] counts.
    pub octets: usize,
    /// Entries of one source address.
    pub entries_per_source: usize,
    /// Octets of one source address.
    pub octets_per_source: usize,
}

/// What a source has registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Usage {
    entries: usize,
    octets: usize,
}

/// All services.
#[derive(Debug)]
pub struct Registry {
    quota: Quota,
    min_refresh: Duration,
    slots: Vec<Option<Entry>>,
    free: Vec<EntryId>,
    hasher: RandomState,
    /// By URL; those of one URL in several languages have the same hash.
    urls: HashTable<EntryId>,
    types: HashMap<Arc<ServiceType>, TypeIndex>,
    /// Concrete types of each abstract one.
    concrete: HashMap<Box<str>, BTreeSet<Arc<ServiceType>>>,
    scope_lists: HashMap<Arc<ScopeList>, usize>,
    expiries: BTreeSet<(Instant, EntryId)>,
    usage: HashMap<Source, Usage>,
    total: Usage,
}

impl Registry {
    /// Nothing registered; updates of one entry follow each other by `min_refresh` at least.
    pub fn new(quota: Quota, min_refresh: Duration) -> Self {
        Self {
            quota,
            min_refresh,
            slots: Vec::new(),
            free: Vec::new(),
            hasher: RandomState::new(),
            urls: HashTable::new(),
            types: HashMap::new(),
            concrete: HashMap::new(),
            scope_lists: HashMap::new(),
            expiries: BTreeSet::new(),
            usage: HashMap::new(),
            total: Usage::default(),
        }
    }

    /// Another quota and another interval, for what is registered from now on.
    pub fn set_limits(&mut self, quota: Quota, min_refresh: Duration) {
        self.quota = quota;
        self.min_refresh = min_refresh;
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.total.entries
    }

    /// Whether nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.total.entries == 0
    }

    /// Octets of all entries, as they are counted.
    pub fn octets(&self) -> usize {
        self.total.octets
    }

    /// An entry.
    pub fn get(&self, id: EntryId) -> Option<&Entry> {
        self.slots.get(id as usize)?.as_ref()
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (EntryId, &Entry)> {
        let numbered = (0..).zip(&self.slots);
        numbered.filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }

    /// The entries of one URL, one for each language.
    pub fn of_url(&self, url: &str) -> impl Iterator<Item = (EntryId, &Entry)> {
        let hash = self.hasher.hash_one(url);
        self.urls
            .iter_hash(hash)
            .filter_map(|id| Some((*id, self.get(*id)?)))
            .filter(move |(_, entry)| *entry.url == *url)
    }

    /// When the next entry ends.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(instant, _)| *instant)
    }

    /// Removes what is over, at most `limit` entries; those removed.
    pub fn expire(&mut self, now: Now, limit: usize) -> Vec<Entry> {
        let mut over = Vec::new();
        while let Some(&(instant, id)) = self.expiries.first() {
            if instant > now.instant || over.len() == limit {
                break;
            }
            match self.take(id) {
                Some(entry) => over.push(entry),
                // Never: an entry and its expiry go together.
                None => drop(self.expiries.pop_first()),
            }
        }
        over
    }

    fn insert(&mut self, entry: Entry) -> EntryId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            EntryId::try_from(self.slots.len() - 1).unwrap_or(EntryId::MAX)
        });
        let hash = self.hasher.hash_one(&*entry.url);
        let (hasher, slots) = (&self.hasher, &self.slots);
        self.urls.insert_unique(hash, id, |other| {
            let url = slots.get(*other as usize).and_then(Option::as_ref);
            url.map_or(0, |entry| hasher.hash_one(&*entry.url))
        });
        if let Some(abstract_type) = entry.service_type.abstract_type() {
            let concrete = self.concrete.entry(abstract_type.into()).or_default();
            concrete.insert(entry.service_type.clone());
        }
        self.types
            .entry(entry.service_type.clone())
            .or_default()
            .insert(id, &entry);
        if let Some(expires) = entry.expires {
            self.expiries.insert((expires.instant, id));
        }
        let octets = entry.octets();
        let usage = self.usage.entry(entry.source).or_default();
        for usage in [usage, &mut self.total] {
            usage.entries += 1;
            usage.octets += octets;
        }
        if let Some(slot) = self.slots.get_mut(id as usize) {
            *slot = Some(entry);
        }
        id
    }

    fn take(&mut self, id: EntryId) -> Option<Entry> {
        let entry = self.slots.get_mut(id as usize)?.take()?;
        self.free.push(id);
        let hash = self.hasher.hash_one(&*entry.url);
        if let Ok(found) = self.urls.find_entry(hash, |other| *other == id) {
            found.remove();
        }
        if let Some(index) = self.types.get_mut(&entry.service_type) {
            index.remove(id, &entry);
            if index.entries.is_empty() {
                self.types.remove(&entry.service_type);
                self.forget_concrete(&entry.service_type);
            }
        }
        if let Some(expires) = entry.expires {
            self.expiries.remove(&(expires.instant, id));
        }
        self.release_scopes(&entry.scopes);
        let octets = entry.octets();
        if let Some(usage) = self.usage.get_mut(&entry.source) {
            usage.entries -= 1;
            usage.octets -= octets;
            if usage.entries == 0 {
                self.usage.remove(&entry.source);
            }
        }
        self.total.entries -= 1;
        self.total.octets -= octets;
        Some(entry)
    }

    fn forget_concrete(&mut self, service_type: &ServiceType) {
        let Some(abstract_type) = service_type.abstract_type() else {
            return;
        };
        if let Some(concrete) = self.concrete.get_mut(abstract_type) {
            concrete.remove(service_type);
            if concrete.is_empty() {
                self.concrete.remove(abstract_type);
            }
        }
    }

    /// The type as it is shared by all its entries.
    fn shared_type(&self, service_type: ServiceType) -> Arc<ServiceType> {
        match self.types.get_key_value(&service_type) {
            Some((shared, _)) => shared.clone(),
            None => Arc::new(service_type),
        }
    }

    /// The list as it is shared by all who spell it so; counted for as long as one does.
    fn shared_scopes(&mut self, scopes: ScopeList) -> Arc<ScopeList> {
        let shared = match self.scope_lists.get_key_value(&scopes) {
            Some((shared, _)) => shared.clone(),
            None => Arc::new(scopes),
        };
        *self.scope_lists.entry(shared.clone()).or_default() += 1;
        shared
    }

    fn release_scopes(&mut self, scopes: &Arc<ScopeList>) {
        if let Some(count) = self.scope_lists.get_mut(scopes) {
            *count -= 1;
            if *count == 0 {
                self.scope_lists.remove(scopes);
            }
        }
    }
}
