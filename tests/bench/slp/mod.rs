//! `slpd` as directory agent with 100 to 100,000 services: registrations and answers a second, what they cost, and memory.
//!
//! One client on the same host, by an address that is not loopback, so that every limit is counted. Its window over UDP is
//! 16 requests; over TCP it sends 64 in one piece.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use tollwire_harness::process::Scratch;
use tollwire_harness::slp::agent::Agent;
use tollwire_harness::slp::lan::Lan;
use tollwire_harness::slp::wire::{self, FRESH};

use crate::meter;

const SIZES: [u32; 4] = [100, 1_000, 10_000, 100_000];
const WINDOW: usize = 16;
const PIECE: usize = 64;

/// Nothing is refused, everything is counted.
const CONFIG: &str = "[registrations]\nmax_entries = 400000\nmax_entries_per_source = 400000\n\
    max_octets = 4000000000\nmax_octets_per_source = 4000000000\n\
    [limits]\nrequests_per_second = 1000000000\nrequest_burst = 1000000000\n\
    total_requests_per_second = 1000000000\nmessage_octets = 65536\n";

fn registration(number: u32, xid: u16) -> Vec<u8> {
    let url = format!("service:billing:https://host-{number}.example:8443/pay");
    let attributes = format!(
        "(name=Bank {number}),(fee={number}),(currency=EUR,USD),(protocol=https),(city=Town {}),open",
        number % 100
    );
    wire::registration(xid, FRESH, "en", &url, 65_000, "DEFAULT", &attributes)
}

fn request(predicate: &str, xid: u16) -> Vec<u8> {
    wire::service_request(0, xid, "", "service:billing", "DEFAULT", predicate)
}

struct Run {
    answers: u64,
    octets: u64,
    seconds: f64,
    cpu: f64,
}

impl Run {
    fn line(&self, what: &str) -> String {
        let rate = self.answers as f64 / self.seconds;
        let per_core = self.answers as f64 / self.cpu.max(0.01);
        format!(
            "  {what:<34} {rate:>9.0}/s  {per_core:>9.0} per CPU second  {:>6.3} s CPU per 10,000  {:>7.0} octets each",
            self.cpu * 10_000.0 / self.answers.max(1) as f64,
            self.octets as f64 / self.answers.max(1) as f64,
        )
    }
}

/// Requests over UDP, [`WINDOW`] under way, while `next` gives any.
fn udp(
    socket: &UdpSocket,
    id: u32,
    mut next: impl FnMut(u64) -> Option<Vec<u8>>,
) -> Result<Run, String> {
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .map_err(|error| error.to_string())?;
    let mut buffer = vec![0; 65_536];
    let (mut sent, mut answers, mut octets) = (0_u64, 0_u64, 0_u64);
    let cpu = meter::cpu_seconds(&[id]);
    let began = Instant::now();
    let mut over = false;
    loop {
        while !over && sent - answers < WINDOW as u64 {
            match next(sent) {
                Some(message) => {
                    socket.send(&message).map_err(|error| error.to_string())?;
                    sent += 1;
                }
                None => over = true,
            }
        }
        if over && answers == sent {
            break;
        }
        let length = socket
            .recv(&mut buffer)
            .map_err(|error| format!("an answer is missing: {error}"))?;
        check(&buffer[..length])?;
        answers += 1;
        octets += length as u64;
    }
    Ok(Run {
        answers,
        octets,
        seconds: began.elapsed().as_secs_f64(),
        cpu: meter::cpu_seconds(&[id]) - cpu,
    })
}

/// Requests over TCP, [`PIECE`] in one piece.
fn tcp(
    stream: &mut TcpStream,
    id: u32,
    piece: usize,
    mut next: impl FnMut(u64) -> Option<Vec<u8>>,
) -> Result<Run, String> {
    let told = |error: std::io::Error| error.to_string();
    let (mut sent, mut octets) = (0_u64, 0_u64);
    let cpu = meter::cpu_seconds(&[id]);
    let began = Instant::now();
    let mut buffer = vec![0; 1 << 16];
    let mut unread: Vec<u8> = Vec::new();
    loop {
        let mut out = Vec::new();
        let mut count = 0;
        while count < piece {
            let Some(message) = next(sent) else { break };
            out.extend(message);
            sent += 1;
            count += 1;
        }
        if count == 0 {
            break;
        }
        stream.write_all(&out).map_err(told)?;
        while count > 0 {
            while unread.len() < 5 || unread.len() < length_of(&unread) {
                let read = stream.read(&mut buffer).map_err(told)?;
                if read == 0 {
                    return Err("the connection was closed".into());
                }
                unread.extend(&buffer[..read]);
            }
            let mut at = 0;
            while count > 0
                && unread.len() - at >= 5
                && unread.len() - at >= length_of(&unread[at..])
            {
                let length = length_of(&unread[at..]);
                check(&unread[at..at + length])?;
                at += length;
                octets += length as u64;
                count -= 1;
            }
            unread.drain(..at);
        }
    }
    Ok(Run {
        answers: sent,
        octets,
        seconds: began.elapsed().as_secs_f64(),
        cpu: meter::cpu_seconds(&[id]) - cpu,
    })
}

fn length_of(octets: &[u8]) -> usize {
    usize::from(octets[2]) << 16 | usize::from(octets[3]) << 8 | usize::from(octets[4])
}

/// Every answer is one, and says no error.
fn check(octets: &[u8]) -> Result<(), String> {
    match octets {
        [2, 2 | 5, ..] if octets.get(16..18) == Some(&[0, 0]) => Ok(()),
        other => Err(format!(
            "not the answer: {:02X?}",
            &other[..other.len().min(40)]
        )),
    }
}

/// Measures, and prints a table.
pub fn measure() -> Result<(), String> {
    let seconds = std::env::var("BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let load = Duration::from_secs_f64(seconds.unwrap_or(2.0));
    println!(
        "slpd as directory agent; UDP window {WINDOW}, TCP in pieces of {PIECE}, {} s a load",
        load.as_secs_f64()
    );
    for size in SIZES {
        let lan = Lan::new(1);
        let scratch = Scratch::new();
        let agent = Agent::start(lan.host(0), &scratch, "slpd", CONFIG);
        let id = agent.id();
        let empty = meter::kilobytes(&[id]);
        let to = agent.address();
        let mut stream = lan.host(0).tcp(to).map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let socket = lan.host(0).udp(0);
        socket.connect(to).map_err(|error| error.to_string())?;
        let half = u64::from(size / 2);
        let by_udp = udp(&socket, id, |sent| {
            (sent < half).then(|| registration(u32::try_from(sent).unwrap_or(0), 7))
        })?;
        let by_tcp = tcp(&mut stream, id, PIECE, |sent| {
            let number = sent + half;
            (number < u64::from(size)).then(|| registration(u32::try_from(number).unwrap_or(0), 7))
        })?;
        let full = meter::kilobytes(&[id]);
        println!(
            "{size} services, {:.2} kB each ({full:.0} kB in all)",
            (full - empty) / f64::from(size)
        );
        println!("{}", by_udp.line("registrations, UDP"));
        println!("{}", by_tcp.line("registrations, TCP"));
        let refreshed = udp(&socket, id, |sent| {
            (sent < u64::from(size.max(20_000)))
                .then(|| registration(u32::try_from(sent).unwrap_or(0) % size, 7))
        })?;
        println!("{}", refreshed.line("refreshes, UDP"));
        let scattered = |sent: u64| (sent * 7_919) % u64::from(size);
        for (what, predicate) in [
            ("1 by integer", "(fee=N)"),
            ("1 by string", "(name=bank N)"),
            (
                "1 by AND of three",
                "(&(currency=EUR)(protocol=https)(fee=N))",
            ),
            ("up to 10 by range", "(&(fee>=N)(fee<=M))"),
            ("all by string (a full datagram)", "(currency=EUR)"),
            ("all (a full datagram)", ""),
        ] {
            let mut until = Until::new(load);
            let run = udp(&socket, id, |sent| {
                until.going(sent).then(|| {
                    let number = scattered(sent);
                    let text = predicate
                        .replace('N', &number.to_string())
                        .replace('M', &(number + 9).to_string());
                    request(&text, 7)
                })
            })?;
            println!("{}", run.line(&format!("UDP {what}")));
        }
        let mut until = Until::new(load);
        let run = tcp(&mut stream, id, PIECE, |sent| {
            until
                .going(sent)
                .then(|| request(&format!("(fee={})", scattered(sent)), 7))
        })?;
        println!("{}", run.line("TCP 1 by integer"));
        let mut until = Until::new(load);
        let run = tcp(&mut stream, id, 1, |sent| {
            until.going(sent).then(|| request("(currency=EUR)", 7))
        })?;
        println!("{}", run.line("TCP all by string"));
    }
    Ok(())
}

/// The end of a load, without a look at the clock for each request.
struct Until(Instant);

impl Until {
    fn new(load: Duration) -> Self {
        Self(Instant::now() + load)
    }

    fn going(&mut self, sent: u64) -> bool {
        !sent.is_multiple_of(16) || Instant::now() < self.0
    }
}
