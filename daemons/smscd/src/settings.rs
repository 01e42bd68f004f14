//! What the operator decides, as the core needs it. The file's own shape is the configuration's concern.

use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tollwire_smpp::tariff::Format;

use crate::message::Charge;
use crate::tariff::TariffTable;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `system_id` of the SMSC, in bind answers and in binds to upstreams without their own.
    pub system_id: Arc<str>,
    /// Who may bind.
    pub esmes: Vec<EsmeSettings>,
    /// Where messages go; the longest destination prefix wins, and among equals the one that names the source ESME,
    /// then the first.
    pub routes: Vec<RouteSettings>,
    /// SMSCs that we bind to.
    pub upstreams: Vec<UpstreamSettings>,
    /// What the tariff classes cost.
    pub tariffs: TariffTable,
    /// When a delivery that failed is tried again.
    pub retry: RetrySettings,
    /// What may be there at once.
    pub limits: Limits,
    /// Timers of every session.
    pub timers: Timers,
}

/// Which binds an ESME may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BindModes {
    /// `bind_transmitter`
    pub transmitter: bool,
    /// `bind_receiver`
    pub receiver: bool,
    /// `bind_transceiver`
    pub transceiver: bool,
}

impl Default for BindModes {
    fn default() -> Self {
        Self {
            transmitter: true,
            receiver: true,
            transceiver: true,
        }
    }
}

/// Who may be named to pay if nothing else is said: the two that take part in the message.
pub fn default_payers() -> Vec<Box<str>> {
    vec!["receiver".into(), "sender".into()]
}

/// What becomes of a message whose tariff TLV cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBadTariff {
    /// It is refused with ESME_RINVOPTPARAMVAL.
    #[default]
    Refuse,
    /// It is carried without a price, and counted.
    Carry,
}

/// An application that may bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EsmeSettings {
    /// `system_id`, SMPP 3.4 section 5.2.1.
    pub system_id: Arc<str>,
    /// Hash of its password, in the text form that the driver checks.
    pub password_hash: Arc<str>,
    /// Where it may connect from; empty is anywhere.
    pub allowed_networks: Vec<IpNet>,
    /// Source addresses it may use: digits that a source begins with, whole ones with a final `$`; empty is any.
    pub allowed_sources: Vec<Box<str>>,
    /// Source of messages that come without one (SMPP 3.4 section 5.2.7: a NULL source is defaulted).
    pub default_source: Option<Box<str>>,
    /// The binds it may make.
    pub modes: BindModes,
    /// Binds at once.
    pub max_binds: u32,
    /// Requests of one bind that may wait for an answer, each way.
    pub window: u32,
    /// Messages a second over all its binds; 0 is no limit.
    pub throughput: u32,
    /// Messages of it that may be kept at once.
    pub max_messages: u32,
    /// How its tariff TLV is written.
    pub tariff_format: Format,
    /// Tag of its tariff TLV; without one it sends no tariffs.
    pub tariff_tag: Option<u16>,
    /// Who its tariffs may name to pay: `receiver`, `sender`, accounts by name, `*` for every account.
    pub allowed_payers: Vec<Box<str>>,
    /// What becomes of a tariff that cannot be read.
    pub on_bad_tariff: OnBadTariff,
    /// Account that pays when the sender does; the source address if absent.
    pub account: Option<Box<str>>,
}

impl Default for EsmeSettings {
    fn default() -> Self {
        Self {
            system_id: "".into(),
            password_hash: "".into(),
            allowed_networks: Vec::new(),
            allowed_sources: Vec::new(),
            default_source: None,
            modes: BindModes::default(),
            max_binds: 10,
            window: 100,
            throughput: 0,
            max_messages: 200_000,
            tariff_format: Format::default(),
            tariff_tag: None,
            allowed_payers: default_payers(),
            on_bad_tariff: OnBadTariff::default(),
            account: None,
        }
    }
}

/// Whether a route asks for the money before it delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charging {
    /// Credit control: reserve, then debit or release.
    Online,
    /// The record alone.
    #[default]
    Record,
}

/// Who writes the charge record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordRole {
    /// We do.
    #[default]
    Here,
    /// The next hop does, and charges too; it gets the tariff TLV.
    NextHop,
}

/// What the next hop sees of the tariff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TariffOnNextHop {
    /// The TLV as it came, or none.
    #[default]
    Unchanged,
    /// Our own TLV with the price that a class or the route's default gave.
    Resolved,
    /// No tariff TLV.
    Removed,
}

/// What makes a message that an upstream took final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinalOn {
    /// The upstream's delivery receipt.
    #[default]
    Receipt,
    /// Its `submit_sm_resp`.
    Response,
}

/// Who takes the messages of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The binds of these ESMEs that may receive, in turn.
    Receivers(Vec<Arc<str>>),
    /// These upstreams, in turn.
    Upstreams(Vec<Arc<str>>),
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// Its name, for the operator and in records.
    pub name: Arc<str>,
    /// Digits that a destination begins with; empty is every destination.
    pub destination_prefix: Box<str>,
    /// ESMEs (or upstreams) whose messages it is for; empty is all.
    pub source_esmes: Vec<Arc<str>>,
    /// Who takes them.
    pub target: Target,
    /// The charge of a message without a tariff; nothing if absent.
    pub default_charge: Option<Charge>,
    /// Whether the money is asked for.
    pub charging: Charging,
    /// Who writes the record.
    pub record: RecordRole,
    /// What the next hop sees of the tariff.
    pub tariff_on_next_hop: TariffOnNextHop,
    /// What makes a message final, if the target is an upstream.
    pub final_on: FinalOn,
    /// Messages to one destination that may be under way at once; 1 keeps their order whatever fails.
    pub destination_window: u32,
    /// Whether messages go as `data_sm` (else `deliver_sm` to receivers and `submit_sm` to upstreams).
    pub data_sm: bool,
}

/// An SMSC that we bind to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name, for routes, the operator and records.
    pub name: Arc<str>,
    /// `system_id` to bind with.
    pub system_id: Box<str>,
    /// Password to bind with.
    pub password: Box<str>,
    /// `system_type` to bind with.
    pub system_type: Box<str>,
    /// Binds held at once; messages are shared between them.
    pub binds: u32,
    /// Whether binds are `bind_transmitter` (no receipts come back) rather than `bind_transceiver`.
    pub transmitter_only: bool,
    /// Requests of one bind that may wait for an answer.
    pub window: u32,
    /// Messages a second over all binds; 0 is no limit.
    pub throughput: u32,
    /// Milliseconds before the first new try to connect; doubles up to `reconnect_most_ms`.
    pub reconnect_first_ms: u32,
    /// The longest pause between tries.
    pub reconnect_most_ms: u32,
    /// How its tariff TLV is written in messages that it sends us.
    pub tariff_format: Format,
    /// Tag of that TLV.
    pub tariff_tag: Option<u16>,
    /// Who its tariffs may name to pay: `receiver`, `sender`, accounts by name, `*` for every account.
    pub allowed_payers: Vec<Box<str>>,
    /// What becomes of a tariff that cannot be read.
    pub on_bad_tariff: OnBadTariff,
    /// Whether its ids are hexadecimal in `submit_sm_resp` and decimal in receipts, a fault seen in the field.
    pub hexadecimal_ids: bool,
}

/// What a failure means for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The receiver is not there: no bind, or its side is absent.
    Absent,
    /// The receiver has too much: ESME_RTHROTTLED, ESME_RMSGQFUL.
    Busy,
    /// A failure that may pass: ESME_RSYSERR, an answer that did not come.
    Temporary,
    /// Credit control cannot be asked.
    Charging,
    /// It will not work later either.
    Permanent,
}

/// The pauses of one class.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Milliseconds before the second try, the third, and so on; the last goes on for ever.
    pub pauses_ms: Vec<u32>,
    /// Tries after which the message is undeliverable; 0 is until its validity ends.
    pub max_attempts: u32,
}

/// When a delivery that failed is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// [`ErrorClass::Absent`]
    pub absent: Schedule,
    /// [`ErrorClass::Busy`]
    pub busy: Schedule,
    /// [`ErrorClass::Temporary`]
    pub temporary: Schedule,
    /// [`ErrorClass::Charging`]
    pub charging: Schedule,
    /// Statuses whose class is not the usual one.
    pub classes: Vec<(u32, ErrorClass)>,
}

impl Default for RetrySettings {
    fn default() -> Self {
        let schedule = |pauses: &[u32]| Schedule {
            pauses_ms: pauses.iter().map(|seconds| seconds * 1000).collect(),
            max_attempts: 0,
        };
        Self {
            absent: schedule(&[60, 300, 900, 3600]),
            busy: schedule(&[1, 2, 5, 10, 30]),
            temporary: schedule(&[30, 60, 300, 900, 3600]),
            charging: schedule(&[5, 15, 60]),
            classes: Vec::new(),
        }
    }
}

/// What may be there at once. Each refuses or waits; none drops.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections from ESMEs.
    pub max_links: u32,
    /// Connections from one address.
    pub max_links_per_address: u32,
    /// Messages kept, receipts included.
    pub max_messages: u32,
    /// Octets of payloads and parameters kept.
    pub max_octets: u64,
    /// Messages kept for one destination.
    pub max_per_destination: u32,
    /// Entries on their way to the disk.
    pub max_unstored: u32,
    /// Octets that may wait to be written to one link before nothing more is delivered to it.
    pub max_backlog_octets: u32,
    /// Final messages that `query_sm` and the operator can still see.
    pub remembered: u32,
    /// Credit-control requests under way at once.
    pub max_credit_requests: u32,
    /// Destinations of one `submit_multi`, at most 254 (SMPP 3.4 section 5.2.24).
    pub max_destinations: u8,
    /// The largest PDU, octets.
    pub max_pdu: u32,
    /// Wrong passwords from one address within `password_period_ms` before it is refused without a check.
    pub password_tries: u32,
    /// See `password_tries`.
    pub password_period_ms: u32,
    /// Pause before a wrong password is answered.
    pub password_delay_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_links: 4096,
            max_links_per_address: 1024,
            max_messages: 1_000_000,
            max_octets: 1_073_741_824,
            max_per_destination: 10_000,
            max_unstored: 100_000,
            max_backlog_octets: 1_048_576,
            remembered: 100_000,
            max_credit_requests: 1000,
            max_destinations: 254,
            max_pdu: 66_560,
            password_tries: 5,
            password_period_ms: 60_000,
            password_delay_ms: 1000,
        }
    }
}

/// Times, milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// From the connection to the bind request (SMPP 3.4 section 2.9, session_init_timer).
    pub session_init_ms: u32,
    /// Silence before an `enquire_link`.
    pub enquire_link_ms: u32,
    /// Without a message before the session is closed; 0 is never (inactivity_timer).
    pub inactivity_ms: u32,
    /// How long an answer is awaited (response_timer).
    pub response_ms: u32,
    /// Validity of a message that names none.
    pub default_validity_ms: i64,
    /// The longest validity; a longer one is cut.
    pub max_validity_ms: i64,
    /// How long a receipt is kept for an ESME that is not bound.
    pub receipt_validity_ms: i64,
    /// How long the receipt of an upstream is awaited beyond the validity before the message's state is unknown.
    pub upstream_receipt_ms: i64,
    /// How long money is held while a message waits for its next try; a longer wait gives it back.
    pub credit_hold_ms: i64,
    /// How long a final message is remembered.
    pub remember_ms: i64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            session_init_ms: 5000,
            enquire_link_ms: 30_000,
            inactivity_ms: 0,
            response_ms: 10_000,
            default_validity_ms: 86_400_000,
            max_validity_ms: 604_800_000,
            receipt_validity_ms: 259_200_000,
            upstream_receipt_ms: 3_600_000,
            credit_hold_ms: 600_000,
            remember_ms: 86_400_000,
        }
    }
}
