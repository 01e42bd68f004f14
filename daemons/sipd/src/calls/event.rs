//! What a call hears.

use super::{CreditAnswer, Held, MediaAnswer, MediaUsage, Side};
use tollwire_sip::Method;
use tollwire_sip::sdp::SessionDescription;

/// Why no answer came from the charging system or the limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFailure {
    /// The request was never sent.
    Unreachable,
    /// It was sent, and may have been acted upon.
    Timeout,
}

/// One thing that happened to a call.
#[derive(Debug)]
pub enum CallEvent {
    /// The INVITE that makes the call was accepted for charging.
    Invited {
        /// Its CSeq number.
        sequence: u32,
        /// Its session description, if it carries the offer.
        offer: Option<Box<SessionDescription>>,
    },
    /// Answer to a CCR.
    Credit(CreditAnswer),
    /// No answer to a CCR.
    CreditFailed(LinkFailure),
    /// Answer to an AAR.
    Media(MediaAnswer),
    /// Answer to an STR.
    MediaClosed(MediaUsage),
    /// No answer to an AAR or STR.
    MediaFailed(LinkFailure),
    /// A provisional response to the initial INVITE, above 100, that the proxy would forward.
    Provisional {
        /// Its To tag.
        tag: Box<str>,
        /// Its session description.
        body: Option<Box<SessionDescription>>,
        /// RFC 3262: it is sent reliably.
        reliable: bool,
        /// The response.
        held: Held,
    },
    /// A 2xx to the initial INVITE.
    Answered {
        /// Its To tag.
        tag: Box<str>,
        /// Its session description.
        body: Option<Box<SessionDescription>>,
        /// Session interval it agrees to, in seconds (RFC 4028).
        session_expires: Option<u32>,
        /// The response.
        held: Held,
    },
    /// The best final response to the initial INVITE, not a 2xx.
    Failed {
        /// Its status.
        status: u16,
        /// The response.
        held: Held,
    },
    /// The caller's CANCEL.
    Cancelled,
    /// A request inside the dialog.
    Request {
        /// Who sent it.
        from: Side,
        /// The callee's tag: which dialog.
        tag: Box<str>,
        /// Its method.
        method: Method,
        /// CSeq number.
        sequence: u32,
        /// Its session description.
        body: Option<Box<SessionDescription>>,
        /// The request.
        held: Held,
    },
    /// A response inside the dialog.
    Response {
        /// Who sent it.
        from: Side,
        /// The callee's tag.
        tag: Box<str>,
        /// Method of the request.
        method: Method,
        /// CSeq number.
        sequence: u32,
        /// Its status, above 100.
        status: u16,
        /// Its session description.
        body: Option<Box<SessionDescription>>,
        /// Session interval it agrees to, in seconds.
        session_expires: Option<u32>,
        /// The response.
        held: Held,
    },
    /// The limiter hears no media any more (RAR, INDICATION_OF_LOSS_OF_BEARER).
    BearerLost {
        /// When the last packet passed, milliseconds since 1970.
        last_packet_unix_ms: Option<i64>,
    },
    /// The limiter's quota or timeout is spent (RAR, INDICATION_OF_OUT_OF_CREDIT).
    OutOfCredit {
        /// What passed so far.
        usage: MediaUsage,
    },
    /// The charging system asks to be asked again (Ro RAR).
    Reauthorise,
    /// The charging system (ASR) or the operator ends the call.
    OperatorEnd,
    /// The limiter ends the call (Rx ASR).
    LimiterEnd,
    /// The accounting record of this number is on disk.
    Accounted(u32),
    /// A deadline may have passed.
    Tick,
}
