//! RFC 4475 and RFC 5118 at the running daemon, over UDP and TCP: each invalid message gets the
//! answer the RFC names, and none does harm.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tollwire_harness::net::Host;
use tollwire_harness::scene::{Scene, Setup};
use tollwire_harness::wait::{PATIENCE, wait_until};

/// File and status: over UDP, where a datagram is a message whatever its Content-Length says.
const REFUSED: &[(&str, u16)] = &[
    ("rfc4475/badinv01", 400),
    ("rfc4475/clerr", 400),
    ("rfc4475/ncl", 400),
    ("rfc4475/scalar02", 400),
    ("rfc4475/quotbal", 400),
    ("rfc4475/ltgtruri", 400),
    ("rfc4475/lwsruri", 400),
    ("rfc4475/lwsstart", 400),
    ("rfc4475/trws", 400),
    ("rfc4475/escruri", 400),
    ("rfc4475/regbadct", 400),
    ("rfc4475/badaspec", 400),
    ("rfc4475/baddn", 400),
    ("rfc4475/badvers", 505),
    ("rfc4475/mismatch01", 400),
    ("rfc4475/mismatch02", 501),
    ("rfc4475/badbranch", 400),
    ("rfc4475/insuf", 400),
    ("rfc4475/unkscm", 416),
    ("rfc4475/novelsc", 416),
    ("rfc4475/bext01", 420),
    ("rfc4475/multi01", 400),
    ("rfc4475/mcl01", 400),
    ("rfc4475/zeromf", 483),
    ("rfc5118/ipv6-bad", 400),
];

/// On a stream these spoil the framing (RFC 3261 18.3): no length, a wrong one, two, or no blank line at the end.
const NOT_ON_A_STREAM: &[&str] = &[
    "rfc4475/baddn",
    "rfc4475/clerr",
    "rfc4475/mcl01",
    "rfc4475/ncl",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/sip")
}

fn all_messages() -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    for rfc in ["rfc4475", "rfc5118"] {
        let entries = fs::read_dir(folder().join(rfc)).expect("the vectors are there");
        for entry in entries.flatten() {
            let octets = fs::read(entry.path()).expect("a vector");
            messages.push((entry.path().display().to_string(), octets));
        }
    }
    messages.sort();
    assert!(messages.len() > 50);
    messages
}

fn octets(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.dat"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The status line of a response, if these octets are one.
fn status(octets: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(octets);
    text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// The Call-ID of a message, if it has one.
fn call_id(octets: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(octets);
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        (name.eq_ignore_ascii_case("Call-ID") || name.eq_ignore_ascii_case("i"))
            .then(|| value.trim().to_owned())
    })
}

/// Sent-by and branch of the topmost Via: what names the transaction.
fn transaction(octets: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(octets).into_owned();
    let via = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        (name.eq_ignore_ascii_case("Via") || name.eq_ignore_ascii_case("v")).then_some(value)
    })?;
    let sent_by = via.split(';').next()?.split_whitespace().last()?;
    let (_, rest) = via.split_once("branch=")?;
    let branch = rest.split([';', ',', ' ']).next()?;
    Some((sent_by.to_owned(), branch.to_owned()))
}

/// The first final status that reaches one of the sockets and answers `request`: others are
/// repetitions of earlier answers (RFC 3261 17.2.1). Some of the RFC's messages share a branch, and so
/// are one transaction to whoever sees both.
fn final_status(sockets: &[UdpSocket], request: &[u8], patience: Duration) -> Option<u16> {
    let (wanted, sent) = (call_id(request), transaction(request));
    let deadline = Instant::now() + patience;
    let mut buffer = [0; 65_536];
    while Instant::now() < deadline {
        for socket in sockets {
            if let Ok((length, _)) = socket.recv_from(&mut buffer)
                && let Some(status) = status(&buffer[..length])
                && status >= 200
                && (wanted.is_none()
                    || call_id(&buffer[..length]) == wanted
                    || (sent.is_some() && transaction(&buffer[..length]) == sent))
            {
                return Some(status);
            }
        }
    }
    None
}

/// The ports that the messages' Via headers name: responses go there (RFC 3261 18.2.2).
fn sockets(host: &Host) -> Vec<UdpSocket> {
    [5060, 5050, 5061]
        .map(|port| {
            let socket = host.udp(port);
            socket
                .set_read_timeout(Some(Duration::from_millis(5)))
                .expect("a timeout");
            socket
        })
        .into()
}

/// A daemon that has been through all of it still carries a call.
fn carries_a_call(scene: &mut Scene) {
    scene.alice.must_register();
    scene.bob.must_register();
    let mut dialog = scene.establish();
    scene.alice.hang_up(&mut dialog, &mut scene.bob);
    scene.wait_for_records(1);
    scene.assert_nothing_is_left();
}

#[test]
fn udp() {
    let mut scene = Scene::new(Setup {
        hosts: 3,
        ..Setup::default()
    });
    let sockets = sockets(scene.net.host(2));
    for (name, expected) in REFUSED {
        let request = octets(name);
        sockets[0]
            .send_to(&request, scene.daemons.sip())
            .expect("it is sent");
        let status = final_status(&sockets, &request, PATIENCE);
        assert_eq!(status, Some(*expected), "{name}");
    }
    for (_, message) in all_messages() {
        sockets[0]
            .send_to(&message, scene.daemons.sip())
            .expect("it is sent");
    }
    carries_a_call(&mut scene);
}

#[test]
fn tcp() {
    let mut scene = Scene::new(Setup {
        hosts: 3,
        ..Setup::default()
    });
    let sip: SocketAddr = scene.daemons.sip();
    for (name, expected) in REFUSED {
        if NOT_ON_A_STREAM.contains(name) {
            continue;
        }
        let mut stream = scene.net.host(2).tcp(sip).expect("a connection");
        stream.write_all(&octets(name)).expect("it is sent");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut buffer = [0; 65_536];
        let length = stream.read(&mut buffer).unwrap_or(0);
        assert_eq!(status(&buffer[..length]), Some(*expected), "{name}");
    }

    // Each on a connection of its own, in one piece and octet by octet; then all on one.
    for (name, message) in all_messages() {
        let mut whole = scene.net.host(2).tcp(sip).expect("a connection");
        let _ = whole.write_all(&message);
        let mut slow = scene.net.host(2).tcp(sip).expect("a connection");
        slow.set_nodelay(true).expect("no delay");
        for octet in message.chunks(if message.len() > 1000 { 97 } else { 7 }) {
            // A connection that the daemon has had enough of is closed, and that is fine.
            if slow.write_all(octet).is_err() {
                break;
            }
        }
        assert!(scene.daemons.is_running("sipd"), "{name}");
    }
    let mut all = scene.net.host(2).tcp(sip).expect("a connection");
    for (_, message) in all_messages() {
        let _ = all.write_all(&message);
    }
    drop(all);
    wait_until("sipd to be there still", PATIENCE, || {
        scene.daemons.is_running("sipd")
    });
    carries_a_call(&mut scene);
}

#[test]
fn noise_makes_no_reply_and_no_growth() {
    let mut scene = Scene::new(Setup {
        hosts: 3,
        ..Setup::default()
    });
    let socket = scene.net.host(2).udp(5060);
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a timeout");
    let before = scene.daemons.resident_kilobytes("sipd");
    // A linear congruential generator: the same noise each time.
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    for _ in 0..20_000 {
        let length = usize::from(next()) * 5;
        let noise: Vec<u8> = (0..length).map(|_| next()).collect();
        let _ = socket.send_to(&noise, scene.daemons.sip());
    }
    carries_a_call(&mut scene);
    let mut buffer = [0; 2048];
    assert!(
        socket.recv_from(&mut buffer).is_err(),
        "no answer to noise: nobody can be made to receive what he did not ask for"
    );
    let grown = scene
        .daemons
        .resident_kilobytes("sipd")
        .saturating_sub(before);
    assert!(grown < 20_000, "sipd grew by {grown} kB");
}
