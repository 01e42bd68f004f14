//! The services of one type, found by what is asked of them.
//!
//! A request is answered in two steps. A [`Plan`] names candidates: the smallest set among those that the terms of a
//! conjunction, the scopes and the language give, or the union of those of a disjunction. Then each candidate is looked
//! at as RFC 2608 8.1 says, so a plan may be too wide, never too narrow.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ops::{Bound, ControlFlow};

use tollwire_slp::filter::{Term, Test};
use tollwire_slp::{Filter, Meaning, ScopeList};

use super::entry::Entry;
use super::postings::{EntryId, Postings, Values};

/// How far the entries of a run are counted before it is taken in the place of a whole scope.
const WORTH_COUNTING: usize = 1_024;

/// What the entries of one service type are found by.
#[derive(Debug, Default)]
pub struct TypeIndex {
    /// All of them.
    pub entries: Postings,
    /// How many of them are of this host.
    pub local: usize,
    /// By folded tag.
    pub tags: HashMap<Box<str>, Attributes>,
    /// By folded scope.
    pub scopes: HashMap<Box<str>, Postings>,
    /// By the language without dialect, folded.
    pub languages: HashMap<Box<str>, Postings>,
}

/// Values of one attribute, and whether a service has several.
#[derive(Debug, Default)]
pub struct Attributes {
    /// The values.
    pub values: Values,
    /// Services with more than one value.
    several: usize,
}

/// A language tag without its dialect, folded: what requests are matched by (RFC 2608 8.1).
pub fn primary_language(tag: &str) -> String {
    let primary = tag.split('-').next().unwrap_or_default();
    primary.to_ascii_lowercase()
}

impl TypeIndex {
    /// Adds an entry.
    pub fn insert(&mut self, id: EntryId, entry: &Entry) {
        self.entries.insert(id);
        self.local += usize::from(entry.is_local());
        for attribute in entry.attributes.iter() {
            let index = self.tags.entry(attribute.tag.clone()).or_default();
            let values = attribute.values.iter().map(|value| &value.meaning);
            index.values.insert(id, values);
            index.several += usize::from(attribute.values.len() > 1);
        }
        for scope in entry.scopes.iter() {
            insert(&mut self.scopes, scope, id);
        }
        insert(&mut self.languages, &primary_language(&entry.language), id);
    }

    /// Takes an entry out, as it was inserted.
    pub fn remove(&mut self, id: EntryId, entry: &Entry) {
        self.entries.remove(id);
        self.local -= usize::from(entry.is_local());
        for attribute in entry.attributes.iter() {
            let Some(index) = self.tags.get_mut(&attribute.tag) else {
                continue;
            };
            let values = attribute.values.iter().map(|value| &value.meaning);
            index.values.remove(id, values);
            index.several -= usize::from(attribute.values.len() > 1);
            if index.values.is_empty() {
                self.tags.remove(&attribute.tag);
            }
        }
        for scope in entry.scopes.iter() {
            remove(&mut self.scopes, scope, id);
        }
        remove(&mut self.languages, &primary_language(&entry.language), id);
    }

    /// The narrowest candidates for a request.
    pub fn plan<'a>(
        &'a self,
        scopes: &ScopeList,
        language: Option<&str>,
        filter: Option<&'a Filter>,
    ) -> Plan<'a> {
        let mut best = self.scoped(scopes);
        if let Some(language) = language {
            best = narrower(best, Plan::all(self.languages.get(language)));
        }
        match filter {
            Some(filter) => self.narrow(filter, best),
            None => best,
        }
    }

    /// Entries of any of these scopes.
    fn scoped(&self, scopes: &ScopeList) -> Plan<'_> {
        let plans = scopes.iter().map(|scope| Plan::all(self.scopes.get(scope)));
        Plan::union(plans.collect())
    }

    /// The narrower of `best` and what `filter` gives.
    fn narrow<'a>(&'a self, filter: &'a Filter, best: Plan<'a>) -> Plan<'a> {
        let limit = best.cost(usize::MAX);
        let found = match filter {
            Filter::Term(term) => self.of_term(term, true),
            Filter::Not(term) => self.of_term(term, false),
            Filter::And(all) => {
                let best = self.runs(all).into_iter().fold(best, narrower);
                return all.iter().fold(best, |best, part| self.narrow(part, best));
            }
            Filter::Or(any) => {
                let mut plans = Vec::with_capacity(any.len());
                for part in any {
                    match self.narrow(part, Plan::All(&self.entries)) {
                        // One branch that nothing narrows, and the union is no narrower.
                        Plan::All(_) => return best,
                        plan => plans.push(plan),
                    }
                }
                Plan::union(plans)
            }
        };
        // Values of a term are counted no further than pays: beyond, they are taken before all of a scope or a language.
        let counted = match best {
            Plan::All(_) | Plan::Union(_) => limit.min(WORTH_COUNTING),
            _ => limit,
        };
        let unknown = matches!(found, Plan::Run(_)) && counted < limit;
        match found.cost(counted) < counted || unknown {
            true => found,
            false => best,
        }
    }

    fn of_term<'a>(&'a self, term: &'a Term, wanted: bool) -> Plan<'a> {
        let Some(attribute) = self.tags.get(&term.tag) else {
            return match (&term.test, wanted) {
                // Nobody has it.
                (Test::Present, false) => Plan::All(&self.entries),
                _ => Plan::Nothing,
            };
        };
        let run = |from, to| {
            Plan::Run(Run {
                attribute,
                from,
                to,
                test: Some((&term.test, wanted)),
            })
        };
        match (&term.test, wanted) {
            (Test::Present, true) => Plan::Set(attribute.values.present()),
            (Test::Present, false) => Plan::All(&self.entries),
            (Test::Equal(value), true) => Plan::set(attribute.values.equal(value)),
            (Test::AtMost(value), true) => run(first_like(value), Bound::Included(value.clone())),
            (Test::AtLeast(value), true) => run(Bound::Included(value.clone()), end_like(value)),
            (Test::Like(wildcard), true) => {
                let prefix = Meaning::String(wildcard.prefix().into());
                run(Bound::Included(prefix), Bound::Unbounded)
            }
            (Test::Equal(value) | Test::AtMost(value) | Test::AtLeast(value), false) => {
                run(first_like(value), end_like(value))
            }
            (Test::Like(_), false) => {
                let first = Meaning::String("".into());
                run(Bound::Included(first), Bound::Unbounded)
            }
        }
    }

    /// Runs between a lower and an upper bound of one attribute, out of the terms of a conjunction.
    ///
    /// Only where no service has several values: of `x=1,9` both `(x>=5)` and `(x<=4)` hold.
    fn runs<'a>(&'a self, all: &'a [Filter]) -> Vec<Plan<'a>> {
        let mut runs = Vec::new();
        for lower in all {
            let Filter::Term(Term {
                tag,
                test: Test::AtLeast(from),
            }) = lower
            else {
                continue;
            };
            let Some(attribute) = self.tags.get(tag).filter(|known| known.several == 0) else {
                continue;
            };
            let upper = all.iter().find_map(|part| match part {
                Filter::Term(Term {
                    tag: same,
                    test: Test::AtMost(to),
                }) if same == tag && to.is_of_type_of(from) => Some(to),
                _ => None,
            });
            let Some(to) = upper else { continue };
            runs.push(match from <= to {
                true => Plan::Run(Run {
                    attribute,
                    from: Bound::Included(from.clone()),
                    to: Bound::Included(to.clone()),
                    test: None,
                }),
                false => Plan::Nothing,
            });
        }
        runs
    }
}

fn narrower<'a>(best: Plan<'a>, other: Plan<'a>) -> Plan<'a> {
    let limit = best.cost(usize::MAX);
    match other.cost(limit) < limit {
        true => other,
        false => best,
    }
}

fn insert(map: &mut HashMap<Box<str>, Postings>, key: &str, id: EntryId) {
    match map.get_mut(key) {
        Some(postings) => postings.insert(id),
        None => map.entry(key.into()).or_default().insert(id),
    }
}

fn remove(map: &mut HashMap<Box<str>, Postings>, key: &str, id: EntryId) {
    if let Some(postings) = map.get_mut(key) {
        postings.remove(id);
        if postings.is_empty() {
            map.remove(key);
        }
    }
}

/// Where values of the type of `value` begin, in the order of [`Meaning`].
fn first_like(value: &Meaning) -> Bound<Meaning> {
    match value {
        Meaning::Integer(_) => Bound::Unbounded,
        Meaning::Boolean(_) => Bound::Included(Meaning::Boolean(false)),
        Meaning::Opaque(_) => Bound::Included(Meaning::Opaque(Box::default())),
        Meaning::String(_) => Bound::Included(Meaning::String(Box::default())),
    }
}

/// Where they end.
fn end_like(value: &Meaning) -> Bound<Meaning> {
    match value {
        Meaning::Integer(_) => Bound::Excluded(Meaning::Boolean(false)),
        Meaning::Boolean(_) => Bound::Excluded(Meaning::Opaque(Box::default())),
        Meaning::Opaque(_) => Bound::Excluded(Meaning::String(Box::default())),
        Meaning::String(_) => Bound::Unbounded,
    }
}

/// Which entries to look at.
#[derive(Debug)]
pub enum Plan<'a> {
    /// None.
    Nothing,
    /// Every one of the type, of a scope, of a language.
    All(&'a Postings),
    /// Those of one value.
    Set(&'a Postings),
    /// Those of a run of values.
    Run(Run<'a>),
    /// Those of several plans.
    Union(Vec<Plan<'a>>),
}

/// A run of values of one attribute.
#[derive(Debug)]
pub struct Run<'a> {
    attribute: &'a Attributes,
    from: Bound<Meaning>,
    to: Bound<Meaning>,
    /// What a value of the run has to satisfy, or not to satisfy.
    test: Option<(&'a Test, bool)>,
}

impl<'a> Run<'a> {
    /// The entries of each value of the run; nothing for a value that fails the test.
    fn steps(&self) -> impl Iterator<Item = Option<&'a Postings>> + '_ {
        let prefix = match self.test {
            Some((Test::Like(wildcard), true)) => Some(wildcard),
            _ => None,
        };
        self.attribute
            .values
            .range((self.from.as_ref(), self.to.as_ref()))
            .take_while(move |(value, _)| match (prefix, value) {
                // Behind the last string with the prefix none has it.
                (Some(wildcard), Meaning::String(text)) => text.starts_with(wildcard.prefix()),
                _ => true,
            })
            .map(|(value, postings)| match self.test {
                Some((test, wanted)) => (test.of(value) == Some(wanted)).then_some(postings),
                None => Some(postings),
            })
    }
}

impl<'a> Plan<'a> {
    fn set(postings: Option<&'a Postings>) -> Self {
        postings.map_or(Self::Nothing, Self::Set)
    }

    fn all(postings: Option<&'a Postings>) -> Self {
        postings.map_or(Self::Nothing, Self::All)
    }

    fn union(mut plans: Vec<Self>) -> Self {
        plans.retain(|plan| !matches!(plan, Self::Nothing));
        match plans.len() {
            0 => Self::Nothing,
            1 => plans.pop().unwrap_or(Self::Nothing),
            _ => Self::Union(plans),
        }
    }

    /// About how many entries and values it looks at; counted no further than `limit`.
    fn cost(&self, limit: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::All(postings) | Self::Set(postings) => postings.len(),
            Self::Run(run) => {
                let mut cost = 0;
                for step in run.steps() {
                    cost += 1 + step.map_or(0, Postings::len);
                    if cost >= limit {
                        break;
                    }
                }
                cost
            }
            Self::Union(plans) => {
                let mut cost: usize = 0;
                for plan in plans {
                    cost = cost.saturating_add(plan.cost(limit.saturating_sub(cost)));
                    if cost >= limit {
                        break;
                    }
                }
                cost
            }
        }
    }

    /// Whether it may name an entry twice.
    fn repeats(&self) -> bool {
        match self {
            Self::Nothing | Self::All(_) | Self::Set(_) => false,
            Self::Run(run) => run.attribute.several > 0,
            Self::Union(_) => true,
        }
    }

    /// Visits each candidate once, until `visit` has enough or `budget` entries and values were looked at.
    pub fn visit(
        &self,
        budget: &Cell<usize>,
        visit: &mut dyn FnMut(EntryId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if !self.repeats() {
            return self.visit_all(budget, visit);
        }
        let mut seen = HashSet::new();
        self.visit_all(budget, &mut |id| match seen.insert(id) {
            true => visit(id),
            false => ControlFlow::Continue(()),
        })
    }

    fn visit_all(
        &self,
        budget: &Cell<usize>,
        visit: &mut dyn FnMut(EntryId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Self::Nothing => ControlFlow::Continue(()),
            Self::All(postings) | Self::Set(postings) => postings.visit(&mut |id| {
                spend(budget)?;
                visit(id)
            }),
            Self::Run(run) => {
                for step in run.steps() {
                    match step {
                        Some(postings) => postings.visit(&mut |id| {
                            spend(budget)?;
                            visit(id)
                        })?,
                        None => spend(budget)?,
                    }
                }
                ControlFlow::Continue(())
            }
            Self::Union(plans) => plans
                .iter()
                .try_for_each(|plan| plan.visit_all(budget, visit)),
        }
    }
}

/// One more is looked at, if the budget allows.
pub(super) fn spend(budget: &Cell<usize>) -> ControlFlow<()> {
    match budget.get().checked_sub(1) {
        Some(rest) => {
            budget.set(rest);
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    }
}
