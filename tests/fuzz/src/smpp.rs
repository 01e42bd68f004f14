//! SMPP: streams, PDUs, and the texts in them.

use tollwire_smpp::session::{Role, Session, Settings};
use tollwire_smpp::{Frame, Framer, FramingError, Pdu, command, data_coding, decode, encode};
use tollwire_smpp::{receipt, status, tariff, time};

const LIMIT: u32 = 4096;

fn read_stream<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Frame, FramingError>> {
    let mut framer = Framer::new(LIMIT);
    let mut frames = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            frames.push(frame);
        }
        assert!(framer.buffered() < LIMIT as usize + chunk.len());
    }
    frames
}

/// The same stream cut differently yields the same PDUs; each of them is read, and any session can hear it.
///
/// # Panics
/// A finding.
pub fn smpp_stream(data: &[u8]) {
    let whole = read_stream(std::iter::once(data));
    assert_eq!(whole, read_stream(data.chunks(1)));
    assert_eq!(whole, read_stream(data.chunks(7)));
    let now = std::time::Instant::now();
    let mut session = Session::new(Role::MessageCentre, Settings::default(), now);
    for frame in whole {
        match frame {
            Ok(frame) => {
                let _ = session.receive(now, &frame);
                session.responded(frame.command_id, 0);
                smpp_frame(&frame);
            }
            Err(error) => {
                let mut answer = Vec::new();
                error.refusal().encode(&mut answer);
                assert_eq!(answer.len(), 16);
            }
        }
    }
}

/// One PDU, without its `command_length`.
///
/// # Panics
/// A finding.
pub fn smpp_pdu(data: &[u8]) {
    let Some((header, body)) = data.split_first_chunk::<12>() else {
        return;
    };
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    smpp_frame(&Frame {
        command_id: word(0),
        command_status: word(4),
        sequence_number: word(8),
        body: body.to_vec().into(),
    });
}

/// What reads is written and read again as the same value, octet for octet if nothing was left out; what does not is
/// refused at an octet it has, with an answer that reads.
fn smpp_frame(frame: &Frame) {
    let mut out = Vec::new();
    match decode(frame) {
        Ok(pdu) => {
            encode(&pdu, status::ESME_ROK, frame.sequence_number, &mut out)
                .expect("what was read can be written");
            let missing_body = command::is_response(frame.command_id) && frame.body.is_empty();
            assert!(missing_body || out[16..] == frame.body);
            let again = one(&out);
            assert_eq!(decode(&again), Ok(pdu));
            let mut twice = Vec::new();
            encode(&pdu, status::ESME_ROK, frame.sequence_number, &mut twice)
                .expect("it was written before");
            assert_eq!(out, twice);
            texts(&pdu);
        }
        Err(refusal) => {
            assert!(refusal.offset <= frame.command_length());
            assert!(refusal.command_status != status::ESME_ROK);
            assert_ne!(status::name(refusal.command_status), "reserved");
            refusal.encode(&mut out);
            if let Some(command_id) = refusal.answer {
                let answer = one(&out);
                assert_eq!(answer.command_id, command_id);
                assert!(command::is_response(command_id));
                decode(&answer).expect("our own answer reads");
            } else {
                assert!(out.is_empty());
            }
        }
    }
}

fn one(octets: &[u8]) -> Frame {
    let mut framer = Framer::new(u32::MAX);
    framer.push(octets);
    let frame = framer.next().expect("it is whole").expect("it is a PDU");
    assert_eq!(framer.buffered(), 0);
    frame
}

fn texts(pdu: &Pdu<'_>) {
    let Pdu::SubmitSm(submit_sm) = pdu else {
        return;
    };
    let payload = submit_sm.short_message;
    let _ = data_coding::text(submit_sm.data_coding, submit_sm.esm_class, payload);
    let _ = data_coding::concatenation(submit_sm.esm_class, payload, submit_sm.tlvs);
    assert!(data_coding::segments(submit_sm.data_coding, submit_sm.esm_class, payload) > 0);
    let _ = time::validity_period(submit_sm.validity_period.as_bytes(), 0);
}

/// A receipt's text: what is read and written again is read the same.
///
/// # Panics
/// A finding.
pub fn smpp_receipt(data: &[u8]) {
    let read = receipt::parse(data);
    let (Some(id), Some(state)) = (read.id, read.state) else {
        return;
    };
    let date = |octets: Option<&[u8]>| {
        octets
            .and_then(|octets| time::parse_minute(octets, NOW))
            .unwrap_or(NOW)
    };
    let receipt = receipt::Receipt {
        id,
        submitted: read.submitted.unwrap_or(1) % 1000,
        delivered: read.delivered.unwrap_or(0) % 1000,
        submit_unix_ms: date(read.submit_date),
        done_unix_ms: date(read.done_date),
        state,
        error: 0,
        text: read.text.unwrap_or_default(),
    };
    let mut out = Vec::new();
    receipt.write(&mut out);
    let again = receipt::parse(&out);
    assert_eq!(again.id, Some(id));
    assert_eq!(again.state, Some(state));
    assert_eq!(again.submitted, Some(receipt.submitted));
    let done = time::parse_minute(again.done_date.expect("written"), NOW).expect("a date");
    assert_eq!(done, receipt.done_unix_ms.div_euclid(60_000) * 60_000);
    assert_eq!(
        again.text,
        Some(&receipt.text[..receipt.text.len().min(receipt::TEXT_LENGTH)])
    );
}

/// A tariff TLV in any format: what is read is written, and read again as the same.
///
/// # Panics
/// A finding.
pub fn smpp_tariff(data: &[u8]) {
    let Some((format, value)) = data.split_first() else {
        return;
    };
    let payer = tariff::Payer::Receiver;
    let format = match format % 5 {
        0 => tariff::Format::Native,
        1 => tariff::Format::AsciiPrice {
            currency: *b"EUR",
            exponent: format / 32,
            payer,
        },
        2 => tariff::Format::AsciiClass { payer },
        3 => tariff::Format::IntegerClass {
            width: 1 + format / 64,
            payer,
        },
        _ => tariff::Format::BillingIdentification {
            billing_format: 0x80,
        },
    };
    if let Ok(advice) = tariff::read(&format, value) {
        if let tariff::Price::Direct { amount_micro, .. } = advice.price {
            assert!((0..=tariff::HIGHEST_AMOUNT_MICRO).contains(&amount_micro));
        }
        let written = tariff::write(&advice);
        if format == tariff::Format::Native {
            assert_eq!(written, value);
        }
        assert_eq!(tariff::read(&tariff::Format::Native, &written), Ok(advice));
    }
}

/// Noon of 1 March 2026, UTC.
const NOW: i64 = 1_772_366_400_000;

/// A time: what is read is written as the same time.
///
/// # Panics
/// A finding.
pub fn smpp_time(data: &[u8]) {
    if let Ok(Some(unix_ms)) = time::parse(data, NOW) {
        assert_eq!(unix_ms % 100, 0);
        if data[15] != b'R' {
            assert_eq!(
                time::parse(&time::absolute(unix_ms), unix_ms),
                Ok(Some(unix_ms))
            );
        } else {
            assert!(unix_ms >= NOW);
            if let Some(period) = time::relative(unix_ms - NOW) {
                assert_eq!(time::parse(&period, NOW), Ok(Some(unix_ms)));
            }
        }
    }
}
