//! Offers and answers as a media gate reads them.

use tollwire_sip::sdp::{
    Direction, FlowDirection, FlowError, MediaFlow, MediaKind, SdpError, SessionDescription, flows,
};

fn description(connection: &str, media: &str) -> Result<SessionDescription, SdpError> {
    let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n{connection}t=0 0\r\n{media}");
    SessionDescription::parse(text.as_bytes())
}

const A: &str = "c=IN IP4 192.0.2.1\r\n";
const B: &str = "c=IN IP4 198.51.100.2\r\n";

/// The flows of an offer from A and an answer from B, each given by its media lines.
fn agree(offer: &str, answer: &str) -> Result<Vec<MediaFlow>, FlowError> {
    flows(
        &description(A, offer).expect("offer"),
        &description(B, answer).expect("answer"),
    )
}

fn endpoints(flow: &MediaFlow) -> (String, Option<String>, String, Option<String>) {
    (
        flow.offerer.rtp.to_string(),
        flow.offerer.rtcp.map(|rtcp| rtcp.to_string()),
        flow.answerer.rtp.to_string(),
        flow.answerer.rtcp.map(|rtcp| rtcp.to_string()),
    )
}

#[test]
fn plain_call() {
    let found = agree(
        "m=audio 4000 RTP/AVP 0\r\nb=AS:64\r\n",
        "m=audio 5000 RTP/AVP 0\r\nb=TIAS:80001\r\n",
    )
    .unwrap();
    let [flow] = &found[..] else { panic!("one") };
    assert_eq!((flow.number, &flow.kind), (1, &MediaKind::Audio));
    assert_eq!(flow.direction, FlowDirection::Sendrecv);
    assert_eq!(
        endpoints(flow),
        (
            "192.0.2.1:4000".into(),
            Some("192.0.2.1:4001".into()),
            "198.51.100.2:5000".into(),
            Some("198.51.100.2:5001".into())
        )
    );
    assert_eq!(flow.bandwidth_to_offerer, Some(64));
    assert_eq!(flow.bandwidth_to_answerer, Some(81));
    let reversed = flow.clone().reversed();
    assert_eq!(reversed.offerer, flow.answerer);
    assert_eq!(reversed.bandwidth_to_offerer, Some(81));
}

#[test]
fn directions_of_hold() {
    use FlowDirection::{AnswererToOfferer, Inactive, OffererToAnswerer, Sendrecv};
    for (offer, answer, direction) in [
        ("sendrecv", "sendrecv", Sendrecv),
        ("sendonly", "recvonly", OffererToAnswerer),
        ("sendonly", "inactive", Inactive),
        ("sendonly", "sendrecv", OffererToAnswerer),
        ("recvonly", "sendonly", AnswererToOfferer),
        ("inactive", "inactive", Inactive),
        ("inactive", "sendrecv", Inactive),
        ("sendrecv", "sendonly", AnswererToOfferer),
        ("sendrecv", "recvonly", OffererToAnswerer),
        ("recvonly", "recvonly", Inactive),
    ] {
        let offer_line = format!("m=audio 4000 RTP/AVP 0\r\na={offer}\r\n");
        let answer_line = format!("m=audio 5000 RTP/AVP 0\r\na={answer}\r\n");
        let found = agree(&offer_line, &answer_line).unwrap();
        assert_eq!(found[0].direction, direction, "{offer} {answer}");
        assert_eq!(found[0].clone().reversed().direction, direction.reversed());
        assert_eq!(found[0].offerer.rtp.port(), 4000);
    }
}

#[test]
fn direction_is_inherited_from_the_session_and_overridden_by_the_media() {
    let sdp = description(
        "c=IN IP4 192.0.2.1\r\na=sendonly\r\n",
        "m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\na=recvonly\r\n",
    )
    .unwrap();
    let directions: Vec<_> = sdp.media().iter().map(|line| line.direction).collect();
    assert_eq!(directions, [Direction::SendOnly, Direction::RecvOnly]);
}

#[test]
fn hold_by_an_unspecified_address() {
    for address in ["IP4 0.0.0.0", "IP6 ::"] {
        let offer = description(&format!("c=IN {address}\r\n"), "m=audio 4000 RTP/AVP 0\r\n");
        let answer = description(B, "m=audio 5000 RTP/AVP 0\r\n").unwrap();
        let found = flows(&offer.unwrap(), &answer).unwrap();
        assert_eq!(found[0].direction, FlowDirection::Inactive, "{address}");
        assert!(found[0].offerer.rtp.ip().is_unspecified());
    }
}

#[test]
fn port_zero_removes_one_line_of_several() {
    let found = agree(
        "m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\n",
        "m=audio 5000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\n",
    )
    .unwrap();
    let directions: Vec<_> = found.iter().map(|flow| flow.direction).collect();
    assert_eq!(
        directions,
        [
            FlowDirection::Sendrecv,
            FlowDirection::Removed,
            FlowDirection::Removed
        ]
    );
    let numbers: Vec<_> = found.iter().map(|flow| flow.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn rtcp_attribute_and_multiplexing() {
    let rtcp = |offer: &str, answer: &str| {
        let flow = agree(
            &format!("m=audio 4000 RTP/AVP 0\r\n{offer}"),
            &format!("m=audio 5000 RTP/AVP 0\r\n{answer}"),
        )
        .unwrap()
        .remove(0);
        let (_, offerer, _, answerer) = endpoints(&flow);
        (offerer, answerer)
    };
    assert_eq!(
        rtcp("a=rtcp:53020\r\n", "a=rtcp:53030 IN IP4 198.51.100.9\r\n"),
        (
            Some("192.0.2.1:53020".into()),
            Some("198.51.100.9:53030".into())
        )
    );
    assert_eq!(rtcp("a=rtcp-mux\r\n", "a=rtcp-mux\r\n"), (None, None));
    // RFC 5761 5.1.1: an answer without it means two ports.
    assert_eq!(
        rtcp("a=rtcp-mux\r\na=rtcp:4000\r\n", ""),
        (None, Some("198.51.100.2:5001".into()))
    );
    assert_eq!(
        rtcp("a=rtcp-mux\r\na=rtcp:4007\r\n", ""),
        (
            Some("192.0.2.1:4007".into()),
            Some("198.51.100.2:5001".into())
        )
    );
    for bad in [
        "a=rtcp\r\n",
        "a=rtcp:0\r\n",
        "a=rtcp:x\r\n",
        "a=rtcp:1 IN IP4\r\n",
        "a=rtcp:1 IN IP6 2001:db8::1\r\n",
    ] {
        assert_eq!(
            description(A, &format!("m=audio 4000 RTP/AVP 0\r\n{bad}")),
            Err(SdpError::Rtcp(1)),
            "{bad}"
        );
    }
    // The last port has no next one.
    let flow = agree("m=audio 65535 RTP/AVP 0\r\n", "m=audio 5000 RTP/AVP 0\r\n").unwrap();
    assert_eq!(flow[0].offerer.rtcp, None);
}

#[test]
fn ipv6_and_address_families() {
    let six = |address: &str, port| {
        description(
            &format!("c=IN IP6 {address}\r\n"),
            &format!("m=audio {port} RTP/SAVPF 0\r\n"),
        )
        .unwrap()
    };
    let found = flows(&six("2001:db8::1", 4000), &six("2001:db8::2", 5000)).unwrap();
    assert_eq!(found[0].offerer.rtp.to_string(), "[2001:db8::1]:4000");
    assert_eq!(
        found[0].answerer.rtcp.unwrap().to_string(),
        "[2001:db8::2]:5001"
    );
    let four = description(B, "m=audio 5000 RTP/AVP 0\r\n").unwrap();
    assert_eq!(
        flows(&six("2001:db8::1", 4000), &four),
        Err(FlowError::AddressFamily(1))
    );
    // An IPv4-mapped address is an IPv4 packet on the wire.
    assert!(flows(&six("::ffff:192.0.2.1", 4000), &four).is_ok());
}

#[test]
fn connection_of_the_media_line_overrides_the_sessions() {
    let sdp = description(
        A,
        "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.77\r\nm=video 4002 RTP/AVP 31\r\n",
    )
    .unwrap();
    let addresses: Vec<_> = sdp
        .media()
        .iter()
        .map(|line| line.address.unwrap().to_string())
        .collect();
    assert_eq!(addresses, ["192.0.2.77", "192.0.2.1"]);
}

#[test]
fn what_a_gate_cannot_open_is_refused() {
    let audio = "m=audio 4000 RTP/AVP 0\r\n";
    for (connection, media, error) in [
        ("", audio, SdpError::NoConnection(1)),
        (
            "c=IN IP4 media.example.com\r\n",
            audio,
            SdpError::NotAnAddress(1),
        ),
        ("c=IN IP4 2001:db8::1\r\n", audio, SdpError::NotAnAddress(1)),
        ("c=IN IP6 192.0.2.1\r\n", audio, SdpError::NotAnAddress(1)),
        ("c=ATM NSAP 47.0091\r\n", audio, SdpError::NotAnAddress(1)),
        (
            "c=IN IP4 192.0.2.1/127\r\n",
            audio,
            SdpError::NotAnAddress(1),
        ),
        ("c=IN IP4 224.2.1.1/127\r\n", audio, SdpError::NotUnicast(1)),
        ("c=IN IP4 224.2.1.1\r\n", audio, SdpError::NotUnicast(1)),
        (
            "c=IN IP4 255.255.255.255\r\n",
            audio,
            SdpError::NotUnicast(1),
        ),
        ("c=IN IP6 ff15::101\r\n", audio, SdpError::NotUnicast(1)),
        (A, "m=audio 4000/2 RTP/AVP 0\r\n", SdpError::PortRange(1)),
        (
            A,
            "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\n",
            SdpError::SeveralConnections(1),
        ),
        (
            A,
            "m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\nc=IN IP4 h\r\n",
            SdpError::NotAnAddress(2),
        ),
    ] {
        assert_eq!(
            description(connection, media),
            Err(error),
            "{connection}{media}"
        );
    }
    // A line that is not in use opens nothing, whatever it says.
    assert!(description("c=IN IP4 media.example.com\r\n", "m=audio 0 RTP/AVP 0\r\n").is_ok());
    assert!(matches!(
        description(A, "m=audio x RTP/AVP 0\r\n"),
        Err(SdpError::Malformed(_))
    ));
    assert!(matches!(
        SessionDescription::parse(b""),
        Err(SdpError::Malformed(_))
    ));
    assert_eq!(
        description(A, &audio.repeat(33)),
        Err(SdpError::TooManyMediaLines)
    );
    assert_eq!(
        description(A, &"a=x\r\n".repeat(20_000)),
        Err(SdpError::TooLong)
    );
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    let audio = "m=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(
        agree(&audio.repeat(2), audio),
        Err(FlowError::MediaCount {
            offer: 2,
            answer: 1
        })
    );
    assert_eq!(
        agree(audio, "m=video 5000 RTP/AVP 31\r\n"),
        Err(FlowError::Kind(1))
    );
    let msrp = "m=message 7394 TCP/MSRP *\r\n";
    assert_eq!(agree(msrp, msrp), Err(FlowError::Transport(1)));
    // Offered but rejected, it does no harm.
    assert_eq!(
        agree(msrp, "m=message 0 TCP/MSRP *\r\n").unwrap()[0].direction,
        FlowDirection::Removed
    );
}

#[test]
fn fax_has_no_rtcp() {
    let found = agree("m=image 4000 udptl t38\r\n", "m=image 5000 udptl t38\r\n").unwrap();
    assert_eq!(found[0].direction, FlowDirection::Sendrecv);
    assert_eq!(found[0].offerer.rtcp, None);
}

#[test]
fn unknown_attributes_survive_a_reprint() {
    let sdp = description(
        A,
        "m=audio 4000 RTP/AVP 0\r\na=x-vendor:1;2\r\na=ptime:20\r\n",
    )
    .unwrap();
    let printed = sdp.to_bytes();
    let text = std::str::from_utf8(&printed).unwrap();
    assert!(text.contains("a=x-vendor:1;2\r\n"), "{text}");
    assert_eq!(SessionDescription::parse(&printed).unwrap(), sdp);
    assert_eq!(sdp.version(), ("1", 1));
}
