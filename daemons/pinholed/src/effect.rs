//! What the core wants done, in order.

use tollwire_diameter::rx::{MediaComponentDescription, SpecificAction};

use crate::flow::Usage;
use crate::nftables::Job;

/// One thing for the driver to do.
#[derive(Debug)]
pub enum Effect {
    /// Change and read the table; [`crate::event::Event::Done`] follows.
    Table {
        /// Names the job.
        ticket: u64,
        /// The job.
        job: Job,
    },
    /// Answer an AAR or STR.
    Answer {
        /// The request.
        token: u64,
        /// The answer.
        answer: Answer,
    },
    /// Report to the client (RAR).
    Report {
        /// The session.
        session_id: String,
        /// The client's Origin-Host.
        origin_host: String,
        /// Its Origin-Realm.
        origin_realm: String,
        /// What happened.
        action: SpecificAction,
        /// When the last packet passed, milliseconds since 1970.
        last_packet_unix_ms: Option<i64>,
        /// What passed.
        report: Report,
    },
}

/// The content of an AAA or STA.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// DIAMETER_SUCCESS.
    Success {
        /// What passed so far.
        report: Report,
        /// When the last packet passed, milliseconds since 1970.
        last_packet_unix_ms: Option<i64>,
    },
    /// A refusal.
    Refused {
        /// Result-Code, or Experimental-Result-Code of 3GPP.
        code: Code,
        /// What is wrong, in words.
        message: String,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// DIAMETER_UNKNOWN_SESSION_ID (RFC 6733 7.1.5).
    UnknownSession,
    /// DIAMETER_UNABLE_TO_COMPLY: the kernel refused.
    UnableToComply,
    /// DIAMETER_TOO_BUSY: the table of sessions is full.
    TooBusy,
    /// INVALID_SERVICE_INFORMATION (TS 29.214 5.5).
    InvalidServiceInformation,
    /// FILTER_RESTRICTIONS (TS 29.214 5.5): a Flow-Description that is no exact pair of addresses and ports.
    FilterRestrictions,
    /// REQUESTED_SERVICE_NOT_AUTHORIZED (TS 29.214 5.5).
    NotAuthorized,
}

/// What passed in a session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// From the offerer.
    pub uplink: Usage,
    /// To the offerer.
    pub downlink: Usage,
    /// By flow.
    pub components: Vec<MediaComponentDescription>,
}
