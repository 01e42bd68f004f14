//! A directory agent, asked and told octet by octet by a hand that is not ours, and judged by tshark.

use std::collections::BTreeSet;
use std::io::Write;

use tollwire_harness::capture::Capture;
use tollwire_harness::slp::agent::read_message;
use tollwire_harness::slp::stage::Stage;
use tollwire_harness::slp::wire::error::{
    AUTHENTICATION_UNKNOWN, INVALID_REGISTRATION, INVALID_UPDATE, LANGUAGE_NOT_SUPPORTED,
    MSG_NOT_SUPPORTED, OK, OPTION_NOT_UNDERSTOOD, PARSE_ERROR, SCOPE_NOT_SUPPORTED,
    VER_NOT_SUPPORTED,
};
use tollwire_harness::slp::wire::{
    self, FRESH, GROUP, OVERFLOW, REQUEST_MCAST, Reply, ask, silence,
};
use tollwire_harness::wait::PATIENCE;

#[test]
fn every_message_and_what_tshark_makes_of_it() {
    let mut stage = Stage::new("[agent]\nattributes = \"(vendor=Tollwire),open\"\n");
    let capture = Capture::start(stage.lan.host(0), &stage.scratch, "port 427");
    let to = stage.agent.address();

    assert_eq!(
        stage.register(
            "service:billing:https://bank.example/pay",
            r"(name=Bank of X),(fee=12),(currency=EUR,USD),(key=\ff\00\01),agreement"
        ),
        OK
    );
    assert_eq!(
        stage.register("service:billing:sip://tel.example", "(name=Tel)"),
        OK
    );
    let reply = stage.find("service:billing", "");
    assert_eq!(reply.error(), OK);
    assert_eq!(
        reply.sorted_urls(),
        [
            "service:billing:https://bank.example/pay",
            "service:billing:sip://tel.example"
        ]
    );
    assert!(
        reply
            .urls()
            .iter()
            .all(|(_, lifetime)| (590..=600).contains(lifetime))
    );
    assert_eq!(reply.language(), "en");
    for (predicate, found) in [
        ("(name=BANK  of x)", 1),
        ("(fee<=12)", 1),
        ("(fee>=13)", 0),
        ("(&(currency=eur)(!(fee=13)))", 1),
        ("(|(name=tel)(agreement=*))", 2),
        (r"(key=\FF\00\01)", 1),
        ("(name=t*l)", 1),
        ("(fee=1*)", 0),
    ] {
        let reply = stage.find("service:billing", predicate);
        assert_eq!(reply.error(), OK, "{predicate}");
        assert_eq!(reply.urls().len(), found, "{predicate}");
    }
    let xid = stage.next_xid();
    let request = wire::attribute_request(
        xid,
        "en",
        "service:billing:https://bank.example/pay",
        "default",
        "",
    );
    assert_eq!(
        ask(&stage.socket, to, &request).text(),
        r"(name=Bank of X),(fee=12),(currency=EUR,USD),(key=\ff\00\01),agreement"
    );
    let xid = stage.next_xid();
    let request = wire::attribute_request(xid, "en", "service:billing", "DEFAULT", "na*");
    assert_eq!(
        ask(&stage.socket, to, &request).text(),
        "(name=Bank of X,Tel)",
        "the union over the concrete types"
    );
    let xid = stage.next_xid();
    assert_eq!(
        ask(&stage.socket, to, &wire::type_request(xid, "DEFAULT")).text(),
        "service:billing:https,service:billing:sip"
    );
    let xid = stage.next_xid();
    let request = wire::service_request(0, xid, "", "service:directory-agent", "", "");
    let advert = ask(&stage.socket, to, &request);
    let (boot, url, scopes, attributes) = advert.directory_agent();
    assert!(boot > 1_700_000_000);
    assert_eq!(
        url,
        format!("service:directory-agent://{}", stage.agent.ip())
    );
    assert_eq!(
        (scopes.as_str(), attributes.as_str()),
        ("DEFAULT", "(vendor=Tollwire),open")
    );
    // By multicast as well, with the XID of the request; and not to one who has the answer.
    let xid = stage.next_xid();
    let request = wire::service_request(
        REQUEST_MCAST,
        xid,
        "",
        "service:directory-agent",
        "DEFAULT",
        "(vendor=t*)",
    );
    let mut multicast = ask(&stage.socket, GROUP, &request);
    assert_eq!(multicast.from, to);
    multicast.octets[10..12].copy_from_slice(&advert.octets[10..12]);
    assert_eq!(multicast.octets, advert.octets);
    let probe = wire::type_request(9_999, "DEFAULT");
    for (previous, scopes, predicate) in [
        (stage.agent.ip().to_string(), "", ""),
        (format!("nonsense,{},1.2.3.4", stage.agent.ip()), "", ""),
        (String::new(), "elsewhere", ""),
        (String::new(), "", "(vendor=somebody else)"),
        (String::new(), "", "(broken"),
    ] {
        let xid = stage.next_xid();
        let request = wire::service_request(
            REQUEST_MCAST,
            xid,
            &previous,
            "service:directory-agent",
            scopes,
            predicate,
        );
        let heard = silence(&stage.socket, GROUP, &request, to, &probe);
        assert_eq!(heard, [], "{previous} {scopes} {predicate}");
    }
    let xid = stage.next_xid();
    let removal = wire::deregistration(
        xid,
        "en",
        "service:billing:sip://tel.example",
        "DEFAULT",
        "",
    );
    assert_eq!(stage.told(&removal), OK);
    assert_eq!(stage.find("service:billing:sip", "").urls(), []);

    // The same over TCP, two requests in one piece.
    let mut stream = stage.lan.host(1).tcp(to).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let first = wire::service_request(0, 1, "", "service:billing", "DEFAULT", "");
    let second = wire::type_request(2, "DEFAULT");
    stream.write_all(&[first, second].concat()).expect("sent");
    let from = to;
    for (xid, function) in [(1, 2), (2, 10)] {
        let octets = read_message(&mut stream).expect("an answer");
        let reply = Reply { octets, from };
        assert_eq!(
            (reply.xid(), reply.function(), reply.error()),
            (xid, function, OK)
        );
    }
    drop(stream);
    stage.agent.stop();

    let recording = capture.stop();
    assert_eq!(recording.malformed(), [] as [String; 0]);
    let functions: BTreeSet<String> = recording
        .fields("srvloc", &["srvloc.function"])
        .into_iter()
        .flatten()
        // Two messages in one segment.
        .flat_map(|field| field.split('|').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let all: BTreeSet<String> = (1..=10).map(|id: u8| id.to_string()).collect();
    assert_eq!(functions, all);
    // At the end it says that it goes down (RFC 2608 12.1).
    let last = recording.fields(
        "srvloc.function == 8 && ip.dst == 239.255.255.253",
        &["srvloc.daadvert.timestamp"],
    );
    assert!(
        last.last()
            .is_some_and(|fields| fields[0].contains("1970") || fields[0].starts_with('0')),
        "{last:?}"
    );
}

#[test]
fn traps_that_others_fell_into() {
    let mut stage = Stage::new("");
    let url = "service:trap://1";
    // Mixed types are refused, and a request for them later harms nobody.
    assert_eq!(
        stage.register(url, r"(x=4,true,sue,\ff\00\00)"),
        INVALID_REGISTRATION
    );
    assert_eq!(stage.find("service:trap", "(x=4)").urls(), []);
    assert_eq!(
        stage.register(
            url,
            "(y=0,1),(b=true),(s=white   space\t inside),(o=\\ff\\10)"
        ),
        OK
    );
    for (predicate, found) in [
        ("(!(y=0))", 1),
        ("(y=0)", 1),
        ("(b=TRUE)", 1),
        ("(!(b=true))", 0),
        ("(s= WHITE space inside )", 1),
        (r"(o=\ff\10)", 1),
        ("(|(x=1)(y=1))", 1),
        ("(y=zero)", 0),
    ] {
        let reply = stage.find("service:trap", predicate);
        assert_eq!(
            (reply.error(), reply.urls().len()),
            (OK, found),
            "{predicate}"
        );
    }
    // An error is not an empty success.
    for predicate in [
        "(y=0", "y=0", "(y=0)x", "(y<=0*)", "(&)", "(y:=0)", "()", "(=1)", r"(s=\41)", "(s=\\2)",
        "((y=0))",
    ] {
        let reply = stage.find("service:trap", predicate);
        assert_eq!(reply.error(), PARSE_ERROR, "{predicate}");
    }
    assert_eq!(stage.find("", "").error(), PARSE_ERROR, "no service type");
    let deep = format!("{}(y=0){}", "(!".repeat(10_000), ")".repeat(10_000));
    let mut stream = stage
        .lan
        .host(1)
        .tcp(stage.agent.address())
        .expect("connects");
    stream
        .write_all(&wire::service_request(
            0,
            5,
            "",
            "service:trap",
            "DEFAULT",
            &deep,
        ))
        .expect("sent");
    let octets = read_message(&mut stream).expect("an answer");
    let from = stage.agent.address();
    assert_eq!(
        Reply { octets, from }.error(),
        PARSE_ERROR,
        "nested ten thousand times"
    );

    // Two languages side by side; a third is told so.
    let xid = stage.next_xid();
    let german = wire::registration(xid, FRESH, "de", url, 600, "DEFAULT", "(y=7)");
    assert_eq!(stage.told(&german), OK);
    assert_eq!(stage.find("service:trap", "(y=1)").urls().len(), 1);
    assert_eq!(
        stage.find("service:trap", "").urls().len(),
        1,
        "the URL once"
    );
    let xid = stage.next_xid();
    let mut french = wire::service_request(0, xid, "", "service:trap", "DEFAULT", "(y=1)");
    french[14..16].copy_from_slice(b"fr");
    assert_eq!(stage.told(&french), LANGUAGE_NOT_SUPPORTED);

    // Updates.
    let mut update = |url: &str, attributes: &str| {
        let xid = stage.next_xid();
        let message = wire::registration(xid, 0, "en", url, 600, "DEFAULT", attributes);
        stage.told(&message)
    };
    assert_eq!(update("service:trap://unknown", "(a=1)"), INVALID_UPDATE);
    assert_eq!(update(url, "(b=false),new"), OK);
    let xid = stage.next_xid();
    let other_type =
        wire::registration_of(xid, 0, "en", (url, "service:other"), 600, "DEFAULT", "");
    assert_eq!(stage.told(&other_type), INVALID_UPDATE);
    let xid = stage.next_xid();
    let request = wire::attribute_request(xid, "en", url, "DEFAULT", "b,NEW,y");
    assert_eq!(
        ask(&stage.socket, stage.agent.address(), &request).text(),
        "(y=0,1),(b=false),new"
    );
    let xid = stage.next_xid();
    let partly = wire::deregistration(xid, "en", url, "DEFAULT", "y,n*");
    assert_eq!(stage.told(&partly), OK);
    let xid = stage.next_xid();
    let request = wire::attribute_request(xid, "en", url, "DEFAULT", "");
    let text = ask(&stage.socket, stage.agent.address(), &request).text();
    assert!(
        text.starts_with("(b=false)") && !text.contains("(y=") && !text.contains("new"),
        "{text}"
    );

    // Registrations that are none.
    let mut wrong = |message: Vec<u8>| stage.told(&message);
    assert_eq!(
        wrong(wire::registration(1, FRESH, "en", url, 0, "DEFAULT", "")),
        INVALID_REGISTRATION
    );
    assert_eq!(
        wrong(wire::registration(2, FRESH, "", url, 60, "DEFAULT", "")),
        INVALID_REGISTRATION
    );
    assert_eq!(
        wrong(wire::registration(
            3,
            FRESH,
            "en",
            url,
            60,
            "DEFAULT,other",
            ""
        )),
        SCOPE_NOT_SUPPORTED
    );
    assert_eq!(
        wrong(wire::service_request(0, 4, "", "service:trap", "other", "")),
        SCOPE_NOT_SUPPORTED
    );
    assert_eq!(
        wrong(wire::service_request(0, 5, "", "service:trap", "", "")),
        SCOPE_NOT_SUPPORTED
    );

    // Versions, functions, extensions.
    let mut version = wire::type_request(6, "DEFAULT");
    version[0] = 3;
    assert_eq!(wrong(version), VER_NOT_SUPPORTED);
    let mut function = wire::type_request(7, "DEFAULT");
    function[1] = 12;
    assert_eq!(wrong(function), MSG_NOT_SUPPORTED);
    for (id, expected) in [
        (0x4001_u16, OPTION_NOT_UNDERSTOOD),
        (0x3001, OK),
        (0x8001, OK),
    ] {
        let mut extended = wire::type_request(8, "DEFAULT");
        let at = u32::try_from(extended.len()).expect("short");
        extended.extend(id.to_be_bytes());
        extended.extend([0, 0, 0, 0xAA]);
        extended[7..10].copy_from_slice(&at.to_be_bytes()[1..]);
        let length = u32::try_from(extended.len()).expect("short");
        extended[2..5].copy_from_slice(&length.to_be_bytes()[1..]);
        assert_eq!(wrong(extended), expected, "extension {id:#06x}");
    }
    // A signature of a key that nobody knows.
    let mut with_spi = wire::message(
        1,
        0,
        9,
        "en",
        &["", "service:trap", "DEFAULT", "", "key"]
            .iter()
            .flat_map(|part| wire::string(part))
            .collect::<Vec<u8>>(),
    );
    assert_eq!(wrong(with_spi.clone()), AUTHENTICATION_UNKNOWN);

    // Lengths that are not the datagram's, and what is sent by multicast in error or to change something: silence.
    let to = stage.agent.address();
    let probe = wire::type_request(9_999, "DEFAULT");
    let length = with_spi.len();
    for wrong in [length - 1, length + 1, 0, 0xFF_FFFF] {
        let octets = u32::try_from(wrong).expect("24 bits").to_be_bytes();
        with_spi[2..5].copy_from_slice(&octets[1..]);
        assert_eq!(
            silence(&stage.socket, to, &with_spi, to, &probe),
            [],
            "length {wrong}"
        );
    }
    let by_multicast = wire::registration(11, FRESH, "en", "service:evil://1", 600, "DEFAULT", "");
    let flagged = wire::registration(
        12,
        FRESH | REQUEST_MCAST,
        "en",
        "service:evil://1",
        600,
        "DEFAULT",
        "",
    );
    let in_error =
        wire::service_request(REQUEST_MCAST, 13, "", "service:trap", "DEFAULT", "(broken");
    let nothing_there = wire::service_request(REQUEST_MCAST, 14, "", "service:none", "DEFAULT", "");
    for message in [by_multicast, flagged, in_error, nothing_there] {
        assert_eq!(silence(&stage.socket, GROUP, &message, to, &probe), []);
    }
    assert!(
        !stage
            .agent
            .registered()
            .contains(&"service:evil://1".to_owned())
    );
    assert!(stage.agent.is_running());
}

#[test]
fn what_does_not_fit_a_datagram_comes_over_tcp() {
    let mut stage = Stage::new("[limits]\nrequests_per_second = 0\n");
    let mut stream = stage
        .lan
        .host(1)
        .tcp(stage.agent.address())
        .expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut waiting = 0;
    for number in 0..10_000_u32 {
        let url = format!("service:many://host-{number}");
        let message = wire::registration(1, FRESH, "en", &url, 600, "DEFAULT", "(a=1)");
        stream.write_all(&message).expect("sent");
        waiting += 1;
        if waiting == 64 || number == 999 || number == 9_999 {
            for _ in 0..waiting {
                let octets = read_message(&mut stream).expect("acknowledged");
                assert_eq!(octets[octets.len() - 2..], [0, 0]);
            }
            waiting = 0;
        }
        if number == 999 || number == 9_999 {
            let reply = stage.find("service:many", "");
            assert!(
                reply.octets.len() <= 1_400 && reply.octets.len() > 1_300,
                "{}",
                reply.octets.len()
            );
            assert_eq!(reply.length(), reply.octets.len());
            assert_eq!(reply.flags(), OVERFLOW);
            let told = reply.urls().len();
            let request = wire::service_request(0, reply.xid(), "", "service:many", "DEFAULT", "");
            stream.write_all(&request).expect("the same over TCP");
            let octets = read_message(&mut stream).expect("an answer");
            let from = stage.agent.address();
            let whole = Reply { octets, from };
            assert_eq!((whole.flags(), whole.xid()), (0, reply.xid()));
            assert_eq!(
                whole.urls().len(),
                usize::try_from(number).expect("few") + 1
            );
            assert!(told < whole.urls().len());
        }
    }
    // The attributes of all of them have but one value.
    let xid = stage.next_xid();
    let request = wire::attribute_request(xid, "en", "service:many", "DEFAULT", "");
    let reply = ask(&stage.socket, stage.agent.address(), &request);
    assert_eq!((reply.text().as_str(), reply.flags()), ("(a=1)", 0));
}
