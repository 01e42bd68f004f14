//! Octets nobody should send: mutations, truncations, limits. Never a panic, never growth without bound.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollwire_sip::message::{MAX_HEADER_FIELDS, MAX_MESSAGE_SIZE};
use tollwire_sip::transaction::{
    ClientTransactionId, Flow, Limits, Output, ServerTransactionId, Timers, TransactionLayer,
    Transport,
};
use tollwire_sip::{Fault, Message, Method};

#[path = "../../../tests/fuzz/src/sip.rs"]
mod bodies;

/// Every message of the conformance folders.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/sip");
    let mut paths: Vec<_> = ["rfc4475", "rfc5118"]
        .into_iter()
        .flat_map(|rfc| std::fs::read_dir(root.join(rfc)).expect("folder"))
        .map(|entry| entry.expect("entry").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("file"))
        .collect()
}

/// A small generator with a fixed seed: the same mutations on every run (Steele and Vigna, SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const SCRAPS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n",
    b"\r",
    b"\0",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b":",
    b"=",
    b"?",
    b"@",
    b"%",
    b"%00",
    b"%4",
    b"[",
    b"]",
    b"[::1]",
    b"[::",
    b" ",
    b"\t",
    b"/",
    b"&",
    b"\xff",
    b"\xc3\xa9",
    b"4294967296",
    b"-1",
    b"99999999999999999999",
    b"v: ",
    b"l: 5\r\n",
    b"Via: SIP/2.0/UDP h;branch=z9hG4bK\r\n",
    b"sip:",
    b"SIP/2.0",
    b"tel:+",
    b"m=audio 0 RTP/AVP 0\r\n",
    b"a=rtcp:1 IN IP4 h\r\n",
    b"c=IN IP6 ::\r\n",
    b"*",
    b"q=0.",
    b"expires=",
];

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = corpus[random.below(corpus.len())].clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(octets.len() + 1);
        match random.below(6) {
            0 if at < octets.len() => octets[at] = random.next() as u8,
            1 if at < octets.len() => octets[at] ^= 1 << random.below(8),
            2 => drop(octets.drain(at..(at + random.below(12)).min(octets.len()))),
            3 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len());
                let to = (from + random.below(60)).min(other.len());
                octets.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let scrap = SCRAPS[random.below(SCRAPS.len())];
                octets.splice(at..at, scrap.iter().copied());
            }
        }
    }
    octets
}

#[test]
fn a_hundred_thousand_mutations_do_no_harm() {
    let corpus = corpus();
    let mut random = Random(1);
    let mut parsed = 0;
    for _ in 0..100_000 {
        let octets = mutate(&mut random, &corpus);
        parsed += usize::from(Message::parse(Bytes::copy_from_slice(&octets)).is_ok());
        bodies::sip_message(&octets);
    }
    // The mutations are not all so crude that only the start line is ever read.
    assert!(parsed > 20_000, "{parsed}");
}

#[test]
fn mutated_streams_and_descriptions_do_no_harm() {
    let corpus = corpus();
    let descriptions: Vec<Vec<u8>> = corpus
        .iter()
        .filter_map(|octets| Message::parse(Bytes::copy_from_slice(octets)).ok())
        .filter_map(|message| message.session_description().map(<[u8]>::to_vec))
        .collect();
    let mut random = Random(2);
    for _ in 0..3_000 {
        let mut stream = mutate(&mut random, &corpus);
        stream.extend(mutate(&mut random, &corpus));
        bodies::sip_stream(&stream);
    }
    for _ in 0..30_000 {
        bodies::sdp(&mutate(&mut random, &descriptions));
    }
}

/// Requests and responses of few branches, so that they meet each other's transactions.
fn related_messages() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for branch in 0..4 {
        for method in ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"] {
            let fields = format!(
                "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{branch}\r\nFrom: <sip:a@example.org>;tag=a\r\n\
                 To: <sip:b@example.org>\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            messages.push(format!("{method} sip:b@example.org SIP/2.0\r\n{fields}").into_bytes());
            for status in [100, 180, 200, 487] {
                messages.push(format!("SIP/2.0 {status} \r\n{fields}").into_bytes());
            }
        }
    }
    messages
}

/// A transaction layer whose user answers, asks and cancels at random.
struct Ordeal {
    layer: TransactionLayer,
    now: Instant,
    random: Random,
    servers: Vec<(ServerTransactionId, Message)>,
    clients: Vec<ClientTransactionId>,
    ended: (u32, u32),
    timers_run: u64,
}

const MOST_TRANSACTIONS: usize = 40;

impl Ordeal {
    fn new() -> Self {
        let limits = Limits {
            server_transactions: MOST_TRANSACTIONS,
            ..Limits::default()
        };
        Self {
            layer: TransactionLayer::new(Timers::default(), limits),
            now: Instant::now(),
            random: Random(3),
            servers: Vec::new(),
            clients: Vec::new(),
            ended: (0, 0),
            timers_run: 0,
        }
    }

    fn flow(&mut self) -> Flow {
        Flow {
            transport: [Transport::Udp, Transport::Tcp][self.random.below(2)],
            local: "192.0.2.1:5060".parse().expect("address"),
            remote: "192.0.2.2:5060".parse().expect("address"),
        }
    }

    /// One message comes in, and the user does one thing.
    fn turn(&mut self, octets: &[u8]) {
        let Ok(message) = Message::parse(Bytes::copy_from_slice(octets)) else {
            return;
        };
        let flow = self.flow();
        let mut out = Vec::new();
        (self.layer).receive(self.now, flow, message.clone(), &mut out);
        // At most an ACK or a CANCEL, what is told, and that the transaction is over.
        assert!(out.len() <= 3, "{out:?}");
        match self.random.below(8) {
            0 | 1 if !self.servers.is_empty() => {
                let at = self.random.below(self.servers.len());
                let (id, request) = self.servers[at].clone();
                let status = [100, 180, 200, 202, 408, 486, 503][self.random.below(7)];
                let response = Message::response_to(&request, status, "").build();
                self.layer.respond(self.now, id, response, &mut out);
            }
            2 if message.is_request() && self.clients.len() < MOST_TRANSACTIONS => {
                let id = (self.layer).send_request(self.now, flow, message, &mut out);
                self.clients.push(id);
            }
            3 if !self.clients.is_empty() => {
                let at = self.random.below(self.clients.len());
                (self.layer).cancel(self.now, self.clients[at], &mut out);
            }
            4 if self.random.below(50) == 0 => {
                self.layer.transport_failed(self.now, flow, &mut out);
            }
            5 => {
                self.now += Duration::from_millis(self.random.below(1000) as u64);
                self.layer.tick(self.now, &mut out);
            }
            _ => {}
        }
        self.note(out);
    }

    fn note(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { bytes, .. } => {
                    Message::parse(bytes).expect("what the layer sends reads back");
                }
                Output::Request { id, message, .. } | Output::Cancel { id, message, .. } => {
                    self.servers.push((id, message));
                }
                Output::ServerTerminated { id } => {
                    self.ended.0 += 1;
                    let before = self.servers.len();
                    self.servers.retain(|(known, _)| *known != id);
                    assert_eq!(self.servers.len() + 1, before, "it ends once");
                }
                Output::ClientTerminated { id } => {
                    self.ended.1 += 1;
                    let before = self.clients.len();
                    self.clients.retain(|known| *known != id);
                    assert_eq!(self.clients.len() + 1, before, "it ends once");
                }
                _ => {}
            }
        }
        let (clients, servers) = self.layer.load();
        assert_eq!(servers, self.servers.len());
        assert!(servers <= MOST_TRANSACTIONS + MOST_TRANSACTIONS / 8);
        // Each may have a CANCEL, which outlives it by no more than Timer F.
        assert!(clients >= self.clients.len());
    }

    /// The user answers and cancels everything; then the timers alone run.
    fn end(&mut self) {
        let mut out = Vec::new();
        for (id, request) in self.servers.clone() {
            let response = Message::response_to(&request, 500, "").build();
            self.layer.respond(self.now, id, response, &mut out);
        }
        for id in self.clients.clone() {
            self.layer.cancel(self.now, id, &mut out);
        }
        self.note(out);
        while let Some(next) = self.layer.next_deadline() {
            self.now = self.now.max(next);
            let mut out = Vec::new();
            self.layer.tick(self.now, &mut out);
            self.note(out);
            self.timers_run += 1;
            assert!(self.timers_run < 10_000, "timers without end");
        }
        assert_eq!(self.layer.load(), (0, 0));
        assert!(self.servers.is_empty() && self.clients.is_empty());
    }
}

#[test]
fn mutated_messages_leave_nothing_in_the_transaction_layer() {
    let mut corpus = related_messages();
    let related = corpus.len();
    corpus.extend(self::corpus());
    let mut ordeal = Ordeal::new();
    for turn in 0..100_000 {
        let octets = match turn % 3 {
            0 => corpus[ordeal.random.below(related)].clone(),
            1 => mutate(&mut ordeal.random, &corpus[..related]),
            _ => mutate(&mut ordeal.random, &corpus),
        };
        ordeal.turn(&octets);
    }
    ordeal.end();
    // Enough came to life for this to say something.
    let (servers, clients) = ordeal.ended;
    assert!(servers > 1_000 && clients > 1_000, "{servers} {clients}");
}

#[test]
fn every_truncation_is_survived() {
    for octets in corpus() {
        for end in 0..octets.len() {
            bodies::sip_message(&octets[..end]);
        }
    }
}

#[test]
fn a_head_that_does_not_end_is_refused() {
    let octets =
        b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nCSeq: 1 OPTIONS\r\n";
    let failure = Message::parse(Bytes::from_static(octets)).unwrap_err();
    assert_eq!(failure.fault, Fault::HeadTruncated);
    assert_eq!(failure.response().unwrap().status(), Some(400));
}

#[test]
fn lone_line_ends_smuggle_no_header_field() {
    for bad in ["\n", "\r"] {
        let text = format!(
            "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nSubject: a{bad}Route: <sip:evil>\r\n\r\n"
        );
        let failure = Message::parse(text.into()).unwrap_err();
        assert_eq!(failure.fault, Fault::LineEnd);
        let response = failure.response().unwrap();
        assert_eq!(response.status(), Some(400));
    }
}

#[test]
fn limits_hold() {
    let head = "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n";
    let many = format!("{head}{}\r\n", "X: y\r\n".repeat(MAX_HEADER_FIELDS));
    let failure = Message::parse(many.into()).unwrap_err();
    assert_eq!(failure.fault, Fault::TooManyHeaderFields);
    let long = format!("{head}\r\n{}", "x".repeat(MAX_MESSAGE_SIZE));
    let failure = Message::parse(long.into()).unwrap_err();
    assert_eq!(failure.fault, Fault::TooLarge);
}

#[test]
fn acks_and_responses_are_never_answered() {
    for start in [
        "ACK sip:h SIP/2.0",
        "SIP/2.0 200 OK",
        "ACK  sip:h SIP/2.0",
        "SIP/2.0 9",
    ] {
        let text = format!("{start}\r\nVia: nonsense\r\nCSeq: x\r\n\r\n");
        let answered = match Message::parse(text.into()) {
            Ok(message) => {
                let fault = message.check().unwrap_err();
                fault.rejection().response(&message).is_some()
            }
            Err(failure) => failure.response().is_some(),
        };
        assert!(!answered, "{start}");
    }
}

#[test]
fn octets_that_are_not_utf_8_pass_where_they_do_not_matter() {
    let mut octets = b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\
        From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nSubject: caf"
        .to_vec();
    octets.extend_from_slice(b"\xe9\r\nMax-Forwards: 9\r\n\r\n");
    let message = Message::parse(Bytes::from(octets.clone())).unwrap();
    message.check().unwrap();
    assert_eq!(message.max_forwards().unwrap(), Some(9));
    assert_eq!(message.header(tollwire_sip::HeaderName::Subject), None);
    assert_eq!(message.to_bytes(), octets);
    assert_eq!(*message.method(), Method::Options);
}
