//! Killed after every step, with every kind of loss, over and over: nothing is charged twice, and nothing that was
//! acknowledged is forgotten.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollwire_peer::Cause;

use super::world::*;
use crate::peer::effect::Reply;
use crate::peer::event::ClientId;
use crate::peer::session::State;

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        5 => Just(Line::Works),
        1 => Just(Line::Unheard),
        1 => Just(Line::Silent),
    ]
}

/// What comes next.
#[derive(Debug, Clone)]
enum Next {
    Request(u32),
    /// The provider used so much more in the session, and says so.
    Use(usize, i64, bool),
    /// It repeats one of its messages.
    Repeat(usize, usize),
    Steps(usize),
    Kill,
    Pass(i64),
    Charging(Line),
    Provider(Line),
    Gate(Line),
    DiskFull(bool),
    TopUp(i64),
    Close(usize),
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        3 => (0u32..6).prop_map(Next::Request),
        6 => (0usize..4, 0i64..60_000, prop::bool::weighted(0.2)).prop_map(|(a, b, c)| Next::Use(a, b, c)),
        3 => (0usize..4, 0usize..8).prop_map(|(a, b)| Next::Repeat(a, b)),
        8 => (1usize..8).prop_map(Next::Steps),
        3 => Just(Next::Kill),
        2 => (1i64..40).prop_map(Next::Pass),
        2 => line().prop_map(Next::Charging),
        2 => line().prop_map(Next::Provider),
        1 => line().prop_map(Next::Gate),
        1 => any::<bool>().prop_map(Next::DiskFull),
        1 => (1i64..100_000).prop_map(Next::TopUp),
        1 => (0usize..4).prop_map(Next::Close),
    ]
}

/// What the provider has sent of a session.
#[derive(Default)]
struct Sent {
    totals: Vec<(i64, Option<Cause>)>,
    ended: bool,
    clients: Vec<(usize, ClientId)>,
}

/// What must hold whenever one looks.
fn holds(world: &World, paid_in: i64) {
    let sessions = world.sessions();
    let balance = world.balance();
    assert!(balance >= 0 && world.held() >= 0);
    assert!(balance - world.held() >= 0, "never below the limit");
    for session in &sessions {
        assert!(session.charged.octets <= session.granted.octets);
    }
    let recorded: i64 = world.records.iter().map(|record| record.amount_micro).sum();
    assert!(recorded <= paid_in - balance);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_what_was_used_is_paid_once(steps in proptest::collection::vec(next(), 1..80)) {
        let mut world = World::new(500 * OCTETS_PRICE);
        let mut paid_in = 500 * OCTETS_PRICE;
        let mut sent: BTreeMap<String, Sent> = BTreeMap::new();
        let mut references = 0;
        for step in steps {
            let open: Vec<String> = world.delivered.keys().cloned().collect();
            match step {
                Next::Request(number) => {
                    world.request(if number % 2 == 0 { "data" } else { "game" }, number);
                }
                Next::Use(which, octets, ends) => {
                    if let Some(id) = open.get(which) {
                        let sent = sent.entry(id.clone()).or_default();
                        if !sent.ended {
                            let before = sent.totals.last().map_or(0, |(total, _)| *total);
                            // An honest provider serves no more than it was granted.
                            let total = (before + octets).min(world.session(id).granted.octets.max(before));
                            if let Some(gate) = world.gates.get_mut(id) {
                                gate.1 = total.unsigned_abs();
                            }
                            let cause = ends.then_some(Cause::User);
                            sent.ended = ends;
                            sent.totals.push((total, cause));
                            let sequence = sent.totals.len();
                            let client = world.report(id, sequence as i64, total, cause);
                            sent.clients.push((sequence, client));
                        }
                    }
                }
                Next::Repeat(which, number) => {
                    if let Some((id, sent)) = open.get(which).and_then(|id| Some((id, sent.get_mut(id)?)))
                        && let Some((total, cause)) = sent.totals.get(number)
                    {
                        let client = world.report(id, number as i64 + 1, *total, *cause);
                        sent.clients.push((number + 1, client));
                    }
                }
                Next::Steps(count) => {
                    for _ in 0..count {
                        world.step();
                        holds(&world, paid_in);
                    }
                }
                Next::Kill => world.kill(),
                Next::Pass(seconds) => world.pass(seconds),
                Next::Charging(line) => world.charging_line = line,
                Next::Provider(line) => world.provider_line = line,
                Next::Gate(line) => world.gate_line = line,
                Next::DiskFull(full) => world.disk_full = full,
                Next::TopUp(micro) => {
                    references += 1;
                    world.top_up(micro, &format!("more-{references}"));
                    paid_in += micro;
                }
                Next::Close(which) => {
                    if let Some(id) = open.get(which) {
                        world.close(id);
                    }
                }
            }
            holds(&world, paid_in);
        }
        // Everything works again: each provider says all of its words, each session ends.
        world.charging_line = Line::Works;
        world.provider_line = Line::Works;
        world.gate_line = Line::Works;
        world.disk_full = false;
        world.kill();
        world.pass(1);
        for (id, sent) in &mut sent {
            for (index, (total, cause)) in sent.totals.iter().enumerate() {
                let client = world.report(id, index as i64 + 1, *total, *cause);
                sent.clients.push((index + 1, client));
                world.settle();
            }
        }
        world.pass(4000);
        holds(&world, paid_in);
        prop_assert_eq!(world.live(), 0);
        prop_assert_eq!(world.held(), 0);
        let mut charged = 0;
        for session in world.sessions() {
            prop_assert_eq!(session.state, State::Closed);
            prop_assert!(session.order.is_none() && !session.owes_revocation());
            charged += session.cost_micro;
            let Some(sent) = sent.get(&*session.id) else {
                prop_assert_eq!(session.charged.octets, 0);
                continue;
            };
            let used = sent.totals.last().map_or(0, |(total, _)| *total);
            if session.failure.is_none() && !session.flags.late && !session.flags.uncharged {
                prop_assert_eq!(session.charged.octets, used, "{:?}", session);
            }
            prop_assert!(session.charged.octets <= used);
            prop_assert!(world.recorded(&session.id) == session.cost_micro, "{:?}", session);
            // One message has one answer.
            let mut answers = BTreeMap::new();
            for (sequence, client) in &sent.clients {
                if let Some(Reply::Token(token)) = world.replies.get(client) {
                    let before = answers.insert(sequence, token.clone());
                    prop_assert!(before.is_none_or(|before| before == *token));
                }
            }
        }
        prop_assert_eq!(charged, paid_in - world.balance());
    }
}
