//! A request to one agent (RFC 2608 12.3).

use std::time::{Duration, Instant};

use tollwire_slp::agent::{Exchange, ExchangeEffect, ExchangeEvent, Timers};
use tollwire_slp::message::{SrvAck, SrvRply};
use tollwire_slp::{Body, ErrorCode, Extension, Function, Header, Message, encode};

use crate::lan::message;

const XID: u16 = 5;

fn begin(answer: Function) -> (Instant, Exchange) {
    let now = Instant::now();
    let mut effects = Vec::new();
    let timers = Timers::default();
    let exchange = Exchange::begin(now, vec![1], XID, answer, &timers, &mut effects);
    assert_eq!(effects, [ExchangeEffect::Send(vec![1])]);
    (now, exchange)
}

fn handle(exchange: &mut Exchange, now: Instant, event: ExchangeEvent<'_>) -> Vec<ExchangeEffect> {
    let mut effects = Vec::new();
    exchange.handle(now, event, &mut effects);
    effects
}

#[test]
fn it_is_sent_again_with_waits_that_double_and_then_given_up() {
    let (start, mut exchange) = begin(Function::SrvRply);
    let mut sent = Vec::new();
    loop {
        let now = exchange.deadline().unwrap();
        let effects = handle(&mut exchange, now, ExchangeEvent::Timer);
        let since = now - start;
        if effects == [ExchangeEffect::Unanswered] {
            assert_eq!(since, Duration::from_secs(15));
            break;
        }
        assert_eq!(effects, [ExchangeEffect::Send(vec![1])]);
        sent.push(since.as_secs());
    }
    assert_eq!(sent, [2, 6, 14]);
    assert_eq!(exchange.deadline(), None);
}

#[test]
fn an_error_is_an_answer() {
    let (now, mut exchange) = begin(Function::SrvAck);
    let ack = SrvAck {
        error: ErrorCode::DA_BUSY_NOW,
    };
    let octets = message(XID, "en", Body::SrvAck(ack), false);
    assert_eq!(
        handle(&mut exchange, now, ExchangeEvent::Received(&octets)),
        [ExchangeEffect::Answered {
            error: ErrorCode::DA_BUSY_NOW,
            overflow: false
        }]
    );
    assert!(handle(&mut exchange, now, ExchangeEvent::Received(&octets)).is_empty());
}

#[test]
fn what_is_no_answer_changes_nothing() {
    let (now, mut exchange) = begin(Function::SrvRply);
    let rply = |xid| message(xid, "en", Body::SrvRply(SrvRply::default()), true);
    let ack = message(XID, "en", Body::SrvAck(SrvAck::default()), false);
    for octets in [rply(XID + 1), ack, b"no message".to_vec(), Vec::new()] {
        assert!(handle(&mut exchange, now, ExchangeEvent::Received(&octets)).is_empty());
    }
    assert_eq!(
        handle(&mut exchange, now, ExchangeEvent::Received(&rply(XID))),
        [ExchangeEffect::Answered {
            error: ErrorCode::OK,
            overflow: true
        }]
    );
}

#[test]
fn a_reply_with_a_mandatory_extension_that_is_unknown_is_dropped() {
    for (id, taken) in [
        (0x3FFF, true),
        (0x4000, false),
        (0x7FFF, false),
        (0x8000, true),
    ] {
        let (now, mut exchange) = begin(Function::SrvRply);
        let reply = Message {
            header: Header {
                xid: XID,
                language: "en",
                ..Header::default()
            },
            body: Body::SrvRply(SrvRply::default()),
            extensions: vec![Extension::Unknown { id, data: b"x" }],
        };
        let mut octets = Vec::new();
        encode(&reply, &mut octets).unwrap();
        let effects = handle(&mut exchange, now, ExchangeEvent::Received(&octets));
        assert_eq!(!effects.is_empty(), taken, "{id:#06x}");
    }
}

#[test]
fn adverts_may_be_refused_by_a_service_reply() {
    let (now, mut exchange) = begin(Function::DaAdvert);
    let error = |error| {
        let reply = SrvRply {
            error,
            ..SrvRply::default()
        };
        message(XID, "en", Body::SrvRply(reply), false)
    };
    assert!(
        handle(
            &mut exchange,
            now,
            ExchangeEvent::Received(&error(ErrorCode::OK))
        )
        .is_empty()
    );
    assert_eq!(
        handle(
            &mut exchange,
            now,
            ExchangeEvent::Received(&error(ErrorCode::MSG_NOT_SUPPORTED))
        ),
        [ExchangeEffect::Answered {
            error: ErrorCode::MSG_NOT_SUPPORTED,
            overflow: false
        }]
    );
}

#[test]
fn nobody_listening_is_known_at_once() {
    let (now, mut exchange) = begin(Function::SrvRply);
    assert_eq!(
        handle(&mut exchange, now, ExchangeEvent::Unreachable),
        [ExchangeEffect::Unanswered]
    );
}
