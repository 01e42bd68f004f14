//! From a request to both credentials.

use tollwire_peer::{Reason, Word};

use super::world::*;
use crate::event::Operation;
use crate::peer::effect::Reply;
use crate::peer::session::State;

const EURO: i64 = 1_000_000;

#[test]
fn a_credential_is_given_when_credit_is_held_and_the_provider_knows() {
    let mut world = World::new(EURO);
    let client = world.request("data", 1);
    assert!(world.replies.is_empty());
    while world.replies.is_empty() {
        assert!(world.step());
    }
    let id = world.token(client);
    let id = id.strip_prefix("b ").unwrap();
    assert!(world.delivered.contains_key(id));
    // 100,000 octets.
    assert_eq!(world.held(), 100 * OCTETS_PRICE);
    let session = world.session(id);
    assert_eq!(session.state, State::Open);
    assert_eq!((session.granted.octets, session.last), (100_000, false));
    assert_eq!(session.keys, None, "they are in the credentials");
    assert_eq!(world.counters().issued, 1);
}

#[test]
fn the_same_request_is_answered_the_same_and_another_is_refused() {
    let mut world = World::new(EURO);
    let first = world.request("data", 1);
    let meanwhile = world.request("data", 1);
    world.settle();
    let again = world.request("data", 1);
    world.settle();
    assert_eq!(world.token(first), world.token(again));
    assert_eq!(world.token(first), world.token(meanwhile));
    assert_eq!(world.sessions().len(), 1);
    assert_eq!(world.held(), 100 * OCTETS_PRICE);
    // The same identifier with something else in it.
    let sql = "UPDATE sessions SET digest = 'another'";
    world.database.execute(sql, []).unwrap();
    let other = world.request("data", 1);
    world.settle();
    assert_eq!(world.refusal(other), Word::Replayed);
    // Another identifier with the same nonce.
    let sql = "UPDATE sessions SET request_id = 'another'";
    world.database.execute(sql, []).unwrap();
    let other = world.request("data", 1);
    world.settle();
    assert_eq!(world.refusal(other), Word::Replayed);
    assert_eq!(world.live(), 1);
}

#[test]
fn who_has_no_account_or_no_money_gets_nothing() {
    let mut world = World::new(0);
    let poor = world.request("data", 1);
    world.settle();
    assert_eq!(world.refusal(poor), Word::NoCredit);
    // It is the answer to this request, whatever comes later.
    world.top_up(EURO, "later");
    let again = world.request("data", 1);
    world.settle();
    assert_eq!(world.refusal(again), Word::NoCredit);
    let another = world.request("data", 2);
    world.settle();
    world.token(another);
    world.operate(Operation::Block {
        account: ACCOUNT.into(),
    });
    let blocked = world.request("data", 3);
    world.settle();
    assert_eq!(world.refusal(blocked), Word::Policy);
    world.operate(Operation::RemoveIdentity {
        identity: USER.into(),
    });
    let unknown = world.request("data", 4);
    world.settle();
    assert_eq!(world.refusal(unknown), Word::UnknownUser);
    let nothing = world.request("nothing", 5);
    assert_eq!(world.refusal_now(nothing), Word::UnknownService);
    assert_eq!(world.delivered.len(), 1);
}

#[test]
fn one_measure_that_nothing_is_left_for_refuses_all() {
    // Enough for octets, and not for a request besides.
    let mut world = World::new(60 * SECOND_PRICE + 100 * OCTETS_PRICE);
    let client = world.request("all", 1);
    world.settle();
    assert_eq!(world.refusal(client), Word::NoCredit);
    assert_eq!(world.held(), 0);
    assert_eq!(world.balance(), 60 * SECOND_PRICE + 100 * OCTETS_PRICE);
    assert!(world.delivered.is_empty());
}

#[test]
fn a_provider_that_does_not_acknowledge_costs_nothing_and_is_told_that_it_is_off() {
    for line in [Line::Silent, Line::Unheard] {
        let mut world = World::new(EURO);
        world.provider_line = line;
        let client = world.request("data", 1);
        world.settle();
        assert_eq!(world.refusal(client), Word::ProviderUnreachable);
        assert_eq!((world.held(), world.balance()), (0, EURO));
        let id = world.sessions()[0].id.to_string();
        world.provider_line = Line::Works;
        world.pass(60);
        assert_eq!(world.revoked[&id], Reason::Operator);
        assert_eq!(world.session(&id).state, State::Closed);
        // The same request begins anew.
        let again = world.request("data", 1);
        world.settle();
        assert_ne!(world.token(again), format!("b {id}"));
        assert_eq!(world.live(), 1);
    }
}

#[test]
fn a_full_disk_refuses_and_leaves_nothing() {
    let mut world = World::new(EURO);
    world.disk_full = true;
    let client = world.request("data", 1);
    world.settle();
    assert_eq!(world.refusal(client), Word::Unavailable);
    assert_eq!((world.held(), world.live()), (0, 0));
    world.disk_full = false;
    let again = world.request("data", 1);
    world.settle();
    world.token(again);
}

#[test]
fn users_have_no_more_sessions_than_they_may() {
    let mut world = World::new(10 * EURO);
    for number in 0..8 {
        world.open("data", number);
    }
    let more = world.request("data", 9);
    world.settle();
    assert_eq!(world.refusal(more), Word::TooMany);
    let id = world.sessions()[0].id.to_string();
    world.report(&id, 1, 0, Some(tollwire_peer::Cause::User));
    world.settle();
    world.open("data", 10);
}

#[test]
fn who_asks_for_what_nobody_serves_has_no_end_of_revocations() {
    let mut world = World::new(10 * EURO);
    world.provider_line = Line::Silent;
    for number in 0..8 {
        let client = world.request("data", number);
        world.settle();
        assert_eq!(world.refusal(client), Word::ProviderUnreachable);
    }
    let more = world.request("data", 9);
    world.settle();
    assert_eq!(world.refusal(more), Word::TooMany);
    assert_eq!(world.live(), 0);
    world.provider_line = Line::Works;
    world.pass(20);
    world.open("data", 10);
}

#[test]
fn a_gate_is_open_before_the_user_is_answered_and_nothing_is_granted_without_it() {
    let mut world = World::new(EURO);
    world.open("data", 1);
    let without_port = world.request_from("game", 8, None);
    let of_http = world.request_from("data", 9, Some(4000));
    world.settle();
    assert_eq!(world.refusal(without_port), Word::Malformed);
    assert_eq!(world.refusal(of_http), Word::Malformed);
    let id = world.open("game", 2);
    assert_eq!(world.gates[&id], (true, 0, Some(100_000)));
    world.gate_line = Line::Silent;
    let client = world.request("game", 3);
    world.settle();
    assert_eq!(world.refusal(client), Word::Unavailable);
    assert_eq!(world.delivered.len(), 2);
    world.gate_line = Line::Works;
    let again = world.request("game", 3);
    world.settle();
    world.token(again);
    // A provider who does not take it: the gate goes with the credit.
    world.provider_line = Line::Silent;
    let client = world.request("game", 4);
    world.pass(60);
    assert_eq!(world.refusal(client), Word::ProviderUnreachable);
    let open = world.gates.values().filter(|gate| gate.0);
    assert_eq!((open.count(), world.live()), (2, 3));
}

#[test]
fn killed_after_each_step_a_request_becomes_one_credential_or_none() {
    for service in ["data", "game"] {
        for line in [Line::Works, Line::Unheard] {
            for steps in 0..14 {
                let mut world = World::new(EURO);
                world.provider_line = line;
                world.request(service, 1);
                for _ in 0..steps {
                    world.step();
                }
                world.kill();
                world.provider_line = Line::Works;
                world.settle();
                let again = world.request(service, 1);
                world.settle();
                let answer = world.token(again);
                let id = answer.strip_prefix("b ").unwrap();
                assert_eq!(world.live(), 1, "{service} {line:?} {steps}");
                assert_eq!(world.session(id).state, State::Open);
                assert_eq!(
                    world.held(),
                    100 * OCTETS_PRICE,
                    "{service} {line:?} {steps}"
                );
                assert!(world.delivered.contains_key(id));
            }
        }
    }
}

#[test]
fn what_was_begun_long_ago_is_given_back() {
    let mut world = World::new(EURO);
    world.request("data", 1);
    while world.held() == 0 || world.sessions()[0].state != State::Granted {
        assert!(world.step());
    }
    world.now += 600_000;
    world.kill();
    world.settle();
    assert_eq!(world.held(), 0);
    assert_eq!(world.live(), 0);
    let id = world.sessions()[0].id.to_string();
    world.pass(10);
    assert_eq!(world.revoked[&id], Reason::Operator);
    assert!(
        !world
            .replies
            .values()
            .any(|reply| matches!(reply, Reply::Token(_)))
    );
}
