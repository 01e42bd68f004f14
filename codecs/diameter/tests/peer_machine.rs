//! The peer state machine of RFC 6733 5.6 in virtual time.

mod samples;
mod world;

use std::time::Duration;

use bytes::Bytes;
use tollwire_diameter::base::{CapabilitiesExchangeRequest, DisconnectCause};
use tollwire_diameter::dictionary::{self, command};
use tollwire_diameter::peer::{
    ConnectionId, Failure, PeerEffect, PeerEvent, PeerSettings, Refused,
};
use tollwire_diameter::{Avp, CommandFlags, Message, ResultCode};
use world::{LATENCY, Side, World, local, settings};

const SECOND: Duration = Duration::from_secs(1);

fn opened() -> World {
    let mut world = World::client_and_server();
    world.tell(Side::A, PeerEvent::Start);
    world.run(SECOND);
    assert!(world.is_open(Side::A) && world.is_open(Side::B));
    world
}

/// A CCR for the server, with no more AVPs than the node itself looks at.
fn request() -> Message {
    let mut request = samples::ccr().encode(0, 0);
    request
        .avps
        .retain(|avp| !avp.is(&dictionary::DESTINATION_HOST) && !avp.is(&dictionary::ROUTE_RECORD));
    request
}

fn refusal_of(message: Message) -> Option<ResultCode> {
    let mut world = opened();
    world.send(Side::A, 1, message).unwrap();
    world.run(SECOND);
    let (_, answer) = world.heard(Side::A).answers.pop().unwrap();
    assert_eq!(
        answer.is_error(),
        answer
            .result_code()
            .is_some_and(ResultCode::is_protocol_error)
    );
    answer.result_code()
}

#[test]
fn a_connection_opens_with_a_capabilities_exchange() {
    let mut world = opened();
    assert_eq!(
        world.sent(Side::A),
        [(command::CAPABILITIES_EXCHANGE, true)]
    );
    assert_eq!(
        world.sent(Side::B),
        [(command::CAPABILITIES_EXCHANGE, false)]
    );
    let remote = world.peer(Side::A).remote().unwrap();
    assert_eq!(remote.origin_host, "server.example");
    assert_eq!(remote.application_ids, [4, 16_777_236]);
    assert!(remote.supports(4) && !remote.supports(5));
    assert_eq!(world.heard(Side::A).opened, 1);
    assert_eq!(world.heard(Side::B).opened, 1);
}

fn refused_cer(
    server: PeerSettings,
    change: impl Fn(&mut CapabilitiesExchangeRequest),
) -> ResultCode {
    let mut world = World::new(
        (local("client.example"), settings(true)),
        (local("server.example"), server),
    );
    let mut cer = samples::cer();
    change(&mut cer);
    let mut effects = Vec::new();
    let now = world.now;
    world.peer(Side::B).handle(
        now,
        PeerEvent::Incoming {
            connection: ConnectionId(9),
            cer: cer.encode(1, 2),
        },
        &mut effects,
    );
    let [PeerEffect::Write { frame, .. }, PeerEffect::Close { .. }] = effects.as_slice() else {
        panic!("a CEA and the end are expected, not {effects:?}");
    };
    assert!(!world.is_open(Side::B));
    Message::decode(frame.clone())
        .unwrap()
        .result_code()
        .unwrap()
}

#[test]
fn peers_without_a_common_application_are_refused() {
    let code = refused_cer(settings(false), |cer| {
        cer.auth_application_ids = vec![1];
        cer.acct_application_ids.clear();
        cer.vendor_specific_application_ids.clear();
    });
    assert_eq!(code, ResultCode::NO_COMMON_APPLICATION);
}

#[test]
fn peers_of_another_name_than_expected_are_refused() {
    let expected = PeerSettings {
        origin_host: Some("other.example".into()),
        ..settings(false)
    };
    assert_eq!(refused_cer(expected, |_| {}), ResultCode::UNKNOWN_PEER);
    let own_name = |cer: &mut CapabilitiesExchangeRequest| {
        cer.origin_host = "Server.Example".into();
    };
    assert_eq!(
        refused_cer(settings(false), own_name),
        ResultCode::UNKNOWN_PEER
    );
}

#[test]
fn peers_that_insist_on_in_band_security_are_refused() {
    let code = refused_cer(settings(false), |cer| cer.inband_security_ids = vec![1]);
    assert_eq!(code, ResultCode::NO_COMMON_SECURITY);
}

#[test]
fn a_relay_has_every_application_in_common() {
    let mut world = World::client_and_server();
    let mut cer = samples::cer();
    cer.auth_application_ids = vec![dictionary::APPLICATION_RELAY];
    cer.vendor_specific_application_ids.clear();
    world.tell(
        Side::B,
        PeerEvent::Incoming {
            connection: ConnectionId(9),
            cer: cer.encode(1, 2),
        },
    );
    assert!(world.is_open(Side::B));
}

#[test]
fn a_request_is_answered_on_its_connection() {
    let mut world = opened();
    world.send(Side::A, 42, request()).unwrap();
    assert_eq!(world.peer(Side::A).pending(), 1);
    world.run(SECOND);
    let (token, answer) = world.heard(Side::A).answers.pop().unwrap();
    assert_eq!(token, 42);
    let (connection, asked) = world.heard(Side::B).requests.pop().unwrap();
    assert_eq!(Some(connection), world.peers[&Side::A].open_connection());
    assert_eq!(asked.hop_by_hop_id, answer.hop_by_hop_id);
    assert_ne!(asked.end_to_end_id, 0);
    assert_eq!(world.peer(Side::A).pending(), 0);
}

#[test]
fn identifiers_differ_between_requests_and_one_given_is_kept() {
    let mut world = opened();
    for token in 0..3 {
        world.send(Side::A, token, request()).unwrap();
    }
    let mut marked = request();
    marked.end_to_end_id = 0x00c0_ffee;
    marked.flags = marked.flags.with(CommandFlags::RETRANSMITTED);
    world.send(Side::A, 3, marked).unwrap();
    world.run(SECOND);
    let requests = &world.heard(Side::B).requests;
    for (at, (_, left)) in requests.iter().enumerate() {
        for (_, right) in &requests[at + 1..] {
            assert_ne!(left.hop_by_hop_id, right.hop_by_hop_id);
            assert_ne!(left.end_to_end_id, right.end_to_end_id);
        }
    }
    assert_eq!(requests[3].1.end_to_end_id, 0x00c0_ffee);
    assert!(requests[3].1.is_retransmitted());
}

#[test]
fn an_answer_that_matches_no_request_is_dropped() {
    let mut world = opened();
    let connection = world.peers[&Side::A].open_connection().unwrap();
    let mut answer = request().answer_header();
    answer.hop_by_hop_id = 1;
    let event = PeerEvent::Received {
        connection,
        message: answer,
    };
    world.tell(Side::A, event);
    assert!(world.heard(Side::A).answers.is_empty());
}

#[test]
fn requests_are_refused_when_they_cannot_be_sent() {
    let mut world = World::client_and_server();
    assert_eq!(world.send(Side::A, 1, request()), Err(Refused::Unreachable));
    let mut world = opened();
    let mut other = request();
    other.application_id = 5;
    assert_eq!(world.send(Side::A, 1, other), Err(Refused::Unsupported));
    let mut world = World::new(
        (
            local("client.example"),
            PeerSettings {
                max_pending: 2,
                ..settings(true)
            },
        ),
        (local("server.example"), settings(false)),
    );
    world.answers = false;
    world.tell(Side::A, PeerEvent::Start);
    world.run(SECOND);
    world.send(Side::A, 1, request()).unwrap();
    world.send(Side::A, 2, request()).unwrap();
    assert_eq!(world.send(Side::A, 3, request()), Err(Refused::Full));
}

#[test]
fn a_request_without_an_answer_fails_when_its_time_is_up() {
    let mut world = opened();
    world.answers = false;
    world.send(Side::A, 1, request()).unwrap();
    world.run(5 * SECOND);
    world.send(Side::A, 2, request()).unwrap();
    world.run(5 * SECOND);
    assert_eq!(world.heard(Side::A).failures, [(1, Failure::Timeout)]);
    world.run(5 * SECOND);
    assert_eq!(
        world.heard(Side::A).failures,
        [(1, Failure::Timeout), (2, Failure::Timeout)]
    );
}

#[test]
fn requests_are_sent_again_with_the_t_bit_after_a_reconnect() {
    let mut world = opened();
    world.answers = false;
    for token in 0..3 {
        world.send(Side::A, token, request()).unwrap();
    }
    world.run(LATENCY);
    let first = std::mem::take(&mut world.heard(Side::B).requests);
    world.break_connections();
    assert_eq!(world.heard(Side::A).closed, 1);
    world.answers = true;
    world.run(SECOND);
    let second = std::mem::take(&mut world.heard(Side::B).requests);
    assert_eq!(second.len(), 3);
    for ((_, first), (_, second)) in first.iter().zip(&second) {
        assert!(!first.is_retransmitted() && second.is_retransmitted());
        assert_eq!(first.end_to_end_id, second.end_to_end_id);
        assert_eq!(first.avps, second.avps);
    }
    let answers: Vec<u64> = world.heard(Side::A).answers.iter().map(|it| it.0).collect();
    assert_eq!(answers, [0, 1, 2]);
    assert!(world.heard(Side::A).failures.is_empty());
}

#[test]
fn the_pause_between_attempts_doubles_up_to_its_limit_and_starts_anew() {
    let mut world = World::client_and_server();
    world.reachable.insert(Side::B, false);
    world.tell(Side::A, PeerEvent::Start);
    let mut previous = world.now;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        // The attempt fails after the latency; then the pause is what the deadline says.
        world.run(LATENCY);
        let next = world.peers[&Side::A].next_deadline().unwrap();
        pauses.push((next - world.now).as_millis());
        world.run(next - world.now);
        assert!(world.now > previous);
        previous = world.now;
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    world.reachable.insert(Side::B, true);
    world.run(20 * SECOND);
    assert!(world.is_open(Side::A));
    world.break_connections();
    let next = world.peers[&Side::A].next_deadline().unwrap();
    assert_eq!(next - world.now, Duration::from_millis(100));
}

#[test]
fn a_connection_that_never_stands_times_out() {
    let mut world = World::client_and_server();
    let mut effects = Vec::new();
    let now = world.now;
    world
        .peer(Side::A)
        .handle(now, PeerEvent::Start, &mut effects);
    assert_eq!(effects, [PeerEffect::Connect]);
    effects.clear();
    // Neither an outcome nor, later, a CEA.
    let now = now + 11 * SECOND;
    world
        .peer(Side::A)
        .handle(now, PeerEvent::Tick, &mut effects);
    assert!(effects.is_empty());
    let id = ConnectionId(1);
    world
        .peer(Side::A)
        .handle(now, PeerEvent::Connected(id), &mut effects);
    assert_eq!(effects, [PeerEffect::Close { connection: id }]);

    let mut world = World::client_and_server();
    world.hears.insert(Side::A, false);
    world.tell(Side::A, PeerEvent::Start);
    world.run(9 * SECOND);
    assert!(!world.is_open(Side::A) && world.is_open(Side::B));
    world.hears.insert(Side::A, true);
    world.run(3 * SECOND);
    assert!(world.is_open(Side::A));
}

#[test]
fn a_cea_that_refuses_ends_the_attempt() {
    let expected = PeerSettings {
        origin_host: Some("other.example".into()),
        ..settings(false)
    };
    let mut world = World::new(
        (local("client.example"), settings(true)),
        (local("server.example"), expected),
    );
    world.tell(Side::A, PeerEvent::Start);
    world.run(30 * SECOND);
    assert_eq!(world.heard(Side::A).opened, 0);
    let attempts = world.moments(Side::A, command::CAPABILITIES_EXCHANGE);
    assert!((6..=14).contains(&attempts.len()), "{attempts:?}");
}

// --- RFC 3539 ---

#[test]
fn watchdogs_are_exchanged_while_nothing_else_is() {
    let mut world = opened();
    world.run(200 * SECOND);
    let moments = world.moments(Side::A, command::DEVICE_WATCHDOG);
    assert!(moments.len() >= 5, "{moments:?}");
    // 3.4.1: Tw is 30 s with a jitter of 2 s either way.
    assert!(moments[0] >= 28 * SECOND && moments[0] <= 33 * SECOND);
    assert!(world.is_open(Side::A) && world.is_open(Side::B));
}

#[test]
fn traffic_makes_watchdogs_unnecessary() {
    let mut world = opened();
    for token in 0..20 {
        world.send(Side::A, token, request()).unwrap();
        world.run(10 * SECOND);
    }
    assert!(world.moments(Side::A, command::DEVICE_WATCHDOG).is_empty());
}

#[test]
fn a_silent_peer_is_suspected_and_then_closed() {
    let mut world = opened();
    world.answers = false;
    world.hears.insert(Side::A, false);
    world.run(40 * SECOND);
    assert_eq!(world.moments(Side::A, command::DEVICE_WATCHDOG).len(), 1);
    world.send(Side::A, 1, request()).unwrap();
    world.run(28 * SECOND);
    // SUSPECT: nothing new is sent, but the connection still stands.
    assert_eq!(world.send(Side::A, 2, request()), Err(Refused::Unreachable));
    assert!(world.is_open(Side::A));
    world.run(33 * SECOND);
    assert!(!world.is_open(Side::A));
    assert_eq!(world.heard(Side::A).closed, 1);
    assert_eq!(world.heard(Side::A).failures, [(1, Failure::Timeout)]);
    world.hears.insert(Side::A, true);
    world.run(20 * SECOND);
    assert!(world.is_open(Side::A));
}

#[test]
fn a_suspected_peer_that_speaks_is_used_again() {
    let mut world = opened();
    world.hears.insert(Side::A, false);
    world.run(66 * SECOND);
    assert_eq!(world.send(Side::A, 2, request()), Err(Refused::Unreachable));
    let connection = world.peers[&Side::A].open_connection().unwrap();
    let event = PeerEvent::Received {
        connection,
        message: request(),
    };
    world.tell(Side::A, event);
    world.send(Side::A, 3, request()).unwrap();
    assert!(world.is_open(Side::A));
}

// --- 5.4 ---

#[test]
fn a_stop_disconnects_with_dpr_and_stays_closed() {
    let mut world = opened();
    world.answers = false;
    world.send(Side::A, 1, request()).unwrap();
    world.run(LATENCY);
    world.tell(Side::A, PeerEvent::Stop(DisconnectCause::Rebooting));
    assert!(!world.is_open(Side::A));
    assert_eq!(world.send(Side::A, 2, request()), Err(Refused::Unreachable));
    world.run(60 * SECOND);
    assert_eq!(
        world.sent(Side::A).last(),
        Some(&(command::DISCONNECT_PEER, true))
    );
    assert_eq!(
        world.sent(Side::B).last(),
        Some(&(command::DISCONNECT_PEER, false))
    );
    assert_eq!(world.heard(Side::A).failures, [(1, Failure::Stopped)]);
    assert_eq!(world.heard(Side::A).closed, 1);
    assert_eq!(world.heard(Side::B).closed, 1);
    assert!(world.peer(Side::A).is_idle() && world.peer(Side::B).is_idle());
    assert_eq!(world.connection_count(), 0);
}

#[test]
fn both_sides_may_disconnect_at_once() {
    let mut world = opened();
    world.tell(Side::A, PeerEvent::Stop(DisconnectCause::Rebooting));
    world.tell(Side::B, PeerEvent::Stop(DisconnectCause::Rebooting));
    world.run(60 * SECOND);
    assert!(world.peer(Side::A).is_idle() && world.peer(Side::B).is_idle());
}

#[test]
fn a_dpr_without_a_dpa_ends_by_itself() {
    let mut world = opened();
    world.hears.insert(Side::B, false);
    world.tell(Side::A, PeerEvent::Stop(DisconnectCause::Busy));
    world.run(11 * SECOND);
    assert!(world.peer(Side::A).is_idle());
}

#[test]
fn after_a_dpr_the_client_comes_back_sooner_or_later_by_its_cause() {
    for (cause, at_once) in [
        (DisconnectCause::Rebooting, true),
        (DisconnectCause::DoNotWantToTalkToYou, false),
    ] {
        let mut world = opened();
        world.run(10 * SECOND);
        world.tell(Side::B, PeerEvent::Stop(cause));
        world.reachable.insert(Side::B, false);
        world.run(Duration::from_millis(50));
        let next = world.peers[&Side::A].next_deadline().unwrap();
        assert_eq!(next - world.now < SECOND, at_once, "{cause:?}");
    }
}

#[test]
fn an_answer_on_its_way_still_counts_while_disconnecting() {
    let mut world = opened();
    world.send(Side::A, 1, request()).unwrap();
    world.tell(Side::A, PeerEvent::Stop(DisconnectCause::Rebooting));
    world.run(SECOND);
    assert_eq!(world.heard(Side::A).answers.len(), 1);
    assert!(world.heard(Side::A).failures.is_empty());
}

// --- requests that the node itself refuses ---

#[test]
fn requests_that_are_not_for_this_node_are_refused() {
    let with = |avp: Avp| {
        let mut message = request();
        message.avps.retain(|it| it.code != avp.code);
        message.avps.push(avp);
        message
    };
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let host = |name| Avp::with_data(&dictionary::DESTINATION_HOST, text(name));
    let realm = |name| Avp::with_data(&dictionary::DESTINATION_REALM, text(name));
    let route = |name| Avp::with_data(&dictionary::ROUTE_RECORD, text(name));
    for (message, expected) in [
        (with(host("SERVER.example")), None),
        (
            with(host("other.example")),
            Some(ResultCode::UNABLE_TO_DELIVER),
        ),
        (with(realm("EXAMPLE")), None),
        (with(realm("elsewhere")), Some(ResultCode::REALM_NOT_SERVED)),
        (with(route("relay.example")), None),
        (
            with(route("server.example")),
            Some(ResultCode::LOOP_DETECTED),
        ),
        (
            Message {
                command_code: command::AA,
                ..request()
            },
            Some(ResultCode::COMMAND_UNSUPPORTED),
        ),
    ] {
        assert_eq!(refusal_of(message), expected);
    }
}

#[test]
fn requests_of_unknown_applications_are_refused() {
    let mut world = opened();
    let connection = world.peers[&Side::B].open_connection().unwrap();
    for (application_id, expected) in [
        (5, ResultCode::APPLICATION_UNSUPPORTED),
        (0, ResultCode::COMMAND_UNSUPPORTED),
    ] {
        let message = Message {
            application_id,
            ..request()
        };
        let event = PeerEvent::Received {
            connection,
            message,
        };
        world.tell(Side::B, event);
        let (_, _, answer) = world.log.last().unwrap();
        assert!(answer.is_error());
        assert_eq!(answer.result_code(), Some(expected));
    }
    assert!(world.heard(Side::B).requests.is_empty());
}

#[test]
fn a_second_cer_is_refused_and_another_connection_too() {
    let mut world = opened();
    let connection = world.peers[&Side::B].open_connection().unwrap();
    let cer = samples::cer().encode(1, 2);
    let event = PeerEvent::Received {
        connection,
        message: cer.clone(),
    };
    world.tell(Side::B, event);
    let (_, _, answer) = world.log.last().unwrap();
    assert_eq!(answer.result_code(), Some(ResultCode::UNABLE_TO_COMPLY));

    let mut effects = Vec::new();
    let now = world.now;
    let event = PeerEvent::Incoming {
        connection: ConnectionId(77),
        cer,
    };
    world.peer(Side::B).handle(now, event, &mut effects);
    // R-Reject.
    let connection = ConnectionId(77);
    assert_eq!(effects, [PeerEffect::Close { connection }]);
    assert!(world.is_open(Side::B));
}

#[test]
fn what_cannot_be_read_is_answered_or_fails_its_request() {
    let mut world = opened();
    world.answers = false;
    world.send(Side::A, 5, request()).unwrap();
    world.run(LATENCY);
    let (_, asked) = world.heard(Side::B).requests.pop().unwrap();
    let broken = |mut message: Message| {
        message.avps = vec![Avp::new(&dictionary::CC_TIME, &1_u32)];
        let mut octets = message.encode().to_vec();
        octets[27] = 3;
        Message::decode(octets.into()).unwrap_err()
    };
    let connection = world.peers[&Side::A].open_connection().unwrap();
    world.tell(
        Side::B,
        PeerEvent::Undecodable {
            connection,
            malformed: broken(request()),
        },
    );
    let (_, _, answer) = world.log.last().unwrap();
    assert_eq!(answer.result_code(), Some(ResultCode::INVALID_AVP_LENGTH));
    world.tell(
        Side::A,
        PeerEvent::Undecodable {
            connection,
            malformed: broken(asked.answer_header()),
        },
    );
    assert_eq!(world.heard(Side::A).failures, [(5, Failure::BadAnswer)]);
}
