//! Whatever arrives: no panic, no timer that stays due, no growth without bound.

use std::time::Duration;

use tollwire_slp::agent::user_agent::{Event, LegId, Target, UserAgentSettings};
use tollwire_slp::agent::{DirectoryAgentLimits, Random};
use tollwire_slp::message::{DaAdvert, SrvRply};
use tollwire_slp::{Body, UrlEntry};

use crate::lan::{Lan, directory_agent, host, message};

/// A message, somewhat damaged.
fn damaged(random: &mut Random, octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for _ in 0..random.bits() % 4 {
        let at = (random.bits() as usize) % octets.len();
        octets[at] = random.bits() as u8;
    }
    if random.bits().is_multiple_of(8) {
        let length = (random.bits() as usize) % octets.len();
        octets.truncate(length);
    }
    if random.bits().is_multiple_of(2) && octets.len() > 4 {
        // So that more than the length is read.
        let length = u32::try_from(octets.len()).unwrap().to_be_bytes();
        octets[2..5].copy_from_slice(&length[1..]);
    }
    octets
}

#[test]
fn a_hundred_thousand_damaged_datagrams() {
    let mut random = Random::new(2608);
    let settings = UserAgentSettings {
        directory_agents: DirectoryAgentLimits {
            max_known: 16,
            ..DirectoryAgentLimits::default()
        },
        ..UserAgentSettings::default()
    };
    let mut found = 0;
    for round in 0..50 {
        let hosts = vec![
            directory_agent(91, "A", &["service:x://a"]),
            host(1, &["service:x://b"]),
        ];
        let mut lan = Lan::new(settings.clone(), hosts, round);
        let ids = [
            lan.find("service:x", "A,DEFAULT", Target::Anyone),
            lan.find("service:x", "DEFAULT", Target::Everybody),
        ];
        for step in 0..2_000_u64 {
            let xid = match random.bits() % 4 {
                0 => 0,
                // Those under way, as a neighbour would have overheard them.
                _ => lan.multicasts.last().map_or(1, |(_, octets)| {
                    u16::from_be_bytes([octets[10], octets[11]])
                }),
            };
            let url = format!("service:directory-agent://192.0.2.{}", step % 256);
            let advert = DaAdvert {
                boot_timestamp: (random.bits() % 3) as u32,
                url: &url,
                scopes: "A,B",
                attributes: "(a=1)",
                ..DaAdvert::default()
            };
            let reply = SrvRply {
                urls: vec![UrlEntry {
                    lifetime: 9,
                    url: "service:x://c",
                    authentication: Vec::new(),
                }],
                ..SrvRply::default()
            };
            let body = match random.bits() % 2 {
                0 => Body::DaAdvert(advert),
                _ => Body::SrvRply(reply),
            };
            let overflow = random.bits().is_multiple_of(4);
            let whole = message(xid, "en", body, overflow);
            let octets = damaged(&mut random, &whole);
            let last = (random.bits() % 256) as u8;
            match random.bits() % 4 {
                0 => lan.event(Event::Answered {
                    leg: LegId(random.bits() % 16),
                    octets: &octets,
                }),
                1 if step % 50 == 0 => lan.event(Event::Unreachable(LegId(random.bits() % 16))),
                _ => lan.event(Event::Datagram {
                    from: ([192, 0, 2, last], 427).into(),
                    octets: &octets,
                }),
            }
            if step % 100 == 0 {
                lan.pass(Duration::from_millis(100));
            }
            assert!(lan.agent.directory_agents().iter().count() <= 16);
        }
        for id in ids {
            lan.finish(id);
        }
        found += lan.answers.len();
    }
    assert!(found > 100, "some of it was answers: {found}");
}
