//! Whether octets answer a request.

use tollwire_wire::Reader;

use crate::error::ErrorCode;
use crate::header::{Function, WireHeader};
use crate::message::{Body, Message, decode};

/// The XID and the function of what may be a message, without a look at its body.
///
/// Says to whom of several a reply goes; nothing where not even the header can be read.
pub fn peek(octets: &[u8]) -> Option<(u16, Function)> {
    let wire = WireHeader::read(&mut Reader::new(octets)).ok()?;
    Some((wire.header.xid, Function::from_id(wire.function)?))
}

/// The message that `octets` are, if it answers the request `xid` as `function`.
///
/// What cannot be read is no answer, nor is what holds a mandatory extension that is unknown (RFC 2608 9.1).
pub(super) fn accept(octets: &[u8], xid: u16, function: Function) -> Option<Message<'_>> {
    let message = decode(octets).ok()?;
    // Agents that know no answer of that kind refuse with the commonest (RFC 2608 8.5: "the same errors a SrvRply
    // would").
    let refuses = matches!(&message.body, Body::SrvRply(reply) if reply.error != ErrorCode::OK);
    let answers = message.header.xid == xid && (refuses || message.body.function() == function);
    let foreign = message
        .extensions
        .iter()
        .any(|extension| extension.is_mandatory_and_unknown());
    (answers && !foreign).then_some(message)
}

/// The error that a reply says; a SAAdvert has no field for one.
pub fn error_of(body: &Body<'_>) -> ErrorCode {
    match body {
        Body::SrvRply(reply) => reply.error,
        Body::SrvAck(reply) => reply.error,
        Body::AttrRply(reply) => reply.error,
        Body::SrvTypeRply(reply) => reply.error,
        Body::DaAdvert(advert) => advert.error,
        _ => ErrorCode::OK,
    }
}

/// Whether a reply says something: neither an error nor an empty list.
pub(super) fn has_content(body: &Body<'_>) -> bool {
    error_of(body) == ErrorCode::OK
        && match body {
            Body::SrvRply(reply) => !reply.urls.is_empty(),
            Body::AttrRply(reply) => !reply.attributes.is_empty(),
            Body::SrvTypeRply(reply) => !reply.service_types.is_empty(),
            _ => true,
        }
}
