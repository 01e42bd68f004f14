use std::time::Instant;

use super::*;
use bytes::Bytes;

const ADDRESS: &str = "sip:alice@example.org";

fn at(seconds: i64) -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: seconds * 1000,
    }
}

fn request(call_id: &str, sequence: u32, lines: &[&str]) -> Message {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!(
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{sequence}\r\n\
         From: <{ADDRESS}>;tag=1\r\nTo: <{ADDRESS}>\r\nCall-ID: {call_id}\r\nCSeq: {sequence} REGISTER\r\n\
         Max-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn registrar() -> Registrar {
    Registrar::new(
        Settings {
            max_contacts: 3,
            ..Settings::default()
        },
        Location::default(),
    )
}

fn register(registrar: &mut Registrar, now: i64, request: &Message) -> Message {
    let received = "192.0.2.1:5060".parse().unwrap();
    match registrar.register(at(now), request, ADDRESS, received, "UDP") {
        Outcome::Answer(response) => response,
        Outcome::Store {
            response, bindings, ..
        } => {
            assert_eq!(registrar.location.all(ADDRESS), bindings);
            response
        }
    }
}

fn contacts(response: &Message) -> Vec<String> {
    assert_eq!(response.status(), Some(200), "{response:?}");
    response
        .headers(HeaderName::Contact)
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_contact_is_bound_for_the_time_it_asks_refreshed_and_removed() {
    let mut registrar = registrar();
    let first = request(
        "a",
        1,
        &["Contact: <sip:alice@192.0.2.1>;expires=120;q=0.5"],
    );
    assert_eq!(
        contacts(&register(&mut registrar, 1000, &first)),
        ["<sip:alice@192.0.2.1>;expires=120;q=0.500"]
    );
    // 19.1.4: the same URI written otherwise is the same binding.
    let refresh = request("a", 2, &["Contact: <sip:alice@192.0.2.1>", "Expires: 600"]);
    assert_eq!(
        contacts(&register(&mut registrar, 1060, &refresh)),
        ["<sip:alice@192.0.2.1>;expires=600"]
    );
    let query = request("b", 1, &[]);
    assert_eq!(
        contacts(&register(&mut registrar, 1061, &query)),
        ["<sip:alice@192.0.2.1>;expires=599"]
    );
    let removal = request("a", 3, &["Contact: <sip:alice@192.0.2.1>;expires=0"]);
    assert!(contacts(&register(&mut registrar, 1062, &removal)).is_empty());
    assert!(registrar.location.is_empty());
    assert_eq!(registrar.location.next_expiry(), None);
}

#[test]
fn times_are_held_to_their_bounds() {
    let mut registrar = registrar();
    let long = request("a", 1, &["Contact: <sip:a@192.0.2.1>;expires=4294967295"]);
    assert_eq!(
        contacts(&register(&mut registrar, 1000, &long)),
        ["<sip:a@192.0.2.1>;expires=7200"]
    );
    let unsaid = request("a", 2, &["Contact: <sip:a@192.0.2.1>"]);
    assert_eq!(
        contacts(&register(&mut registrar, 1000, &unsaid)),
        ["<sip:a@192.0.2.1>;expires=3600"]
    );
    let brief = register(
        &mut registrar,
        1000,
        &request("a", 3, &["Contact: <sip:a@192.0.2.1>;expires=59"]),
    );
    assert_eq!(brief.status(), Some(423));
    assert_eq!(brief.header(HeaderName::MinExpires), Some("60"));
}

#[test]
fn an_old_request_changes_nothing_at_all() {
    let mut registrar = registrar();
    register(
        &mut registrar,
        1000,
        &request("a", 5, &["Contact: <sip:a@192.0.2.1>"]),
    );
    let before = registrar.location.all(ADDRESS).to_vec();
    for lines in [
        &["Contact: <sip:b@192.0.2.2>, <sip:a@192.0.2.1>;expires=0"][..],
        &["Contact: *", "Expires: 0"][..],
    ] {
        let old = register(&mut registrar, 1000, &request("a", 5, lines));
        assert_eq!(old.status(), Some(500));
        assert_eq!(registrar.location.all(ADDRESS), before);
    }
    // Another Call-ID is another registration client: it may.
    assert!(
        contacts(&register(
            &mut registrar,
            1000,
            &request("b", 1, &["Contact: *", "Expires: 0"])
        ))
        .is_empty()
    );
}

#[test]
fn a_star_needs_expires_zero_and_stands_alone() {
    let mut registrar = registrar();
    for lines in [
        &["Contact: *"][..],
        &["Contact: *", "Expires: 60"][..],
        &["Contact: *, <sip:a@192.0.2.1>", "Expires: 0"][..],
        &["Contact: <mailto:a@example.org>"][..],
        &["Contact: <sip:a@192.0.2.1>", "Expires: soon"][..],
    ] {
        let response = register(&mut registrar, 1000, &request("a", 1, lines));
        assert_eq!(response.status(), Some(400), "{lines:?}");
    }
    assert!(registrar.location.is_empty());
}

#[test]
fn contacts_are_bounded_and_a_refusal_binds_none_of_them() {
    let mut registrar = registrar();
    let many = request(
        "a",
        1,
        &["Contact: <sip:a@192.0.2.1>, <sip:a@192.0.2.2>, <sip:a@192.0.2.3>, <sip:a@192.0.2.4>"],
    );
    assert_eq!(register(&mut registrar, 1000, &many).status(), Some(403));
    assert!(registrar.location.is_empty());
}

#[test]
fn the_preferred_contact_comes_first_and_expiry_removes_what_ended() {
    let mut registrar = registrar();
    let both = request(
        "a",
        1,
        &["Contact: <sip:a@192.0.2.1>;q=0.1;expires=60, <sip:a@192.0.2.2>;expires=120"],
    );
    register(&mut registrar, 1000, &both);
    let order: Vec<&str> = registrar
        .location
        .lookup(ADDRESS, 1_000_000)
        .iter()
        .map(|b| &*b.contact)
        .collect();
    assert_eq!(order, ["sip:a@192.0.2.2", "sip:a@192.0.2.1"]);
    assert_eq!(registrar.location.lookup(ADDRESS, 1_060_000).len(), 1);
    assert_eq!(registrar.location.next_expiry(), Some(1_060_000));
    assert_eq!(registrar.location.expire(1_059_999), 0);
    assert_eq!(registrar.location.expire(1_060_000), 1);
    assert_eq!(registrar.location.len(), 1);
    assert_eq!(registrar.location.expire(2_000_000), 1);
    assert_eq!(registrar.location.next_expiry(), None);
}

#[test]
fn an_instance_keeps_its_binding_when_its_address_changes() {
    let mut registrar = registrar();
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1";
    register(
        &mut registrar,
        1000,
        &request("a", 1, &[&format!("Contact: <sip:a@192.0.2.1>;{instance}")]),
    );
    let moved = request("b", 1, &[&format!("Contact: <sip:a@192.0.2.9>;{instance}")]);
    assert_eq!(
        contacts(&register(&mut registrar, 1000, &moved)),
        ["<sip:a@192.0.2.9>;expires=3600"]
    );
}

#[test]
fn what_the_store_refuses_is_taken_back() {
    let mut registrar = registrar();
    register(
        &mut registrar,
        1000,
        &request("a", 1, &["Contact: <sip:a@192.0.2.1>"]),
    );
    let second = request("a", 2, &["Contact: <sip:a@192.0.2.2>"]);
    let received = "192.0.2.1:5060".parse().unwrap();
    let Outcome::Store { before, .. } =
        registrar.register(at(1000), &second, ADDRESS, received, "UDP")
    else {
        panic!("a change is stored");
    };
    let response = registrar.take_back(&second, ADDRESS, before);
    assert_eq!(response.status(), Some(503));
    let left: Vec<&str> = registrar
        .location
        .lookup(ADDRESS, 1_000_000)
        .iter()
        .map(|b| &*b.contact)
        .collect();
    assert_eq!(left, ["sip:a@192.0.2.1"]);
}
