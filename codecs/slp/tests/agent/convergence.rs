//! Multicast convergence alone (RFC 2608 6.3).

use std::net::SocketAddr;
use std::time::Instant;

use tollwire_slp::agent::{
    Convergence, ConvergenceEffect, ConvergenceEnd, ConvergenceEvent, ConvergenceLimits, Question,
    Request, Timers, Unsendable,
};
use tollwire_slp::message::SrvRply;
use tollwire_slp::{Body, UrlEntry, decode};

use crate::lan::message;

const XID: u16 = 77;

fn request() -> Request {
    Request {
        language: "en".into(),
        scopes: "DEFAULT".into(),
        question: Question::Services {
            service_type: "service:x".into(),
            predicate: String::new(),
            spi: String::new(),
            attributes: false,
        },
    }
}

fn reply(xid: u16, url: &str) -> Vec<u8> {
    let urls = vec![UrlEntry {
        lifetime: 9,
        url,
        authentication: Vec::new(),
    }];
    let reply = SrvRply {
        urls,
        ..SrvRply::default()
    };
    message(xid, "en", Body::SrvRply(reply), false)
}

fn address(last: u16) -> SocketAddr {
    let [high, low] = last.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 427))
}

/// A convergence, what it wants, and the time.
struct Run {
    now: Instant,
    convergence: Convergence,
    effects: Vec<ConvergenceEffect>,
}

impl Run {
    fn new(limits: ConvergenceLimits) -> Self {
        let now = Instant::now();
        let mut effects = Vec::new();
        let timers = Timers::default();
        let convergence =
            Convergence::begin(now, request(), XID, &timers, limits, &mut effects).unwrap();
        Self {
            now,
            convergence,
            effects,
        }
    }

    fn receive(&mut self, from: SocketAddr, octets: &[u8]) -> Vec<ConvergenceEffect> {
        let event = ConvergenceEvent::Received { from, octets };
        self.effects.clear();
        self.convergence.handle(self.now, event, &mut self.effects);
        self.effects.clone()
    }

    /// Goes to the next deadline; how many seconds that took, and what is wanted then.
    fn wait(&mut self) -> (u64, Vec<ConvergenceEffect>) {
        let deadline = self.convergence.deadline().unwrap();
        let waited = deadline - self.now;
        self.now = deadline;
        self.effects.clear();
        self.convergence
            .handle(self.now, ConvergenceEvent::Timer, &mut self.effects);
        (waited.as_secs(), self.effects.clone())
    }
}

fn previous_responders(effects: &[ConvergenceEffect]) -> String {
    let [ConvergenceEffect::Multicast { octets, .. }] = effects else {
        panic!("{effects:?}");
    };
    match decode(octets).unwrap().body {
        Body::SrvRqst(body) => body.previous_responders.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_round_names_who_has_answered_and_the_last_brings_nobody() {
    let mut run = Run::new(ConvergenceLimits::default());
    assert_eq!(previous_responders(&run.effects), "");
    for last in [1, 2] {
        assert_eq!(
            run.receive(address(last), &reply(XID, "service:x://a")),
            [ConvergenceEffect::Reply { overflow: false }]
        );
    }
    let (waited, effects) = run.wait();
    assert_eq!(waited, 2);
    assert_eq!(previous_responders(&effects), "10.0.0.1,10.0.0.2");
    run.receive(address(3), &reply(XID, "service:x://b"));
    let (waited, effects) = run.wait();
    assert_eq!(waited, 4);
    assert_eq!(previous_responders(&effects), "10.0.0.1,10.0.0.2,10.0.0.3");
    let (waited, effects) = run.wait();
    assert_eq!(waited, 8);
    assert_eq!(
        effects,
        [ConvergenceEffect::Over(ConvergenceEnd::Converged)]
    );
    assert_eq!(run.convergence.deadline(), None);
    assert!(
        run.receive(address(4), &reply(XID, "service:x://c"))
            .is_empty()
    );
}

#[test]
fn without_any_answer_it_asks_again_until_its_time_is_up() {
    let mut run = Run::new(ConvergenceLimits::default());
    let mut waits = Vec::new();
    loop {
        let (waited, effects) = run.wait();
        waits.push(waited);
        if effects == [ConvergenceEffect::Over(ConvergenceEnd::Time)] {
            break;
        }
        assert_eq!(previous_responders(&effects), "");
    }
    assert_eq!(waits, [2, 4, 8, 1]);
}

#[test]
fn ipv6_widens_and_never_beyond_the_site() {
    let mut run = Run::new(ConvergenceLimits::default());
    let scopes = |effects: &[ConvergenceEffect]| match effects {
        [ConvergenceEffect::Multicast { ipv6_scopes, .. }] => ipv6_scopes.to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(scopes(&run.effects), [1, 2]);
    assert_eq!(scopes(&run.wait().1), [5]);
    assert_eq!(scopes(&run.wait().1), [5]);
}

#[test]
fn repeated_foreign_and_broken_replies_are_nothing() {
    let mut run = Run::new(ConvergenceLimits::default());
    let good = reply(XID, "service:x://a");
    assert_eq!(run.receive(address(1), &good).len(), 1);
    assert!(run.receive(address(1), &good).is_empty(), "repeated");
    assert!(
        run.receive(address(2), &reply(XID + 1, "service:x://a"))
            .is_empty(),
        "another XID"
    );
    assert!(run.receive(address(3), &good[..20]).is_empty(), "truncated");
    let types = Body::SrvTypeRply(tollwire_slp::message::SrvTypeRply::default());
    assert!(
        run.receive(address(4), &message(XID, "en", types, false))
            .is_empty(),
        "another function"
    );
    let (_, effects) = run.wait();
    assert_eq!(previous_responders(&effects), "10.0.0.1");
}

#[test]
fn one_address_may_say_several_things_but_not_any_number() {
    let mut run = Run::new(ConvergenceLimits::default());
    let taken = (0..100)
        .filter(|number| {
            let url = format!("service:x://{number}");
            !run.receive(address(1), &reply(XID, &url)).is_empty()
        })
        .count();
    assert_eq!(taken, 8);
}

#[test]
fn replies_are_bounded_in_number_and_in_octets() {
    let mut run = Run::new(ConvergenceLimits {
        max_replies: 3,
        ..ConvergenceLimits::default()
    });
    run.receive(address(1), &reply(XID, "service:x://a"));
    run.receive(address(2), &reply(XID, "service:x://b"));
    assert_eq!(
        run.receive(address(3), &reply(XID, "service:x://c")),
        [
            ConvergenceEffect::Reply { overflow: false },
            ConvergenceEffect::Over(ConvergenceEnd::Limit)
        ]
    );

    let octets = reply(XID, "service:x://a");
    let mut run = Run::new(ConvergenceLimits {
        max_octets: octets.len() * 2 - 1,
        ..ConvergenceLimits::default()
    });
    assert_eq!(run.receive(address(1), &octets).len(), 1);
    assert_eq!(
        run.receive(address(2), &octets),
        [ConvergenceEffect::Over(ConvergenceEnd::Limit)]
    );
}

#[test]
fn it_ends_when_the_list_of_responders_fills_the_datagram() {
    let mut run = Run::new(ConvergenceLimits {
        mtu: 200,
        ..ConvergenceLimits::default()
    });
    for last in 0..40 {
        run.receive(address(last), &reply(XID, "service:x://a"));
    }
    let (_, effects) = run.wait();
    assert_eq!(effects, [ConvergenceEffect::Over(ConvergenceEnd::Full)]);
}

#[test]
fn the_first_reply_is_enough_if_asked_for_and_if_it_says_something() {
    let mut run = Run::new(ConvergenceLimits {
        first_reply_is_enough: true,
        ..ConvergenceLimits::default()
    });
    let empty = message(XID, "en", Body::SrvRply(SrvRply::default()), false);
    assert_eq!(
        run.receive(address(1), &empty),
        [ConvergenceEffect::Reply { overflow: false }]
    );
    assert_eq!(
        run.receive(address(2), &reply(XID, "service:x://a")),
        [
            ConvergenceEffect::Reply { overflow: false },
            ConvergenceEffect::Over(ConvergenceEnd::FirstReply)
        ]
    );
}

#[test]
fn a_registration_has_no_group() {
    let request = Request {
        question: Question::Deregister {
            url: "service:x://a".into(),
            tags: String::new(),
        },
        ..request()
    };
    let limits = ConvergenceLimits::default();
    let timers = Timers::default();
    let mut effects = Vec::new();
    let begun = Convergence::begin(Instant::now(), request, XID, &timers, limits, &mut effects);
    assert_eq!(begun.err(), Some(Unsendable::NoGroup));
    assert!(effects.is_empty());
}
