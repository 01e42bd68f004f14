//! RFC 6733 5.6.4: two nodes connect to each other, and one connection survives.

mod world;

use std::time::Duration;

use tollwire_diameter::peer::{PeerEvent, PeerSettings};
use world::{Side, World, local, settings};

const SECOND: Duration = Duration::from_secs(1);

fn both_connect(a: &str, b: &str) -> World {
    World::new((local(a), settings(true)), (local(b), settings(true)))
}

fn assert_one_connection(world: &mut World) {
    assert!(world.is_open(Side::A) && world.is_open(Side::B));
    assert_eq!(
        world.peers[&Side::A].open_connection(),
        world.peers[&Side::B].open_connection()
    );
    assert_eq!(world.connection_count(), 1);
    assert_eq!(world.heard(Side::A).opened, 1);
    assert_eq!(world.heard(Side::B).opened, 1);
}

#[test]
fn the_connection_to_the_higher_name_survives() {
    for (a, b) in [("a.example", "b.example"), ("B.example", "a.example")] {
        let mut world = both_connect(a, b);
        world.tell(Side::A, PeerEvent::Start);
        world.tell(Side::B, PeerEvent::Start);
        world.run(SECOND);
        assert_one_connection(&mut world);
        // Connections are numbered as they come up: A's is the first.
        let survivor = world.peers[&Side::A].open_connection().unwrap();
        // "The responder connection will survive if the Origin-Host of the local Diameter entity is
        // higher": the one that the lower name initiated.
        let initiated_by_a = survivor.0 == 0;
        assert_eq!(
            initiated_by_a,
            a.to_ascii_lowercase() < b.to_ascii_lowercase()
        );
    }
}

#[test]
fn it_ends_with_one_connection_however_the_starts_lie() {
    // The second start falls into every state of the first: Wait-Conn-Ack, Wait-I-CEA, Open.
    for (a, b) in [("a.example", "b.example"), ("b.example", "a.example")] {
        for micros in (0..5_000).step_by(250) {
            let mut world = both_connect(a, b);
            world.tell(Side::A, PeerEvent::Start);
            world.run(Duration::from_micros(micros));
            world.tell(Side::B, PeerEvent::Start);
            world.run(10 * SECOND);
            assert_one_connection(&mut world);
        }
    }
}

#[test]
fn a_node_that_cannot_connect_takes_the_connection_that_came() {
    // Wait-Conn-Ack/Elect, I-Rcv-Conn-Nack: R-Snd-CEA, R-Open.
    for (a, b) in [("a.example", "b.example"), ("b.example", "a.example")] {
        let mut world = both_connect(a, b);
        world.reachable.insert(Side::A, false);
        world.tell(Side::B, PeerEvent::Start);
        world.tell(Side::A, PeerEvent::Start);
        world.run(10 * SECOND);
        assert!(world.is_open(Side::A) && world.is_open(Side::B));
        assert_eq!(world.connection_count(), 1);
    }
}

#[test]
fn a_connection_broken_during_the_election_is_made_good() {
    for micros in (0..4_000).step_by(200) {
        let mut world = both_connect("a.example", "b.example");
        world.tell(Side::A, PeerEvent::Start);
        world.tell(Side::B, PeerEvent::Start);
        world.run(Duration::from_micros(micros));
        world.break_connections();
        world.run(10 * SECOND);
        assert!(world.is_open(Side::A) && world.is_open(Side::B), "{micros}");
        assert_eq!(world.connection_count(), 1);
    }
}

/// Random starts, breaks, silences, requests: every request sent has one outcome, no more.
#[test]
fn every_request_has_one_outcome_whatever_happens() {
    for seed in 1..=60_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let limited = PeerSettings {
            max_pending: 20,
            ..settings(true)
        };
        let mut world = World::new(
            (local("a.example"), limited.clone()),
            (local("b.example"), limited),
        );
        world.tell(Side::A, PeerEvent::Start);
        let mut sent = [Vec::new(), Vec::new()];
        let mut token = 0;
        for _ in 0..300 {
            let side = if next() % 2 == 0 { Side::A } else { Side::B };
            match next() % 12 {
                0 => world.break_connections(),
                1 => world.tell(side, PeerEvent::Start),
                2 => {
                    let reachable = next() % 3 != 0;
                    world.reachable.insert(side, reachable);
                }
                3 => {
                    let hears = next() % 4 != 0;
                    world.hears.insert(side, hears);
                }
                4 => world.answers = next() % 3 != 0,
                _ => {
                    token += 1;
                    if world.send(side, token, request()).is_ok() {
                        sent[usize::from(side == Side::B)].push(token);
                    }
                }
            }
            world.run(Duration::from_millis(next() % 4_000));
            assert!(world.peers[&side].pending() <= 20);
        }
        world.run(60 * SECOND);
        for (side, mut sent) in [Side::A, Side::B].into_iter().zip(sent) {
            assert_eq!(world.peers[&side].pending(), 0);
            let heard = world.heard(side);
            let mut outcomes: Vec<u64> = heard.answers.iter().map(|it| it.0).collect();
            outcomes.extend(heard.failures.iter().map(|it| it.0));
            outcomes.sort_unstable();
            sent.sort_unstable();
            assert_eq!(outcomes, sent, "seed {seed}");
            assert!(heard.opened == heard.closed || heard.opened == heard.closed + 1);
        }
        world.reachable = [(Side::A, true), (Side::B, true)].into();
        world.hears = [(Side::A, true), (Side::B, true)].into();
        world.run(200 * SECOND);
        assert!(
            world.is_open(Side::A) && world.is_open(Side::B),
            "seed {seed}"
        );
        assert!(world.connection_count() <= 1);
    }
}

fn request() -> tollwire_diameter::Message {
    tollwire_diameter::Message {
        flags: tollwire_diameter::CommandFlags::REQUEST,
        command_code: tollwire_diameter::dictionary::command::CREDIT_CONTROL,
        application_id: 4,
        ..tollwire_diameter::Message::default()
    }
}
