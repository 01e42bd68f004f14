//! Asking (RFC 2608 8.1, 10.1, 10.3).

use std::cell::Cell;
use std::collections::btree_map;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use tollwire_runtime::clock::Now;
use tollwire_slp::message::NamingAuthority;
use tollwire_slp::text::fold;
use tollwire_slp::{ErrorCode, Filter, Meaning, ScopeList, ServiceType, TagList};

use super::Registry;
use super::entry::Entry;
use super::index::{TypeIndex, primary_language, spend};
use super::postings::{EntryId, Postings};

/// Says which entries may be shown to somebody.
pub type Shown = fn(&Entry) -> bool;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Find<'a> {
    /// The type; an abstract one means all its concrete ones.
    pub service_type: &'a ServiceType,
    /// Any of these scopes.
    pub scopes: &'a ScopeList,
    /// Language tag; of consequence only beside a predicate (RFC 2608 8.1).
    pub language: &'a str,
    /// The predicate.
    pub filter: Option<&'a Filter>,
    /// Only services of this host.
    pub local: bool,
    /// Entries and values that are looked at in vain, at most.
    pub budget: usize,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Entries and values that were looked at in vain.
    pub examined: usize,
    /// Whether the budget was used up before the end.
    pub exhausted: bool,
}

impl Registry {
    /// Visits every service that is asked for, each URL once, until `visit` has enough.
    ///
    /// # Errors
    /// LANGUAGE_NOT_SUPPORTED if there are services of the type and scope, and none in the language, which a predicate
    /// needs (RFC 2608 7, 8.1).
    pub fn find<'a>(
        &'a self,
        now: Now,
        find: &Find<'_>,
        mut visit: impl FnMut(&'a Entry) -> ControlFlow<()>,
    ) -> Result<Found, ErrorCode> {
        let language = find.filter.map(|_| primary_language(find.language));
        let budget = Cell::new(find.budget);
        let mut seen: HashSet<&str> = HashSet::new();
        let mut matched = false;
        for index in self.indices(find.service_type) {
            let plan = index.plan(find.scopes, language.as_deref(), find.filter);
            let mut enough = false;
            let flow = plan.visit(&budget, &mut |id| {
                let Some(entry) = self.get(id) else {
                    return ControlFlow::Continue(());
                };
                let wanted = !entry.is_over(now)
                    && (!find.local || entry.is_local())
                    && entry.scopes.intersects(find.scopes)
                    && is_in(entry, language.as_deref())
                    && find
                        .filter
                        .is_none_or(|filter| filter.matches(&entry.attributes));
                if !wanted || (self.has_siblings(&entry.url) && !seen.insert(&entry.url)) {
                    return ControlFlow::Continue(());
                }
                matched = true;
                // What is found is bounded by the answer: the budget is for what is looked at in vain.
                budget.set(budget.get() + 1);
                let flow = visit(entry);
                enough = flow.is_break();
                flow
            });
            if flow.is_break() {
                return Ok(Found {
                    examined: find.budget - budget.get(),
                    exhausted: !enough,
                });
            }
        }
        if !matched && let Some(language) = language {
            self.check_language(find, &language, &budget)?;
        }
        Ok(Found {
            examined: find.budget - budget.get(),
            exhausted: false,
        })
    }

    /// Whether the URL is registered in more than one language.
    fn has_siblings(&self, url: &str) -> bool {
        self.of_url(url).nth(1).is_some()
    }

    fn check_language(
        &self,
        find: &Find<'_>,
        language: &str,
        budget: &Cell<usize>,
    ) -> Result<(), ErrorCode> {
        let mut others = false;
        for index in self.indices(find.service_type) {
            if let Some(postings) = index.languages.get(language)
                && self
                    .representative(postings, find.scopes, None, budget)
                    .is_some()
            {
                return Ok(());
            }
            others |= find
                .scopes
                .iter()
                .any(|scope| index.scopes.contains_key(scope));
        }
        match others && budget.get() > 0 {
            true => Err(ErrorCode::LANGUAGE_NOT_SUPPORTED),
            false => Ok(()),
        }
    }

    /// Types that are registered in any of the scopes, as they compare, in order; with `shown`, those alone that have a
    /// service which it lets through, as far as so many are looked at.
    pub fn service_types(
        &self,
        authority: NamingAuthority<'_>,
        scopes: &ScopeList,
        local: bool,
        shown: Option<(Shown, usize)>,
    ) -> Vec<&str> {
        let budget = Cell::new(shown.map_or(0, |(_, budget)| budget));
        let wanted = match authority {
            NamingAuthority::Named(name) => Some(fold(name)),
            NamingAuthority::Iana | NamingAuthority::All => None,
        };
        let types: BTreeSet<&str> = self
            .types
            .iter()
            .filter(|(service_type, index)| {
                let of_authority = match authority {
                    NamingAuthority::All => true,
                    NamingAuthority::Iana => service_type.naming_authority().is_none(),
                    NamingAuthority::Named(_) => {
                        service_type.naming_authority() == wanted.as_deref()
                    }
                };
                of_authority
                    && (!local || index.local > 0)
                    && scopes.iter().any(|scope| index.scopes.contains_key(scope))
                    && shown.is_none_or(|(shown, _)| self.has_one(index, scopes, shown, &budget))
            })
            .map(|(service_type, _)| service_type.as_str())
            .collect();
        types.into_iter().collect()
    }

    /// Whether a service of the type, in any of the scopes, is one that may be shown.
    fn has_one(
        &self,
        index: &TypeIndex,
        scopes: &ScopeList,
        shown: Shown,
        budget: &Cell<usize>,
    ) -> bool {
        let mut found = false;
        let _ = index.entries.visit(&mut |id| {
            spend(budget)?;
            found = self
                .get(id)
                .is_some_and(|entry| entry.scopes.intersects(scopes) && shown(entry));
            match found {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        found
    }

    /// Types of the services of this host.
    pub fn local_types(&self) -> impl Iterator<Item = &ServiceType> {
        self.types
            .iter()
            .filter(|(_, index)| index.local > 0)
            .map(|(service_type, _)| service_type.as_ref())
    }

    /// The entry of a URL in this language: the same tag, or else the same without its dialect.
    ///
    /// # Errors
    /// LANGUAGE_NOT_SUPPORTED if it is registered in others alone.
    pub fn entry_of_url(
        &self,
        now: Now,
        url: &str,
        language: &str,
        scopes: &ScopeList,
        local: bool,
    ) -> Result<Option<&Entry>, ErrorCode> {
        let primary = primary_language(language);
        let mut near = None;
        let mut any = false;
        for (_, entry) in self.of_url(url) {
            let visible = !entry.is_over(now)
                && entry.scopes.intersects(scopes)
                && (!local || entry.is_local());
            if !visible {
                continue;
            }
            any = true;
            if entry.language.eq_ignore_ascii_case(language) {
                return Ok(Some(entry));
            }
            if is_in(entry, Some(&primary)) {
                near = Some(entry);
            }
        }
        match (near, any) {
            (None, true) => Err(ErrorCode::LANGUAGE_NOT_SUPPORTED),
            (near, _) => Ok(near),
        }
    }

    /// The union of the attributes of all services of a type (RFC 2608 10.4) as text of at most `limit` octets, whole
    /// attributes alone; and whether that is all. Tags come in order.
    ///
    /// It costs as much as there are different values, however many services have them.
    pub fn attributes_of_type(
        &self,
        find: &Find<'_>,
        tags: &TagList,
        limit: usize,
    ) -> (String, bool) {
        let language = primary_language(find.language);
        let budget = Cell::new(find.budget);
        let mut union: BTreeMap<&str, (&str, BTreeMap<&Meaning, &str>)> = BTreeMap::new();
        let mut octets = 0;
        for index in self.indices(find.service_type) {
            for (tag, attribute) in &index.tags {
                if !tags.matches(tag) {
                    continue;
                }
                let shown = |postings: &Postings| {
                    self.representative(
                        postings,
                        find.scopes,
                        Some((&language, find.local)),
                        &budget,
                    )
                };
                let Some(first) = shown(attribute.values.present()) else {
                    continue;
                };
                let spelled = first.attributes.get(tag).map_or("", |known| &known.spelled);
                let (_, values) = match union.entry(tag) {
                    btree_map::Entry::Occupied(known) => known.into_mut(),
                    btree_map::Entry::Vacant(place) => {
                        octets += spelled.len() + 4;
                        place.insert((spelled, BTreeMap::new()))
                    }
                };
                for (meaning, postings) in attribute.values.all() {
                    if octets > limit || values.contains_key(meaning) {
                        continue;
                    }
                    let text = shown(postings).and_then(|entry| text_of(entry, tag, meaning));
                    if let Some(text) = text {
                        octets += text.len() + 1;
                        values.insert(meaning, text);
                    }
                }
            }
        }
        let mut out = String::new();
        for (spelled, values) in union.values() {
            let before = out.len();
            if before > 0 {
                out.push(',');
            }
            if values.is_empty() {
                out.push_str(spelled);
            } else {
                let texts: Vec<&str> = values.values().copied().collect();
                out.push_str(&format!("({spelled}={})", texts.join(",")));
            }
            if out.len() > limit {
                out.truncate(before);
                return (out, false);
            }
        }
        (out, octets <= limit && budget.get() > 0)
    }

    /// An entry of the set in these scopes, in the language if one is given.
    fn representative(
        &self,
        postings: &Postings,
        scopes: &ScopeList,
        wanted: Option<(&str, bool)>,
        budget: &Cell<usize>,
    ) -> Option<&Entry> {
        let mut found: Option<EntryId> = None;
        let _ = postings.visit(&mut |id| {
            spend(budget)?;
            let fits = self.get(id).is_some_and(|entry| {
                entry.scopes.intersects(scopes)
                    && wanted.is_none_or(|(language, local)| {
                        is_in(entry, Some(language)) && (!local || entry.is_local())
                    })
            });
            match fits {
                true => {
                    found = Some(id);
                    ControlFlow::Break(())
                }
                false => ControlFlow::Continue(()),
            }
        });
        self.get(found?)
    }

    /// The indices of a type: its own, and those of its concrete types.
    fn indices(&self, service_type: &ServiceType) -> impl Iterator<Item = &TypeIndex> {
        let own = self.types.get(service_type);
        let concrete = self.concrete.get(service_type.as_str());
        let concrete = concrete.into_iter().flatten();
        own.into_iter()
            .chain(concrete.filter_map(|service_type| self.types.get(service_type)))
    }
}

fn text_of<'a>(entry: &'a Entry, tag: &str, meaning: &Meaning) -> Option<&'a str> {
    let values = &entry.attributes.get(tag)?.values;
    let value = values.iter().find(|value| value.meaning == *meaning)?;
    Some(&value.text)
}

/// Whether an entry is in a language, dialects left aside.
fn is_in(entry: &Entry, primary: Option<&str>) -> bool {
    primary.is_none_or(|primary| {
        let own = entry.language.split('-').next().unwrap_or_default();
        own.eq_ignore_ascii_case(primary)
    })
}
