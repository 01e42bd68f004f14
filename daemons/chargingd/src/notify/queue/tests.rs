//! The queue against a store and servers that fail, in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::notify::{Contact, Kind};

const IN_FLIGHT: usize = 4;
const GIVE_UP_MS: i64 = 3_600_000;

fn limits() -> Limits {
    Limits {
        enabled: true,
        in_flight: IN_FLIGHT,
        in_flight_per_server: 2,
        per_account_hour: 0,
        retry_first_ms: 1000,
        retry_most_ms: 60_000,
        give_up_ms: GIVE_UP_MS,
    }
}

fn all_on() -> Vec<(Channel, Limits)> {
    Channel::ALL.map(|channel| (channel, limits())).into()
}

fn notification(id: u64, unix_ms: i64, contacts: &[&str]) -> Notification {
    Notification {
        id,
        unix_ms,
        account: "alice".into(),
        subject: "alice/gprs".into(),
        kind: Kind::ThresholdCrossed,
        balance: 1,
        unit: "octets".into(),
        amount: 2,
        language: "".into(),
        contacts: contacts.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

struct Row {
    task: Task,
    next_unix_ms: i64,
}

/// Decides what a server says to the n-th attempt of all.
type Fate = Box<dyn FnMut(&Task, u64) -> Outcome>;

struct World {
    began: Instant,
    elapsed_ms: i64,
    settings: Vec<(Channel, Limits)>,
    queue: Queue,
    /// What a crash leaves.
    store: BTreeMap<Key, Row>,
    /// Answers on their way.
    arriving: VecDeque<Event>,
    fate: Fate,
    attempts: u64,
    told: BTreeMap<Key, u32>,
    ended: BTreeMap<Key, End>,
    under_way: BTreeSet<Key>,
    store_works: bool,
    loads: u32,
}

impl World {
    fn new(settings: Vec<(Channel, Limits)>, fate: Fate) -> Self {
        Self {
            began: Instant::now(),
            elapsed_ms: 0,
            queue: Queue::new(settings.clone()),
            settings,
            store: BTreeMap::new(),
            arriving: VecDeque::new(),
            fate,
            attempts: 0,
            told: BTreeMap::new(),
            ended: BTreeMap::new(),
            under_way: BTreeSet::new(),
            store_works: true,
            loads: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            instant: self.began + Duration::from_millis(self.elapsed_ms.unsigned_abs()),
            unix_ms: 1_000_000_000_000 + self.elapsed_ms,
        }
    }

    /// The core's transaction, and what follows it.
    fn make(&mut self, id: u64, contacts: &[&str]) {
        let notification = notification(id, self.now().unix_ms, contacts);
        let shared = std::sync::Arc::new(notification.clone());
        for contact in notification.told_contacts() {
            let task = Task {
                notification: shared.clone(),
                contact: contact.clone(),
                attempts: 0,
            };
            let next_unix_ms = self.now().unix_ms;
            self.store.insert(task.key(), Row { task, next_unix_ms });
        }
        self.event(Event::Made(Box::new(notification)));
    }

    fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.queue.handle(self.now(), event, &mut effects);
        for effect in effects {
            self.carry_out(effect);
        }
        for state in self.queue.states() {
            assert!(state.in_flight <= IN_FLIGHT.max(16), "{state:?}");
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send(task) => {
                let key = task.key();
                assert!(self.under_way.insert(key.clone()), "twice at once: {key:?}");
                assert!(!self.ended.contains_key(&key), "after its end: {key:?}");
                self.attempts += 1;
                let outcome = (self.fate)(&task, self.attempts);
                if outcome == Outcome::Told {
                    *self.told.entry(key.clone()).or_default() += 1;
                }
                self.arriving.push_back(Event::Ended(key, outcome));
            }
            Effect::End(key, _) if !self.store_works => {
                self.arriving.push_back(Event::NotStored(key));
            }
            Effect::End(key, end) => {
                assert!(self.store.remove(&key).is_some(), "{key:?}");
                self.under_way.remove(&key);
                self.ended.insert(key.clone(), end);
                self.arriving.push_back(Event::Stored(key));
            }
            Effect::Later(Waiting {
                task, next_unix_ms, ..
            }) => {
                let key = task.key();
                let row = self.store.get_mut(&key).unwrap();
                *row = Row { task, next_unix_ms };
                self.under_way.remove(&key);
                self.arriving.push_back(Event::Stored(key));
            }
            Effect::Load {
                channel,
                until_unix_ms,
                limit,
            } => {
                self.loads += 1;
                let of_channel = || {
                    self.store
                        .values()
                        .filter(|row| row.task.contact.channel() == channel)
                };
                let mut due: Vec<&Row> = of_channel()
                    .filter(|row| row.next_unix_ms <= until_unix_ms)
                    .collect();
                due.sort_by_key(|row| row.next_unix_ms);
                let more = due.len() > limit;
                let tasks = due.into_iter().take(limit).map(|row| row.task.clone());
                let tasks = tasks.collect();
                let next_unix_ms = of_channel()
                    .map(|row| row.next_unix_ms)
                    .filter(|next| *next > until_unix_ms)
                    .min();
                self.arriving.push_back(Event::Loaded {
                    channel,
                    tasks,
                    more,
                    next_unix_ms,
                });
            }
        }
    }

    /// What arrives, `most` of it.
    fn settle(&mut self, most: usize) {
        for _ in 0..most {
            match self.arriving.pop_front() {
                Some(event) => self.event(event),
                None => return,
            }
        }
        assert_ne!(most, usize::MAX);
    }

    /// Everything until nothing is left to do or to wait for.
    fn run(&mut self) {
        for _ in 0..100_000 {
            self.settle(1_000_000);
            let Some(pause) = self.queue.until_deadline(self.now()) else {
                return;
            };
            self.elapsed_ms += i64::try_from(pause.as_millis()).unwrap().max(1);
            self.event(Event::Tick);
        }
        panic!("it never ends");
    }

    /// `kill -9`, and a new start.
    fn crash(&mut self) {
        self.arriving.clear();
        self.under_way.clear();
        self.queue = Queue::new(self.settings.clone());
        self.event(Event::Tick);
    }

    fn told(&self, contact: &str) -> usize {
        let contact: Contact = contact.parse().unwrap();
        let told = self.told.keys();
        told.filter(|key| key.contact == contact).count()
    }
}

fn always(outcome: Outcome) -> Fate {
    Box::new(move |_, _| outcome.clone())
}

const SMS: &str = "sms:+491701234";
const MAIL: &str = "mailto:alice@example.org";
const SIP: &str = "sip:alice@example.org";
const HOOK: &str = "https://example.org/hook";
const DEAD_HOOK: &str = "https://dead.example.org/hook";

#[test]
fn each_contact_is_told_once() {
    let mut world = World::new(all_on(), always(Outcome::Told));
    world.event(Event::Tick);
    for id in 1..=500 {
        world.make(id, &[SMS, MAIL, SIP, HOOK, SMS]);
    }
    world.run();
    assert_eq!(world.told.len(), 2000);
    assert!(world.told.values().all(|times| *times == 1));
    assert!(world.store.is_empty());
}

#[test]
fn what_fails_is_tried_again_later_and_later_and_given_up_at_last() {
    let mut world = World::new(all_on(), always(Outcome::Failed("busy".into())));
    world.make(1, &[SMS]);
    let mut waited = Vec::new();
    let mut before = world.elapsed_ms;
    for _ in 0..8 {
        let attempts = world.attempts;
        while world.attempts == attempts {
            world.settle(1000);
            let pause = world.queue.until_deadline(world.now()).unwrap();
            world.elapsed_ms += i64::try_from(pause.as_millis()).unwrap();
            world.event(Event::Tick);
            world.settle(1000);
        }
        waited.push(world.elapsed_ms - before);
        before = world.elapsed_ms;
    }
    assert_eq!(
        waited,
        [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
    );
    world.run();
    let end = world.ended.values().next().unwrap();
    assert!(
        matches!(end, End::GivenUp(why) if why.starts_with("too old")),
        "{end:?}"
    );
    assert!(world.elapsed_ms > GIVE_UP_MS);
    assert!(world.told.is_empty());
}

#[test]
fn what_is_refused_is_not_tried_again() {
    let mut world = World::new(all_on(), always(Outcome::Refused("unknown".into())));
    world.make(1, &[SMS]);
    world.run();
    assert_eq!(world.attempts, 1);
    let end = End::GivenUp("refused: unknown".into());
    assert!(world.ended.values().eq([&end]));
}

#[test]
fn one_dead_channel_holds_up_no_other() {
    let fate: Fate = Box::new(|task, _| match task.contact {
        Contact::Sms(_) => Outcome::Unreachable("no route".into()),
        _ => Outcome::Told,
    });
    let mut world = World::new(all_on(), fate);
    for id in 1..=3000 {
        world.make(id, &[SMS, MAIL, HOOK]);
    }
    // No time passes: nothing of the others waits for a retry.
    world.settle(1_000_000);
    assert_eq!(world.told(MAIL), 3000);
    assert_eq!(world.told(HOOK), 3000);
    let tried = world.attempts - 6000;
    assert!(
        tried <= IN_FLIGHT as u64,
        "{tried} attempts at a server that is dead"
    );
    // It comes back.
    world.fate = always(Outcome::Told);
    world.run();
    assert_eq!(world.told(SMS), 3000);
}

#[test]
fn one_dead_host_holds_up_no_other() {
    let fate: Fate = Box::new(|task, _| match &task.contact {
        Contact::Webhook(url) if url.contains("dead") => Outcome::Unreachable("refused".into()),
        _ => Outcome::Told,
    });
    let mut world = World::new(all_on(), fate);
    for id in 1..=1000 {
        world.make(id, &[DEAD_HOOK]);
    }
    for id in 1001..=1010 {
        world.make(id, &[HOOK]);
    }
    world.settle(1_000_000);
    assert_eq!(world.told(HOOK), 10);
    let tried = world.attempts - 10;
    assert!(tried <= 2, "{tried} attempts at a host that is dead");
    world.run();
    assert_eq!(world.told(DEAD_HOOK), 0);
    assert_eq!(world.ended.len(), 1010);
}

#[test]
fn a_channel_that_is_off_tells_nobody_and_keeps_nothing() {
    let mut world = World::new(Vec::new(), always(Outcome::Told));
    world.make(1, &[SMS, MAIL]);
    world.run();
    assert_eq!(world.attempts, 0);
    assert!(world.store.is_empty());
}

#[test]
fn an_account_is_told_only_so_often_in_an_hour() {
    let settings = Limits {
        per_account_hour: 5,
        ..limits()
    };
    let mut world = World::new(vec![(Channel::Sms, settings)], always(Outcome::Told));
    for id in 1..=20 {
        world.make(id, &[SMS]);
    }
    world.run();
    assert_eq!(world.told.len(), 5);
    world.elapsed_ms += 3_600_000;
    world.make(21, &[SMS]);
    world.run();
    assert_eq!(world.told.len(), 6);
}

#[test]
fn what_cannot_be_stored_as_told_is_not_told_again() {
    let mut world = World::new(all_on(), always(Outcome::Told));
    world.event(Event::Tick);
    world.settle(100);
    world.store_works = false;
    world.make(1, &[SMS]);
    for _ in 0..10 {
        world.settle(100);
        world.elapsed_ms += 1000;
        world.event(Event::Tick);
        world.event(Event::Behind);
    }
    assert_eq!(world.attempts, 1);
    world.store_works = true;
    world.elapsed_ms += 1000;
    world.run();
    assert_eq!(world.attempts, 1);
    assert!(world.store.is_empty());
}

#[test]
fn what_was_read_before_it_ended_is_not_told_again() {
    let mut world = World::new(all_on(), always(Outcome::Told));
    world.event(Event::Tick);
    world.settle(100);
    world.make(1, &[SMS]);
    // Read while it is under way; what was read arrives last.
    world.event(Event::Behind);
    let is_load = |event: &Event| matches!(event, Event::Loaded { .. });
    let (loads, others): (VecDeque<Event>, VecDeque<Event>) =
        world.arriving.drain(..).partition(is_load);
    assert!(
        loads
            .iter()
            .any(|event| matches!(event, Event::Loaded { tasks, .. } if tasks.len() == 1))
    );
    world.arriving = others;
    world.settle(100);
    assert!(world.store.is_empty());
    world.arriving = loads;
    world.run();
    assert_eq!(world.attempts, 1);
}

#[test]
fn one_instance_tells_while_the_other_does_not() {
    let mut world = World::new(all_on(), always(Outcome::Told));
    world.event(Event::Tick);
    world.settle(100);
    for id in 1..=20 {
        world.make(id, &[SMS]);
    }
    assert_eq!(world.attempts, IN_FLIGHT as u64);
    // What was under way ends after the other has taken over: it is not for us to say what became of it.
    world.event(Event::Halt);
    world.make(21, &[SMS]);
    world.event(Event::Tick);
    world.settle(100);
    assert_eq!(world.attempts, IN_FLIGHT as u64);
    assert_eq!(world.queue.until_deadline(world.now()), None);
    assert_eq!(world.store.len(), 21);
    // The other has told some.
    let left = world.store.split_off(&Key {
        id: 15,
        contact: SMS.parse().unwrap(),
    });
    world.store = left;
    world.under_way.clear();
    world.event(Event::Resume);
    world.run();
    let again = world.told.keys().filter(|key| key.id > IN_FLIGHT as u64);
    assert!(again.map(|key| key.id).eq(15..=21), "{:?}", world.told);
    assert!(world.store.is_empty());
}

#[test]
fn a_store_that_cannot_be_read_is_asked_again() {
    let mut world = World::new(all_on(), always(Outcome::Told));
    world.event(Event::Tick);
    world.arriving.clear();
    for channel in Channel::ALL {
        world.event(Event::NotLoaded(channel));
    }
    assert!(world.arriving.is_empty());
    let loads = world.loads;
    world.run();
    assert!(world.loads > loads);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails and however often everything crashes: all are told at last, and nobody after that was stored.
    #[test]
    fn crashes_lose_nothing(
        fates in proptest::collection::vec(0_u8..5, 1..200),
        steps in proptest::collection::vec((0_usize..40, any::<bool>(), 0_i64..5000), 1..30),
    ) {
        let mut left = fates.clone();
        let fate: Fate = Box::new(move |_, _| match left.pop() {
            Some(0) => Outcome::Failed("busy".into()),
            Some(1) => Outcome::Unreachable("gone".into()),
            _ => Outcome::Told,
        });
        let mut world = World::new(all_on(), fate);
        let mut id = 0;
        let mut crashes = 0;
        for (events, crash, pause_ms) in steps {
            for _ in 0..10 {
                id += 1;
                world.make(id, &[SMS, HOOK, MAIL]);
            }
            for _ in 0..events {
                if let Some(event) = world.arriving.pop_front() {
                    world.event(event);
                }
            }
            world.elapsed_ms += pause_ms;
            world.event(Event::Tick);
            if crash {
                world.crash();
                crashes += 1;
            }
        }
        world.run();
        prop_assert!(world.store.is_empty());
        prop_assert_eq!(world.told.len() as u64, id * 3);
        prop_assert!(world.ended.values().all(|end| *end == End::Told));
        // Told again is only what was under way in a crash.
        let again: u32 = world.told.values().map(|times| times - 1).sum();
        prop_assert!(again as usize <= crashes * 3 * IN_FLIGHT, "{} told again", again);
    }
}
