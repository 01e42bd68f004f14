//! A client of several servers, of which one works (RFC 6733 5.5.4, 6.12; RFC 8506 5.7). Whoever B is after a
//! connection was closed stands for the next server.

mod samples;
mod world;

use std::time::Duration;

use tollwire_diameter::dictionary::{self, command};
use tollwire_diameter::peer::{Failure, PeerEvent, PeerSettings};
use tollwire_diameter::{Message, ResultCode};
use world::{Side, World, local, settings};

const SECOND: Duration = Duration::from_secs(1);

fn opened(alternatives: usize) -> World {
    let client = PeerSettings {
        alternatives,
        ..settings(true)
    };
    let mut world = World::new(
        (local("client.example"), client),
        (local("server.example"), settings(false)),
    );
    world.tell(Side::A, PeerEvent::Start);
    world.run(SECOND);
    assert!(world.is_open(Side::A));
    world
}

fn request() -> Message {
    let mut request = samples::ccr().encode(0, 0);
    request
        .avps
        .retain(|avp| !avp.is(&dictionary::DESTINATION_HOST) && !avp.is(&dictionary::ROUTE_RECORD));
    request
}

/// Whether the requests that B got were marked as retransmitted, in their order.
fn marks(world: &mut World) -> Vec<bool> {
    let requests = &world.heard(Side::B).requests;
    (requests.iter())
        .map(|(_, request)| request.is_retransmitted())
        .collect()
}

/// The results that A's application was told.
fn results(world: &mut World) -> Vec<Option<ResultCode>> {
    let answers = &world.heard(Side::A).answers;
    answers.iter().map(|(_, it)| it.result_code()).collect()
}

#[test]
fn who_is_sent_on_asks_the_next_server_the_same() {
    let mut world = opened(1);
    world.refuses = Some(ResultCode::REDIRECT_INDICATION);
    world.send(Side::A, 1, request()).unwrap();
    world.send(Side::A, 2, request()).unwrap();
    world.run(Duration::from_millis(50));
    assert_eq!(world.moments(Side::A, command::DISCONNECT_PEER).len(), 1);
    assert_eq!(marks(&mut world), [false, false]);
    world.refuses = None;
    world.run(SECOND);
    assert_eq!(marks(&mut world), [false, false, true, true]);
    let requests = &world.heard(Side::B).requests;
    let ids: Vec<u32> = requests.iter().map(|(_, it)| it.end_to_end_id).collect();
    assert_eq!(ids[..2], ids[2..]);
    let told = world.heard(Side::A);
    assert_eq!((told.answers.len(), told.failures.len()), (2, 0));
    assert_eq!(told.opened, 2);
}

#[test]
fn without_another_server_the_application_hears_of_it() {
    let mut world = opened(0);
    for code in [ResultCode::REDIRECT_INDICATION, ResultCode::TOO_BUSY] {
        world.refuses = Some(code);
        world.send(Side::A, 1, request()).unwrap();
        world.run(SECOND);
        assert_eq!(results(&mut world).pop(), Some(Some(code)));
    }
    assert_eq!(world.heard(Side::A).closed, 0);
}

#[test]
fn one_that_is_too_busy_is_left_but_nobody_asks_around_for_ever() {
    for code in [ResultCode::TOO_BUSY, ResultCode::UNABLE_TO_DELIVER] {
        let mut world = opened(2);
        world.refuses = Some(code);
        world.send(Side::A, 1, request()).unwrap();
        world.run(SECOND);
        assert_eq!(marks(&mut world), [false, true, true]);
        assert_eq!(results(&mut world), [Some(code)]);
    }
}

#[test]
fn one_that_serves_others_is_not_left_for_refusing_one() {
    let mut world = opened(1);
    world.send(Side::A, 1, request()).unwrap();
    world.run(SECOND / 2);
    world.refuses = Some(ResultCode::TOO_BUSY);
    world.send(Side::A, 2, request()).unwrap();
    world.run(SECOND / 4);
    assert_eq!(results(&mut world), [None, Some(ResultCode::TOO_BUSY)]);
    assert_eq!(world.heard(Side::A).closed, 0);
    // A second later it has served nobody for too long.
    world.run(SECOND);
    world.send(Side::A, 3, request()).unwrap();
    world.run(SECOND);
    assert_eq!(world.heard(Side::A).opened, 2);
}

#[test]
fn between_two_servers_requests_wait_for_the_next_one() {
    let mut world = opened(1);
    world.break_connections();
    world.send(Side::A, 1, request()).unwrap();
    world.run(SECOND);
    assert_eq!(marks(&mut world), [false]);
    assert_eq!(world.heard(Side::A).answers.len(), 1);
}

#[test]
fn one_that_falls_silent_is_left_when_a_request_has_had_no_answer() {
    let mut world = opened(1);
    world.run(SECOND);
    world.hears.insert(Side::B, false);
    world.send(Side::A, 1, request()).unwrap();
    world.run(SECOND * 9);
    world.send(Side::A, 2, request()).unwrap();
    world.run(SECOND + Duration::from_millis(50));
    assert_eq!(world.heard(Side::A).failures, [(1, Failure::Timeout)]);
    assert_eq!(world.heard(Side::A).closed, 1);
    world.hears.insert(Side::B, true);
    world.run(SECOND * 7);
    assert_eq!(world.heard(Side::A).answers.len(), 1);
}
