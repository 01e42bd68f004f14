//! Codes, types and flags of every AVP this crate knows.
//!
//! An AVP with the M bit that is in none of the tables is answered with 5001. One that is here
//! but not in a command's own list is kept in its `extra`, as the `* [ AVP ]` of each grammar allows.

mod base;
mod credit_control;
mod three_gpp;

pub use base::*;
pub use credit_control::*;
pub use three_gpp::*;

use crate::flags::AvpFlags;

/// 3GPP's enterprise number.
pub const VENDOR_3GPP: u32 = 10415;

/// Application id of the base protocol's own commands (RFC 6733 2.4).
pub const APPLICATION_COMMON_MESSAGES: u32 = 0;
/// Application id of Diameter base accounting (RFC 6733 2.4).
pub const APPLICATION_BASE_ACCOUNTING: u32 = 3;
/// Application id of Diameter credit control (RFC 8506).
pub const APPLICATION_CREDIT_CONTROL: u32 = 4;
/// Application id of 3GPP Rx (TS 29.214 5.1).
pub const APPLICATION_RX: u32 = 16_777_236;
/// Application id of a relay: it has every application (RFC 6733 2.4).
pub const APPLICATION_RELAY: u32 = 0xffff_ffff;

/// Command codes; request and answer share one.
pub mod command {
    /// Capabilities-Exchange, CER and CEA (RFC 6733 5.3).
    pub const CAPABILITIES_EXCHANGE: u32 = 257;
    /// Re-Auth, RAR and RAA (RFC 6733 8.3).
    pub const RE_AUTH: u32 = 258;
    /// AA, AAR and AAA (RFC 7155 3.1, TS 29.214 5.6.1).
    pub const AA: u32 = 265;
    /// Accounting, ACR and ACA (RFC 6733 9.7).
    pub const ACCOUNTING: u32 = 271;
    /// Credit-Control, CCR and CCA (RFC 8506 3).
    pub const CREDIT_CONTROL: u32 = 272;
    /// Abort-Session, ASR and ASA (RFC 6733 8.5).
    pub const ABORT_SESSION: u32 = 274;
    /// Session-Termination, STR and STA (RFC 6733 8.4).
    pub const SESSION_TERMINATION: u32 = 275;
    /// Device-Watchdog, DWR and DWA (RFC 6733 5.5).
    pub const DEVICE_WATCHDOG: u32 = 280;
    /// Disconnect-Peer, DPR and DPA (RFC 6733 5.4).
    pub const DISCONNECT_PEER: u32 = 282;
}

/// What the dictionary says of one AVP.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    /// AVP Code.
    pub code: u32,
    /// Vendor-ID; `None` for the IETF's own.
    pub vendor_id: Option<u32>,
    /// The name as its specification spells it.
    pub name: &'static str,
    /// The type of its data.
    pub data_type: DataType,
    /// Whether the M bit is set when it is sent.
    pub mandatory: bool,
}

impl Definition {
    /// The flags it is sent with.
    pub const fn flags(&self) -> AvpFlags {
        if self.mandatory {
            AvpFlags::MANDATORY
        } else {
            AvpFlags::NONE
        }
    }
}

/// The data formats of RFC 6733 4.2 and 4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// Octets of any length.
    OctetString,
    /// A signed 32-bit integer.
    Integer32,
    /// A signed 64-bit integer.
    Integer64,
    /// An unsigned 32-bit integer.
    Unsigned32,
    /// An unsigned 64-bit integer.
    Unsigned64,
    /// A sequence of AVPs.
    Grouped,
    /// An address family and an address.
    Address,
    /// Seconds since 1900.
    Time,
    /// UTF-8 text.
    Utf8String,
    /// A host's or realm's name.
    DiameterIdentity,
    /// An `aaa:` URI.
    DiameterUri,
    /// One of a list of signed 32-bit integers.
    Enumerated,
    /// A packet filter as text.
    IpFilterRule,
}

impl DataType {
    /// The least number of octets of data the type can have.
    pub const fn least_length(self) -> usize {
        match self {
            Self::Integer32 | Self::Unsigned32 | Self::Time | Self::Enumerated => 4,
            Self::Integer64 | Self::Unsigned64 => 8,
            Self::Address => 6,
            Self::OctetString
            | Self::Grouped
            | Self::Utf8String
            | Self::DiameterIdentity
            | Self::DiameterUri
            | Self::IpFilterRule => 0,
        }
    }
}

/// The definition of AVP `code` of `vendor_id`, if it is known here.
pub fn lookup(code: u32, vendor_id: Option<u32>) -> Option<&'static Definition> {
    let table = match vendor_id {
        None => {
            return find(BASE_TABLE, code).or_else(|| find(CREDIT_CONTROL_TABLE, code));
        }
        Some(VENDOR_3GPP) => THREE_GPP_TABLE,
        Some(_) => return None,
    };
    find(table, code)
}

/// Every definition.
pub fn all() -> impl Iterator<Item = &'static Definition> {
    BASE_TABLE
        .iter()
        .chain(CREDIT_CONTROL_TABLE)
        .chain(THREE_GPP_TABLE)
        .copied()
}

fn find(table: &[&'static Definition], code: u32) -> Option<&'static Definition> {
    let at = table
        .binary_search_by_key(&code, |definition| definition.code)
        .ok()?;
    table.get(at).copied()
}

/// Defines the AVPs of one vendor, in the order of their codes: `CONSTANT "Name" = code: Type, M;`
macro_rules! definitions {
    (
        table $table:ident, vendor $vendor:expr;
        $( $constant:ident $name:literal = $code:literal : $data_type:ident $(, $m:ident)? ; )*
    ) => {
        $(
            #[doc = concat!($name, " (AVP ", stringify!($code), ", ", stringify!($data_type), ").")]
            pub static $constant: $crate::dictionary::Definition = $crate::dictionary::Definition {
                code: $code,
                vendor_id: $vendor,
                name: $name,
                data_type: $crate::dictionary::DataType::$data_type,
                mandatory: $crate::dictionary::definitions!(@mandatory $($m)?),
            };
        )*

        pub(super) static $table: &[&$crate::dictionary::Definition] = &[ $( &$constant ),* ];
    };
    (@mandatory M) => { true };
    (@mandatory) => { false };
}
use definitions;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_by_code() {
        for table in [BASE_TABLE, CREDIT_CONTROL_TABLE, THREE_GPP_TABLE] {
            for pair in table.windows(2) {
                assert!(pair[0].code < pair[1].code, "{}", pair[1].name);
            }
        }
    }

    #[test]
    fn every_definition_is_found() {
        for definition in all() {
            assert_eq!(
                lookup(definition.code, definition.vendor_id),
                Some(definition)
            );
        }
        assert_eq!(lookup(263, Some(VENDOR_3GPP)), None);
        assert_eq!(lookup(1, Some(9)), None);
    }
}
