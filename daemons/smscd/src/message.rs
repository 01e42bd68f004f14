//! A short message, as it is kept from `submit_sm` to its charge record.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
pub use tollwire_smpp::MessageState;
pub use tollwire_smpp::tariff::Payer;

/// SMSC-assigned name of a message: decimal, the same text in `submit_sm_resp`, in the receipt's `id:`, in
/// `receipted_message_id`, in records and for the operator. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub NonZeroU64);

impl MessageId {
    /// The last one there is.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// The id with this number; `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl FromStr for MessageId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// An SME address: `source_addr_ton`, `source_addr_npi`, `source_addr` and their `dest_` twins (SMPP 3.4 section 5.2.5 to
/// 5.2.9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Type of number, SMPP 3.4 table 5-3.
    pub ton: u8,
    /// Numbering plan indicator, SMPP 3.4 table 5-4.
    pub npi: u8,
    /// The address, without the final NUL.
    pub digits: Box<str>,
}

/// An optional parameter, octet for octet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlv {
    /// Tag, SMPP 3.4 table 5-7.
    pub tag: u16,
    /// Value without tag and length.
    pub value: Bytes,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A short message.
    Short,
    /// A delivery receipt (final or intermediate) of another message.
    Receipt {
        /// The message that it reports.
        of: MessageId,
    },
}

/// Which message of one `submit_multi` this is. They share one `message_id` towards the ESME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The first destination's message; its id is the one that the ESME knows.
    pub first: MessageId,
    /// Messages of the batch; their ids follow one another.
    pub count: u8,
}

/// What a message costs, decided when it was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The price, micro-units; 0 or more.
    pub amount_micro: i64,
    /// ISO 4217 code.
    pub currency: [u8; 3],
    /// The tariff class that gave the price.
    pub class: Option<u16>,
    /// Who pays.
    pub payer: Payer,
}

/// A message. Nothing in it changes after it was accepted, except through `replace_sm`, which makes another one with
/// the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// The `submit_multi` it came with.
    pub batch: Option<Batch>,
    /// `system_id` of the ESME that submitted it, or the name of the upstream that it came from.
    pub submitter: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// `service_type`.
    pub service_type: Box<str>,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// `esm_class`, SMPP 3.4 section 5.2.12.
    pub esm_class: u8,
    /// `protocol_id`.
    pub protocol_id: u8,
    /// `priority_flag`, 0 to 3 (SMPP 3.4 section 5.2.14).
    pub priority_flag: u8,
    /// `registered_delivery`, SMPP 3.4 section 5.2.17.
    pub registered_delivery: u8,
    /// `data_coding`, SMPP 3.4 section 5.2.19.
    pub data_coding: u8,
    /// `sm_default_msg_id`.
    pub sm_default_msg_id: u8,
    /// `short_message` or `message_payload`, never changed.
    pub payload: Bytes,
    /// Whether the payload came as `message_payload`.
    pub payload_as_tlv: bool,
    /// Whether it came as `data_sm`, which has fewer parameters.
    pub data_sm: bool,
    /// Optional parameters that are carried on, in order.
    pub tlvs: Vec<Tlv>,
    /// The tariff TLV as it came.
    pub advice: Option<Tlv>,
    /// When it was accepted.
    pub accepted_unix_ms: i64,
    /// When the first delivery may be tried; at once if absent.
    pub schedule_unix_ms: Option<i64>,
    /// End of its validity.
    pub expires_unix_ms: i64,
    /// Segments that it is billed as, 1 or more.
    pub segments: u8,
    /// What it costs; `None` if nothing is charged for it.
    pub charge: Option<Charge>,
}

impl Message {
    /// The id that its ESME knows.
    pub fn public_id(&self) -> MessageId {
        self.batch.map_or(self.id, |batch| batch.first)
    }

    /// Whether it is a delivery receipt.
    pub fn is_receipt(&self) -> bool {
        matches!(self.kind, Kind::Receipt { .. })
    }
}

/// What has happened to a message that is not final. Stored when a part of it that must outlive a crash changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Deliveries tried.
    pub attempts: u32,
    /// When the next may be tried; 0 is at once.
    pub next_attempt_unix_ms: i64,
    /// `command_status` of the last try.
    pub last_status: u32,
    /// Number of the credit-control session in use: with the message id it makes the Session-Id. It goes up when a
    /// reservation was given back and the message goes on.
    pub reservation: u32,
    /// `system_id` or upstream that has it or was tried last.
    pub next_hop: Option<Arc<str>>,
    /// The id that the upstream gave it; its receipt is awaited.
    pub upstream_message_id: Option<Box<str>>,
}
