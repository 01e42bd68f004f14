//! The layer step by step, by the tables of RFC 3261 17 and RFC 6026.

use std::time::{Duration, Instant};

use super::*;
use crate::{HeaderName, Message, Method};

const MS: Duration = Duration::from_millis(1);

fn flow(transport: Transport) -> Flow {
    Flow {
        transport,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.2:5070".parse().unwrap(),
    }
}

fn request(method: &str, branch: &str, rport: &str) -> Message {
    let text = format!(
        "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5061;branch=z9hG4bK{branch}{rport}\r\n\
         Route: <sip:192.0.2.9;lr>\r\nFrom: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\n\
         Call-ID: 1@example.org\r\nCSeq: 7 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn response(request: &Message, status: u16) -> Message {
    Message::response_to(request, status, "")
        .to_tag("b")
        .build()
}

struct Bench {
    layer: TransactionLayer,
    start: Instant,
    now: Instant,
    flow: Flow,
}

impl Bench {
    fn new(transport: Transport) -> Self {
        let start = Instant::now();
        Self {
            layer: TransactionLayer::new(Timers::default(), Limits::default()),
            start,
            now: start,
            flow: flow(transport),
        }
    }

    fn receive(&mut self, message: &Message) -> Vec<Output> {
        let mut out = Vec::new();
        self.layer
            .receive(self.now, self.flow, message.clone(), &mut out);
        out
    }

    fn serve(&mut self, message: &Message) -> ServerTransactionId {
        match self.receive(message).as_slice() {
            [Output::Request { id, .. }] => *id,
            other => panic!("{other:?}"),
        }
    }

    fn respond(&mut self, id: ServerTransactionId, message: Message) -> Vec<Output> {
        let mut out = Vec::new();
        self.layer.respond(self.now, id, message, &mut out);
        out
    }

    fn send(&mut self, message: &Message) -> ClientTransactionId {
        let mut out = Vec::new();
        let id = self
            .layer
            .send_request(self.now, self.flow, message.clone(), &mut out);
        assert_eq!(sent(&out), [message.method().as_str()]);
        id
    }

    /// Runs timers until `until` milliseconds after the start; returns when each output came and what it was.
    fn run(&mut self, until: u64) -> Vec<(u64, String)> {
        let end = self.start + MS * u32::try_from(until).unwrap();
        let mut seen = Vec::new();
        while let Some(deadline) = self
            .layer
            .next_deadline()
            .filter(|deadline| *deadline <= end)
        {
            self.now = self.now.max(deadline);
            let mut out = Vec::new();
            self.layer.tick(self.now, &mut out);
            let at = u64::try_from((self.now - self.start).as_millis()).unwrap();
            seen.extend(out.iter().map(|output| (at, name(output))));
        }
        self.now = end;
        seen
    }

    fn is_empty(&self) -> bool {
        self.layer.load() == (0, 0)
            && self.layer.client_keys_len() == 0
            && self.layer.deadlines_len() <= 4
    }
}

fn name(output: &Output) -> String {
    match output {
        Output::Send { bytes, .. } => {
            let message = Message::parse(bytes.clone()).unwrap();
            message.status().map_or_else(
                || message.method().as_str().to_owned(),
                |status| status.to_string(),
            )
        }
        other => format!("{other:?}")
            .split([' ', '{'])
            .next()
            .unwrap()
            .to_owned(),
    }
}

fn names(outputs: &[Output]) -> Vec<String> {
    outputs.iter().map(name).collect()
}

fn sent(outputs: &[Output]) -> Vec<String> {
    outputs
        .iter()
        .filter(|output| matches!(output, Output::Send { .. }))
        .map(name)
        .collect()
}

fn times(seen: &[(u64, String)], what: &str) -> Vec<u64> {
    seen.iter()
        .filter(|(_, name)| name == what)
        .map(|(at, _)| *at)
        .collect()
}

#[test]
fn an_unanswered_invite_is_repeated_with_doubling_waits_and_times_out() {
    let mut bench = Bench::new(Transport::Udp);
    bench.send(&request("INVITE", "1", ""));
    let seen = bench.run(60_000);
    // 17.1.1.2: 500 ms, 1 s, 2 s, 4 s, 8 s, 16 s after one another; Timer B at 32 s.
    assert_eq!(
        times(&seen, "INVITE"),
        [500, 1500, 3500, 7500, 15500, 31500]
    );
    assert_eq!(times(&seen, "TimedOut"), [32000]);
    assert_eq!(times(&seen, "ClientTerminated"), [32000]);
    assert!(bench.is_empty());
}

#[test]
fn a_stream_repeats_nothing() {
    for method in ["INVITE", "BYE"] {
        let mut bench = Bench::new(Transport::Tcp);
        bench.send(&request(method, "1", ""));
        let seen = bench.run(60_000);
        assert_eq!(times(&seen, method), [0u64; 0]);
        assert_eq!(times(&seen, "TimedOut"), [32000]);
        assert!(bench.is_empty());
    }
}

#[test]
fn a_non_invite_request_is_repeated_at_most_every_t2_and_then_times_out() {
    let mut bench = Bench::new(Transport::Udp);
    bench.send(&request("BYE", "1", ""));
    let seen = bench.run(60_000);
    assert_eq!(
        times(&seen, "BYE"),
        [
            500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500
        ]
    );
    assert_eq!(times(&seen, "TimedOut"), [32000]);
    assert!(bench.is_empty());
}

#[test]
fn a_provisional_response_stops_the_repetition_of_an_invite_for_ever() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    bench.send(&invite);
    assert_eq!(names(&bench.receive(&response(&invite, 180))), ["Response"]);
    assert!(bench.run(600_000).is_empty());
    assert_eq!(bench.layer.load(), (1, 0));
}

#[test]
fn a_refused_invite_is_acknowledged_each_time_and_reported_once() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    bench.send(&invite);
    let busy = response(&invite, 486);
    let out = bench.receive(&busy);
    assert_eq!(names(&out), ["ACK", "Response"]);
    let Output::Send { bytes, .. } = &out[0] else {
        panic!("{out:?}");
    };
    // 17.1.1.3: the INVITE's Request-URI, Call-ID, From, CSeq number, topmost Via and Route; the response's To.
    let ack = Message::parse(bytes.clone()).unwrap();
    assert_eq!(ack.request_uri(), invite.request_uri());
    for name in [
        HeaderName::Via,
        HeaderName::Route,
        HeaderName::From,
        HeaderName::CallId,
    ] {
        assert_eq!(ack.header(name), invite.header(name), "{name}");
    }
    assert_eq!(ack.header(HeaderName::To), busy.header(HeaderName::To));
    assert_eq!(ack.header(HeaderName::CSeq), Some("7 ACK"));
    assert_eq!(names(&bench.receive(&busy)), ["ACK"]);
    let seen = bench.run(60_000);
    assert_eq!(seen, [(32_000, "ClientTerminated".to_owned())]);
    assert!(bench.is_empty());
}

#[test]
fn every_2xx_to_an_invite_is_delivered_while_accepted() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    bench.send(&invite);
    let ok = response(&invite, 200);
    for _ in 0..3 {
        assert_eq!(names(&bench.receive(&ok)), ["Response"]);
    }
    assert!(bench.receive(&response(&invite, 486)).is_empty());
    assert_eq!(bench.run(60_000), [(32_000, "ClientTerminated".to_owned())]);
    assert_eq!(names(&bench.receive(&ok)), ["StrayResponse"]);
    assert!(bench.is_empty());
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_then_gives_up_after_64_t1() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    let id = bench.send(&invite);
    let mut out = Vec::new();
    bench.layer.cancel(bench.now, id, &mut out);
    assert!(out.is_empty());
    let out = bench.receive(&response(&invite, 180));
    assert_eq!(names(&out), ["Response", "CANCEL"]);
    let Output::Send { bytes, .. } = &out[1] else {
        panic!("{out:?}");
    };
    let cancel = Message::parse(bytes.clone()).unwrap();
    assert_eq!(
        cancel.header(HeaderName::Via),
        invite.header(HeaderName::Via)
    );
    assert_eq!(cancel.header(HeaderName::To), invite.header(HeaderName::To));
    assert_eq!(cancel.header(HeaderName::CSeq), Some("7 CANCEL"));
    // The CANCEL's own answer is nobody's business.
    assert!(bench.receive(&response(&cancel, 200)).is_empty());
    let mut again = Vec::new();
    bench.layer.cancel(bench.now, id, &mut again);
    assert!(again.is_empty());
    let seen = bench.run(60_000);
    assert_eq!(times(&seen, "TimedOut"), [32_000]);
    assert_eq!(times(&seen, "ClientTerminated"), [32_000]);
    assert!(bench.is_empty());
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_delivered() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    let id = bench.send(&invite);
    let mut out = Vec::new();
    bench.layer.cancel(bench.now, id, &mut out);
    assert_eq!(names(&bench.receive(&response(&invite, 200))), ["Response"]);
    bench.run(60_000);
    assert!(bench.is_empty());
}

#[test]
fn a_repeated_invite_gets_the_last_response_and_after_a_2xx_nothing() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    let id = bench.serve(&invite);
    assert!(bench.receive(&invite).is_empty());
    bench.respond(id, response(&invite, 100));
    assert_eq!(names(&bench.receive(&invite)), ["100"]);
    bench.respond(id, response(&invite, 180));
    assert_eq!(names(&bench.receive(&invite)), ["180"]);
    assert_eq!(names(&bench.respond(id, response(&invite, 200))), ["200"]);
    assert!(bench.receive(&invite).is_empty());
    // RFC 6026 7.1: the user may send further 2xx, and nothing else.
    assert_eq!(names(&bench.respond(id, response(&invite, 200))), ["200"]);
    assert!(bench.respond(id, response(&invite, 486)).is_empty());
    assert_eq!(names(&bench.receive(&request("ACK", "1", ""))), ["Ack"]);
    assert_eq!(bench.run(60_000), [(32_000, "ServerTerminated".to_owned())]);
    assert!(bench.is_empty());
}

#[test]
fn a_refusal_is_repeated_until_acknowledged() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    let id = bench.serve(&invite);
    bench.respond(id, response(&invite, 486));
    assert_eq!(times(&bench.run(6000), "486"), [500, 1500, 3500]);
    assert!(bench.receive(&request("ACK", "1", "")).is_empty());
    // Timer I: T4 later.
    assert_eq!(bench.run(60_000), [(11_000, "ServerTerminated".to_owned())]);
    assert!(bench.is_empty());
}

#[test]
fn a_refusal_never_acknowledged_ends_with_timer_h() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    let id = bench.serve(&invite);
    bench.respond(id, response(&invite, 486));
    let seen = bench.run(60_000);
    assert_eq!(
        times(&seen, "486"),
        [
            500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500
        ]
    );
    assert_eq!(times(&seen, "AckTimedOut"), [32_000]);
    assert!(bench.is_empty());
}

#[test]
fn non_invite_responses_follow_rfc_4320() {
    let mut bench = Bench::new(Transport::Udp);
    let bye = request("BYE", "1", "");
    let id = bench.serve(&bye);
    assert!(bench.respond(id, response(&bye, 100)).is_empty());
    assert!(bench.respond(id, response(&bye, 180)).is_empty());
    bench.run(4000);
    assert_eq!(names(&bench.respond(id, response(&bye, 100))), ["100"]);
    assert_eq!(names(&bench.receive(&bye)), ["100"]);
    assert_eq!(names(&bench.respond(id, response(&bye, 200))), ["200"]);
    assert_eq!(names(&bench.receive(&bye)), ["200"]);
    assert!(bench.respond(id, response(&bye, 500)).is_empty());
    assert_eq!(bench.run(60_000), [(36_000, "ServerTerminated".to_owned())]);
    assert!(bench.is_empty());

    let late = request("BYE", "2", "");
    let id = bench.serve(&late);
    assert_eq!(
        names(&bench.respond(id, response(&late, 408))),
        ["ServerTerminated"]
    );
    assert!(bench.is_empty());
}

#[test]
fn a_request_that_is_never_answered_is_forgotten() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::new(transport);
        bench.serve(&request("OPTIONS", "1", ""));
        assert!(bench.run(32_000).is_empty());
        assert!(bench.receive(&request("OPTIONS", "1", "")).is_empty());
        assert_eq!(bench.run(60_000), [(37_000, "ServerTerminated".to_owned())]);
        assert!(bench.is_empty());
    }
}

#[test]
fn a_cancel_finds_its_invite_by_branch_and_sent_by() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    let served = bench.serve(&invite);
    match bench.receive(&request("CANCEL", "1", "")).as_slice() {
        [Output::Cancel { invite, id, .. }] => {
            assert_eq!(*invite, Some(served));
            assert_ne!(*id, served);
        }
        other => panic!("{other:?}"),
    }
    match bench.receive(&request("CANCEL", "2", "")).as_slice() {
        [Output::Cancel { invite, .. }] => assert_eq!(*invite, None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_ack_of_a_2xx_belongs_to_no_transaction() {
    let mut bench = Bench::new(Transport::Udp);
    assert_eq!(names(&bench.receive(&request("ACK", "9", ""))), ["Ack"]);
    assert!(bench.is_empty());
}

#[test]
fn requests_of_rfc_2543_clients_are_matched_by_their_dialog() {
    let plain = |method: &str| {
        let text = format!(
            "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2\r\nFrom: <sip:a@example.org>;tag=a\r\n\
             To: <sip:bob@example.org>\r\nCall-ID: 1\r\nCSeq: 7 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    };
    let mut bench = Bench::new(Transport::Udp);
    let id = bench.serve(&plain("INVITE"));
    bench.respond(id, response(&plain("INVITE"), 486));
    assert_eq!(names(&bench.receive(&plain("INVITE"))), ["486"]);
    assert!(bench.receive(&plain("ACK")).is_empty());
    assert_eq!(bench.run(60_000), [(5_000, "ServerTerminated".to_owned())]);
}

#[test]
fn responses_go_where_the_via_says() {
    for (rport, port) in [("", 5061), (";rport=5070", 5070)] {
        let mut bench = Bench::new(Transport::Udp);
        let options = request("OPTIONS", "1", rport);
        let id = bench.serve(&options);
        match bench.respond(id, response(&options, 200)).as_slice() {
            [Output::Send { flow, .. }] => {
                assert_eq!(flow.remote.to_string(), format!("192.0.2.2:{port}"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_broken_stream_fails_only_what_was_never_answered() {
    let mut bench = Bench::new(Transport::Tcp);
    let (one, two) = (request("INVITE", "1", ""), request("INVITE", "2", ""));
    let unanswered = bench.send(&one);
    bench.send(&two);
    bench.receive(&response(&two, 180));
    let mut out = Vec::new();
    bench
        .layer
        .transport_failed(bench.now, bench.flow, &mut out);
    assert_eq!(
        out,
        [
            Output::TransportFailed { id: unanswered },
            Output::ClientTerminated { id: unanswered }
        ]
    );
    assert_eq!(bench.layer.load(), (1, 0));
}

#[test]
fn beyond_the_limit_a_request_gets_503_and_no_memory() {
    let mut bench = Bench::new(Transport::Udp);
    bench.layer = TransactionLayer::new(
        Timers::default(),
        Limits {
            server_transactions: 2,
            retry_after: 5,
        },
    );
    bench.serve(&request("OPTIONS", "1", ""));
    bench.serve(&request("OPTIONS", "2", ""));
    for _ in 0..3 {
        assert_eq!(names(&bench.receive(&request("OPTIONS", "3", ""))), ["503"]);
    }
    assert_eq!(bench.layer.load(), (0, 2));
    // What ends calls has room of its own, and no more than that.
    bench.serve(&request("BYE", "4", ""));
    assert_eq!(names(&bench.receive(&request("CANCEL", "5", ""))), ["503"]);
    assert_eq!(bench.layer.load(), (0, 3));
}

#[test]
fn timers_of_many_repetitions_do_not_pile_up() {
    let mut bench = Bench::new(Transport::Udp);
    for number in 0..1000 {
        bench.send(&request("BYE", &number.to_string(), ""));
    }
    bench.run(31_000);
    assert!(bench.layer.deadlines_len() <= 2000);
    bench.run(60_000);
    assert!(bench.is_empty());
}

#[test]
fn a_method_is_not_confused_with_another_of_the_same_branch() {
    let mut bench = Bench::new(Transport::Udp);
    let invite = request("INVITE", "1", "");
    bench.send(&invite);
    let cancel = request("CANCEL", "1", "");
    assert_eq!(
        names(&bench.receive(&response(&cancel, 200))),
        ["StrayResponse"]
    );
    assert_eq!(*invite.method(), Method::Invite);
}
