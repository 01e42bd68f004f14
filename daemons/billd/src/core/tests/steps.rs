//! One thing after the other.

use super::world::{Charging, PRICE, Shop, T0, World, handed_on, order};
use crate::effect::Reply;
use crate::event::CreditAction::{Debit, Refund};
use crate::payment::State;

#[test]
fn a_form_is_charged_acknowledged_and_answered_with_a_receipt() {
    let mut world = World::new();
    let one = order(1, "ada");
    let client = world.pay(one.clone());
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::Receipt("token-1".into())));
    assert_eq!(world.state(&one), Some(State::Acknowledged));
    assert_eq!(world.balance(), PRICE);
    assert_eq!(world.taken.len(), 1);
    assert_eq!(world.asked, [(Debit, false)]);
    assert_eq!(world.records.len(), 1);
    assert!(world.is_quiet());
}

#[test]
fn a_repeated_form_gets_the_same_answer_and_is_charged_once() {
    let mut world = World::new();
    let one = order(1, "ada");
    // At once, before anything is known; and when all is over, under another token.
    let clients = [
        world.pay(one.clone()),
        world.pay(one.clone()),
        world.pay(one.clone()),
    ];
    world.settle();
    let mut again = one.clone();
    again.token = "another".into();
    let later = world.pay(again);
    world.settle();
    for client in clients.into_iter().chain([later]) {
        let reply = world.reply(client).unwrap();
        assert!(
            matches!(reply, Reply::Receipt(token) | Reply::Pending(token) if &**token == "token-1"),
            "{reply:?}"
        );
    }
    assert_eq!(world.balance(), PRICE);
    assert_eq!(world.posts, 1);
    assert_eq!(world.counters().repeated, 3);
}

#[test]
fn somebody_else_does_not_see_the_receipt_and_does_not_pay() {
    let mut world = World::new();
    world.charging = Charging::Silent;
    world.pay(order(1, "ada"));
    world.settle();
    let bob = world.pay(order(1, "bob"));
    world.settle();
    assert_eq!(world.reply(bob), Some(&Reply::BeingPaid));
    world.charging = Charging::Works;
    world.pass(10);
    let bob = world.pay(order(1, "bob"));
    world.settle();
    assert_eq!(world.reply(bob), Some(&Reply::AlreadyPaid));
    assert_eq!(world.balance(), PRICE);
}

#[test]
fn a_reference_that_was_used_is_not_paid_twice() {
    let mut world = World::new();
    world.pay(order(1, "ada"));
    world.settle();
    let mut altered = order(1, "ada");
    altered.id = crate::payment::PaymentId::of("another invoice");
    altered.token = "t2".into();
    let client = world.pay(altered.clone());
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::AlreadyPaid));
    assert_eq!(world.state(&altered), None);
    assert_eq!(world.balance(), PRICE);
}

#[test]
fn who_has_not_enough_tops_up_and_sends_the_form_again() {
    let mut world = World::new();
    world.charging = Charging::Refuses(4012);
    let one = order(1, "ada");
    let client = world.pay(one.clone());
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::NotEnough));
    assert_eq!(world.state(&one), Some(State::Refused));
    world.charging = Charging::Refuses(5030);
    let client = world.pay(one.clone());
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::Denied(5030)));
    world.charging = Charging::Works;
    // By another account, too.
    let client = world.pay(order(1, "bob"));
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::Receipt("token-1".into())));
    let payment = world.payment(&one).unwrap();
    assert_eq!((payment.attempt, &*payment.order.payer.login), (2, "bob"));
    assert_eq!(world.balance(), PRICE);
    assert_eq!(world.counters().refused, 2);
}

#[test]
fn without_the_charging_system_nothing_is_charged_and_the_form_may_come_again() {
    let mut world = World::new();
    world.charging = Charging::Away;
    let one = order(1, "ada");
    let client = world.pay(one.clone());
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::TryAgain));
    assert_eq!(world.state(&one), Some(State::Refused));
    world.pass(600);
    assert_eq!(world.asked.len(), 1);
    world.charging = Charging::Works;
    world.pay(one.clone());
    world.settle();
    assert_eq!(world.balance(), PRICE);
}

#[test]
fn a_lost_answer_is_asked_for_again_under_the_same_name() {
    for first in [Charging::Unheard, Charging::Silent] {
        let mut world = World::new();
        world.charging = first;
        let one = order(1, "ada");
        let client = world.pay(one.clone());
        world.settle();
        assert_eq!(world.reply(client), Some(&Reply::Pending("token-1".into())));
        assert_eq!(world.state(&one), Some(State::Charging));
        // It may have been charged: that it is gone for now refuses nothing.
        world.charging = Charging::Away;
        world.pass(60);
        assert_eq!(world.state(&one), Some(State::Charging));
        world.charging = Charging::Works;
        world.pass(120);
        assert_eq!(world.state(&one), Some(State::Acknowledged));
        assert_eq!(world.balance(), PRICE);
        assert!(world.asked[1..].iter().all(|asked| *asked == (Debit, true)));
    }
}

#[test]
fn a_debit_that_is_known_too_late_for_the_shop_is_paid_back_without_asking_it() {
    let mut world = World::new();
    world.charging = Charging::Unheard;
    let one = order(1, "ada");
    world.pay(one.clone());
    world.pass(1800 + 100);
    world.charging = Charging::Works;
    world.pass(120);
    assert_eq!(world.state(&one), Some(State::Refunded));
    assert_eq!((world.balance(), world.posts), (0, 0));
}

#[test]
fn a_shop_that_says_no_has_its_customer_paid_back() {
    for (shop, code) in [
        (Shop::AlreadyPaid, 409),
        (Shop::Says(410), 410),
        (Shop::Says(400), 400),
        (Shop::Says(403), 403),
        (Shop::Impossible, 0),
    ] {
        let mut world = World::new();
        world.shop = shop;
        let one = order(1, "ada");
        let client = world.pay(one.clone());
        world.settle();
        assert_eq!(world.reply(client), Some(&Reply::Receipt("token-1".into())));
        let payment = world.payment(&one).unwrap();
        assert_eq!((payment.state, payment.cause), (State::Refunded, code));
        assert_eq!(world.balance(), 0);
        assert_eq!(world.asked, [(Debit, false), (Refund, false)]);
        assert!(world.taken.is_empty());
    }
}

#[test]
fn what_may_stand_before_a_shop_decides_nothing() {
    for status in [301, 404, 405, 408, 409, 413, 429, 500, 502, 503] {
        let mut world = World::new();
        world.shop = Shop::Says(status);
        let one = order(1, "ada");
        world.pay(one.clone());
        world.pass(3600);
        assert_eq!(world.state(&one), Some(State::Paid), "{status}");
        world.shop = Shop::Takes;
        world.pass(3600);
        assert_eq!(world.state(&one), Some(State::Acknowledged), "{status}");
    }
}

#[test]
fn after_silence_400_is_no_word_of_the_shop_and_410_is() {
    let mut world = World::new();
    world.shop = Shop::TakesUnheard;
    let one = order(1, "ada");
    world.pay(one.clone());
    world.settle();
    world.shop = Shop::Says(400);
    world.pass(3600);
    assert_eq!(world.state(&one), Some(State::Paid));
    world.shop = Shop::Takes;
    world.pass(3600);
    assert_eq!(world.state(&one), Some(State::Acknowledged));

    let mut world = World::new();
    world.shop = Shop::Silent;
    world.pay(one.clone());
    world.settle();
    world.shop = Shop::Says(410);
    world.pass(3600);
    assert_eq!(world.state(&one), Some(State::Refunded));
}

#[test]
fn a_shop_that_never_answers_is_waited_for_until_the_acknowledgement_is_void() {
    let mut world = World::new();
    world.shop = Shop::Silent;
    let one = order(1, "ada");
    world.pay(one.clone());
    world.pass(7 * 86_400 + 200);
    assert_eq!(world.state(&one), Some(State::Paid));
    let posts = world.posts;
    assert!((500..2000).contains(&posts), "{posts}");
    world.pass(600);
    assert_eq!(world.state(&one), Some(State::Refunded));
    assert_eq!((world.balance(), world.posts), (0, posts));
    assert_eq!(world.counters().expired, 1);
}

#[test]
fn a_full_disk_charges_nobody_twice_and_loses_nothing() {
    let mut world = World::new();
    let one = order(1, "ada");
    world.disk_full = true;
    let client = world.pay(one.clone());
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::Busy));
    assert_eq!(world.state(&one), None);
    // Full just when the debit is to be stored.
    world.disk_full = false;
    let client = world.pay(one.clone());
    assert!(world.step());
    world.disk_full = true;
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::Pending("token-1".into())));
    assert_eq!((world.posts, world.balance()), (0, PRICE));
    world.pass(120);
    world.disk_full = false;
    world.pass(120);
    assert_eq!(world.state(&one), Some(State::Acknowledged));
    assert_eq!(world.balance(), PRICE);
}

#[test]
fn a_refund_that_is_refused_is_asked_for_again() {
    let mut world = World::new();
    world.shop = Shop::AlreadyPaid;
    let one = order(1, "ada");
    world.pay(one.clone());
    while world.state(&one) != Some(State::Refunding) {
        assert!(world.step());
    }
    world.charging = Charging::Refuses(5003);
    world.pass(600);
    assert_eq!(world.state(&one), Some(State::Refunding));
    world.charging = Charging::Works;
    world.pass(120);
    assert_eq!(world.state(&one), Some(State::Refunded));
    assert_eq!(world.balance(), 0);
}

#[test]
fn what_is_handed_on_is_charged_to_who_collected_it_and_answered_for_the_shop() {
    let mut world = World::new();
    let one = handed_on(1);
    let client = world.pay(one.clone());
    world.settle();
    assert!(matches!(world.reply(client), Some(Reply::Forward(_))));
    assert_eq!((world.balance(), world.posts), (0, 0));
    // The same way again.
    let client = world.pay(one.clone());
    world.settle();
    assert!(matches!(world.reply(client), Some(Reply::Forward(_))));
    // The shop is slow: the other server hears nothing good before it has answered.
    world.shop = Shop::Silent;
    let payment = world.payment(&one).unwrap();
    let until = T0 + 3600;
    let first = world.collect(payment, until);
    world.settle();
    assert_eq!(world.reply(first), None);
    assert_eq!(
        (world.state(&one), world.balance()),
        (Some(State::Paid), PRICE)
    );
    let payment = world.payment(&one).unwrap();
    assert_eq!(payment.acknowledgement_expires(7 * 86_400), until);
    let second = world.collect(payment, until);
    world.shop = Shop::Takes;
    world.pass(60);
    for client in [first, second] {
        assert_eq!(world.reply(client), Some(&Reply::Taken));
    }
    let payment = world.payment(&one).unwrap();
    let third = world.collect(payment, until);
    world.settle();
    assert_eq!(world.reply(third), Some(&Reply::Taken));
    assert_eq!(world.balance(), PRICE);
}

#[test]
fn what_a_shop_refuses_goes_back_along_the_chain() {
    let mut world = World::new();
    world.shop = Shop::AlreadyPaid;
    let one = handed_on(1);
    world.pay(one.clone());
    world.settle();
    let payment = world.payment(&one).unwrap();
    let client = world.collect(payment, T0 + 3600);
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::NotTaken));
    assert_eq!(
        (world.state(&one), world.balance()),
        (Some(State::Refunded), 0)
    );
    let payment = world.payment(&one).unwrap();
    let client = world.collect(payment, T0 + 3600);
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::NotTaken));
    assert_eq!(world.balance(), 0);
}

#[test]
fn a_collection_that_cannot_be_booked_is_asked_for_again() {
    let mut world = World::new();
    let one = handed_on(1);
    world.pay(one.clone());
    world.settle();
    for charging in [Charging::Away, Charging::Refuses(4012), Charging::Silent] {
        world.charging = charging;
        let payment = world.payment(&one).unwrap();
        let client = world.collect(payment, T0 + 3600);
        world.settle();
        assert_eq!(world.reply(client), Some(&Reply::NotYet), "{charging:?}");
    }
    world.charging = Charging::Works;
    world.pass(60);
    assert_eq!(world.state(&one), Some(State::Acknowledged));
    assert_eq!(world.balance(), PRICE);
}

#[test]
fn no_more_are_open_than_may_be() {
    let mut world = World::new();
    world.shop = Shop::Silent;
    for number in 0..1000 {
        world.pay(order(number, "ada"));
        world.settle();
    }
    let client = world.pay(order(1000, "ada"));
    world.settle();
    assert_eq!(world.reply(client), Some(&Reply::Busy));
    assert_eq!(world.balance(), 1000 * PRICE);
}
