//! Requests the layer makes by itself, from the INVITE they belong to.

use crate::message::RequestBuilder;
use crate::{HeaderName, Message, Method};

/// The ACK for a final response other than 2xx (RFC 3261 17.1.1.3).
pub(super) fn acknowledgement(invite: &Message, response: &Message) -> Message {
    from_invite(invite, Method::Ack, response.header(HeaderName::To))
}

/// The CANCEL of an INVITE (RFC 3261 9.1).
pub(super) fn cancellation(invite: &Message) -> Message {
    from_invite(invite, Method::Cancel, invite.header(HeaderName::To))
}

/// The INVITE's Request-URI, topmost Via, Route, From, Call-ID and CSeq number.
fn from_invite(invite: &Message, method: Method, to: Option<&str>) -> Message {
    let sequence = invite.cseq().map_or(0, |cseq| cseq.number);
    let cseq = format!("{sequence} {}", method.as_str());
    let mut builder = RequestBuilder::new(method, invite.request_uri().unwrap_or_default());
    if let Some(via) = invite.headers(HeaderName::Via).next() {
        builder = builder.header(HeaderName::Via, via);
    }
    for route in invite.header_fields(HeaderName::Route) {
        builder = builder.header(HeaderName::Route, route);
    }
    for (name, value) in [
        (HeaderName::From, invite.header(HeaderName::From)),
        (HeaderName::To, to),
        (HeaderName::CallId, invite.header(HeaderName::CallId)),
        (HeaderName::CSeq, Some(&*cseq)),
        (HeaderName::MaxForwards, Some("70")),
    ] {
        builder = builder.header(name, value.unwrap_or_default());
    }
    builder.build()
}
