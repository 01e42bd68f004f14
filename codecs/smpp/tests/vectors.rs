//! Octets beside values, both ways: PDUs laid out by hand from SMPP 3.4 section 4.

use bytes::Bytes;
use tollwire_smpp::pdu::{Address, Bind, SubmitSm};
use tollwire_smpp::{COctetString, Frame, Framer, Pdu, TlvBuffer, decode, encode, status, tlv};

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
