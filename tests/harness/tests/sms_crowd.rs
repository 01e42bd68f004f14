//! Many who do nothing, one who does not read, and one who talks nonsense: the others do not notice.

use std::time::Duration;

use tollwire_harness::sms::PASSWORD;
use tollwire_harness::sms::load::{self, Progress, Settings};
use tollwire_harness::sms::raw::{Link, Next};
use tollwire_harness::sms::scene::{Setup, SmsScene, esme, route};
use tollwire_harness::sms::wire::{self, Writer, command};
use tollwire_harness::wait::{PATIENCE, wait_until};

fn load(scene: &SmsScene, messages: u32) -> Settings {
    Settings {
        server: scene.server(),
        submitter: ("application".to_owned(), PASSWORD.to_owned()),
        receiver: ("phone".to_owned(), PASSWORD.to_owned()),
        submitters: 2,
        receivers: 2,
        window: 50,
        messages,
        receipts: true,
        deliveries: true,
        prefix: "4917".to_owned(),
        destinations: 500,
        tlvs: Vec::new(),
        persistent: false,
        patience: PATIENCE,
    }
}

#[test]
fn a_thousand_idle_binds_and_a_slow_reader_hurt_nobody() {
    const IDLE: usize = 1000;
    const FOR_THE_SLOW_ONE: u32 = 3000;
    let scene = SmsScene::new(Setup {
        esmes: esme("application", "")
            + &esme("phone", "")
            + &esme("slow", "")
            + &esme("idle", "max_binds = 1000\n"),
        routes: route("phones", "4917", "receivers = [\"phone\"]", "")
            + &route("slow", "4918", "receivers = [\"slow\"]", ""),
        timers: "enquire_link_ms = 2000\n".to_owned(),
        limits: "max_links_per_address = 2000\n".to_owned(),
        ..Setup::default()
    });
    let host = scene.net.a();
    let server = scene.server();
    let kind = command::BIND_TRANSCEIVER;
    let mut idle: Vec<Link> = (0..IDLE)
        .map(|_| Link::bound(host, server, kind, "idle"))
        .collect();

    // It binds, takes what its window holds, and reads no more; messages for it pile up.
    let slow = Link::bound(host, server, command::BIND_RECEIVER, "slow");
    let mut pile = load(&scene, FOR_THE_SLOW_ONE);
    pile.prefix = "4918".to_owned();
    pile.receivers = 0;
    (pile.receipts, pile.deliveries) = (false, false);
    let piled = host.within(|| load::run(&pile, &Progress::default()));
    assert_eq!(piled.accepted(), FOR_THE_SLOW_ONE as usize);

    let before = scene.daemons.resident_kilobytes("smscd");
    let outcome = host.within(|| load::run(&load(&scene, 5000), &Progress::default()));
    assert_eq!(outcome.accepted(), 5000);
    assert!(outcome.delivered.iter().all(|times| *times == 1));
    let after = scene.daemons.resident_kilobytes("smscd");
    assert!(
        after < before + 64 * 1024,
        "{before} kB before the load, {after} kB after it"
    );
    drop(slow);

    // Its messages are all there for one who reads.
    let mut reader = load(&scene, 0);
    reader.receiver.0 = "slow".to_owned();
    let mut link = Link::bound(host, server, command::BIND_RECEIVER, "slow");
    let mut seen = std::collections::HashSet::new();
    while seen.len() < FOR_THE_SLOW_ONE as usize {
        let pdu = link.receive();
        if pdu.command_id == command::DELIVER_SM {
            let delivery = wire::delivery(&pdu.body).expect("a message");
            seen.insert(delivery.short_message.to_vec());
        }
        let id = pdu.command_id | command::RESPONSE;
        let answer = Writer::new(id, 0, pdu.sequence_number);
        let answer = match pdu.command_id {
            command::DELIVER_SM => answer.text(""),
            _ => answer,
        };
        link.send(&answer.finish());
    }

    // The idle ones are asked now and then whether they live, and those that say so are kept.
    for link in idle.iter_mut().take(10) {
        let Next::Pdu(pdu) = link.next(PATIENCE) else {
            panic!("an idle bind was closed without a question");
        };
        assert_eq!(pdu.command_id, command::ENQUIRE_LINK);
    }
}

#[test]
fn a_hundred_thousand_mutated_pdus() {
    const PDUS: usize = 100_000;
    let mut scene = SmsScene::new(Setup {
        limits: "password_tries = 1000000\npassword_delay_ms = 1\n".to_owned(),
        ..Setup::default()
    });
    let host = scene.net.a().clone();
    let server = scene.server();
    let seeds = seeds();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % bound as u64).expect("below the bound")
    };
    let kind = command::BIND_TRANSCEIVER;
    let mut link = Link::bound(&host, server, kind, "application");
    let mut warm = 0;
    let mut connections = 1;
    let mut sent = 0;
    while sent < PDUS {
        let mut batch = Vec::new();
        for _ in 0..50 {
            let mut pdu = seeds[next(seeds.len())].clone();
            for _ in 0..=next(3) {
                let at = next(pdu.len());
                match next(4) {
                    0 => pdu[at] = u8::try_from(next(256)).expect("an octet"),
                    1 => pdu[at] ^= 1 << next(8),
                    2 if pdu.len() > 17 => pdu.truncate(16 + next(pdu.len() - 16)),
                    _ => pdu.insert(at.max(16).min(pdu.len()), 0),
                }
            }
            // Nearly all keep their framing, or the first one of each batch would be the last.
            if next(200) != 0 {
                let length = u32::try_from(pdu.len()).expect("short");
                pdu[..4].copy_from_slice(&length.to_be_bytes());
            }
            batch.extend(pdu);
            sent += 1;
        }
        // Whatever it answers is read, so that this is not the slow reader's test again.
        let mut alive = link.try_send(&batch);
        while alive {
            match link.next(Duration::from_millis(1)) {
                Next::Pdu(_) => {}
                Next::Nothing => break,
                Next::Closed => alive = false,
            }
        }
        if !alive {
            connections += 1;
            link = wait_bound(&host, server);
        }
        if sent == PDUS / 5 {
            warm = scene.daemons.resident_kilobytes("smscd");
        }
    }
    assert!(scene.daemons.is_running("smscd"), "it died");
    let after = scene.daemons.resident_kilobytes("smscd");
    println!("{connections} connections; {warm} kB after a fifth, {after} kB at the end");
    // Some mutants are good messages, which are kept: their number is bounded, and so is this.
    assert!(after < warm + 96 * 1024, "{warm} kB, then {after} kB");
    let outcome = host.within(|| load::run(&load(&scene, 500), &Progress::default()));
    assert_eq!(outcome.accepted(), 500);
}

fn wait_bound(host: &tollwire_harness::net::Host, server: std::net::SocketAddr) -> Link {
    let kind = command::BIND_TRANSCEIVER;
    let mut bound = None;
    wait_until("a bind", PATIENCE, || {
        let mut link = Link::connect(host, server);
        link.send(&wire::bind(kind, 1, "application", PASSWORD));
        let accepted = matches!(link.next(PATIENCE), Next::Pdu(pdu) if pdu.command_status == 0);
        bound = accepted.then_some(link);
        accepted
    });
    bound.expect("it was waited for")
}

/// One good PDU of each command.
fn seeds() -> Vec<Vec<u8>> {
    let addresses = |writer: Writer| {
        writer
            .octets(&[1, 1])
            .text("4900")
            .octets(&[1, 1])
            .text("491700001")
    };
    let tlvs = |writer: Writer| {
        writer
            .tlv(0x020c, &[0, 1])
            .tlv(0x0424, b"a payload")
            .tlv(SmsScene::TARIFF_TAG, &[1, 0, 0, 7])
            .tlv(0x1777, b"of a vendor")
    };
    let new = |command_id| Writer::new(command_id, 0, 7);
    let submit = wire::submit_sm(
        7,
        "4900",
        "491700001",
        0x11,
        b"a text",
        &[(0x0424, b"x".to_vec())],
    );
    let submit_multi = new(command::SUBMIT_MULTI)
        .text("")
        .octets(&[1, 1])
        .text("4900")
        .octets(&[2, 1, 1, 1])
        .text("491700001")
        .octets(&[2])
        .text("friends")
        .octets(&[0, 0, 0])
        .text("")
        .text("")
        .octets(&[0, 0, 0, 0, 2])
        .octets(b"hi");
    let data = addresses(new(command::DATA_SM).text("")).octets(&[0, 0, 0]);
    let query = new(command::QUERY_SM)
        .text("1")
        .octets(&[1, 1])
        .text("4900");
    let cancel = addresses(new(command::CANCEL_SM).text("").text("1"));
    let replace = new(command::REPLACE_SM)
        .text("1")
        .octets(&[1, 1])
        .text("4900")
        .text("")
        .text("000001000000000R")
        .octets(&[0, 0, 3])
        .octets(b"new");
    vec![
        submit,
        tlvs(submit_multi).finish(),
        tlvs(data).finish(),
        query.finish(),
        cancel.finish(),
        replace.finish(),
        wire::bind(command::BIND_TRANSCEIVER, 7, "application", PASSWORD),
        new(command::ENQUIRE_LINK).finish(),
        new(command::DELIVER_SM | command::RESPONSE)
            .text("")
            .finish(),
        new(command::GENERIC_NACK).finish(),
        new(0x0111).text("broadcast_sm of SMPP 5.0").finish(),
    ]
}
