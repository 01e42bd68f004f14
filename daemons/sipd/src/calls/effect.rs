//! What a call wants done, in order.

use super::{CreditOrder, Held, MediaOrder, Report, Side};

/// One thing the proxy, the Diameter links or the journal do for a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEffect {
    /// Send a CCR.
    Credit(CreditOrder),
    /// Send an AAR or STR.
    Media(MediaOrder),
    /// Let the initial INVITE go to its targets.
    ForwardInvite,
    /// Answer the initial INVITE ourselves.
    Reject {
        /// Status code.
        status: u16,
        /// Reason phrase.
        reason: &'static str,
        /// Retry-After in seconds.
        retry_after: Option<u32>,
    },
    /// CANCEL every branch of the initial INVITE that has no final response.
    CancelBranches,
    /// Send a held message on.
    Release(Held),
    /// Forget a held message: a retransmission of one that is held already.
    Discard(Held),
    /// Answer a held request ourselves.
    Answer {
        /// The request.
        held: Held,
        /// Status code.
        status: u16,
        /// Reason phrase.
        reason: &'static str,
    },
    /// The held 2xx to the initial INVITE is unwanted: ACK it and end its dialog with a BYE.
    Dismiss(Held),
    /// As [`CallEffect::Dismiss`], for a retransmission: ACK again only.
    AcknowledgeAgain(Held),
    /// The dialog with this callee tag is the call's; forget the others.
    Chosen {
        /// Its To tag.
        tag: Box<str>,
    },
    /// Send a BYE to this party in the other's name.
    Bye(Side),
    /// Put an accounting record on disk; [`super::CallEvent::Accounted`] follows.
    Account(Report),
    /// Keep this for a restart.
    Journal,
    /// The call is over and owes nothing: forget it.
    Closed,
}
