//! Messages out of a stream, however it is cut.

use tollwire_sip::{Fault, Framed, FramingError, HeaderName, StreamFramer};

const INVITE: &str = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nContent-Type: text/plain\r\n\
l: 11\r\n\r\nhello\r\n\r\nab";
const RINGING: &str = "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";

fn outline(frame: Result<Framed, FramingError>) -> String {
    match frame {
        Ok(Framed::Message(message)) => String::from_utf8(message.to_bytes().to_vec()).unwrap(),
        Ok(Framed::Ping) => "ping".into(),
        Ok(Framed::Pong) => "pong".into(),
        Err(FramingError::Message(failure)) => format!("message: {}", failure.fault),
        Err(FramingError::Fatal(failure)) => format!("fatal: {}", failure.fault),
    }
}

fn drain(framer: &mut StreamFramer) -> Vec<String> {
    std::iter::from_fn(|| framer.next()).map(outline).collect()
}

#[test]
fn every_split_point_yields_the_same_messages() {
    let stream = format!("\r\n\r\n{INVITE}\r\n{RINGING}{INVITE}\r\n\r\n{RINGING}");
    let expected = ["ping", INVITE, "pong", RINGING, INVITE, "ping", RINGING];
    for split in 0..=stream.len() {
        let mut framer = StreamFramer::new(4096);
        let (first, second) = stream.split_at(split);
        framer.push(first.as_bytes());
        let mut found = drain(&mut framer);
        framer.push(second.as_bytes());
        found.extend(drain(&mut framer));
        assert_eq!(found, expected, "split at {split}");
        assert_eq!(framer.buffered(), 0);
        assert!(!framer.is_partial());
    }
    let mut framer = StreamFramer::new(4096);
    let mut found = Vec::new();
    for octet in stream.as_bytes() {
        framer.push(&[*octet]);
        found.extend(drain(&mut framer));
    }
    assert_eq!(found, expected);
}

#[test]
fn an_unfinished_message_is_known() {
    let mut framer = StreamFramer::new(4096);
    framer.push(&INVITE.as_bytes()[..INVITE.len() - 1]);
    assert!(framer.next().is_none());
    assert!(framer.is_partial());
    assert_eq!(framer.buffered(), INVITE.len() - 1);
}

#[test]
fn a_malformed_message_with_a_length_leaves_the_stream_readable() {
    let mut framer = StreamFramer::new(4096);
    framer.push(INVITE.replace("INVITE sip", "INVITE  sip").as_bytes());
    framer.push(RINGING.as_bytes());
    let Some(Err(FramingError::Message(failure))) = framer.next() else {
        panic!("an error");
    };
    assert_eq!(failure.fault, Fault::StartLine);
    assert_eq!(failure.response().unwrap().status(), Some(400));
    assert_eq!(drain(&mut framer), [RINGING]);
}

#[test]
fn without_a_usable_length_the_stream_ends() {
    for (length, answer) in [
        ("", 400),
        ("l: -1\r\n", 400),
        ("l: five\r\n", 400),
        ("l: 1\r\nl: 1\r\n", 400),
        ("l: 4000\r\n", 513),
        ("l: 18446744073709551615\r\n", 513),
        ("l: 99999999999999999999999\r\n", 400),
    ] {
        let mut framer = StreamFramer::new(1024);
        framer.push(INVITE.replace("l: 11\r\n", length).as_bytes());
        let Some(Err(FramingError::Fatal(failure))) = framer.next() else {
            panic!("fatal: {length}");
        };
        let response = failure.response().expect(length);
        assert_eq!(response.status(), Some(answer), "{length}");
        assert_eq!(response.header(HeaderName::CallId), Some("c1"));
        framer.push(RINGING.as_bytes());
        assert_eq!(framer.buffered(), 0);
        assert!(framer.next().is_none());
    }
}

#[test]
fn a_head_without_end_is_cut_off_at_the_limit() {
    let mut framer = StreamFramer::new(1000);
    framer.push(b"INVITE sip:b@h SIP/2.0\r\n");
    let mut pushed = 0;
    let failure = loop {
        framer.push(b"X: y\r\n");
        pushed += 6;
        match framer.next() {
            None => assert!(pushed < 1100),
            Some(Err(FramingError::Fatal(failure))) => break failure,
            Some(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(failure.fault, Fault::TooLarge);
    assert!(failure.response().is_none(), "no Via, no answer");
    assert_eq!(framer.buffered(), 0);
}
