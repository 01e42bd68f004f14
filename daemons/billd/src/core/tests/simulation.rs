//! Killed after every step, with every kind of loss, over and over: nothing is charged twice, nothing is kept for nothing.

use proptest::prelude::*;

use super::world::{Charging, PRICE, Shop, World, order};
use crate::payment::State;

fn charging() -> impl Strategy<Value = Charging> {
    prop_oneof![
        4 => Just(Charging::Works),
        1 => Just(Charging::Unheard),
        1 => Just(Charging::Silent),
        1 => Just(Charging::Away),
        1 => Just(Charging::Refuses(4012)),
    ]
}

fn shop() -> impl Strategy<Value = Shop> {
    prop_oneof![
        4 => Just(Shop::Takes),
        2 => Just(Shop::TakesUnheard),
        2 => Just(Shop::Silent),
        1 => Just(Shop::Says(503)),
        1 => Just(Shop::Says(400)),
        1 => Just(Shop::Says(410)),
        1 => Just(Shop::AlreadyPaid),
    ]
}

/// What comes next.
#[derive(Debug, Clone)]
enum Next {
    Pay(usize),
    Steps(usize),
    Kill,
    Pass(i64),
    Charging(Charging),
    Shop(Shop),
    DiskFull(bool),
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        3 => (0usize..4).prop_map(Next::Pay),
        6 => (1usize..6).prop_map(Next::Steps),
        3 => Just(Next::Kill),
        2 => (1i64..300).prop_map(Next::Pass),
        2 => charging().prop_map(Next::Charging),
        2 => shop().prop_map(Next::Shop),
        1 => any::<bool>().prop_map(Next::DiskFull),
    ]
}

/// What must hold of each invoice, whenever one looks.
fn holds(world: &World) {
    for number in 0..4 {
        let one = order(number, "ada");
        let debits: i64 = booked(world, number, false);
        let refunds: i64 = booked(world, number, true);
        assert!(debits == 0 || debits == PRICE, "charged twice");
        assert!(refunds == 0 || refunds == -PRICE, "paid back twice");
        assert!(debits + refunds >= 0, "paid back what was not charged");
        let delivered = world.taken.contains_key(&one.invoice.reference);
        if delivered {
            assert_eq!(debits + refunds, PRICE, "delivered and not paid");
        }
        match world.state(&one) {
            Some(State::Paid | State::Acknowledged | State::Refunding) => assert_eq!(debits, PRICE),
            Some(State::Refused) | None => assert_eq!(debits + refunds, 0),
            Some(State::Refunded) => assert_eq!((debits, refunds), (PRICE, -PRICE)),
            Some(State::Charging | State::Forwarded) => {}
        }
    }
}

fn booked(world: &World, number: usize, refunds: bool) -> i64 {
    let id = order(number, "ada").id;
    let of = world.booked.iter().filter(|(session, _)| {
        session.starts_with(id.as_str()) && session.ends_with(";refund") == refunds
    });
    of.map(|(_, sum)| *sum).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_money_and_goods_go_together(steps in proptest::collection::vec(next(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Next::Pay(number) => {
                    world.pay(order(number, "ada"));
                }
                Next::Steps(count) => {
                    for _ in 0..count {
                        world.step();
                        holds(&world);
                    }
                }
                Next::Kill => world.kill(),
                Next::Pass(seconds) => world.pass(seconds),
                Next::Charging(charging) => world.charging = charging,
                Next::Shop(shop) => world.shop = shop,
                Next::DiskFull(full) => world.disk_full = full,
            }
            holds(&world);
        }
        // Everything works again: everything ends.
        world.charging = Charging::Works;
        world.shop = Shop::Takes;
        world.disk_full = false;
        world.kill();
        world.pass(3600);
        holds(&world);
        for number in 0..4 {
            let state = world.state(&order(number, "ada"));
            prop_assert!(
                matches!(state, None | Some(State::Acknowledged | State::Refunded | State::Refused)),
                "{:?}", state
            );
        }
    }
}

#[test]
fn killed_after_each_step_of_a_payment_it_is_charged_and_delivered_once() {
    for shop in [Shop::Takes, Shop::AlreadyPaid] {
        for steps in 0..12 {
            let mut world = World::new();
            world.shop = shop;
            world.pay(order(1, "ada"));
            for _ in 0..steps {
                world.step();
            }
            world.kill();
            world.pass(60);
            // The customer sends it again, as one does who saw no answer.
            world.pay(order(1, "ada"));
            world.pass(60);
            let (state, balance) = match shop {
                Shop::Takes => (State::Acknowledged, PRICE),
                _ => (State::Refunded, 0),
            };
            assert_eq!(world.state(&order(1, "ada")), Some(state), "{steps}");
            assert_eq!(world.balance(), balance, "{steps}");
            holds(&world);
        }
    }
}
