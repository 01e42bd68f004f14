//! A second reader: rusmpp sees the same values in what is written here, and writes the same octets.

mod samples;

use bytes::BytesMut;
use proptest::prelude::*;
use rusmpp_core::command::owned::Command;
use rusmpp_core::decode::owned::DecodeWithLength;
use rusmpp_core::encode::{Encode, Length};
use rusmpp_core::pdus::owned::Pdu as Theirs;
use tollwire_smpp::pdu::{Address, SubmitSm};
use tollwire_smpp::{COctetString, Framer, Pdu, TlvBuffer, decode, encode, tlv};

/// rusmpp's reading of a PDU and what it writes for it.
fn rusmpp(octets: &[u8]) -> Result<(Command, Vec<u8>), String> {
    let body = &octets[4..];
    let (command, read) = Command::decode(&mut BytesMut::from(body), body.len())
        .map_err(|error| format!("{error:?}"))?;
    assert_eq!(read, body.len());
    let mut written = vec![0; command.length()];
    let length = command.encode(&mut written);
    written.truncate(length);
    let mut out = u32::try_from(4 + length).unwrap().to_be_bytes().to_vec();
    out.extend(written);
    Ok((command, out))
}

#[test]
fn rusmpp_reads_every_pdu_and_writes_the_same_octets() {
    for sample in samples::all() {
        let (command, written) =
            rusmpp(&sample.octets).unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        assert_eq!(u32::from(command.id()), sample.command_id);
        assert_eq!(u32::from(command.status()), sample.command_status);
        assert_eq!(command.sequence_number(), sample.sequence_number);
        assert_eq!(written, sample.octets, "{}", sample.name);
    }
}

fn ascii(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(0x20_u8..0x7F, 0..=most)
        .prop_map(|octets| String::from_utf8(octets).unwrap())
}

fn a_time() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[0-9]{15}[+-]", "[0-9]{12}000R"]
}

/// Numbers and texts of a submit_sm.
type Fields = (
    String,
    (u8, u8, String),
    (u8, u8, String),
    [u8; 4],
    String,
    String,
);

fn fields() -> impl Strategy<Value = Fields> {
    (
        ascii(5),
        (0..7_u8, 0..20_u8, ascii(20)),
        (0..7_u8, 0..20_u8, ascii(20)),
        any::<[u8; 4]>(),
        a_time(),
        a_time(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_submit_sm_is_the_same_to_both(
        (service_type, source, destination, octets, schedule, validity) in fields(),
        short_message in proptest::collection::vec(any::<u8>(), 0..=255),
        vendor in proptest::collection::vec((0x1400_u16..=0x3FFF, proptest::collection::vec(any::<u8>(), 0..40)), 0..5),
        reference in any::<u16>(),
    ) {
        let mut tlvs = TlvBuffer::new();
        for (tag, value) in &vendor {
            tlvs.push(*tag, value).unwrap();
        }
        tlvs.push(tlv::USER_MESSAGE_REFERENCE, &reference.to_be_bytes()).unwrap();
        let address = |(ton, npi, digits): &'_ (u8, u8, String)| (*ton, *npi, digits.clone());
        let (source, destination) = (address(&source), address(&destination));
        let [protocol_id, data_coding, sm_default_msg_id, flags] = octets;
        let submit_sm = SubmitSm {
            service_type: service_type.as_str().into(),
            source: Address { ton: source.0, npi: source.1, digits: source.2.as_str().into() },
            destination: Address { ton: destination.0, npi: destination.1, digits: destination.2.as_str().into() },
            esm_class: flags & 0xC3,
            protocol_id,
            priority_flag: flags & 3,
            schedule_delivery_time: schedule.as_str().into(),
            validity_period: validity.as_str().into(),
            registered_delivery: flags & 0x1F,
            replace_if_present_flag: flags & 1,
            data_coding,
            sm_default_msg_id,
            short_message: &short_message,
            tlvs: tlvs.as_tlvs(),
        };
        let mut out = Vec::new();
        encode(&Pdu::SubmitSm(submit_sm), 0, 9, &mut out).unwrap();
        let mut framer = Framer::new(70_000);
        framer.push(&out);
        let frame = framer.next().unwrap().unwrap();
        prop_assert_eq!(decode(&frame).unwrap(), Pdu::SubmitSm(submit_sm));

        let (command, written) = rusmpp(&out).unwrap();
        prop_assert_eq!(written, out);
        let Some(Theirs::SubmitSm(theirs)) = command.pdu() else {
            panic!("{command:?}");
        };
        prop_assert_eq!(theirs.source_addr.to_string(), source.2.clone());
        prop_assert_eq!(theirs.destination_addr.to_string(), destination.2.clone());
        prop_assert_eq!(theirs.protocol_id, protocol_id);
        prop_assert_eq!(theirs.sm_default_msg_id, sm_default_msg_id);
        prop_assert_eq!(theirs.short_message().as_ref(), &short_message[..]);
        let ours: Vec<u16> = submit_sm.tlvs.iter().map(|tlv| tlv.tag).collect();
        let tags: Vec<u16> = theirs.tlvs().iter().map(|tlv| tlv.tag().into()).collect();
        prop_assert_eq!(tags, ours);
    }
}

/// The reason why PDUs are not read with it.
#[test]
fn rusmpp_refuses_latin_1_in_an_address() {
    let submit_sm = Pdu::SubmitSm(SubmitSm {
        source: Address {
            ton: 5,
            npi: 0,
            digits: COctetString(b"B\xfccher"),
        },
        ..SubmitSm::default()
    });
    let mut out = Vec::new();
    encode(&submit_sm, 0, 9, &mut out).unwrap();
    assert!(rusmpp(&out).unwrap_err().contains("NotAscii"));
    let mut framer = Framer::new(1000);
    framer.push(&out);
    assert_eq!(decode(&framer.next().unwrap().unwrap()).unwrap(), submit_sm);
}
