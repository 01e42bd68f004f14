//! The whole user agent: directory agents that live, die and lie, and service agents on a bad network.

use std::time::Duration;

use tollwire_slp::agent::user_agent::{Event, Impossible, Target, UserAgentSettings};
use tollwire_slp::agent::{DIRECTORY_AGENT, Heard, Question, Request};
use tollwire_slp::message::DaAdvert;
use tollwire_slp::{Body, ErrorCode, decode};

use crate::lan::{Lan, directory_agent, host};

const SECOND: Duration = Duration::from_secs(1);

fn quiet() -> UserAgentSettings {
    UserAgentSettings {
        discover_by_itself: false,
        ..UserAgentSettings::default()
    }
}

fn ten_hosts() -> Vec<crate::lan::Host> {
    (1..=10)
        .map(|last| host(last, &[&format!("service:x://192.0.2.{last}")]))
        .collect()
}

fn ten_urls() -> Vec<String> {
    let mut urls: Vec<String> = (1..=10)
        .map(|last| format!("service:x://192.0.2.{last}"))
        .collect();
    urls.sort();
    urls
}

#[test]
fn ten_service_agents_answer_once_each() {
    let mut lan = Lan::new(quiet(), ten_hosts(), 1);
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    let (took, outcome) = lan.finish(id);
    assert_eq!(lan.urls(id), ten_urls());
    assert_eq!(outcome.answers, 10);
    assert!(outcome.multicast && !outcome.truncated);
    // 2 s for directory agents, then a round that all answer and one that nobody does.
    assert_eq!(took, 8 * SECOND);
    for host in &lan.hosts {
        let asked = host.asked.iter().filter(|(_, _, kind)| kind == "service:x");
        assert_eq!(asked.count(), 1, "the PRList kept {} silent", host.address);
    }
}

#[test]
fn lost_requests_and_lost_answers_are_made_up_for() {
    let mut settings = quiet();
    settings.timers.retry = SECOND / 8;
    let mut found = 0;
    for seed in 0..200 {
        let mut lan = Lan::new(settings.clone(), ten_hosts(), seed);
        lan.loss = 30;
        let id = lan.find("service:x", "DEFAULT", Target::Everybody);
        let (_, outcome) = lan.finish(id);
        let mut urls = lan.urls(id);
        assert_eq!(urls.len(), outcome.answers);
        urls.dedup();
        assert_eq!(urls.len(), outcome.answers, "each is taken once");
        found += urls.len();
    }
    // One round would find half of them. Who is missed was silent in a round that brought nobody at all.
    assert!(found > 1_800, "{found} of 2,000");
}

#[test]
fn repeated_answers_and_those_that_ignore_the_list_count_once() {
    let mut hosts = ten_hosts();
    for host in &mut hosts {
        host.copies = 3;
        host.reads_previous_responders = false;
    }
    let mut lan = Lan::new(quiet(), hosts, 3);
    let id = lan.find("service:x", "DEFAULT", Target::Everybody);
    let (took, _) = lan.finish(id);
    assert_eq!(lan.urls(id), ten_urls());
    assert_eq!(took, 6 * SECOND, "repetitions are no progress");
}

#[test]
fn answers_under_another_xid_are_nobodys() {
    let mut hosts = ten_hosts();
    for host in &mut hosts[..9] {
        host.xid_offset = 1;
    }
    let mut lan = Lan::new(quiet(), hosts, 4);
    let id = lan.find("service:x", "DEFAULT", Target::Everybody);
    lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://192.0.2.10"]);
}

#[test]
fn a_directory_agent_is_asked_alone() {
    let mut hosts = ten_hosts();
    hosts.push(directory_agent(99, "DEFAULT", &["service:x://by-da"]));
    let mut lan = Lan::new(quiet(), hosts, 5);
    let id = lan.find("service:x", "default", Target::Anyone);
    let (took, outcome) = lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://by-da"]);
    assert!(took < SECOND, "it does not wait for further ones");
    assert!(!outcome.multicast);
    assert!(lan.hosts[..10].iter().all(|host| host.asked.is_empty()));
    // It is known now, and nobody is looked for again.
    let multicasts = lan.multicasts.len();
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    lan.finish(id);
    assert_eq!(lan.multicasts.len(), multicasts);
}

#[test]
fn scopes_are_split_among_agents_and_the_rest_is_multicast() {
    let mut hosts = vec![
        directory_agent(91, "A", &["service:x://a"]),
        directory_agent(92, "B", &["service:x://b"]),
        host(1, &["service:x://c"]),
    ];
    hosts[2].scopes = "C".into();
    let mut lan = Lan::new(quiet(), hosts, 6);
    let id = lan.find("service:x", "A,B,C", Target::Anyone);
    let (_, outcome) = lan.finish(id);
    assert_eq!(
        lan.urls(id),
        ["service:x://a", "service:x://b", "service:x://c"]
    );
    assert!(outcome.multicast);
    let (_, last) = lan.multicasts.last().unwrap();
    let Body::SrvRqst(body) = decode(last).unwrap().body else {
        panic!();
    };
    assert_eq!(body.scopes, "c");
}

#[test]
fn a_directory_agent_that_dies_is_replaced_and_left_alone() {
    let hosts = vec![
        directory_agent(91, "DEFAULT", &["service:x://1"]),
        directory_agent(92, "DEFAULT", &["service:x://2"]),
    ];
    let mut settings = quiet();
    settings.configured = vec![hosts[0].address, hosts[1].address];
    let mut lan = Lan::new(settings, hosts, 7);
    lan.pass(SECOND);
    lan.hosts[0].alive = false;

    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    let begun = lan.now - lan.start;
    let (took, outcome) = lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://2"]);
    assert_eq!(outcome.unanswered, [lan.hosts[0].address]);
    assert!(took - begun >= 15 * SECOND && took - begun < 16 * SECOND);

    // The next question does not wait for it.
    let begun = lan.now - lan.start;
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    let (took, outcome) = lan.finish(id);
    assert!(took - begun < SECOND);
    assert!(outcome.unanswered.is_empty());

    // It says that it is back.
    lan.hosts[0].alive = true;
    let address = lan.hosts[0].address;
    lan.advertise(
        address,
        DaAdvert {
            boot_timestamp: 2_000,
            url: "service:directory-agent://192.0.2.91",
            scopes: "DEFAULT",
            ..DaAdvert::default()
        },
    );
    assert_eq!(lan.heard.last(), Some(&Heard::Restarted(address)));
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://1"]);
}

#[test]
fn when_the_last_directory_agent_dies_service_agents_are_asked() {
    let hosts = vec![
        directory_agent(91, "DEFAULT", &["service:x://da"]),
        host(1, &["service:x://sa"]),
    ];
    let mut lan = Lan::new(quiet(), hosts, 8);
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://da"]);
    lan.hosts[0].alive = false;
    lan.pass(60 * SECOND);
    let discoveries = |lan: &Lan| {
        let is_discovery = |octets: &Vec<u8>| match decode(octets).unwrap().body {
            Body::SrvRqst(body) => body.service_type == DIRECTORY_AGENT,
            _ => false,
        };
        lan.multicasts
            .iter()
            .filter(|(_, octets)| is_discovery(octets))
            .count()
    };
    let before = discoveries(&lan);
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    let (_, outcome) = lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://sa"]);
    assert!(outcome.multicast);
    assert_eq!(outcome.unanswered, [lan.hosts[0].address]);
    assert_eq!(
        discoveries(&lan),
        before,
        "CONFIG_DA_FIND is not over: no discovery"
    );
    lan.pass(900 * SECOND);
    lan.hosts[0].alive = true;
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://da"]);
}

#[test]
fn agents_that_are_only_said_to_be_there_cost_little() {
    let hosts = vec![
        directory_agent(91, "DEFAULT", &["service:x://da"]),
        host(1, &["service:x://sa"]),
    ];
    let advertise = |lan: &mut Lan| {
        for last in 100..180 {
            let url = format!("service:directory-agent://192.0.2.{last}");
            lan.advertise(
                ([192, 0, 2, last], 427).into(),
                DaAdvert {
                    boot_timestamp: 7,
                    url: &url,
                    scopes: "DEFAULT",
                    ..DaAdvert::default()
                },
            );
        }
    };
    // One that has answered is asked before them.
    let mut lan = Lan::new(quiet(), hosts.clone(), 25);
    lan.find("service:x", "DEFAULT", Target::Anyone);
    lan.pass(20 * SECOND);
    advertise(&mut lan);
    assert_eq!(lan.agent.directory_agents().iter().count(), 64);
    let begun = lan.now - lan.start;
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    let (took, _) = lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://da"]);
    assert!(took - begun < SECOND);

    // Without one they cost three waits, not sixty-four.
    let mut lan = Lan::new(quiet(), hosts[1..].to_vec(), 26);
    advertise(&mut lan);
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    let (took, outcome) = lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://sa"]);
    assert_eq!(outcome.unanswered.len(), 3);
    assert!(took < 60 * SECOND, "{took:?}");
}

#[test]
fn discovery_repeats_with_waits_that_double_while_nobody_asks() {
    let mut lan = Lan::new(UserAgentSettings::default(), Vec::new(), 9);
    lan.pass(Duration::from_secs(9_000));
    let begins: Vec<u64> = lan
        .multicasts
        .windows(2)
        .filter(|pair| pair[1].0 - pair[0].0 > 60 * SECOND)
        .map(|pair| pair[1].0.as_secs())
        .collect();
    let first = lan.multicasts[0].0;
    assert!(first <= 3 * SECOND);
    let gaps: Vec<u64> = begins
        .iter()
        .scan(first.as_secs(), |last, begin| {
            let gap = begin - *last;
            *last = *begin;
            Some(gap)
        })
        .collect();
    assert_eq!(gaps, [900, 1_800, 3_600]);
}

#[test]
fn who_overhears_adverts_need_not_look_again() {
    let hosts = vec![directory_agent(91, "DEFAULT", &[])];
    let mut lan = Lan::new(UserAgentSettings::default(), hosts, 10);
    lan.event(Event::Passive(true));
    lan.pass(60 * SECOND);
    let multicasts = lan.multicasts.len();
    assert_eq!(lan.heard, [Heard::New(lan.hosts[0].address)]);
    lan.pass(Duration::from_secs(20_000));
    assert_eq!(lan.multicasts.len(), multicasts);
    lan.event(Event::Passive(false));
    lan.pass(SECOND);
    assert!(lan.multicasts.len() > multicasts);
}

#[test]
fn overflow_is_followed_over_tcp_under_the_same_xid() {
    for target in [Target::Anyone, Target::Everybody] {
        let mut hosts = vec![host(1, &["service:x://1", "service:x://2"])];
        if target == Target::Anyone {
            hosts[0].boot_timestamp = Some(1);
        }
        hosts[0].overflows = true;
        let mut lan = Lan::new(quiet(), hosts.clone(), 11);
        let id = lan.find("service:x", "DEFAULT", target);
        let (_, outcome) = lan.finish(id);
        assert_eq!(lan.urls(id), ["service:x://1", "service:x://2"]);
        assert!(!outcome.truncated);
        let xids = &lan.hosts[0].streams;
        let (_, _, answer) = lan.answers.last().unwrap();
        assert_eq!(*xids, [decode(answer).unwrap().header.xid]);

        // Without TCP the part that came has to do.
        hosts[0].accepts = false;
        let mut lan = Lan::new(quiet(), hosts, 12);
        let id = lan.find("service:x", "DEFAULT", target);
        let (_, outcome) = lan.finish(id);
        assert_eq!(lan.urls(id), ["service:x://1"]);
        assert!(outcome.truncated);
    }
}

#[test]
fn errors_are_cured_by_another_agent_or_reported() {
    for (error, cured) in [
        (ErrorCode::DA_BUSY_NOW, true),
        (ErrorCode::INTERNAL_ERROR, true),
        (ErrorCode::SCOPE_NOT_SUPPORTED, true),
        (ErrorCode::PARSE_ERROR, false),
        (ErrorCode::LANGUAGE_NOT_SUPPORTED, false),
        (ErrorCode::AUTHENTICATION_UNKNOWN, false),
    ] {
        let mut hosts = vec![
            directory_agent(91, "DEFAULT", &["service:x://1"]),
            directory_agent(92, "DEFAULT", &["service:x://2"]),
        ];
        hosts[0].error = error;
        let mut settings = quiet();
        settings.configured = hosts.iter().map(|host| host.address).collect();
        let mut lan = Lan::new(settings, hosts, 13);
        let id = lan.find("service:x", "DEFAULT", Target::Anyone);
        let (_, outcome) = lan.finish(id);
        if cured {
            assert_eq!(lan.urls(id), ["service:x://2"], "{error}");
            assert_eq!(outcome.refused, None, "{error}");
        } else {
            assert_eq!(outcome.refused, Some((lan.hosts[0].address, error)));
            assert_eq!(outcome.answers, 0, "{error}");
        }
        let begun = lan.hosts[0].asked.len();
        let id = lan.find("service:x", "DEFAULT", Target::Anyone);
        lan.finish(id);
        let asked_again = lan.hosts[0].asked.len() > begun;
        assert_eq!(asked_again, error != ErrorCode::DA_BUSY_NOW, "{error}");
    }
}

#[test]
fn an_error_that_nobody_cures_is_reported() {
    let mut hosts = vec![directory_agent(91, "DEFAULT", &[])];
    hosts[0].error = ErrorCode::DA_BUSY_NOW;
    let mut lan = Lan::new(quiet(), hosts, 14);
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    let (_, outcome) = lan.finish(id);
    assert_eq!(
        outcome.refused,
        Some((lan.hosts[0].address, ErrorCode::DA_BUSY_NOW))
    );
}

#[test]
fn one_agent_alone_is_asked_if_that_is_what_is_wanted() {
    let mut hosts = ten_hosts();
    let mut lan = Lan::new(quiet(), hosts.clone(), 15);
    let target = Target::One(lan.hosts[4].address);
    let id = lan.find("service:x", "DEFAULT", target);
    lan.finish(id);
    assert_eq!(lan.urls(id), ["service:x://192.0.2.5"]);
    assert!(lan.multicasts.is_empty());

    hosts[4].alive = false;
    let mut lan = Lan::new(quiet(), hosts, 16);
    let id = lan.find("service:x", "DEFAULT", target);
    let (took, outcome) = lan.finish(id);
    assert_eq!(took, 15 * SECOND);
    assert_eq!(outcome.unanswered, [lan.hosts[4].address]);
    assert!(lan.multicasts.is_empty());
}

#[test]
fn a_question_ends_when_its_time_is_up_with_what_came() {
    let mut lan = Lan::new(quiet(), ten_hosts(), 17);
    let request = Request {
        language: "en".into(),
        scopes: "DEFAULT".into(),
        question: Question::Services {
            service_type: "service:x".into(),
            predicate: String::new(),
            spi: String::new(),
            attributes: false,
        },
    };
    let id = lan.ask(request, Target::Everybody, Some(SECOND));
    let (took, outcome) = lan.finish(id);
    assert_eq!(took, SECOND);
    assert!(outcome.truncated);
    assert_eq!(lan.urls(id), ten_urls());
}

#[test]
fn cancelled_questions_and_their_answers_are_gone() {
    let mut lan = Lan::new(quiet(), ten_hosts(), 18);
    let id = lan.find("service:x", "DEFAULT", Target::Everybody);
    lan.event(Event::Cancel(id));
    lan.pass(30 * SECOND);
    assert!(lan.answers.is_empty() && lan.finished.is_empty());
    assert_eq!(lan.agent.deadline(lan.now), None);
}

#[test]
fn questions_are_bounded() {
    let mut settings = quiet();
    settings.max_queries = 2;
    let mut lan = Lan::new(settings, Vec::new(), 19);
    lan.find("service:x", "DEFAULT", Target::Everybody);
    lan.find("service:x", "DEFAULT", Target::Everybody);
    let id = lan.find("service:x", "DEFAULT", Target::Everybody);
    let (_, outcome) = lan.finish(id);
    assert_eq!(outcome.impossible, Some(Impossible::Busy));
}

#[test]
fn without_discovery_and_multicast_only_configured_agents_are_asked() {
    let mut settings = quiet();
    settings.discover = false;
    settings.multicast = false;
    let mut hosts = ten_hosts();
    hosts.push(directory_agent(99, "DEFAULT", &[]));
    let mut lan = Lan::new(settings, hosts, 20);
    let address = lan.hosts[10].address;
    lan.advertise(
        address,
        DaAdvert {
            boot_timestamp: 1,
            url: "service:directory-agent://192.0.2.99",
            scopes: "DEFAULT",
            ..DaAdvert::default()
        },
    );
    let id = lan.find("service:x", "DEFAULT", Target::Anyone);
    let (_, outcome) = lan.finish(id);
    assert_eq!(outcome.answers, 0);
    assert_eq!(outcome.unserved.as_str(), "DEFAULT");
    assert!(lan.multicasts.is_empty());
}

#[test]
fn every_directory_agent_is_waited_for_where_all_are_wanted() {
    let hosts = vec![
        directory_agent(91, "A,B", &[]),
        directory_agent(92, "B", &[]),
        directory_agent(93, "C", &[]),
    ];
    let mut lan = Lan::new(quiet(), hosts, 21);
    let id = lan.find("service:x", "A,B,D", Target::EveryDirectoryAgent);
    let (took, outcome) = lan.finish(id);
    assert_eq!(outcome.answers, 2);
    assert_eq!(outcome.unserved.as_str(), "d");
    assert!(took >= 6 * SECOND && took < 7 * SECOND, "{took:?}");

    let mut lan = Lan::new(quiet(), Vec::new(), 22);
    let id = lan.find("service:x", "A", Target::EveryDirectoryAgent);
    let (took, outcome) = lan.finish(id);
    assert_eq!((took, outcome.answers), (2 * SECOND, 0));
}

#[test]
fn discovery_can_be_all_that_is_wanted() {
    let mut lan = Lan::new(quiet(), vec![directory_agent(91, "A", &[])], 23);
    let id = lan.find(DIRECTORY_AGENT, "", Target::Discovery);
    let (took, _) = lan.finish(id);
    assert!(took >= 6 * SECOND);
    assert_eq!(lan.agent.directory_agents().iter().count(), 1);
    // Once is enough for CONFIG_DA_FIND.
    let begun = lan.now - lan.start;
    let id = lan.find(DIRECTORY_AGENT, "", Target::Discovery);
    assert_eq!(lan.finish(id).0, begun);
}

#[test]
fn a_request_too_long_for_a_datagram_goes_by_tcp() {
    let hosts = vec![directory_agent(91, "DEFAULT", &["service:x://1"])];
    let mut settings = quiet();
    settings.convergence.mtu = 100;
    let mut lan = Lan::new(settings, hosts, 24);
    let kind = format!("service:{}", "x".repeat(100));
    let target = Target::One(lan.hosts[0].address);
    let id = lan.find(&kind, "DEFAULT", target);
    let (_, outcome) = lan.finish(id);
    assert_eq!(outcome.answers, 1);
    assert_eq!(lan.hosts[0].streams.len(), 1);
}
