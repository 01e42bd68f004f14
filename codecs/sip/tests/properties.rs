//! What holds for any message: built, printed, read and edited.

use bytes::Bytes;
use proptest::prelude::*;
use tollwire_sip::digest::Algorithm;
use tollwire_sip::{
    Challenge, HeaderName, Message, Method, NameAddr, RequestBuilder, StreamFramer, Uri, Via,
    unquote,
};

const TOKEN: &str = "[a-zA-Z0-9.!%*_+`'~-]{1,12}";

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9]{0,6}){0,3}",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
    ]
}

fn sip_uri() -> impl Strategy<Value = String> {
    (
        prop_oneof![Just("sip"), Just("sips")],
        proptest::option::of("([a-zA-Z0-9_.!~*'()&=+$,;?/-]|%[0-9A-F]{2}){1,12}"),
        host(),
        proptest::option::of(any::<u16>()),
        proptest::collection::vec("[a-z]{1,6}(=[a-z0-9]{1,6})?", 0..3),
    )
        .prop_map(|(scheme, user, host, port, params)| {
            let user = user.map(|user| format!("{user}@")).unwrap_or_default();
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            // Each name once: the numbers keep them apart.
            let params: String = (params.iter().enumerate())
                .map(|(index, param)| format!(";p{index}{param}"))
                .collect();
            format!("{scheme}:{user}{host}{port}{params}")
        })
}

/// A header field's value: any text that is not folded and has no space at its ends.
fn value() -> impl Strategy<Value = String> {
    "[^\r\n\\p{White_Space}]([^\r\n]{0,30}[^\r\n\\p{White_Space}])?"
}

prop_compose! {
    fn message()(
        uri in sip_uri(),
        branch in TOKEN,
        tag in TOKEN,
        call_id in "[!-~]{1,20}",
        number in 0..1u32 << 31,
        others in proptest::collection::vec(("X-[A-Za-z]{1,8}", value()), 0..6),
        body in proptest::collection::vec(any::<u8>(), 0..80),
    ) -> Message {
        let mut request = RequestBuilder::new(Method::Invite, &uri)
            .header(HeaderName::Via, &format!("SIP/2.0/UDP h:5062;branch=z9hG4bK{branch}"))
            .header(HeaderName::From, &format!("<{uri}>;tag={tag}"))
            .header(HeaderName::To, &format!("<{uri}>"))
            .header(HeaderName::CallId, &call_id)
            .header(HeaderName::CSeq, &format!("{number} INVITE"));
        for (name, value) in &others {
            request = request.header_named(name, value);
        }
        request.body("application/octet-stream", body).build()
    }
}

proptest! {
    #[test]
    fn a_built_message_reads_back_the_same(message in message()) {
        let read = Message::parse(message.to_bytes()).expect("reads");
        read.check().expect("sound");
        prop_assert_eq!(read.to_bytes(), message.to_bytes());
        prop_assert!(read.fields().eq(message.fields()));
        prop_assert_eq!(read.body(), message.body());
        prop_assert_eq!(read.encoded_length(), message.to_bytes().len());
        prop_assert_eq!(read.cseq().expect("CSeq"), message.cseq().expect("CSeq"));
        let response = Message::response_to(&read, 486, "").to_tag("t").build();
        let response = Message::parse(response.to_bytes()).expect("reads");
        response.check().expect("sound");
        prop_assert_eq!(response.call_id(), read.call_id());
    }

    #[test]
    fn a_stream_cut_anywhere_yields_the_messages(
        messages in proptest::collection::vec(message(), 1..4),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|message| message.to_bytes()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut framer = StreamFramer::new(1 << 16);
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            framer.push(&stream[pair[0]..pair[1]]);
            found.extend(std::iter::from_fn(|| framer.next()));
        }
        prop_assert_eq!(found.len(), messages.len());
        for (frame, message) in found.into_iter().zip(messages) {
            prop_assert_eq!(frame, Ok(tollwire_sip::Framed::Message(message)));
        }
    }

    #[test]
    fn folding_changes_no_value(message in message(), fold in "\r\n[ \t]{1,3}") {
        let text = message.to_bytes();
        let head_end = memchr::memmem::find(&text, b"\r\n\r\n").expect("head");
        let (head, rest) = text.split_at(head_end);
        // After the colon of every header field.
        let head = String::from_utf8(head.to_vec()).expect("text").replace(": ", &format!(":{fold}"));
        let mut folded = head.into_bytes();
        folded.extend_from_slice(rest);
        let read = Message::parse(Bytes::from(folded)).expect("reads");
        let squeeze = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join("");
        for ((name, _, value), (_, _, original)) in read.fields().zip(message.fields()) {
            prop_assert_eq!(squeeze(value), squeeze(original), "{:?}", name);
        }
        prop_assert_eq!(read.body(), message.body());
    }

    #[test]
    fn uris_read_and_canonical_forms_are_fixed_points(uri in sip_uri()) {
        let parsed = Uri::parse(&uri).expect("reads");
        prop_assert!(parsed.equivalent(&parsed));
        let canonical = parsed.address_of_record();
        let again = Uri::parse(&canonical).expect("reads");
        prop_assert_eq!(again.address_of_record(), canonical);
        let capital = uri.replace("sip", "SIP");
        prop_assert!(Uri::parse(&capital).expect("reads").equivalent(&parsed));
    }

    #[test]
    fn list_elements_come_and_go_one_by_one(uris in proptest::collection::vec(sip_uri(), 1..8), joints in any::<u8>()) {
        let mut text = String::from("OPTIONS sip:h SIP/2.0\r\n");
        for (index, uri) in uris.iter().enumerate() {
            // Some in a header field of their own, some after a comma.
            text += if index == 0 {
                "Route: "
            } else if joints >> (index % 8) & 1 == 0 {
                " , "
            } else {
                "\r\nroute:"
            };
            text += &format!("\"a, b\" <{uri}>;p=\"<,\"");
        }
        text += "\r\n\r\n";
        let mut message = Message::parse(text.into()).expect("reads");
        for index in 0..uris.len() {
            let left: Vec<_> = message.routes().map(|route| route.expect("route").uri.to_owned()).collect();
            prop_assert_eq!(&left[..], &uris[index..]);
            prop_assert!(message.remove_first(HeaderName::Route));
        }
        prop_assert!(!message.remove_first(HeaderName::Route));
    }

    #[test]
    fn quoted_strings_stand_for_their_text(realm in "[^\r\n]{0,20}", name in "\\PC{0,20}") {
        let challenge = Challenge {
            realm: realm.as_str().into(),
            nonce: "n".into(),
            algorithm: Algorithm::Md5,
            opaque: None,
            stale: false,
            qop_auth: true,
        };
        let printed = challenge.to_string();
        prop_assert_eq!(Challenge::parse(&printed).expect("reads"), challenge);
        let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        prop_assert_eq!(unquote(&quoted), name.as_str());
        let value = format!("{quoted} <sip:h>;tag=t");
        let address = NameAddr::parse(&value).expect("reads");
        prop_assert_eq!(address.unquoted_display_name().expect("name"), name.as_str());
    }

    #[test]
    fn no_text_breaks_a_value_parser(text in "\\PC{0,40}", octets in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = (Uri::parse(&text), NameAddr::parse(&text), Via::parse(&text), Challenge::parse(&text));
        let _ = tollwire_sip::Credentials::parse(&text);
        let _ = Via::parse(&format!("SIP/2.0/UDP {text}"));
        let _ = Uri::parse(&format!("sip:{text}"));
        let _ = Message::parse(octets.into());
    }
}
