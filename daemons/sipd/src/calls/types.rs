//! The small values the supervision machine is made of.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// Names a call inside this daemon and, as 16 hexadecimal digits, in the
/// Record-Route entry that brings later requests of its dialog back to it.
/// Random, so it also proves that a request belongs to a dialog made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallNumber(pub u64);

impl CallNumber {
    /// Reads the 16 hexadecimal digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 16 || text.starts_with('+') {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for CallNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// One of the two parties of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Who sent the initial INVITE.
    Caller,
    /// Who answered it.
    Callee,
}

impl Side {
    /// The party across.
    pub fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// A message kept back until the machine says what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held(pub u64);

/// What a media stream carries, for the limiter's Media-Type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaKind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
    /// `m=application`
    Application,
    /// `m=text`
    Text,
    /// `m=message`
    Message,
    /// Anything else.
    Other,
}

/// Where one party receives a media stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// RTP, or the stream's only flow.
    pub rtp: SocketAddr,
    /// RTCP, unless it shares the RTP port (RFC 5761).
    pub rtcp: Option<SocketAddr>,
}

/// Which directions of a stream may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Both (`sendrecv`).
    Both,
    /// From the caller to the callee alone.
    FromCaller,
    /// From the callee to the caller alone.
    FromCallee,
    /// None: on hold, the pinhole is kept shut (`inactive`).
    Shut,
    /// The stream is gone (port 0).
    Removed,
}

/// One media stream as the limiter needs it, seen from the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Position of the `m=` line, from 1.
    pub number: u32,
    /// What it carries.
    pub kind: MediaKind,
    /// Where the caller receives.
    pub caller: Option<Endpoint>,
    /// Where the callee receives.
    pub callee: Option<Endpoint>,
    /// Which directions pass.
    pub gate: Gate,
    /// Kilobits per second the description asks for (`b=AS`).
    pub bandwidth_kbit: Option<u32>,
}

/// Why a call ended; the names are those of the charge record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndCause {
    /// The caller hung up.
    CallerBye,
    /// The callee hung up.
    CalleeBye,
    /// The last granted unit was used.
    CreditExhausted,
    /// The limiter heard no media any more.
    LossOfBearer,
    /// The charging system or the operator ended it.
    OperatorBlock,
    /// The caller gave up before the answer.
    Cancelled,
    /// The callee refused.
    Rejected,
    /// Nobody answered in time.
    NoAnswer,
    /// RFC 4028: no refresh came.
    SessionExpired,
    /// The grant ran out and the charging system could not be asked.
    SupervisionExpired,
    /// A limiter, a transport or a dialog failed.
    NetworkFailure,
}

impl EndCause {
    /// The name used in records and by the admin interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallerBye => "caller-bye",
            Self::CalleeBye => "callee-bye",
            Self::CreditExhausted => "credit-exhausted",
            Self::LossOfBearer => "loss-of-bearer",
            Self::OperatorBlock => "operator-block",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::NoAnswer => "no-answer",
            Self::SessionExpired => "session-expired",
            Self::SupervisionExpired => "supervision-expired",
            Self::NetworkFailure => "network-failure",
        }
    }
}
