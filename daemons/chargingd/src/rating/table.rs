//! Which tariff a request has.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use iso_currency::Currency;
use jiff::Timestamp;

use super::Query;
use super::checks::Holidays;
use super::definition::Definition;
use super::groups::{CallingGroups, Groups, MOST_DIGITS};
use super::number::digits;
use super::tariff::Tariff;
use super::trie::Trie;

/// Tariffs, at most.
const MOST_TARIFFS: usize = 1_000_000;
/// Combinations of prefix, class and group of one tariff, at most.
const MOST_RULES: usize = 1_000_000;
/// Octets of a name, at most.
const MOST_NAME: usize = 255;

/// A Rating-Group and a Service-Identifier; neither is everything else.
type Class = (Option<u32>, Option<u32>);

/// Where a tariff was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it is named in messages.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// What is wrong with tariffs, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where, if it is one tariff of a file.
    pub place: Option<Place>,
    /// What, with the tariff's name.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(formatter, "{place}: {}", self.what),
            None => formatter.write_str(&self.what),
        }
    }
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self { place: None, what }
    }
}

/// All tariffs, by whom and what they are for. It never changes: another file makes another table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RatingTable {
    tariffs: Vec<Arc<Tariff>>,
    rules: Vec<Rules>,
    calling_groups: CallingGroups,
    groups: Groups,
    classes: HashMap<Class, Windows>,
    /// By class, currency and group of callers; no group is everybody.
    by_prefix: HashMap<(Class, Currency, Option<u32>), Trie<Vec<Version>>>,
    longest_prefix: usize,
}

/// For whom a tariff is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    prefixes: Option<Vec<Box<str>>>,
    rating_groups: Vec<u32>,
    service_identifiers: Vec<u32>,
    calling_groups: Vec<Box<str>>,
    window: Window,
}

/// From when until when, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from: i64,
    until: i64,
}

impl Window {
    fn has(self, at: i64) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// Times at which a class has tariffs of its own, in order and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Windows(Vec<Window>);

/// A tariff among those for the same requests; in the order of their begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    window: Window,
    tariff: u32,
}

impl RatingTable {
    /// Checks and indexes tariffs.
    ///
    /// # Errors
    /// Which tariff does not do, and why.
    pub fn new(tariffs: Vec<Definition>, calling_groups: CallingGroups) -> Result<Self, String> {
        Self::placed(
            tariffs.into_iter().map(|tariff| (None, tariff)).collect(),
            calling_groups,
        )
        .map_err(|wrong| wrong.to_string())
    }

    /// The same of tariffs that were written somewhere, which errors then name.
    ///
    /// # Errors
    /// Where which tariff does not do, and why.
    pub fn placed(
        definitions: Vec<(Option<Place>, Definition)>,
        calling_groups: CallingGroups,
    ) -> Result<Self, Wrong> {
        if definitions.len() > MOST_TARIFFS {
            return Err(format!("there are more than {MOST_TARIFFS} tariffs").into());
        }
        let mut table = Self {
            groups: Groups::new(&calling_groups)?,
            calling_groups,
            ..Self::default()
        };
        let mut holidays = Holidays::default();
        let mut places = Vec::with_capacity(definitions.len());
        for (place, definition) in definitions {
            places.push(place);
            let name = definition.name.clone();
            table
                .add(definition, &mut holidays)
                .map_err(|fault| match fault {
                    Fault::Tariff(fault) => describe(places.last(), &name, &fault),
                    Fault::Same(other, what) => {
                        let (place, other) = table.named(&places, other);
                        describe(
                            places.last(),
                            &name,
                            &format!("{what} is also that of tariff {other:?}{place}"),
                        )
                    }
                })?;
        }
        table.check_groups(&places)?;
        for windows in table.classes.values_mut() {
            windows.merge();
        }
        Ok(table)
    }

    /// The tariff of a request: the most specific that is in force at its time.
    ///
    /// In this order: its class (Rating-Group and Service-Identifier, then Service-Identifier, then Rating-Group; a class
    /// that has tariffs in force has no others), the caller's group, the longest prefix of the called number, the version.
    pub fn find(&self, query: &Query<'_>) -> Option<&Arc<Tariff>> {
        let levels = self.levels(query.calling);
        let (group, service) = (query.rating_group, query.service_identifier);
        let mut has_own = false;
        for class in [(group, service), (None, service), (group, None)] {
            // Of the classes that are not asked for several are the same, and found twice in vain.
            let Some(windows) = self.classes.get(&class) else {
                continue;
            };
            has_own |= windows.has(query.at_unix_ms);
            let found = self.find_in(class, &levels, query);
            if found.is_some() {
                return found;
            }
        }
        match has_own {
            true => None,
            false => self.find_in((None, None), &levels, query),
        }
    }

    /// Every tariff.
    pub fn all(&self) -> &[Arc<Tariff>] {
        &self.tariffs
    }

    /// Every tariff as it may be written.
    pub fn definitions(&self) -> impl Iterator<Item = Definition> {
        self.tariffs.iter().zip(&self.rules).map(|(tariff, rules)| {
            let timestamp = |unix_ms: i64| Timestamp::from_millisecond(unix_ms).ok();
            let bound =
                |unix_ms: i64, none: i64| (unix_ms != none).then_some(unix_ms).and_then(timestamp);
            Definition {
                prefixes: rules.prefixes.clone(),
                rating_groups: rules.rating_groups.clone(),
                service_identifiers: rules.service_identifiers.clone(),
                calling_groups: rules.calling_groups.clone(),
                valid_from: bound(rules.window.from, i64::MIN),
                valid_until: bound(rules.window.until, i64::MAX),
                ..Definition::of(tariff)
            }
        })
    }

    /// The groups of callers.
    pub fn calling_groups(&self) -> &CallingGroups {
        &self.calling_groups
    }

    /// The caller's groups, the nearest first.
    fn levels(&self, calling: &str) -> Vec<&[u32]> {
        match self.groups.is_empty() {
            true => Vec::new(),
            false => self.groups.of(calling),
        }
    }

    fn find_in(&self, class: Class, levels: &[&[u32]], query: &Query<'_>) -> Option<&Arc<Tariff>> {
        // The length of the prefix, and the tariff.
        let longest = |group: Option<u32>| {
            let mut found = None;
            if let Some(trie) = self.by_prefix.get(&(class, query.currency, group)) {
                let called = digits(query.called, self.longest_prefix);
                trie.walk(called, |length, versions| {
                    let tariff = in_force(versions, query.at_unix_ms);
                    found = tariff.map(|tariff| (length, tariff)).or(found);
                });
            }
            found
        };
        let in_groups = levels.iter().find_map(|groups| {
            let found = groups.iter().filter_map(|group| longest(Some(*group)));
            found.max_by_key(|(length, _)| *length)
        });
        let (_, tariff) = in_groups.or_else(|| longest(None))?;
        self.tariffs.get(tariff as usize)
    }

    /// Adds one tariff.
    fn add(&mut self, definition: Definition, holidays: &mut Holidays) -> Result<(), Fault> {
        let tariff = definition.tariff(holidays)?;
        let rules = Rules::of(definition)?;
        let index = u32::try_from(self.tariffs.len()).unwrap_or(u32::MAX);
        let mut groups = Vec::new();
        for name in &rules.calling_groups {
            let group = self.groups.index(name).ok_or_else(|| {
                format!("calling_groups: there is no group {name:?} in calling_groups of the file")
            })?;
            groups.push(Some(group));
        }
        if groups.is_empty() {
            groups.push(None);
        }
        let currency = tariff.currency;
        let version = Version {
            window: rules.window,
            tariff: index,
        };
        for class in rules.classes() {
            if class != (None, None) {
                self.classes.entry(class).or_default().0.push(rules.window);
            }
            for group in &groups {
                let trie = self.by_prefix.entry((class, currency, *group)).or_default();
                for prefix in rules.prefixes() {
                    self.longest_prefix = self.longest_prefix.max(prefix.len());
                    let versions = trie
                        .entry(prefix)
                        .ok_or_else(|| format!("prefix {prefix:?} is one too many"))?;
                    let what = || format!("prefix {prefix:?} in {}", currency.code());
                    let conflict = versions.iter().find(|other| {
                        let name = self.tariffs.get(other.tariff as usize);
                        let same = name.is_none_or(|other| other.name == tariff.name);
                        version.conflicts(other, same)
                    });
                    if let Some(other) = conflict {
                        return Err(match other.tariff == index {
                            true => format!("{} is named twice", what()).into(),
                            false => Fault::Same(other.tariff, what()),
                        });
                    }
                    let at =
                        versions.partition_point(|other| other.window.from < version.window.from);
                    versions.insert(at, version);
                }
            }
        }
        self.tariffs.push(Arc::new(tariff));
        self.rules.push(rules);
        Ok(())
    }

    /// Finds two tariffs for the same callers, because their groups name the same member.
    fn check_groups(&self, places: &[Option<Place>]) -> Result<(), Wrong> {
        let overlaps = self.groups.overlaps();
        if overlaps.is_empty() {
            return Ok(());
        }
        for (index, rules) in (0u32..).zip(&self.rules) {
            let Some(tariff) = self.tariffs.get(index as usize) else {
                continue;
            };
            let groups = rules
                .calling_groups
                .iter()
                .filter_map(|name| self.groups.index(name));
            let others = groups.flat_map(|group| {
                overlaps.iter().filter_map(move |(one, other)| match group {
                    group if group == *one => Some(*other),
                    group if group == *other => Some(*one),
                    _ => None,
                })
            });
            for (other, class) in others.flat_map(|other| {
                let classes = rules.classes();
                classes.into_iter().map(move |class| (other, class))
            }) {
                let Some(trie) = self.by_prefix.get(&(class, tariff.currency, Some(other))) else {
                    continue;
                };
                for prefix in rules.prefixes() {
                    let same = trie.get(prefix).into_iter().flatten().find(|version| {
                        version.tariff != index && version.window.overlaps(rules.window)
                    });
                    if let Some(version) = same {
                        let (place, other) = self.named(places, version.tariff);
                        let what = format!(
                            "prefix {prefix:?} in {} is also that of tariff {other:?}{place} for the same callers: their \
                             calling_groups name the same member",
                            tariff.currency.code()
                        );
                        let place = places.get(index as usize);
                        return Err(describe(place, &tariff.name, &what));
                    }
                }
            }
        }
        Ok(())
    }

    /// Place, in brackets, and name of a tariff.
    fn named(&self, places: &[Option<Place>], index: u32) -> (String, &str) {
        let place = places.get(index as usize).and_then(Option::as_ref);
        let name = self.tariffs.get(index as usize);
        (
            place.map_or_else(String::new, |place| format!(" ({place})")),
            name.map_or("", |tariff| &tariff.name),
        )
    }
}

/// What is wrong with a tariff.
enum Fault {
    /// It does not do by itself.
    Tariff(String),
    /// Another is for the same requests; and which these are.
    Same(u32, String),
}

impl From<String> for Fault {
    fn from(fault: String) -> Self {
        Self::Tariff(fault)
    }
}

fn describe(place: Option<&Option<Place>>, name: &str, fault: &str) -> Wrong {
    Wrong {
        place: place.cloned().flatten(),
        what: format!("tariff {name:?}: {fault}"),
    }
}

/// The version that counts at a moment.
fn in_force(versions: &[Version], at: i64) -> Option<u32> {
    let begun = versions.partition_point(|version| version.window.from <= at);
    let version = versions.get(begun.checked_sub(1)?)?;
    version.window.has(at).then_some(version.tariff)
}

impl Version {
    /// Whether it cannot be said which of two counts. Of versions of one name it is the one that begins later.
    fn conflicts(&self, other: &Self, same_name: bool) -> bool {
        match same_name {
            true => self.window.from == other.window.from,
            false => self.window.overlaps(other.window),
        }
    }
}

impl Window {
    fn overlaps(self, other: Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

impl Windows {
    fn merge(&mut self) {
        self.0.sort_unstable_by_key(|window| window.from);
        self.0.dedup_by(|next, before| {
            let joined = next.from <= before.until;
            if joined {
                before.until = before.until.max(next.until);
            }
            joined
        });
    }

    fn has(&self, at: i64) -> bool {
        let begun = self.0.partition_point(|window| window.from <= at);
        begun
            .checked_sub(1)
            .and_then(|index| self.0.get(index))
            .is_some_and(|window| window.has(at))
    }
}

impl Rules {
    fn of(definition: Definition) -> Result<Self, String> {
        let bound =
            |time: Option<Timestamp>, none: i64| time.map_or(none, Timestamp::as_millisecond);
        let rules = Self {
            window: Window {
                from: bound(definition.valid_from, i64::MIN),
                until: bound(definition.valid_until, i64::MAX),
            },
            prefixes: definition.prefixes,
            rating_groups: definition.rating_groups,
            service_identifiers: definition.service_identifiers,
            calling_groups: definition.calling_groups,
        };
        let prefixes = rules.prefixes.as_deref();
        let is_prefix = |prefix: &str| {
            prefix.len() <= MOST_DIGITS && prefix.bytes().all(|byte| byte.is_ascii_digit())
        };
        let entries = [
            prefixes.map_or(1, <[_]>::len),
            rules.rating_groups.len().max(1),
            rules.service_identifiers.len().max(1),
            rules.calling_groups.len().max(1),
        ];
        if definition.name.is_empty() {
            Err("it has no name".into())
        } else if definition.name.len() > MOST_NAME {
            Err(format!("its name is longer than {MOST_NAME} octets"))
        } else if prefixes.is_some_and(<[_]>::is_empty) {
            Err("it has no prefixes; [\"\"] is every number".into())
        } else if !prefixes
            .unwrap_or_default()
            .iter()
            .all(|prefix| is_prefix(prefix))
        {
            Err(format!(
                "a prefix is digits, without \"+\", at most {MOST_DIGITS}"
            ))
        } else if rules.window.from >= rules.window.until {
            Err("valid_until is not later than valid_from".into())
        } else if entries
            .iter()
            .fold(1, |all: usize, some| all.saturating_mul(*some))
            > MOST_RULES
        {
            Err(format!(
                "prefixes, rating_groups, service_identifiers and calling_groups make more than {MOST_RULES} combinations"
            ))
        } else {
            Ok(rules)
        }
    }

    fn prefixes(&self) -> impl Iterator<Item = &str> {
        let every = self.prefixes.is_none().then_some("");
        every
            .into_iter()
            .chain(self.prefixes.iter().flatten().map(|prefix| &**prefix))
    }

    fn classes(&self) -> Vec<Class> {
        let some = |numbers: &[u32]| -> Vec<Option<u32>> {
            match numbers.is_empty() {
                true => vec![None],
                false => numbers.iter().map(|number| Some(*number)).collect(),
            }
        };
        let services = some(&self.service_identifiers);
        some(&self.rating_groups)
            .into_iter()
            .flat_map(|group| services.iter().map(move |service| (group, *service)))
            .collect()
    }
}
