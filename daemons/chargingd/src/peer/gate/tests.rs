use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tollwire_diameter::rx::{AaRequest, RxSessionTerminationRequest};
use tollwire_diameter::{Identity, Message};
use tollwire_runtime::clock::Now;
use tollwire_runtime::diameter::Address;

use super::core::{Effect, Event, Gates, Report};
use super::{Answer, Ask, Counted, Order, Outcome, Request, Told, What, rx};

const ID: &str = "8mYqkR2vVbXw0PzQ3nTg1A";
const START_MS: i64 = 1_000_000;

/// The gates, a clock, and a limiter as simple as can be: what it has and what it was asked.
struct World {
    gates: Gates,
    now: Now,
    away: bool,
    /// Seconds, octets granted and octets that have passed of each session.
    limiter: HashMap<String, (u32, Option<u64>, u64)>,
    asked: Vec<Request>,
    told: Vec<Told>,
    replies: Vec<(u64, bool)>,
    token: u64,
}

impl World {
    fn new() -> Self {
        Self {
            gates: Gates::new(),
            now: Now {
                instant: Instant::now(),
                unix_ms: START_MS,
            },
            away: false,
            limiter: HashMap::new(),
            asked: Vec::new(),
            told: Vec::new(),
            replies: Vec::new(),
            token: 0,
        }
    }

    fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.gates.handle(self.now, event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send {
                    ticket,
                    order,
                    request,
                } => {
                    self.asked.push(request.clone());
                    let event = match self.answer(&order, &request) {
                        Some(answer) => Event::Answered { ticket, answer },
                        None => Event::Failed { ticket },
                    };
                    self.event(event);
                }
                Effect::Tell(told) => self.told.push(told),
                Effect::Reply { reply, known } => self.replies.push((reply, known)),
            }
        }
    }

    fn answer(&mut self, order: &Order, request: &Request) -> Option<Answer> {
        if self.away {
            return None;
        }
        Some(match request {
            Request::Authorise {
                seconds, octets, ..
            } => {
                let begun = !self.limiter.contains_key(&order.session);
                let gate = self.limiter.entry(order.session.clone()).or_default();
                (gate.0, gate.1) = (*seconds, *octets);
                Answer::Stands {
                    octets: gate.2,
                    begun,
                }
            }
            Request::Terminate => match self.limiter.remove(&order.session) {
                Some((_, _, passed)) => Answer::Gone(passed),
                None => Answer::Unknown,
            },
        })
    }

    fn ask(&mut self, what: What, order: Order) -> Outcome {
        self.token += 1;
        let token = self.token;
        let before = self.told.len();
        self.event(Event::Ask(Ask { token, what, order }));
        let mine = |told: &&Told| told.token == Some(token);
        let told: Vec<&Told> = self.told[before..].iter().filter(mine).collect();
        assert_eq!(told.len(), 1, "{:?}", &self.told[before..]);
        told[0].outcome.clone()
    }

    fn pass(&mut self, octets: u64) {
        self.limiter.get_mut(ID).unwrap().2 += octets;
    }

    fn wait(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix_ms += i64::try_from(time.as_millis()).unwrap();
        self.event(Event::Tick);
    }
}

fn limiter() -> Address {
    Address::Unix("/run/tollwire/pinholed.sock".into())
}

fn order(octets: u64) -> Order {
    Order {
        session: ID.into(),
        pinholed: limiter(),
        user: "192.0.2.1:40000".parse().unwrap(),
        service: "198.51.100.2:20000".parse().unwrap(),
        not_after_unix_ms: START_MS + 60_999,
        octets: Some(octets),
        counted: Counted::default(),
    }
}

fn counted_as(now: u64) -> Counted {
    Counted {
        now,
        ..Counted::default()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_gate_is_opened_moved_counted_and_closed() {
    let mut world = World::new();
    assert_eq!(
        world.ask(What::Open, order(1000)),
        Outcome::Stands(counted_as(0))
    );
    // Whole seconds, and no more than were wanted.
    assert_eq!(world.limiter[ID], (60, Some(1000), 0));
    world.pass(700);
    world.wait(10 * SECOND);
    let outcome = world.ask(What::Move, order(2000));
    assert_eq!(outcome, Outcome::Stands(counted_as(700)));
    assert_eq!(world.limiter[ID], (50, Some(2000), 700));
    world.pass(100);
    let outcome = world.ask(What::Close, order(2000));
    assert_eq!(outcome, Outcome::Closed(Some(counted_as(800))));
    assert!(world.limiter.is_empty());
    assert_eq!(
        world.ask(What::Close, order(2000)),
        Outcome::Closed(None),
        "the limiter knows it no more"
    );
    assert_eq!(world.gates.figures().standing, 0);
    assert_eq!(world.gates.figures().opened, 1);
}

#[test]
fn what_cannot_be_opened_leaves_nothing() {
    let mut world = World::new();
    world.away = true;
    assert_eq!(world.ask(What::Open, order(1)), Outcome::Unreachable);
    // It may have heard of it: it does not know of it in the end.
    world.limiter.insert(ID.into(), (60, Some(1), 0));
    world.wait(SECOND);
    world.away = false;
    assert_eq!(world.gates.figures().closing, 1);
    world.wait(SECOND);
    assert!(world.limiter.is_empty());
    assert_eq!(world.gates.figures().closing, 0);
    assert_eq!(world.told.len(), 1, "and nobody waits for that");
    assert_eq!(world.gates.next_deadline(), None);

    let mut over = order(1);
    over.not_after_unix_ms = world.now.unix_ms + 999;
    let outcome = world.ask(What::Open, over);
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert!(world.limiter.is_empty());
}

#[test]
fn one_whose_answer_was_lost_is_closed_before_anything_else_is_asked() {
    let mut gates = Gates::new();
    let now = World::new().now;
    let mut effects = Vec::new();
    let (token, what, order) = (1, What::Open, order(1));
    gates.handle(now, Event::Ask(Ask { token, what, order }), &mut effects);
    effects.clear();
    gates.handle(now, Event::Failed { ticket: 1 }, &mut effects);
    assert!(
        matches!(
            &effects[..],
            [
                Effect::Tell(Told {
                    outcome: Outcome::Unreachable,
                    ..
                }),
                Effect::Send {
                    request: Request::Terminate,
                    ..
                }
            ]
        ),
        "{effects:?}"
    );
}

#[test]
fn a_refused_gate_is_not_there_and_a_refused_move_changes_nothing() {
    let mut gates = Gates::new();
    let now = World::new().now;
    let mut turn = |event: Event| {
        let mut effects = Vec::new();
        gates.handle(now, event, &mut effects);
        effects
    };
    let refused = |ticket| Event::Answered {
        ticket,
        answer: Answer::Refused("5063: belongs to another session".into()),
    };
    let ask = |what| {
        Event::Ask(Ask {
            token: 7,
            what,
            order: order(1),
        })
    };
    turn(ask(What::Open));
    let effects = turn(refused(1));
    let told = Outcome::Refused("5063: belongs to another session".into());
    let closing = |effect: &Effect| {
        matches!(
            effect,
            Effect::Send {
                request: Request::Terminate,
                ticket: 2,
                ..
            }
        )
    };
    assert!(matches!(&effects[0], Effect::Tell(it) if it.outcome == told && it.token == Some(7)));
    assert!(closing(&effects[1]));
    let effects = turn(Event::Answered {
        ticket: 2,
        answer: Answer::Unknown,
    });
    assert_eq!(effects, []);

    turn(ask(What::Open));
    turn(Event::Answered {
        ticket: 3,
        answer: Answer::Stands {
            octets: 0,
            begun: true,
        },
    });
    turn(ask(What::Move));
    let effects = turn(refused(4));
    assert_eq!(effects.len(), 1, "{effects:?}");
    assert_eq!(gates.figures().standing, 1);
}

#[test]
fn a_limiter_that_was_away_hears_what_is_wanted_now() {
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    let other = Order {
        session: "other".into(),
        ..order(5)
    };
    world.ask(What::Open, other.clone());
    world.away = true;
    assert_eq!(world.ask(What::Move, order(3000)), Outcome::Unreachable);
    assert_eq!(world.ask(What::Close, other), Outcome::Unreachable);
    world.away = false;
    world.limiter.get_mut("other").unwrap().2 = 4;
    let before = world.told.len();
    world.event(Event::Open(Address::Unix("/elsewhere".into())));
    assert_eq!(world.told.len(), before, "another limiter's gates");
    world.event(Event::Open(limiter()));
    assert_eq!(world.limiter[ID].1, Some(3000));
    assert!(!world.limiter.contains_key("other"));
    let told: Vec<_> = world.told[before..].iter().collect();
    assert!(told.iter().all(|told| told.token.is_none()));
    assert_eq!(told[0].outcome, Outcome::Stands(counted_as(0)));
    assert_eq!(told[1].outcome, Outcome::Closed(Some(counted_as(4))));
    // What is due is not asked for twice.
    assert_eq!(world.gates.next_deadline(), None);
}

#[test]
fn a_gate_of_an_earlier_run_goes_on() {
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    world.pass(400);
    world.gates = Gates::new();
    let mut found = order(1000);
    found.counted = counted_as(300);
    world.event(Event::Standing(found));
    // Its limiter reports before it is there for us: it is not to forget the session.
    world.event(Event::Report(Report {
        reply: 1,
        session: ID.into(),
        spent: None,
    }));
    world.event(Event::Report(Report {
        reply: 2,
        session: "nobody's".into(),
        spent: None,
    }));
    assert_eq!(world.replies, [(1, true), (2, false)]);
    world.event(Event::Open(limiter()));
    assert_eq!(
        world.told.last().unwrap().outcome,
        Outcome::Stands(counted_as(400))
    );
    assert_eq!(world.limiter[ID], (60, Some(1000), 400));
}

#[test]
fn a_limiter_that_lost_its_table_gets_the_rest() {
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    world.pass(400);
    world.ask(What::Move, order(1000));
    world.limiter.clear();
    let outcome = world.ask(What::Move, order(1000));
    let lost = Counted {
        before: 400,
        now: 0,
        exact: false,
    };
    assert_eq!(outcome, Outcome::Stands(lost));
    assert_eq!(world.limiter[ID].1, Some(600), "not the whole again");
    world.pass(50);
    let outcome = world.ask(What::Close, order(1000));
    let Outcome::Closed(Some(counted)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(counted.total(), 450);
}

#[test]
fn a_counter_that_was_lost_before_it_was_ever_read_is_known_to_be_lost() {
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    world.pass(400);
    world.limiter.clear();
    let Outcome::Stands(counted) = world.ask(What::Move, order(1000)) else {
        panic!("{:?}", world.told);
    };
    assert_eq!((counted.total(), counted.exact), (0, false));
    // One that was never there has lost nothing, and one that is found again neither.
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    world.gates = Gates::new();
    world.event(Event::Standing(order(1000)));
    world.event(Event::Open(limiter()));
    let told = &world.told.last().unwrap().outcome;
    assert_eq!(*told, Outcome::Stands(counted_as(0)));
}

#[test]
fn one_that_the_kernel_shut_is_told_of_and_nothing_of_it_is_uncertain() {
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    world.pass(1000);
    world.event(Event::Report(Report {
        reply: 1,
        session: ID.into(),
        spent: Some(1000),
    }));
    assert_eq!(
        world.told.last().unwrap(),
        &Told {
            token: None,
            session: ID.into(),
            outcome: Outcome::Spent(counted_as(1000)),
        }
    );
    // The limiter forgets it; more is granted later.
    world.limiter.clear();
    let outcome = world.ask(What::Move, order(1500));
    let told = Counted {
        before: 1000,
        now: 0,
        exact: true,
    };
    assert_eq!(outcome, Outcome::Stands(told));
    assert_eq!(world.limiter[ID].1, Some(500));
}

#[test]
fn one_that_was_shut_too_early_gets_the_rest_and_one_that_no_packet_fits_through_does_not() {
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    let report = |passed| {
        Event::Report(Report {
            reply: 1,
            session: ID.into(),
            spent: Some(passed),
        })
    };
    world.pass(900);
    let (told, asked) = (world.told.len(), world.asked.len());
    world.event(report(900));
    assert_eq!(world.asked.len(), asked + 1);
    assert_eq!(world.told[told].outcome, Outcome::Stands(counted_as(900)));
    world.event(report(900));
    assert_eq!(world.asked.len(), asked + 1, "nothing has passed since");
    let last = &world.told.last().unwrap().outcome;
    assert_eq!(*last, Outcome::Spent(counted_as(900)));
    // Its time over, it is not opened again.
    world.pass(50);
    world.now.unix_ms += 60_000;
    world.event(report(950));
    assert_eq!(world.asked.len(), asked + 1);
}

#[test]
fn its_time_over_a_gate_is_closed_and_its_count_waits_for_the_manager() {
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    world.pass(10);
    world.wait(60 * SECOND);
    let outcome = world.ask(What::Move, order(2000));
    assert_eq!(outcome, Outcome::Closed(Some(counted_as(10))));
    assert!(world.limiter.is_empty());
    for what in [What::Move, What::Close] {
        let outcome = world.ask(what, order(2000));
        assert_eq!(outcome, Outcome::Closed(Some(counted_as(10))));
    }
    assert_eq!(world.ask(What::Close, order(2000)), Outcome::Closed(None));
}

#[test]
fn one_that_can_never_be_closed_is_forgotten_when_its_limiter_has() {
    let mut world = World::new();
    world.ask(What::Open, order(1000));
    world.away = true;
    world.ask(What::Close, order(1000));
    for _ in 0..(60 + 15 * 60) {
        world.wait(SECOND);
    }
    assert_eq!(world.gates.figures().closing, 1);
    world.wait(2 * SECOND);
    world.wait(2 * SECOND);
    assert_eq!(world.gates.figures().closing, 0);
    assert_eq!(world.gates.next_deadline(), None);
}

#[test]
fn on_the_wire_it_is_one_pair_of_addresses_with_a_time_and_a_quota() {
    let identity = Identity {
        origin_host: "chargingd.test".into(),
        origin_realm: "test".into(),
    };
    let encode = |octets| {
        let request = Request::Authorise {
            initial: true,
            seconds: 60,
            octets,
        };
        let octets = rx::encode(&identity, "limits.test", &order(1), &request).encode();
        AaRequest::decode(&Message::decode(octets).unwrap()).unwrap()
    };
    let aar = encode(Some(1000));
    assert_eq!(aar.session_id, format!("chargingd.test;peer;{ID}"));
    assert_eq!(rx::session_of("chargingd.test", &aar.session_id), Some(ID));
    for foreign in ["chargingd.test;1;2;ro", "sipd.test;peer;x", "", ";peer;"] {
        assert_eq!(rx::session_of("chargingd.test", foreign), None, "{foreign}");
    }
    assert_eq!(aar.destination_realm, "limits.test");
    assert_eq!(aar.session_timeout, Some(60));
    let quota = |aar: &AaRequest| {
        let data = aar.sponsored_connectivity_data.as_ref()?;
        data.granted_service_unit.as_ref()?.cc_total_octets
    };
    assert_eq!(quota(&aar), Some(1000));
    let flows = &aar.media_component_descriptions[0].media_sub_components[0];
    let rules: Vec<String> = flows
        .flow_descriptions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        rules,
        [
            "permit in 17 from 192.0.2.1 40000 to 198.51.100.2 20000",
            "permit out 17 from 198.51.100.2 20000 to 192.0.2.1 40000"
        ]
    );
    // Without a limit there is a quota all the same, which no gate reaches: a limiter refuses one for what it cannot count.
    assert!(quota(&encode(None)) > Some(1 << 60));
    assert!(quota(&encode(None)) < Some(i64::MAX.unsigned_abs()));
    let octets = rx::encode(&identity, "limits.test", &order(1), &Request::Terminate).encode();
    let str = RxSessionTerminationRequest::decode(&Message::decode(octets).unwrap());
    assert_eq!(str.unwrap().session_id, aar.session_id);
}

#[derive(Debug, Clone)]
enum Step {
    /// Somebody sends so much.
    Send(u64),
    /// More is granted.
    Grant(u64),
    /// The limiter goes.
    Leave,
    /// It is there again, with its table or without.
    Return { lost: bool },
    /// It loses its table, and nobody notices.
    Lose,
    /// It reports a gate that is spent.
    Report,
    /// The manager is killed, and started again.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..500_u64).prop_map(Step::Send),
        2 => (0..500_u64).prop_map(Step::Grant),
        1 => Just(Step::Leave),
        2 => any::<bool>().prop_map(|lost| Step::Return { lost }),
        1 => Just(Step::Lose),
        1 => Just(Step::Report),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    /// Whoever is away or dies when: no more passes than is granted but for what a table took with it uncounted, nothing is
    /// counted that did not pass, and what is said to be exact is.
    #[test]
    fn what_is_exact_is_true(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        let (mut granted, mut passed, mut lost_unread) = (1000, 0, 0);
        let mut stored = Counted::default();
        world.ask(What::Open, order(granted));
        for step in steps {
            match step {
                Step::Send(octets) => {
                    if let Some((_, limit, through)) = world.limiter.get_mut(ID) {
                        let octets = octets.min(limit.unwrap().saturating_sub(*through));
                        *through += octets;
                        passed += octets;
                    }
                }
                Step::Grant(more) => {
                    granted += more;
                    world.ask(What::Move, order(granted));
                }
                Step::Leave => world.away = true,
                Step::Return { .. } | Step::Lose => {
                    let lost = !matches!(step, Step::Return { lost: false });
                    if lost && let Some((_, _, through)) = world.limiter.remove(ID) {
                        let read = world.gates.gate(ID).map_or(stored.now, |it| it.now);
                        lost_unread += through - read.min(through);
                    }
                    if !matches!(step, Step::Lose) {
                        world.away = false;
                        world.event(Event::Open(limiter()));
                    }
                }
                Step::Report => {
                    let spent = world.limiter.get(ID).filter(|it| it.1 == Some(it.2));
                    if let Some(spent) = spent.map(|it| it.2).filter(|_| !world.away) {
                        let session = ID.into();
                        let report = Report { reply: 0, session, spent: Some(spent) };
                        world.event(Event::Report(report));
                    }
                }
                Step::Kill => {
                    world.gates = Gates::new();
                    world.event(Event::Standing(Order { counted: stored, ..order(granted) }));
                    if !world.away {
                        world.event(Event::Open(limiter()));
                    }
                }
            }
            for told in world.told.drain(..) {
                if let Outcome::Stands(counted) | Outcome::Spent(counted) = told.outcome {
                    stored = counted;
                }
            }
            prop_assert!(passed <= granted + lost_unread);
            prop_assert!(stored.total() <= passed);
        }
        world.away = false;
        let Outcome::Closed(counted) = world.ask(What::Close, order(granted)) else {
            panic!("{:?}", world.told);
        };
        let counted = counted.unwrap_or(stored);
        prop_assert!(counted.total() <= passed);
        if counted.exact {
            prop_assert_eq!(counted.total(), passed);
        }
    }
}
