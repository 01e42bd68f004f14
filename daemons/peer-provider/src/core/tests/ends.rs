//! How sessions end.

use tollwire_peer::{Cause, Data, TimeOfDay, Word};

use super::world::{BEGINNING, World, data, granted, policies};
use crate::check::{Denied, Purpose};
use crate::core::{Answer, Taken};

fn final_cause(world: &World) -> Option<Cause> {
    world.heard.last().and_then(|heard| heard.cause)
}

fn word(denied: &Denied) -> Option<Word> {
    match denied {
        Denied::Refused(refusal) => Some(refusal.error),
        Denied::Wait => None,
    }
}

#[test]
fn at_the_end_of_its_lifetime() {
    let mut policies = policies();
    policies.not_after = BEGINNING + 20;
    let mut world = World::new(policies);
    world.admit(Purpose::Serve).unwrap();
    world.pass(19_999);
    assert_eq!(final_cause(&world), None);
    assert_eq!(world.take(1), Taken::Octets(1));
    world.pass(1);
    assert_eq!(final_cause(&world), Some(Cause::Lifetime));
    assert_eq!(world.heard.last().unwrap().data.time_ms, Some(20_000));
    assert_eq!(world.take(1), Taken::Ended);
    let denied = world.admit(Purpose::Serve).unwrap_err();
    assert_eq!(word(&denied), Some(Word::UnknownSession));
}

#[test]
fn by_the_user_and_then_nothing_is_served() {
    let mut world = World::new(policies());
    world.admit(Purpose::Serve).unwrap();
    world.take(7);
    world.manager = Box::new(|_| None);
    world.admit(Purpose::End).unwrap();
    world.end(Cause::User);
    assert_eq!(world.take(1), Taken::Ended);
    assert_eq!(final_cause(&world), Some(Cause::User));
    assert_eq!(world.heard.last().unwrap().data.octets, Some(7));
    let denied = world.admit(Purpose::Serve).unwrap_err();
    assert_eq!(word(&denied), Some(Word::Closed));
    assert!(world.core.end_is_stored(&world.id));
}

#[test]
fn the_end_counts_once_it_is_stored() {
    let mut world = World::new(policies());
    world.stores = false;
    world.end(Cause::Revoked);
    assert!(!world.core.end_is_stored(&world.id));
    assert!(world.core.is_over(&world.id));
    world.stores = true;
    world.pass(1_000);
    assert!(world.core.end_is_stored(&world.id));
    assert_eq!(final_cause(&world), Some(Cause::Revoked));
}

#[test]
fn when_the_last_grant_is_used_up() {
    for limit in [
        data(Some(10_000), None, None),
        data(None, Some(500), None),
        data(None, None, Some(2)),
    ] {
        let mut policies = policies();
        policies.granted = limit;
        let mut world = World::new(policies);
        world.manager = Box::new(move |_| Some(granted(limit, true)));
        for _ in 0..2 {
            world.admit(Purpose::Serve).unwrap();
        }
        world.pass(8_000);
        assert_eq!(final_cause(&world), None, "{limit:?}");
        if limit.octets.is_some() {
            assert_eq!(world.take(600), Taken::Octets(500));
            assert_eq!(world.take(1), Taken::Ended);
        }
        world.pass(10_000);
        if limit.requests.is_some() {
            // Both are still served.
            assert_eq!(final_cause(&world), None);
            assert_eq!(
                word(&world.admit(Purpose::Serve).unwrap_err()),
                Some(Word::NoCredit)
            );
            world.release();
            world.release();
        }
        assert_eq!(final_cause(&world), Some(Cause::Credit), "{limit:?}");
        let told = world.heard.last().unwrap().data;
        for measure in limit.measures() {
            assert_eq!(told.get(measure), limit.get(measure));
        }
    }
}

#[test]
fn when_all_requests_are_made_and_served() {
    let mut policies = policies();
    policies.max_requests = Some(1);
    let mut world = World::new(policies);
    world.admit(Purpose::Serve).unwrap();
    assert_eq!(
        word(&world.admit(Purpose::Serve).unwrap_err()),
        Some(Word::Policy)
    );
    world.pass(20_000);
    assert_eq!(final_cause(&world), None);
    world.release();
    assert_eq!(final_cause(&world), Some(Cause::Policy));
}

#[test]
fn when_its_hours_are_over_if_it_was_used() {
    let mut policies = policies();
    policies.times_of_day = vec![TimeOfDay {
        days: None,
        from: "14:00".into(),
        to: "14:10".into(),
        time_zone: "UTC".into(),
    }];
    let mut unused = World::new(policies.clone());
    unused.pass(700_000);
    assert_eq!(final_cause(&unused), None);
    assert_eq!(
        word(&unused.admit(Purpose::Serve).unwrap_err()),
        Some(Word::Policy)
    );
    let mut used = World::new(policies);
    used.admit(Purpose::Serve).unwrap();
    used.pass(599_999);
    assert_eq!(final_cause(&used), None);
    used.pass(2_000);
    assert_eq!(final_cause(&used), Some(Cause::Policy));
}

#[test]
fn when_nobody_uses_it_any_more() {
    let mut world = World::new(policies());
    world.pass(400_000);
    assert_eq!(final_cause(&world), None, "nobody has begun to use it");
    world.admit(Purpose::Serve).unwrap();
    world.pass(400_000);
    assert_eq!(final_cause(&world), None, "a request is served");
    world.release();
    world.pass(299_999);
    assert_eq!(final_cause(&world), None);
    world.pass(1);
    assert_eq!(final_cause(&world), Some(Cause::Lost));
}

#[test]
fn when_the_manager_is_silent_too_long() {
    let mut world = World::new(policies());
    world.manager = Box::new(|_| Some(Answer::Later));
    world.admit(Purpose::Serve).unwrap();
    world.pass(69_999);
    assert_eq!(world.take(1), Taken::Octets(1));
    world.pass(1);
    assert_eq!(world.take(1), Taken::Ended);
    world.manager = Box::new(|_| Some(granted(Data::default(), false)));
    world.pass(200_000);
    assert_eq!(final_cause(&world), Some(Cause::Lost));
}

#[test]
fn when_the_manager_has_closed_it() {
    for answer in [
        Answer::Closed,
        Answer::Acknowledged {
            granted: Data::default(),
            last: true,
            closed: true,
        },
    ] {
        let mut world = World::new(policies());
        world.admit(Purpose::Serve).unwrap();
        world.take(3);
        let told = answer.clone();
        world.manager = Box::new(move |_| Some(told.clone()));
        world.pass(8_000);
        // What it has used is told all the same.
        assert_eq!(final_cause(&world), Some(Cause::Revoked), "{answer:?}");
        assert_eq!(world.heard.last().unwrap().data.octets, Some(3));
        assert!(world.forgotten);
    }
}
