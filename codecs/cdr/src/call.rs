//! What a proxy says of a call while it runs.

use serde::{Deserialize, Serialize};

use crate::encoding::Record;
use crate::time::Timestamp;

/// One moment of a call: a record of its accounting session (RFC 6733 9.8.1). No money: a charge record tells that.
///
/// The order of the fields is that of the CSV columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRecord {
    /// Without gaps within one element's files, from 1.
    pub sequence_number: u64,
    /// What makes the record unique: session and number.
    pub record_id: String,
    /// `sip-call`.
    pub service: String,
    /// The accounting session (RFC 6733 8.8).
    pub session_id: String,
    /// `start`, `interim`, `stop`; `event` for a call that never began.
    pub record_type: String,
    /// Its place in the session, from 0.
    pub number: u32,
    /// When what it says happened.
    pub event_time: Timestamp,
    /// SIP Call-ID.
    pub call_id: String,
    /// Calling party's URI.
    pub from: String,
    /// Called party's URI.
    pub to: String,
    /// Who pays.
    pub identity: String,
    /// Where the INVITE came from.
    pub caller_address: String,
    /// Where it was answered; empty if it was not.
    pub callee_address: String,
    /// When the call was asked for.
    pub invite_time: Timestamp,
    /// When it was answered; absent if it never was.
    pub answer_time: Option<Timestamp>,
    /// From answer to `event_time`, milliseconds; 0 without an answer.
    pub duration_ms: i64,
    /// Media octets from the calling party, as far as they are known.
    pub octets_from_caller: u64,
    /// Media octets to the calling party.
    pub octets_to_caller: u64,
    /// Why it ended, by the name of [`crate::EndCause`]; absent while it runs.
    pub end_cause: Option<String>,
    /// Who wrote the record.
    pub origin_host: String,
}

impl Record for CallRecord {
    const CSV_HEADER: &'static str = "sequence_number,record_id,service,session_id,record_type,number,event_time,call_id,\
from,to,identity,caller_address,callee_address,invite_time,answer_time,duration_ms,octets_from_caller,octets_to_caller,\
end_cause,origin_host";

    fn sequence_number(&self) -> u64 {
        self.sequence_number
    }

    fn record_id(&self) -> &str {
        &self.record_id
    }

    fn texts(&mut self) -> Vec<&mut String> {
        let always = [
            &mut self.record_id,
            &mut self.service,
            &mut self.session_id,
            &mut self.record_type,
            &mut self.call_id,
            &mut self.from,
            &mut self.to,
            &mut self.identity,
            &mut self.caller_address,
            &mut self.callee_address,
            &mut self.origin_host,
        ];
        always.into_iter().chain(self.end_cause.as_mut()).collect()
    }
}
