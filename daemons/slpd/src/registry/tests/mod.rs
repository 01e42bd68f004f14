mod model;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tollwire_runtime::clock::Now;
use tollwire_slp::message::NamingAuthority;
use tollwire_slp::{
    AttributeList, AuthenticationBlock, ErrorCode, Filter, ScopeList, ServiceType, TagList,
};

use super::{Change, Deregistration, Find, Quota, Registration, Registry, Source};

const ROOMY: Quota = Quota {
    entries: 100_000,
    octets: 1 << 30,
    entries_per_source: 100_000,
    octets_per_source: 1 << 30,
};

fn at(start: Instant, seconds: u64) -> Now {
    Now {
        instant: start + Duration::from_secs(seconds),
        unix_ms: 1_700_000_000_000 + i64::try_from(seconds).expect("short") * 1_000,
    }
}

fn source(number: u8) -> Source {
    Source::Address([192, 0, 2, number].into())
}

fn service<'a>(url: &'a str, attributes: &'a str) -> Registration<'a> {
    Registration {
        url,
        language: "en",
        service_type: "service:a:x",
        scopes: "DEFAULT",
        attributes,
        lifetime: Some(60),
        url_blocks: &[],
        attribute_blocks: &[],
        fresh: true,
        source: source(1),
        interface: 0,
        verified: false,
    }
}

fn urls(
    registry: &Registry,
    now: Now,
    service_type: &str,
    scopes: &str,
    filter: &str,
) -> Result<Vec<String>, ErrorCode> {
    let service_type = ServiceType::parse(service_type).expect("a type");
    let scopes = ScopeList::parse(scopes).expect("scopes");
    let filter = (!filter.is_empty()).then(|| Filter::parse(filter).expect("a filter"));
    let find = Find {
        service_type: &service_type,
        scopes: &scopes,
        language: "en",
        filter: filter.as_ref(),
        local: false,
        budget: usize::MAX,
    };
    let mut found = Vec::new();
    let end = registry.find(now, &find, |entry| {
        found.push(entry.url.to_string());
        ControlFlow::Continue(())
    })?;
    assert!(!end.exhausted);
    found.sort_unstable();
    Ok(found)
}

#[test]
fn a_registration_lives_and_ends() {
    let start = Instant::now();
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    let now = at(start, 0);
    registry
        .register(now, &service("service:a:x://1", "(a=1)"))
        .expect("registered");
    let all = |registry: &Registry, seconds| {
        urls(registry, at(start, seconds), "service:a", "default", "").expect("found")
    };
    assert_eq!(all(&registry, 59), ["service:a:x://1"]);
    assert!(all(&registry, 60).is_empty(), "also before it is removed");
    assert_eq!(registry.next_expiry(), Some(at(start, 60).instant));
    // A refresh moves its end, and touches nothing else.
    registry
        .register(at(start, 50), &service("service:a:x://1", "(a=1)"))
        .expect("refreshed");
    assert!(registry.expire(at(start, 60), 10).is_empty());
    assert_eq!(all(&registry, 109), ["service:a:x://1"]);
    let over = registry.expire(at(start, 110), 10);
    assert_eq!(over.len(), 1);
    assert_eq!((registry.len(), registry.octets()), (0, 0));
    assert_eq!(registry.next_expiry(), None);
}

#[test]
fn updates_and_their_errors() {
    let start = Instant::now();
    let now = at(start, 0);
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    let url = "service:a:x://1";
    let update = |attributes: &'static str| Registration {
        fresh: false,
        ..service(url, attributes)
    };
    let refused = |registry: &mut Registry, registration: &Registration<'_>| {
        registry.register(now, registration).expect_err("refused")
    };
    assert_eq!(
        refused(&mut registry, &update("(a=1)")),
        ErrorCode::INVALID_UPDATE
    );
    for (wrong, code) in [
        (
            Registration {
                lifetime: Some(0),
                ..service(url, "")
            },
            ErrorCode::INVALID_REGISTRATION,
        ),
        (
            Registration {
                language: "",
                ..service(url, "")
            },
            ErrorCode::INVALID_REGISTRATION,
        ),
        (
            service(url, r"(x=4,true,sue,\ff\00\00)"),
            ErrorCode::INVALID_REGISTRATION,
        ),
        (
            service(url, "(b=true,false)"),
            ErrorCode::INVALID_REGISTRATION,
        ),
        (service(url, "(a=1"), ErrorCode::PARSE_ERROR),
        (
            Registration {
                service_type: "",
                ..service(url, "")
            },
            ErrorCode::PARSE_ERROR,
        ),
    ] {
        assert_eq!(refused(&mut registry, &wrong), code, "{wrong:?}");
    }
    assert!(registry.is_empty());
    registry
        .register(now, &service(url, "(a=1,2),(B=x),key"))
        .expect("registered");
    registry
        .register(now, &update("(b=Y),(c=\\ff\\01)"))
        .expect("updated");
    let text = |registry: &Registry| {
        let (_, entry) = registry.of_url(url).next().expect("there");
        entry.text.to_string()
    };
    assert_eq!(text(&registry), r"(a=1,2),(b=Y),key,(c=\ff\01)");
    for (filter, expected) in [
        ("(b=y)", 1),
        ("(b=x)", 0),
        ("(a=2)", 1),
        (r"(c=\FF\01)", 1),
        ("(key=*)", 1),
        ("(!(a=1))", 1),
        ("(!(b=y))", 0),
        ("(!(nothing=1))", 0),
        ("(!(nothing=*))", 1),
    ] {
        let found = urls(&registry, now, "service:a", "DEFAULT", filter).expect("found");
        assert_eq!(found.len(), expected, "{filter}");
    }
    let other_type = Registration {
        service_type: "service:a:z",
        ..update("")
    };
    assert_eq!(
        refused(&mut registry, &other_type),
        ErrorCode::INVALID_UPDATE
    );
    let other_scopes = Registration {
        scopes: "elsewhere",
        ..update("")
    };
    assert_eq!(
        refused(&mut registry, &other_scopes),
        ErrorCode::SCOPE_NOT_SUPPORTED
    );
    let somebody_else = Registration {
        source: source(2),
        ..service(url, "(a=666)")
    };
    assert_eq!(
        refused(&mut registry, &somebody_else),
        ErrorCode::AUTHENTICATION_ABSENT
    );
    let in_another_language = Registration {
        language: "de",
        ..somebody_else
    };
    assert_eq!(
        refused(&mut registry, &in_another_language),
        ErrorCode::AUTHENTICATION_ABSENT
    );
    // Fresh replaces all of it.
    registry
        .register(now, &service(url, "(d=1)"))
        .expect("replaced");
    assert_eq!(text(&registry), "(d=1)");
    assert!(
        urls(&registry, now, "service:a", "DEFAULT", "(a=1)")
            .expect("found")
            .is_empty()
    );
}

#[test]
fn what_is_deregistered() {
    let start = Instant::now();
    let now = at(start, 0);
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    let url = "service:a:x://1";
    let german = Registration {
        language: "de",
        ..service(url, "(a=eins),(b=zwei)")
    };
    registry
        .register(now, &service(url, "(a=one),(b=two)"))
        .expect("registered");
    registry.register(now, &german).expect("registered");
    let order = Deregistration {
        url,
        language: "de",
        scopes: "default",
        tags: "A*",
        url_blocks: &[],
        source: source(1),
        verified: false,
    };
    let wrong_scope = Deregistration {
        scopes: "other",
        ..order.clone()
    };
    assert_eq!(
        registry.deregister(now, &wrong_scope),
        Err(ErrorCode::SCOPE_NOT_SUPPORTED)
    );
    let anothers = Deregistration {
        source: source(2),
        ..order.clone()
    };
    assert_eq!(
        registry.deregister(now, &anothers),
        Err(ErrorCode::AUTHENTICATION_ABSENT)
    );
    let changes = registry.deregister(now, &order).expect("done");
    assert!(matches!(changes.as_slice(), [Change::Put(put)] if put.attributes == "(b=zwei)"));
    let found = urls(&registry, now, "service:a:x", "DEFAULT", "(a=one)").expect("found");
    assert_eq!(found, [url], "only in its own language");
    let all = Deregistration { tags: "", ..order };
    assert_eq!(registry.deregister(now, &all).expect("done").len(), 2);
    assert!(registry.is_empty());
    assert_eq!(registry.deregister(now, &all), Ok(Vec::new()), "said again");
}

#[test]
fn languages() {
    let start = Instant::now();
    let now = at(start, 0);
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    let url = "service:a:x://1";
    for language in ["de-CH", "fr"] {
        let registration = Registration {
            language,
            ..service(url, "(a=1)")
        };
        registry.register(now, &registration).expect("registered");
    }
    let find = |language: &'static str, filter: Option<&str>, scopes: &str| {
        let service_type = ServiceType::parse("service:a").expect("a type");
        let scopes = ScopeList::parse(scopes).expect("scopes");
        let filter = filter.map(|text| Filter::parse(text).expect("a filter"));
        let mut count = 0;
        let find = Find {
            service_type: &service_type,
            scopes: &scopes,
            language,
            filter: filter.as_ref(),
            local: false,
            budget: usize::MAX,
        };
        let end = registry.find(now, &find, |_| {
            count += 1;
            ControlFlow::Continue(())
        });
        end.map(|_| count)
    };
    assert_eq!(find("it", None, "DEFAULT"), Ok(1), "each URL once");
    assert_eq!(
        find("de", Some("(a=1)"), "DEFAULT"),
        Ok(1),
        "dialects aside"
    );
    assert_eq!(find("de-AT", Some("(a=1)"), "DEFAULT"), Ok(1));
    assert_eq!(find("de", Some("(a=2)"), "DEFAULT"), Ok(0));
    assert_eq!(
        find("it", Some("(a=1)"), "DEFAULT"),
        Err(ErrorCode::LANGUAGE_NOT_SUPPORTED)
    );
    assert_eq!(
        find("it", Some("(a=1)"), "other"),
        Ok(0),
        "none of the scope"
    );
    let scopes = ScopeList::parse("DEFAULT").expect("scopes");
    let entry = |language| registry.entry_of_url(now, url, language, &scopes, false);
    assert_eq!(
        &*entry("de").expect("found").expect("there").language,
        "de-CH"
    );
    assert_eq!(entry("it").err(), Some(ErrorCode::LANGUAGE_NOT_SUPPORTED));
}

#[test]
fn attributes_of_a_type_are_the_union() {
    let start = Instant::now();
    let now = at(start, 0);
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    // RFC 2608 10.5, with one more concrete type.
    for (url, service_type, attributes) in [
        (
            "service:printer:lpr://igore",
            "service:printer:lpr",
            "(Name=Igore),(Protocol=LPR),(media-size=na-letter),(resolution=res-600),x-OK",
        ),
        (
            "service:printer:http://not",
            "service:printer:http",
            "(Name=Not),(protocol=http),(MEDIA-SIZE=NA-Letter),(resolution=other),x-BUSY",
        ),
    ] {
        let registration = Registration {
            service_type,
            ..service(url, attributes)
        };
        registry.register(now, &registration).expect("registered");
    }
    let union = |service_type: &str, tags: &str, limit: usize| {
        let service_type = ServiceType::parse(service_type).expect("a type");
        let scopes = ScopeList::parse("DEFAULT").expect("scopes");
        let find = Find {
            service_type: &service_type,
            scopes: &scopes,
            language: "en",
            filter: None,
            local: false,
            budget: usize::MAX,
        };
        let tags = TagList::parse(tags).expect("tags");
        registry.attributes_of_type(&find, &tags, limit)
    };
    let (text, whole) = union("service:printer", "x-*,resolution,protocol", 1_000);
    assert!(whole);
    let list = AttributeList::parse(&text).expect("a list");
    assert_eq!(list.len(), 4, "{text}");
    let values = |tag: &str| -> BTreeSet<String> {
        let attribute = list.get(tag).expect(tag);
        attribute
            .values
            .iter()
            .map(|value| value.text.to_string())
            .collect()
    };
    assert_eq!(
        values("protocol"),
        BTreeSet::from(["LPR".into(), "http".into()])
    );
    assert_eq!(
        values("resolution"),
        BTreeSet::from(["other".into(), "res-600".into()])
    );
    assert!(values("x-ok").is_empty());
    let (text, whole) = union("service:printer", "media*", 1_000);
    assert!(whole);
    assert_eq!(
        text.matches("etter").count(),
        1,
        "one spelling of two: {text}"
    );
    for limit in 0..60 {
        let (text, whole) = union("service:printer", "", limit);
        assert!(text.len() <= limit && !whole);
        AttributeList::parse(&text).expect("whole attributes alone");
    }
    assert_eq!(
        union("service:printer:ipp", "", 1_000),
        (String::new(), true)
    );
}

#[test]
fn types_by_authority_and_scope() {
    let start = Instant::now();
    let now = at(start, 0);
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    for (url, service_type, scopes) in [
        ("service:a:x://1", "service:a:x", "one"),
        ("service:b.acme://1", "service:B.Acme", "one,two"),
        ("http://1", "http", "two"),
    ] {
        let registration = Registration {
            service_type,
            scopes,
            ..service(url, "")
        };
        registry.register(now, &registration).expect("registered");
    }
    let types = |authority, scopes: &str| {
        let scopes = ScopeList::parse(scopes).expect("scopes");
        let types = registry.service_types(authority, &scopes, false, None);
        types.join(",")
    };
    assert_eq!(
        types(NamingAuthority::All, "one,two"),
        "http,service:a:x,service:b.acme"
    );
    assert_eq!(types(NamingAuthority::Iana, "one"), "service:a:x");
    assert_eq!(
        types(NamingAuthority::Named("ACME"), "two"),
        "service:b.acme"
    );
    assert_eq!(types(NamingAuthority::Named("acme"), "three"), "");
    // Different naming authorities are different types (RFC 2608 4.1).
    assert!(
        urls(&registry, now, "service:b", "one", "")
            .expect("found")
            .is_empty()
    );
}

#[test]
fn quotas_hold_and_a_refresh_needs_none() {
    let start = Instant::now();
    let now = at(start, 0);
    let quota = Quota {
        entries: 5,
        octets: 1_000,
        entries_per_source: 3,
        octets_per_source: 500,
    };
    let mut registry = Registry::new(quota, Duration::ZERO);
    let url = |number: usize| format!("service:a:x://{number}");
    let mut add = |number: usize, from: u8, attributes: &str| {
        let url = url(number);
        let registration = Registration {
            source: source(from),
            ..service(&url, attributes)
        };
        registry.register(now, &registration).map(drop)
    };
    for number in 0..3 {
        assert_eq!(add(number, 1, ""), Ok(()));
    }
    assert_eq!(
        add(3, 1, ""),
        Err(ErrorCode::DA_BUSY_NOW),
        "entries of one source"
    );
    assert_eq!(add(0, 1, ""), Ok(()), "a refresh");
    assert_eq!(add(0, 1, "(a=2)"), Ok(()), "a replacement");
    assert_eq!(
        add(1, 1, &format!("(a={})", "x".repeat(500))),
        Err(ErrorCode::DA_BUSY_NOW),
        "octets of one source"
    );
    assert_eq!(add(4, 2, ""), Ok(()));
    assert_eq!(add(5, 2, ""), Ok(()));
    assert_eq!(add(6, 3, ""), Err(ErrorCode::DA_BUSY_NOW), "entries of all");
    assert_eq!(registry.len(), 5);
}

#[test]
fn updates_too_soon_are_rejected() {
    let start = Instant::now();
    let mut registry = Registry::new(ROOMY, Duration::from_secs(10));
    let url = "service:a:x://1";
    registry
        .register(at(start, 0), &service(url, "(a=1)"))
        .expect("registered");
    let update = Registration {
        fresh: false,
        ..service(url, "(a=2)")
    };
    assert_eq!(
        registry.register(at(start, 9), &update),
        Err(ErrorCode::REFRESH_REJECTED)
    );
    let partly = Deregistration {
        url,
        language: "en",
        scopes: "DEFAULT",
        tags: "a",
        url_blocks: &[],
        source: source(1),
        verified: false,
    };
    assert_eq!(
        registry.deregister(at(start, 9), &partly),
        Err(ErrorCode::REFRESH_REJECTED)
    );
    assert!(registry.register(at(start, 10), &update).is_ok());
    // RFC 2608 8.5 speaks of updates: a whole registration is always taken.
    assert!(
        registry
            .register(at(start, 11), &service(url, "(a=3)"))
            .is_ok()
    );
}

#[test]
fn signed_entries_need_their_signatures_again() {
    let start = Instant::now();
    let now = at(start, 0);
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    let url = "service:a:x://1";
    let ends = u32::try_from(now.unix_ms / 1_000).expect("this century") + 30;
    let block = |spi| AuthenticationBlock {
        block_structure_descriptor: 0x8001,
        timestamp: ends,
        spi,
        body: b"signature",
    };
    let both = [block("K"), block("L")];
    let signed = Registration {
        url_blocks: &both,
        verified: true,
        ..service(url, "(a=1)")
    };
    registry.register(now, &signed).expect("registered");
    let (_, entry) = registry.of_url(url).next().expect("there");
    assert_eq!(
        entry.lifetime(now),
        30,
        "no longer than the signature (RFC 2608 12.1)"
    );
    let one = [block("k")];
    let half = Registration {
        url_blocks: &one,
        ..signed.clone()
    };
    for registration in [service(url, "(a=2)"), half] {
        assert_eq!(
            registry.register(now, &registration),
            Err(ErrorCode::AUTHENTICATION_ABSENT)
        );
    }
    let update = Registration {
        fresh: false,
        ..signed.clone()
    };
    assert_eq!(
        registry.register(now, &update),
        Err(ErrorCode::AUTHENTICATION_FAILED)
    );
    let moved = Registration {
        source: source(9),
        ..signed
    };
    assert!(
        registry.register(now, &moved).is_ok(),
        "the key counts, not the address"
    );
}

#[test]
fn what_was_kept_lives_as_long_as_it_had_left() {
    let start = Instant::now();
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    let id = registry
        .register(at(start, 0), &service("service:a:x://1", "(a=1)"))
        .expect("registered");
    let Change::Put(snapshot) = registry.get(id).expect("there").as_change() else {
        panic!("it is there")
    };
    let mut again = Registry::new(ROOMY, Duration::ZERO);
    let id = again
        .restore(at(start, 40), &snapshot)
        .expect("has time left");
    assert_eq!(again.get(id).expect("there").lifetime(at(start, 40)), 20);
    assert_eq!(
        urls(&again, at(start, 40), "service:a", "DEFAULT", "(a=1)")
            .expect("found")
            .len(),
        1
    );
    assert!(again.restore(at(start, 40), &snapshot).is_none(), "once");
    let mut late = Registry::new(ROOMY, Duration::ZERO);
    assert!(late.restore(at(start, 60), &snapshot).is_none());
    // A calendar that was set back by a year.
    let back = Now {
        unix_ms: snapshot.expires_unix_ms - 365 * 86_400_000,
        ..at(start, 40)
    };
    let id = late.restore(back, &snapshot).expect("taken");
    assert_eq!(late.get(id).expect("there").lifetime(back), u16::MAX);
}

#[test]
fn a_budget_ends_a_search() {
    let start = Instant::now();
    let now = at(start, 0);
    let mut registry = Registry::new(ROOMY, Duration::ZERO);
    for number in 0..100 {
        let url = format!("service:a:x://{number}");
        let attributes = format!("(n=x{number}y)");
        registry
            .register(now, &service(&url, &attributes))
            .expect("registered");
    }
    let service_type = ServiceType::parse("service:a").expect("a type");
    let scopes = ScopeList::parse("DEFAULT").expect("scopes");
    for (text, budget, matches, exhausted) in [
        ("(n=*99*)", 50, None, true),
        ("(n=*99*)", 1_000, Some(1), false),
        ("(n=x99y)", 5, Some(1), false),
        ("(n=x99*)", 5, Some(1), false),
    ] {
        let filter = Filter::parse(text).expect("a filter");
        let find = Find {
            service_type: &service_type,
            scopes: &scopes,
            language: "en",
            filter: Some(&filter),
            local: false,
            budget,
        };
        let mut count = 0;
        let end = registry
            .find(now, &find, |_| {
                count += 1;
                ControlFlow::Continue(())
            })
            .expect("searched");
        assert_eq!(end.exhausted, exhausted, "{text} {budget}");
        assert!(end.examined <= budget);
        if let Some(matches) = matches {
            assert_eq!(count, matches, "{text} {budget}");
        }
    }
}
