//! The indexed registry beside one that scans.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tollwire_slp::{AttributeList, ErrorCode, Filter, ScopeList, ServiceType, TagList};

use super::super::{Deregistration, Registration, Registry};
use super::{ROOMY, at, service, source, urls};

/// What the model knows of an entry.
#[derive(Debug, Clone)]
struct Known {
    service_type: &'static str,
    scopes: &'static str,
    attributes: AttributeList,
    ends: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Register {
        url: u8,
        language: bool,
        concrete: bool,
        scope: usize,
        attributes: Vec<(u8, Vec<i8>, u8)>,
        lifetime: u16,
        fresh: bool,
    },
    Deregister {
        url: u8,
        tags: bool,
    },
    Wait(u8),
    Ask(String),
}

const SCOPES: [&str; 3] = ["one", "two", "one,two"];
const TAGS: [&str; 4] = ["a", "B", "c-d", "e"];

fn value(kind: u8, number: i8) -> String {
    match kind {
        0 => number.to_string(),
        1 => format!("S{number} t"),
        2 => format!(r"\ff\{:02x}", number.unsigned_abs()),
        _ => format!("p{}q{}", number / 3, number),
    }
}

fn list(attributes: &[(u8, Vec<i8>, u8)]) -> String {
    let parts: Vec<String> = attributes
        .iter()
        .map(|(tag, values, kind)| {
            let tag = TAGS[usize::from(*tag) % TAGS.len()];
            if values.is_empty() {
                return tag.to_owned();
            }
            let values: Vec<String> = values.iter().map(|number| value(*kind, *number)).collect();
            format!("({tag}={})", values.join(","))
        })
        .collect();
    parts.join(",")
}

fn filters() -> impl Strategy<Value = String> {
    let term =
        (0..5_usize, 0..4_u8, -4..4_i8, 0..7_u8).prop_map(|(tag, kind, number, operator)| {
            let tag = ["A", "b", "C-D", "E", "none"][tag];
            let value = value(kind, number);
            match operator {
                0 | 1 => format!("({tag}={value})"),
                2 => format!("({tag}<={value})"),
                3 => format!("({tag}>={value})"),
                4 => format!("({tag}=*)"),
                5 => format!("({tag}=s{number}*)"),
                _ => format!("({tag}=*{number}*)"),
            }
        });
    let between = (0..5_usize, 0..4_u8, -4..4_i8, 0..4_i8).prop_map(|(tag, kind, from, more)| {
        let tag = ["A", "b", "C-D", "E", "none"][tag];
        let (from, to) = (value(kind, from), value(kind, from + more));
        format!("(&({tag}>={to})({tag}<={from}))")
    });
    prop_oneof![3 => term, 1 => between].prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| format!("(&{})", parts.concat())),
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| format!("(|{})", parts.concat())),
            inner.prop_map(|part| format!("(!{part})")),
        ]
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let attributes = proptest::collection::vec(
        (0..4_u8, proptest::collection::vec(-4..4_i8, 0..3), 0..4_u8),
        0..4,
    );
    let register = (
        0..12_u8,
        any::<bool>(),
        any::<bool>(),
        0..3_usize,
        attributes,
        1..40_u16,
        any::<bool>(),
    )
        .prop_map(
            |(url, language, concrete, scope, attributes, lifetime, fresh)| Step::Register {
                url,
                language,
                concrete,
                scope,
                attributes,
                lifetime,
                fresh,
            },
        );
    let step = prop_oneof![
        5 => register,
        1 => (0..12_u8, any::<bool>()).prop_map(|(url, tags)| Step::Deregister { url, tags }),
        1 => (1..10_u8).prop_map(Step::Wait),
        4 => filters().prop_map(Step::Ask),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever is registered, updated, removed and forgotten: a search finds what the plain evaluator finds among all
    /// entries, in every scope and by both types.
    #[test]
    fn the_index_finds_what_a_scan_finds(steps in steps()) {
        let start = Instant::now();
        let mut registry = Registry::new(ROOMY, Duration::ZERO);
        let mut model: BTreeMap<(String, &str), Known> = BTreeMap::new();
        let mut clock = 0_u64;
        for step in steps {
            let now = at(start, clock);
            match step {
                Step::Register { url, language, concrete, scope, attributes, lifetime, fresh } => {
                    let url = format!("service:a://{url}");
                    let language = if language { "en" } else { "de-CH" };
                    let service_type = if concrete { "service:a:x" } else { "service:a" };
                    let text = list(&attributes);
                    let registration = Registration {
                        language,
                        service_type,
                        scopes: SCOPES[scope],
                        lifetime: Some(lifetime),
                        fresh,
                        ..service(&url, &text)
                    };
                    let result = registry.register(now, &registration);
                    let key = (url.clone(), language);
                    let old = model.get(&key).cloned();
                    let parsed = AttributeList::parse(&text);
                    let expected = match (&parsed, &old) {
                        (Err(error), _) => Err(error.error_code()),
                        (Ok(list), _) if fresh => Ok(list.clone()),
                        (Ok(_), None) => Err(ErrorCode::INVALID_UPDATE),
                        (Ok(_), Some(old)) if old.service_type != service_type => {
                            Err(ErrorCode::INVALID_UPDATE)
                        }
                        (Ok(_), Some(old)) if old.scopes != SCOPES[scope] => {
                            Err(ErrorCode::SCOPE_NOT_SUPPORTED)
                        }
                        (Ok(list), Some(old)) => {
                            let mut whole = old.attributes.clone();
                            whole.update(list.clone());
                            Ok(whole)
                        }
                    };
                    prop_assert_eq!(result.map(drop), expected.clone().map(drop));
                    if let Ok(attributes) = expected {
                        model.insert(key, Known {
                            service_type,
                            scopes: SCOPES[scope],
                            attributes,
                            ends: clock + u64::from(lifetime),
                        });
                    }
                }
                Step::Deregister { url, tags } => {
                    let url = format!("service:a://{url}");
                    let of_url: Vec<(String, &str)> =
                        model.keys().filter(|(known, _)| *known == url).cloned().collect();
                    let Some(first) = of_url.first() else { continue };
                    let scopes = model[first].scopes;
                    let order = Deregistration {
                        url: &url,
                        language: "en",
                        scopes,
                        tags: if tags { "a,c*" } else { "" },
                        url_blocks: &[],
                        source: source(1),
                        verified: false,
                    };
                    let meant: Vec<_> = of_url
                        .into_iter()
                        .filter(|(_, language)| !tags || *language == "en")
                        .collect();
                    let (alike, others): (Vec<_>, Vec<_>) =
                        meant.into_iter().partition(|key| model[key].scopes == scopes);
                    let result = registry.deregister(now, &order);
                    prop_assert_eq!(result.is_ok(), !alike.is_empty() || others.is_empty());
                    let pattern = TagList::parse("a,c*").expect("tags");
                    for key in alike {
                        if tags {
                            let known = model.get_mut(&key).expect("known");
                            known.attributes.remove(&pattern);
                        } else {
                            model.remove(&key);
                        }
                    }
                }
                Step::Wait(seconds) => {
                    clock += u64::from(seconds);
                    registry.expire(at(start, clock), usize::MAX);
                    model.retain(|_, known| known.ends > clock);
                }
                Step::Ask(text) => {
                    let filter = Filter::parse(&text).expect("a filter");
                    for (service_type, scopes) in
                        [("service:a", "one"), ("service:a", "TWO,one"), ("service:a:x", "two")]
                    {
                        let wanted = ScopeList::parse(scopes).expect("scopes");
                        let asked = ServiceType::parse(service_type).expect("a type");
                        let of_type: Vec<_> = model
                            .iter()
                            .filter(|(_, known)| {
                                let stored = ServiceType::parse(known.service_type).expect("a type");
                                let scopes = ScopeList::parse(known.scopes).expect("scopes");
                                asked.matches(&stored) && scopes.intersects(&wanted)
                            })
                            .collect();
                        let in_english = of_type.iter().any(|((_, language), _)| *language == "en");
                        let expected = match of_type.is_empty() || in_english {
                            false => Err(ErrorCode::LANGUAGE_NOT_SUPPORTED),
                            true => Ok(of_type
                                .iter()
                                .filter(|((_, language), known)| {
                                    *language == "en" && filter.matches(&known.attributes)
                                })
                                .map(|((url, _), _)| url.clone())
                                .collect::<Vec<String>>()),
                        };
                        let found = urls(&registry, now, service_type, scopes, &text);
                        let expected = expected.map(|mut urls| {
                            urls.sort_unstable();
                            urls
                        });
                        prop_assert_eq!(found, expected, "{} {} {}", service_type, scopes, text);
                    }
                }
            }
            prop_assert_eq!(registry.len(), model.len());
        }
        registry.expire(at(start, clock + 100), usize::MAX);
        prop_assert_eq!((registry.len(), registry.octets()), (0, 0));
        prop_assert!(registry.types.is_empty() && registry.concrete.is_empty());
        prop_assert!(registry.scope_lists.is_empty() && registry.usage.is_empty());
        prop_assert!(registry.expiries.is_empty() && registry.urls.is_empty());
    }
}
