//! Groups of callers.

use std::collections::{BTreeMap, HashMap};

use super::number::digits;
use super::trie::Trie;
use crate::account::canonical_identity;

/// Groups of one file, at most.
const MOST_GROUPS: usize = 1_000;
/// Members of all groups, at most.
const MOST_MEMBERS: usize = 1_000_000;
/// Digits of a number or a prefix, at most.
pub(super) const MOST_DIGITS: usize = 32;

/// Names of groups, each with its members: prefixes of calling numbers (`4930`), identities (`sip:alice@example.org`), or
/// everybody of a domain (`@example.org`).
pub type CallingGroups = BTreeMap<Box<str>, Vec<Box<str>>>;

/// Which groups a caller is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Groups {
    /// Their names; a group is its index here.
    names: Vec<Box<str>>,
    identities: HashMap<Box<str>, Vec<u32>>,
    prefixes: Trie<Vec<u32>>,
    domains: HashMap<Box<str>, Vec<u32>>,
}

impl Groups {
    pub(super) fn new(groups: &CallingGroups) -> Result<Self, String> {
        if groups.len() > MOST_GROUPS {
            return Err(format!("there are more than {MOST_GROUPS} calling_groups"));
        }
        if groups.values().map(Vec::len).sum::<usize>() > MOST_MEMBERS {
            return Err(format!(
                "calling_groups have more than {MOST_MEMBERS} members"
            ));
        }
        let mut all = Self::default();
        for (index, (name, members)) in (0..).zip(groups) {
            all.names.push(name.clone());
            if members.is_empty() {
                return Err(format!("calling_groups.{name} has no members"));
            }
            for member in members {
                let wrong = || {
                    format!(
                        "calling_groups.{name}: {member:?} is neither the first digits of a number, \
                         nor an identity like \"sip:alice@example.org\", nor a domain like \"@example.org\""
                    )
                };
                let place = if let Some(domain) = member.strip_prefix('@') {
                    if domain.is_empty() {
                        return Err(wrong());
                    }
                    all.domains
                        .entry(domain.to_ascii_lowercase().into())
                        .or_default()
                } else if member.contains(':') {
                    all.identities
                        .entry(canonical_identity(member))
                        .or_default()
                } else {
                    let prefix = member.strip_prefix('+').unwrap_or(member);
                    if prefix.is_empty() || prefix.len() > MOST_DIGITS {
                        return Err(wrong());
                    }
                    all.prefixes.entry(prefix).ok_or_else(wrong)?
                };
                if !place.contains(&index) {
                    place.push(index);
                }
            }
        }
        Ok(all)
    }

    /// The number of a group.
    pub(super) fn index(&self, name: &str) -> Option<u32> {
        // They come sorted out of a map.
        self.names
            .binary_search_by(|group| (**group).cmp(name))
            .ok()
            .and_then(|index| u32::try_from(index).ok())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Groups that name the same member, so that neither is nearer to its callers: pairs, the lesser first.
    pub(super) fn overlaps(&self) -> Vec<(u32, u32)> {
        let shared = self
            .identities
            .values()
            .chain(self.prefixes.values())
            .chain(self.domains.values());
        let mut pairs: Vec<(u32, u32)> = shared
            .flat_map(|groups| {
                groups.iter().enumerate().flat_map(|(at, one)| {
                    let others = groups.iter().skip(at + 1);
                    others.map(|other| (*one.min(other), *one.max(other)))
                })
            })
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// The groups of a caller, those with the nearest member first: the identity, then the longest prefix of its number,
    /// then its domain.
    pub(super) fn of<'g>(&'g self, calling: &str) -> Vec<&'g [u32]> {
        let mut levels: Vec<&[u32]> = Vec::new();
        let identity = canonical_identity(calling);
        self.prefixes
            .walk(digits(calling, MOST_DIGITS), |_, groups| {
                levels.push(groups)
            });
        levels.extend(self.identities.get(&identity).map(Vec::as_slice));
        levels.reverse();
        let domain = identity.split_once('@').map(|(_, host)| host);
        // Without the port.
        let domain = domain.and_then(|host| host.split(':').next());
        levels.extend(
            domain
                .and_then(|domain| self.domains.get(domain))
                .map(Vec::as_slice),
        );
        levels
    }
}
