//! What messages cost, whatever comes twice, late, in another order, or too large.

use tollwire_peer::{Cause, Reason, Word};

use super::world::*;
use crate::event::Operation;
use crate::peer::effect::{Effect, Reply};
use crate::peer::event::Event;
use crate::peer::gate::{Counted, Outcome, What};
use crate::peer::measure::Per;
use crate::peer::session::State;

const EURO: i64 = 1_000_000;

#[test]
fn messages_are_charged_by_what_is_new_and_acknowledged_with_what_may_come() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    let first = world.report(&id, 1, 40_000, None);
    world.settle();
    assert_eq!(world.token(first), "m1 1 open 0/140000/0 last false");
    assert_eq!(world.balance(), EURO - 40 * OCTETS_PRICE);
    let last = world.report(&id, 2, 100_000, Some(Cause::User));
    world.settle();
    assert_eq!(world.token(last), "m2 2 closed 0/100000/0 last true");
    assert_eq!(
        (world.balance(), world.held()),
        (EURO - 100 * OCTETS_PRICE, 0)
    );
    assert_eq!(world.recorded(&id), 100 * OCTETS_PRICE);
    let record = &world.records[0];
    assert_eq!(record.service, "data");
    assert_eq!((&*record.from, &*record.to), (USER, PROVIDER));
    assert_eq!(
        (&*record.call_id, &*record.caller_address),
        (&*id, "192.0.2.1")
    );
    assert_eq!(record.octets_from_caller, 100_000);
    assert_eq!(record.end_cause, tollwire_cdr::EndCause::CallerBye);
    let session = world.session(&id);
    assert_eq!(session.cost_micro, 100 * OCTETS_PRICE);
    assert_eq!(
        (session.state, session.cause),
        (State::Closed, Some(Cause::User))
    );
    assert_eq!(world.live(), 0);
}

#[test]
fn time_octets_and_requests_are_charged_beside_each_other() {
    let mut world = World::new(10 * EURO);
    let id = world.open("all", 1);
    world.pass(30);
    let data = Per {
        time: Some(10_500),
        octets: Some(2000),
        requests: Some(3),
    };
    let client = world.send(World::message(&id, 1, None, data));
    world.settle();
    assert_eq!(world.token(client), "m1 1 open 71/102000/8 last false");
    let price = 11 * SECOND_PRICE + 2 * OCTETS_PRICE + 3 * REQUEST_PRICE;
    assert_eq!(world.balance(), 10 * EURO - price);
    // One record of each.
    let data = Per {
        time: Some(11_001),
        ..data
    };
    world.send(World::message(&id, 2, Some(Cause::Provider), data));
    world.settle();
    assert_eq!(world.recorded(&id), price + SECOND_PRICE);
    assert_eq!(world.records.len(), 3);
    // What is not collected is refused, and what is missing too.
    let id = world.open("all", 2);
    world.report(&id, 1, 5, None);
    let client = world.report(&id, 2, 5, None);
    world.settle();
    assert_eq!(world.refusal(client), Word::Malformed);
}

#[test]
fn a_repetition_is_answered_again_and_moves_nothing() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    let first = world.report(&id, 1, 40_000, None);
    let meanwhile = world.report(&id, 1, 40_000, None);
    world.settle();
    let again = world.report(&id, 1, 40_000, None);
    world.settle();
    assert_eq!(world.token(first), world.token(again));
    assert_eq!(world.token(first), world.token(meanwhile));
    assert_eq!(world.balance(), EURO - 40 * OCTETS_PRICE);
    // The same name, the same sequence number, the same nonce with something else.
    let other = world.report(&id, 1, 41_000, None);
    let mut of_sequence = World::message(&id, 1, None, Per::default());
    of_sequence.id = "another".into();
    of_sequence.nonce = "another".into();
    let of_sequence = world.send(of_sequence);
    let mut of_nonce = World::message(&id, 7, None, Per::default());
    of_nonce.nonce = format!("{id}-1").into();
    let of_nonce = world.send(of_nonce);
    world.settle();
    for client in [other, of_sequence, of_nonce] {
        assert_eq!(world.refusal(client), Word::Replayed);
    }
    // Signed again with another nonce, it is the same.
    let data = Per {
        octets: Some(40_000),
        ..Per::default()
    };
    let mut signed_again = World::message(&id, 1, None, data);
    signed_again.nonce = "later".into();
    let client = world.send(signed_again);
    world.settle();
    assert_eq!(world.token(client), world.token(first));
    assert_eq!(world.counters().repeated, 3);
}

#[test]
fn what_comes_in_another_order_moves_nothing_back() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    let third = world.report(&id, 3, 30_000, None);
    let second = world.report(&id, 2, 20_000, None);
    world.settle();
    let first = world.report(&id, 1, 10_000, None);
    world.settle();
    assert_eq!(world.token(third), "m3 3 open 0/130000/0 last false");
    assert_eq!(world.token(second), "m2 2 open 0/130000/0 last false");
    assert_eq!(world.token(first), "m1 1 open 0/130000/0 last false");
    assert_eq!(world.balance(), EURO - 30 * OCTETS_PRICE);
}

#[test]
fn totals_that_shrink_are_refused_and_flagged() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    world.report(&id, 1, 40_000, None);
    let less = world.report(&id, 2, 39_999, None);
    world.settle();
    assert_eq!(world.refusal(less), Word::Malformed);
    assert!(world.session(&id).flags.shrinking);
    let again = world.report(&id, 2, 39_999, None);
    world.settle();
    assert_eq!(world.refusal(again), Word::Malformed);
    let more = world.report(&id, 3, 50_000, Some(Cause::User));
    world.settle();
    world.token(more);
    assert_eq!(world.balance(), EURO - 50 * OCTETS_PRICE);
}

#[test]
fn what_goes_beyond_the_grant_is_the_providers_risk() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    let client = world.report(&id, 1, 250_000, Some(Cause::User));
    world.settle();
    assert_eq!(world.token(client), "m1 1 closed 0/100000/0 last true");
    assert_eq!(world.balance(), EURO - 100 * OCTETS_PRICE);
    let session = world.session(&id);
    assert!(session.flags.over_granted);
    assert_eq!(
        (session.reported.octets, session.charged.octets),
        (250_000, 100_000)
    );
    assert_eq!(world.counters().over_reports, 1);
}

#[test]
fn others_messages_and_unknown_sessions_are_refused() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    let mut message = World::message(&id, 1, None, Per::default());
    message.from = "another.example".into();
    let client = world.send(message);
    let nowhere = world.report("nowhere", 1, 0, None);
    world.settle();
    assert_eq!(world.refusal(client), Word::Certificate);
    assert_eq!(world.refusal(nowhere), Word::UnknownSession);
}

#[test]
fn an_account_that_runs_dry_ends_at_its_last_octet() {
    // Worth 150,000 octets.
    let mut world = World::new(150 * OCTETS_PRICE);
    let id = world.open("data", 1);
    let client = world.report(&id, 1, 90_000, None);
    world.settle();
    assert_eq!(world.token(client), "m1 1 open 0/150000/0 last true");
    assert!(world.revoked.is_empty(), "it ends by itself");
    let client = world.report(&id, 2, 150_000, None);
    world.settle();
    assert_eq!(world.token(client), "m2 2 open 0/150000/0 last true");
    world.pass(1);
    assert_eq!(world.revoked[&id], Reason::Credit);
    let client = world.report(&id, 3, 150_000, Some(Cause::Credit));
    world.settle();
    assert_eq!(world.token(client), "m3 3 closed 0/150000/0 last true");
    assert_eq!((world.balance(), world.held()), (0, 0));
    assert_eq!(world.recorded(&id), 150 * OCTETS_PRICE);
}

#[test]
fn a_top_up_gives_a_session_more_again() {
    let mut world = World::new(50 * OCTETS_PRICE);
    let id = world.open("data", 1);
    assert!(world.session(&id).last);
    world.top_up(EURO, "more");
    world.settle();
    let session = world.session(&id);
    assert_eq!((session.granted.octets, session.last), (100_000, false));
    let client = world.report(&id, 1, 60_000, Some(Cause::User));
    world.settle();
    world.token(client);
    assert_eq!(world.balance(), EURO - 10 * OCTETS_PRICE);
}

#[test]
fn a_blocked_account_and_an_operator_end_a_session_at_once() {
    for by_operator in [false, true] {
        let mut world = World::new(EURO);
        let id = world.open("data", 1);
        world.report(&id, 1, 10_000, None);
        world.settle();
        if by_operator {
            let client = world.close(&id);
            world.settle();
            assert_eq!(world.replies.get(&client), Some(&Reply::Closed));
        } else {
            world.operate(Operation::Block {
                account: ACCOUNT.into(),
            });
        }
        world.pass(1);
        assert_eq!(world.revoked[&id], Reason::Operator);
        let client = world.report(&id, 2, 20_000, Some(Cause::Revoked));
        world.settle();
        assert_eq!(world.token(client), "m2 2 closed 0/20000/0 last true");
        assert_eq!(world.balance(), EURO - 20 * OCTETS_PRICE);
        let record = &world.records[0];
        assert_eq!(record.end_cause, tollwire_cdr::EndCause::OperatorBlock);
    }
}

#[test]
fn a_revocation_is_repeated_until_it_is_taken() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    world.provider_line = Line::Silent;
    world.close(&id);
    world.pass(20);
    assert!(world.revoked.is_empty());
    world.kill();
    world.provider_line = Line::Works;
    world.pass(10);
    assert_eq!(world.revoked[&id], Reason::Operator);
    assert!(!world.session(&id).owes_revocation());
}

#[test]
fn a_silent_provider_is_closed_with_what_is_known_and_a_record() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    world.report(&id, 1, 10_000, None);
    world.pass(89);
    assert_eq!(world.session(&id).state, State::Open);
    world.pass(2);
    let session = world.session(&id);
    assert_eq!(
        (session.state, session.cause),
        (State::Closed, Some(Cause::Lost))
    );
    assert!(session.flags.silent);
    assert_eq!(
        (world.balance(), world.held()),
        (EURO - 10 * OCTETS_PRICE, 0)
    );
    assert_eq!(world.revoked[&id], Reason::Operator);
    let record = &world.records[0];
    assert_eq!(record.end_cause, tollwire_cdr::EndCause::SupervisionExpired);
    // Its last word is kept, and cannot be charged.
    let late = world.report(&id, 2, 30_000, Some(Cause::Lost));
    world.settle();
    assert_eq!(world.token(late), "m2 2 closed 0/10000/0 last true");
    let session = world.session(&id);
    assert!(session.flags.late && session.flags.uncharged);
    assert_eq!(world.balance(), EURO - 10 * OCTETS_PRICE);
    assert_eq!(world.live(), 0);
    let again = world.report(&id, 2, 30_000, Some(Cause::Lost));
    world.settle();
    assert_eq!(world.token(again), world.token(late));
}

#[test]
fn a_manager_that_was_away_hears_its_providers_first() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    world.report(&id, 1, 10_000, None);
    world.settle();
    // Half an hour: the charging core, in the same process, was away too, and gives up what it held.
    world.now += 1_800_000;
    world.kill();
    world.pass(80);
    assert_eq!(world.session(&id).state, State::Open);
    let client = world.report(&id, 2, 30_000, None);
    world.settle();
    // What was granted before is charged all the same, by its late report, and the session is over.
    assert!(world.token(client).starts_with("m2 2 closed 0/30000/0"));
    assert_eq!(world.balance(), EURO - 30 * OCTETS_PRICE);
    assert_eq!(world.recorded(&id), 30 * OCTETS_PRICE);
    assert!(!world.session(&id).flags.uncharged);
}

#[test]
fn behind_its_lifetime_a_session_is_granted_nothing_and_does_not_live_for_ever() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    for sequence in 1..=80 {
        world.pass(50);
        world.report(&id, sequence, 1000, None);
        world.settle();
    }
    let session = world.session(&id);
    assert_eq!(session.state, State::Closed);
    assert_eq!(world.balance(), EURO - OCTETS_PRICE);
    assert_eq!(world.held(), 0);
}

#[test]
fn more_than_passed_the_gate_is_charged_by_the_gate_and_revoked() {
    let mut world = World::new(EURO);
    let id = world.open("game", 1);
    world.gates.get_mut(&id).unwrap().1 = 20_000;
    // Within what is tolerated.
    let client = world.report(&id, 1, 20_100, None);
    world.settle();
    assert_eq!(world.token(client), "m1 1 open 0/120100/0 last false");
    assert_eq!(world.gates[&id], (true, 20_000, Some(120_100)));
    let client = world.report(&id, 2, 60_000, None);
    world.settle();
    assert!(world.token(client).ends_with("last true"));
    world.pass(1);
    assert_eq!(world.revoked[&id], Reason::Report);
    assert!(world.session(&id).flags.over_gate);
    assert!(!world.gates[&id].0, "closed, whatever the provider does");
    world.report(&id, 3, 60_000, Some(Cause::Revoked));
    world.settle();
    let session = world.session(&id);
    assert_eq!(
        (session.state, session.charged.octets),
        (State::Closed, 20_100),
        "what was within the tolerance is charged already"
    );
    assert_eq!(session.counted.total(), 20_000);
    assert!(!world.gates[&id].0);
}

/// Steps until the gate is asked for this, and takes that away.
fn until_asked(world: &mut World, wanted: What) {
    loop {
        let first = world.effects.first();
        if matches!(first, Some(Effect::Gate { what, .. }) if *what == wanted) {
            world.effects.remove(0);
            return;
        }
        assert!(world.step(), "it is never asked for {wanted:?}");
    }
}

fn told(world: &mut World, id: &str, what: What, outcome: Outcome) {
    world.tell(Event::Gate {
        id: id.into(),
        what: Some(what),
        outcome,
    });
}

fn counted(now: u64) -> Counted {
    Counted {
        now,
        ..Counted::default()
    }
}

#[test]
fn a_count_is_of_the_time_after_the_message_that_it_is_held_against() {
    let mut world = World::new(EURO);
    let id = world.open("game", 1);
    world.report(&id, 1, 20_000, None);
    until_asked(&mut world, What::Count);
    // Of an order that was under way.
    told(&mut world, &id, What::Move, Outcome::Stands(counted(5000)));
    world.settle();
    assert_eq!(world.session(&id).sequence, 0, "it waits on");
    told(
        &mut world,
        &id,
        What::Count,
        Outcome::Stands(counted(20_000)),
    );
    world.settle();
    assert_eq!(world.session(&id).charged.octets, 20_000);
    assert!(!world.session(&id).flags.over_gate);
}

#[test]
fn a_gate_that_its_limiter_forgot_proves_nothing_unless_its_end_was_told() {
    for end_was_told in [false, true] {
        let mut world = World::new(EURO);
        let id = world.open("game", 1);
        if end_was_told {
            told(
                &mut world,
                &id,
                What::Close,
                Outcome::Closed(Some(counted(5000))),
            );
        }
        world.report(&id, 1, 20_000, Some(Cause::User));
        until_asked(&mut world, What::Close);
        told(&mut world, &id, What::Close, Outcome::Closed(None));
        world.settle();
        let session = world.session(&id);
        let charged = if end_was_told { 5000 } else { 20_000 };
        assert_eq!(session.charged.octets, charged);
        assert_eq!(session.flags.over_gate, end_was_told);
        assert_eq!(session.flags.not_counted, !end_was_told);
    }
}

#[test]
fn what_a_top_up_grants_may_pass_the_gate() {
    let mut world = World::new(50 * OCTETS_PRICE);
    let id = world.open("game", 1);
    assert_eq!(world.gates[&id].2, Some(50_000));
    world.top_up(EURO, "more");
    world.settle();
    assert_eq!(world.session(&id).granted.octets, 100_000);
    assert_eq!(world.gates[&id], (true, 0, Some(100_000)));
}

#[test]
fn a_revoked_session_has_no_gate_whatever_its_provider_says_and_whoever_is_killed() {
    for kill in [false, true] {
        let mut world = World::new(EURO);
        let id = world.open("game", 1);
        world.gates.get_mut(&id).unwrap().1 = 20_000;
        world.gate_line = Line::Silent;
        world.close(&id);
        while world.session(&id).revocation.is_none() {
            assert!(world.step());
        }
        if kill {
            world.kill();
        } else {
            world.settle();
        }
        world.gate_line = Line::Works;
        if kill {
            world.settle();
            assert!(!world.gates[&id].0, "asked for again");
        }
        let client = world.report(&id, 1, 15_000, None);
        world.settle();
        world.token(client);
        assert!(!world.gates[&id].0, "nor opened to be counted");
        assert_eq!(world.session(&id).counted.total(), 20_000);
        world.report(&id, 2, 20_000, Some(Cause::Revoked));
        world.settle();
        assert_eq!(world.session(&id).charged.octets, 20_000);
    }
}

#[test]
fn a_gate_that_cannot_be_counted_lets_messages_wait_and_at_last_believes() {
    let mut world = World::new(EURO);
    let id = world.open("game", 1);
    world.gates.get_mut(&id).unwrap().1 = 20_000;
    world.gate_line = Line::Silent;
    let client = world.report(&id, 1, 20_000, None);
    world.settle();
    assert_eq!(world.refusal(client), Word::Unavailable);
    world.gate_line = Line::Works;
    world.pass(5);
    let again = world.report(&id, 1, 20_000, None);
    world.settle();
    world.token(again);
    assert!(!world.session(&id).flags.not_counted);
    world.gate_line = Line::Silent;
    world.report(&id, 2, 90_000, None);
    world.pass(120);
    assert!(world.session(&id).flags.not_counted);
    assert_eq!(world.session(&id).charged.octets, 90_000);
}

#[test]
fn a_disk_that_is_full_refuses_and_later_everything_is_charged_once() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    world.disk_full = true;
    let client = world.report(&id, 1, 10_000, None);
    world.settle();
    assert_eq!(world.refusal(client), Word::Unavailable);
    assert_eq!(world.balance(), EURO);
    world.disk_full = false;
    // Charged, and then it cannot be noted.
    let client = world.report(&id, 1, 10_000, None);
    while world.balance() == EURO {
        assert!(world.step());
    }
    world.disk_full = true;
    world.settle();
    assert_eq!(world.refusal(client), Word::Unavailable);
    world.disk_full = false;
    world.pass(20);
    let again = world.report(&id, 1, 10_000, None);
    world.settle();
    world.token(again);
    assert_eq!(world.balance(), EURO - 10 * OCTETS_PRICE);
}

#[test]
fn messages_that_wait_are_bounded() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    world.charging_line = Line::Silent;
    world.report(&id, 1, 1, None);
    world.settle();
    for sequence in 2..=40 {
        world.report(&id, sequence, 1, None);
        world.settle();
    }
    let more = world.report(&id, 41, 1, None);
    world.settle();
    assert_eq!(world.refusal(more), Word::TooMany);
    world.charging_line = Line::Works;
    world.pass(20);
    assert_eq!(world.session(&id).reported.octets, 1);
    assert_eq!(world.balance(), EURO - 1);
}

#[test]
fn what_is_old_is_forgotten_and_moves_nothing_when_it_comes_again() {
    let mut world = World::new(EURO);
    let id = world.open("data", 1);
    for sequence in 1..=1010 {
        world.report(&id, sequence, sequence, None);
        world.settle();
    }
    let count = |world: &World, table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        world
            .database
            .query_row(&sql, [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(count(&world, "messages"), 1000);
    let mut old = World::message(
        &id,
        3,
        None,
        Per {
            octets: Some(900_000),
            ..Per::default()
        },
    );
    old.nonce = "another".into();
    let old = world.send(old);
    world.settle();
    assert!(world.token(old).starts_with("m3 3 open"));
    assert_eq!(world.balance(), EURO - 1010);
    world.report(&id, 1011, 1011, Some(Cause::User));
    world.settle();
    let poor = world.request("nothing", 7);
    world.settle();
    assert_eq!(world.refusal(poor), Word::UnknownService);
    world.operate(Operation::Block {
        account: ACCOUNT.into(),
    });
    let blocked = world.request("data", 8);
    world.settle();
    assert_eq!(world.refusal(blocked), Word::Policy);
    assert_eq!(count(&world, "sessions"), 2);
    let forget = |world: &World, now: i64, before: i64| {
        crate::peer::store::forget(&world.database, now, before).unwrap()
    };
    assert_eq!(forget(&world, world.now + 3_000_000, 0), 0);
    assert_eq!(forget(&world, world.now + 4_000_000, 0), 1);
    assert_eq!(count(&world, "sessions"), 1);
    assert!(
        count(&world, "nonces") > 0,
        "of messages, in this world for ever"
    );
    let later = world.now + 1;
    assert_eq!(forget(&world, later, later), 1);
    assert_eq!(count(&world, "messages"), 0);
}

#[test]
fn killed_after_each_step_a_session_costs_what_was_used_once() {
    for service in ["data", "game"] {
        for line in [Line::Works, Line::Unheard] {
            for steps in 0..16 {
                let mut world = World::new(EURO);
                let id = world.open(service, 1);
                if let Some(gate) = world.gates.get_mut(&id) {
                    gate.1 = 70_000;
                }
                world.charging_line = line;
                world.report(&id, 2, 40_000, None);
                world.report(&id, 1, 20_000, None);
                for _ in 0..steps {
                    world.step();
                }
                world.kill();
                world.charging_line = Line::Works;
                // Another before what was being charged.
                world.report(&id, 1, 20_000, None);
                world.settle();
                world.report(&id, 2, 40_000, None);
                world.settle();
                world.report(&id, 3, 70_000, Some(Cause::User));
                for _ in 0..steps {
                    world.step();
                }
                world.kill();
                world.settle();
                let client = world.report(&id, 3, 70_000, Some(Cause::User));
                world.settle();
                world.token(client);
                let what = format!("{service} {line:?} {steps}");
                assert_eq!(world.balance(), EURO - 70 * OCTETS_PRICE, "{what}");
                assert_eq!((world.held(), world.live()), (0, 0), "{what}");
                assert_eq!(world.recorded(&id), 70 * OCTETS_PRICE, "{what}");
                assert_eq!(world.records.len(), 1, "{what}");
            }
        }
    }
}
