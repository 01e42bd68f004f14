//! A call with what the machine itself need not know.

use crate::calls::{Call, Side};
use crate::dialog::Dialog;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::rc::Rc;
use tollwire_sip::Message;
use tollwire_sip::transaction::{Flow, ServerTransactionId};

/// Who takes part: what the charge record wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parties {
    /// Call-ID.
    pub call_id: Box<str>,
    /// Who pays.
    pub identity: Box<str>,
    /// From URI.
    pub calling: Box<str>,
    /// Request-URI of the INVITE.
    pub called: Box<str>,
    /// Where the INVITE came from.
    pub caller_address: IpAddr,
    /// Where it was answered.
    pub callee_address: Option<IpAddr>,
    /// Milliseconds since 1970.
    pub invite_unix_ms: i64,
    /// Second and third part of the Diameter Session-Ids.
    pub session: (u32, u32),
}

/// A call under supervision.
#[derive(Debug)]
pub struct CallEntry {
    /// The machine.
    pub call: Call,
    /// Who takes part.
    pub parties: Rc<Parties>,
    /// The caller's tag.
    pub caller_tag: Box<str>,
    /// Where the caller's messages come from.
    pub caller_flow: Flow,
    /// Where the callee's messages come from, once there is one callee.
    pub callee_flow: Option<Flow>,
    /// The confirmed dialog.
    pub dialog: Option<Box<Dialog>>,
    /// The dialog of the 2xx looked at last, and where it came from: the call's, if the machine chooses it.
    pub candidate: Option<(Box<Dialog>, Option<Flow>)>,
    /// Highest CSeq of the caller's and of the callees' requests before the answer (PRACK, UPDATE), in any early dialog.
    pub early_sequences: (u32, u32),
    /// The INVITE's transaction, until the call is answered or over.
    pub invite: Option<ServerTransactionId>,
}

impl CallEntry {
    /// A request of `from` passes.
    pub fn note_request(&mut self, from: Side, request: &Message) {
        if let Some(dialog) = self.dialog.as_mut() {
            dialog.note_request(from, request);
        } else if let Ok(sequence) = request.cseq() {
            let highest = match from {
                Side::Caller => &mut self.early_sequences.0,
                Side::Callee => &mut self.early_sequences.1,
            };
            *highest = sequence.number.max(*highest);
        }
    }

    /// The requests of an early dialog count in the dialog that it becomes (RFC 3261 12.2.1.1): a BYE of
    /// ours with the CSeq of a PRACK that was before it would be refused with 500.
    pub fn count_early_requests(&self, dialog: &mut Dialog) {
        let (caller, callee) = self.early_sequences;
        dialog.caller.sequence = dialog.caller.sequence.max(caller);
        dialog.callee.sequence = dialog.callee.sequence.max(callee);
    }

    /// Where a party's messages come from.
    pub fn flow(&self, side: Side) -> Option<Flow> {
        match side {
            Side::Caller => Some(self.caller_flow),
            Side::Callee => self.callee_flow,
        }
    }
}
