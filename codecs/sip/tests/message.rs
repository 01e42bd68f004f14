//! Reading, editing and printing of whole messages.

use bytes::Bytes;
use tollwire_sip::{Contacts, HeaderName, Message, Method, RequestBuilder};

const INVITE: &str = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n\
Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bK2, SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;rport\r\n\
Max-Forwards: 70\r\n\
f: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
X-Odd :  kept ; as,is  \r\n\
To: Bob <sip:bob@biloxi.example.com>\r\n\
i: 3848276298220188511@atlanta.example.com\r\n\
CSeq: 1 INVITE\r\n\
Route: <sip:one.example.com;lr>, \"a, b\" <sip:two.example.com;lr>\r\n\
Subject: folded\r\n  subject\r\n\
m: <sip:alice@client.atlanta.example.com;transport=tcp>\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 4\r\n\
\r\n\
v=0\n";

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).expect("sound message")
}

#[test]
fn typed_values_of_a_request() {
    let message = parse(INVITE);
    message.check().expect("sound");
    assert!(message.is_request());
    assert_eq!(message.method(), &Method::Invite);
    assert_eq!(message.request_uri(), Some("sip:bob@biloxi.example.com"));
    let via = message.via().unwrap();
    assert_eq!(via.branch(), Some("z9hG4bK2"));
    assert_eq!(via.transport, "UDP");
    assert_eq!(message.vias().count(), 2);
    assert_eq!(message.vias().nth(1).unwrap().unwrap().port, Some(5060));
    let from = message.from().unwrap();
    assert_eq!(from.tag(), Some("9fxced76sl"));
    assert_eq!(from.display_name, Some("Alice"));
    assert_eq!(
        from.uri().unwrap().address_of_record(),
        "sip:alice@atlanta.example.com"
    );
    assert_eq!(message.to().unwrap().tag(), None);
    assert_eq!(message.cseq().unwrap().number, 1);
    assert_eq!(message.max_forwards().unwrap(), Some(70));
    assert_eq!(message.header(HeaderName::Subject), Some("folded subject"));
    assert_eq!(message.header_named("x-odd"), Some("kept ; as,is"));
    let routes: Vec<_> = message.routes().map(|route| route.unwrap().uri).collect();
    assert_eq!(routes, ["sip:one.example.com;lr", "sip:two.example.com;lr"]);
    assert!(matches!(message.contacts().unwrap(), Contacts::List(list) if list.len() == 1));
    assert_eq!(message.session_description(), Some(&b"v=0\n"[..]));
}

#[test]
fn unedited_message_prints_the_octets_received() {
    assert_eq!(parse(INVITE).to_bytes(), INVITE.as_bytes());
}

#[test]
fn a_proxys_edits_keep_every_other_octet() {
    let original = parse(INVITE);
    let mut message = original.clone();
    message.set_request_uri("sip:bob@192.0.2.4");
    message.set(HeaderName::MaxForwards, "69");
    message.remove_first(HeaderName::Route);
    message.push_front(HeaderName::RecordRoute, "<sip:p.example.com;lr>");
    message.stamp_received("192.0.2.1:5070".parse().unwrap());
    message.push_front(HeaderName::Via, "SIP/2.0/UDP p.example.com;branch=z9hG4bK3");
    let expected = INVITE
        .replace(
            "INVITE sip:bob@biloxi.example.com SIP",
            "INVITE sip:bob@192.0.2.4 SIP",
        )
        .replace(
            "Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bK2,",
            "Via: SIP/2.0/UDP p.example.com;branch=z9hG4bK3\r\n\
             Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bK2;received=192.0.2.1,",
        )
        .replace(
            "rport\r\nMax-Forwards: 70",
            "rport\r\nRecord-Route: <sip:p.example.com;lr>\r\nMax-Forwards: 69",
        )
        .replace("<sip:one.example.com;lr>, ", "");
    assert_eq!(
        String::from_utf8(message.to_bytes().to_vec()).unwrap(),
        expected
    );
    // The clone's edits are its own.
    assert_eq!(original.to_bytes(), INVITE.as_bytes());
    let again = Message::parse(message.to_bytes()).unwrap();
    again.check().unwrap();
    assert_eq!(again, message);
}

#[test]
fn response_copies_what_rfc_3261_8_2_6_names() {
    let request = parse(INVITE);
    let response = Message::response_to(&request, 180, "")
        .to_tag("a6c85cf")
        .build();
    assert_eq!(response.status(), Some(180));
    assert_eq!(response.reason(), "Ringing");
    assert_eq!(response.method(), &Method::Invite);
    assert_eq!(response.vias().count(), 2);
    assert_eq!(response.to().unwrap().tag(), Some("a6c85cf"));
    assert_eq!(response.from().unwrap().tag(), Some("9fxced76sl"));
    assert_eq!(response.cseq().unwrap(), request.cseq().unwrap());
    assert_eq!(response.content_length().unwrap(), Some(0));
    response.check().unwrap();
    let reread = Message::parse(response.to_bytes()).unwrap();
    assert_eq!(reread, response);
    assert_eq!(reread.method(), &Method::Invite);
}

#[test]
fn built_request_reads_back() {
    let request = RequestBuilder::new(Method::Bye, "sip:bob@192.0.2.4")
        .header(HeaderName::Via, "SIP/2.0/UDP p.example.com;branch=z9hG4bKx")
        .header(HeaderName::From, "<sip:alice@example.com>;tag=1")
        .header(HeaderName::To, "<sip:bob@example.com>;tag=2")
        .header(HeaderName::CallId, "c1")
        .header(HeaderName::CSeq, "2 BYE")
        .header(HeaderName::MaxForwards, "70")
        .header_named("X-Injected", "a\r\nEvil: yes")
        .body("text/plain", "hello")
        .build();
    let reread = Message::parse(request.to_bytes()).unwrap();
    reread.check().unwrap();
    assert_eq!(reread.body(), b"hello");
    assert_eq!(reread.method(), &Method::Bye);
    assert_eq!(reread.header_named("evil"), None);
    assert_eq!(reread.header_named("x-injected"), Some("a  Evil: yes"));
}

fn routes_of(message: &Message) -> Vec<&str> {
    message
        .routes()
        .map(|route| route.expect("route").uri)
        .collect()
}

#[test]
fn list_edits_touch_one_element() {
    let mut message = parse(
        "OPTIONS sip:h SIP/2.0\r\nRoute: <sip:a>, <sip:b>\r\nX: 1\r\nroute: <sip:c>,<sip:d>\r\n\r\n",
    );
    assert!(message.replace_first(HeaderName::Route, "<sip:z>"));
    assert_eq!(routes_of(&message), ["sip:z", "sip:b", "sip:c", "sip:d"]);
    assert!(message.remove_last(HeaderName::Route));
    assert_eq!(routes_of(&message), ["sip:z", "sip:b", "sip:c"]);
    assert!(message.remove_last(HeaderName::Route));
    assert_eq!(routes_of(&message), ["sip:z", "sip:b"]);
    message.append(HeaderName::Route, "<sip:y>");
    assert_eq!(routes_of(&message), ["sip:z", "sip:b", "sip:y"]);
    assert_eq!(
        message.to_bytes(),
        "OPTIONS sip:h SIP/2.0\r\nRoute: <sip:z>, <sip:b>\r\nRoute: <sip:y>\r\nX: 1\r\n\r\n"
    );
    message.retain(HeaderName::Route, |value| value.contains("sip:y"));
    assert_eq!(routes_of(&message), ["sip:y"]);
    message.remove_all(HeaderName::Route);
    assert!(!message.remove_last(HeaderName::Route));
    assert!(!message.replace_first(HeaderName::Route, "<sip:z>"));
    assert_eq!(message.to_bytes(), "OPTIONS sip:h SIP/2.0\r\nX: 1\r\n\r\n");
}

#[test]
fn set_leaves_one_and_a_body_brings_its_length() {
    let mut message =
        parse("OPTIONS sip:h SIP/2.0\r\nl: 2\r\nAllow: A\r\nX: 1\r\nAllow: B\r\n\r\nab");
    message.set(HeaderName::Allow, "INVITE");
    message.set(HeaderName::Server, "tollwire");
    message.set_body(Some("text/plain"), Bytes::from_static(b"hello"));
    assert_eq!(
        message.to_bytes(),
        "OPTIONS sip:h SIP/2.0\r\nContent-Length: 5\r\nAllow: INVITE\r\nX: 1\r\n\
         Server: tollwire\r\nContent-Type: text/plain\r\n\r\nhello"
    );
    message.set_body(None, Bytes::new());
    assert_eq!(message.media_type(), None);
    assert_eq!(message.content_length().unwrap(), Some(0));
    assert_eq!(Message::parse(message.to_bytes()).unwrap(), message);
}

#[test]
fn a_datagram_without_length_gets_one_for_a_stream() {
    let mut message = parse("MESSAGE sip:h SIP/2.0\r\nCall-ID: c\r\n\r\nall of it");
    assert_eq!(message.body(), b"all of it");
    message.ensure_content_length();
    message.ensure_content_length();
    assert_eq!(
        message.to_bytes(),
        "MESSAGE sip:h SIP/2.0\r\nCall-ID: c\r\nContent-Length: 9\r\n\r\nall of it"
    );
}

#[test]
fn keep_alives_before_the_start_line_are_passed_over() {
    let message = parse("\r\n\r\nOPTIONS sip:h SIP/2.0\r\nCall-ID: c\r\n\r\n");
    assert_eq!(message.call_id().unwrap(), "c");
    for nothing in ["", "\r\n", "\r\n\r\n", "\0\0\0\0"] {
        let failure = Message::parse(Bytes::from_static(nothing.as_bytes())).unwrap_err();
        assert!(failure.response().is_none());
    }
}
