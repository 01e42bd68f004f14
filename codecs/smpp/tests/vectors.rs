//! Octets beside values, both ways: PDUs laid out by hand from SMPP 3.4 section 4.

use bytes::Bytes;
use tollwire_smpp::pdu::*;
use tollwire_smpp::{
    COctetString, Frame, Framer, MessageState, Pdu, TlvBuffer, decode, encode, status, tlv,
};

fn frame(octets: &[u8]) -> Frame {
    let mut framer = Framer::new(70_000);
    framer.push(octets);
    let frame = framer.next().unwrap().unwrap();
    assert_eq!(framer.buffered(), 0);
    frame
}

#[track_caller]
fn both_ways(octets: &[u8], command_status: u32, sequence_number: u32, pdu: Pdu<'_>) {
    let frame = frame(octets);
    assert_eq!(frame.command_id, pdu.command_id());
    assert_eq!(frame.command_status, command_status);
    assert_eq!(frame.sequence_number, sequence_number);
    assert_eq!(frame.command_length(), octets.len());
    assert_eq!(decode(&frame).unwrap(), pdu);
    let mut out = Vec::new();
    encode(&pdu, command_status, sequence_number, &mut out).unwrap();
    assert_eq!(out, octets);
}

/// The sample PDU of SMPP 3.4 section 3.2.2 (there with version 0x00 for 3.3).
#[test]
fn bind_transmitter_of_the_specification() {
    let octets = [
        0x00, 0x00, 0x00, 0x2F, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x01, 0x53, 0x4D, 0x50, 0x50, 0x33, 0x54, 0x45, 0x53, 0x54, 0x00, 0x73, 0x65, 0x63, 0x72,
        0x65, 0x74, 0x30, 0x38, 0x00, 0x53, 0x55, 0x42, 0x4D, 0x49, 0x54, 0x31, 0x00, 0x50, 0x01,
        0x01, 0x00,
    ];
    both_ways(
        &octets,
        status::ESME_ROK,
        1,
        Pdu::BindTransmitter(Bind {
            system_id: "SMPP3TEST".into(),
            password: "secret08".into(),
            system_type: "SUBMIT1".into(),
            interface_version: 0x50,
            address_range: Address {
                ton: 1,
                npi: 1,
                digits: COctetString::default(),
            },
            ..Bind::default()
        }),
    );
}

#[test]
fn submit_sm_with_latin_1_in_its_source_and_a_vendor_parameter() {
    let mut body = b"CMT\0\x05\x00B\xfccher\0\x01\x01491701234567\0".to_vec();
    body.extend_from_slice(b"\x03\x00\x01\0\0\x01\x00\x08\x00\x04\x00H\x00i");
    body.extend_from_slice(b"\x14\x03\x00\x03150\x02\x04\x00\x02\x00\x07");
    let mut octets = u32::try_from(16 + body.len())
        .unwrap()
        .to_be_bytes()
        .to_vec();
    octets.extend_from_slice(b"\0\0\0\x04\0\0\0\0\x7f\xff\xff\xff");
    octets.extend_from_slice(&body);
    let mut tlvs = TlvBuffer::new();
    tlvs.push(0x1403, b"150").unwrap();
    tlvs.push(tlv::USER_MESSAGE_REFERENCE, &[0, 7]).unwrap();
    both_ways(
        &octets,
        0,
        0x7FFF_FFFF,
        Pdu::SubmitSm(SubmitSm {
            service_type: "CMT".into(),
            source: Address {
                ton: 5,
                npi: 0,
                digits: COctetString(b"B\xfccher"),
            },
            destination: Address {
                ton: 1,
                npi: 1,
                digits: "491701234567".into(),
            },
            esm_class: 3,
            priority_flag: 1,
            registered_delivery: 1,
            data_coding: 8,
            short_message: b"\x00H\x00i",
            tlvs: tlvs.as_tlvs(),
            ..SubmitSm::default()
        }),
    );
}

fn pdu(command_id: u32, command_status: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let words = [length, command_id, command_status, 2];
    let header = words.into_iter().flat_map(u32::to_be_bytes);
    header.chain(body.iter().copied()).collect()
}

/// SMPP 3.4 tables 4-11 to 4-14.
#[test]
fn submit_multi_and_its_response() {
    let number = |digits: &'static str| Address {
        ton: 1,
        npi: 1,
        digits: digits.into(),
    };
    let mut dest_addresses = DestAddressesBuffer::new();
    let destinations = [
        DestAddress::Sme(number("491")),
        DestAddress::DistributionList("all".into()),
    ];
    for destination in destinations {
        dest_addresses.push(destination).unwrap();
    }
    both_ways(
        &pdu(
            0x21,
            0,
            b"\0\0\0\0\x02\x01\x01\x01491\0\x02all\0\0\0\0\0\0\x01\0\0\0\x02hi",
        ),
        0,
        2,
        Pdu::SubmitMulti(SubmitMulti {
            dest_addresses: dest_addresses.as_dest_addresses(),
            registered_delivery: 1,
            short_message: b"hi",
            ..SubmitMulti::default()
        }),
    );
    let mut unsuccess_smes = UnsuccessSmesBuffer::new();
    let unsuccess_sme = UnsuccessSme {
        destination: number("491"),
        error_status_code: status::ESME_RINVDSTADR,
    };
    unsuccess_smes.push(unsuccess_sme).unwrap();
    let octets = pdu(0x8000_0021, 0, b"77\0\x01\x01\x01491\0\0\0\0\x0b");
    let resp = SubmitMultiResp {
        message_id: "77".into(),
        unsuccess_smes: unsuccess_smes.as_unsuccess_smes(),
        ..SubmitMultiResp::default()
    };
    both_ways(&octets, 0, 2, Pdu::SubmitMultiResp(resp));
    assert!(resp.unsuccess_smes.iter().eq([unsuccess_sme]));
}

/// SMPP 3.4 table 4-18: message_id, final_date, message_state, error_code.
#[test]
fn query_sm_resp() {
    both_ways(
        &pdu(0x8000_0003, 0, b"77\x00260301120000000+\0\x05\x09"),
        0,
        2,
        Pdu::QuerySmResp(QuerySmResp {
            message_id: "77".into(),
            final_date: "260301120000000+".into(),
            message_state: MessageState::Undeliverable.number(),
            error_code: 9,
            ..QuerySmResp::default()
        }),
    );
}

#[test]
fn responses_without_a_body() {
    let refused = Pdu::BindTransceiverResp(BindResp::default());
    let octets = pdu(0x8000_0009, status::ESME_RINVPASWD, b"");
    both_ways(&octets, status::ESME_RINVPASWD, 2, refused);
    let throttled = Pdu::SubmitSmResp(MessageIdResp::default());
    let octets = pdu(0x8000_0004, status::ESME_RTHROTTLED, b"");
    both_ways(&octets, status::ESME_RTHROTTLED, 2, throttled);
    // Some write an empty message_id all the same.
    let octets = pdu(0x8000_0004, status::ESME_RTHROTTLED, b"\0");
    assert_eq!(decode(&frame(&octets)).unwrap(), throttled);
}

#[test]
fn an_unknown_command_is_answered_and_an_unknown_response_is_not() {
    let unknown = |command_id| Frame {
        command_id,
        command_status: 0,
        sequence_number: 77,
        body: Bytes::from_static(b"whatever"),
    };
    let mut out = Vec::new();
    decode(&unknown(0x0000_0BAD)).unwrap_err().encode(&mut out);
    assert_eq!(out, b"\0\0\0\x10\x80\0\0\0\0\0\0\x03\0\0\0\x4d");
    out.clear();
    decode(&unknown(0x8000_0BAD)).unwrap_err().encode(&mut out);
    assert_eq!(out, b"");
}
