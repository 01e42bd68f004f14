//! A credit-control session (RFC 8506 5.1): one call, one reservation at a time.

use serde::{Deserialize, Serialize};
use tollwire_cdr::EndCause;

use crate::tariff::Tariff;

/// What is known of a session; stored whole at each change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Session-Id.
    pub id: Box<str>,
    /// The account that pays.
    pub account: Box<str>,
    /// The tariff as it was when the session began.
    pub tariff: Tariff,
    /// Who asks: Origin-Host and Origin-Realm, for requests of ours.
    pub origin_host: Box<str>,
    /// See `origin_host`.
    pub origin_realm: Box<str>,
    /// Rating-Group of the request, to be echoed.
    pub rating_group: Option<u32>,
    /// Whether the client used Multiple-Services-Credit-Control.
    pub multiple_services: bool,
    /// Units that the client counts, if the session holds a sum of money rather than time.
    #[serde(default)]
    pub of_money: Option<u64>,
    /// Seconds used and reported.
    pub used_seconds: u64,
    /// Seconds granted beyond `used_seconds`.
    pub granted_seconds: u64,
    /// Micro-units debited so far.
    pub charged_micro: i64,
    /// Micro-units held for `granted_seconds`.
    pub held_micro: i64,
    /// When the session began, milliseconds since 1970.
    pub began_unix_ms: i64,
    /// When the client must have reported (Tcc), milliseconds since 1970.
    pub due_unix_ms: i64,
    /// The last answer, given again to a repeated request.
    pub last: Answered,
    /// What the record will say.
    pub facts: Facts,
    /// Set when the session is over, milliseconds since 1970.
    pub closed_unix_ms: Option<i64>,
    /// What was granted and not reported when supervision closed it; a late report may claim it.
    #[serde(default)]
    pub late: Option<Late>,
}

/// What a session had in hand when its client fell silent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Seconds granted and not reported.
    pub seconds: u64,
    /// Micro-units that were held for them.
    pub held_micro: i64,
}

impl Session {
    /// The ledger's key of what a request debits. Sessions are forgotten after a while and entries never: a client that
    /// uses a Session-Id again, against RFC 6733 8.8, begins another session and spoils nobody's.
    pub fn entry_key(&self, request_number: u32) -> String {
        format!("{}#{request_number} {}", self.id, self.began_unix_ms)
    }
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// CC-Request-Number.
    pub number: u32,
    /// CC-Request-Type.
    pub request_type: i32,
    /// What was answered.
    pub outcome: Outcome,
}

/// The content of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Result-Code of the command.
    pub result_code: u32,
    /// CC-Time granted.
    pub granted_seconds: Option<u32>,
    /// Money granted.
    #[serde(default)]
    pub granted_sum: Option<Sum>,
    /// The grant is the last: Final-Unit-Indication with TERMINATE.
    pub final_unit: bool,
    /// Validity-Time, seconds.
    pub validity_seconds: Option<u32>,
    /// Micro-units charged in the session so far, with the currency's ISO 4217 number.
    pub cost: Option<(i64, u32)>,
    /// Check-Balance-Result.
    #[serde(default)]
    pub enough_credit: Option<bool>,
    /// Credit-Control-Failure-Handling is CONTINUE.
    pub continue_without_us: bool,
    /// Rating-Group, if the answer is by service.
    pub rating_group: Option<u32>,
    /// Whether grant and result stand in Multiple-Services-Credit-Control.
    pub multiple_services: bool,
}

impl Outcome {
    /// A refusal of the whole command.
    pub fn refused(result_code: u32) -> Self {
        Self {
            result_code,
            granted_seconds: None,
            granted_sum: None,
            final_unit: false,
            validity_seconds: None,
            cost: None,
            enough_credit: None,
            continue_without_us: false,
            rating_group: None,
            multiple_services: false,
        }
    }
}

/// A sum of money that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Micro-units.
    pub amount_micro: i64,
    /// ISO 4217 number.
    pub currency: u32,
    /// CC-Service-Specific-Units that it is for.
    pub units: u64,
}

/// What the client said about the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// SIP Call-ID.
    pub call_id: String,
    /// Calling party.
    pub from: String,
    /// Called party.
    pub to: String,
    /// Calling party's media address.
    pub caller_address: String,
    /// Called party's media address.
    pub callee_address: String,
    /// When it was asked for.
    pub invite_unix_ms: Option<i64>,
    /// When it was answered.
    pub answer_unix_ms: Option<i64>,
    /// When it ended.
    pub end_unix_ms: Option<i64>,
    /// Media octets from the calling party.
    pub octets_from_caller: u64,
    /// Media octets to the calling party.
    pub octets_to_caller: u64,
    /// Why it ended.
    pub end_cause: Option<EndCause>,
}
