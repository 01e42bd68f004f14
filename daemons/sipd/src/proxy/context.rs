//! Response contexts (RFC 3261 16): one per forwarded request.

use crate::calls::{CallNumber, Side};
use crate::services::Target;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::time::Instant;
use tollwire_sip::transaction::{ClientTransactionId, Flow};
use tollwire_sip::{HeaderName, Message};

/// How a request belongs to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervision {
    /// It does not.
    None,
    /// It is the INVITE that makes the call.
    Setup(CallNumber),
    /// It is a request of this party inside the call.
    Dialog(CallNumber, Side),
}

/// One copy of the request.
#[derive(Debug)]
pub struct Branch {
    /// Its client transaction.
    pub client: ClientTransactionId,
    /// Where it went.
    pub flow: Flow,
    /// Its final response, unless that was a 2xx.
    pub response: Option<Message>,
    /// Whether a final response came.
    pub done: bool,
    /// A provisional response came.
    pub proceeding: bool,
    /// RFC 3261 16.6 step 11.
    pub timer_c: Option<Instant>,
}

/// A request and its copies.
#[derive(Debug)]
pub struct Context {
    /// The request after route preprocessing.
    pub request: Message,
    /// Where it came from.
    pub flow: Flow,
    /// Copies under way or answered.
    pub branches: SmallVec<[Branch; 1]>,
    /// Groups of targets not tried yet.
    pub remaining: VecDeque<Vec<Target>>,
    /// Whose call it belongs to.
    pub supervision: Supervision,
    /// RFC 5393 5: how many copies may exist at once.
    pub breadth: u32,
    /// A final response was sent on, or is with the supervision.
    pub answered: bool,
    /// A 2xx waits for the supervision: nothing else may answer, and the
    /// request is still needed should the 2xx never be sent on.
    pub holding: bool,
    /// No new copies: CANCEL or a 6xx came.
    pub cancelled: bool,
}

impl Context {
    /// Whether every copy has its final response.
    pub fn is_done(&self) -> bool {
        self.branches.iter().all(|branch| branch.done)
    }

    /// The best of the final responses (RFC 3261 16.7 step 6), with what
    /// step 7 adds. `None`: no copy was answered.
    pub fn best_response(&self) -> Option<Message> {
        let best = self
            .branches
            .iter()
            .filter_map(|branch| branch.response.as_ref())
            .min_by_key(|response| rank(response.status().unwrap_or(500)))?;
        let mut best = best.clone();
        if matches!(best.status(), Some(401 | 407)) {
            // 16.7 step 7: all challenges, whoever they came from.
            for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
                let others: Vec<String> = self
                    .branches
                    .iter()
                    .filter_map(|branch| branch.response.as_ref())
                    .filter(|other| **other != best && matches!(other.status(), Some(401 | 407)))
                    .flat_map(|other| other.header_fields(name).map(str::to_owned))
                    .collect();
                for value in others {
                    best.append(name, &value);
                }
            }
        }
        Some(best)
    }
}

/// RFC 3261 16.7 step 6: 6xx before all; then the lowest class; within 4xx
/// those that help the caller to try again.
fn rank(status: u16) -> (u16, u16) {
    match status {
        600.. => (0, status),
        401 | 407 | 415 | 420 | 484 => (status / 100, 0),
        // 16.7 step 6: 503 says nothing of other ways to the user.
        503 => (5, 999),
        408 => (4, 998),
        _ => (status / 100, status % 100 + 1),
    }
}
