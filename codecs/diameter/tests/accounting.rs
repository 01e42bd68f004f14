//! Accounting (RFC 6733 9): octets beside values, both ways; then what a record must not be.

mod samples;

use std::sync::Arc;

use bytes::Bytes;
use tollwire_diameter::accounting::{
    AccountingAnswer, AccountingRealtimeRequired, AccountingRecordType, AccountingRequest,
    ServiceSpecificInfo,
};
use tollwire_diameter::base::{CapabilitiesExchangeAnswer, VendorSpecificApplicationId};
use tollwire_diameter::peer::{ConnectionId, LocalNode, Peer, PeerEffect, PeerEvent, PeerSettings};
use tollwire_diameter::{Avp, CommandFlags, Fault, Identity, Message, ResultCode, dictionary};

/// An Accounting-Request by hand, RFC 6733 9.7.1 and 9.8 beside it.
#[rustfmt::skip]
const ACR: &[u8] = &[
    0x01, 0x00, 0x00, 0xbc,             // version 1, length 188
    0xc0, 0x00, 0x01, 0x0f,             // R, P, command 271
    0x00, 0x00, 0x00, 0x03,             // application 3, base accounting
    0x00, 0x00, 0x00, 0x07,             // hop-by-hop
    0x12, 0x34, 0x56, 0x78,             // end-to-end
    0x00, 0x00, 0x01, 0x07,             // Session-Id 263
    0x40, 0x00, 0x00, 0x0d,
    b'a', b';', b'1', b';', b'2', 0, 0, 0,
    0x00, 0x00, 0x01, 0x08,             // Origin-Host 264
    0x40, 0x00, 0x00, 0x11,
    b'a', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0, 0, 0,
    0x00, 0x00, 0x01, 0x28,             // Origin-Realm 296
    0x40, 0x00, 0x00, 0x0f,
    b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0,
    0x00, 0x00, 0x01, 0x1b,             // Destination-Realm 283
    0x40, 0x00, 0x00, 0x0f,
    b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0,
    0x00, 0x00, 0x01, 0xe0,             // Accounting-Record-Type 480
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x03,             // INTERIM_RECORD
    0x00, 0x00, 0x01, 0xe5,             // Accounting-Record-Number 485
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x09,
    0x00, 0x00, 0x01, 0x03,             // Acct-Application-Id 259
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x03,
    0x00, 0x00, 0x01, 0x1f,             // Accounting-Sub-Session-Id 287
    0x40, 0x00, 0x00, 0x10,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02,
    0x00, 0x00, 0x00, 0x2c,             // Acct-Session-Id 44
    0x40, 0x00, 0x00, 0x0a,
    0x00, 0xff, 0x00, 0x00,             // two octets that are no text
    0x00, 0x00, 0x00, 0x32,             // Acct-Multi-Session-Id 50
    0x40, 0x00, 0x00, 0x09,
    b'm', 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x55,             // Acct-Interim-Interval 85
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x01, 0x2c,             // 300 s
    0x00, 0x00, 0x01, 0xe3,             // Accounting-Realtime-Required 483
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x02,             // GRANT_AND_STORE
];

/// Its answer, RFC 6733 9.7.2.
#[rustfmt::skip]
const ACA: &[u8] = &[
    0x01, 0x00, 0x00, 0x90,             // version 1, length 144
    0x40, 0x00, 0x01, 0x0f,             // P, command 271
    0x00, 0x00, 0x00, 0x03,
    0x00, 0x00, 0x00, 0x07,
    0x12, 0x34, 0x56, 0x78,
    0x00, 0x00, 0x01, 0x07,             // Session-Id 263
    0x40, 0x00, 0x00, 0x0d,
    b'a', b';', b'1', b';', b'2', 0, 0, 0,
    0x00, 0x00, 0x01, 0x0c,             // Result-Code 268
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x0f, 0xa2,             // DIAMETER_OUT_OF_SPACE 4002
    0x00, 0x00, 0x01, 0x08,             // Origin-Host 264
    0x40, 0x00, 0x00, 0x11,
    b'b', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0, 0, 0,
    0x00, 0x00, 0x01, 0x28,             // Origin-Realm 296
    0x40, 0x00, 0x00, 0x0f,
    b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0,
    0x00, 0x00, 0x01, 0xe0,             // Accounting-Record-Type 480
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x03,
    0x00, 0x00, 0x01, 0xe5,             // Accounting-Record-Number 485
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x09,
    0x00, 0x00, 0x01, 0x03,             // Acct-Application-Id 259
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x03,
    0x00, 0x00, 0x00, 0x55,             // Acct-Interim-Interval 85
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x3c,             // 60 s
    0x00, 0x00, 0x01, 0xe3,             // Accounting-Realtime-Required 483
    0x40, 0x00, 0x00, 0x0c,
    0x00, 0x00, 0x00, 0x01,             // DELIVER_AND_GRANT
];

fn acr() -> AccountingRequest {
    AccountingRequest {
        session_id: "a;1;2".into(),
        origin_host: "a.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        accounting_record_type: AccountingRecordType::InterimRecord,
        accounting_record_number: 9,
        acct_application_id: Some(3),
        accounting_sub_session_id: Some(0x1_0000_0002),
        acct_session_id: Some(Bytes::from_static(&[0, 0xff])),
        acct_multi_session_id: Some("m".into()),
        acct_interim_interval: Some(300),
        accounting_realtime_required: Some(AccountingRealtimeRequired::GrantAndStore),
        ..AccountingRequest::default()
    }
}

fn aca() -> AccountingAnswer {
    AccountingAnswer {
        session_id: "a;1;2".into(),
        result_code: Some(ResultCode::OUT_OF_SPACE),
        origin_host: "b.example".into(),
        origin_realm: "example".into(),
        accounting_record_type: AccountingRecordType::InterimRecord,
        accounting_record_number: 9,
        acct_application_id: Some(3),
        acct_interim_interval: Some(60),
        accounting_realtime_required: Some(AccountingRealtimeRequired::DeliverAndGrant),
        ..AccountingAnswer::default()
    }
}

fn of_vendor(acct_application_id: Option<u32>) -> Option<VendorSpecificApplicationId> {
    Some(VendorSpecificApplicationId {
        vendor_ids: vec![10_415],
        acct_application_id,
        ..VendorSpecificApplicationId::default()
    })
}

#[test]
fn a_request_is_written_and_read() {
    assert_eq!(acr().encode(7, 0x1234_5678).encode(), ACR);
    let message = Message::decode(Bytes::from_static(ACR)).unwrap();
    assert_eq!(AccountingRequest::decode(&message), Ok(acr()));
    assert_eq!(message.encode(), ACR);
}

#[test]
fn an_answer_is_written_and_read() {
    let request = Message::decode(Bytes::from_static(ACR)).unwrap();
    assert_eq!(aca().answer(&request).encode(), ACA);
    let message = Message::decode(Bytes::from_static(ACA)).unwrap();
    assert_eq!(AccountingAnswer::decode(&message), Ok(aca()));
    assert_eq!(message.result_code(), Some(ResultCode::OUT_OF_SPACE));
}

#[test]
fn the_samples_keep_every_avp_of_the_grammar() {
    let acr = samples::acr();
    let message = acr.encode(1, 2);
    assert_eq!(AccountingRequest::decode(&message), Ok(acr));
    let aca = samples::aca();
    let answer = aca.answer(&message);
    // Proxy-Info returns with the answer, and is no AVP of its grammar's own.
    let read = AccountingAnswer::decode(&answer).unwrap();
    assert_eq!(
        AccountingAnswer {
            extra: Vec::new(),
            ..read
        },
        aca
    );
    assert_eq!(answer.proxy_info().count(), 1);
}

#[test]
fn truncated_and_over_long_octets_are_refused() {
    for octets in [ACR, ACA] {
        for length in 0..octets.len() {
            let part = Bytes::copy_from_slice(&octets[..length]);
            assert!(Message::decode(part).is_err(), "{length}");
        }
        let longer = [octets, &[0; 4]].concat();
        assert_eq!(
            Message::decode(longer.into())
                .unwrap_err()
                .error
                .result_code(),
            ResultCode::INVALID_MESSAGE_LENGTH
        );
    }
    // The last AVP shorter, and longer, than its type.
    for (length, code) in [(11, 5014), (13, 5014)] {
        let mut octets = ACR.to_vec();
        let at = octets.len() - 5;
        octets[at] = length;
        if length > 12 {
            octets.extend([0; 4]);
            octets[3] += 4;
        }
        let message = Message::decode(octets.into()).unwrap();
        let error = AccountingRequest::decode(&message).unwrap_err();
        assert_eq!(error.result_code(), ResultCode(code), "{length}");
    }
}

#[test]
fn numbers_outside_the_enumerations_are_refused() {
    for definition in [
        &dictionary::ACCOUNTING_RECORD_TYPE,
        &dictionary::ACCOUNTING_REALTIME_REQUIRED,
    ] {
        for number in [0, 5, -1] {
            let mut message = acr().encode(1, 2);
            message.avps.retain(|avp| !avp.is(definition));
            message.avps.push(Avp::new(definition, &number));
            let error = AccountingRequest::decode(&message).unwrap_err();
            assert_eq!(error.result_code(), ResultCode::INVALID_AVP_VALUE);
        }
    }
    assert_eq!(
        AccountingRecordType::ALL
            .iter()
            .map(|it| it.number())
            .collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(
        AccountingRealtimeRequired::ALL
            .iter()
            .map(|it| it.number())
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[test]
fn a_record_without_type_or_number_is_answered_with_what_is_missing() {
    let identity = Identity {
        origin_host: "b.example".into(),
        origin_realm: "example".into(),
    };
    for definition in [
        &dictionary::SESSION_ID,
        &dictionary::ACCOUNTING_RECORD_TYPE,
        &dictionary::ACCOUNTING_RECORD_NUMBER,
        &dictionary::DESTINATION_REALM,
    ] {
        let mut message = acr().encode(1, 2);
        message.avps.retain(|avp| !avp.is(definition));
        let error = AccountingRequest::decode(&message).unwrap_err();
        assert_eq!(error.fault, Fault::MissingAvp(definition));
        let answer = message.refuse_undecodable(&identity, &error);
        assert_eq!(answer.result_code(), Some(ResultCode::MISSING_AVP));
        assert!(!answer.flags.contains(CommandFlags::ERROR));
        let kind = answer.find(&dictionary::ACCOUNTING_RECORD_TYPE);
        assert_eq!(
            kind.is_some(),
            definition.code != dictionary::ACCOUNTING_RECORD_TYPE.code
        );
    }
}

#[test]
fn one_application_is_named() {
    assert_eq!(acr().application_id(), Ok(3));
    let vendors = AccountingRequest {
        acct_application_id: None,
        vendor_specific_application_id: of_vendor(Some(16_777_300)),
        ..acr()
    };
    assert_eq!(vendors.application_id(), Ok(16_777_300));
    assert_eq!(vendors.encode(1, 2).application_id, 16_777_300);
    let twice = AccountingRequest {
        vendor_specific_application_id: of_vendor(Some(3)),
        ..acr()
    };
    assert_eq!(twice.application_id(), Ok(3));
    let otherwise = AccountingRequest {
        vendor_specific_application_id: of_vendor(Some(4)),
        ..acr()
    };
    let error = otherwise.application_id().unwrap_err();
    assert_eq!(error.result_code(), ResultCode::AVP_OCCURS_TOO_MANY_TIMES);
    for nothing in [None, of_vendor(None)] {
        let request = AccountingRequest {
            acct_application_id: None,
            vendor_specific_application_id: nothing,
            ..acr()
        };
        let error = request.application_id().unwrap_err();
        assert_eq!(
            error.fault,
            Fault::MissingAvp(&dictionary::ACCT_APPLICATION_ID)
        );
    }
}

#[test]
fn what_a_service_alone_understands_stands_in_3gpps_avp() {
    #[rustfmt::skip]
    let octets: &[u8] = &[
        0x00, 0x00, 0x04, 0xe1,         // Service-Specific-Info 1249
        0x80, 0x00, 0x00, 0x2c,         // V, length 44
        0x00, 0x00, 0x28, 0xaf,         // 3GPP
        0x00, 0x00, 0x03, 0x5f,         // Service-Specific-Data 863
        0xc0, 0x00, 0x00, 0x0e,
        0x00, 0x00, 0x28, 0xaf,
        b'{', b'}', 0x00, 0x00,
        0x00, 0x00, 0x04, 0xe9,         // Service-Specific-Type 1257
        0x80, 0x00, 0x00, 0x10,
        0x00, 0x00, 0x28, 0xaf,
        0x00, 0x00, 0x00, 0x01,
    ];
    let request = AccountingRequest {
        service_specific_infos: vec![ServiceSpecificInfo {
            service_specific_data: Some("{}".into()),
            service_specific_type: Some(1),
            extra: Vec::new(),
        }],
        ..acr()
    };
    let encoded = request.encode(1, 2).encode();
    assert!(encoded.windows(octets.len()).any(|it| it == octets));
    let message = Message::decode(encoded).unwrap();
    assert_eq!(AccountingRequest::decode(&message), Ok(request));
}

#[test]
fn an_application_that_accounts_is_advertised_and_served() {
    let mut node = LocalNode {
        identity: Identity {
            origin_host: "server.example".into(),
            origin_realm: "example".into(),
        },
        ..LocalNode::default()
    };
    node.acct_application_ids = vec![3, 16_777_300];
    let mut peer = Peer::new(Arc::new(node), PeerSettings::default(), 0, 1);
    let mut effects = Vec::new();
    let mut cer = samples::cer();
    cer.auth_application_ids.clear();
    cer.vendor_specific_application_ids.clear();
    cer.acct_application_ids = vec![3];
    let connection = ConnectionId(1);
    let now = std::time::Instant::now();
    let incoming = PeerEvent::Incoming {
        connection,
        cer: cer.encode(1, 2),
    };
    peer.handle(now, incoming, &mut effects);
    let cea = effects
        .iter()
        .find_map(|effect| match effect {
            PeerEffect::Write { frame, .. } => Some(Message::decode(frame.clone()).unwrap()),
            _ => None,
        })
        .unwrap();
    let cea = CapabilitiesExchangeAnswer::decode(&cea).unwrap();
    assert_eq!(cea.result_code, ResultCode::SUCCESS);
    assert_eq!(cea.acct_application_ids, [3]);
    assert!(cea.auth_application_ids.is_empty());
    assert_eq!(
        cea.vendor_specific_application_ids[0].acct_application_id,
        Some(16_777_300)
    );
    // A record is delivered; another command of the application is not.
    for (code, delivered) in [(271, true), (272, false)] {
        effects.clear();
        let mut message = samples::acr().encode(3, 4);
        message.command_code = code;
        message
            .avps
            .retain(|avp| !avp.is(&dictionary::DESTINATION_HOST));
        let event = PeerEvent::Received {
            connection,
            message,
        };
        peer.handle(now, event, &mut effects);
        let requests = effects
            .iter()
            .filter(|effect| matches!(effect, PeerEffect::Request { .. }));
        assert_eq!(requests.count(), usize::from(delivered), "{code}");
    }
}
