//! What the operator sees.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollwire_diameter::accounting::AccountingRecordType;

use super::{Element, Session};

/// Gaps of one element that are shown.
const GAPS: usize = 1000;

/// A record, without its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordView {
    /// Its number in the storage.
    pub id: i64,
    /// Origin-Host of who made it, in lower case.
    pub element: String,
    /// Its realm.
    pub realm: String,
    /// Session-Id.
    pub session_id: String,
    /// `event`, `start`, `interim` or `stop`.
    pub record_type: String,
    /// Accounting-Record-Number.
    pub number: u32,
    /// Accounting-Sub-Session-Id.
    pub sub_session_id: Option<u64>,
    /// Its place in the element's spool, if it is one of Tollwire's.
    pub sequence_number: Option<u64>,
    /// Service-Context-Id.
    pub service_context: Option<String>,
    /// User-Name.
    pub user_name: Option<String>,
    /// Event-Timestamp, milliseconds since 1970.
    pub event_unix_ms: Option<i64>,
    /// When it came.
    pub received_unix_ms: i64,
    /// How many records had its name before it.
    pub variant: u32,
    /// Whether its sequence number was another record's before.
    pub reuses_number: bool,
}

/// A record and all that it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordDetail {
    /// What is kept beside the message.
    #[serde(flatten)]
    pub record: RecordView,
    /// The message as it came, in hexadecimal.
    pub message: String,
    /// Its AVPs by name.
    pub avps: Value,
    /// The record of Tollwire's that it carries.
    pub carried: Option<Value>,
}

/// An accounting session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Whose.
    pub element: String,
    /// Session-Id.
    pub session_id: String,
    /// `running` or `stopped`.
    pub state: String,
    /// Its records.
    pub records: u32,
    /// Record numbers that lack between the lowest and the highest.
    pub missing: u32,
    /// Whether no START_RECORD came.
    pub without_start: bool,
    /// When its first record came.
    pub first_unix_ms: i64,
    /// When its last one did.
    pub last_unix_ms: i64,
}

/// Sequence numbers that lack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first of them.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// Who sends records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementView {
    /// Origin-Host, in lower case.
    pub element: String,
    /// Origin-Realm.
    pub realm: String,
    /// Records kept.
    pub records: u64,
    /// When the last one came, milliseconds since 1970.
    pub last_unix_ms: i64,
    /// The highest sequence number; 0 if it gives none.
    pub sequence_number: u64,
    /// Sequence numbers that lack.
    pub missing: u64,
    /// Where they lack: the first thousand places.
    pub gaps: Vec<Gap>,
}

impl ElementView {
    pub(super) fn of(name: &str, element: &Element) -> Self {
        Self {
            element: name.into(),
            realm: element.realm.as_ref().into(),
            records: element.records,
            last_unix_ms: element.last_unix_ms,
            sequence_number: element.ranges.highest(),
            missing: element.ranges.missing(),
            gaps: (element.ranges.gaps().take(GAPS))
                .map(|(first, last)| Gap { first, last })
                .collect(),
        }
    }
}

impl SessionView {
    pub(super) fn of(element: String, session_id: String, session: &Session) -> Self {
        Self {
            element,
            session_id,
            state: if session.stopped {
                "stopped"
            } else {
                "running"
            }
            .into(),
            records: session.records,
            missing: session.missing(),
            without_start: !session.started,
            first_unix_ms: session.first_unix_ms,
            last_unix_ms: session.last_unix_ms,
        }
    }
}

/// The operator's word for a record type.
pub(super) fn record_type_name(number: i32) -> &'static str {
    match AccountingRecordType::from_number(number) {
        Some(AccountingRecordType::EventRecord) => "event",
        Some(AccountingRecordType::StartRecord) => "start",
        Some(AccountingRecordType::InterimRecord) => "interim",
        Some(AccountingRecordType::StopRecord) => "stop",
        None => "unknown",
    }
}
