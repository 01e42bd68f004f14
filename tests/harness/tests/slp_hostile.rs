//! Nonsense, crowds and floods: `slpd` stays up and small, and the others are answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use tollwire_harness::process::Scratch;
use tollwire_harness::slp::agent::{Agent, read_message};
use tollwire_harness::slp::lan::Lan;
use tollwire_harness::slp::wire::{self, FRESH, Reply, ask, receive};
use tollwire_harness::wait::{PATIENCE, wait_until};

const DA_BUSY_NOW: u16 = 11;

/// Resident memory that `slpd` may take in these tests.
const BOUND_KILOBYTES: u64 = 120_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("small")
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let url = "service:billing:https://bank.example";
    vec![
        wire::service_request(
            0,
            1,
            "",
            "service:billing",
            "DEFAULT",
            "(&(a=1)(|(b=x*y)(!(c>=3))))",
        ),
        wire::service_request(0, 2, "10.0.0.1,x", "service:directory-agent", "", ""),
        wire::registration(
            3,
            FRESH,
            "en",
            url,
            600,
            "DEFAULT",
            r"(a=1,2),(b=xay),(o=\ff\00),key",
        ),
        wire::registration(4, 0, "en", url, 600, "DEFAULT", "(c=4)"),
        wire::deregistration(5, "en", url, "DEFAULT", "a*"),
        wire::attribute_request(6, "en", url, "DEFAULT", "a,b*"),
        wire::attribute_request(7, "en", "service:billing", "DEFAULT", ""),
        wire::type_request(8, "DEFAULT"),
    ]
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(octets.len());
        match random.below(6) {
            0 => octets[at] = random.next().to_le_bytes()[0],
            1 => octets[at] ^= 1 << random.below(8),
            2 => octets.truncate(at.max(1)),
            3 => octets.insert(at, random.next().to_le_bytes()[0]),
            4 => {
                let other = seeds[random.below(seeds.len())].clone();
                octets.truncate(at);
                octets.extend(&other[random.below(other.len())..]);
            }
            _ => octets[at] = [0, 0xFF, 0x7F, 0x80, b'(', b')', b'*', b'\\'][random.below(8)],
        }
        if octets.is_empty() {
            octets.push(2);
        }
    }
    // Mostly the length is right, or nothing behind it would be read.
    if random.below(4) > 0 && octets.len() >= 5 {
        let length = u32::try_from(octets.len()).expect("short").to_be_bytes();
        octets[2..5].copy_from_slice(&length[1..]);
    }
    octets
}

#[test]
fn a_hundred_thousand_mutated_messages() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let config =
        "[limits]\nrequests_per_second = 0\nerrors_per_second = 0\n[agent]\nslpv1 = true\n";
    let mut agent = Agent::start(lan.host(0), &scratch, "da", config);
    let socket = lan.host(1).udp(0);
    let to = agent.address();
    let seeds = seeds();
    let mut random = Random(20_260_808);
    let probe = wire::service_request(0, 60_000, "", "service:directory-agent", "", "");
    for round in 0..1_000 {
        for _ in 0..100 {
            let octets = mutate(&mut random, &seeds);
            socket.send_to(&octets, to).expect("sent");
        }
        // It keeps up, and its answers are whole.
        socket.send_to(&probe, to).expect("sent");
        loop {
            let Some(reply) = receive(&socket, Duration::from_secs(2)) else {
                assert!(agent.is_running(), "round {round}: {}", agent.log());
                // The probe or its answer was lost in the crowd.
                socket.send_to(&probe, to).expect("sent");
                continue;
            };
            if reply.octets[0] == 2 {
                assert_eq!(reply.length(), reply.octets.len());
            }
            assert!(reply.octets.len() <= 1_400);
            if reply.octets[0] == 2 && reply.xid() == 60_000 {
                break;
            }
        }
    }
    // The same on streams, where a wrong length ends the connection.
    for _ in 0..300 {
        let mut stream = lan.host(1).tcp(to).expect("connects");
        for _ in 0..20 {
            let octets = mutate(&mut random, &seeds);
            if stream.write_all(&octets).is_err() {
                break;
            }
        }
    }
    assert_eq!(ask(&socket, to, &probe).function(), 8);
    assert!(
        agent.resident_kilobytes() < BOUND_KILOBYTES,
        "{} kB",
        agent.resident_kilobytes()
    );
}

fn connect(lan: &Lan, host: usize, to: SocketAddr) -> std::io::Result<TcpStream> {
    lan.host(host).tcp(to)
}

#[test]
fn ten_thousand_connections_and_some_that_announce_the_most_there_is() {
    let lan = Lan::new(4);
    let scratch = Scratch::new();
    let config = "[timers]\nmessage_seconds = 2\nclose_conn_seconds = 60\n\
                  [limits]\nconnections = 400\nconnections_per_source = 300\n";
    let mut agent = Agent::start(lan.host(0), &scratch, "da", config);
    let to = agent.address();
    let before = agent.resident_kilobytes();
    // 240 that announce 16 MiB and give three octets of it.
    let mut announced: Vec<TcpStream> = (0..240)
        .map(|_| {
            let mut stream = connect(&lan, 1, to).expect("connects");
            stream
                .write_all(&[2, 1, 0xFF, 0xFF, 0xFF, 0, 0, 0])
                .expect("sent");
            stream
        })
        .collect();
    // What is more than a message may have is cut off at once.
    for stream in &mut announced {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut buffer = [0; 16];
        assert!(matches!(stream.read(&mut buffer), Ok(0) | Err(_)));
    }
    // Slow ones: a length that may be, an octet, and nothing more. They are cut off when their time is over.
    let mut slow: Vec<TcpStream> = (0..240)
        .map(|_| {
            let mut stream = connect(&lan, 1, to).expect("connects");
            stream.write_all(&[2, 1, 0, 0xFF, 0xF0, 0]).expect("sent");
            stream
        })
        .collect();
    // Another host is served meanwhile.
    let request = wire::service_request(0, 1, "", "service:directory-agent", "", "");
    let mut client = connect(&lan, 2, to).expect("connects");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(&request).expect("sent");
    assert_eq!(read_message(&mut client).expect("an answer")[1], 8);
    for stream in &mut slow {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut buffer = [0; 16];
        assert!(matches!(stream.read(&mut buffer), Ok(0) | Err(_)));
    }
    // The client whose connection idles within CONFIG_CLOSE_CONN keeps it.
    client.write_all(&request).expect("sent");
    assert_eq!(read_message(&mut client).expect("an answer")[1], 8);
    // One host opens ten thousand, and keeps as many as it may have.
    let mut kept = Vec::new();
    for number in 0..10_000 {
        if let Ok(stream) = connect(&lan, 3, to) {
            kept.push(stream);
        }
        if number % 1_000 == 999 {
            client.write_all(&request).expect("sent");
            assert_eq!(read_message(&mut client).expect("an answer")[1], 8);
            // Those that were refused are closed: this side forgets them too.
            kept.retain(|stream| {
                stream.set_nonblocking(true).expect("a socket");
                let mut one = [0];
                matches!(stream.peek(&mut one), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
            });
            assert!(kept.len() <= 310, "{} of one source", kept.len());
        }
    }
    assert!(agent.is_running());
    let grown = agent.resident_kilobytes().saturating_sub(before);
    assert!(grown < 20_000, "{grown} kB more");
}

#[test]
fn a_reader_that_does_not_read_is_closed_and_the_others_are_not() {
    let lan = Lan::new(3);
    let scratch = Scratch::new();
    let config = "[timers]\nmessage_seconds = 2\n\
                  [limits]\nrequests_per_second = 0\nreply_octets = 1000000\nqueued_octets = 8000000\n";
    let agent = Agent::start(lan.host(0), &scratch, "da", config);
    let to = agent.address();
    let mut stream = connect(&lan, 1, to).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let filler = "x".repeat(900);
    for number in 0..1_000 {
        let url = format!("service:many://host-{number}/{filler}");
        stream
            .write_all(&wire::registration(
                1, FRESH, "en", &url, 600, "DEFAULT", "",
            ))
            .expect("sent");
        read_message(&mut stream).expect("acknowledged");
    }
    // A megabyte for each request, and nobody takes it.
    let request = wire::service_request(0, 2, "", "service:many", "DEFAULT", "");
    let mut greedy: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut greedy = connect(&lan, 2, to).expect("connects");
            for _ in 0..100 {
                let _ = greedy.write_all(&request);
            }
            greedy
        })
        .collect();
    for _ in 0..20 {
        stream.write_all(&request).expect("sent");
        let octets = read_message(&mut stream).expect("an answer");
        assert!(Reply { octets, from: to }.urls().len() > 900);
    }
    assert!(
        agent.resident_kilobytes() < BOUND_KILOBYTES,
        "{} kB",
        agent.resident_kilobytes()
    );
    // They are closed: what is left to read comes to an end.
    for stream in &mut greedy {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink);
        assert!(sink.len() < 100 * 900_000, "not all of it");
    }
}

fn flood(socket: &UdpSocket, to: SocketAddr, from: u32, count: u32) {
    for number in from..from + count {
        let url = format!("service:flood://{number}");
        let message = wire::registration(1, FRESH, "en", &url, 600, "DEFAULT", "(a=1)");
        socket.send_to(&message, to).expect("sent");
    }
}

#[test]
fn a_flood_of_registrations_ends_at_its_quota() {
    let lan = Lan::new(3);
    let scratch = Scratch::new();
    let config = "[limits]\nrequests_per_second = 0\nerrors_per_second = 0\n\
                  [registrations]\nmax_entries_per_source = 5000\n";
    let agent = Agent::start(lan.host(0), &scratch, "da", config);
    let to = agent.address();
    let flooder = lan.host(1).udp(0);
    let other = lan.host(2).udp(0);
    let mut xid = 10;
    for round in 0..200 {
        flood(&flooder, to, round * 500, 500);
        // Another registers and asks meanwhile.
        xid += 1;
        let url = format!("service:quiet://{xid}");
        let message = wire::registration(xid, FRESH, "en", &url, 600, "DEFAULT", "");
        assert_eq!(ask(&other, to, &message).error(), 0);
        while receive(&flooder, Duration::ZERO).is_some() {}
    }
    let message = wire::registration(9, FRESH, "en", "service:flood://more", 600, "DEFAULT", "");
    assert_eq!(ask(&flooder, to, &message).error(), DA_BUSY_NOW);
    let request = wire::service_request(0, 5_000, "", "service:quiet", "DEFAULT", "");
    let reply = ask(&other, to, &request);
    assert!(reply.urls().len() > 20);
    assert_eq!(agent.registered().len(), 5_200);
    assert!(
        agent.resident_kilobytes() < BOUND_KILOBYTES,
        "{} kB",
        agent.resident_kilobytes()
    );
}

#[test]
fn one_source_that_asks_without_end_is_answered_at_its_rate() {
    let lan = Lan::new(3);
    let scratch = Scratch::new();
    let config =
        "[limits]\nrequests_per_second = 100\nrequest_burst = 200\nerrors_per_second = 5\n";
    let agent = Agent::start(lan.host(0), &scratch, "da", config);
    let to = agent.address();
    let greedy = lan.host(1).udp(0);
    let request = wire::service_request(0, 1, "", "service:directory-agent", "", "");
    let began = std::time::Instant::now();
    let mut answers = 0_u64;
    for _ in 0..20_000 {
        greedy.send_to(&request, to).expect("sent");
        while receive(&greedy, Duration::ZERO).is_some() {
            answers += 1;
        }
    }
    while receive(&greedy, Duration::from_millis(200)).is_some() {
        answers += 1;
    }
    let most = 200 + 100 * (began.elapsed().as_secs() + 1);
    assert!(
        (100..=most).contains(&answers),
        "{answers} of at most {most}"
    );
    // Another source has its own.
    let other = lan.host(2).udp(0);
    assert_eq!(ask(&other, to, &request).function(), 8);
    // On a stream it is told so, and large answers count for more: a hundred of a hundred kilobytes are not to be had.
    for number in 0..2_000 {
        let url = format!("service:many://host-{number}/with/a/path/that/makes/it/longer");
        let message = wire::registration(1, FRESH, "en", &url, 600, "DEFAULT", "");
        assert_eq!(agent.register_locally(&message).error(), 0);
    }
    let third = lan.router.tcp(to).expect("connects");
    let mut third = std::io::BufReader::new(third);
    let all = wire::service_request(0, 3, "", "service:many", "DEFAULT", "");
    let began = std::time::Instant::now();
    let mut whole = 0_u128;
    for _ in 0..100 {
        third.get_mut().write_all(&all).expect("sent");
        let octets = read_message(&mut third).expect("an answer");
        let reply = Reply { octets, from: to };
        match reply.error() {
            0 => whole += 1,
            error => {
                assert_eq!(error, DA_BUSY_NOW);
                break;
            }
        }
    }
    // As many as the burst has room for, and one for each request that time gives back.
    let most = 20 + began.elapsed().as_millis() / 10;
    assert!((1..=most).contains(&whole), "{whole} of at most {most}");
    // Errors are told even less often.
    let wrong = wire::service_request(0, 2, "", "service:x", "DEFAULT", "(wrong");
    let mut errors = 0;
    for _ in 0..50 {
        other.send_to(&wrong, to).expect("sent");
    }
    while let Some(reply) = receive(&other, Duration::from_millis(200)) {
        errors += u32::from(reply.xid() == 2);
    }
    assert!((1..=10).contains(&errors), "{errors}");
    wait_until("what was dropped to be counted", PATIENCE, || {
        agent.gauge("dropped_rate") > 10_000
    });
}
