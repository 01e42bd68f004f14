//! Every message of RFC 4475 and RFC 5118, bit-exact, with the answer the RFC names.
//!
//! The files come from the RFCs' own archives; `tests/conformance/sip/extract` makes them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tollwire_sip::sdp::{SdpError, SessionDescription};
use tollwire_sip::{
    Capabilities, Contacts, Credentials, HeaderName, Host, Message, Method, Role, Uri,
};

/// What becomes of a message.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Sound to a proxy, and forwarded as it came.
    Valid,
    /// Answered with this status.
    Refused(u16),
    /// Met with silence.
    Dropped,
}
use Verdict::{Dropped, Refused, Valid};

const PROXY: Capabilities<'static> = Capabilities {
    role: Role::Proxy,
    methods: &[],
    extensions: &[],
    media_types: &[],
    tel: true,
};

const USER_AGENT: Capabilities<'static> = Capabilities {
    role: Role::UserAgentServer,
    methods: &[
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Message,
    ],
    extensions: &[],
    media_types: &["application/sdp"],
    tel: false,
};

/// RFC 4475: file, verdict at a proxy.
const RFC_4475: &[(&str, Verdict)] = &[
    // 3.1.1 Valid Messages
    ("wsinv", Valid),
    ("intmeth", Valid),
    ("esc01", Valid),
    ("escnull", Valid),
    ("esc02", Valid),
    ("lwsdisp", Valid),
    ("longreq", Valid),
    ("dblreq", Valid),
    ("semiuri", Valid),
    ("transports", Valid),
    ("mpart01", Valid),
    ("unreason", Valid),
    ("noreason", Valid),
    // 3.1.2 Invalid Messages
    ("badinv01", Refused(400)),
    ("clerr", Refused(400)),
    ("ncl", Refused(400)),
    ("scalar02", Refused(400)),
    ("scalarlg", Dropped),
    ("quotbal", Refused(400)),
    ("ltgtruri", Refused(400)),
    ("lwsruri", Refused(400)),
    ("lwsstart", Refused(400)),
    ("trws", Refused(400)),
    ("escruri", Refused(400)),
    // 3.1.2.12: refusing it is for those to whom the date matters.
    ("baddate", Valid),
    ("regbadct", Refused(400)),
    ("badaspec", Refused(400)),
    ("baddn", Refused(400)),
    ("badvers", Refused(505)),
    ("mismatch01", Refused(400)),
    ("mismatch02", Refused(501)),
    ("bigcode", Dropped),
    // 3.2 Transaction Layer Semantics
    ("badbranch", Refused(400)),
    // 3.3 Application-Layer Semantics
    ("insuf", Refused(400)),
    ("unkscm", Refused(416)),
    ("novelsc", Refused(416)),
    ("unksm2", Valid),
    ("bext01", Refused(420)),
    ("invut", Valid),
    ("regaut01", Valid),
    ("multi01", Refused(400)),
    ("mcl01", Refused(400)),
    ("bcast", Dropped),
    ("zeromf", Refused(483)),
    ("cparam01", Valid),
    ("cparam02", Valid),
    ("regescrt", Valid),
    ("sdp01", Valid),
    // 3.4 Backward Compatibility
    ("inv2543", Valid),
    // In the archive, but not in the text: a request line without a version.
    ("test", Dropped),
];

/// RFC 5118: file, verdict at a proxy.
const RFC_5118: &[(&str, Verdict)] = &[
    ("ipv6-good", Valid),
    ("ipv6-bad", Refused(400)),
    ("port-ambiguous", Valid),
    ("port-unambiguous", Valid),
    ("via-received-param-with-delim", Valid),
    ("via-received-param-no-delim", Valid),
    ("ipv6-in-sdp", Valid),
    ("mult-ip-in-header", Valid),
    ("mult-ip-in-sdp", Valid),
    ("ipv4-mapped-ipv6", Valid),
    ("ipv6-bug-abnf-3-colons", Valid),
    ("ipv6-correct-abnf-2-colons", Valid),
];

fn folder(rfc: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/sip")
        .join(rfc)
}

fn octets(rfc: &str, name: &str) -> Bytes {
    let path = folder(rfc).join(format!("{name}.dat"));
    match std::fs::read(&path) {
        Ok(octets) => octets.into(),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn message(rfc: &str, name: &str) -> Message {
    match Message::parse(octets(rfc, name)) {
        Ok(message) => message,
        Err(failure) => panic!("{name}: {failure}"),
    }
}

fn judge(octets: Bytes, capabilities: &Capabilities<'_>) -> Verdict {
    let (fault, message) = match Message::parse(octets) {
        Ok(message) => match message
            .check()
            .and_then(|()| message.check_for(capabilities))
        {
            Ok(()) => return Valid,
            Err(fault) => (fault, message),
        },
        Err(failure) => match failure.found() {
            Some(found) => (failure.fault.clone(), found.clone()),
            None => return Dropped,
        },
    };
    match fault.rejection().response(&message) {
        Some(response) => {
            let again = Message::parse(response.to_bytes()).expect("the answer reads back");
            assert_eq!(
                again.header(HeaderName::Via),
                message.header(HeaderName::Via)
            );
            assert_eq!(
                again.header(HeaderName::CallId),
                message.header(HeaderName::CallId)
            );
            Refused(again.status().expect("status"))
        }
        None => Dropped,
    }
}

fn check_folder(rfc: &str, table: &[(&str, Verdict)]) {
    let listed: BTreeSet<String> = table
        .iter()
        .map(|(name, _)| format!("{name}.dat"))
        .collect();
    let present: BTreeSet<String> = std::fs::read_dir(folder(rfc))
        .expect("folder")
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .into_string()
                .expect("name")
        })
        .collect();
    assert_eq!(listed, present, "every message has its verdict");
    for (name, verdict) in table {
        assert_eq!(judge(octets(rfc, name), &PROXY), *verdict, "{name}");
    }
}

fn check_reprint(rfc: &str, table: &[(&str, Verdict)]) {
    for (name, verdict) in table {
        if *verdict != Valid {
            continue;
        }
        let octets = octets(rfc, name);
        let message = Message::parse(octets.clone()).expect(name);
        let printed = message.to_bytes();
        match *name {
            // The octets after Content-Length are noise (RFC 3261 18.3).
            "dblreq" => assert!(octets.starts_with(&printed) && printed.len() < octets.len()),
            _ => assert_eq!(printed, octets, "{name}"),
        }
        let again = Message::parse(printed).expect(name);
        assert!(again.fields().eq(message.fields()), "{name}");
        let mut edited = message.clone();
        edited.push_front(HeaderName::Via, "SIP/2.0/UDP p.example.com;branch=z9hG4bKp");
        edited.remove_first(HeaderName::Via);
        assert_eq!(edited, message, "{name}");
    }
}

#[test]
fn rfc_4475_messages_get_the_answers_it_names() {
    check_folder("rfc4475", RFC_4475);
}

#[test]
fn rfc_5118_messages_get_the_answers_it_names() {
    check_folder("rfc5118", RFC_5118);
}

#[test]
fn valid_messages_print_as_they_came() {
    check_reprint("rfc4475", RFC_4475);
    check_reprint("rfc5118", RFC_5118);
}

#[test]
fn a_user_agents_answers_where_they_differ() {
    for (name, verdict) in [
        ("intmeth", Refused(501)),
        ("esc02", Refused(501)),
        ("bext01", Refused(420)),
        ("invut", Refused(415)),
        ("mpart01", Refused(415)),
        ("regaut01", Refused(405)),
        ("zeromf", Valid),
        ("sdp01", Refused(406)),
        ("unkscm", Refused(416)),
        ("inv2543", Valid),
    ] {
        assert_eq!(
            judge(octets("rfc4475", name), &USER_AGENT),
            verdict,
            "{name}"
        );
    }
}

#[test]
fn refusals_carry_what_the_status_calls_for() {
    let refuse = |name, capabilities: &Capabilities<'_>| {
        let message = message("rfc4475", name);
        let fault = message.check_for(capabilities).expect_err(name);
        fault.rejection().response(&message).expect(name)
    };
    let proxy = refuse("bext01", &PROXY);
    let tags: Vec<_> = proxy.headers(HeaderName::Unsupported).collect();
    assert_eq!(tags, ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]);
    let agent = refuse("bext01", &USER_AGENT);
    let tags: Vec<_> = agent.headers(HeaderName::Unsupported).collect();
    assert_eq!(tags, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert!(refuse("invut", &USER_AGENT).lists(HeaderName::Accept, "application/sdp"));
    assert!(refuse("regaut01", &USER_AGENT).lists(HeaderName::Allow, "INVITE"));
    assert!(agent.to().expect("To").tag().is_some());
}

#[test]
fn wsinv_reads_through_its_folds() {
    let message = message("rfc4475", "wsinv");
    assert_eq!(message.to().unwrap().tag(), Some("1918181833n"));
    let from = message.from().unwrap();
    assert_eq!(from.unquoted_display_name().unwrap(), "J Rosenberg \\\"");
    assert_eq!(from.tag(), Some("98asjd8"));
    assert_eq!(message.max_forwards().unwrap(), Some(68));
    assert_eq!(message.content_length().unwrap(), Some(150));
    assert_eq!(message.cseq().unwrap().number, 9);
    assert_eq!(message.header(HeaderName::Subject), Some(""));
    assert_eq!(
        message.header_named("NewFangledHeader"),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(
        message.header_named("unknownheaderwithunusualvalue"),
        Some(";;,,;;,;")
    );
    let vias: Vec<_> = message.vias().map(|via| via.unwrap()).collect();
    assert_eq!(vias.len(), 3);
    assert_eq!(vias[0].branch(), Some("390skdjuw"));
    assert_eq!(vias[0].transaction_branch(), None);
    assert_eq!(vias[1].host, Host::Name("spindle.example.com"));
    assert_eq!(vias[1].branch(), Some("z9hG4bK9ikj8"));
    assert_eq!(vias[2].branch(), Some("z9hG4bK30239"));
    let Contacts::List(contacts) = message.contacts().unwrap() else {
        panic!("a list");
    };
    assert_eq!(contacts[0].q_thousandths(), 330);
    assert_eq!(contacts[0].params.value("newparam"), Some("newvalue"));
    assert_eq!(contacts[0].params.get("secondparam"), Some(None));
    let uri = message.request_uri().map(Uri::parse).unwrap().unwrap();
    assert!(uri.sip().unwrap().params.contains("unknownparam"));
}

#[test]
fn unusual_characters_and_escapes_keep_their_meaning() {
    let intmeth = message("rfc4475", "intmeth");
    assert_eq!(
        *intmeth.method(),
        Method::Other("!interesting-Method0123456789_*+`.%indeed'~".into())
    );
    assert_eq!(intmeth.via().unwrap().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    assert_eq!(
        intmeth.to().unwrap().unquoted_display_name().unwrap(),
        "BEL:\u{7} NUL:\0 DEL:\u{7f}"
    );
    assert_eq!(
        intmeth.call_id().unwrap(),
        "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    );
    assert_eq!(intmeth.from().unwrap().tag(), Some("_token~1'+`*%!-."));

    let esc01 = message("rfc4475", "esc01");
    let uri = esc01.request_uri().map(Uri::parse).unwrap().unwrap();
    let uri = *uri.sip().unwrap();
    assert_eq!(uri.unescaped_user().unwrap(), "sips:user@example.com");
    assert_eq!(uri.host, Host::Name("example.net"));
    assert_eq!(
        esc01.to().unwrap().uri().unwrap().address_of_record(),
        "sip:user@example.com"
    );
    let contact = esc01.contact().unwrap();
    let contact = contact.uri().unwrap();
    let params = contact.sip().unwrap().params;
    assert!(params.contains("lr"));
    assert_eq!(params.value("name"), Some("v%61lue%25%34%31"));

    let escnull = message("rfc4475", "escnull");
    assert_eq!(
        escnull.to().unwrap().uri().unwrap().address_of_record(),
        "sip:null-%00-null@example.com"
    );
    let Contacts::List(contacts) = escnull.contacts().unwrap() else {
        panic!("a list");
    };
    let [one, two] = &contacts[..] else {
        panic!("two contacts");
    };
    assert!(!one.uri().unwrap().equivalent(&two.uri().unwrap()));

    let esc02 = message("rfc4475", "esc02");
    assert_eq!(*esc02.method(), Method::Other("RE%47IST%45R".into()));
    assert_eq!(
        esc02.to().unwrap().unquoted_display_name().unwrap(),
        "%Z%45"
    );
    assert_eq!(esc02.headers(HeaderName::Contact).count(), 2);

    let semiuri = message("rfc4475", "semiuri");
    let uri = semiuri.request_uri().map(Uri::parse).unwrap().unwrap();
    assert_eq!(
        uri.sip().unwrap().unescaped_user().unwrap(),
        "user;par=u@example.net"
    );
    assert_eq!(semiuri.headers(HeaderName::Accept).count(), 6);
    assert_eq!(message("rfc4475", "longreq").vias().count(), 34);
    assert_eq!(message("rfc4475", "noreason").reason(), "");
    assert!(
        message("rfc4475", "unreason")
            .reason()
            .starts_with("= 2**3")
    );
    let mpart01 = message("rfc4475", "mpart01");
    assert_eq!(mpart01.body().len(), 553);
}

#[test]
fn contact_parameters_stay_with_their_owner() {
    let header = message("rfc4475", "cparam01");
    let contact = header.contact().unwrap();
    assert!(contact.params.contains("unknownparam"));
    assert_eq!(contact.uri, "sip:+19725552222@gw1.example.net");
    let url = message("rfc4475", "cparam02");
    let contact = url.contact().unwrap();
    assert!(contact.params.is_empty());
    assert!(
        contact
            .uri()
            .unwrap()
            .sip()
            .unwrap()
            .params
            .contains("unknownparam")
    );
    let escaped = message("rfc4475", "regescrt");
    let contact = escaped.contact().unwrap();
    assert_eq!(
        contact.uri().unwrap().sip().unwrap().headers,
        Some("Route=%3Csip:sip.example.com%3E")
    );
    let unknown = message("rfc4475", "regaut01");
    assert_eq!(
        unknown.authorization().next().unwrap().unwrap(),
        Credentials::Other("NoOneKnowsThisScheme")
    );
}

#[test]
fn rfc_5118_addresses_are_what_they_say() {
    let request_uri = |name| {
        let message = message("rfc5118", name);
        let uri = message.request_uri().unwrap().to_owned();
        let parsed = Uri::parse(&uri).unwrap();
        let sip = parsed.sip().unwrap();
        (sip.host.address().unwrap(), sip.port)
    };
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(request_uri("ipv6-good"), (address("2001:db8::10"), None));
    assert_eq!(
        request_uri("port-ambiguous"),
        (address("2001:db8::10:5070"), None)
    );
    assert_eq!(
        request_uri("port-unambiguous"),
        (address("2001:db8::10"), Some(5070))
    );
    assert_eq!(
        request_uri("ipv6-bug-abnf-3-colons"),
        request_uri("ipv6-correct-abnf-2-colons")
    );
    for name in [
        "via-received-param-with-delim",
        "via-received-param-no-delim",
    ] {
        let message = message("rfc5118", name);
        assert_eq!(
            message.via().unwrap().received(),
            Some(address("2001:db8::9:255"))
        );
    }
    let mapped = message("rfc5118", "ipv4-mapped-ipv6");
    let vias: Vec<_> = mapped.vias().map(|via| via.unwrap()).collect();
    assert_eq!(vias[0].port, Some(19823));
    assert_eq!(vias[1].host.address(), Some(address("::ffff:192.0.2.2")));
    let sdp = SessionDescription::parse(mapped.session_description().unwrap()).unwrap();
    assert_eq!(sdp.media()[0].address, Some(address("192.0.2.2")));

    let sdp = message("rfc5118", "ipv6-in-sdp");
    let sdp = SessionDescription::parse(sdp.session_description().unwrap()).unwrap();
    assert_eq!(sdp.media()[1].address, Some(address("2001:db8::20")));
    let sdp = message("rfc5118", "mult-ip-in-sdp");
    let sdp = SessionDescription::parse(sdp.session_description().unwrap()).unwrap();
    let addresses: Vec<_> = sdp.media().iter().map(|line| line.address).collect();
    assert_eq!(
        addresses,
        [Some(address("192.0.2.1")), Some(address("2001:db8::1"))]
    );
}

#[test]
fn session_descriptions_of_the_torture_messages_read() {
    for (name, verdict) in RFC_4475 {
        if *verdict != Valid {
            continue;
        }
        let message = message("rfc4475", name);
        if let Some(body) = message.session_description() {
            match SessionDescription::parse(body) {
                Ok(sdp) => assert!(!sdp.media().is_empty(), "{name}"),
                Err(SdpError::NoConnection(_)) => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}
