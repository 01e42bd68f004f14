//! The transaction-stateful, record-routing, loose-routing proxy (RFC 3261 16).

mod address;
mod branch;
mod cancel;
mod context;
mod forward;
mod in_dialog;
mod record_route;
mod request;
mod response;
pub(crate) mod session_timer;
mod target;

pub use context::{Branch, Context, Supervision};
pub(crate) use request::context;

use crate::calls::CallNumber;
use tollwire_sip::transaction::ServerTransactionId;

/// What a client transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientUse {
    /// A copy of a request.
    Branch {
        /// The request's transaction.
        server: ServerTransactionId,
        /// The call the request makes, if it is its INVITE.
        call: Option<CallNumber>,
        /// Its 2xx was not wanted: ACK and BYE were sent.
        dismissed: bool,
    },
    /// A BYE of ours.
    Own,
}
