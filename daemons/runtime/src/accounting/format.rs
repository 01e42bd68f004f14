//! How a record of ours looks in an Accounting-Request.
//!
//! It travels whole, as JSON in a Service-Specific-Info AVP (TS 32.299 7.2). Its `sequence_number`, which an element's
//! spool gives without gaps, lets the storage find what is missing.

use serde::Deserialize;
use tollwire_diameter::accounting::{AccountingRequest, ServiceSpecificInfo};

/// Service-Context-Id of charge records: what gives the Service-Specific-Types below their meaning.
pub const SERVICE_CONTEXT: &str = "charge-records@tollwire";

/// What the JSON of a Service-Specific-Info is: its Service-Specific-Type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A `ChargeRecord` of chargingd; the only record of its Session-Id, which is made of its sequence number.
    Charge,
    /// A `MessageRecord` of smscd; as [`Kind::Charge`].
    Message,
    /// A `CallEvent` of sipd; one of several records of a call's session.
    Call,
}

impl Kind {
    /// Service-Specific-Type.
    pub const fn number(self) -> u32 {
        match self {
            Self::Charge => 1,
            Self::Message => 2,
            Self::Call => 3,
        }
    }

    /// The kind of `number`.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Charge),
            2 => Some(Self::Message),
            3 => Some(Self::Call),
            _ => None,
        }
    }

    /// Whether the record is named by its sequence number alone.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Charge | Self::Message)
    }
}

/// A record of ours that an Accounting-Request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its place in the element's spool, from 1.
    pub sequence_number: u64,
    /// The record.
    pub json: &'a str,
}

/// The record that `infos` carry under [`SERVICE_CONTEXT`]; `None` if there is none of ours.
pub fn carried(infos: &[ServiceSpecificInfo]) -> Option<Carried<'_>> {
    #[derive(Deserialize)]
    struct Numbered {
        sequence_number: u64,
    }
    infos.iter().find_map(|info| {
        let kind = Kind::from_number(info.service_specific_type?)?;
        let json = info.service_specific_data.as_deref()?;
        let Numbered { sequence_number } = serde_json::from_str(json).ok()?;
        Some(Carried {
            kind,
            sequence_number,
            json,
        })
    })
}

/// The Service-Specific-Info that carries `json`.
pub fn carrier(kind: Kind, json: String) -> ServiceSpecificInfo {
    ServiceSpecificInfo {
        service_specific_data: Some(json),
        service_specific_type: Some(kind.number()),
        extra: Vec::new(),
    }
}

/// Session-Id of a record that is named by its number: RFC 6733 8.8's form, with the number in the place of the
/// two words that make it unique.
pub fn session_id(origin_host: &str, sequence_number: u64) -> String {
    format!(
        "{origin_host};{};{};record",
        sequence_number >> 32,
        sequence_number & 0xffff_ffff
    )
}

/// Whether `request` says that its Service-Specific-Infos are of ours.
pub fn is_ours(request: &AccountingRequest) -> bool {
    request.service_context_id.as_deref() == Some(SERVICE_CONTEXT)
}
