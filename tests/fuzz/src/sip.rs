//! SIP messages, streams of them, and session descriptions.

use bytes::Bytes;
use tollwire_sip::sdp::{SessionDescription, flows};
use tollwire_sip::{Framed, FramingError, HeaderName, Message, StreamFramer, Uri};

/// Decode, encode, decode, encode is stable; every typed value can be asked for; the refusal can be sent.
pub fn sip_message(data: &[u8]) {
    let message = match Message::parse(Bytes::copy_from_slice(data)) {
        Ok(message) => message,
        Err(failure) => {
            if let Some(response) = failure.response() {
                let sent = response.to_bytes();
                let read = Message::parse(sent.clone()).expect("our own response reads back");
                assert_eq!(read.to_bytes(), sent);
            }
            return;
        }
    };
    let printed = message.to_bytes();
    let again = Message::parse(printed.clone()).expect("what was read once reads again");
    assert_eq!(again.to_bytes(), printed);
    assert_eq!(again.method(), message.method());
    assert_eq!(again.status(), message.status());
    assert_eq!(again.body(), message.body());
    assert!(again.fields().eq(message.fields()));
    ask_everything(&message);
    if let Err(fault) = message.check() {
        if let Some(response) = fault.rejection().response(&message) {
            Message::parse(response.to_bytes()).expect("our own response reads back");
        }
    } else {
        edit(message);
    }
}

fn ask_everything(message: &Message) {
    for via in message.vias().flatten() {
        let _ = (
            via.branch(),
            via.received(),
            via.rport(),
            via.response_address(),
        );
        let _ = via.stamped("[2001:db8::1]:5060".parse().expect("address"));
    }
    for address in [message.from(), message.to(), message.contact()]
        .into_iter()
        .flatten()
    {
        let _ = (
            address.tag(),
            address.unquoted_display_name(),
            address.expires(),
        );
        let _ = address.q_thousandths();
        if let Ok(uri) = address.uri() {
            assert!(uri.equivalent(&uri), "a URI equals itself: {}", address.uri);
            let canonical = uri.address_of_record();
            let reread = Uri::parse(&canonical).expect("canonical form reads back");
            assert_eq!(reread.address_of_record(), canonical);
        }
    }
    let _ = (message.routes().count(), message.record_routes().count());
    let _ = (
        message.contacts(),
        message.expires(),
        message.content_length(),
    );
    let _ = (
        message.rseq(),
        message.rack(),
        message.session_expires(),
        message.min_se(),
    );
    let _ = (
        message.retry_after(),
        message.max_forwards(),
        message.call_id(),
    );
    let _ = (
        message.authorization().count(),
        message.proxy_authorization().count(),
    );
    let _ = message.challenges(HeaderName::WwwAuthenticate).count();
    if let Some(body) = message.session_description() {
        sdp(body);
    }
}

/// What a proxy does to a request leaves a message that reads back as it was meant.
fn edit(mut message: Message) {
    let vias = message.vias().count();
    let others: Vec<String> = untouched(&message);
    message.stamp_received("192.0.2.1:5060".parse().expect("address"));
    message.push_front(HeaderName::Via, "SIP/2.0/UDP h;branch=z9hG4bKx");
    message.set(HeaderName::MaxForwards, "69");
    message.remove_first(HeaderName::Route);
    message.ensure_content_length();
    let read = Message::parse(message.to_bytes()).expect("an edited message reads back");
    assert_eq!(read.vias().count(), vias + 1);
    assert!(read.vias().all(|via| via.is_ok()));
    assert_eq!(untouched(&read), others);
    message.remove_first(HeaderName::Via);
    assert_eq!(message.vias().count(), vias);
}

fn untouched(message: &Message) -> Vec<String> {
    message
        .fields()
        .filter(|(name, _, _)| {
            !matches!(
                name,
                HeaderName::Via
                    | HeaderName::MaxForwards
                    | HeaderName::Route
                    | HeaderName::ContentLength
            )
        })
        .map(|(_, name, value)| format!("{name}: {value}"))
        .collect()
}

/// The same stream cut differently yields the same messages, and never holds more than its bound.
pub fn sip_stream(data: &[u8]) {
    const LIMIT: usize = 4096;
    let whole = read_stream(LIMIT, std::iter::once(data));
    let octets = read_stream(LIMIT, data.chunks(1));
    // A fatal fault is found at another octet, with more or less of the message at hand.
    let outline = |frames: &[Result<Framed, FramingError>]| -> Vec<String> {
        (frames.iter())
            .map(|frame| match frame {
                Ok(frame) => format!("{frame:?}"),
                Err(FramingError::Message(failure)) => format!("{failure:?}"),
                Err(FramingError::Fatal(_)) => "fatal".to_owned(),
            })
            .collect()
    };
    assert_eq!(outline(&whole), outline(&octets));
}

fn read_stream<'a>(
    limit: usize,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> Vec<Result<Framed, FramingError>> {
    let mut framer = StreamFramer::new(limit);
    let mut frames = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            frames.push(frame);
        }
        assert!(framer.buffered() <= limit + chunk.len());
    }
    frames
}

/// Decode, encode, decode, encode is stable, and what a gate sees does not change on the way.
pub fn sdp(data: &[u8]) {
    let Ok(description) = SessionDescription::parse(data) else {
        return;
    };
    let printed = description.to_bytes();
    let again = SessionDescription::parse(&printed).expect("what was read once reads again");
    assert_eq!(again.to_bytes(), printed);
    assert_eq!(again.media(), description.media());
    if let Ok(flows) = flows(&description, &again) {
        assert_eq!(flows.len(), description.media().len());
    }
}
