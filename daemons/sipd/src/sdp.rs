//! Session descriptions in messages.

use tollwire_sip::Message;
use tollwire_sip::sdp::SessionDescription;

/// The message's session description, if it has one that can be read. One
/// that cannot opens nothing: the limiter lets pass only what was understood.
pub fn description(message: &Message) -> Option<Box<SessionDescription>> {
    let body = message.session_description()?;
    SessionDescription::parse(body).ok().map(Box::new)
}
