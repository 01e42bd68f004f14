//! Accounting messages.

use tollwire_peer::{Cause, Data};

use super::world::{World, data, granted, policies};
use crate::check::Purpose;
use crate::core::{Answer, Taken};

fn sequences(world: &World) -> Vec<u64> {
    world.heard.iter().map(|heard| heard.sequence).collect()
}

#[test]
fn they_come_at_the_policys_pace_from_the_credential_on() {
    let mut world = World::new(policies());
    world.pass(30_000);
    let at: Vec<i64> = world.heard.iter().map(|heard| heard.at_ms).collect();
    assert_eq!(at, [8_000, 16_000, 24_000]);
    assert_eq!(sequences(&world), [1, 2, 3]);
    assert_eq!(world.heard[2].data, data(Some(0), Some(0), Some(0)));
    // From the first request on time goes by.
    world.admit(Purpose::Serve).unwrap();
    world.pass(9_000);
    let last = world.heard.last().unwrap();
    assert_eq!((last.at_ms, last.data.time_ms), (32_000, Some(2_000)));
    assert_eq!(last.data.requests, Some(1));
}

#[test]
fn what_is_not_answered_goes_again_and_nothing_before_it() {
    let mut world = World::new(policies());
    world.manager = Box::new(|_| Some(Answer::Later));
    world.pass(20_000);
    assert!(world.heard.len() > 2, "{:?}", world.heard);
    assert!(sequences(&world).iter().all(|sequence| *sequence == 1));
    // Longer pauses each time.
    let at: Vec<i64> = world.heard.iter().map(|heard| heard.at_ms).collect();
    assert_eq!(at, [8_000, 9_000, 11_000, 15_000]);
    world.end(Cause::User);
    world.pass(1);
    assert!(sequences(&world).iter().all(|sequence| *sequence == 1));
    world.manager = Box::new(|_| Some(granted(Data::default(), false)));
    world.pass(60_000);
    let last = world.heard.last().unwrap();
    assert_eq!((last.sequence, last.cause), (2, Some(Cause::User)));
    assert!(world.forgotten);
    world.pass(3_600_000);
    assert_eq!(world.heard.last().unwrap().sequence, 2);
}

#[test]
fn an_answer_that_cannot_be_stored_is_fetched_again() {
    let mut world = World::new(policies());
    world.manager = Box::new(|_| None);
    world.pass(8_000);
    world.stores = false;
    world.answer(&granted(Data::default(), false));
    world.stores = true;
    world.manager = Box::new(|_| Some(granted(Data::default(), false)));
    world.pass(1_000);
    assert_eq!(sequences(&world), [1, 1]);
    world.pass(8_000);
    assert_eq!(sequences(&world), [1, 1, 2]);
}

#[test]
fn a_message_that_cannot_be_stored_is_not_sent_and_keeps_its_number() {
    let mut world = World::new(policies());
    world.stores = false;
    world.pass(10_000);
    assert_eq!(sequences(&world), [0; 0]);
    world.stores = true;
    world.pass(1_000);
    assert_eq!(sequences(&world), [1]);
}

#[test]
fn more_is_asked_for_before_a_grant_is_used_up() {
    let mut policies = policies();
    policies.granted = data(None, Some(1_000), None);
    let mut world = World::new(policies);
    world.manager = Box::new(|_| None);
    world.admit(Purpose::Serve).unwrap();
    assert_eq!(world.take(799), Taken::Octets(799));
    world.pass(1_000);
    assert_eq!(world.heard.len(), 0);
    assert_eq!(world.take(1), Taken::Octets(1));
    assert_eq!(world.heard.len(), 1);
    assert_eq!(world.heard[0].data.octets, Some(800));
    assert_eq!(world.take(300), Taken::Octets(200));
    assert_eq!(world.take(100), Taken::Wait);
    let changes = world.changed;
    world.answer(&granted(data(None, Some(2_000), None), false));
    assert!(world.changed > changes, "those who wait are not told");
    assert_eq!(world.take(100), Taken::Octets(100));
    // 4/5 of what is new since 800.
    assert_eq!(world.take(660), Taken::Octets(660));
    world.pass(1_000);
    assert_eq!(world.heard.len(), 2, "{:?}", world.heard);
}

#[test]
fn more_time_is_asked_for_before_it_is_over() {
    let mut policies = policies();
    policies.max_seconds_between_messages = 600;
    policies.granted = data(Some(10_000), None, None);
    let mut world = World::new(policies);
    world.manager = Box::new(|heard| {
        let more = heard.data.time_ms.unwrap() + 10_000;
        Some(granted(data(Some(more), None, None), false))
    });
    world.pass(5_000);
    world.admit(Purpose::Serve).unwrap();
    world.pass(20_000);
    let at: Vec<i64> = world.heard.iter().map(|heard| heard.at_ms).collect();
    assert_eq!(at, [13_000, 21_000]);
    assert_eq!(world.used().time_ms, 20_000);
}

#[test]
fn what_is_never_taken_is_told_by_another_message() {
    let mut world = World::new(policies());
    world.admit(Purpose::Serve).unwrap();
    let mut answers = vec![granted(Data::default(), false), Answer::Never];
    world.manager =
        Box::new(move |_| Some(answers.pop().unwrap_or(granted(Data::default(), false))));
    world.pass(8_000);
    assert_eq!(sequences(&world), [1]);
    world.take(5);
    world.pass(60_000);
    assert_eq!(world.heard[1].sequence, 2);
    // The final one too, and it stays final.
    let mut answers = vec![granted(Data::default(), true), Answer::Never];
    world.manager = Box::new(move |_| answers.pop());
    world.end(Cause::User);
    world.pass(60_000);
    let finals: Vec<_> = world.heard.iter().filter(|it| it.cause.is_some()).collect();
    assert_eq!(finals.len(), 2);
    assert_eq!(finals[0].data, finals[1].data);
    assert!(finals[0].sequence < finals[1].sequence);
    assert!(world.forgotten);
}

#[test]
fn a_session_that_the_manager_does_not_know_is_given_up() {
    let mut world = World::new(policies());
    world.admit(Purpose::Serve).unwrap();
    world.manager = Box::new(|_| Some(Answer::Unknown));
    world.pass(8_000);
    assert!(world.forgotten);
    assert_eq!(world.take(1), Taken::Ended);
    assert_eq!(crate::store::live(&world.disk).unwrap().len(), 0);
}

#[test]
fn what_waits_at_a_crash_is_sent_after_it() {
    let mut world = World::new(policies());
    world.admit(Purpose::Serve).unwrap();
    world.take(2_000);
    world.manager = Box::new(|_| None);
    world.pass(8_000);
    world.end(Cause::User);
    let told = world.heard.clone();
    world.manager = Box::new(|_| Some(granted(Data::default(), true)));
    world.crash();
    world.pass(1_000);
    assert_eq!(sequences(&world), [1, 1, 2]);
    assert_eq!(world.heard[1].data, told[0].data);
    assert_eq!(world.heard[2].cause, Some(Cause::User));
    assert!(world.forgotten);
    world.crash();
    world.pass(10_000);
    assert_eq!(world.heard.len(), 3);
}

#[test]
fn after_a_crash_sessions_tell_at_different_moments() {
    let first_after_crash = || {
        let mut world = World::new(policies());
        world.pass(8_000);
        world.crash();
        world.pass(8_000);
        assert_eq!(sequences(&world), [1, 2]);
        world.heard[1].at_ms
    };
    let mut moments: Vec<i64> = (0..40).map(|_| first_after_crash()).collect();
    moments.sort_unstable();
    moments.dedup();
    assert!(moments.len() > 20, "{moments:?}");
}

#[test]
fn a_manager_that_is_gone_for_good_is_not_told_for_ever() {
    let mut world = World::new(policies());
    world.manager = Box::new(|_| Some(Answer::Later));
    world.end(Cause::Provider);
    // A day after the hour of its lifetime.
    world.pass(89_900_000);
    assert!(!world.forgotten);
    world.pass(200_000);
    assert!(world.forgotten);
    let told = world.heard.len();
    world.pass(3_600_000);
    assert_eq!(world.heard.len(), told);
}
