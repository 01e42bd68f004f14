//! The table of directory agents (RFC 2608 8.5, 12.1, 12.2.2).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tollwire_slp::agent::{
    Cover, DirectoryAgentLimits, DirectoryAgents, Disbelief, Heard, Links, Origin,
};
use tollwire_slp::message::DaAdvert;
use tollwire_slp::{ErrorCode, ScopeList};

fn address(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), 427)
}

fn advert<'a>(url: &'a str, scopes: &'a str, boot_timestamp: u32) -> DaAdvert<'a> {
    DaAdvert {
        boot_timestamp,
        url,
        scopes,
        ..DaAdvert::default()
    }
}

fn table(configured: &[&str]) -> DirectoryAgents {
    table_with(DirectoryAgentLimits::default(), configured)
}

fn table_with(limits: DirectoryAgentLimits, configured: &[&str]) -> DirectoryAgents {
    let mut table = DirectoryAgents::new(limits, configured.iter().map(|one| address(one)));
    table.set_links(Links::new([
        ("192.0.2.200".parse().unwrap(), 24),
        ("2001:db8::200".parse().unwrap(), 64),
    ]));
    table
}

fn scopes(list: &str) -> ScopeList {
    ScopeList::parse(list).unwrap()
}

const ONE: &str = "service:directory-agent://192.0.2.1";

#[test]
fn boot_timestamps_tell_restarts_from_repetitions() {
    let mut table = table(&[]);
    let one = address("192.0.2.1");
    let mut hear =
        |scopes: &str, timestamp| table.hear(one, &advert(ONE, scopes, timestamp), Origin::Passive);
    assert_eq!(hear("DEFAULT", 10), Heard::New(one));
    assert_eq!(hear("DEFAULT", 10), Heard::Same(one));
    assert_eq!(hear("DEFAULT,A", 10), Heard::Changed(one));
    assert_eq!(hear("DEFAULT,A", 11), Heard::Restarted(one));
    assert_eq!(hear("DEFAULT", 10), Heard::Ignored(Disbelief::Stale));
    assert_eq!(hear("DEFAULT,A", 0), Heard::Leaving(one));
    assert_eq!(hear("DEFAULT,A", 0), Heard::Ignored(Disbelief::Stale));
    assert_eq!(hear("DEFAULT,A", 11), Heard::New(one));
}

#[test]
fn adverts_that_are_not_believed() {
    let mut table = table(&[]);
    let near = address("192.0.2.1");
    let far = address("198.51.100.1");
    for (from, advert, disbelief) in [
        (
            near,
            advert("service:x://192.0.2.1", "A", 1),
            Disbelief::Url,
        ),
        (near, advert("", "A", 1), Disbelief::Url),
        (near, advert(ONE, "", 1), Disbelief::Scopes),
        (near, advert(ONE, "a,,b", 1), Disbelief::Scopes),
        (far, advert(ONE, "A", 1), Disbelief::OffLink),
        (
            near,
            DaAdvert {
                error: ErrorCode::INTERNAL_ERROR,
                ..advert(ONE, "A", 1)
            },
            Disbelief::Error,
        ),
    ] {
        assert_eq!(
            table.hear(from, &advert, Origin::Passive),
            Heard::Ignored(disbelief),
            "{advert:?}"
        );
    }
    assert_eq!(table.iter().count(), 0);
}

#[test]
fn no_advert_sends_requests_to_another_network() {
    let mut table = table(&[]);
    let from = address("192.0.2.1");
    for (url, asked) in [
        ("service:directory-agent://198.51.100.9", "192.0.2.1"),
        ("service:directory-agent://da.example.org", "192.0.2.1"),
        ("service:directory-agent://255.255.255.255", "192.0.2.1"),
        ("service:directory-agent://239.255.255.253", "192.0.2.1"),
        ("service:directory-agent://0.0.0.0", "192.0.2.1"),
        ("service:directory-agent://192.0.2.7", "192.0.2.7"),
        ("SERVICE:Directory-Agent://192.0.2.8:9000/x", "192.0.2.8"),
        ("service:directory-agent://[2001:db8::7]", "2001:db8::7"),
    ] {
        let heard = table.hear(from, &advert(url, "A", 7), Origin::Active);
        let (Heard::New(got) | Heard::Changed(got)) = heard else {
            panic!("{url}: {heard:?}");
        };
        assert_eq!(got, address(asked), "{url}");
    }
}

#[test]
fn link_local_agents_keep_their_zone() {
    let mut table = table(&[]);
    let from: SocketAddr = "[fe80::1%3]:427".parse().unwrap();
    let heard = table.hear(
        from,
        &advert("service:directory-agent://[fe80::1]", "A", 7),
        Origin::Active,
    );
    assert_eq!(heard, Heard::New(from));
}

#[test]
fn few_agents_are_asked_and_configured_ones_first() {
    let now = Instant::now();
    let mut table = table(&["203.0.113.9"]);
    for (last, list) in [(1, "A"), (2, "A,B"), (3, "C")] {
        let url = format!("service:directory-agent://192.0.2.{last}");
        table.hear(
            address(&format!("192.0.2.{last}")),
            &advert(&url, list, 1),
            Origin::Active,
        );
    }
    let configured = address("203.0.113.9");
    // It has not said what it serves.
    let cover = table.cover(now, &scopes("A,D"), &[]);
    assert_eq!(cover.asked, [(configured, scopes("A,D"))]);
    assert!(cover.rest.is_empty());

    table.introduced(
        configured,
        &advert("service:directory-agent://203.0.113.9", "c", 1),
    );
    let cover = table.cover(now, &scopes("a,b,C,D"), &[]);
    assert_eq!(
        cover,
        Cover {
            asked: vec![
                (configured, scopes("c")),
                (address("192.0.2.2"), scopes("a,b"))
            ],
            rest: scopes("d"),
        }
    );
    let cover = table.cover(now, &scopes("A,B"), &[address("192.0.2.2")]);
    assert_eq!(cover.asked, [(address("192.0.2.1"), scopes("a"))]);
    assert_eq!(cover.rest, scopes("b"));
    let serving = table.serving(now, &scopes("A"));
    assert_eq!(
        serving,
        [
            (address("192.0.2.1"), scopes("A")),
            (address("192.0.2.2"), scopes("A"))
        ]
    );
}

#[test]
fn an_agent_that_fails_is_left_alone_longer_each_time() {
    let mut now = Instant::now();
    let mut table = table(&[]);
    let one = address("192.0.2.1");
    table.hear(one, &advert(ONE, "A", 1), Origin::Active);
    let mut holds = Vec::new();
    for _ in 0..8 {
        table.failed(now, one);
        // What was under way at the same time fails too.
        table.failed(now, one);
        let hold = (1..10_000)
            .find(|seconds| {
                let later = now + Duration::from_secs(*seconds);
                !table.cover(later, &scopes("A"), &[]).asked.is_empty()
            })
            .unwrap();
        holds.push(hold);
        now += Duration::from_secs(hold);
    }
    assert_eq!(holds, [15, 30, 60, 120, 240, 480, 900, 900]);
    table.failed(now, one);
    assert!(table.cover(now, &scopes("A"), &[]).asked.is_empty());
    // Whoever speaks is there.
    table.hear(one, &advert(ONE, "A", 1), Origin::Passive);
    assert_eq!(table.cover(now, &scopes("A"), &[]).asked.len(), 1);
    table.failed(now, one);
    let later = now + Duration::from_secs(15);
    assert_eq!(table.cover(later, &scopes("A"), &[]).asked.len(), 1);
}

#[test]
fn a_configured_agent_that_leaves_is_asked_when_it_is_back() {
    let now = Instant::now();
    let mut table = table(&["192.0.2.1"]);
    let one = address("192.0.2.1");
    assert_eq!(table.introduced(one, &advert(ONE, "A", 5)), Heard::New(one));
    assert_eq!(
        table.hear(one, &advert(ONE, "A", 0), Origin::Passive),
        Heard::Leaving(one)
    );
    assert!(table.cover(now, &scopes("A"), &[]).asked.is_empty());
    assert_eq!(
        table.hear(one, &advert(ONE, "A", 5), Origin::Passive),
        Heard::Changed(one)
    );
    assert_eq!(table.cover(now, &scopes("A"), &[]).asked.len(), 1);
}

#[test]
fn the_table_is_bounded_and_silent_agents_make_room() {
    let now = Instant::now();
    let limits = DirectoryAgentLimits {
        max_known: 2,
        ..DirectoryAgentLimits::default()
    };
    let mut table = table_with(limits, &["203.0.113.9"]);
    let hear = |table: &mut DirectoryAgents, last: u8| {
        let url = format!("service:directory-agent://192.0.2.{last}");
        let from = address(&format!("192.0.2.{last}"));
        table.hear(from, &advert(&url, "A", 1), Origin::Passive)
    };
    assert!(matches!(hear(&mut table, 1), Heard::New(_)));
    assert!(matches!(hear(&mut table, 2), Heard::New(_)));
    assert_eq!(hear(&mut table, 3), Heard::Ignored(Disbelief::Full));
    table.failed(now, address("192.0.2.1"));
    assert!(matches!(hear(&mut table, 3), Heard::New(_)));
    assert_eq!(table.iter().count(), 3);
}

#[test]
fn an_agent_with_several_addresses_is_registered_with_once() {
    let now = Instant::now();
    let hear = |table: &mut DirectoryAgents, host: &str, timestamp| {
        let ip = host.trim_matches(['[', ']']);
        let from = address(ip);
        let url = format!("service:directory-agent://{host}");
        assert_eq!(
            table.hear(from, &advert(&url, "A", timestamp), Origin::Active),
            Heard::New(from)
        );
    };
    let serving = |table: &DirectoryAgents| {
        let all = table.serving(now, &scopes("A")).into_iter();
        all.map(|(address, _)| address.ip().to_string())
            .collect::<Vec<_>>()
    };
    let mut table = table(&[]);
    hear(&mut table, "[fe80::1]", 5);
    assert_eq!(serving(&table), ["fe80::1"]);
    hear(&mut table, "[2001:db8::1]", 5);
    assert_eq!(serving(&table), ["2001:db8::1"]);
    hear(&mut table, "192.0.2.1", 5);
    assert_eq!(serving(&table), ["192.0.2.1"]);
    // Another, of the same second.
    hear(&mut table, "192.0.2.2", 5);
    assert_eq!(serving(&table), ["192.0.2.1", "192.0.2.2"]);
    hear(&mut table, "[2001:db8::2]", 5);
    assert_eq!(serving(&table), ["192.0.2.1", "192.0.2.2"]);
    // One that has but IPv6, again of the same second: better twice than not at all.
    hear(&mut table, "[2001:db8::3]", 5);
    assert_eq!(
        serving(&table),
        ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
    );
    // One of another second is another agent.
    hear(&mut table, "192.0.2.9", 6);
    assert!(serving(&table).contains(&"192.0.2.9".to_owned()));
    // Who is asked is not narrowed by it.
    assert_eq!(table.cover(now, &scopes("A"), &[]).asked.len(), 1);
}
