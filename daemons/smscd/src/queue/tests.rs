use super::*;
use crate::message::Kind;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn message(id: u64, to: &str, priority_flag: u8) -> Arc<Message> {
    let address = |digits: &str| Address {
        ton: 1,
        npi: 1,
        digits: digits.into(),
    };
    Arc::new(Message {
        id: MessageId::new(id).unwrap(),
        batch: None,
        submitter: "a".into(),
        kind: Kind::Short,
        service_type: "".into(),
        source: address("1"),
        destination: address(to),
        esm_class: 0,
        protocol_id: 0,
        priority_flag,
        registered_delivery: 0,
        data_coding: 0,
        sm_default_msg_id: 0,
        payload: Bytes::from_static(b"x"),
        payload_as_tlv: false,
        data_sm: false,
        tlvs: Vec::new(),
        advice: None,
        accepted_unix_ms: 0,
        schedule_unix_ms: None,
        expires_unix_ms: 1_000_000,
        segments: 1,
        charge: None,
    })
}

fn queue(window: u32) -> Queue {
    let mut queue = Queue::default();
    queue.reshape(
        vec![Lane {
            target: 0,
            window,
            ..Lane::default()
        }],
        1,
    );
    queue
}

fn add(queue: &mut Queue, id: u64, to: &str, priority: u8) -> Slot {
    let slot = queue.insert(
        message(id, to, priority),
        Progress::default(),
        Phase::Storing,
    );
    queue.wait(0, slot, 0);
    slot
}

fn take(queue: &mut Queue, now_ms: i64) -> Option<u64> {
    let slot = queue.take(now_ms, 0)?;
    Some(queue.item(slot)?.message.id.number())
}

fn slot(queue: &Queue, id: u64) -> Slot {
    queue.find(MessageId::new(id).unwrap()).unwrap()
}

#[test]
fn one_destination_keeps_its_order_and_does_not_hold_up_others() {
    let mut queue = queue(1);
    add(&mut queue, 1, "a", 0);
    add(&mut queue, 2, "a", 0);
    add(&mut queue, 3, "b", 0);
    assert_eq!(take(&mut queue, 0), Some(1));
    assert_eq!(take(&mut queue, 0), Some(3));
    assert_eq!(take(&mut queue, 0), None);
    let first = slot(&queue, 1);
    queue.item_mut(first).unwrap().progress.next_attempt_unix_ms = 50;
    queue.put_back(0, first);
    assert_eq!(take(&mut queue, 10), None);
    assert_eq!(queue.next_due(), Some(50));
    let due = queue.pop_due(50).unwrap();
    queue.wake(50, due);
    assert_eq!(take(&mut queue, 50), Some(1));
    queue.remove(50, first);
    assert_eq!(take(&mut queue, 50), Some(2));
}

#[test]
fn a_higher_priority_overtakes() {
    let mut queue = queue(1);
    add(&mut queue, 1, "a", 0);
    add(&mut queue, 2, "b", 0);
    add(&mut queue, 3, "a", 2);
    assert_eq!(take(&mut queue, 0), Some(3));
    assert_eq!(take(&mut queue, 0), Some(2));
    assert_eq!(take(&mut queue, 0), None);
    let third = slot(&queue, 3);
    queue.remove(0, third);
    assert_eq!(take(&mut queue, 0), Some(1));
}

#[test]
fn a_held_lane_lets_nothing_out_and_forgets_nothing() {
    let mut queue = queue(1);
    add(&mut queue, 1, "a", 0);
    queue.hold(0, 0, true);
    assert_eq!(take(&mut queue, 0), None);
    add(&mut queue, 2, "b", 0);
    assert_eq!(take(&mut queue, 0), None);
    queue.hold(0, 0, false);
    let out: BTreeSet<_> = std::iter::from_fn(|| take(&mut queue, 0)).collect();
    assert_eq!(out, BTreeSet::from([1, 2]));
}

#[test]
fn scheduled_ones_wait_apart() {
    let mut queue = queue(1);
    let first = queue.insert(message(1, "a", 3), Progress::default(), Phase::Storing);
    queue.schedule(first, 0, 100);
    add(&mut queue, 2, "a", 0);
    assert_eq!(queue.waiting(0, &message(9, "a", 0).destination).count(), 2);
    assert_eq!(take(&mut queue, 0), Some(2));
    let second = slot(&queue, 2);
    queue.remove(0, second);
    assert_eq!(queue.pop_due(100), Some(first));
    queue.wait(100, first, 0);
    assert_eq!(take(&mut queue, 100), Some(1));
    queue.remove(100, first);
    assert_eq!(
        (queue.len(), queue.destinations(), queue.octets()),
        (0, 0, 0)
    );
}

#[test]
fn timers_do_not_grow() {
    let mut queue = queue(1);
    for id in 1..100_000 {
        let slot = add(&mut queue, id, "a", 0);
        assert_eq!(take(&mut queue, 0), Some(id));
        queue.remove(0, slot);
    }
    assert!(queue.timers.len() <= 2 * queue.items.places() + 1025);
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8, u8),
    Take,
    Fail(u8),
    Finish(u8),
    Hold(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..4, 0u8..4).prop_map(|(to, priority)| Step::Add(to, priority)),
        4 => Just(Step::Take),
        1 => any::<u8>().prop_map(Step::Fail),
        3 => any::<u8>().prop_map(Step::Finish),
        1 => any::<bool>().prop_map(Step::Hold),
    ]
}

proptest! {
    /// Against a plain model: per destination, what is taken is the first of the highest priority, never more than
    /// the window at once; at the end everything comes out once.
    #[test]
    fn as_a_plain_model(window in 1u32..3, steps in proptest::collection::vec(step(), 0..200)) {
        let mut queue = queue(window);
        let mut waiting: Vec<(u64, u8, u8)> = Vec::new(); // id, to, priority
        let mut out: Vec<(u64, u8, u8)> = Vec::new();
        let mut held = false;
        let mut next = 1;
        let end = [Step::Hold(false)].into_iter().chain((0..800).map(|index| {
            if index % 2 == 0 { Step::Take } else { Step::Finish(0) }
        }));
        for step in steps.into_iter().chain(end) {
            match step {
                Step::Add(to, priority) => {
                    add(&mut queue, next, &to.to_string(), priority);
                    waiting.push((next, to, priority));
                    next += 1;
                }
                Step::Take => {
                    let busy = |to: u8, out: &[(u64, u8, u8)]| out.iter().filter(|entry| entry.1 == to).count() >= window as usize;
                    match take(&mut queue, 0) {
                        Some(id) => {
                            prop_assert!(!held);
                            let index = waiting.iter().position(|entry| entry.0 == id).unwrap();
                            let taken = waiting.remove(index);
                            prop_assert!(!busy(taken.1, &out));
                            for other in waiting.iter().filter(|other| other.1 == taken.1) {
                                prop_assert!((other.2, std::cmp::Reverse(other.0)) < (taken.2, std::cmp::Reverse(taken.0)));
                            }
                            out.push(taken);
                        }
                        None => prop_assert!(held || waiting.iter().all(|entry| busy(entry.1, &out))),
                    }
                }
                Step::Fail(which) => if !out.is_empty() {
                    let entry = out.remove(usize::from(which) % out.len());
                    let slot = slot(&queue, entry.0);
                    queue.put_back(0, slot);
                    waiting.push(entry);
                },
                Step::Finish(which) => if !out.is_empty() {
                    let entry = out.remove(usize::from(which) % out.len());
                    let slot = slot(&queue, entry.0);
                    prop_assert!(queue.remove(0, slot).is_some());
                },
                Step::Hold(on) => {
                    held = on;
                    queue.hold(0, 0, on);
                }
            }
            prop_assert_eq!(queue.len(), waiting.len() + out.len());
        }
        prop_assert_eq!((queue.len(), queue.destinations()), (0, 0));
    }
}
