//! Octets beside values, both ways; then the same octets damaged.

mod samples;

use bytes::Bytes;
use tollwire_diameter::avp::{MAX_AVPS, MAX_DEPTH};
use tollwire_diameter::base::{DeviceWatchdogRequest, FailedAvp};
use tollwire_diameter::credit_control::{
    CcRequestType, CcUnitType, CreditControlAnswer, CreditControlRequest, GrantedServiceUnit,
    GsuPoolReference, MultipleServicesCreditControl, UnitValue,
};
use tollwire_diameter::dictionary;
use tollwire_diameter::rx::{AaRequest, FlowStatus};
use tollwire_diameter::{
    Avp, AvpFlags, CommandFlags, DecodeError, Fault, HEADER_LENGTH, Identity, Message, ResultCode,
    Time, frame_length,
};

const MAX: usize = 65_536;

/// A Device-Watchdog-Request by hand, RFC 6733 3 and 4.1 beside it.
#[rustfmt::skip]
const DWR: &[u8] = &[
    0x01, 0x00, 0x00, 0x44,             // version 1, length 68
    0x80, 0x00, 0x01, 0x18,             // R, command 280
    0x00, 0x00, 0x00, 0x00,             // application 0
    0x00, 0x00, 0x00, 0x07,             // hop-by-hop
    0x12, 0x34, 0x56, 0x78,             // end-to-end
    0x00, 0x00, 0x01, 0x08,             // Origin-Host 264
    0x40, 0x00, 0x00, 0x11,             // M, length 17
    b'a', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0, 0, 0,
    0x00, 0x00, 0x01, 0x28,             // Origin-Realm 296
    0x40, 0x00, 0x00, 0x0f,             // M, length 15
    b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0,
    0x00, 0x00, 0x01, 0x16,             // Origin-State-Id 278
    0x40, 0x00, 0x00, 0x0c,             // M, length 12
    0x00, 0x00, 0x00, 0x05,
];

fn dwr() -> DeviceWatchdogRequest {
    DeviceWatchdogRequest {
        origin_host: "a.example".into(),
        origin_realm: "example".into(),
        origin_state_id: Some(5),
        extra: Vec::new(),
    }
}

/// The header of a CCR with `avps` behind it.
fn ccr_with(avps: &[u8]) -> Bytes {
    let mut octets = vec![
        1, 0, 0, 0, 0xc0, 0, 1, 16, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2,
    ];
    octets.extend(avps);
    let length = u32::try_from(octets.len()).unwrap().to_be_bytes();
    octets[1..4].copy_from_slice(&length[1..]);
    octets.into()
}

fn fault(octets: Bytes) -> DecodeError {
    Message::decode(octets).unwrap_err().error
}

fn identity() -> Identity {
    Identity {
        origin_host: "server.example".into(),
        origin_realm: "example".into(),
    }
}

#[test]
fn a_watchdog_is_written_and_read() {
    assert_eq!(dwr().encode(7, 0x1234_5678).encode(), DWR);
    let message = Message::decode(Bytes::from_static(DWR)).unwrap();
    assert_eq!(message.hop_by_hop_id, 7);
    assert_eq!(message.end_to_end_id, 0x1234_5678);
    assert_eq!(DeviceWatchdogRequest::decode(&message), Ok(dwr()));
    assert_eq!(message.encode(), DWR);
}

#[test]
fn a_vendors_grouped_avp_is_written_and_read() {
    #[rustfmt::skip]
    let octets: &[u8] = &[
        0x00, 0x00, 0x02, 0x05,         // Media-Component-Description 517
        0xc0, 0x00, 0x00, 0x2c,         // V, M, length 44
        0x00, 0x00, 0x28, 0xaf,         // 3GPP
        0x00, 0x00, 0x02, 0x06,         // Media-Component-Number 518
        0xc0, 0x00, 0x00, 0x10,
        0x00, 0x00, 0x28, 0xaf,
        0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x01, 0xff,         // Flow-Status 511
        0xc0, 0x00, 0x00, 0x10,
        0x00, 0x00, 0x28, 0xaf,
        0x00, 0x00, 0x00, 0x03,         // DISABLED
    ];
    let request = AaRequest {
        media_component_descriptions: vec![tollwire_diameter::rx::MediaComponentDescription {
            media_component_number: 1,
            flow_status: Some(FlowStatus::Disabled),
            ..Default::default()
        }],
        ..AaRequest::default()
    };
    let message = request.encode(1, 2);
    let written = message
        .find(&dictionary::MEDIA_COMPONENT_DESCRIPTION)
        .unwrap();
    assert_eq!(written.data, octets[12..]);
    assert_eq!(written.encoded_len(), octets.len());
    let encoded = message.encode();
    assert!(encoded.windows(octets.len()).any(|it| it == octets));
    assert_eq!(
        AaRequest::decode(&Message::decode(encoded).unwrap()),
        Ok(request)
    );
}

/// RFC 8506 8.16 and 8.30: a grant that is part of a credit pool.
#[test]
fn a_credit_pool_is_written_and_read() {
    #[rustfmt::skip]
    let octets: &[u8] = &[
        0x00, 0x00, 0x01, 0xc8,         // Multiple-Services-Credit-Control 456
        0x40, 0x00, 0x00, 0x70,         // M, length 112
        0x00, 0x00, 0x01, 0xaf,         // Granted-Service-Unit 431
        0x40, 0x00, 0x00, 0x18,
        0x00, 0x00, 0x01, 0xa5,         // CC-Total-Octets 421
        0x40, 0x00, 0x00, 0x10,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x4c, 0x4b, 0x40,
        0x00, 0x00, 0x01, 0xb0,         // Rating-Group 432
        0x40, 0x00, 0x00, 0x0c,
        0x00, 0x00, 0x00, 0x02,
        0x00, 0x00, 0x01, 0xc9,         // G-S-U-Pool-Reference 457
        0x40, 0x00, 0x00, 0x44,
        0x00, 0x00, 0x01, 0xc5,         // G-S-U-Pool-Identifier 453
        0x40, 0x00, 0x00, 0x0c,
        0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x01, 0xc6,         // CC-Unit-Type 454
        0x40, 0x00, 0x00, 0x0c,
        0x00, 0x00, 0x00, 0x02,         // TOTAL-OCTETS
        0x00, 0x00, 0x01, 0xbd,         // Unit-Value 445
        0x40, 0x00, 0x00, 0x24,
        0x00, 0x00, 0x01, 0xbf,         // Value-Digits 447
        0x40, 0x00, 0x00, 0x10,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05,
        0x00, 0x00, 0x01, 0xad,         // Exponent 429
        0x40, 0x00, 0x00, 0x0c,
        0xff, 0xff, 0xff, 0xff,         // -1
    ];
    let mut multiplier = UnitValue::from_micro(5);
    multiplier.exponent = Some(-1);
    let service = MultipleServicesCreditControl {
        granted_service_unit: Some(GrantedServiceUnit {
            cc_total_octets: Some(5_000_000),
            ..GrantedServiceUnit::default()
        }),
        rating_group: Some(2),
        g_s_u_pool_references: vec![GsuPoolReference {
            g_s_u_pool_identifier: 1,
            cc_unit_type: CcUnitType::TotalOctets,
            unit_value: multiplier,
            extra: Vec::new(),
        }],
        ..MultipleServicesCreditControl::default()
    };
    let avp = Avp::new(&dictionary::MULTIPLE_SERVICES_CREDIT_CONTROL, &service);
    assert_eq!(avp.data, octets[8..]);
    assert_eq!(avp.encoded_len(), octets.len());
    let request = CreditControlRequest {
        multiple_services_credit_controls: vec![service],
        ..samples::ccr()
    };
    let encoded = request.encode(1, 2).encode();
    assert!(encoded.windows(octets.len()).any(|it| it == octets));
    let again = Message::decode(encoded).unwrap();
    assert_eq!(CreditControlRequest::decode(&again), Ok(request));
    // What every reference has (8.30): the pool, the type of its units, the multiplier.
    for missing in [52..64, 64..76, 76..112] {
        let mut part = octets.to_vec();
        let length = u8::try_from(missing.len()).unwrap();
        part[51] -= length;
        part.drain(missing);
        let mut damaged = avp.clone();
        damaged.data = Bytes::copy_from_slice(&part[8..]);
        let fault = damaged
            .value::<MultipleServicesCreditControl>()
            .unwrap_err();
        assert_eq!(fault.result_code(), ResultCode::MISSING_AVP);
    }
}

#[test]
fn every_sample_survives() {
    for (name, message) in samples::all() {
        let octets = message.encode();
        assert_eq!(octets.len(), message.encoded_len(), "{name}");
        assert_eq!(frame_length(&octets, MAX), Ok(Some(octets.len())), "{name}");
        let again = Message::decode(octets.clone()).unwrap();
        assert_eq!(again, message, "{name}");
        assert_eq!(again.encode(), octets, "{name}");
    }
    let ccr = samples::ccr();
    assert_eq!(CreditControlRequest::decode(&ccr.encode(1, 2)), Ok(ccr));
    let aar = samples::aar();
    assert_eq!(AaRequest::decode(&aar.encode(1, 2)), Ok(aar));
}

#[test]
fn answers_carry_what_their_request_asks_for() {
    let request = samples::ccr().encode(3, 4);
    let answer = CreditControlAnswer {
        result_code: Some(ResultCode::TOO_BUSY),
        ..CreditControlAnswer::default()
    }
    .answer(&request);
    // RFC 6733 6.2: identifiers and P bit of the request, Proxy-Info returned; 7.1.3: E bit.
    assert_eq!(
        answer.flags,
        CommandFlags::PROXIABLE.with(CommandFlags::ERROR)
    );
    assert_eq!((answer.hop_by_hop_id, answer.end_to_end_id), (3, 4));
    assert_eq!(answer.application_id, 4);
    assert_eq!(
        answer.proxy_info().collect::<Vec<_>>(),
        request.proxy_info().collect::<Vec<_>>()
    );
}

#[test]
fn every_truncation_is_refused() {
    for (name, message) in samples::all() {
        let octets = message.encode();
        for length in 0..octets.len() {
            let part = octets.slice(..length);
            if length < 4 {
                assert_eq!(frame_length(&part, MAX), Ok(None), "{name}");
            } else {
                // The frame is known to be longer than what has come.
                assert_eq!(frame_length(&part, MAX), Ok(Some(octets.len())), "{name}");
            }
            let malformed = Message::decode(part).unwrap_err();
            assert!(
                matches!(malformed.error.fault, Fault::InvalidMessageLength { .. }),
                "{name}"
            );
        }
    }
}

#[test]
fn an_over_long_frame_is_refused() {
    let mut octets = DWR.to_vec();
    octets.extend([0; 4]);
    assert_eq!(
        fault(octets.into()).result_code(),
        ResultCode::INVALID_MESSAGE_LENGTH
    );
    assert!(frame_length(DWR, DWR.len() - 1).is_err());
}

#[test]
fn frames_of_another_version_or_an_impossible_length_are_refused() {
    for (octets, expected) in [
        ([2, 0, 0, 20], ResultCode::UNSUPPORTED_VERSION),
        ([1, 0, 0, 19], ResultCode::INVALID_MESSAGE_LENGTH),
        ([1, 0, 0, 0], ResultCode::INVALID_MESSAGE_LENGTH),
        ([1, 0, 0, 22], ResultCode::INVALID_MESSAGE_LENGTH),
        ([1, 255, 255, 255], ResultCode::INVALID_MESSAGE_LENGTH),
        ([1, 1, 0, 4], ResultCode::INVALID_MESSAGE_LENGTH),
    ] {
        assert_eq!(
            frame_length(&octets, MAX).unwrap_err().result_code(),
            expected
        );
    }
    assert_eq!(frame_length(&[1, 1, 0, 0], MAX), Ok(Some(MAX)));
}

#[test]
fn impossible_avp_lengths_are_answered_with_5014() {
    // Shorter than its own header: 0, 3 and 7; with V, 11; longer than the message: 0xffffff.
    for (flags, length) in [
        (0x40, [0, 0, 0]),
        (0x40, [0, 0, 3]),
        (0x40, [0, 0, 7]),
        (0xc0, [0, 0, 11]),
        (0x40, [0xff, 0xff, 0xff]),
        (0x40, [0, 0, 13]),
    ] {
        let mut avp = vec![0, 0, 1, 0xa4, flags];
        avp.extend(length);
        avp.extend([0, 0, 0, 60]);
        let malformed = Message::decode(ccr_with(&avp)).unwrap_err();
        assert_eq!(
            malformed.error.result_code(),
            ResultCode::INVALID_AVP_LENGTH
        );
        // RFC 6733 7.1.5: the header, and zeros of the least length of CC-Time.
        if flags == 0x40 {
            let failed = malformed.error.failed_avp().unwrap();
            assert_eq!(failed.code, 420);
            assert_eq!(failed.data, [0; 4].as_slice());
        }
        let answer = malformed.answer(&identity()).unwrap();
        assert_eq!(answer.result_code(), Some(ResultCode::INVALID_AVP_LENGTH));
        assert!(!answer.is_error() && !answer.is_request());
        Message::decode(answer.encode()).unwrap();
    }
}

#[test]
fn half_an_avp_header_is_padded_in_failed_avp() {
    let malformed = Message::decode(ccr_with(&[0, 0, 1, 0xa4])).unwrap_err();
    assert_eq!(
        malformed.error.result_code(),
        ResultCode::INVALID_AVP_LENGTH
    );
    assert_eq!(malformed.error.failed_avp().unwrap().code, 420);
}

#[test]
fn the_e_bit_in_a_request_is_answered_with_3008() {
    let mut octets = DWR.to_vec();
    octets[4] |= CommandFlags::ERROR.0;
    let malformed = Message::decode(octets.into()).unwrap_err();
    assert_eq!(malformed.error.result_code(), ResultCode::INVALID_HDR_BITS);
    let answer = malformed.answer(&identity()).unwrap();
    assert!(answer.is_error());
}

#[test]
fn an_answer_that_cannot_be_read_is_not_answered() {
    let mut octets = DWR.to_vec();
    octets[4] = 0;
    octets[27] = 0xff;
    let malformed = Message::decode(octets.into()).unwrap_err();
    assert_eq!(malformed.answer(&identity()), None);
}

/// The packet of findings.md: grouped AVPs inside one another until the message ends.
#[test]
fn groups_that_nest_without_end_are_refused_without_recursion() {
    let mut avp = Avp::with_data(&dictionary::FAILED_AVP, Bytes::new());
    while avp.encoded_len() < MAX - HEADER_LENGTH - 8 {
        avp = Avp::grouped(&dictionary::FAILED_AVP, &[avp]);
    }
    let mut message = samples::ccr().encode(1, 2);
    message.avps = vec![avp];
    let again = Message::decode(message.encode()).unwrap();
    assert!(CreditControlRequest::decode(&again).is_err());
    assert!(again.avps[0].value::<FailedAvp>().is_ok());
    const { assert!(MAX_DEPTH < 64) };
}

#[test]
fn a_group_in_itself_is_kept_as_it_is() {
    // Multiple-Services-Credit-Control inside itself: known, so kept; not read any deeper.
    let mut avp = Avp::with_data(&dictionary::MULTIPLE_SERVICES_CREDIT_CONTROL, Bytes::new());
    for _ in 0..5_000 {
        avp = Avp::grouped(&dictionary::MULTIPLE_SERVICES_CREDIT_CONTROL, &[avp]);
    }
    let services: MultipleServicesCreditControl = avp.value().unwrap();
    assert_eq!(services.extra.len(), 1);
}

#[test]
fn too_many_avps_are_refused() {
    let avp = Avp::with_data(&dictionary::CLASS, Bytes::new());
    let mut message = samples::ccr().encode(1, 2);
    message.avps = vec![avp.clone(); MAX_AVPS + 1];
    assert_eq!(fault(message.encode()).fault, Fault::TooManyAvps);
    let group = Avp::grouped(&dictionary::USED_SERVICE_UNIT, &vec![avp; MAX_AVPS + 1]);
    let error = group
        .value::<tollwire_diameter::credit_control::UsedServiceUnit>()
        .unwrap_err();
    assert_eq!(error.result_code(), ResultCode::UNABLE_TO_COMPLY);
}

fn ccr_and(avp: Avp) -> Result<CreditControlRequest, DecodeError> {
    let mut message = samples::ccr().encode(1, 2);
    message.avps.push(avp);
    CreditControlRequest::decode(&Message::decode(message.encode()).unwrap())
}

#[test]
fn unknown_avps_are_kept_unless_they_are_mandatory() {
    let mut unknown = Avp {
        code: 99_999,
        vendor_id: Some(4_242),
        flags: AvpFlags::NONE,
        data: Bytes::from_static(b"anything"),
    };
    let request = ccr_and(unknown.clone()).unwrap();
    assert_eq!(request.extra, vec![unknown.clone()]);
    // Kept, and sent on.
    let again = CreditControlRequest::decode(&request.encode(1, 2)).unwrap();
    assert_eq!(again, request);

    unknown.flags = AvpFlags::MANDATORY;
    let error = ccr_and(unknown.clone()).unwrap_err();
    assert_eq!(error.result_code(), ResultCode::AVP_UNSUPPORTED);
    assert_eq!(error.failed_avp(), Some(unknown));
}

#[test]
fn an_unknown_mandatory_avp_in_a_group_is_named_inside_its_group() {
    let unknown = Avp {
        code: 99_999,
        vendor_id: None,
        flags: AvpFlags::MANDATORY,
        data: Bytes::new(),
    };
    let group = Avp::grouped(&dictionary::SUBSCRIPTION_ID, std::slice::from_ref(&unknown));
    let error = ccr_and(group).unwrap_err();
    assert_eq!(error.result_code(), ResultCode::AVP_UNSUPPORTED);
    let failed = error.failed_avp().unwrap();
    assert!(failed.is(&dictionary::SUBSCRIPTION_ID));
    assert_eq!(failed.members().unwrap(), vec![unknown]);
}

#[test]
fn a_second_single_avp_is_answered_with_5009() {
    let second = Avp::new(&dictionary::CC_REQUEST_NUMBER, &9_u32);
    let error = ccr_and(second.clone()).unwrap_err();
    assert_eq!(error.result_code(), ResultCode::AVP_OCCURS_TOO_MANY_TIMES);
    assert_eq!(error.failed_avp(), Some(second));
}

#[test]
fn values_outside_their_type_are_answered_with_5004() {
    for avp in [
        Avp::new(&dictionary::REQUESTED_ACTION, &7_i32),
        Avp::with_data(&dictionary::ROUTE_RECORD, Bytes::from_static(&[0xff])),
    ] {
        let mut message = samples::ccr().encode(1, 2);
        message.avps.retain(|it| it.code != avp.code);
        message.avps.push(avp.clone());
        let error = CreditControlRequest::decode(&message).unwrap_err();
        assert_eq!(error.result_code(), ResultCode::INVALID_AVP_VALUE);
        assert_eq!(error.failed_avp(), Some(avp));
    }
}

#[test]
fn a_length_that_the_type_cannot_have_is_answered_with_5014() {
    let mut message = samples::ccr().encode(1, 2);
    message
        .avps
        .retain(|it| !it.is(&dictionary::CC_REQUEST_NUMBER));
    message.avps.push(Avp::with_data(
        &dictionary::CC_REQUEST_NUMBER,
        Bytes::from_static(&[0; 5]),
    ));
    let error = CreditControlRequest::decode(&message).unwrap_err();
    assert_eq!(error.result_code(), ResultCode::INVALID_AVP_LENGTH);
    assert_eq!(error.failed_avp().unwrap().data, [0; 4].as_slice());
}

#[test]
fn a_missing_avp_is_answered_with_5005_and_an_example() {
    for definition in [
        &dictionary::SESSION_ID,
        &dictionary::CC_REQUEST_TYPE,
        &dictionary::SERVICE_CONTEXT_ID,
    ] {
        let mut message = samples::ccr().encode(1, 2);
        message.avps.retain(|avp| !avp.is(definition));
        let error = CreditControlRequest::decode(&message).unwrap_err();
        assert_eq!(error.result_code(), ResultCode::MISSING_AVP);
        let failed = error.failed_avp().unwrap();
        assert!(failed.is(definition));
        assert_eq!(failed.data.len(), definition.data_type.least_length());
        let answer = message.refuse_undecodable(&identity(), &error);
        assert_eq!(answer.result_code(), Some(ResultCode::MISSING_AVP));
        let kind = answer.find(&dictionary::CC_REQUEST_TYPE);
        assert_eq!(kind.is_some(), !definition.eq(&dictionary::CC_REQUEST_TYPE));
    }
}

#[test]
fn another_command_is_not_taken_for_this_one() {
    let message = dwr().encode(1, 2);
    let error = CreditControlRequest::decode(&message).unwrap_err();
    assert_eq!(error.result_code(), ResultCode::COMMAND_UNSUPPORTED);
    let mut answer = samples::ccr().encode(1, 2);
    answer.flags = CommandFlags(0);
    assert!(CreditControlRequest::decode(&answer).is_err());
}

#[test]
fn the_last_member_of_a_group_may_lack_its_padding() {
    let mut data = Avp::new(
        &dictionary::SUBSCRIPTION_ID_TYPE,
        &tollwire_diameter::credit_control::SubscriptionIdType::EndUserSipUri,
    );
    data.flags = AvpFlags::MANDATORY;
    let mut octets = Vec::new();
    let text = Avp::new(&dictionary::SUBSCRIPTION_ID_DATA, &"sip:a@b.c".to_owned());
    for avp in [&data, &text] {
        octets.extend(encoded(avp));
    }
    octets.truncate(octets.len() - 3);
    let group = Avp::with_data(&dictionary::SUBSCRIPTION_ID, octets.into());
    let id: tollwire_diameter::credit_control::SubscriptionId = group.value().unwrap();
    assert_eq!(id.subscription_id_data, "sip:a@b.c");
}

fn encoded(avp: &Avp) -> Vec<u8> {
    let message = Message {
        avps: vec![avp.clone()],
        ..Message::default()
    };
    message.encode()[HEADER_LENGTH..].to_vec()
}

#[test]
fn an_explicit_vendor_zero_is_the_ietf() {
    let octets = [
        0, 0, 1, 0x9f, 0xc0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 9, // CC-Request-Number 415 = 9
    ];
    let message = Message::decode(ccr_with(&octets)).unwrap();
    let avp = message.find(&dictionary::CC_REQUEST_NUMBER).unwrap();
    assert_eq!(avp.value::<u32>(), Ok(9));
}

#[test]
fn times_cross_the_eras_of_ntp() {
    // RFC 6733 4.3.1: the era ends at 6h 28m 16s UTC, 7 February 2036.
    let end_of_era_ms = 2_085_978_496_000;
    assert_eq!(Time::from_unix_ms(end_of_era_ms - 1), Time(u32::MAX));
    assert_eq!(Time::from_unix_ms(end_of_era_ms), Time(0));
    assert_eq!(Time(0).unix_ms(), end_of_era_ms);
    assert_eq!(Time::from_unix_ms(0).unix_ms(), 0);
    assert_eq!(
        Time::from_unix_ms(1_700_000_000_999).unix_ms(),
        1_700_000_000_000
    );
}

#[test]
fn kinds_of_request_have_their_numbers() {
    for (kind, number) in [
        (CcRequestType::InitialRequest, 1),
        (CcRequestType::UpdateRequest, 2),
        (CcRequestType::TerminationRequest, 3),
        (CcRequestType::EventRequest, 4),
    ] {
        assert_eq!(kind.number(), number);
        assert_eq!(CcRequestType::from_number(number), Some(kind));
    }
}
