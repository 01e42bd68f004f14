//! What the core hears.

use crate::calls::{CallNumber, CreditAnswer, LinkFailure, MediaAnswer, MediaUsage};
use tollwire_sip::Message;
use tollwire_sip::message::ParseFailure;
use tollwire_sip::transaction::{Flow, ServerTransactionId};

/// One thing that happened outside the core.
#[derive(Debug)]
pub enum Event {
    /// A message arrived.
    Message {
        /// Where from.
        flow: Flow,
        /// The message.
        message: Message,
    },
    /// Something arrived that is no message.
    Malformed {
        /// Where from.
        flow: Flow,
        /// What is wrong with it.
        failure: ParseFailure,
    },
    /// Nothing can be sent there.
    FlowFailed(Flow),
    /// The registrar's answer to a REGISTER it took earlier.
    Respond {
        /// The REGISTER's transaction.
        transaction: ServerTransactionId,
        /// The answer.
        response: Message,
    },
    /// Answer to a CCR.
    Credit {
        /// Whose.
        call: CallNumber,
        /// What it says.
        answer: CreditAnswer,
    },
    /// No answer to a CCR.
    CreditFailed {
        /// Whose.
        call: CallNumber,
        /// Why.
        failure: LinkFailure,
    },
    /// Answer to an AAR.
    Media {
        /// Whose.
        call: CallNumber,
        /// What it says.
        answer: MediaAnswer,
    },
    /// Answer to an STR.
    MediaClosed {
        /// Whose.
        call: CallNumber,
        /// What passed in all.
        usage: MediaUsage,
    },
    /// No answer to an AAR or STR.
    MediaFailed {
        /// Whose.
        call: CallNumber,
        /// Why.
        failure: LinkFailure,
    },
    /// The limiter hears no media any more.
    BearerLost {
        /// Whose.
        call: CallNumber,
        /// When the last packet passed, milliseconds since 1970.
        last_packet_unix_ms: Option<i64>,
    },
    /// The limiter's timeout or quota is spent.
    OutOfCredit {
        /// Whose.
        call: CallNumber,
        /// What passed so far.
        usage: MediaUsage,
    },
    /// The charging system wants a CCR-Update now.
    Reauthorise(CallNumber),
    /// The charging system or the operator ends a call.
    OperatorEnd(CallNumber),
    /// The limiter ends a call.
    LimiterEnd(CallNumber),
    /// An accounting record is on disk.
    Accounted {
        /// Whose.
        call: CallNumber,
        /// Which of its records.
        number: u32,
    },
    /// A deadline may have passed.
    Tick,
}
