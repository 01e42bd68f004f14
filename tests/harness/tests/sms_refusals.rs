//! Every wrong use is answered with the status that the specification names, and hurts nobody else.

use tollwire_harness::sms::PASSWORD;
use tollwire_harness::sms::raw::Link;
use tollwire_harness::sms::scene::{PHONE, SOURCE, Setup, SmsScene, esme};
use tollwire_harness::sms::wire::{self, Writer, command, status};

/// A submit_sm, field by field, each of which a case may spoil.
#[derive(Clone)]
struct Submit {
    service_type: &'static [u8],
    source: (u8, u8, &'static [u8]),
    destination: (u8, u8, &'static [u8]),
    esm_class: u8,
    priority_flag: u8,
    schedule: &'static [u8],
    validity: &'static [u8],
    registered_delivery: u8,
    replace_if_present: u8,
    sm_default_msg_id: u8,
    sm_length: u8,
    text: &'static [u8],
    tail: Vec<u8>,
}

impl Default for Submit {
    fn default() -> Self {
        Self {
            service_type: b"\0",
            source: (1, 1, b"4900\0"),
            destination: (1, 1, b"491700001\0"),
            esm_class: 0,
            priority_flag: 0,
            schedule: b"\0",
            validity: b"\0",
            registered_delivery: 0,
            replace_if_present: 0,
            sm_default_msg_id: 0,
            sm_length: 2,
            text: b"hi",
            tail: Vec::new(),
        }
    }
}

impl Submit {
    fn octets(&self, sequence_number: u32) -> Vec<u8> {
        Writer::new(command::SUBMIT_SM, 0, sequence_number)
            .octets(self.service_type)
            .octets(&[self.source.0, self.source.1])
            .octets(self.source.2)
            .octets(&[self.destination.0, self.destination.1])
            .octets(self.destination.2)
            .octets(&[self.esm_class, 0, self.priority_flag])
            .octets(self.schedule)
            .octets(self.validity)
            .octets(&[self.registered_delivery, self.replace_if_present, 0])
            .octets(&[self.sm_default_msg_id, self.sm_length])
            .octets(self.text)
            .octets(&self.tail)
            .finish()
    }
}

fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let whole = Writer::new(0, 0, 0).tlv(tag, value).finish();
    whole[16..].to_vec()
}

/// What is wrong, and which statuses the specification allows for it.
fn cases() -> Vec<(&'static str, Submit, &'static [u32])> {
    let good = Submit::default;
    vec![
        (
            "service_type of 7 octets",
            Submit {
                service_type: b"TOOLONG\0",
                ..good()
            },
            &[status::ESME_RINVSERTYP],
        ),
        (
            "source_addr of 21 octets",
            Submit {
                source: (1, 1, b"123456789012345678901\0"),
                ..good()
            },
            &[status::ESME_RINVSRCADR],
        ),
        (
            "a source that this ESME may not use",
            Submit {
                source: (1, 1, b"110\0"),
                ..good()
            },
            &[status::ESME_RINVSRCADR],
        ),
        (
            "destination_addr of 21 octets",
            Submit {
                destination: (1, 1, b"123456789012345678901\0"),
                ..good()
            },
            &[status::ESME_RINVDSTADR],
        ),
        (
            "no destination",
            Submit {
                destination: (1, 1, b"\0"),
                ..good()
            },
            &[status::ESME_RINVDSTADR],
        ),
        (
            "a destination that no route goes to",
            Submit {
                destination: (1, 1, b"331\0"),
                ..good()
            },
            &[status::ESME_RINVDSTADR],
        ),
        (
            "a schedule_delivery_time that is none",
            Submit {
                schedule: b"2601010000000000\0",
                ..good()
            },
            &[status::ESME_RINVSCHED],
        ),
        (
            "a validity_period of 5 octets",
            Submit {
                validity: b"0000\0",
                ..good()
            },
            &[status::ESME_RINVEXPIRY],
        ),
        (
            "sm_length beyond the PDU",
            Submit {
                sm_length: 200,
                ..good()
            },
            &[status::ESME_RINVMSGLEN, status::ESME_RINVCMDLEN],
        ),
        (
            "a TLV that runs past the end",
            Submit {
                tail: vec![0x14, 0x02, 0x00, 0x09, 0x01],
                ..good()
            },
            &[status::ESME_RINVTLVSTREAM, status::ESME_RINVPARLEN],
        ),
        (
            "a TLV of a length that its tag does not have",
            Submit {
                tail: tlv(0x020e, &[1, 2, 3]), // sar_total_segments: one octet
                ..good()
            },
            &[status::ESME_RINVPARLEN, status::ESME_RINVOPTPARAMVAL],
        ),
        (
            "a tariff TLV of an unknown version",
            Submit {
                tail: tlv(SmsScene::TARIFF_TAG, &[0x7f, 0, 0]),
                ..good()
            },
            &[status::ESME_RINVOPTPARAMVAL],
        ),
        (
            "an empty tariff TLV",
            Submit {
                tail: tlv(SmsScene::TARIFF_TAG, &[]),
                ..good()
            },
            &[status::ESME_RINVOPTPARAMVAL],
        ),
    ]
}

#[test]
fn every_wrong_submit_has_its_status() {
    let scene = SmsScene::new(Setup {
        esmes: esme(
            "application",
            &format!("allowed_sources = [\"{SOURCE}\"]\n"),
        ) + &esme("phone", ""),
        ..Setup::default()
    });
    let host = scene.net.a();
    let kind = command::BIND_TRANSCEIVER;
    let mut link = Link::bound(host, scene.server(), kind, "application");
    for (index, (what, submit, allowed)) in cases().into_iter().enumerate() {
        let sequence_number = 100 + u32::try_from(index).expect("a few");
        let answer = link.request(&submit.octets(sequence_number));
        assert_eq!(
            answer.command_id,
            command::SUBMIT_SM | command::RESPONSE,
            "{what}"
        );
        assert_eq!(answer.sequence_number, sequence_number, "{what}");
        assert!(
            allowed.contains(&answer.command_status),
            "{what}: {:#x}, not one of {allowed:x?}",
            answer.command_status
        );
        // SMPP 3.4 section 4.4.2: no body if command_status is not 0. The connection goes on.
        let next = link.request(&Submit::default().octets(5000 + sequence_number));
        assert_eq!(next.command_status, 0, "after {what}");
    }
    assert_eq!(scene.queued(), cases().len(), "only the good ones are kept");
}

#[test]
fn commands_in_the_wrong_state_are_refused() {
    let scene = SmsScene::new(Setup::default());
    let host = scene.net.a();
    let submit = Submit::default().octets(7);

    // Before any bind.
    let mut link = Link::connect(host, scene.server());
    let answer = link.request(&submit);
    assert_eq!(
        (answer.command_id, answer.command_status),
        (
            command::SUBMIT_SM | command::RESPONSE,
            status::ESME_RINVBNDSTS
        )
    );

    // A receiver does not submit; a transmitter may.
    let kind = command::BIND_RECEIVER;
    let mut receiver = Link::bound(host, scene.server(), kind, "phone");
    for octets in [
        submit.clone(),
        Writer::new(command::CANCEL_SM, 0, 7)
            .text("")
            .text("1")
            .octets(&[1, 1])
            .text(SOURCE)
            .octets(&[1, 1])
            .text(PHONE)
            .finish(),
        Writer::new(command::QUERY_SM, 0, 7)
            .text("1")
            .octets(&[1, 1])
            .text(SOURCE)
            .finish(),
    ] {
        let answer = receiver.request(&octets);
        assert_eq!(answer.command_status, status::ESME_RINVBNDSTS);
    }
    let kind = command::BIND_TRANSMITTER;
    let mut transmitter = Link::bound(host, scene.server(), kind, "application");
    assert_eq!(transmitter.request(&submit).command_status, 0);
    // What only an SMSC sends, and a response to nothing: ESMEs get no message out of either.
    let outbind = Writer::new(command::OUTBIND, 0, 8)
        .text("smsc")
        .text("secret08");
    let stray = Writer::new(command::DELIVER_SM | command::RESPONSE, 0, 4711).text("");
    transmitter.send(&stray.finish());
    transmitter.send(&outbind.finish());
    let enquiry = Writer::new(command::ENQUIRE_LINK, 0, 9).finish();
    let mut answer = transmitter.request(&enquiry);
    while answer.command_id != command::ENQUIRE_LINK | command::RESPONSE {
        assert_ne!(answer.command_status, 0, "{answer:?}");
        answer = transmitter.receive();
    }
    assert_eq!(answer.sequence_number, 9);
}

#[test]
fn unknown_commands_and_lost_framing() {
    let scene = SmsScene::new(Setup::default());
    let host = scene.net.a();
    let kind = command::BIND_TRANSCEIVER;
    let mut link = Link::bound(host, scene.server(), kind, "application");

    // SMPP 3.4 section 4.3: generic_nack, and the connection goes on.
    for command_id in [0x000f_0000, 0x0000_0199, 0x0000_0010] {
        let answer = link.request(&Writer::new(command_id, 0, 77).text("what").finish());
        assert_eq!(answer.command_id, command::GENERIC_NACK);
        assert_eq!(answer.command_status, status::ESME_RINVCMDID);
        assert_eq!(answer.sequence_number, 77);
    }
    assert_eq!(
        link.request(&Submit::default().octets(3)).command_status,
        status::ESME_ROK
    );

    // With a bad command_length nobody knows where the next PDU begins: said so, and closed.
    for length in [0_u32, 15, 0x7fff_ffff, 0xffff_ffff] {
        let mut link = Link::bound(host, scene.server(), kind, "application");
        let mut octets = Writer::new(command::SUBMIT_SM, 0, 99).finish();
        octets[..4].copy_from_slice(&length.to_be_bytes());
        link.send(&octets);
        let said = link.expect_close();
        let nack = said.last().expect("it says why");
        assert_eq!(nack.command_id, command::GENERIC_NACK, "{length:#x}");
        assert_eq!(nack.command_status, status::ESME_RINVCMDLEN, "{length:#x}");
    }

    // A connection that never binds is not kept for ever (session_init_timer).
    let mut silent = Link::connect(host, scene.server());
    assert_eq!(silent.expect_close(), []);
}

#[test]
fn more_than_the_throughput_or_the_quota_is_refused_for_now() {
    let scene = SmsScene::new(Setup {
        esmes: esme("application", "throughput = 5\n") + &esme("phone", "max_messages = 3\n"),
        ..Setup::default()
    });
    let host = scene.net.a();
    let kind = command::BIND_TRANSCEIVER;
    let burst = |link: &mut Link, count: u32| -> Vec<u32> {
        let octets: Vec<u8> = (1..=count)
            .flat_map(|number| wire::submit_sm(number, SOURCE, "491700001", 0, b"x", &[]))
            .collect();
        let first = link.request(&octets).command_status;
        let rest = (1..count).map(|_| link.receive().command_status);
        std::iter::once(first).chain(rest).collect()
    };

    let mut link = Link::bound(host, scene.server(), kind, "application");
    let answers = burst(&mut link, 40);
    let accepted = answers.iter().filter(|answer| **answer == 0).count();
    let throttled = answers
        .iter()
        .filter(|answer| **answer == status::ESME_RTHROTTLED)
        .count();
    assert_eq!(accepted + throttled, 40, "{answers:x?}");
    assert!((1..=15).contains(&accepted), "{accepted} at 5 per second");

    // As a transmitter: what waits for it does not come between.
    let mut link = Link::bound(host, scene.server(), command::BIND_TRANSMITTER, "phone");
    let answers = burst(&mut link, 5);
    let full = status::ESME_RMSGQFUL;
    // Refusals do not wait for the disk.
    let count = |wanted: u32| answers.iter().filter(|answer| **answer == wanted).count();
    assert_eq!((count(0), count(full)), (3, 2), "{answers:x?}");

    // Password too long for its field: never a crash, never a bind.
    let mut link = Link::connect(host, scene.server());
    let long = PASSWORD.repeat(20);
    link.send(&wire::bind(kind, 1, "application", &long));
    let said = link.expect_close();
    assert!(said.iter().all(|pdu| pdu.command_status != 0), "{said:?}");
    assert!(!said.is_empty());
}
