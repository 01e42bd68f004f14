//! Which route a message takes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::queue::Lane;
use crate::settings::{RouteSettings, Target};

/// The routes, ready to be searched.
#[derive(Debug, Default)]
pub struct Router {
    routes: Vec<Route>,
    by_prefix: HashMap<Box<str>, Vec<u32>>,
    /// Lengths of prefixes, longest first.
    lengths: Vec<usize>,
    /// Peers of each target.
    targets: Vec<Vec<u32>>,
}

/// A route with its names resolved.
#[derive(Debug)]
pub struct Route {
    /// As configured.
    pub settings: RouteSettings,
    /// Peers whose messages it is for; empty is all.
    sources: Vec<u32>,
    /// Who takes them.
    pub target: u32,
}

impl Router {
    /// Resolves `routes` with `peer`, which finds a peer by its name. A name that it does not know takes nothing.
    pub fn new(
        routes: Vec<RouteSettings>,
        esmes: &[u32],
        peer: impl Fn(&str, bool) -> Option<u32>,
    ) -> Self {
        let mut router = Self::default();
        for settings in routes {
            let (names, upstream) = match &settings.target {
                Target::Receivers(names) => (names, false),
                Target::Upstreams(names) => (names, true),
            };
            let takers = names
                .iter()
                .filter_map(|name| peer(name, upstream))
                .collect();
            let sources = settings
                .source_esmes
                .iter()
                // A name that nobody has must not become "everybody".
                .map(|name| {
                    peer(name, false)
                        .or_else(|| peer(name, true))
                        .unwrap_or(u32::MAX)
                })
                .collect();
            let target = router.intern(takers);
            let index = u32::try_from(router.routes.len()).unwrap_or(u32::MAX);
            router
                .by_prefix
                .entry(settings.destination_prefix.clone())
                .or_default()
                .push(index);
            router.routes.push(Route {
                settings,
                sources,
                target,
            });
        }
        let lengths: BTreeSet<usize> = router.by_prefix.keys().map(|prefix| prefix.len()).collect();
        router.lengths = lengths.into_iter().rev().collect();
        for candidates in router.by_prefix.values_mut() {
            let routes = &router.routes;
            // Those that name their sources first; else in the order of the file.
            candidates.sort_by_key(|index| {
                routes
                    .get(*index as usize)
                    .is_none_or(|route| route.sources.is_empty())
            });
        }
        for esme in esmes {
            router.intern(vec![*esme]);
        }
        router
    }

    fn intern(&mut self, peers: Vec<u32>) -> u32 {
        let index = match self.targets.iter().position(|known| *known == peers) {
            Some(index) => index,
            None => {
                self.targets.push(peers);
                self.targets.len() - 1
            }
        };
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// The route of a message from `source` to `digits`.
    pub fn find(&self, source: u32, digits: &str) -> Option<u32> {
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        self.lengths
            .iter()
            .filter_map(|length| self.by_prefix.get(digits.get(..*length)?))
            .flatten()
            .copied()
            .find(|index| {
                self.routes.get(*index as usize).is_some_and(|route| {
                    route.sources.is_empty() || route.sources.contains(&source)
                })
            })
    }

    /// A route.
    pub fn route(&self, index: u32) -> Option<&Route> {
        self.routes.get(index as usize)
    }

    /// All of them.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route with this name.
    pub fn by_name(&self, name: &str) -> Option<u32> {
        self.routes
            .iter()
            .position(|route| &*route.settings.name == name)
            .and_then(|index| u32::try_from(index).ok())
    }

    /// Peers of a target.
    pub fn peers(&self, target: u32) -> &[u32] {
        self.targets.get(target as usize).map_or(&[], Vec::as_slice)
    }

    /// How many targets there are.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// The lane of the receipts for `peer`.
    pub fn receipts_lane(&self, peer: u32) -> u32 {
        u32::try_from(self.routes.len())
            .unwrap_or(u32::MAX)
            .saturating_add(peer)
    }

    /// A lane for each route, then one for the receipts of each of `esmes`, whose numbers begin with 0.
    pub fn lanes(&self, esmes: &[u32], held: impl Fn(&Arc<str>) -> bool) -> Vec<Lane> {
        let routes = self.routes.iter().map(|route| Lane {
            target: route.target,
            held: held(&route.settings.name),
            window: route.settings.destination_window.max(1),
            ..Lane::default()
        });
        let receipts = esmes.iter().map(|esme| Lane {
            target: self
                .targets
                .iter()
                .position(|peers| peers == &[*esme])
                .and_then(|index| u32::try_from(index).ok())
                .unwrap_or(u32::MAX),
            // SMPP gives receipts no order; each says which message it is about.
            window: u32::MAX,
            single: true,
            ..Lane::default()
        });
        routes.chain(receipts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Charging, FinalOn, RecordRole, TariffOnNextHop};

    fn route(name: &str, prefix: &str, sources: &[&str], receivers: &[&str]) -> RouteSettings {
        RouteSettings {
            name: name.into(),
            destination_prefix: prefix.into(),
            source_esmes: sources.iter().map(|name| Arc::from(*name)).collect(),
            target: Target::Receivers(receivers.iter().map(|name| Arc::from(*name)).collect()),
            default_charge: None,
            charging: Charging::Record,
            record: RecordRole::Here,
            tariff_on_next_hop: TariffOnNextHop::Unchanged,
            final_on: FinalOn::Receipt,
            destination_window: 1,
            data_sm: false,
        }
    }

    #[test]
    fn longest_prefix_then_source_then_order() {
        let router = Router::new(
            vec![
                route("all", "", &[], &["b"]),
                route("x", "155", &[], &["b"]),
                route("x-a", "155", &["a"], &["c"]),
                route("nobody", "1555", &["gone"], &["c"]),
                route("x-again", "155", &[], &["c"]),
            ],
            &[0, 1, 2],
            |name, upstream| {
                (!upstream)
                    .then(|| ["a", "b", "c"].iter().position(|known| *known == name))?
                    .map(|index| index as u32)
            },
        );
        let name = |source, digits| {
            let index = router.find(source, digits).unwrap();
            &*router.route(index).unwrap().settings.name
        };
        assert_eq!(name(0, "15551"), "x-a");
        assert_eq!(name(1, "+15551"), "x");
        assert_eq!(name(1, "44"), "all");
        assert_eq!(name(1, ""), "all");
        assert_eq!(router.targets(), 3);
        assert_eq!(router.lanes(&[0, 1, 2], |_| false).len(), 8);
    }
}
