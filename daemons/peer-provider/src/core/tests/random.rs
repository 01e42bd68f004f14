//! Whatever happens in whatever order: totals that are told never shrink, are never more than what was served and granted,
//! and the last one tells what was served, but for what a crash may forget.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use tollwire_peer::{Cause, Data};

use super::world::{World, data, granted, policies};
use crate::check::Purpose;
use crate::core::{Answer, Taken};

#[derive(Debug, Clone)]
enum Step {
    Request,
    Take(usize),
    Release,
    Pass(u64),
    /// The manager answers so from now on.
    Manager(u8),
    /// What waits for an answer gets one.
    Answer,
    Stores(bool),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Request),
        6 => (1usize..700).prop_map(Step::Take),
        2 => Just(Step::Release),
        4 => (1u64..4_000).prop_map(Step::Pass),
        2 => (0u8..4).prop_map(Step::Manager),
        1 => Just(Step::Answer),
        1 => any::<bool>().prop_map(Step::Stores),
        1 => Just(Step::Crash),
    ]
}

/// More than was told: the manager's grant.
fn more(told: &Data) -> Answer {
    let octets = told.octets.unwrap_or(0) + 2_000;
    granted(data(None, Some(octets), None), false)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn totals_that_are_told_only_grow_and_end_at_what_was_served(steps in prop::collection::vec(step(), 1..80)) {
        let mut policies = policies();
        policies.granted = data(None, Some(2_000), None);
        let mut world = World::new(policies);
        let mode = Rc::new(Cell::new(0u8));
        let limit = Rc::new(Cell::new(2_000u64));
        let (answers, limits) = (Rc::clone(&mode), Rc::clone(&limit));
        world.manager = Box::new(move |heard| {
            let answer = more(&heard.data);
            let taken = match answers.get() {
                0 => Some(answer),
                1 => Some(Answer::Later),
                2 => Some(Answer::Never),
                _ => None,
            };
            if let Some(Answer::Acknowledged { granted, .. }) = &taken {
                limits.set(limits.get().max(granted.octets.unwrap_or(0)));
            }
            taken
        });
        let (mut octets, mut requests, mut forgotten) = (0u64, 0u64, 0u64);
        let mut under_way = 0u32;
        for step in steps {
            match step {
                Step::Request => {
                    if world.admit(Purpose::Serve).is_ok() && world.stores {
                        requests += 1;
                        under_way += 1;
                    }
                }
                Step::Take(most) => {
                    if let Taken::Octets(count) = world.take(most) {
                        octets += count as u64;
                        prop_assert!(octets <= limit.get(), "{octets} of {}", limit.get());
                    }
                }
                Step::Release => if under_way > 0 {
                    under_way -= 1;
                    world.release();
                },
                Step::Pass(ms) => world.pass(ms),
                Step::Manager(how) => mode.set(how),
                Step::Answer => {
                    limit.set(limit.get().max(octets + 2_000));
                    world.answer(&granted(data(None, Some(octets + 2_000), None), false));
                }
                Step::Stores(stores) => world.stores = stores,
                Step::Crash => {
                    if world.core.is_over(&world.id) {
                        continue;
                    }
                    world.crash();
                    under_way = 0;
                    let used = world.used();
                    prop_assert!(used.octets <= octets);
                    prop_assert!(octets - used.octets <= 1_000, "{} of {octets}", used.octets);
                    forgotten += octets - used.octets;
                    octets = used.octets;
                    // No request is forgotten that was served.
                    prop_assert_eq!(used.requests, requests);
                    // Grants of a crash are those that were stored.
                    let id = world.id.clone();
                    let granted = world.core.view(world.now, &id).unwrap().granted;
                    limit.set(granted.octets.unwrap());
                }
            }
        }
        world.stores = true;
        mode.set(0);
        world.answer(&granted(data(None, Some(octets + 2_000), None), false));
        world.end(Cause::User);
        world.pass(300_000);
        prop_assert!(world.forgotten, "{:?}", world.heard);
        let last = world.heard.last().unwrap();
        prop_assert!(last.cause.is_some());
        prop_assert_eq!(last.data.octets, Some(octets), "{} forgotten", forgotten);
        prop_assert_eq!(last.data.requests, Some(requests));
        let mut before = (0, Data::default());
        for heard in &world.heard {
            prop_assert!(heard.sequence >= before.0);
            prop_assert_eq!(heard.data.shrinks_from(&before.1), None);
            if heard.sequence == before.0 {
                prop_assert_eq!(heard.data, before.1);
            }
            before = (heard.sequence, heard.data);
        }
    }
}
