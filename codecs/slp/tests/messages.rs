//! Octets beside values, both ways, for every message; truncated, over-long, and impossible ones.

use tollwire_slp::message::{
    AttrRply, AttrRqst, DaAdvert, NamingAuthority, SaAdvert, SrvAck, SrvDeReg, SrvReg, SrvRply,
    SrvRplyWriter, SrvRqst, SrvTypeRply, SrvTypeRqst,
};
use tollwire_slp::{
    AuthenticationBlock, Body, DecodeErrorKind, ErrorCode, Extension, Flags, Header, Message,
    UrlEntry, decode, encode,
};

/// Octets from text: `"02 01"` is two octets, a part in quotes is itself.
fn octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            out.extend_from_slice(part.as_bytes());
            continue;
        }
        for pair in part.split_whitespace() {
            out.push(u8::from_str_radix(pair, 16).expect("two hex digits"));
        }
    }
    out
}

/// A message whose length field is filled in.
fn whole(text: &str) -> Vec<u8> {
    let mut out = octets(text);
    let length = u32::try_from(out.len()).expect("short").to_be_bytes();
    out[2..5].copy_from_slice(&length[1..]);
    out
}

fn header(xid: u16, flags: Flags) -> Header<'static> {
    Header {
        flags,
        xid,
        language: "en",
    }
}

const NONE: Flags = Flags {
    overflow: false,
    fresh: false,
    multicast: false,
};

fn block() -> AuthenticationBlock<'static> {
    AuthenticationBlock {
        block_structure_descriptor: 0x8001,
        timestamp: 0x1122_3344,
        spi: "k",
        body: &[0xAA, 0xBB],
    }
}

const BLOCK: &str = "80 01 00 0D 11 22 33 44 00 01 'k' AA BB";

fn cases() -> Vec<(Vec<u8>, Message<'static>)> {
    let plain = |body| Message {
        header: header(7, NONE),
        body,
        extensions: Vec::new(),
    };
    vec![
        (
            whole(
                "02 01 00 00 00 20 00 00 00 00 00 07 00 02 'en'
                 00 09 '192.0.2.1' 00 0F 'service:billing' 00 07 'DEFAULT' 00 05 '(a=1)' 00 00",
            ),
            Message {
                header: header(
                    7,
                    Flags {
                        multicast: true,
                        ..NONE
                    },
                ),
                body: Body::SrvRqst(SrvRqst {
                    previous_responders: "192.0.2.1",
                    service_type: "service:billing",
                    scopes: "DEFAULT",
                    predicate: "(a=1)",
                    spi: "",
                }),
                extensions: Vec::new(),
            },
        ),
        (
            whole(&format!(
                "02 02 00 00 00 80 00 00 00 00 00 07 00 02 'en' 00 00 00 02
                 00 FF FF 00 0D 'service:a://b' 01 {BLOCK}
                 00 00 3C 00 0D 'service:a://c' 00"
            )),
            Message {
                header: header(
                    7,
                    Flags {
                        overflow: true,
                        ..NONE
                    },
                ),
                body: Body::SrvRply(SrvRply {
                    error: ErrorCode::OK,
                    urls: vec![
                        UrlEntry {
                            lifetime: 65535,
                            url: "service:a://b",
                            authentication: vec![block()],
                        },
                        UrlEntry {
                            lifetime: 60,
                            url: "service:a://c",
                            authentication: Vec::new(),
                        },
                    ],
                }),
                extensions: Vec::new(),
            },
        ),
        (
            whole(&format!(
                "02 03 00 00 00 40 00 00 00 00 00 07 00 02 'en'
                 00 00 3C 00 0D 'service:a://b' 00 00 09 'service:a' 00 03 'x,y' 00 05 '(a=1)' 01 {BLOCK}"
            )),
            Message {
                header: header(
                    7,
                    Flags {
                        fresh: true,
                        ..NONE
                    },
                ),
                body: Body::SrvReg(SrvReg {
                    url: UrlEntry {
                        lifetime: 60,
                        url: "service:a://b",
                        authentication: Vec::new(),
                    },
                    service_type: "service:a",
                    scopes: "x,y",
                    attributes: "(a=1)",
                    authentication: vec![block()],
                }),
                extensions: Vec::new(),
            },
        ),
        (
            whole(
                "02 04 00 00 00 00 00 00 00 00 00 07 00 02 'en'
                 00 03 'x,y' 00 00 00 00 0D 'service:a://b' 00 00 01 'a'",
            ),
            plain(Body::SrvDeReg(SrvDeReg {
                scopes: "x,y",
                url: UrlEntry {
                    lifetime: 0,
                    url: "service:a://b",
                    authentication: Vec::new(),
                },
                tags: "a",
            })),
        ),
        (
            whole("02 05 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 0D"),
            plain(Body::SrvAck(SrvAck {
                error: ErrorCode::INVALID_UPDATE,
            })),
        ),
        (
            whole(
                "02 06 00 00 00 00 00 00 00 00 00 07 00 02 'en'
                 00 00 00 09 'service:a' 00 01 'x' 00 03 'a,b' 00 01 'k'",
            ),
            plain(Body::AttrRqst(AttrRqst {
                previous_responders: "",
                url: "service:a",
                scopes: "x",
                tags: "a,b",
                spi: "k",
            })),
        ),
        (
            whole(&format!(
                "02 07 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00 00 05 '(a=1)' 01 {BLOCK}"
            )),
            plain(Body::AttrRply(AttrRply {
                error: ErrorCode::OK,
                attributes: "(a=1)",
                authentication: vec![block()],
            })),
        ),
        (
            whole(&format!(
                "02 08 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00 5F 00 00 01
                 00 0A 'service:da' 00 01 'x' 00 01 'a' 00 01 'k' 01 {BLOCK}"
            )),
            plain(Body::DaAdvert(DaAdvert {
                error: ErrorCode::OK,
                boot_timestamp: 0x5F00_0001,
                url: "service:da",
                scopes: "x",
                attributes: "a",
                spis: "k",
                authentication: vec![block()],
            })),
        ),
        (
            whole(
                "02 09 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00 FF FF 00 07 'DEFAULT'",
            ),
            plain(Body::SrvTypeRqst(SrvTypeRqst {
                previous_responders: "",
                naming_authority: NamingAuthority::All,
                scopes: "DEFAULT",
            })),
        ),
        (
            whole("02 09 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00 00 00 00 01 'x'"),
            plain(Body::SrvTypeRqst(SrvTypeRqst {
                previous_responders: "",
                naming_authority: NamingAuthority::Iana,
                scopes: "x",
            })),
        ),
        (
            whole("02 09 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00 00 04 'acme' 00 01 'x'"),
            plain(Body::SrvTypeRqst(SrvTypeRqst {
                previous_responders: "",
                naming_authority: NamingAuthority::Named("acme"),
                scopes: "x",
            })),
        ),
        (
            whole("02 0A 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00 00 09 'service:a'"),
            plain(Body::SrvTypeRply(SrvTypeRply {
                error: ErrorCode::OK,
                service_types: "service:a",
            })),
        ),
        (
            whole("02 0B 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 01 'u' 00 01 's' 00 01 'a' 00"),
            plain(Body::SaAdvert(SaAdvert {
                url: "u",
                scopes: "s",
                attributes: "a",
                authentication: Vec::new(),
            })),
        ),
        (
            whole(&format!(
                "02 05 00 00 00 00 00 00 00 12 00 07 00 02 'en' 00 03
                 00 01 00 00 23 00 05 'a-1.0' 00 03 'x,y'
                 00 02 00 00 40 00 01 'u' 00 05 '(a=1)' 01 {BLOCK}
                 80 09 00 00 47 DE AD
                 00 03 00 00 00 00 00 27 0F 'own'"
            )),
            Message {
                header: header(7, NONE),
                body: Body::SrvAck(SrvAck {
                    error: ErrorCode::INVALID_REGISTRATION,
                }),
                extensions: vec![
                    Extension::RequiredAttributeMissing {
                        template: "a-1.0",
                        tags: "x,y",
                    },
                    Extension::AttributeList {
                        url: "u",
                        attributes: "(a=1)",
                        authentication: vec![block()],
                    },
                    Extension::Unknown {
                        id: 0x8009,
                        data: &[0xDE, 0xAD],
                    },
                    Extension::VendorOpaque {
                        enterprise: 9999,
                        data: b"own",
                    },
                ],
            },
        ),
    ]
}

#[test]
fn octets_and_values_agree_both_ways() {
    for (bytes, message) in cases() {
        let mut written = b"before".to_vec();
        encode(&message, &mut written).expect("fits");
        assert_eq!(
            &written[6..],
            &bytes[..],
            "{message:?}\n{:02X?}\n{bytes:02X?}",
            &written[6..]
        );
        assert_eq!(decode(&bytes), Ok(message));
    }
}

#[test]
fn nothing_shorter_or_longer_is_a_message() {
    for (bytes, message) in cases() {
        for end in 0..bytes.len() {
            let error = decode(&bytes[..end]).expect_err("truncated");
            assert_eq!(error.error_code(), ErrorCode::PARSE_ERROR);
            // Also when the length field says so: then some field inside is cut, or the last extension's data is.
            if end >= 5 {
                let mut cut = bytes[..end].to_vec();
                let length = u32::try_from(end).expect("short").to_be_bytes();
                cut[2..5].copy_from_slice(&length[1..]);
                let open_ended = matches!(
                    message.extensions.last(),
                    Some(Extension::VendorOpaque { .. })
                );
                if let Ok(read) = decode(&cut) {
                    assert!(open_ended, "{end} of {} octets: {read:?}", bytes.len());
                }
            }
        }
        let mut longer = bytes.clone();
        longer.push(0);
        let error = decode(&longer).expect_err("over-long");
        assert_eq!(error.field, "Length");
        let length = u32::try_from(longer.len()).expect("short").to_be_bytes();
        longer[2..5].copy_from_slice(&length[1..]);
        if message.extensions.is_empty() {
            let error = decode(&longer).expect_err("an octet behind the body");
            assert_eq!(error.kind, DecodeErrorKind::Trailing(1), "{message:?}");
        }
    }
}

#[test]
fn behind_an_error_code_nothing_need_follow() {
    for function in ["02", "07", "08", "0A"] {
        let bytes = whole(&format!(
            "02 {function} 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 04"
        ));
        let message = decode(&bytes).expect("header and code are enough");
        let error = match message.body {
            Body::SrvRply(body) => body.error,
            Body::AttrRply(body) => body.error,
            Body::DaAdvert(body) => body.error,
            Body::SrvTypeRply(body) => body.error,
            other => panic!("{other:?}"),
        };
        assert_eq!(error, ErrorCode::SCOPE_NOT_SUPPORTED);
        let mut fine = bytes;
        let end = fine.len();
        fine[end - 1] = 0;
        assert!(decode(&fine).is_err(), "without an error the body is due");
    }
}

#[test]
fn refusals_have_their_codes() {
    let ack = "00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00";
    let cases = [
        (format!("03 05 {ack}"), ErrorCode::VER_NOT_SUPPORTED),
        (format!("01 05 {ack}"), ErrorCode::VER_NOT_SUPPORTED),
        (format!("02 0C {ack}"), ErrorCode::MSG_NOT_SUPPORTED),
        (format!("02 00 {ack}"), ErrorCode::MSG_NOT_SUPPORTED),
        (
            "02 05 00 00 00 00 00 00 00 00 00 07 00 02 'e1' 00 00".to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        (
            "02 05 00 00 00 00 00 00 00 00 00 07 00 03 'en-' 00 00".to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        // Not UTF-8.
        (
            "02 0A 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00 00 02 C3 28".to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        // Extension offset in the header, in the body, at the end, and beyond it.
        (
            "02 05 00 00 00 00 00 00 00 05 00 07 00 02 'en' 00 00".to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        (
            "02 05 00 00 00 00 00 00 00 11 00 07 00 02 'en' 00 00 00".to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        (
            "02 05 00 00 00 00 00 00 00 12 00 07 00 02 'en' 00 00".to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        (
            "02 05 00 00 00 00 00 FF FF FF 00 07 00 02 'en' 00 00".to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        // A chain that points at itself, and one that points back.
        (
            "02 05 00 00 00 00 00 00 00 12 00 07 00 02 'en' 00 00 80 00 00 00 12".to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        (
            "02 05 00 00 00 00 00 00 00 12 00 07 00 02 'en' 00 00 80 00 00 00 17 80 00 00 00 12"
                .to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
        // An authentication block shorter than its own header.
        (
            "02 0B 00 00 00 00 00 00 00 00 00 07 00 02 'en' 00 00 00 00 00 00 01 00 02 00 03"
                .to_owned(),
            ErrorCode::PARSE_ERROR,
        ),
    ];
    for (text, code) in cases {
        let bytes = whole(&text);
        let error = decode(&bytes).expect_err(&text);
        assert_eq!(error.error_code(), code, "{text}: {error}");
    }
}

#[test]
fn an_unknown_mandatory_extension_is_told() {
    for (id, mandatory) in [
        ("3F FF", false),
        ("40 00", true),
        ("7F FF", true),
        ("80 00", false),
    ] {
        let bytes = whole(&format!(
            "02 05 00 00 00 00 00 00 00 12 00 07 00 02 'en' 00 00 {id} 00 00 00"
        ));
        let message = decode(&bytes).expect("well-formed");
        assert_eq!(message.extensions[0].is_mandatory_and_unknown(), mandatory);
    }
}

#[test]
fn an_empty_attribute_list_extension_may_lack_its_fields() {
    for data in ["", "00 00 00 00", "00 00 00 00 00"] {
        let bytes = whole(&format!(
            "02 05 00 00 00 00 00 00 00 12 00 07 00 02 'en' 00 00 00 02 00 00 00 {data}"
        ));
        let message = decode(&bytes).expect(data);
        assert_eq!(
            message.extensions,
            [Extension::AttributeList {
                url: "",
                attributes: "",
                authentication: Vec::new()
            }]
        );
    }
}

#[test]
fn what_no_length_can_say_is_not_written() {
    let long = "x".repeat(65536);
    let mut out = b"before".to_vec();
    let message = Message {
        header: header(1, NONE),
        body: Body::SrvTypeRply(SrvTypeRply {
            error: ErrorCode::OK,
            service_types: &long,
        }),
        extensions: Vec::new(),
    };
    let error = encode(&message, &mut out).expect_err("too long");
    assert_eq!((error.field, error.length), ("srvtype-list", 65536));
    assert_eq!(out, b"before");
    let all = "x".repeat(65535);
    let message = Message {
        header: header(1, NONE),
        body: Body::SrvTypeRqst(SrvTypeRqst {
            naming_authority: NamingAuthority::Named(&all),
            ..SrvTypeRqst::default()
        }),
        extensions: Vec::new(),
    };
    encode(&message, &mut out).expect_err("its length means all authorities");
}

#[test]
fn a_reply_is_cut_at_whole_entries() {
    let urls: Vec<String> = (0..100).map(|n| format!("service:a://host-{n}")).collect();
    for limit in 0..600 {
        let mut reply = SrvRplyWriter::new(&header(9, NONE), limit).expect("a header");
        let taken = urls
            .iter()
            .take_while(|url| {
                let entry = UrlEntry {
                    lifetime: 1,
                    url,
                    authentication: Vec::new(),
                };
                reply.push(&entry, 0)
            })
            .count();
        assert_eq!(reply.len(), taken);
        let bytes = reply.finish(true, &[]).expect("short");
        // The empty reply is the least there is.
        assert!(bytes.len() <= limit.max(20), "{} over {limit}", bytes.len());
        let message = decode(&bytes).expect("whole");
        assert!(message.header.flags.overflow);
        let Body::SrvRply(body) = message.body else {
            panic!("a SrvRply")
        };
        let read: Vec<&str> = body.urls.iter().map(|entry| entry.url).collect();
        assert_eq!(read, urls[..taken]);
    }
}
