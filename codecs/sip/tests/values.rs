//! Typed values: URIs, addresses, Vias, numbers, digest.

use std::net::SocketAddr;

use tollwire_sip::digest::Algorithm;
use tollwire_sip::{
    CSeq, Challenge, Credentials, HeaderName, Host, NameAddr, Problem, RAck, Refresher,
    SessionExpires, Uri, Via, unquote,
};

fn uri(text: &str) -> Uri<'_> {
    match Uri::parse(text) {
        Ok(uri) => uri,
        Err(problem) => panic!("{text}: {problem}"),
    }
}

#[test]
fn header_names_long_compact_and_in_any_case() {
    for (text, name) in [
        ("Via", HeaderName::Via),
        ("v", HeaderName::Via),
        ("V", HeaderName::Via),
        ("call-id", HeaderName::CallId),
        ("I", HeaderName::CallId),
        ("x", HeaderName::SessionExpires),
        (
            "P-CHARGING-FUNCTION-ADDRESSES",
            HeaderName::PChargingFunctionAddresses,
        ),
        ("www-authenticate", HeaderName::WwwAuthenticate),
        ("Content_Length", HeaderName::Extension),
        ("z", HeaderName::Extension),
        ("", HeaderName::Extension),
        (
            "A-Name-Longer-Than-Any-That-Is-Known-Here",
            HeaderName::Extension,
        ),
    ] {
        assert_eq!(HeaderName::from_bytes(text.as_bytes()), name, "{text}");
        if name != HeaderName::Extension {
            assert_eq!(HeaderName::from_bytes(name.as_str().as_bytes()), name);
        }
    }
}

#[test]
fn uris_of_rfc_3261_19_1_3() {
    let full =
        uri("sips:alice:secret%21@[2001:db8::1]:5071;transport=tcp;lr?subject=a&priority=urgent");
    let sip = full.sip().unwrap();
    assert!(sip.secure && sip.is_loose_router());
    assert_eq!((sip.user, sip.password), (Some("alice"), Some("secret%21")));
    assert_eq!(sip.host, Host::V6("2001:db8::1".parse().unwrap()));
    assert_eq!(sip.port, Some(5071));
    assert_eq!(sip.transport(), Some("tcp"));
    assert_eq!(sip.headers, Some("subject=a&priority=urgent"));
    assert_eq!(full.address_of_record(), "sips:alice@[2001:db8::1]:5071");
    for good in [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "SIP:h",
        "sip:*21#@h",
        "tel:+358-555-1234567;postd=pp22",
        "tel:7042;phone-context=example.com",
        "urn:service:sos",
        "http://www.example.com/?q=a",
    ] {
        uri(good);
    }
    for bad in [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a b@h",
        "sip:a@h:",
        "sip:a@h:65536",
        "sip:a@h:x",
        "sip:a@[::1",
        "sip:a@[zz]",
        "sip:2001:db8::10",
        "sip:%zz@h",
        "sip:%4@h",
        "sip:a@h;",
        "sip:a@h;=x",
        "sip:a@h?x",
        "sip:a@h? =",
        "sip:<a>@h",
        "sip:a@b@c",
        "tel:",
        "tel:+",
        "tel:abcxyz",
        "1x:y",
        "sip:a@h;lr\r\n",
    ] {
        assert_eq!(Uri::parse(bad), Err(Problem::Uri), "{bad}");
    }
}

#[test]
fn uri_equivalence_of_rfc_3261_19_1_4() {
    for (one, two) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtlanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:carol@chicago.com;newparam=5",
            "sip:carol@chicago.com;security=on",
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
    ] {
        assert!(uri(one).equivalent(&uri(two)), "{one} {two}");
        assert!(uri(two).equivalent(&uri(one)), "{two} {one}");
    }
    for (one, two) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:a@h", "sips:a@h"),
        ("sip:%3B@h", "sip:;@h"),
        ("sip:a@h", "sip:h"),
        ("sip:a@h", "tel:+1"),
    ] {
        assert!(!uri(one).equivalent(&uri(two)), "{one} {two}");
        assert!(!uri(two).equivalent(&uri(one)), "{two} {one}");
    }
}

#[test]
fn parameters_appear_once_and_are_bounded() {
    for bad in [
        "sip:h;maddr=192.0.2.1;MADDR=192.0.2.2",
        "sip:h;lr;%6Cr",
        &format!("sip:h{}", ";a".repeat(2)),
    ] {
        assert_eq!(Uri::parse(bad), Err(Problem::Uri), "{bad}");
    }
    assert!(NameAddr::parse("<sip:h>;tag=1;Tag=2").is_err());
    assert!(Via::parse("SIP/2.0/UDP h;branch=z9hG4bKa;branch=z9hG4bKb").is_err());
    let params = |count| {
        (0..count)
            .map(|index| format!(";p{index}"))
            .collect::<String>()
    };
    assert!(Uri::parse(&format!("sip:h{}", params(32))).is_ok());
    assert!(Uri::parse(&format!("sip:h{}", params(33))).is_err());
    assert!(NameAddr::parse(&format!("<sip:h>{}", params(33))).is_err());
}

#[test]
fn name_addr_in_all_its_forms() {
    let quoted = NameAddr::parse("\"A. G. \\\"Al\\\" <x>, Bell\" <sip:agb@h;lr>;tag=a48s").unwrap();
    assert_eq!(
        quoted.unquoted_display_name().unwrap(),
        "A. G. \"Al\" <x>, Bell"
    );
    assert_eq!((quoted.uri, quoted.tag()), ("sip:agb@h;lr", Some("a48s")));
    let bare = NameAddr::parse("sip:+12125551212@server.phone2net.com;tag=887s").unwrap();
    assert_eq!(bare.uri, "sip:+12125551212@server.phone2net.com");
    assert_eq!(bare.tag(), Some("887s"));
    let tokens =
        NameAddr::parse("Anonymous Caller <sip:c8oqz84zk7z@privacy.org> ; tag = hyh8").unwrap();
    assert_eq!(tokens.display_name, Some("Anonymous Caller"));
    assert_eq!(tokens.tag(), Some("hyh8"));
    let quoted_param = NameAddr::parse("<sip:h>;x=\"a;tag=evil\";tag=good").unwrap();
    assert_eq!(quoted_param.tag(), Some("good"));
    assert_eq!(quoted_param.params.unquoted("x").unwrap(), "a;tag=evil");
    for bad in [
        "",
        "<",
        "<sip:h",
        "sip:h>",
        "\"a <sip:h>",
        "a, b <sip:h>",
        "< sip:h>",
        "<sip:h >",
        "<sip:h>;;",
        "<sip:h>;a=",
        "<sip:h>x",
        "sip:a,b@h",
        "sip:h?a=b",
        "<sip:h>;tag=\"x",
        "<sip:h>;t g=1",
    ] {
        assert!(NameAddr::parse(bad).is_err(), "{bad}");
    }
    let contact = |text| NameAddr::parse(text).unwrap();
    assert_eq!(contact("<sip:h>;expires=60").expires(), Some(60));
    assert_eq!(
        contact("<sip:h>;expires=99999999999").expires(),
        Some(u32::MAX)
    );
    assert_eq!(contact("<sip:h>;expires=soon").expires(), Some(3600));
    assert_eq!(contact("<sip:h>").expires(), None);
    for (q, thousandths) in [
        ("0", 0),
        ("0.5", 500),
        ("0.25", 250),
        ("0.333", 333),
        ("1", 1000),
        ("1.0", 1000),
        ("x", 1000),
    ] {
        let text = format!("<sip:h>;q={q}");
        assert_eq!(NameAddr::parse(&text).unwrap().q_thousandths(), thousandths);
    }
}

#[test]
fn via_stamps_and_answers_by_rfc_3261_18_2_and_rfc_3581() {
    let source: SocketAddr = "192.0.2.1:9988".parse().unwrap();
    let stamped = |value: &str| Via::parse(value).unwrap().stamped(source);
    // RFC 3581 4: rport asks for both.
    assert_eq!(
        stamped("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff").unwrap(),
        "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988"
    );
    assert_eq!(stamped("SIP/2.0/UDP 192.0.2.1:9988;branch=z9hG4bKa"), None);
    assert_eq!(
        stamped("SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKa").unwrap(),
        "SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKa;received=192.0.2.1"
    );
    // What the sender wrote there is not believed.
    assert_eq!(
        stamped("SIP/2.0/UDP 192.0.2.1;received=203.0.113.9;branch=z9hG4bKa").unwrap(),
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa"
    );
    let six: SocketAddr = "[2001:db8::9]:5060".parse().unwrap();
    assert_eq!(
        Via::parse("SIP/2.0/UDP h;branch=z9hG4bKa")
            .unwrap()
            .stamped(six)
            .unwrap(),
        "SIP/2.0/UDP h;branch=z9hG4bKa;received=2001:db8::9"
    );
    for (value, target) in [
        (
            "SIP/2.0/UDP 10.1.1.1:4540;received=192.0.2.1;rport=9988",
            Some("192.0.2.1:9988"),
        ),
        (
            "SIP/2.0/UDP 10.1.1.1:4540;received=192.0.2.1",
            Some("192.0.2.1:4540"),
        ),
        ("SIP/2.0/UDP 10.1.1.1", Some("10.1.1.1:5060")),
        ("SIP/2.0/TLS [2001:db8::1]", Some("[2001:db8::1]:5061")),
        ("SIP/2.0/UDP h;maddr=192.0.2.7", Some("192.0.2.7:5060")),
        ("SIP/2.0/UDP h", None),
    ] {
        let target = target.map(|text| text.parse::<SocketAddr>().unwrap());
        assert_eq!(
            Via::parse(value).unwrap().response_address(),
            target,
            "{value}"
        );
    }
    for bad in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 UDP h",
        "SIP/3.0/UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0/UDP h h2",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP 2001:db8::1",
        "SIP/2.0/UDP h;received=x",
        "SIP/2.0/UDP h;rport=x",
        "SIP/2.0/UDP h;ttl=256",
        "SIP/2.0/UDP h;",
        "SIP/2.0/U DP h;branch=x y",
    ] {
        assert!(Via::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn numbers_keep_their_ranges() {
    assert_eq!(CSeq::parse("0009  INVITE").unwrap().number, 9);
    assert_eq!(CSeq::parse("2147483647 BYE").unwrap().number, 2_147_483_647);
    assert_eq!(CSeq::parse("2147483648 BYE"), Err(Problem::OutOfRange));
    for bad in [
        "",
        "1",
        "INVITE",
        "1INVITE",
        "-1 INVITE",
        "+1 INVITE",
        "1 INV ITE",
        "1 ",
    ] {
        assert!(CSeq::parse(bad).is_err(), "{bad}");
    }
    let rack = RAck::parse("776656 1 INVITE").unwrap();
    assert_eq!((rack.response_number, rack.cseq.number), (776_656, 1));
    let expires = SessionExpires::parse("1800 ;refresher=UAS").unwrap();
    assert_eq!(
        (expires.seconds, expires.refresher),
        (1800, Some(Refresher::Uas))
    );
    assert_eq!(expires.to_string(), "1800;refresher=uas");
    assert!(SessionExpires::parse("1800;refresher=me").is_err());
    assert!(SessionExpires::parse("x").is_err());
    assert_eq!(unquote("\"a\\\"b\\\\\""), "a\"b\\");
}

#[test]
fn digest_of_rfc_7616_3_9() {
    let value = "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
        algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
        cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
        response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", \
        opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
    let Ok(Credentials::Digest(digest)) = Credentials::parse(value) else {
        panic!("digest");
    };
    assert_eq!(digest.username, "Mufasa");
    assert_eq!(digest.algorithm, Algorithm::Sha256);
    assert_eq!(digest.qop.as_deref(), Some("auth"));
    assert_eq!((digest.nonce_count, digest.nc), (Some(1), Some("00000001")));
    let printed = digest.to_string();
    let Ok(Credentials::Digest(again)) = Credentials::parse(&printed) else {
        panic!("digest");
    };
    assert_eq!(again.response, digest.response);
    assert_eq!(again.opaque, digest.opaque);
    for bad in [
        "Digest",
        "Digest username=\"a\"",
        "Digest username=\"a, realm=\"r\"",
        "Digest username=\"a\", username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"",
        "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\", nc=1",
        "Digest username=\"a\" realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"",
    ] {
        assert!(Credentials::parse(bad).is_err(), "{bad}");
    }
    let challenge = Challenge {
        realm: "a \"b\"".into(),
        nonce: "n".into(),
        algorithm: Algorithm::Sha256,
        opaque: None,
        stale: true,
        qop_auth: true,
    };
    let printed = challenge.to_string();
    assert_eq!(
        printed,
        "Digest realm=\"a \\\"b\\\"\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\", stale=true"
    );
    assert_eq!(Challenge::parse(&printed).unwrap(), challenge);
    // No algorithm means MD5 (RFC 7616 3.3); several qualities of protection may be offered.
    let old = Challenge::parse("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int, auth\"").unwrap();
    assert_eq!(
        (old.algorithm, old.qop_auth, old.stale),
        (Algorithm::Md5, true, false)
    );
}
