//! SLPv1 (RFC 2165), octet by octet.

use tollwire_slp::agent::{Authority, Random};
use tollwire_slp::message::{AttrRply, DaAdvert, SrvAck, SrvRply, SrvTypeRply};
use tollwire_slp::v1::{
    Charset, ErrorCode, Flags, Header, Reply, Request, V2, decode, encode, refusal,
};
use tollwire_slp::{Body, ErrorCode as V2ErrorCode, Function, UrlEntry};

/// A message: function, flags, language, encoding, body.
fn raw(function: u8, flags: u8, encoding: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + body.len()).unwrap();
    let mut octets = vec![1, function];
    octets.extend(length.to_be_bytes());
    octets.extend([flags, 0, b'e', b'n']);
    octets.extend(encoding.to_be_bytes());
    octets.extend([0x12, 0x34]);
    octets.extend(body);
    octets
}

fn text(text: &str) -> Vec<u8> {
    let mut octets = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    octets.extend(text.as_bytes());
    octets
}

fn header() -> Header {
    Header {
        flags: Flags::default(),
        language: *b"en",
        encoding: 3,
        xid: 0x1234,
    }
}

#[test]
fn every_request_is_read() {
    let registration = [
        60_u16.to_be_bytes().to_vec(),
        text("service:lpr://h"),
        text("(SCOPE=WEST),(A=1)"),
    ]
    .concat();
    for (octets, function, request) in [
        (
            raw(
                1,
                0x40,
                3,
                &[text("10.0.0.1"), text("lpr//(A==1)/")].concat(),
            ),
            Function::SrvRqst,
            Request::SrvReq {
                previous_responders: "10.0.0.1".into(),
                predicate: "lpr//(A==1)/".into(),
            },
        ),
        (
            raw(3, 0, 3, &registration),
            Function::SrvReg,
            Request::SrvReg {
                lifetime: 60,
                url: "service:lpr://h".into(),
                attributes: "(SCOPE=WEST),(A=1)".into(),
            },
        ),
        (
            raw(4, 0, 3, &[text("service:lpr://h"), text("A,B*")].concat()),
            Function::SrvDeReg,
            Request::SrvDereg {
                url: "service:lpr://h".into(),
                tags: "A,B*".into(),
            },
        ),
        (
            raw(
                6,
                0,
                3,
                &[text(""), text("service:lpr:"), text("WEST"), text("A")].concat(),
            ),
            Function::AttrRqst,
            Request::AttrRqst {
                previous_responders: String::new(),
                url: "service:lpr:".into(),
                scope: "WEST".into(),
                select: "A".into(),
            },
        ),
        (
            raw(9, 0, 3, &[text(""), vec![0xFF, 0xFF], text("")].concat()),
            Function::SrvTypeRqst,
            Request::SrvTypeRqst {
                previous_responders: String::new(),
                naming_authority: Authority::All,
                scope: String::new(),
            },
        ),
    ] {
        let message = decode(&octets).unwrap();
        assert_eq!(message.function, function);
        assert_eq!(message.request, request);
        assert_eq!(message.header.xid, 0x1234);
        assert_eq!(message.header.language(), "en");
        assert_eq!(
            message.header.flags.monolingual,
            function == Function::SrvRqst
        );
        // Shorter or longer than it says, it is nobody's; so is every truncation of it that says so itself.
        for length in 0..octets.len() {
            let mut cut = octets[..length].to_vec();
            assert!(decode(&cut).is_err());
            if length >= 12 {
                cut[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
                let error = decode(&cut).unwrap_err();
                assert_eq!(error.error, ErrorCode::PROTOCOL_PARSE_ERROR);
                assert!(error.asked.is_some());
            }
        }
        let mut longer = octets.clone();
        longer.push(0);
        assert!(decode(&longer).unwrap_err().asked.is_none());
    }
}

#[test]
fn requests_are_put_into_the_words_of_version_2() {
    let v2 = |octets: &[u8]| decode(octets).unwrap().request.to_v2();
    assert_eq!(
        v2(&raw(
            1,
            0,
            3,
            &[text(""), text("lpr/WEST/A==1,K/")].concat()
        )),
        Ok(V2::SrvRqst {
            previous_responders: String::new(),
            service_type: "service:lpr".into(),
            scopes: "WEST".into(),
            predicate: "(&(A=1)(K=*))".into(),
        })
    );
    let registration = [
        60_u16.to_be_bytes().to_vec(),
        text("service:lpr.acme://h:515/q"),
        text("(A=1)"),
    ]
    .concat();
    assert_eq!(
        v2(&raw(3, 0, 3, &registration)),
        Ok(V2::SrvReg {
            lifetime: 60,
            url: "service:lpr.acme://h:515/q".into(),
            service_type: "service:lpr.acme".into(),
            scopes: "DEFAULT".into(),
            attributes: "(A=1)".into(),
        })
    );
    let attributes = |url: &str, scope: &str| {
        v2(&raw(
            6,
            0,
            3,
            &[text(""), text(url), text(scope), text("A_B,C*")].concat(),
        ))
    };
    let asked = |url: &str, scopes: &str| {
        Ok(V2::AttrRqst {
            previous_responders: String::new(),
            url: url.into(),
            scopes: scopes.into(),
            tags: "A-B,C*".into(),
        })
    };
    assert_eq!(
        attributes("service:lpr:", ""),
        asked("service:lpr", "DEFAULT")
    );
    assert_eq!(
        attributes("service:lpr://h", "WEST"),
        asked("service:lpr://h", "")
    );
    assert_eq!(
        v2(&raw(1, 0, 3, &[text(""), text("lpr")].concat())),
        Err(ErrorCode::PROTOCOL_PARSE_ERROR)
    );
}

#[test]
fn encodings_and_signatures_that_are_not_understood_are_refused() {
    let body = [text(""), text("lpr//(A==\u{fc})/")].concat();
    assert!(decode(&raw(1, 0, 106, &body)).is_ok());
    let error = |octets: &[u8]| {
        let error = decode(octets).unwrap_err();
        assert!(error.asked.is_some());
        error.error
    };
    assert_eq!(
        error(&raw(1, 0, 3, &body)),
        ErrorCode::PROTOCOL_PARSE_ERROR,
        "not ASCII"
    );
    assert_eq!(
        error(&raw(1, 0, 1000, &body)),
        ErrorCode::CHARSET_NOT_UNDERSTOOD
    );
    let latin = [text(""), vec![0, 11], b"lpr//(A==\xfc)/".to_vec()].concat();
    let latin = [&latin[..3], &[12], &latin[4..]].concat();
    let message = decode(&raw(1, 0, 4, &latin)).unwrap();
    assert!(
        matches!(&message.request, Request::SrvReq { predicate, .. } if predicate == "lpr//(A==ü)/")
    );
    for flags in [0x20, 0x30] {
        let registration = [vec![0, 60], text("service:lpr://h"), text("")].concat();
        assert_eq!(
            error(&raw(3, flags, 3, &registration)),
            ErrorCode::AUTHENTICATION_FAILED
        );
    }
    // Nobody answers an answer.
    assert!(decode(&raw(5, 0, 3, &[0, 0])).unwrap_err().asked.is_none());
    assert_eq!(Charset::of(106), Some(Charset::Utf8));
}

fn answer(body: &Body<'_>, limit: usize) -> Vec<u8> {
    let reply = Reply {
        body,
        overflow: false,
        fresh: false,
    };
    encode(&header(), reply, limit, false).unwrap()
}

#[test]
fn every_answer_is_written() {
    let urls = vec![
        UrlEntry {
            lifetime: 60,
            url: "service:lpr://h",
            authentication: Vec::new(),
        };
        2
    ];
    let body = Body::SrvRply(SrvRply {
        error: V2ErrorCode::OK,
        urls,
    });
    let entry = [vec![0, 60], text("service:lpr://h")].concat();
    let whole = raw(
        2,
        0,
        3,
        &[vec![0, 0, 0, 2], entry.clone(), entry.clone()].concat(),
    );
    assert_eq!(answer(&body, 1_400), whole);
    assert_eq!(answer(&body, whole.len()), whole);
    assert_eq!(
        answer(&body, whole.len() - 1),
        raw(2, 0x80, 3, &[vec![0, 0, 0, 1], entry].concat())
    );
    let body = Body::SrvTypeRply(SrvTypeRply {
        error: V2ErrorCode::OK,
        service_types: "service:lpr,service:a:b,service:x.acme",
    });
    assert_eq!(
        answer(&body, 1_400),
        raw(
            10,
            0,
            3,
            &[
                vec![0, 0, 0, 2],
                text("service:lpr://"),
                text("service:x.acme://")
            ]
            .concat()
        )
    );
    let body = Body::AttrRply(AttrRply {
        attributes: "(a=x\\2cy),k",
        ..AttrRply::default()
    });
    assert_eq!(
        answer(&body, 1_400),
        raw(7, 0, 3, &[vec![0, 0], text("(a=x&#44;y),k")].concat())
    );
    assert_eq!(
        answer(&body, 28),
        raw(7, 0x80, 3, &[vec![0, 0], text("(a=x&#44;y)")].concat())
    );
    let body = Body::DaAdvert(DaAdvert {
        boot_timestamp: 9,
        url: "service:directory-agent://192.0.2.1",
        scopes: "DEFAULT",
        ..DaAdvert::default()
    });
    assert_eq!(
        answer(&body, 1_400),
        raw(
            8,
            0,
            3,
            &[
                vec![0, 0],
                text("service:directory-agent://192.0.2.1"),
                text("DEFAULT")
            ]
            .concat()
        )
    );
    for fresh in [false, true] {
        let body = Body::SrvAck(SrvAck::default());
        let reply = Reply {
            body: &body,
            overflow: false,
            fresh,
        };
        assert_eq!(
            encode(&header(), reply, 1_400, false).unwrap(),
            raw(5, if fresh { 0x08 } else { 0 }, 3, &[0, 0])
        );
    }
    assert_eq!(
        refusal(
            &header(),
            Function::SrvRqst,
            ErrorCode::CHARSET_NOT_UNDERSTOOD
        )
        .unwrap(),
        raw(2, 0, 3, &[0, 5, 0, 0])
    );
    assert_eq!(
        refusal(&header(), Function::SrvReg, ErrorCode::INVALID_REGISTRATION).unwrap(),
        raw(5, 0, 3, &[0, 3])
    );
}

#[test]
fn a_stream_has_no_overflow_and_an_encoding_says_what_it_can() {
    let body = Body::AttrRply(AttrRply {
        attributes: "(a=\u{fc}\u{20ac})",
        ..AttrRply::default()
    });
    let reply = Reply {
        body: &body,
        overflow: true,
        fresh: false,
    };
    let told = |encoding| {
        let header = Header {
            encoding,
            ..header()
        };
        encode(&header, reply, 1_400, true).unwrap()
    };
    assert_eq!(
        told(3),
        raw(7, 0, 3, &[vec![0, 0, 0, 6], b"(a=??)".to_vec()].concat())
    );
    assert_eq!(
        told(4),
        raw(7, 0, 4, &[vec![0, 0, 0, 6], b"(a=\xfc?)".to_vec()].concat())
    );
    assert_eq!(
        told(106),
        raw(
            7,
            0,
            106,
            &[vec![0, 0], text("(a=\u{fc}\u{20ac})")].concat()
        )
    );
}

#[test]
fn damaged_requests_are_refused_or_read() {
    let mut random = Random::new(2165);
    let registration = [
        vec![0, 60],
        text("service:lpr://h"),
        text("(SCOPE=WEST),(A=1,&#44;),(B=(3:Zm9v))"),
    ]
    .concat();
    let seeds = [
        raw(
            1,
            0,
            106,
            &[text(""), text("lpr//(&(|(A==1)(B!=*x*))(C<=3)(K))/")].concat(),
        ),
        raw(3, 0, 106, &registration),
        raw(
            6,
            0,
            4,
            &[text(""), text("service:lpr:"), text("W"), text("A*,_")].concat(),
        ),
        raw(9, 0, 3, &[text(""), text("acme"), text("W")].concat()),
    ];
    let mut read = 0;
    for _ in 0..100_000 {
        let mut octets = seeds[(random.bits() % 4) as usize].clone();
        for _ in 0..random.bits() % 4 {
            let at = 12 + (random.bits() as usize) % (octets.len() - 12);
            octets[at] = random.bits() as u8;
        }
        if let Ok(message) = decode(&octets) {
            read += usize::from(message.request.to_v2().is_ok());
        }
    }
    assert!(read > 10_000, "{read}");
}
