//! Which entries have a value: sets of ids, and ordered values over them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use smallvec::SmallVec;
use tollwire_slp::Meaning;

/// Names an entry while it is registered.
pub type EntryId = u32;

/// From how many ids on a set is a tree: below, moving a few octets costs less.
const FEW: usize = 16;

/// Ids of entries. Most values belong to one entry alone.
#[derive(Debug, Clone)]
pub enum Postings {
    /// In order.
    Few(SmallVec<[EntryId; 2]>),
    /// More than [`FEW`].
    Many(BTreeSet<EntryId>),
}

impl Default for Postings {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl Postings {
    /// Adds an id.
    pub fn insert(&mut self, id: EntryId) {
        match self {
            Self::Few(few) => match few.binary_search(&id) {
                Ok(_) => {}
                Err(at) if few.len() < FEW => few.insert(at, id),
                Err(_) => {
                    let mut many: BTreeSet<EntryId> = few.iter().copied().collect();
                    many.insert(id);
                    *self = Self::Many(many);
                }
            },
            Self::Many(many) => {
                many.insert(id);
            }
        }
    }

    /// Takes an id out.
    pub fn remove(&mut self, id: EntryId) {
        match self {
            Self::Few(few) => {
                if let Ok(at) = few.binary_search(&id) {
                    few.remove(at);
                }
            }
            Self::Many(many) => {
                many.remove(&id);
                // Not at FEW at once, or one entry that comes and goes would rebuild it each time.
                if many.len() <= FEW / 2 {
                    *self = Self::Few(many.iter().copied().collect());
                }
            }
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Visits each, in order, until `visit` has enough.
    pub fn visit(&self, visit: &mut dyn FnMut(EntryId) -> ControlFlow<()>) -> ControlFlow<()> {
        match self {
            Self::Few(few) => few.iter().try_for_each(|id| visit(*id)),
            Self::Many(many) => many.iter().try_for_each(|id| visit(*id)),
        }
    }
}

/// Values of one attribute, in order, and who has them.
#[derive(Debug, Default)]
pub struct Values {
    values: BTreeMap<Meaning, Postings>,
    /// Who has the attribute at all.
    present: Postings,
}

/// A run of values, in the order of [`Meaning`]: integers, booleans, opaque ones, strings.
pub type Range<'a> = (Bound<&'a Meaning>, Bound<&'a Meaning>);

impl Values {
    /// Entry `id` has the attribute, with these values.
    pub fn insert<'a>(&mut self, id: EntryId, values: impl Iterator<Item = &'a Meaning>) {
        self.present.insert(id);
        for value in values {
            match self.values.get_mut(value) {
                Some(postings) => postings.insert(id),
                None => self.values.entry(value.clone()).or_default().insert(id),
            }
        }
    }

    /// It has it no more.
    pub fn remove<'a>(&mut self, id: EntryId, values: impl Iterator<Item = &'a Meaning>) {
        self.present.remove(id);
        for value in values {
            let Some(postings) = self.values.get_mut(value) else {
                continue;
            };
            postings.remove(id);
            if postings.is_empty() {
                self.values.remove(value);
            }
        }
    }

    /// Whether nobody has it.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Who has the attribute.
    pub fn present(&self) -> &Postings {
        &self.present
    }

    /// Who has this value.
    pub fn equal(&self, value: &Meaning) -> Option<&Postings> {
        self.values.get(value)
    }

    /// Every value, in order, and who has it.
    pub fn all(&self) -> impl Iterator<Item = (&Meaning, &Postings)> {
        self.values.iter()
    }

    /// Who has a value of the run.
    pub fn range<'a>(
        &'a self,
        range: Range<'_>,
    ) -> impl Iterator<Item = (&'a Meaning, &'a Postings)> {
        self.values.range::<Meaning, _>(range)
    }
}
