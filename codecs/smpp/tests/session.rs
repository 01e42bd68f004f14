//! Two sessions joined by a network with latency, in virtual time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollwire_smpp::command::*;
use tollwire_smpp::session::{
    CloseReason, Due, NotNow, Received, Role, Session, Settings, State, is_allowed,
};
use tollwire_smpp::{Frame, status};

const MS: Duration = Duration::from_millis(1);

fn frame(command_id: u32, command_status: u32, sequence_number: u32) -> Frame {
    Frame {
        command_id,
        command_status,
        sequence_number,
        body: Bytes::new(),
    }
}

/// Both ends and what is on its way between them.
struct World {
    now: Instant,
    latency: Duration,
    esme: Session,
    message_centre: Session,
    to_esme: VecDeque<(Instant, Frame)>,
    to_message_centre: VecDeque<(Instant, Frame)>,
    /// Whether anything arrives at the message centre, and at the ESME.
    cut: bool,
}

impl World {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self {
            now,
            latency: 20 * MS,
            esme: Session::new(Role::Esme, settings, now),
            message_centre: Session::new(Role::MessageCentre, settings, now),
            to_esme: VecDeque::new(),
            to_message_centre: VecDeque::new(),
            cut: false,
        }
    }

    fn bound(settings: Settings, bind: u32) -> Self {
        let mut world = Self::new(settings);
        world.request(Role::Esme, bind, 1).unwrap();
        assert_eq!(world.settle(), [Heard::answer(Role::Esme, 1, bind)]);
        world
    }

    fn session(&mut self, role: Role) -> &mut Session {
        match role {
            Role::Esme => &mut self.esme,
            Role::MessageCentre => &mut self.message_centre,
        }
    }

    fn request(&mut self, from: Role, command_id: u32, token: u64) -> Result<u32, NotNow> {
        let now = self.now;
        let number = self.session(from).send_request(now, command_id, token)?;
        self.send(from, frame(command_id, 0, number));
        Ok(number)
    }

    fn send(&mut self, from: Role, frame: Frame) {
        let arrives = self.now + self.latency;
        if !self.cut {
            match from {
                Role::Esme => self.to_message_centre.push_back((arrives, frame)),
                Role::MessageCentre => self.to_esme.push_back((arrives, frame)),
            }
        }
    }

    /// Delivers what is on its way, in order, and answers every request with ESME_ROK.
    fn settle(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            let first = |queue: &VecDeque<(Instant, Frame)>| queue.front().map(|(at, _)| *at);
            let to = match (first(&self.to_esme), first(&self.to_message_centre)) {
                (None, None) => return heard,
                (Some(_), None) => Role::Esme,
                (None, Some(_)) => Role::MessageCentre,
                (Some(esme), Some(other)) if esme <= other => Role::Esme,
                _ => Role::MessageCentre,
            };
            let queue = match to {
                Role::Esme => &mut self.to_esme,
                Role::MessageCentre => &mut self.to_message_centre,
            };
            let (at, frame) = queue.pop_front().unwrap();
            self.now = self.now.max(at);
            let now = self.now;
            let received = self.session(to).receive(now, &frame);
            match received {
                Received::Request => {
                    if let Some(response) = response_to(frame.command_id) {
                        self.session(to).responded(frame.command_id, 0);
                        let answer = self::frame(response, 0, frame.sequence_number);
                        self.send(to, answer);
                    }
                }
                Received::Refused(command_status) => {
                    if let Some(response) = response_to(frame.command_id) {
                        let number = frame.sequence_number;
                        self.send(to, self::frame(response, command_status, number));
                    }
                    heard.push(Heard { at: to, received });
                }
                Received::Response {
                    request: ENQUIRE_LINK,
                    ..
                } => {}
                _ => heard.push(Heard { at: to, received }),
            }
        }
    }

    /// Lets time pass until `until`, executing what the sessions say is due.
    fn run(&mut self, until: Instant) -> Vec<(Role, Due)> {
        let mut all = Vec::new();
        loop {
            self.settle();
            let next = [
                self.esme.next_deadline(),
                self.message_centre.next_deadline(),
            ]
            .into_iter()
            .flatten()
            .min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return all;
            };
            self.now = self.now.max(next);
            let now = self.now;
            let mut some = false;
            for role in [Role::Esme, Role::MessageCentre] {
                while let Some(due) = self.session(role).tick(now) {
                    some = true;
                    if let Due::SendEnquireLink { sequence_number } = due {
                        self.send(role, frame(ENQUIRE_LINK, 0, sequence_number));
                    }
                    all.push((role, due));
                }
            }
            assert!(some, "a deadline without anything due");
        }
    }
}

#[derive(Debug, PartialEq)]
struct Heard {
    at: Role,
    received: Received,
}

impl Heard {
    fn answer(at: Role, token: u64, request: u32) -> Self {
        Self {
            at,
            received: Received::Response { token, request },
        }
    }
}

#[test]
fn binds_in_the_three_modes_and_unbinds() {
    for (bind, state) in [
        (BIND_TRANSMITTER, State::BoundTx),
        (BIND_RECEIVER, State::BoundRx),
        (BIND_TRANSCEIVER, State::BoundTrx),
    ] {
        let mut world = World::bound(Settings::default(), bind);
        assert_eq!(world.esme.state(), state);
        assert_eq!(world.message_centre.state(), state);
        for again in [BIND_TRANSMITTER, BIND_RECEIVER, BIND_TRANSCEIVER] {
            let received = world.message_centre.receive(world.now, &frame(again, 0, 9));
            assert_eq!(received, Received::Refused(status::ESME_RALYBND));
            assert_eq!(world.esme.may_send(again), Err(NotNow::WrongState));
        }
        for role in [Role::Esme, Role::MessageCentre] {
            let mut world = World::bound(Settings::default(), bind);
            world.request(role, UNBIND, 2).unwrap();
            assert_eq!(world.settle(), [Heard::answer(role, 2, UNBIND)]);
            assert_eq!(world.esme.state(), State::Unbound);
            assert_eq!(world.message_centre.state(), State::Unbound);
            assert_eq!(world.request(role, UNBIND, 3), Err(NotNow::WrongState));
        }
    }
}

#[test]
fn a_bind_is_under_way_until_it_is_answered() {
    let mut world = World::new(Settings::default());
    let now = world.now;
    let centre = &mut world.message_centre;
    let bind = frame(BIND_TRANSCEIVER, 0, 1);
    assert_eq!(centre.receive(now, &bind), Received::Request);
    assert_eq!(centre.state(), State::Open);
    let early = centre.receive(now, &frame(SUBMIT_SM, 0, 2));
    assert_eq!(early, Received::Refused(status::ESME_RINVBNDSTS));
    let twice = centre.receive(now, &bind);
    assert_eq!(twice, Received::Refused(status::ESME_RALYBND));
    // Refused; then another one is taken.
    centre.responded(BIND_TRANSCEIVER, status::ESME_RINVPASWD);
    assert_eq!(centre.state(), State::Open);
    assert_eq!(centre.receive(now, &bind), Received::Request);
    centre.responded(BIND_TRANSCEIVER, status::ESME_ROK);
    assert_eq!(centre.state(), State::BoundTrx);

    let number = world.esme.send_request(now, BIND_RECEIVER, 7).unwrap();
    assert_eq!(world.esme.may_send(BIND_RECEIVER), Err(NotNow::WrongState));
    let refusal = frame(BIND_RECEIVER_RESP, status::ESME_RINVPASWD, number);
    let token = 7;
    let request = BIND_RECEIVER;
    assert_eq!(
        world.esme.receive(now, &refusal),
        Received::Response { token, request }
    );
    assert_eq!(world.esme.state(), State::Open);
    assert_eq!(world.esme.may_send(BIND_RECEIVER), Ok(()));
}

#[test]
fn outbind_asks_for_a_bind_as_receiver() {
    let mut world = World::new(Settings::default());
    world.request(Role::MessageCentre, OUTBIND, 0).unwrap();
    assert_eq!(world.settle(), []);
    assert_eq!(world.esme.state(), State::Outbound);
    assert_eq!(world.message_centre.state(), State::Outbound);
    assert_eq!(world.message_centre.unanswered(), 0);
    assert_eq!(
        world.esme.may_send(BIND_TRANSMITTER),
        Err(NotNow::WrongState)
    );
    world.request(Role::Esme, BIND_RECEIVER, 1).unwrap();
    world.settle();
    assert_eq!(world.message_centre.state(), State::BoundRx);
}

/// SMPP 3.4 table 2-1, and the operations of SMPP 5.0 with it: who may send what in the bound states.
#[test]
fn commands_by_state() {
    use State::*;
    let bound = [BoundTx, BoundRx, BoundTrx];
    let table: &[(u32, &[State], &[State])] = &[
        // Command, states in which the ESME sends it, states in which the message centre does.
        (SUBMIT_SM, &[BoundTx, BoundTrx], &[]),
        (SUBMIT_MULTI, &[BoundTx, BoundTrx], &[]),
        (QUERY_SM, &[BoundTx, BoundTrx], &[]),
        (CANCEL_SM, &[BoundTx, BoundTrx], &[]),
        (REPLACE_SM, &[BoundTx, BoundTrx], &[]),
        (BROADCAST_SM, &[BoundTx, BoundTrx], &[]),
        (QUERY_BROADCAST_SM, &[BoundTx, BoundTrx], &[]),
        (CANCEL_BROADCAST_SM, &[BoundTx, BoundTrx], &[]),
        (DATA_SM, &[BoundTx, BoundTrx], &[BoundRx, BoundTrx]),
        (DELIVER_SM, &[], &[BoundRx, BoundTrx]),
        (ALERT_NOTIFICATION, &[], &[BoundRx, BoundTrx]),
        (UNBIND, &bound, &bound),
        (BIND_TRANSMITTER, &[Open], &[]),
        (BIND_RECEIVER, &[Open, Outbound], &[]),
        (BIND_TRANSCEIVER, &[Open, Outbound], &[]),
        (OUTBIND, &[], &[Open]),
    ];
    let states = [Open, Outbound, BoundTx, BoundRx, BoundTrx, Unbound, Closed];
    for (command_id, by_esme, by_centre) in table {
        for state in states {
            for (role, allowed) in [(Role::Esme, by_esme), (Role::MessageCentre, by_centre)] {
                assert_eq!(
                    is_allowed(*command_id, role, state),
                    allowed.contains(&state),
                    "{} {role:?} {state:?}",
                    name(*command_id).unwrap()
                );
            }
        }
    }
    let requests = ALL.iter().filter(|(id, _)| !is_response(*id)).count();
    assert_eq!(table.len() + 1, requests, "and enquire_link");
    for role in [Role::Esme, Role::MessageCentre] {
        assert!(
            states[..6]
                .iter()
                .all(|state| is_allowed(ENQUIRE_LINK, role, *state))
        );
    }
}

#[test]
fn what_the_state_does_not_allow_is_refused() {
    let mut world = World::bound(Settings::default(), BIND_RECEIVER);
    let now = world.now;
    let centre = &mut world.message_centre;
    let submit = centre.receive(now, &frame(SUBMIT_SM, 0, 5));
    assert_eq!(submit, Received::Refused(status::ESME_RINVBNDSTS));
    let deliver = centre.receive(now, &frame(DELIVER_SM, 0, 6));
    assert_eq!(deliver, Received::Refused(status::ESME_RINVBNDSTS));
    let unknown = centre.receive(now, &frame(0x0BAD, 0, 7));
    assert_eq!(unknown, Received::Refused(status::ESME_RINVCMDID));
    assert_eq!(centre.peer_unanswered(), 0);
    assert_eq!(
        centre.send_request(now, SUBMIT_SM, 1),
        Err(NotNow::WrongState)
    );
}

#[test]
fn windows_of_both_sides() {
    let settings = Settings {
        window: 3,
        peer_window: 2,
        ..Settings::default()
    };
    let mut world = World::bound(settings, BIND_TRANSCEIVER);
    let numbers: Vec<u32> = (10..13)
        .map(|token| world.request(Role::Esme, SUBMIT_SM, token).unwrap())
        .collect();
    assert_eq!(
        world.request(Role::Esme, SUBMIT_SM, 13),
        Err(NotNow::WindowFull)
    );
    // What is about the session is not counted.
    let enquire = world.request(Role::Esme, ENQUIRE_LINK, 99).unwrap();
    assert_eq!(world.esme.unanswered(), 4);

    let now = world.now;
    let centre = &mut world.message_centre;
    let mut receive = |command_id, number| centre.receive(now, &frame(command_id, 0, number));
    assert_eq!(receive(SUBMIT_SM, numbers[0]), Received::Request);
    assert_eq!(receive(SUBMIT_SM, numbers[1]), Received::Request);
    let third = receive(SUBMIT_SM, numbers[2]);
    assert_eq!(third, Received::Refused(status::ESME_RTHROTTLED));
    assert_eq!(receive(ENQUIRE_LINK, enquire), Received::Request);
    centre.responded(ENQUIRE_LINK, 0);
    assert_eq!(centre.peer_unanswered(), 2);
    centre.responded(SUBMIT_SM, 0);
    assert_eq!(
        centre.receive(now, &frame(SUBMIT_SM, 0, 77)),
        Received::Request
    );

    // Answers in any order, each once, each to its own.
    let esme = &mut world.esme;
    let (token, request) = (11, SUBMIT_SM);
    let answer = frame(SUBMIT_SM_RESP, 0, numbers[1]);
    let wrong = frame(QUERY_SM_RESP, 0, numbers[1]);
    assert_eq!(esme.receive(now, &wrong), Received::Unexpected);
    assert_eq!(
        esme.receive(now, &answer),
        Received::Response { token, request }
    );
    assert_eq!(esme.receive(now, &answer), Received::Unexpected);
    let nack = frame(GENERIC_NACK, status::ESME_RINVCMDID, numbers[0]);
    assert_eq!(
        esme.receive(now, &nack),
        Received::Response { token: 10, request }
    );
    assert_eq!(
        esme.receive(now, &frame(GENERIC_NACK, 3, 0)),
        Received::Unexpected
    );
    assert!(esme.send_request(now, SUBMIT_SM, 14).is_ok());

    // A connection that is lost gives back what waits, oldest first.
    esme.close();
    assert_eq!(esme.take_unanswered(), Some((12, SUBMIT_SM)));
    assert_eq!(esme.take_unanswered(), Some((99, ENQUIRE_LINK)));
    assert_eq!(esme.take_unanswered(), Some((14, SUBMIT_SM)));
    assert_eq!(esme.take_unanswered(), None);
    assert_eq!(esme.receive(now, &answer), Received::Unexpected);
    assert_eq!(esme.next_deadline(), None);
}

#[test]
fn an_unanswered_request_ends_alone_and_its_answer_is_too_late() {
    let mut world = World::bound(Settings::default(), BIND_TRANSCEIVER);
    let start = world.now;
    let number = world.esme.send_request(start, SUBMIT_SM, 5).unwrap();
    let other = world.esme.send_request(start + MS, SUBMIT_SM, 6).unwrap();
    let (token, request) = (6, SUBMIT_SM);
    let answer = frame(SUBMIT_SM_RESP, 0, other);
    assert_eq!(
        world.esme.receive(start + MS, &answer),
        Received::Response { token, request }
    );
    let due = world.run(start + 11_000 * MS);
    let (token, request) = (5, SUBMIT_SM);
    assert_eq!(due, [(Role::Esme, Due::RequestTimedOut { token, request })]);
    let late = frame(SUBMIT_SM_RESP, 0, number);
    assert_eq!(world.esme.receive(world.now, &late), Received::Unexpected);
    assert_eq!(world.esme.state(), State::BoundTrx);
}

#[test]
fn silence_is_asked_about() {
    let mut world = World::bound(Settings::default(), BIND_TRANSCEIVER);
    let start = world.now;
    let due = world.run(start + Duration::from_secs(305));
    // Each side hears the other's enquire_link, so that one of them asks at a time: ten or so in 300 s.
    assert!((9..=11).contains(&due.len()), "{due:?}");
    let asked = |(_, due): &(Role, Due)| matches!(due, Due::SendEnquireLink { .. });
    assert!(due.iter().all(asked), "{due:?}");
    assert_eq!(world.esme.state(), State::BoundTrx);

    // Nobody answers any more.
    world.cut = true;
    let due = world.run(world.now + Duration::from_secs(60));
    let closed = |role| due.contains(&(role, Due::Close(CloseReason::Dead)));
    assert!(closed(Role::Esme) && closed(Role::MessageCentre), "{due:?}");
    assert_eq!(world.esme.state(), State::Closed);
    assert_eq!(world.message_centre.next_deadline(), None);
}

#[test]
fn timers_that_close() {
    let settings = Settings {
        inactivity_timer: Some(Duration::from_secs(90)),
        ..Settings::default()
    };
    // Never bound.
    let mut world = World::new(settings);
    let due = world.run(world.now + Duration::from_secs(10));
    let not_bound = Due::Close(CloseReason::NotBound);
    assert_eq!(
        due,
        [(Role::Esme, not_bound), (Role::MessageCentre, not_bound)]
    );

    // A bind that is not answered.
    let mut world = World::new(Settings {
        session_init_timer: None,
        ..settings
    });
    world.cut = true;
    world.request(Role::Esme, BIND_RECEIVER, 1).unwrap();
    let due = world.run(world.now + Duration::from_secs(10));
    assert_eq!(due, [(Role::Esme, Due::Close(CloseReason::NotAnswered))]);

    // Unbound and not closed.
    let mut world = World::bound(settings, BIND_RECEIVER);
    world.run(world.now + Duration::from_secs(60));
    world.request(Role::Esme, UNBIND, 1).unwrap();
    world.settle();
    let now = world.now;
    assert_eq!(world.esme.tick(now), None);
    let due = world.run(now + Duration::from_secs(10));
    let unbound = Due::Close(CloseReason::Unbound);
    assert_eq!(due, [(Role::MessageCentre, unbound), (Role::Esme, unbound)]);

    // enquire_link alone does not keep a session that nobody uses.
    let mut world = World::bound(settings, BIND_TRANSCEIVER);
    let start = world.now;
    world.run(start + Duration::from_secs(60));
    world.request(Role::Esme, SUBMIT_SM, 1).unwrap();
    world.settle();
    let used = world.now;
    let due = world.run(used + Duration::from_secs(89));
    assert!(
        due.iter()
            .all(|(_, due)| matches!(due, Due::SendEnquireLink { .. }))
    );
    let due = world.run(used + Duration::from_secs(91));
    let inactive = Due::Close(CloseReason::Inactive);
    assert!(due.contains(&(Role::Esme, inactive)), "{due:?}");
    assert!(due.contains(&(Role::MessageCentre, inactive)), "{due:?}");
}

#[test]
fn every_timer_can_be_off() {
    let mut world = World::bound(
        Settings {
            enquire_link_interval: None,
            response_timer: None,
            inactivity_timer: None,
            session_init_timer: None,
            ..Settings::default()
        },
        BIND_TRANSCEIVER,
    );
    world.esme.send_request(world.now, SUBMIT_SM, 1).unwrap();
    assert_eq!(world.esme.next_deadline(), None);
    let later = world.now + Duration::from_secs(1_000_000);
    assert_eq!(world.esme.tick(later), None);
}

/// Load both ways through full windows, with answers out of order: every token comes back once.
#[test]
fn every_token_comes_back_once() {
    let mut world = World::bound(
        Settings {
            window: 10,
            peer_window: 10,
            ..Settings::default()
        },
        BIND_TRANSCEIVER,
    );
    const MESSAGES: u64 = 5_000;
    let mut next = [0, 0];
    let mut back: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
    // Requests that each side was asked and has not answered.
    let mut open: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
    let commands = [(SUBMIT_SM, SUBMIT_SM_RESP), (DELIVER_SM, DELIVER_SM_RESP)];
    let roles = [Role::Esme, Role::MessageCentre];
    let mut step = 0_usize;
    while back.iter().any(|tokens| (tokens.len() as u64) < MESSAGES) {
        step += 1;
        world.now += MS;
        let now = world.now;
        for side in [0, 1] {
            let (request, response) = commands[side];
            while next[side] < MESSAGES
                && let Ok(number) = world
                    .session(roles[side])
                    .send_request(now, request, next[side])
            {
                next[side] += 1;
                let other = world.session(roles[1 - side]);
                assert_eq!(
                    other.receive(now, &frame(request, 0, number)),
                    Received::Request
                );
                open[1 - side].push(number);
            }
            assert!(open[1 - side].len() <= 10);
            for _ in 0..=step % 4 {
                if open[1 - side].is_empty() {
                    break;
                }
                let at = (step * 7) % open[1 - side].len();
                let number = open[1 - side].swap_remove(at);
                world.session(roles[1 - side]).responded(request, 0);
                match world
                    .session(roles[side])
                    .receive(now, &frame(response, 0, number))
                {
                    Received::Response { token, .. } => back[side].push(token),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    for tokens in &mut back {
        tokens.sort_unstable();
        assert!(tokens.iter().copied().eq(0..MESSAGES));
    }
    assert_eq!(
        world.esme.unanswered() + world.message_centre.unanswered(),
        0
    );
    assert_eq!(
        world.esme.peer_unanswered() + world.message_centre.peer_unanswered(),
        0
    );
}
