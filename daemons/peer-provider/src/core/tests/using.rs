//! What may be used.

use std::net::SocketAddr;

use tollwire_peer::{Data, Word};

use super::world::{USER, World, data, granted, policies};
use crate::check::{Denied, Purpose};
use crate::core::Taken;

fn word(result: Result<(), Denied>) -> Option<Word> {
    match result.unwrap_err() {
        Denied::Refused(refusal) => Some(refusal.error),
        Denied::Wait => None,
    }
}

#[test]
fn nothing_passes_before_a_request_was_let_through() {
    let mut world = World::new(policies());
    assert_eq!(world.take(1), Taken::Ended);
    world.admit(Purpose::Open).unwrap();
    assert_eq!(world.take(1), Taken::Octets(1));
    assert_eq!(world.used().requests, 0, "opening is not counted");
}

#[test]
fn a_request_that_cannot_be_stored_is_not_counted() {
    let mut policies = policies();
    policies.max_requests = Some(1);
    let mut world = World::new(policies);
    world.stores = false;
    world.admit(Purpose::Serve).unwrap();
    assert_eq!(world.take(1), Taken::Ended);
    world.stores = true;
    assert_eq!(world.used().requests, 0);
    world.admit(Purpose::Serve).unwrap();
    assert_eq!(world.used().requests, 1);
}

#[test]
fn requests_wait_for_more_of_a_grant_that_is_used_up() {
    let mut policies = policies();
    policies.granted = data(None, None, Some(1));
    let mut world = World::new(policies);
    world.manager = Box::new(|_| None);
    world.admit(Purpose::Serve).unwrap();
    world.release();
    assert_eq!(word(world.admit(Purpose::Serve)), None);
    world.pass(1_000);
    // More was asked for at once, long before the pace.
    assert_eq!(world.heard.len(), 1);
    world.answer(&granted(data(None, None, Some(2)), true));
    world.admit(Purpose::Serve).unwrap();
    assert_eq!(word(world.admit(Purpose::Serve)), Some(Word::NoCredit));
}

#[test]
fn only_so_many_requests_are_served_at_once() {
    let mut world = World::new(policies());
    for _ in 0..4 {
        world.admit(Purpose::Serve).unwrap();
    }
    assert_eq!(word(world.admit(Purpose::Serve)), Some(Word::TooMany));
    world.release();
    world.admit(Purpose::Serve).unwrap();
}

#[test]
fn time_that_is_not_granted_is_not_counted() {
    let mut policies = policies();
    policies.granted = data(Some(5_000), None, None);
    let mut world = World::new(policies);
    world.manager = Box::new(|_| None);
    world.pass(3_000);
    world.admit(Purpose::Serve).unwrap();
    world.pass(30_000);
    assert_eq!(world.used().time_ms, 5_000);
    assert_eq!(world.take(1), Taken::Wait);
    world.answer(&granted(data(Some(50_000), None, None), false));
    world.pass(2_000);
    assert_eq!(world.used().time_ms, 7_000);
}

#[test]
fn octets_that_did_not_pass_are_given_back_unless_they_were_told() {
    let mut world = World::new(policies());
    world.admit(Purpose::Serve).unwrap();
    // Stored at once, as the first of the five seconds.
    world.take(10);
    world.take(100);
    world.core.give_back(&world.id, 40);
    assert_eq!(world.used().octets, 70);
    world.pass(8_000);
    assert_eq!(world.heard[0].data.octets, Some(70));
    world.core.give_back(&world.id, 10);
    assert_eq!(world.used().octets, 70);
}

#[test]
fn datagrams_are_of_the_session_whose_user_is_there() {
    let from = |port: u16| SocketAddr::new(USER.parse().unwrap(), port);
    let mut world = World::with(policies(), true);
    let id = world.id.clone();
    assert_eq!(world.core.session_of("weather", from(5)), None, "not open");
    world.admit(Purpose::Open).unwrap();
    assert_eq!(world.core.session_of("other", from(5)), None);
    assert_eq!(world.core.session_of("weather", from(5)), Some(id.clone()));
    // The first port that was heard is its port.
    assert_eq!(world.core.session_of("weather", from(6)), None);
    assert!(world.core.is_bound(&id, from(5)) && !world.core.is_bound(&id, from(6)));
    assert_eq!(
        world
            .core
            .session_of("weather", "192.0.2.8:5".parse().unwrap()),
        None
    );
    // A datagram passes whole or not at all.
    world.manager = Box::new(|_| Some(granted(data(None, Some(100), None), false)));
    world.pass(8_000);
    assert_eq!(
        world.core.take_datagram(world.now, &id, 80),
        Taken::Octets(80)
    );
    assert_eq!(world.core.take_datagram(world.now, &id, 21), Taken::Wait);
    assert_eq!(world.used().octets, 80);
    world.end(tollwire_peer::Cause::User);
    assert_eq!(world.core.session_of("weather", from(5)), None);
    assert!(!world.core.is_bound(&id, from(5)));
}

#[test]
fn a_user_who_moved_opens_the_session_again() {
    let elsewhere: SocketAddr = "198.51.100.1:9".parse().unwrap();
    let mut fixed = World::with(policies(), true);
    assert_eq!(
        word(fixed.admit_from(Purpose::Open, elsewhere.ip())),
        Some(Word::Policy)
    );
    let mut policies = policies();
    policies.address_change = true;
    let mut world = World::with(policies, true);
    world.admit(Purpose::Open).unwrap();
    let before = SocketAddr::new(USER.parse().unwrap(), 5);
    assert!(world.core.session_of("weather", before).is_some());
    assert_eq!(world.core.session_of("weather", elsewhere), None);
    world.admit_from(Purpose::Open, elsewhere.ip()).unwrap();
    assert!(world.core.session_of("weather", elsewhere).is_some());
    assert_eq!(world.core.session_of("weather", before), None);
    assert!(!world.core.is_bound(&world.id, before));
}

#[test]
fn what_was_used_is_stored_now_and_then() {
    let mut world = World::new(policies());
    world.admit(Purpose::Serve).unwrap();
    world.take(1);
    world.take(499);
    world.crash();
    // At most the octets of a checkpoint are forgotten, and requests are not.
    assert_eq!((world.used().octets, world.used().requests), (1, 1));
    world.take(1);
    assert_eq!(world.take(700), Taken::Octets(700));
    world.crash();
    assert_eq!(world.used().octets, 702);
    world.take(1);
    world.take(1);
    world.pass(5_000);
    world.crash();
    assert_eq!(world.used().octets, 704);
    assert!(
        (4_000..=5_000).contains(&world.used().time_ms),
        "{:?}",
        world.used()
    );
    assert_eq!(
        world.core.view(world.now, &world.id).unwrap().granted,
        Data::default()
    );
}

#[test]
fn what_passes_waits_for_a_slow_disk() {
    let mut world = World::new(policies());
    world.admit(Purpose::Serve).unwrap();
    world.stores = false;
    assert_eq!(world.take(1_500), Taken::Octets(1_000));
    assert_eq!(world.take(1), Taken::Wait);
    let changes = world.changed;
    world.stores = true;
    world.pass(1_000);
    assert!(world.changed > changes, "those who wait are not told");
    assert_eq!(world.take(1), Taken::Octets(1));
}
