use serde::{Deserialize, Serialize};

use crate::encoding::Record;
use crate::time::Timestamp;

/// What was carried, for whom, and what it cost.
///
/// Money is in micro-units (millionths) of `currency`. The order of the fields is that of the CSV columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeRecord {
    /// Without gaps within one element's files, from 1.
    pub sequence_number: u64,
    /// What makes the record unique: the Session-Id (RFC 6733 8.8) of the credit-control session.
    pub record_id: String,
    /// The kind of service: `sip-call`.
    pub service: String,
    /// SIP Call-ID; empty if the client did not say.
    pub call_id: String,
    /// Calling party's URI.
    pub from: String,
    /// Called party's URI.
    pub to: String,
    /// Where the calling party's media comes from: address and port; empty if unknown.
    pub caller_address: String,
    /// Where the called party's media comes from.
    pub callee_address: String,
    /// When the service was asked for.
    pub invite_time: Timestamp,
    /// When it was answered; absent if it never was.
    pub answer_time: Option<Timestamp>,
    /// When it ended.
    pub end_time: Timestamp,
    /// From answer to end, milliseconds; 0 without an answer.
    pub duration_ms: i64,
    /// Seconds that were charged, after the tariff's increments.
    pub charged_seconds: u64,
    /// Media octets from the calling party.
    pub octets_from_caller: u64,
    /// Media octets to the calling party.
    pub octets_to_caller: u64,
    /// The account that paid.
    pub account: String,
    /// How it pays.
    pub payment: Payment,
    /// The tariff's name; empty if none applied.
    pub tariff: String,
    /// ISO 4217 code.
    pub currency: String,
    /// What was charged, in micro-units.
    pub amount_micro: i64,
    /// Why it ended.
    pub end_cause: EndCause,
    /// Origin-Host of the client that reported it.
    pub origin_host: String,
}

impl Record for ChargeRecord {
    const CSV_HEADER: &'static str = "sequence_number,record_id,service,call_id,from,to,caller_address,callee_address,\
invite_time,answer_time,end_time,duration_ms,charged_seconds,octets_from_caller,octets_to_caller,account,payment,\
tariff,currency,amount_micro,end_cause,origin_host";

    fn sequence_number(&self) -> u64 {
        self.sequence_number
    }

    fn record_id(&self) -> &str {
        &self.record_id
    }

    fn texts(&mut self) -> Vec<&mut String> {
        vec![
            &mut self.record_id,
            &mut self.service,
            &mut self.call_id,
            &mut self.from,
            &mut self.to,
            &mut self.caller_address,
            &mut self.callee_address,
            &mut self.account,
            &mut self.tariff,
            &mut self.currency,
            &mut self.origin_host,
        ]
    }
}

/// How an account pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payment {
    /// From a balance, before the service.
    Prepaid,
    /// On an invoice, up to a credit limit.
    Postpaid,
}

/// Why a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndCause {
    /// The calling party hung up.
    CallerBye,
    /// The called party hung up.
    CalleeBye,
    /// The credit ran out.
    CreditExhausted,
    /// The media fell silent.
    LossOfBearer,
    /// The operator ended it.
    OperatorBlock,
    /// The calling party gave up before the answer.
    Cancelled,
    /// The called party or a server refused.
    Rejected,
    /// Nobody answered in time.
    NoAnswer,
    /// A session timer (RFC 4028) ran out.
    SessionExpired,
    /// The client no longer reported (Tcc), or could no longer ask.
    SupervisionExpired,
    /// A failure in the network.
    NetworkFailure,
    /// The client did not say.
    Unknown,
}

impl EndCause {
    /// Every cause with its name in records.
    pub const NAMES: [(Self, &'static str); 12] = [
        (Self::CallerBye, "caller-bye"),
        (Self::CalleeBye, "callee-bye"),
        (Self::CreditExhausted, "credit-exhausted"),
        (Self::LossOfBearer, "loss-of-bearer"),
        (Self::OperatorBlock, "operator-block"),
        (Self::Cancelled, "cancelled"),
        (Self::Rejected, "rejected"),
        (Self::NoAnswer, "no-answer"),
        (Self::SessionExpired, "session-expired"),
        (Self::SupervisionExpired, "supervision-expired"),
        (Self::NetworkFailure, "network-failure"),
        (Self::Unknown, "unknown"),
    ];

    /// The name in records.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(cause, _)| *cause == self)
            .map_or("unknown", |(_, name)| name)
    }

    /// The cause called `name`; [`EndCause::Unknown`] for any other text.
    pub fn from_name(name: &str) -> Self {
        Self::NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map_or(Self::Unknown, |(cause, _)| *cause)
    }
}
