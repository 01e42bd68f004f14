//! What is cut off, too long or reserved is refused at its place, with the status that SMPP names for it.

mod samples;

use tollwire_smpp::pdu::*;
use tollwire_smpp::{Frame, Framer, Pdu, Refusal, TlvBuffer, command, decode, encode, status, tlv};

fn frame(octets: &[u8]) -> Frame {
    let mut framer = Framer::new(u32::MAX);
    framer.push(octets);
    framer.next().unwrap().unwrap()
}

#[test]
fn every_truncation_of_every_pdu_is_refused_or_ends_before_a_parameter() {
    for sample in samples::all() {
        let whole = frame(&sample.octets);
        let parameters: Vec<usize> = {
            let tlvs = decode(&whole).unwrap().tlvs();
            let start = whole.body.len() - tlvs.as_bytes().len();
            let mut ends = vec![start];
            for one in tlvs {
                ends.push(ends.last().unwrap() + 4 + one.value.len());
            }
            ends
        };
        for length in 0..whole.body.len() {
            let cut = Frame {
                body: whole.body.slice(..length),
                ..whole.clone()
            };
            let missing = length == 0 && command::is_response(whole.command_id);
            match decode(&cut) {
                Ok(_) => assert!(
                    missing || parameters.contains(&length),
                    "{} {length}",
                    sample.name
                ),
                Err(refusal) => {
                    assert!(!missing);
                    let broadcast = refusal.command_status == status::ESME_RMISSINGTLV;
                    assert!(
                        broadcast || !parameters.contains(&length),
                        "{} {length}",
                        sample.name
                    );
                    assert!(refusal.offset <= 16 + length);
                    assert_eq!(refusal.sequence_number, sample.sequence_number);
                    assert_eq!(refusal.answer, command::response_to(sample.command_id));
                }
            }
        }
    }
}

fn submit_sm() -> SubmitSm<'static> {
    SubmitSm {
        service_type: "CMT".into(),
        source: Address {
            ton: 1,
            npi: 1,
            digits: "4912345".into(),
        },
        destination: Address {
            ton: 1,
            npi: 1,
            digits: "4967890".into(),
        },
        short_message: b"hi",
        ..SubmitSm::default()
    }
}

fn encoded(pdu: Pdu<'_>) -> Vec<u8> {
    let mut octets = Vec::new();
    encode(&pdu, status::ESME_ROK, 5, &mut octets).unwrap();
    octets
}

/// Refuses these octets, with the length put right.
#[track_caller]
fn refused(mut octets: Vec<u8>) -> (&'static str, usize, &'static str) {
    let length = u32::try_from(octets.len()).unwrap();
    octets[..4].copy_from_slice(&length.to_be_bytes());
    let Refusal {
        command_status,
        sequence_number,
        field,
        offset,
        answer,
    } = decode(&frame(&octets)).unwrap_err();
    assert_eq!(sequence_number, 5);
    assert!(answer.is_some());
    (field, offset, status::name(command_status))
}

/// With `octets[at]` replaced by these.
fn with(octets: &[u8], at: usize, count: usize, by: &[u8]) -> Vec<u8> {
    [&octets[..at], by, &octets[at + count..]].concat()
}

#[test]
fn each_fault_of_a_submit_sm_has_its_status_and_its_place() {
    let octets = encoded(Pdu::SubmitSm(submit_sm()));
    // service_type 16, source 20 to 29, destination 30 to 39, esm_class 40...
    let service_type = refused(with(&octets, 16, 4, b"WAYTOO\0"));
    assert_eq!(service_type, ("service_type", 16, "ESME_RINVSERTYP"));
    let source = refused(with(&octets, 22, 8, b"123456789012345678901\0"));
    assert_eq!(source, ("source_addr", 22, "ESME_RINVSRCADR"));
    let destination = refused(with(&octets, 32, 8, b"123456789012345678901\0"));
    assert_eq!(destination, ("destination_addr", 32, "ESME_RINVDSTADR"));
    for reserved in [0x0C, 0x14, 0x1C, 0x24, 0x30] {
        let esm_class = refused(with(&octets, 40, 1, &[reserved]));
        assert_eq!(esm_class, ("esm_class", 40, "ESME_RINVESMCLASS"));
    }
    let priority_flag = refused(with(&octets, 42, 1, &[5]));
    assert_eq!(priority_flag, ("priority_flag", 42, "ESME_RINVPRTFLG"));
    let schedule = refused(with(&octets, 43, 1, b"tomorrow\0"));
    assert_eq!(schedule, ("schedule_delivery_time", 43, "ESME_RINVSCHED"));
    let schedule = refused(with(&octets, 43, 1, b"26030112000000000+\0"));
    assert_eq!(schedule, ("schedule_delivery_time", 43, "ESME_RINVSCHED"));
    let validity = refused(with(&octets, 44, 1, b"0\0"));
    assert_eq!(validity, ("validity_period", 44, "ESME_RINVEXPIRY"));
    let registered = refused(with(&octets, 45, 1, &[0x20]));
    assert_eq!(
        registered,
        ("registered_delivery", 45, "ESME_RINVREGDLVFLG")
    );
    let replace = refused(with(&octets, 46, 1, &[2]));
    assert_eq!(replace, ("replace_if_present_flag", 46, "ESME_RINVREPFLAG"));
    let length = refused(with(&octets, 49, 1, &[3]));
    assert_eq!(length, ("short_message", 50, "ESME_RINVMSGLEN"));
    let stream = refused(with(&octets, 52, 0, b"\x02"));
    assert_eq!(stream, ("optional parameter", 52, "ESME_RINVOPTPARSTREAM"));
    let stream = refused(with(&octets, 52, 0, b"\x02\x04\x00\x03\x00\x07"));
    assert_eq!(
        stream,
        ("user_message_reference", 52, "ESME_RINVOPTPARSTREAM")
    );
    let length = refused(with(
        &octets,
        52,
        0,
        b"\x14\x03\x00\x00\x02\x04\x00\x01\x07",
    ));
    assert_eq!(length, ("user_message_reference", 56, "ESME_RINVPARLEN"));
    let cut = refused(octets[..45].to_vec());
    assert_eq!(cut, ("registered_delivery", 45, "ESME_RINVCMDLEN"));
    let cut = refused(octets[..25].to_vec());
    assert_eq!(cut, ("source_addr", 22, "ESME_RINVCMDLEN"));
}

#[test]
fn faults_of_the_other_requests() {
    let mut dest_addresses = DestAddressesBuffer::new();
    dest_addresses
        .push(DestAddress::DistributionList("list".into()))
        .unwrap();
    let multi = encoded(Pdu::SubmitMulti(SubmitMulti {
        dest_addresses: dest_addresses.as_dest_addresses(),
        ..SubmitMulti::default()
    }));
    // service_type 16, source 17 to 19, number_of_dests 20, dest_flag 21, dl_name 22.
    let none = refused(with(&multi, 20, 1, &[0]));
    assert_eq!(none, ("number_of_dests", 20, "ESME_RINVNUMDESTS"));
    let flag = refused(with(&multi, 21, 1, &[3]));
    assert_eq!(flag, ("dest_flag", 21, "ESME_RINVDESTFLAG"));
    let name = refused(with(&multi, 22, 5, b"123456789012345678901\0"));
    assert_eq!(name, ("dl_name", 22, "ESME_RINVDLNAME"));

    let bind = encoded(Pdu::BindTransceiver(Bind::default()));
    let system_id = refused(with(&bind, 16, 1, b"1234567890123456\0"));
    assert_eq!(system_id, ("system_id", 16, "ESME_RINVSYSID"));
    let password = refused(with(&bind, 17, 1, b"123456789\0"));
    assert_eq!(password, ("password", 17, "ESME_RINVPASWD"));
    let system_type = refused(with(&bind, 18, 1, b"1234567890123\0"));
    assert_eq!(system_type, ("system_type", 18, "ESME_RINVSYSTYP"));
    let range = refused(with(&bind, 22, 1, &[b'1'; 42]));
    assert_eq!(range, ("address_range", 22, "ESME_RBINDFAIL"));

    let query = encoded(Pdu::QuerySm(QuerySm::default()));
    let message_id = refused(with(&query, 16, 1, &[b'1'; 66]));
    assert_eq!(message_id, ("message_id", 16, "ESME_RINVMSGID"));
    let more = refused(with(&query, 20, 0, b"\0"));
    assert_eq!(more, ("optional parameter", 20, "ESME_RINVCMDLEN"));

    let more = refused(
        [
            &encoded(Pdu::EnquireLink(tollwire_smpp::Tlvs::EMPTY))[..],
            b"xyz",
        ]
        .concat(),
    );
    assert_eq!(more, ("optional parameter", 16, "ESME_RINVCMDLEN"));

    let mut tlvs = TlvBuffer::new();
    tlvs.push(tlv::BROADCAST_REP_NUM, &[0, 1]).unwrap();
    let broadcast = encoded(Pdu::BroadcastSm(BroadcastSm {
        tlvs: tlvs.as_tlvs(),
        ..BroadcastSm::default()
    }));
    let missing = refused(broadcast.clone());
    assert_eq!(
        missing,
        (
            "broadcast_area_identifier",
            broadcast.len(),
            "ESME_RMISSINGOPTPARAM"
        )
    );
}

/// What a message centre delivers is not held to what only it could put right.
#[test]
fn odd_receipts_are_read() {
    let mut tlvs = TlvBuffer::new();
    tlvs.push(tlv::MESSAGE_STATE, b"2").unwrap();
    tlvs.push(tlv::NETWORK_ERROR_CODE, b"\x00").unwrap();
    let deliver_sm = Pdu::DeliverSm(DeliverSm {
        esm_class: 0x0C,
        registered_delivery: 0xFF,
        priority_flag: 9,
        tlvs: tlvs.as_tlvs(),
        ..DeliverSm::default()
    });
    let octets = encoded(deliver_sm);
    assert_eq!(decode(&frame(&octets)).unwrap(), deliver_sm);

    let data_sm = |esm_class| {
        Pdu::DataSm(DataSm {
            esm_class,
            tlvs: tlvs.as_tlvs(),
            ..DataSm::default()
        })
    };
    let octets = encoded(data_sm(0x04));
    assert_eq!(decode(&frame(&octets)).unwrap(), data_sm(0x04));
    let submitted = refused(encoded(data_sm(0x00)));
    assert_eq!(submitted, ("network_error_code", 31, "ESME_RINVPARLEN"));
}

#[test]
fn values_that_do_not_fit_are_not_written() {
    let long = [b'x'; 256];
    let mut out = b"before".to_vec();
    let mut field = |pdu: Pdu<'_>| {
        let unencodable = encode(&pdu, status::ESME_ROK, 1, &mut out).unwrap_err();
        assert_eq!(out, b"before");
        unencodable.field
    };
    let submit = submit_sm();
    let short_message = &long[..];
    assert_eq!(
        field(Pdu::SubmitSm(SubmitSm {
            short_message,
            ..submit
        })),
        "short_message"
    );
    let service_type = "123456".into();
    assert_eq!(
        field(Pdu::SubmitSm(SubmitSm {
            service_type,
            ..submit
        })),
        "service_type"
    );
    let source = Address {
        digits: long[..21].into(),
        ..Address::default()
    };
    assert_eq!(
        field(Pdu::SubmitSm(SubmitSm { source, ..submit })),
        "source_addr"
    );
    let source = Address {
        digits: "12\x0034".into(),
        ..Address::default()
    };
    assert_eq!(
        field(Pdu::SubmitSm(SubmitSm { source, ..submit })),
        "source_addr"
    );
    let validity_period = "000000".into();
    assert_eq!(
        field(Pdu::SubmitSm(SubmitSm {
            validity_period,
            ..submit
        })),
        "validity_period"
    );
    assert_eq!(
        field(Pdu::SubmitMulti(SubmitMulti::default())),
        "number_of_dests"
    );

    let mut dest_addresses = DestAddressesBuffer::new();
    let destination = DestAddress::Sme(submit.destination);
    let long = DestAddress::DistributionList(long[..21].into());
    for _ in 0..255 {
        dest_addresses.push(destination).unwrap();
        assert!(dest_addresses.push(long).is_err());
    }
    assert!(dest_addresses.push(destination).is_err());
    let all = dest_addresses.as_dest_addresses();
    assert_eq!(all.count(), 255);
    assert!(all.iter().all(|one| one == destination));
    assert_eq!(all.iter().count(), 255);
}

#[test]
fn a_length_that_cannot_be_ends_the_stream() {
    let mut framer = Framer::new(64);
    framer.push(b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x01");
    framer.push(b"\0\0\0\x41\0\0\0\x04\0\0\0\0\0\0\0\x02");
    framer.push(&[0; 49]);
    framer.push(b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x03");
    assert_eq!(framer.next().unwrap().unwrap().sequence_number, 1);
    let error = framer.next().unwrap().unwrap_err();
    assert_eq!((error.command_length, error.sequence_number), (65, Some(2)));
    assert!(framer.is_dead());
    assert!(framer.next().is_none());
    framer.push(b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x04");
    assert!(framer.next().is_none());
    assert_eq!(framer.buffered(), 0);
    let mut answer = Vec::new();
    error.refusal().encode(&mut answer);
    assert_eq!(answer, b"\0\0\0\x10\x80\0\0\0\0\0\0\x02\0\0\0\x02");

    // Too short: no sequence_number was sent, whatever follows.
    for short in 0..16_u8 {
        let mut framer = Framer::new(64);
        framer.push(&[0, 0, 0, short]);
        let error = framer.next().unwrap().unwrap_err();
        assert_eq!(error.sequence_number, None);
        assert_eq!(error.refusal().sequence_number, 0);
    }
}

/// A browser at the wrong port.
#[test]
fn other_protocols_are_told_apart_by_their_first_octets() {
    let mut framer = Framer::new(70_000);
    framer.push(b"GET / HTTP/1.1\r\nHost: smsc\r\n\r\n");
    let error = framer.next().unwrap().unwrap_err();
    assert_eq!(error.command_length, u32::from_be_bytes(*b"GET "));
}

#[test]
fn a_stream_reads_the_same_wherever_it_is_cut() {
    let samples = samples::all();
    let stream: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.octets.clone())
        .collect();
    for step in 1..=stream.len().min(700) {
        let mut framer = Framer::new(4096);
        let mut seen = 0;
        for chunk in stream.chunks(step) {
            framer.push(chunk);
            while let Some(frame) = framer.next() {
                let frame = frame.unwrap();
                assert_eq!(frame.body, samples[seen].octets[16..]);
                assert_eq!(frame.command_id, samples[seen].command_id);
                assert_eq!(frame.command_status, samples[seen].command_status);
                assert_eq!(frame.sequence_number, samples[seen].sequence_number);
                seen += 1;
            }
        }
        assert_eq!(seen, samples.len());
        assert_eq!(framer.buffered(), 0);
    }
}
