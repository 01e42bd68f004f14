//! Orders with virtual time, stored and read again at every step: a daemon that is killed anywhere.

use iso_currency::Currency;
use proptest::prelude::*;
use rusqlite::Connection;
use tollwire_web::database::rusqlite;

use super::event::Choice;
use super::*;
use crate::store::{self, Bounds, MIGRATIONS, New, StoreError};

const MINUTE: i64 = 60_000;
const SIZE: u64 = 1_000;

fn rules() -> Rules {
    Rules {
        invoice_ms: 30 * MINUTE,
        invoice_least_ms: 15 * MINUTE,
        octets_factor: 3,
        transfers: 2,
        grace_ms: MINUTE,
        grace_octets: 100,
        stream_attempts: 3,
    }
}

fn bought(kind: Kind) -> Bought {
    Bought {
        id: "song".into(),
        title: "A song".into(),
        amount_micro: 2_500_000,
        currency: Currency::EUR,
        tax_basis_points: 1_900,
        kind,
    }
}

fn file() -> Kind {
    Kind::File {
        path: "song.flac".into(),
        content_type: "audio/flac".into(),
    }
}

/// A store, and the one order that is looked at.
struct World {
    store: Connection,
    now: i64,
}

impl World {
    fn new(kind: Kind) -> Self {
        let store = Connection::open_in_memory().unwrap();
        store.pragma_update(None, "foreign_keys", true).unwrap();
        for step in MIGRATIONS {
            store.execute_batch(step).unwrap();
        }
        let world = Self { store, now: 0 };
        world.insert("token", "192.0.2.1", kind).unwrap();
        world
    }

    fn insert(&self, token: &str, source: &str, kind: Kind) -> Result<i64, StoreError> {
        let new = New {
            token: token.into(),
            bought: bought(kind),
            source: source.into(),
            created_ms: self.now,
            expires_ms: self.now + 60 * MINUTE,
        };
        let bounds = Bounds {
            of_source: 3,
            in_all: 5,
        };
        store::insert(&self.store, &new, bounds)
    }

    fn order(&self) -> Order {
        store::by_token(&self.store, "token").unwrap()
    }

    /// Every step begins with what is stored, as after a crash.
    fn step(&mut self, event: Event) -> Vec<Effect> {
        let before = self.order();
        let (mut order, mut effects) = (before.clone(), Vec::new());
        order.handle(&rules(), self.now, event, &mut effects);
        store::save(&self.store, self.now, &before, &order).unwrap();
        assert_eq!(self.order(), order, "what is stored is what was");
        effects
    }

    fn one(&mut self, event: Event) -> Effect {
        let mut effects = self.step(event);
        assert_eq!(effects.len(), 1, "{effects:?}");
        effects.pop().unwrap()
    }

    fn choose(&mut self, server: &str, reference: &str) -> Effect {
        let choice = Choice {
            server: server.into(),
            key: "{}".into(),
            registration: ("url".into(), "attributes".into()),
            reference: reference.into(),
        };
        let effect = self.one(Event::Choose(Box::new(choice)));
        if let Effect::Sign { reference, .. } = &effect {
            let signed = Event::Signed {
                reference: reference.clone(),
                jws: format!("jws of {reference}"),
            };
            assert!(self.step(signed).is_empty());
        }
        effect
    }

    fn acknowledge(&mut self, reference: &str) -> Effect {
        self.one(Event::Acknowledged {
            reference: reference.into(),
        })
    }

    fn paid(kind: Kind) -> Self {
        let mut world = Self::new(kind);
        world.choose("bank", "r1");
        assert_eq!(world.acknowledge("r1"), Effect::Granted);
        world
    }

    fn fetch(&mut self, asked: Asked) -> Effect {
        self.fetch_beside(asked, 0, 0)
    }

    fn fetch_beside(&mut self, asked: Asked, under_way: u64, transfers: usize) -> Effect {
        self.one(Event::Fetch {
            version: version("v1"),
            asked,
            under_way,
            transfers,
        })
    }

    fn sent(&mut self, start: u64, end: u64) -> Vec<Effect> {
        self.step(Event::Sent {
            version: version("v1"),
            span: Span { start, end },
        })
    }
}

fn version(tag: &str) -> Version {
    Version {
        size: SIZE,
        tag: tag.into(),
    }
}

fn part(start: u64, end: u64) -> Asked {
    Asked::Part(Span { start, end })
}

fn refused(refusal: Refusal) -> Effect {
    Effect::Refuse(refusal)
}

#[test]
fn an_order_from_the_shelf_to_the_customer() {
    let mut world = World::new(file());
    assert_eq!(world.fetch(Asked::Whole), refused(Refusal::NotPaid));
    let signed = world.choose("bank", "r1");
    let expires_ms = 30 * MINUTE;
    let reference = "r1".into();
    assert_eq!(
        signed,
        Effect::Sign {
            reference,
            expires_ms
        }
    );
    assert_eq!(world.order().state, State::Invoiced);
    assert_eq!(world.fetch(Asked::Whole), refused(Refusal::NotPaid));
    assert_eq!(world.acknowledge("r1"), Effect::Granted);
    assert_eq!(world.order().state, State::Paid);
    let whole = Effect::Send {
        span: Span {
            start: 0,
            end: SIZE,
        },
        partial: false,
    };
    assert_eq!(world.fetch(Asked::Whole), whole);
    assert_eq!(world.sent(0, SIZE), [Effect::Delivered]);
    assert_eq!(world.fetch(Asked::Whole), refused(Refusal::Spent));
}

#[test]
fn an_acknowledgement_gives_one_right() {
    let mut world = World::new(file());
    world.choose("bank", "r1");
    world.choose("other", "r2");
    assert_eq!(world.acknowledge("r3"), refused(Refusal::UnknownReference));
    assert_eq!(world.acknowledge("r2"), Effect::Granted);
    let paid = world.order();
    // Replayed, at once and after the delivery.
    assert_eq!(world.acknowledge("r2"), Effect::GrantedBefore);
    assert_eq!(world.order(), paid);
    assert_eq!(world.acknowledge("r1"), refused(Refusal::AlreadyPaid));
    world.fetch(Asked::Whole);
    world.sent(0, SIZE);
    assert_eq!(world.acknowledge("r2"), Effect::GrantedBefore);
    assert_eq!(world.acknowledge("r1"), refused(Refusal::AlreadyPaid));
    assert_eq!(world.order().state, State::Delivered);
    assert_eq!(world.choose("bank", "r4"), refused(Refusal::AlreadyPaid));
}

#[test]
fn each_billing_server_has_an_invoice_of_its_own_and_keeps_it() {
    let mut world = World::new(file());
    world.choose("bank", "r1");
    world.now = 10 * MINUTE;
    let again = world.choose("bank", "r2");
    let reference = "r1".into();
    assert_eq!(again, Effect::Show { reference });
    assert!(matches!(world.choose("other", "r3"), Effect::Sign { .. }));
    // Too little of it is left: another one is made.
    world.now = 20 * MINUTE;
    assert!(matches!(world.choose("bank", "r4"), Effect::Sign { .. }));
    for number in 5..5 + MAX_INVOICES - 3 {
        world.choose(&format!("bank {number}"), &format!("r{number}"));
    }
    let one_more = world.choose("one more", "r99");
    assert_eq!(one_more, refused(Refusal::TooManyInvoices));
    assert_eq!(world.order().invoices.len(), MAX_INVOICES);
}

#[test]
fn a_reference_is_never_used_again() {
    let mut world = World::new(file());
    world.choose("bank", "r1");
    world.insert("another", "192.0.2.1", file()).unwrap();
    let before = store::by_token(&world.store, "another").unwrap();
    let mut order = before.clone();
    let mut taken = world.order().invoices[0].clone();
    taken.jws = "another".into();
    order.invoices.push(taken);
    let saved = store::save(&world.store, 0, &before, &order);
    assert!(matches!(saved, Err(StoreError::Taken)));
    let kept = store::by_reference(&world.store, "r1").unwrap();
    assert_eq!(
        (kept.token.as_str(), kept.invoices[0].jws.as_str()),
        ("token", "jws of r1")
    );
}

#[test]
fn time_ends_what_is_not_paid_and_nothing_else() {
    let mut world = World::new(file());
    world.choose("bank", "r1");
    world.now = 60 * MINUTE;
    world.step(Event::Tick);
    assert_eq!(world.order().state, State::Expired);
    assert_eq!(world.choose("bank", "r2"), refused(Refusal::Expired));
    assert_eq!(world.fetch(Asked::Whole), refused(Refusal::Expired));
    // Paid in time, as its signed word says; told late.
    assert_eq!(world.acknowledge("r1"), Effect::Granted);
    world.now = 600_000 * MINUTE;
    world.step(Event::Tick);
    assert_eq!(world.order().state, State::Paid);
    assert!(matches!(world.fetch(Asked::Whole), Effect::Send { .. }));
}

#[test]
fn an_invoice_prolongs_its_order() {
    let mut world = World::new(file());
    world.now = 59 * MINUTE;
    world.choose("bank", "r1");
    world.now = 80 * MINUTE;
    world.step(Event::Tick);
    assert_eq!(world.order().state, State::Invoiced);
}

#[test]
fn a_broken_transfer_goes_on_where_it_stopped() {
    let mut world = World::paid(file());
    world.fetch(Asked::Whole);
    assert!(world.sent(0, 400).is_empty());
    assert_eq!(world.order().state, State::Delivering);
    let rest = Effect::Send {
        span: Span {
            start: 300,
            end: SIZE,
        },
        partial: true,
    };
    assert_eq!(world.fetch(part(300, SIZE)), rest);
    assert_eq!(world.fetch(Asked::Nothing), refused(Refusal::Unsatisfiable));
    assert_eq!(world.sent(300, SIZE), [Effect::Delivered]);
    assert_eq!(world.order().delivery.sent, 1_100);
}

#[test]
fn holes_are_not_covered() {
    let mut world = World::paid(file());
    for (start, end) in [(0, 100), (900, SIZE), (200, 900)] {
        world.fetch(part(start, end));
        assert!(world.sent(start, end).is_empty());
    }
    assert_eq!(world.sent(100, 200), [Effect::Delivered]);
}

#[test]
fn the_tail_may_be_fetched_again_for_a_while() {
    let mut world = World::paid(file());
    world.fetch(Asked::Whole);
    world.sent(0, SIZE);
    assert!(matches!(
        world.fetch(part(900, SIZE)),
        Effect::Send { partial: true, .. }
    ));
    world.sent(900, SIZE);
    assert_eq!(world.order().state, State::Delivered);
    // More than the tail, or all of it again, is a second delivery.
    for asked in [part(899, SIZE), part(0, SIZE), part(0, 1), Asked::Whole] {
        assert_eq!(world.fetch(asked), refused(Refusal::Spent), "{asked:?}");
    }
    let other = Event::Fetch {
        version: version("v2"),
        asked: part(950, SIZE),
        under_way: 0,
        transfers: 0,
    };
    assert_eq!(world.one(other), refused(Refusal::Spent));
    world.now += MINUTE;
    assert_eq!(world.fetch(part(900, SIZE)), refused(Refusal::Spent));
}

#[test]
fn what_did_not_arrive_goes_out_once_more() {
    let mut world = World::new(file());
    assert_eq!(world.one(Event::Lost), refused(Refusal::NotPaid));
    let mut world = World::paid(file());
    assert_eq!(world.one(Event::Lost), Effect::Pass);
    assert_eq!(world.order().state, State::Paid);
    world.fetch(Asked::Whole);
    world.sent(0, SIZE);
    assert_eq!(world.one(Event::Lost), Effect::Pass);
    assert!(matches!(world.fetch(Asked::Whole), Effect::Send { .. }));
    world.sent(0, SIZE);
    assert_eq!(world.order().state, State::Delivered);
    assert_eq!(world.one(Event::Lost), refused(Refusal::Spent));

    let mut world = World::paid(file());
    world.fetch(Asked::Whole);
    world.sent(0, SIZE);
    world.now += MINUTE;
    assert_eq!(world.one(Event::Lost), refused(Refusal::Spent));
}

#[test]
fn octets_and_transfers_are_bounded() {
    let mut world = World::paid(file());
    assert_eq!(
        world.fetch_beside(Asked::Whole, 0, 2),
        refused(Refusal::Busy)
    );
    // All but the last octet, over and over.
    for _ in 0..3 {
        assert!(matches!(world.fetch(part(0, 999)), Effect::Send { .. }));
        world.sent(0, 999);
    }
    assert_eq!(world.fetch(part(0, 999)), refused(Refusal::Exhausted));
    assert_eq!(
        world.fetch_beside(part(999, SIZE), 3, 1),
        refused(Refusal::Exhausted)
    );
    assert!(matches!(world.fetch(part(999, SIZE)), Effect::Send { .. }));
    assert_eq!(world.sent(999, SIZE), [Effect::Delivered]);
}

#[test]
fn parts_of_two_versions_are_no_file() {
    let mut world = World::paid(file());
    world.fetch(Asked::Whole);
    world.sent(0, 900);
    let changed = Event::Fetch {
        version: version("v2"),
        asked: Asked::Whole,
        under_way: 0,
        transfers: 0,
    };
    assert!(matches!(world.one(changed), Effect::Send { .. }));
    // What was on its way of the old one counts as octets alone.
    assert!(world.sent(900, SIZE).is_empty());
    assert_eq!(world.order().delivery.coverage.octets(), 0);
    assert_eq!(world.order().delivery.sent, 1_000);
}

#[test]
fn an_empty_file_is_delivered() {
    let mut world = World::paid(file());
    let version = Version {
        size: 0,
        tag: "v".into(),
    };
    let effect = world.one(Event::Fetch {
        version: version.clone(),
        asked: Asked::Whole,
        under_way: 0,
        transfers: 0,
    });
    assert!(matches!(effect, Effect::Send { .. }));
    let span = Span::default();
    assert_eq!(
        world.step(Event::Sent { version, span }),
        [Effect::Delivered]
    );
}

fn stream() -> Kind {
    Kind::Stream {
        upstream: "http://127.0.0.1/".into(),
    }
}

#[test]
fn a_stream_is_begun_again_only_if_it_broke() {
    let mut world = World::paid(stream());
    let begin = || Event::Stream { transfers: 0 };
    assert_eq!(world.one(begin()), Effect::Pass);
    let beside = Event::Stream { transfers: 1 };
    assert_eq!(world.one(beside), refused(Refusal::Busy));
    assert!(world.step(Event::StreamEnded { whole: false }).is_empty());
    assert_eq!(world.one(begin()), Effect::Pass);
    let ended = world.step(Event::StreamEnded { whole: true });
    assert_eq!(ended, [Effect::Delivered]);
    assert_eq!(world.one(begin()), refused(Refusal::Spent));

    let mut world = World::paid(stream());
    for _ in 0..3 {
        // Killed in the middle of it: nobody says that it ended.
        assert_eq!(world.one(begin()), Effect::Pass);
    }
    assert_eq!(world.one(begin()), refused(Refusal::Exhausted));
}

#[test]
fn a_service_is_used_for_a_time_from_its_first_use() {
    let kind = Kind::Service {
        upstream: "http://127.0.0.1/".into(),
        seconds: 60,
    };
    let mut world = World::new(kind.clone());
    assert_eq!(world.one(Event::Enter), refused(Refusal::NotPaid));
    let mut world = World::paid(kind);
    world.now = 5 * MINUTE;
    assert_eq!(world.one(Event::Enter), Effect::Pass);
    world.now += MINUTE - 1;
    assert_eq!(world.one(Event::Enter), Effect::Pass);
    world.now += 1;
    assert_eq!(world.one(Event::Enter), refused(Refusal::Spent));
    assert_eq!(world.order().state, State::Delivered);
    // A clock that is set back opens nothing again.
    world.now -= MINUTE;
    assert_eq!(world.one(Event::Enter), refused(Refusal::Spent));
}

#[test]
fn unpaid_orders_are_bounded_and_those_that_ended_do_not_count() {
    let mut world = World::new(file());
    let too_many = |result| matches!(result, Err(StoreError::TooMany));
    for number in 1..3 {
        world
            .insert(&format!("t{number}"), "192.0.2.1", file())
            .unwrap();
    }
    assert!(too_many(world.insert("t3", "192.0.2.1", file())));
    world.insert("t4", "192.0.2.2", file()).unwrap();
    world.insert("t5", "192.0.2.3", file()).unwrap();
    assert!(too_many(world.insert("t6", "192.0.2.4", file())));
    // One is paid: it is none of those.
    world.choose("bank", "r1");
    world.acknowledge("r1");
    world.insert("t6", "192.0.2.1", file()).unwrap();
    // The others' time is over, whether that is written down yet or not.
    world.now = 60 * MINUTE;
    world.insert("t7", "192.0.2.1", file()).unwrap();
    let (ended, more) = store::tidy(&world.store, world.now, 0).unwrap();
    assert_eq!((ended, more), (5, false));
    let states = |state| {
        let lines = store::list(&world.store, i64::MAX, Some(state), 100);
        lines.unwrap().len()
    };
    assert_eq!(
        (states("expired"), states("paid"), states("open")),
        (5, 1, 1)
    );
    store::tidy(&world.store, world.now, world.now + 1).unwrap();
    let all = store::list(&world.store, i64::MAX, None, 100).unwrap();
    assert_eq!(all.len(), 2, "what is paid stays");
    assert_eq!(all[1].paid_by.as_deref(), Some("bank"));
}

/// What a customer, two billing servers, an attacker and the clock may do.
fn anything() -> impl Strategy<Value = Event> {
    let servers = prop_oneof![Just("bank"), Just("other")];
    let references = prop_oneof![Just("r0"), Just("r1"), Just("r2"), Just("r3"), Just("r4")];
    let spans = (0..SIZE, 0..SIZE).prop_map(|(start, length)| Span {
        start,
        end: (start + length).min(SIZE).max(start + 1),
    });
    let tags = prop_oneof![9 => Just("v1"), 1 => Just("v2")];
    prop_oneof![
        1 => Just(Event::Tick),
        1 => Just(Event::Lost),
        2 => servers.prop_map(|server| Event::Choose(Box::new(Choice {
            server: server.into(),
            key: "{}".into(),
            registration: ("url".into(), "attributes".into()),
            reference: String::new(),
        }))),
        2 => references.prop_map(|reference| Event::Acknowledged { reference: reference.into() }),
        6 => (spans, tags, any::<bool>()).prop_map(|(span, tag, whole)| Event::Fetch {
            version: version(tag),
            asked: if whole { Asked::Whole } else { Asked::Part(span) },
            under_way: 0,
            transfers: 0,
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Nothing goes out that is not paid, nothing goes out whole twice beyond the tail, nothing goes out above the
    /// bound, one acknowledgement counts, and who paid gets all of it unless he used up the bound.
    #[test]
    fn no_goods_without_money_and_no_money_without_goods(
        events in proptest::collection::vec((anything(), 0..SIZE, 0_i64..10 * MINUTE), 1..40),
    ) {
        let mut world = World::new(file());
        let mut references = 0;
        let mut granted = 0;
        let mut sent = 0;
        for (event, breaks_after, passes) in events {
            world.now += passes;
            let event = match event {
                Event::Choose(mut choice) => {
                    references += 1;
                    choice.reference = format!("r{references}");
                    Event::Choose(choice)
                }
                event => event,
            };
            let asked = event.clone();
            let effects = world.step(event);
            let state = world.order().state;
            for effect in effects {
                match effect {
                    Effect::Sign { reference, .. } => {
                        world.step(Event::Signed { jws: format!("jws of {reference}"), reference });
                    }
                    Effect::Granted => granted += 1,
                    Effect::Send { span, .. } => {
                        prop_assert_eq!(granted, 1, "goods without money");
                        prop_assert!(!span.is_empty() && span.end <= SIZE);
                        let Event::Fetch { version, .. } = &asked else { panic!() };
                        let end = (span.start + breaks_after + 1).min(span.end);
                        let span = Span { start: span.start, end };
                        sent += span.len();
                        world.step(Event::Sent { version: version.clone(), span });
                    }
                    Effect::Refuse(Refusal::Spent) => prop_assert_eq!(state, State::Delivered),
                    Effect::Refuse(Refusal::Exhausted) => prop_assert!(sent + SIZE > 3 * SIZE),
                    _ => {}
                }
            }
            prop_assert!(sent <= 3 * SIZE, "{}", sent);
            prop_assert_eq!(world.order().delivery.sent, sent);
            let is_paid = matches!(world.order().state, State::Paid | State::Delivering | State::Delivered);
            prop_assert_eq!(is_paid, granted == 1);
            if world.order().state == State::Delivered {
                prop_assert!(world.order().delivery.coverage.is_whole(SIZE));
            }
        }
        prop_assert!(granted <= 1);
    }
}
